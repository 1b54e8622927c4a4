"""The communications log and one message of it."""

import re
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from flask import (
    Blueprint,
    Response,
    current_app,
    g,
    make_response,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask_security import current_user

from portal import clock
from portal.actions.browse_log import Asked, browse
from portal.actions.export_log import export_log
from portal.actions.queue_text import say_when
from portal.actions.resend import Changed, may_send_again
from portal.actions.show_message import Shown, show_message
from portal.actions.take_back import TooLate, may_take_back
from portal.actions.write import CannotGo, may_text
from portal.core.diagnosis import ON_ITS_WAY
from portal.core.log_words import DIRECTIONS, KINDS
from portal.core.reasons import DIAGNOSIS_ONLY, Reason
from portal.core.roles import MAY, Permission
from portal.core.states import Direction, Kind, Status
from portal.store.communications import REACH
from portal.web import diagnosis
from portal.web.access import allow, writer
from portal.web.row_ids import LARGEST_ID, row_id
from portal.web.support import for_support

PAGE = 50
_YEARS = range(1900, 2200)
_SOON = timedelta(minutes=2)
_REASONS = [reason for reason in Reason if reason not in DIAGNOSIS_ONLY]
_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9_-]+")

One = TypeVar("One", bound=StrEnum)

pages = Blueprint("communications", __name__, url_prefix="/communications")


@pages.get("")
@allow(Permission.READ)
def index() -> Response:
    asked, before = _asked(), row_id(request.args.get("before", type=int))
    page = browse(g.practice.id, PAGE, asked, before)
    is_fragment = request.headers.get("HX-Request-Type") == "partial"
    address = _address(asked)
    shown = render_template(
        "communications/_rows.html" if is_fragment else "communications/index.html",
        **{"page": page, "asked": asked, "before": before, "address": address, "reach": REACH},
        **{"statuses": list(Status), "reasons": _REASONS, "kinds": KINDS, "directions": DIRECTIONS},
    )
    response = make_response(shown)
    if is_fragment:  # what is not asked for is not in the address
        response.headers["HX-Push-Url"] = url_for(".index", before=before, **address)
    return response


@pages.get("/export.csv")
@allow(Permission.READ)
def export() -> Response:
    lines = stream_with_context(export_log(g.practice.id, _asked()))
    name = f"communications-{_NO_FILE_NAME.sub('-', g.practice.id)[:40]}-{clock.now():%Y-%m-%d}.csv"
    return Response(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@pages.get(f"/<int(max={LARGEST_ID}):message_id>")
@allow(Permission.READ)
def show(message_id: int) -> str:
    return render_message(message_id)


def render_message(message_id: int, refused: CannotGo | Changed | TooLate | None = None) -> str:
    """The page, or the part of it that renews itself. `refused`: why what was just asked for was not done; the caller
    answers 422. Raises NoSuchMessage."""
    now = clock.now()
    shown = show_message(g.practice.id, message_id, now, MAY[current_user.role])
    message, with_text = shown.entry.message, "text" in request.args.getlist("with")
    again = may_send_again(shown.entry, g.practice, now, is_account_refused=bool(g.frame.account_refused))
    mending = diagnosis.context(shown.explanation) if shown.explanation else {}
    mending["here"] = url_for("communications.show", message_id=message_id)  # also where this answers a form
    is_fragment = request.headers.get("HX-Request-Type") == "partial"
    return render_template(
        "communications/_message.html" if is_fragment else "communications/show.html",
        shown=shown,
        again=again,
        goes=say_when(again.goes_at, now),
        may_take_back=may_take_back(message),
        may_send=message.patient_id is not None and may_text(g.practice.id, message.patient_id, writer()),
        refused=refused,
        is_too_late=isinstance(refused, TooLate),
        is_sent_again="again" in request.args,
        renewal=_renewal(shown, now),
        with_text=with_text,
        support=for_support(g.practice.id, shown, with_text=with_text),
        **{"support_contact": current_app.extensions["portal.settings"].support_contact} | mending,
    )


def _renewal(shown: Shown, now: datetime) -> int | None:
    """Seconds until the page asks for news: soon while it is on its way, seldom once that takes long. None: never."""
    if shown.entry.message.status not in ON_ITS_WAY:
        return None
    return 2 if shown.steps and now - shown.steps[-1].at < _SOON else 20


def _asked() -> Asked:
    """From the address. What is none of the choices, as from an old bookmark, asks for all."""
    given = request.args
    return Asked(
        search=given.get("q", "").strip(),
        status=_one(Status, given.get("status")),
        reason=reason if (reason := _one(Reason, given.get("reason"))) in _REASONS else None,
        business=given.get("business") or None,
        kind=_one(Kind, given.get("kind")),
        direction=_one(Direction, given.get("direction")),
        first_day=_day(given.get("from")),
        last_day=_day(given.get("to")),
        patient_id=row_id(given.get("patient", type=int)),
        broadcast_id=row_id(given.get("broadcast", type=int)),
    )


def _address(asked: Asked) -> dict[str, Any]:
    """What leads to the same."""
    named = {
        "q": asked.search,
        "status": asked.status,
        "reason": asked.reason,
        "business": asked.business,
        "kind": asked.kind,
        "direction": asked.direction,
        "from": asked.first_day,
        "to": asked.last_day,
        "patient": asked.patient_id,
        "broadcast": asked.broadcast_id,
    }
    return {name: str(value) for name, value in named.items() if value}


def _one(of: type[One], asked: str | None) -> One | None:
    return of(asked) if asked in [one.value for one in of] else None


def _day(asked: str | None) -> date | None:
    try:
        day = date.fromisoformat(asked or "")
    except ValueError:
        return None
    return day if day.year in _YEARS else None
