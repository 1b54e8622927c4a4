"""Today: the reminders to come, what needs an eye, the credits and the last 30 days. Each part is a page of its own
too, so that `/` asks little at once and everything is reached without scripts."""

from collections.abc import Callable

from flask import Blueprint, abort, current_app, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal import clock
from portal.actions.ahead import forecast
from portal.actions.alarms import in_words
from portal.actions.appointment_types import NoSuchTemplate, choose_template
from portal.actions.businesses import switch_business
from portal.actions.file_mobiles import file_mobiles
from portal.actions.make_up import make_up
from portal.actions.queue_text import say_when
from portal.actions.resend import may_send_again
from portal.actions.tally import tally
from portal.actions.today import find_choice, look_ahead
from portal.actions.worklist import look_at_worklist, mark_dealt_with, take_up_again
from portal.core.alarms import Code
from portal.core.chart import SERIES
from portal.core.phrases import counted
from portal.core.roles import Permission
from portal.web.access import SIGNED_IN, allow, read_frame, who
from portal.web.inside import inside
from portal.web.remembered import remembered
from portal.web.row_ids import LARGEST_ID

_SAID_ELSEWHERE = frozenset({Code.NO_PASS_RAN, Code.ACCOUNT_REFUSED})
_TEMPLATE = f"/template-of/<int(max={LARGEST_ID}):appointment_id>"
_MESSAGE = f"/worklist/<int(max={LARGEST_ID}):message_id>"

pages = Blueprint("today", __name__, url_prefix="/today")


@allow(SIGNED_IN)
def home() -> ResponseReturnValue:
    """Whoever has no practice looks after the host."""
    if not current_user.may(Permission.READ):
        return redirect("/host", 303)
    return _render_plan()


def _render_plan(said: str = "") -> str:
    now = clock.now()
    # What has words of its own on the page is not said twice.
    alarms = [in_words(row, now, is_for_staff=True) for row in g.frame.alarms if row.code not in _SAID_ELSEWHERE]
    return _part(
        "plan",
        "today/index.html",
        plan=remembered(lambda: look_ahead(g.practice, now), "plan"),
        alarms=alarms,
        just_said=said,
    )


@pages.get("/worklist")
@allow(Permission.READ)
def worklist() -> str:
    return render_worklist()


def render_worklist(said: str = "") -> str:
    """`said`: what became of what was just asked for."""
    now = clock.now()
    listed = look_at_worklist(g.practice, now)
    again = {row.message.id: may_send_again(row, g.practice, now) for row in listed.shown}
    safe = [row for row in listed.shown if again[row.message.id].is_safe]
    credits = sum(row.message.segments or 1 for row in safe)
    later = {say_when(goes_at, now) for row in safe if (goes_at := again[row.message.id].goes_at)}
    return _part(
        "worklist", worklist=listed, again=again, safe=safe, credits=credits, later=sorted(later), just_said=said
    )


@pages.get("/credits")
@allow(Permission.READ)
def credits() -> str:
    return _part("credits", forecast=remembered(lambda: forecast(g.practice, clock.now()), "credits"))


@pages.get("/chart")
@allow(Permission.READ)
def chart() -> str:
    return _part("chart", chart=tally(g.practice.id, clock.now()), series=SERIES)


@pages.post("/make-up")
@allow(Permission.SEND)
def make_up_missed() -> ResponseReturnValue:
    """Send what a missed pass should have sent."""
    done = make_up(g.practice.id, who(), clock.now())
    if done is None:
        return _plan_says("Nothing is missing any more: the reminders have run meanwhile.")
    current_app.extensions["portal.enqueue_sends"](g.practice.id, done.message_ids)
    return _plan_says(f"Done. Of {counted(done.considered, 'appointment')} {done.queued} will be texted now.")


@pages.post("/file-as-mobile")
@allow(Permission.PATIENTS)
def file_as_mobile() -> ResponseReturnValue:
    """For the patients whom the person saw listed."""
    seen = [id_ for id_ in request.form.getlist("patient", int) if 0 < id_ <= LARGEST_ID]
    filed = file_mobiles(g.practice.id, seen, who(), clock.now())
    return _plan_says(f"Done. {counted(filed, 'number')} filed as Mobile." if filed else "They are filed already.")


@pages.post(f"/businesses/<int(max={LARGEST_ID}):business_id>/switch-on")
@allow(Permission.SETTINGS)
def switch_on(business_id: int) -> ResponseReturnValue:
    switch_business(g.practice.id, business_id, True, confirmed=False, who=who(), now=clock.now())
    return _plan_says("Done. It sends reminders from the next ones on.")


@pages.get(_TEMPLATE)
@allow(Permission.SETTINGS)
def template(appointment_id: int, problem: str = "") -> str:
    """The choice of a template for the appointment's type."""
    choice = find_choice(g.practice.id, appointment_id)
    if choice is None:
        abort(404)
    return _part("template", choice=choice, problem=problem)


@pages.post(_TEMPLATE)
@allow(Permission.SETTINGS)
def use_template(appointment_id: int) -> ResponseReturnValue:
    choice = find_choice(g.practice.id, appointment_id)
    if choice is None:
        abort(404)
    try:
        template_id = min(request.form.get("template", 0, int), LARGEST_ID) or None
        choose_template(g.practice.id, choice.type_id, template_id, confirmed=False, who=who(), now=clock.now())
    except NoSuchTemplate as refused:
        return template(appointment_id, str(refused)), 422
    return _plan_says("Done. Its reminders use that template from the next ones on.")


@pages.post(f"{_MESSAGE}/dealt-with")
@allow(Permission.SEND)
def dealt_with(message_id: int) -> ResponseReturnValue:
    mark_dealt_with(g.practice.id, message_id, who(), clock.now())
    return worklist_says("Marked as dealt with.")


@pages.post(f"{_MESSAGE}/take-up-again")
@allow(Permission.SEND)
def take_up(message_id: int) -> ResponseReturnValue:
    take_up_again(g.practice.id, message_id, who(), clock.now())
    return worklist_says("It is back on the list.")


def _plan_says(said: str) -> ResponseReturnValue:
    return _answer(_render_plan, "plan", "home", said)


def worklist_says(said: str) -> ResponseReturnValue:
    return _answer(render_worklist, "worklist", "today.worklist", said)


def _answer(render: Callable[[str], str], part: str, endpoint: str, said: str) -> ResponseReturnValue:
    """The part again where a script swaps it, with what there is to say in the answer itself; else the page."""
    if request.headers.get("HX-Request"):
        read_frame()
        return render(said)
    flash(said, part)
    return redirect(inside(request.form.get("next"), url_for(endpoint)), 303)


def _part(name: str, page: str = "today/part.html", **shown: object) -> str:
    is_fragment = request.headers.get("HX-Request-Type") == "partial"
    return render_template(f"today/_{name}.html" if is_fragment else page, part=name, **shown)
