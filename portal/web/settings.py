"""The settings that stop reminders: each business's switch, sending and credits."""

from flask import Blueprint, abort, g, request
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import businesses, credits, hours, sending
from portal.actions.businesses import NoSuchBusiness
from portal.actions.credits import CreditsRefused
from portal.actions.hours import SettingRefused
from portal.actions.sending import NotConfirmed
from portal.actions.sms import show_sms
from portal.core.reminders import Sending
from portal.core.roles import Permission
from portal.web.access import allow, who
from portal.web.row_ids import LARGEST_ID
from portal.web.setting_forms import done, is_confirmed, refused, render

LEDGER_PAGE = 50

pages = Blueprint("settings", __name__, url_prefix="/settings")


@pages.get("/businesses", endpoint="businesses")
@allow(Permission.SETTINGS)
def _businesses(problem: str = "", field: str = "") -> str:
    shown = businesses.list_businesses(g.practice.id, clock.now())
    return render("businesses", problem, field, shown=shown)


@pages.post(f"/businesses/<int(max={LARGEST_ID}):business_id>/reminders")
@allow(Permission.SETTINGS)
def switch_business(business_id: int) -> ResponseReturnValue:
    on = {"on": True, "off": False}.get(request.form.get("reminders", ""))
    try:
        businesses.switch_business(
            g.practice.id, business_id, on, confirmed=is_confirmed(), who=who(), now=clock.now()
        )
    except NoSuchBusiness:
        abort(404)
    except NotConfirmed as problem:
        return refused(_businesses, str(problem), "confirm")
    return done(_businesses, ".businesses")


@pages.get("/sms", endpoint="sms")
@allow(Permission.SETTINGS)
def _sms(problem: str = "", field: str = "") -> str:
    before = request.args.get("before", type=int)
    shown = show_sms(g.practice.id, clock.now(), LEDGER_PAGE, min(before, LARGEST_ID) if before else None)
    return render("sms", problem, field, shown=shown, before=before, earliest=hours.EARLIEST, latest=hours.LATEST)


@pages.post("/sms/sending")
@allow(Permission.SETTINGS)
def switch_sending() -> ResponseReturnValue:
    wanted = request.form.get("sending", "")
    if wanted not in list(Sending):
        return refused(_sms, "Choose on, paused or rehearsal.", "sending")
    try:
        sending.switch_sending_asking(
            g.practice.id, Sending(wanted), confirmed=is_confirmed(), who=who(), now=clock.now()
        )
    except NotConfirmed as problem:
        return refused(_sms, str(problem), "confirm")
    g.practice.sending = Sending(wanted)  # as the page's own notice says it
    return done(_sms, ".sms")


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
    except CreditsRefused as problem:
        return refused(_sms, str(problem), problem.field)
    return done(_sms, ".sms")


@pages.post("/sms/hours")
@allow(Permission.SETTINGS)
def set_text_hours() -> ResponseReturnValue:
    try:
        hours.set_text_hours(g.practice.id, _number("begin"), _number("end"), clock.now(), who())
    except SettingRefused as problem:
        return refused(_sms, str(problem), "begin")
    return done(_sms, ".sms")


@pages.post("/sms/alarm-share")
@allow(Permission.SETTINGS)
def set_alarm_share() -> ResponseReturnValue:
    try:
        hours.set_alarm_share(g.practice.id, _number("share"), clock.now(), who())
    except SettingRefused as problem:
        return refused(_sms, str(problem), "share")
    return done(_sms, ".sms")


def _number(field: str) -> int:
    """-1 where there is none."""
    typed = request.form.get(field, "").strip()
    return int(typed) if typed.isdecimal() and len(typed) < 4 else -1
