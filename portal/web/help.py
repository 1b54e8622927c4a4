"""Help: short pages, one a task; a search in them; and which page of the portal which of them is about."""

from functools import cache
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, render_template, request
from werkzeug.exceptions import abort

from portal.web.access import SIGNED_IN, allow
from portal.web.help_pages import Library, read_library

# Each page of the portal, and the help that is about it. Where only the blueprint stands, it holds for the rest of
# its pages: for a form that is answered with what is wrong with it.
ABOUT = {
    "account": "sign-in",
    "account.show": "sign-in",
    "appointments.index": "appointments",
    "appointments.show": "no-text",
    "appointment_types": "appointment-types",
    "appointment_types.index": "appointment-types",
    "booking": "appointments",
    "booking.new": "appointments",
    "booking.show_cancelling": "appointments",
    "booking.show_moving": "appointments",
    "booking.show_taking_up": "appointments",
    "broadcasts": "message-to-many",
    "broadcasts.index": "message-to-many",
    "broadcasts.new": "message-to-many",
    "broadcasts.show": "message-to-many",
    "broadcasts.write": "message-to-many",
    "businesses": "businesses",
    "businesses.index": "businesses",
    "businesses.new": "businesses",
    "businesses.show": "businesses",
    "communications": "communications",
    "communications.index": "communications",
    "communications.show": "send-again",
    "duplicates": "duplicates",
    "duplicates.index": "duplicates",
    "duplicates.show": "duplicates",
    "going_live": "going-live",
    "going_live.days": "going-live",
    "going_live.index": "going-live",
    "home": "today",
    "host": "sysadmin/alarms",
    "host.doctor": "sysadmin/alarms",
    "host.index": "sysadmin/alarms",
    "imports": "import",
    "imports.index": "import",
    "imports.run": "import",
    "imports.show": "import",
    "patients": "find-a-patient",
    "patients.add": "add-a-patient",
    "patients.index": "find-a-patient",
    "patients.new": "add-a-patient",
    "patients.show": "find-a-patient",
    "practices": "sysadmin/practices",
    "practices.balance": "sysadmin/practices",
    "practices.link": "sysadmin/practices",
    "practices.new": "sysadmin/practices",
    "practices.show": "sysadmin/practices",
    "practitioners": "practitioners",
    "practitioners.index": "practitioners",
    "practitioners.show": "practitioners",
    "replies": "replies",
    "replies.index": "replies",
    "replies.of_opt_out": "replies",
    "replies.settings": "replies",
    "replies.show": "replies",
    "sending": "pausing",
    "sending.index": "pausing",
    "settings": "practice",
    "settings.sms": "practice",
    "staff": "staff",
    "staff.hand_over": "staff",
    "staff.index": "staff",
    "staff.show": "staff",
    "templates": "templates",
    "templates.index": "templates",
    "templates.new": "templates",
    "templates.show": "templates",
    "texts": "write-a-text",
    "texts.compose": "write-a-text",
    "tidy_up": "tidy-up",
    "tidy_up.batch": "tidy-up",
    "tidy_up.index": "tidy-up",
    "tidy_up.mobiles": "tidy-up",
    "tidy_up.numbers": "tidy-up",
    "tidy_up.types": "tidy-up",
    "tidy_up.unreachable": "tidy-up",
    "today": "today",
    "today.template": "appointment-types",
    "today.worklist": "worklist",
}
# Pages that explain themselves, only lead on, or have a frame of their own; files; parts of pages.
NEEDS_NONE = frozenset(
    {
        *("help.contents", "help.page", "help.picture"),
        *("communications.export", "imports.rejects", "today.chart", "today.credits"),
        *("host.queue", "rq_dashboard"),
    }
)

pages = Blueprint("help", __name__, url_prefix="/help")


@pages.get("")
@allow(SIGNED_IN)
def contents() -> str:
    library = _library()
    asked = request.args.get("q", "").strip()
    return render_template(
        "help/index.html",
        asked=asked,
        search=library.index.search(asked) if asked else None,
        pages=library.pages,
        contents=library.contents,
    )


@pages.get("/<path:name>")
@allow(SIGNED_IN)
def page(name: str) -> str:
    shown = _library().pages.get(name)
    if shown is None:
        abort(404)
    return render_template("help/show.html", page=shown)


@pages.get("/pictures/<name>")
@allow(SIGNED_IN)
def picture(name: str) -> Response:
    path = _library().pictures.get(name)
    if path is None:
        abort(404)
    return Response(path.read_bytes(), mimetype="image/png")


def register(app: Flask) -> None:
    app.register_blueprint(pages)
    app.jinja_env.globals.update(help_about=_about)


def _about() -> str | None:
    """The name of the help page about the page that is shown."""
    endpoint = request.endpoint or ""
    return None if endpoint in NEEDS_NONE else ABOUT.get(endpoint) or ABOUT.get(endpoint.partition(".")[0])


def _library() -> Library:
    return _read(Path(current_app.extensions["portal.docs"]))


_read = cache(read_library)
