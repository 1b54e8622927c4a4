"""Days on which no pass ran: each appointment that should have been met is recorded, and the day is an alarm."""

from datetime import date, datetime, timedelta
from itertools import groupby

from sqlalchemy.orm import Session

from portal import store
from portal.actions.remind import identity
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.core.timing import appointment_date, day_passes, local, missed_days, passes_ended_at
from portal.store.appointments import Appointment
from portal.store.passes import MissedDay
from portal.store.practices import Business, Practice

_LONGEST_LOOK_BACK = timedelta(days=16)  # missed_days() goes back 14 local days


def record_missed_days(at: datetime, now: datetime) -> int:
    """Look back from `at` at each watched business's days; returns how many had no pass."""
    last_over: dict[tuple[str, int], date] = {}
    behind: list[tuple[str, int, date]] = []
    with store.everything() as session:
        for (
            practice_id,
            window_start,
            business_id,
            zone_name,
            accounted_until,
        ) in store.practices.list_watched(session):
            key = zone_name, window_start
            if key not in last_over:
                last_over[key] = _last_day_over(at, zone_name, window_start)
            if accounted_until is None or accounted_until < last_over[key]:
                behind.append((practice_id, business_id, last_over[key]))
    missed = 0
    for practice_id, rows in groupby(behind, key=lambda row: row[0]):
        with store.transaction(practice_id) as session:
            practice = store.practices.lock_practice(session, practice_id)
            missed += _account_for(session, practice, {id_: until for _, id_, until in rows}, at, now)
    return missed


def _last_day_over(at: datetime, zone_name: str, window_start: int) -> date:
    today = local(at, zone_name).date()
    return today if passes_ended_at(today, zone_name, window_start) <= at else today - timedelta(days=1)


def _account_for(session: Session, practice: Practice, until: dict[int, date], at: datetime, now: datetime) -> int:
    handled = store.passes.list_handled(session, until.keys(), (at - _LONGEST_LOOK_BACK).date(), max(until.values()))
    missed = 0
    for business in store.practices.list_businesses(session):
        if business.id not in until or business.watched_since is None:
            continue
        for day in missed_days(
            business.watched_since,
            at,
            business.timezone,
            practice.window_start,
            handled.get(business.id, {}).keys(),
        ):
            if business.accounted_until is None or day > business.accounted_until:
                _record(session, practice, business, day, at, now)
                missed += 1
        business.accounted_until = until[business.id]
    session.flush()
    return missed


def _record(session: Session, practice: Practice, business: Business, day: date, at: datetime, now: datetime) -> None:
    # By the beginning of its last hour: what was booked within that hour might have missed its pass anyway.
    met_by = day_passes(day, business.timezone, practice.window_start)[-1]
    unmet = store.passes.list_unmet(session, business.id, appointment_date(day, practice.lead_days), met_by)
    session.add(
        MissedDay(
            practice_id=practice.id,
            business_id=business.id,
            local_date=day,
            found_at=now,
            appointments=len(unmet),
        )
    )
    why = {appointment.id: _why(practice, appointment) for appointment in unmet}
    rows = [_row(appointment, why[appointment.id], at, now) for appointment in unmet]
    ids = store.messages.record_reminders(session, rows)
    store.messages.record_events(
        session,
        [
            {
                "practice_id": practice.id,
                "message_id": message_id,
                "at": at,
                "event": Status.NOT_SENT.value,
                "detail": why[appointment_id].value,
            }
            for appointment_id, message_id in ids.items()
        ],
    )


def _why(practice: Practice, appointment: Appointment) -> Reason:
    """What another system has reminded, no pass had to meet."""
    left_out, booked_at = practice.left_out, max(appointment.booked_at, appointment.moved_at or appointment.booked_at)
    if left_out is not None and left_out.covers(appointment.starts_on, booked_at):
        return Reason.REMINDED_ELSEWHERE
    return Reason.NO_PASS_RAN


def _row(appointment: Appointment, why: Reason, at: datetime, now: datetime) -> dict[str, object]:
    own = identity(
        appointment.practice_id,
        appointment.business_id,
        appointment.patient_id,
        appointment.id,
        appointment.revision,
        now,
    )
    return own | {"status": Status.NOT_SENT, "reasons": (why,), "charged": 0, "pass_at": at}
