"""The settings that stop reminders: each business's switch, each appointment type's template, sending and credits."""

from collections.abc import Callable

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import appointment_types, businesses, credits, hours, sending
from portal.actions.appointment_types import NoSuchTemplate, NoSuchType
from portal.actions.businesses import NoSuchBusiness
from portal.actions.credits import CreditsRefused
from portal.actions.hours import SettingRefused
from portal.actions.sending import NotConfirmed
from portal.actions.sms import show_sms
from portal.core.reminders import Sending
from portal.core.roles import Permission
from portal.web.access import allow, who
from portal.web.diagnosis import render_diagnosis
from portal.web.inside import inside
from portal.web.row_ids import LARGEST_ID

LEDGER_PAGE = 50

pages = Blueprint("settings", __name__, url_prefix="/settings")
Page = Callable[..., str]


@pages.get("/businesses", endpoint="businesses")
@allow(Permission.SETTINGS)
def _businesses(problem: str = "", field: str = "") -> str:
    shown = businesses.list_businesses(g.practice.id, clock.now())
    return _page("businesses", problem, field, shown=shown)


@pages.post(f"/businesses/<int(max={LARGEST_ID}):business_id>/reminders")
@allow(Permission.SETTINGS)
def switch_business(business_id: int) -> ResponseReturnValue:
    on = {"on": True, "off": False}.get(request.form.get("reminders", ""))
    try:
        businesses.switch_business(
            g.practice.id, business_id, on, confirmed=_is_confirmed(), who=who(), now=clock.now()
        )
    except NoSuchBusiness:
        abort(404)
    except NotConfirmed as refused:
        return _refused(_businesses, str(refused), "confirm")
    return _done(_businesses)


@pages.get("/appointment-types", endpoint="appointment_types")
@allow(Permission.SETTINGS)
def _appointment_types(problem: str = "", field: str = "") -> str:
    found = appointment_types.list_types(g.practice.id, clock.now())
    return _page("appointment_types", problem, field, shown=found.types, templates=found.templates, zone=found.zone)


@pages.post(f"/appointment-types/<int(max={LARGEST_ID}):type_id>/template")
@allow(Permission.SETTINGS)
def choose_template(type_id: int) -> ResponseReturnValue:
    try:
        appointment_types.choose_template(
            g.practice.id, type_id, _template_id(), confirmed=_is_confirmed(), who=who(), now=clock.now()
        )
    except NoSuchType:
        abort(404)
    except (NoSuchTemplate, NotConfirmed) as refused:
        return _refused(
            _appointment_types, str(refused), "confirm" if isinstance(refused, NotConfirmed) else "template"
        )
    return _done(_appointment_types)


@pages.get("/sms", endpoint="sms")
@allow(Permission.SETTINGS)
def _sms(problem: str = "", field: str = "") -> str:
    before = request.args.get("before", type=int)
    shown = show_sms(g.practice.id, clock.now(), LEDGER_PAGE, min(before, LARGEST_ID) if before else None)
    return _page("sms", problem, field, shown=shown, before=before, earliest=hours.EARLIEST, latest=hours.LATEST)


@pages.post("/sms/sending")
@allow(Permission.SETTINGS)
def switch_sending() -> ResponseReturnValue:
    wanted = request.form.get("sending", "")
    if wanted not in list(Sending):
        return _refused(_sms, "Choose on, paused or rehearsal.", "sending")
    try:
        sending.switch_sending_asking(
            g.practice.id, Sending(wanted), confirmed=_is_confirmed(), who=who(), now=clock.now()
        )
    except NotConfirmed as refused:
        return _refused(_sms, str(refused), "confirm")
    g.practice.sending = Sending(wanted)  # as the page's own notice says it
    return _done(_sms)


@pages.post("/sms/credits")
@allow(Permission.CREDITS)
def top_up() -> ResponseReturnValue:
    amount = request.form.get("amount", "").replace(",", "").replace(" ", "")
    reference = request.form.get("reference", "").strip()
    try:
        credits.top_up(
            g.practice.id,
            int(amount) if amount.isdecimal() and len(amount) < 10 else 0,
            reference,
            clock.now(),
            who(),
        )
    except CreditsRefused as refused:
        return _refused(_sms, str(refused), refused.field)
    return _done(_sms)


@pages.post("/sms/hours")
@allow(Permission.SETTINGS)
def set_text_hours() -> ResponseReturnValue:
    try:
        hours.set_text_hours(g.practice.id, _number("begin"), _number("end"), clock.now(), who())
    except SettingRefused as refused:
        return _refused(_sms, str(refused), "begin")
    return _done(_sms)


@pages.post("/sms/alarm-share")
@allow(Permission.SETTINGS)
def set_alarm_share() -> ResponseReturnValue:
    try:
        hours.set_alarm_share(g.practice.id, _number("share"), clock.now(), who())
    except SettingRefused as refused:
        return _refused(_sms, str(refused), "share")
    return _done(_sms)


def _number(field: str) -> int:
    """-1 where there is none."""
    typed = request.form.get(field, "").strip()
    return int(typed) if typed.isdecimal() and len(typed) < 4 else -1


def _is_confirmed() -> bool:
    return bool(request.form.get("confirm"))


def _template_id() -> int | None:
    """0 for none; None where the form did not say."""
    asked = request.form.get("template", "")
    if asked == "none":
        return 0
    return min(int(asked), LARGEST_ID) if asked.isdecimal() and len(asked) < 20 else None


def _page(name: str, problem: str, field: str, **shown: object) -> str:
    """The page, or the part of it that a form of it swaps."""
    is_fragment = bool(request.headers.get("HX-Request")) and request.method == "POST"
    return render_template(
        f"settings/{'_' if is_fragment else ''}{name}.html",
        problem=problem,
        problem_field=field,
        given=request.form if problem else {},
        row=request.values.get("row", ""),
        is_saved=bool(request.values.get("row")) and not problem,
        **shown,
    )


def _done(page: Page) -> ResponseReturnValue:
    """The diagnosis again where a form of it asked, the part of the page, or the page."""
    appointment = request.form.get("appointment")
    if request.headers.get("HX-Request"):
        return render_diagnosis(appointment) if appointment else page()
    own = url_for(f"settings.{page.__name__.removeprefix('_')}", row=request.form.get("row"))
    return redirect(inside(request.form.get("next", ""), own), 303)


def _refused(page: Page, problem: str, field: str) -> ResponseReturnValue:
    appointment = request.form.get("appointment")
    if request.headers.get("HX-Request") and appointment:
        return render_diagnosis(appointment, problem, field), 422
    return page(problem, field), 422
