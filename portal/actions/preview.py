"""Who will and will not be reached with the reminders for one day, decided as the pass will decide."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.actions.ahead import unmet_of
from portal.actions.diagnose import find_due_day
from portal.actions.remind import decide_in_turn
from portal.core.reasons import Reason
from portal.core.states import RETRIED_BY_PASS, Status
from portal.core.timing import appointment_date, local
from portal.store.facts import Reminder
from portal.store.practices import Business, Practice


@dataclass(frozen=True, slots=True)
class Line:
    """One appointment; its ids are the export's. `pass_at`: the pass that will decide so; None where this is what
    became of it."""

    appointment: str
    patient_id: str
    patient: str
    business_id: str
    business: str
    appointment_type: str
    starts_at: datetime
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
    """`pass_at`: when a pass will decide on it, None where none will."""

    reminder: Reminder
    patient_id: str
    business: Business
    pass_at: datetime | None
    unmet: Reason


def preview(practice_id: str, day: date | None, now: datetime) -> Preview:
    """Of the appointments on that local date; None: those of the next pass to come. Credits are counted from the
    balance as it is now. Raises NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice = store.practices.get_practice(session, practice_id)
        businesses = store.practices.list_businesses(session)
        day = day or _next_day(session, practice, businesses, now)
        placed = [one for business in businesses for one in _place(session, practice, business, day, now)]
    # As the passes will take them up: one after the other, and within each in the order in which credits go.
    to_come = sorted(
        ((one.pass_at, one.reminder.starts_at, one.reminder.external_id, one) for one in placed if one.pass_at),
        key=lambda row: row[:3],
    )
    outcomes = decide_in_turn(practice, (one.reminder for *_, one in to_come))
    lines = [
        _line(one, outcome.status, outcome.reasons, outcome.decision.parts)
        for (*_, one), outcome in zip(to_come, outcomes, strict=True)
    ]
    needed = sum(line.segments or 0 for line in lines if line.status is Status.QUEUED)
    lines += [_settled(one) for one in placed if one.pass_at is None]
    lines.sort(key=lambda line: (line.starts_local, line.appointment))
    return Preview(day, practice.credits, needed, tuple(lines))


def _next_day(session: Session, practice: Practice, businesses: Sequence[Business], now: datetime) -> date:
    """The date of the appointments that the next pass to come will take up."""
    to_come = []
    for business in businesses:
        today = local(now, business.timezone).date()
        for due_on in (today, today + timedelta(days=1)):
            day = appointment_date(due_on, practice.lead_days)
            at = find_due_day(session, practice, business, day, now).next_pass_at(now, None)
            if at is not None:
                to_come.append((at, day))
                break
    return min(to_come)[1] if to_come else appointment_date(now.date(), practice.lead_days)


def _place(session: Session, practice: Practice, business: Business, day: date, now: datetime) -> Iterator[_Placed]:
    """A business's appointments of the day, without those that were cancelled before anything came of them."""
    due = find_due_day(session, practice, business, day, now)
    booked = store.diagnosis.list_booked(session, business.id, day)
    for reminder in store.facts.list_of_day(session, practice, business.id, day):
        booked_at, patient_id = booked[reminder.appointment_id]
        cancelled_at = reminder.cancelled_at
        message = reminder.message
        may_try = message is None or message.status in RETRIED_BY_PASS
        pass_at = due.next_pass_at(booked_at, cancelled_at) if may_try else None
        if may_try and pass_at is None and cancelled_at is not None:
            continue
        yield _Placed(reminder, patient_id, business, pass_at, unmet_of(reminder, due))


def _settled(one: _Placed) -> Line:
    """What became of it, as it was recorded."""
    message = one.reminder.message
    if message is None:
        return _line(one, None, (one.unmet,), None)
    return _line(one, message.status, message.reasons, message.segments)


def _line(one: _Placed, status: Status | None, reasons: tuple[Reason, ...], segments: int | None) -> Line:
    reminder, details = one.reminder, one.reminder.facts.details
    return Line(
        appointment=reminder.external_id,
        patient_id=one.patient_id,
        patient=details.patient,
        business_id=one.business.external_id,
        business=one.business.name,
        appointment_type=details.appointment_type_name,
        starts_at=reminder.starts_at,
        starts_local=details.starts_local,
        timezone=reminder.timezone,
        status=status,
        reasons=reasons,
        segments=segments,
        pass_at=one.pass_at,
    )
