"""A practice goes live: what should be in order before, what another system has reminded already, and the step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.ahead import Placed, Week, forecast_of, place_week
from portal.actions.sending import TEXTS_PATIENTS, NotConfirmed, switch
from portal.actions.who import Who, note_change
from portal.core.ahead import UPDATED_LATELY
from portal.core.going_live import Item, Readiness, State, check_list, problem_with_left_out, suggested
from portal.core.reasons import Reason
from portal.core.reminders import Sending
from portal.core.senders import check_sender
from portal.core.states import Status
from portal.core.timing import due_date, local
from portal.store.changes import LEFT_OUT, Subject
from portal.store.practices import Practice


class CannotGoLive(ValueError):
    """Something must be mended first, or read and ticked; the text says what. `field`: of the form."""

    def __init__(self, says: str, field: str) -> None:
        super().__init__(says)
        self.field = field


@dataclass(frozen=True, slots=True)
class Provider:
    """What the host's settings say of it. `refused_with`: its code, while it refuses the account."""

    can_send: bool
    is_simulated: bool
    refused_with: str


@dataclass(frozen=True, slots=True)
class DayAhead:
    """`day`: of the appointments; `due_on`: when their reminders go. Patients."""

    day: date
    due_on: date
    would: int
    would_not: int


@dataclass(frozen=True, slots=True)
class GoingLive:
    """`suggested`: up to which day another system has reminded, by the first business's clocks; `today`: there.
    `is_part`: there are more appointments than were looked at."""

    items: Sequence[Item]
    days: Sequence[DayAhead]
    suggested: date
    today: date
    zone: str | None
    is_part: bool

    @property
    def is_blocked(self) -> bool:
        return any(item.state is State.BLOCKS for item in self.items)

    @property
    def warns(self) -> bool:
        return any(item.state is State.WARNS for item in self.items)


def look_at_readiness(practice: Practice, provider: Provider, now: datetime) -> GoingLive:
    """In six queries, for at most `ahead.MOST` appointments."""
    week = place_week(practice, now)
    zone = week.times.businesses[0].timezone if week else None
    today = (local(now, zone) if zone else now).date()
    placed = [one for one in week.placed if one.pass_at and not _is_left_out(one)] if week else []
    return GoingLive(
        check_list(_readiness(practice, provider, week, placed, today, now)),
        _days(placed, practice),
        suggested(now, zone or "UTC", practice.lead_days, practice.window_start),
        today,
        zone,
        week is not None and week.cut_from is not None,
    )


def _readiness(
    practice: Practice,
    provider: Provider,
    week: Week | None,
    placed: Sequence[Placed],
    today: date,
    now: datetime,
) -> Readiness:
    sender = check_sender(practice.sender, practice.country, practice.countries)
    forecast = forecast_of(practice, week) if week else None
    updated_at = week.times.updated_at if week else None
    tested_at = week.times.tested_at if week else None
    types: Mapping[str, bool] = {
        one.reminder.facts.details.appointment_type_name: one.reminder.facts.template is not None for one in placed
    }
    zone = week.times.businesses[0].timezone if week else "UTC"
    return Readiness(
        can_send=provider.can_send,
        is_simulated=provider.is_simulated,
        refused_with=provider.refused_with,
        sender=practice.sender,
        sender_refused=sender.refused,
        sender_if_registered=sender.if_registered,
        sender_warnings=sender.warnings,
        businesses=[
            (one.name, one.timezone, one.contact_number, one.sms_reminders)
            for one in (week.times.businesses if week else ())
        ],
        types=len(types),
        without_template=sorted(name for name, has_template in types.items() if not has_template),
        lead_days=practice.lead_days,
        window_start=practice.window_start,
        has_run=week is not None and week.times.has_run,
        credits=practice.credits,
        needed=forecast.total if forecast else 0,
        runs_out_on=forecast.runs_out.day if forecast and forecast.runs_out else None,
        updated_at=local(updated_at, zone) if updated_at else None,
        is_old=updated_at is not None and now - updated_at > UPDATED_LATELY,
        patients=len({one.reminder.patient_id for one in placed}),
        reached=len({one.reminder.patient_id for one in placed if _would(one)}),
        is_part=week is not None and week.cut_from is not None,
        tested_at=local(tested_at, zone) if tested_at else None,
        today=today,
    )


def _is_left_out(one: Placed) -> bool:
    return one.outcome is not None and Reason.REMINDED_ELSEWHERE in one.outcome.reasons


def _would(one: Placed) -> bool:
    return one.outcome is not None and one.outcome.status is Status.QUEUED


def _days(placed: Sequence[Placed], practice: Practice) -> list[DayAhead]:
    patients: dict[date, tuple[set[int], set[int]]] = {}
    for one in placed:
        day = one.reminder.facts.details.starts_local.date()
        of_day = patients.setdefault(day, (set(), set()))
        of_day[0 if _would(one) else 1].add(one.reminder.patient_id)
    return [
        DayAhead(day, due_date(day, practice.lead_days), len(would), len(would_not - would))
        for day, (would, would_not) in sorted(patients.items())
    ]


def go_live(
    practice: Practice,
    provider: Provider,
    left_out: date | None,
    *,
    confirmed: bool,
    accepted: bool,
    who: Who,
    now: datetime,
) -> None:
    """From the next reminder hour on, patients are texted. `left_out`: the last day of the appointments that another
    system has reminded; None: none was. `accepted`: what the list warns of. Raises CannotGoLive, NotConfirmed."""
    seen = look_at_readiness(practice, provider, now)
    for item in seen.items:
        if item.state is State.BLOCKS:
            raise CannotGoLive(f"{item.label}: {item.says}", "")
    if seen.warns and not accepted:
        raise CannotGoLive("Tick that you go live although not every line is well.", "accept")
    if not confirmed:
        raise NotConfirmed(TEXTS_PATIENTS)
    _check(left_out, seen.today)
    with store.transaction(practice.id) as session:
        locked = store.practices.lock_practice(session, practice.id)
        if locked.sending is Sending.ON or locked.may_resume:
            raise CannotGoLive("It has gone live already: look at the page anew.", "")
        _leave_out(session, locked, left_out, now, who, now)
        switch(session, locked, Sending.ON, who, now)
        session.flush()


def leave_out(practice_id: str, until: date | None, who: Who, now: datetime) -> None:
    """Say it otherwise after going live; None: nothing is left out any more. What was booked since then stays: it is
    reminded from here. Raises CannotGoLive."""
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        businesses = store.practices.list_businesses(session)
        _check(until, (local(now, businesses[0].timezone) if businesses else now).date())
        _leave_out(session, practice, until, practice.left_out_at or practice.live_since or now, who, now)
        session.flush()


def _check(until: date | None, today: date) -> None:
    if until and (problem := problem_with_left_out(until, today)):
        raise CannotGoLive(problem, "until")


def _leave_out(
    session: Session, practice: Practice, until: date | None, booked_by: datetime, who: Who, now: datetime
) -> None:
    before = practice.left_out_until
    if before != until:
        practice.left_out_until, practice.left_out_at = until, booked_by if until else None
        note_change(session, who, now, Subject.PRACTICE, None, LEFT_OUT, _said(before), _said(until))


def _said(until: date | None) -> str:
    return f"up to {until.isoformat()}" if until else "none"
