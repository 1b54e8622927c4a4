"""The diagnosis with the forms that mend each cause: one fragment, wherever an appointment's reminder is shown."""

from datetime import datetime

from flask import Flask, abort, current_app, g, render_template, request
from flask_security import current_user
from markupsafe import Markup

from portal import clock
from portal.actions.explain import Explanation, explain, name_who_may
from portal.core.diagnosis import MENDED_WITH, REACHED, mended_with
from portal.core.phrases import clock_time, moment
from portal.core.reasons import Reason
from portal.core.roles import MAY
from portal.core.states import Status
from portal.web.inside import inside
from portal.web.row_ids import LARGEST_ID


def register(app: Flask) -> None:
    app.jinja_env.globals.update(
        render_diagnosis=render_diagnosis, who_mends=who_mends, ask_for_credits=ask_for_credits
    )
    app.jinja_env.filters.update(city=_city, clock_time=clock_time, goes=_goes)


def who_mends(reason: Reason | None) -> str:
    """Who can, where the reader may not mend it; else empty."""
    if reason is Reason.NO_CREDITS and (ask := ask_for_credits()):
        return ask
    needed = mended_with(g.practice.may_resume).get(reason) if reason else None
    if needed is None or current_user.may(needed):
        return ""
    if "who_may" not in g:
        g.who_may = name_who_may(g.practice.id, set(MENDED_WITH.values()))
    named: str = g.who_may[needed]
    return named


def ask_for_credits() -> str:
    """Whom to ask for a top-up where the host serves several practices; else empty."""
    if g.frame.is_alone:
        return ""
    contact = current_app.extensions["portal.settings"].support_contact
    return f"Credits are added by the system administrator: ask {contact or 'them'} for a top-up."


def _city(zone: str) -> str:
    """`New York`: how people name a time zone."""
    return zone.rpartition("/")[2].replace("_", " ")


def _goes(wall: datetime) -> str:
    """`today at 11am`, where a pass comes then; `before 11am`, where one may come any minute."""
    now = clock.now().astimezone(wall.tzinfo)
    if wall > now:
        return moment(wall, now.date())
    return f"before {clock_time(wall.replace(hour=wall.hour + 1, minute=0))}"


def render_diagnosis(appointment_id: int | str, problem: str = "", field: str = "") -> Markup:
    """The fragment for the appointment with that row id; to a form of it, the answer.

    `problem`: why what was just asked for was refused, to be shown beside the form's `field`; the caller answers
    422. Raises NoSuchAppointment, or NotFound for what is no id.
    """
    return Markup(render_template("diagnosis/_diagnosis.html", **context(load(appointment_id), problem, field)))  # noqa: S704  a template's own output


def load(appointment_id: int | str) -> Explanation:
    try:
        id_ = min(int(appointment_id), LARGEST_ID)
        return explain(g.practice.id, id_, clock.now(), MAY[current_user.role])
    except ValueError:
        abort(404)


def context(explanation: Explanation, problem: str = "", field: str = "") -> dict[str, object]:
    """What the fragment is rendered with."""
    posted = request.form if request.method == "POST" else {}
    here = inside(posted.get("next", ""), request.path).partition("?")[0]
    is_on_message = here.startswith("/communications/")  # whose page tells the outcome itself
    is_answer = "mended" in posted and not problem
    return {
        "x": explanation,
        "here": here,
        "is_on_message": is_on_message,
        "mended": "" if problem else request.values.get("mended", ""),
        "problem": problem,
        "problem_field": field,
        "given": posted if problem else {},
        # Its answer renews the page around it too: what became of the message, and whether it can be sent again.
        "renews_page": is_on_message and is_answer,
        "renews_notice": is_answer and posted["mended"] == Reason.SENDING_OFF,
        "mended_with": mended_with(explanation.found.practice.may_resume),
        "was_sent": explanation.diagnosis.status in REACHED | {Status.UNDELIVERED, Status.UNKNOWN},
        "support_contact": current_app.extensions["portal.settings"].support_contact,
    }
