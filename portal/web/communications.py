"""The communications log and one message of it."""

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from portal import clock
from portal.actions.browse_log import SEARCH_REACH, browse
from portal.actions.show_message import NoSuchMessage, show_message
from portal.core.states import Status
from portal.web.practice import of_a_practice

PAGE = 50
_LARGEST_ID = 2**63 - 1  # that a database takes

pages = Blueprint("communications", __name__, url_prefix="/communications")
of_a_practice(pages)


def home() -> Response:
    return redirect(url_for("communications.index", practice=request.args.get("practice")), 303)


@pages.get("")
def index() -> str:
    search = request.args.get("q", "").strip()
    status = _status(request.args.get("status", ""))
    before = _before(request.args.get("before", type=int))
    page = browse(g.practice.id, PAGE, before=before, status=status, search=search)
    is_fragment = request.headers.get("HX-Request-Type") == "partial"
    template = "communications/_rows.html" if is_fragment else "communications/index.html"
    return render_template(
        template, page=page, search=search, status=status, before=before, statuses=list(Status), reach=SEARCH_REACH
    )


@pages.get(f"/<int(max={_LARGEST_ID}):message_id>")
def show(message_id: int) -> str:
    try:
        shown = show_message(g.practice.id, message_id, clock.now())
    except NoSuchMessage:
        abort(404)
    return render_template("communications/show.html", shown=shown)


def _before(asked: int | None) -> int | None:
    return None if asked is None else max(0, min(asked, _LARGEST_ID))


def _status(asked: str) -> Status | None:
    """What is none of the outcomes, as from an old bookmark, asks for all."""
    return Status(asked) if asked in [status.value for status in Status] else None
