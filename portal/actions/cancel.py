"""Staff cancel an appointment, or take a cancelled one up again."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.booking import refuse_stale, refuse_unseen, state_of
from portal.actions.foresee import foresee
from portal.actions.move import find
from portal.actions.stop import withdraw
from portal.actions.who import Who, note_change
from portal.core.appointment_changes import IS_CANCELLED, STANDING, STANDS
from portal.core.effects import Act, Effect
from portal.core.timing import has_come
from portal.store.changes import Subject
from portal.store.facts import Found


@dataclass(frozen=True, slots=True)
class ToCancel:
    """`effect`: of what is about to be done. `state`: as the form hands it over. `is_done`: it is so already."""

    found: Found
    effect: Effect
    state: str
    is_done: bool


def show_cancel(practice_id: str, appointment_id: int, now: datetime, *, cancels: bool) -> ToCancel:
    """`cancels`: False to take it up again. Raises NoSuchAppointment."""
    with store.reading(practice_id) as session:
        return _show(session, appointment_id, now, cancels)


def cancel(practice_id: str, appointment_id: int, seen: str, seen_effect: str, who: Who, now: datetime) -> bool:
    """Withdraws what waits. Returns whether it stood before. Raises Changed, NoSuchAppointment."""
    return _do(practice_id, appointment_id, seen, seen_effect, who, now, cancels=True)


def take_up(practice_id: str, appointment_id: int, seen: str, seen_effect: str, who: Who, now: datetime) -> bool:
    """The next pass takes up the same reminder, unless it was sent. Returns whether it was cancelled before. Raises
    Changed, NoSuchAppointment."""
    return _do(practice_id, appointment_id, seen, seen_effect, who, now, cancels=False)


def _do(
    practice_id: str, appointment_id: int, seen: str, seen_effect: str, who: Who, now: datetime, *, cancels: bool
) -> bool:
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        shown = _show(session, appointment_id, now, cancels)
        if shown.is_done:
            return False  # somebody did the same meanwhile, or it was sent twice
        appointment = shown.found.appointment
        refuse_stale(appointment, seen)
        refuse_unseen(shown.effect, seen_effect)
        appointment.cancelled_at = now if cancels else None
        before, after = (STANDS, IS_CANCELLED) if cancels else (IS_CANCELLED, STANDS)
        note_change(session, who, now, Subject.APPOINTMENT, appointment_id, STANDING, before, after)
        session.flush()
        if cancels:
            withdraw(session, practice_id, [appointment_id], now)
        return True


def _show(session: Session, appointment_id: int, now: datetime, cancels: bool) -> ToCancel:
    found = find(session, appointment_id)
    appointment = found.appointment
    is_cancelled = has_come(appointment.cancelled_at, now)
    reminder = replace(found.reminder, cancelled_at=now if cancels else None)
    act = Act.CANCELLED if cancels else Act.TAKEN_UP
    effect = foresee(
        session, act, found.practice, found.business, reminder, found.message, found.opt_outs, found.template, now
    )
    return ToCancel(found, effect, state_of(appointment), is_cancelled is cancels)
