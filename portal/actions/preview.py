"""Who will and will not be reached with the reminders for one day, decided as the pass will decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.remind import decide_in_turn
from portal.core.diagnosis import DueDay, due_day
from portal.core.reasons import Reason
from portal.core.states import RETRIED_BY_PASS, Status
from portal.core.timing import appointment_date, due_date, local
from portal.store.facts import Reminder
from portal.store.practices import Business, Practice


@dataclass(frozen=True, slots=True)
class Line:
    """One appointment. `pass_at`: the pass that will decide so; None where this is what became of it."""

    appointment: str
    patient: str
    business: str
    appointment_type: str
    starts_local: datetime
    timezone: str
    status: Status | None
    reasons: tuple[Reason, ...]
    segments: int | None
    pass_at: datetime | None


@dataclass(frozen=True, slots=True)
class Preview:
    """The day's appointments that stand, by start. `credits`: the balance now, `needed`: what will be taken."""

    day: date
    credits: int
    needed: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    reminder: Reminder
    business: Business
    due: DueDay
    booked_at: datetime


def preview(practice_id: str, day: date | None, now: datetime) -> Preview:
    """Of the appointments on that local date; None: those of the next pass to come. Credits are counted from the
    balance as it is now. Raises NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice = store.practices.get_practice(session, practice_id)
        businesses = store.practices.list_businesses(session)
        day = day or _next_day(session, practice, businesses, now)
        placed = [one for business in businesses for one in _place(session, practice, business, day, now)]
    to_come = [one for one in placed if _will_be_decided(one)]
    to_come.sort(key=lambda one: (one.due.next_pass_at, one.reminder.starts_at, one.reminder.external_id))
    outcomes = decide_in_turn(practice, (one.reminder for one in to_come))
    lines = [
        _line(one, outcome.status, outcome.reasons, outcome.decision.parts, one.due.next_pass_at)
        for one, outcome in zip(to_come, outcomes, strict=True)
    ]
    needed = sum(line.segments or 0 for line in lines if line.status is Status.QUEUED)
    lines += [_settled(one) for one in placed if not _will_be_decided(one) and _stands(one)]
    lines.sort(key=lambda line: (line.starts_local, line.appointment))
    return Preview(day, practice.credits, needed, tuple(lines))


def _next_day(session: Session, practice: Practice, businesses: Sequence[Business], now: datetime) -> date:
    """The date of the appointments that the next pass to come will take up."""
    days = []
    for business in businesses:
        today = local(now, business.timezone).date()
        for due_on in (today, today.fromordinal(today.toordinal() + 1)):
            day = appointment_date(due_on, practice.lead_days)
            next_pass_at = _due_day(session, practice, business, day, now).next_pass_at
            if next_pass_at is not None:
                days.append((next_pass_at, day))
                break
    return min(days)[1] if days else appointment_date(now.date(), practice.lead_days)


def _due_day(session: Session, practice: Practice, business: Business, day: date, now: datetime) -> DueDay:
    due_on = due_date(day, practice.lead_days)
    times = store.diagnosis.list_pass_times(session, business.id, due_on, due_on)
    ran = {hour.hour: at for hour, at in times.items()}
    return due_day(day, practice.lead_days, business.timezone, practice.window_start, ran, now)
