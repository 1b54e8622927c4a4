"""The practice's own settings: sending, credits, when reminders go, whom texts come from, and when staff may text."""

from functools import partial

from flask import Blueprint, current_app, g, request
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import credits, hours, practice_settings, reminder_times, sending
from portal.actions.asking import Asked
from portal.actions.credits import CreditsRefused, OnlyTheSysadminGrants
from portal.actions.sending import NotConfirmed
from portal.actions.sms import count_reach, show_sms
from portal.core.numbers import list_countries
from portal.core.reminder_times import LEAD_DAYS, WINDOW_STARTS
from portal.core.reminders import Preference, Sending
from portal.core.roles import Permission
from portal.core.senders import what_to_type
from portal.web.access import allow, who
from portal.web.remembered import remembered
from portal.web.row_ids import row_id
from portal.web.setting_forms import (
    attempt,
    done,
    given,
    given_amount,
    is_confirmed,
    is_confirmed_as,
    refused,
    render,
)

LEDGER_PAGE = 50

pages = Blueprint("settings", __name__, url_prefix="/settings")


@pages.get("/sms", endpoint="sms")
@allow(Permission.SETTINGS)
def _sms(problem: str = "", field: str = "", asked: Asked | None = None) -> str:
    before = row_id(request.args.get("before", type=int))
    shown = show_sms(g.practice.id, clock.now(), LEDGER_PAGE, before or None)
    return render(
        "sms",
        problem,
        field,
        shown=shown,
        reach=remembered(lambda: count_reach(g.practice.id, shown.weeks), "reach", shown.weeks),
        asked=asked,
        before=before,
        earliest=hours.EARLIEST,
        latest=hours.LATEST,
        window_starts=WINDOW_STARTS,
        lead_days=LEAD_DAYS,
        preferences=list(Preference),
        countries=list_countries(),
        what_to_type=what_to_type(g.practice.country),
        support_contact=current_app.extensions["portal.settings"].support_contact,
    )


_attempt = partial(attempt, _sms, endpoint=".sms")


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
    try:
        credits.top_up_own(g.practice.id, given_amount(), given("reference"), clock.now(), who())
    except OnlyTheSysadminGrants as problem:
        return refused(_sms, str(problem), "amount", 403)
    except CreditsRefused as problem:
        return refused(_sms, str(problem), problem.field)
    return done(_sms, ".sms")


@pages.post("/sms/reminder-times")
@allow(Permission.SETTINGS)
def set_reminder_times() -> ResponseReturnValue:
    return _attempt(
        lambda: reminder_times.set_reminder_times(
            g.practice.id,
            _number("window_start"),
            _number("lead_days"),
            confirmed=is_confirmed_as("window_start", "lead_days"),
            who=who(),
            now=clock.now(),
        )
    )


@pages.post("/sms/default-preference")
@allow(Permission.SETTINGS)
def set_default_preference() -> ResponseReturnValue:
    return _attempt(
        lambda: practice_settings.set_default_preference(
            g.practice.id,
            given("preference"),
            confirmed=is_confirmed_as("preference"),
            who=who(),
            now=clock.now(),
        )
    )


@pages.post("/sms/sender")
@allow(Permission.SETTINGS)
def set_sender() -> ResponseReturnValue:
    return _attempt(
        lambda: practice_settings.set_sender(
            g.practice.id, given("sender"), confirmed=is_confirmed_as("sender"), who=who(), now=clock.now()
        )
    )


@pages.post("/sms/countries")
@allow(Permission.SETTINGS)
def set_country() -> ResponseReturnValue:
    return _attempt(
        lambda: practice_settings.set_country(
            g.practice.id,
            given("country"),
            sends_to=given("sends_to") == "yes",
            confirmed=is_confirmed_as("country"),
            who=who(),
            now=clock.now(),
        )
    )


@pages.post("/sms/name")
@allow(Permission.SETTINGS)
def set_name() -> ResponseReturnValue:
    return _attempt(lambda: practice_settings.set_name(g.practice.id, given("name"), who=who(), now=clock.now()))


@pages.post("/sms/hours")
@allow(Permission.SETTINGS)
def set_text_hours() -> ResponseReturnValue:
    return _attempt(lambda: hours.set_text_hours(g.practice.id, _number("begin"), _number("end"), clock.now(), who()))


@pages.post("/sms/alarm-share")
@allow(Permission.SETTINGS)
def set_alarm_share() -> ResponseReturnValue:
    return _attempt(lambda: hours.set_alarm_share(g.practice.id, _number("share"), clock.now(), who()))


def _number(field: str) -> int:
    """-1 where there is none."""
    typed = given(field)
    return int(typed) if typed.isdecimal() and len(typed) < 4 else -1
