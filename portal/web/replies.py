"""Replies: those that wait for somebody, whose each is, and how the portal answers by itself."""

from flask import Blueprint, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from portal import clock
from portal.actions import replies
from portal.actions.replies import FIELDS, NotTheirs, SettingsRefused
from portal.core.roles import Permission
from portal.web.access import allow, who
from portal.web.diagnosis import LARGEST_ID
from portal.web.inside import inside

_REPLY = f"/replies/<int(max={LARGEST_ID}):message_id>"

pages = Blueprint("replies", __name__)


@pages.get("/replies")
@allow(Permission.READ)
def index(said: str = "") -> str:
    is_fragment = request.headers.get("HX-Request-Type") == "partial"
    template = "replies/_inbox.html" if is_fragment else "replies/index.html"
    inbox = replies.look_at_inbox(g.practice.id, clock.now())
    shown = render_template(template, inbox=inbox, said=said)
    # The list as it is now: the header's count was read before a form of it did something.
    return (
        shown + render_template("replies/_unread.html", count=inbox.unread, is_renewed=True) if is_fragment else shown
    )


@pages.get(_REPLY)
@allow(Permission.READ)
def show(message_id: int, problem: str = "") -> str:
    """One reply, and whose it may be."""
    asked = replies.show_reply(g.practice.id, message_id)
    return render_template("replies/show.html", asked=asked, problem=problem)


@pages.get(f"/replies/of-opt-out/<int(max={LARGEST_ID}):opt_out_id>")
@allow(Permission.READ)
def of_opt_out(opt_out_id: int) -> Response:
    """The reply that made an opt-out."""
    message_id = replies.find_reply_of(g.practice.id, opt_out_id)
    where = url_for("communications.show", message_id=message_id) if message_id else url_for(".index")
    return redirect(where, 303)


@pages.post(f"{_REPLY}/patient")
@allow(Permission.PATIENTS)
def give(message_id: int) -> ResponseReturnValue:
    """Say whose it is."""
    patient_id = min(request.form.get("patient", 0, int), LARGEST_ID)
    try:
        replies.give_to(g.practice.id, message_id, patient_id, who(), clock.now())
    except NotTheirs as refused:
        return _refused(message_id, str(refused))
    return _done("Done. It stands in the patient's conversation now.")


@pages.post(f"{_REPLY}/read")
@allow(Permission.SEND)
def read(message_id: int) -> ResponseReturnValue:
    replies.mark_read(g.practice.id, message_id, who(), clock.now())
    return _done("Marked as read.")


@pages.post(f"{_REPLY}/unread")
@allow(Permission.SEND)
def unread(message_id: int) -> ResponseReturnValue:
    replies.mark_unread(g.practice.id, message_id)
    return _done("It waits to be read again.")


def _done(said: str) -> ResponseReturnValue:
    """The list again where a form of it asked, or the page that the form was on."""
    if request.headers.get("HX-Request"):
        return index(said)
    return redirect(inside(request.form.get("next"), url_for(".index")), 303)


def _refused(message_id: int, problem: str) -> ResponseReturnValue:
    if request.headers.get("HX-Request"):
        return index(problem), 422
    return show(message_id, problem), 422


# --- how the portal answers ---------------------------------------------------------------------------------


@pages.get("/settings/replies", endpoint="settings")
@allow(Permission.SETTINGS)
def _settings(problem: str = "", field: str = "") -> str:
    return render_template(
        "settings/replies.html",
        shown=replies.show_settings(g.practice.id),
        fields=FIELDS,
        problem=problem,
        problem_field=field,
        given=request.form if problem else {},
        has_mail=current_app.extensions["portal.settings"].smtp_url is not None,
        is_saved="saved" in request.args,
    )


@pages.post("/settings/replies")
@allow(Permission.SETTINGS)
def change_settings() -> ResponseReturnValue:
    form = request.form
    try:
        replies.change_settings(
            g.practice.id,
            {field: form.get(field, "") for field in FIELDS},
            form.get("forward_to", ""),
            bool(form.get("in_full")),
            who(),
            clock.now(),
        )
    except SettingsRefused as refused:
        return _settings(str(refused), refused.field), 422
    return redirect(url_for(".settings", saved=1), 303)
