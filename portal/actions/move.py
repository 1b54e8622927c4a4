"""Staff move an appointment to another time or business, or change its practitioner or type."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.booking import (
    FIRST,
    SECOND,
    Asked,
    Changed,
    Foreseen,
    Made,
    find_parts,
    make,
    refuse_stale,
    refuse_unseen,
    state_of,
)
from portal.actions.diagnose import NoSuchAppointment
from portal.actions.foresee import foresee
from portal.actions.stop import withdraw
from portal.actions.who import Who, note_change
from portal.core.appointment_changes import BUSINESS, PRACTITIONER, TIME, TYPE, time_in_words
from portal.core.effects import Act, Effect
from portal.core.moves import Slot, is_move, revised
from portal.core.phrases import full_name
from portal.core.timing import has_come, instants
from portal.store.appointments import Appointment, Choices
from portal.store.changes import Change, Subject, list_changes
from portal.store.database import table_of
from portal.store.facts import Found


@dataclass(frozen=True, slots=True)
class ToMove:
    """How the appointment stands, and what the form offers. `asked`: as it is now. `state`: as the form hands it
    over. `last`: by staff, if any."""

    found: Found
    choices: Choices
    asked: Asked
    state: str
    is_cancelled: bool
    last: Change | None


def show_move(practice_id: str, appointment_id: int, now: datetime) -> ToMove:
    """Raises NoSuchAppointment."""
    with store.reading(practice_id) as session:
        found = find(session, appointment_id)
        choices = store.appointments.list_choices(session)
        changes = list_changes(session, Subject.APPOINTMENT, appointment_id, most=1)
    appointment = found.appointment
    alike = instants(appointment.starts_wall, appointment.timezone)
    asked = Asked(
        appointment.business_id,
        appointment.practitioner_id,
        appointment.appointment_type_id,
        appointment.starts_on.isoformat(),
        f"{appointment.starts_wall:%H:%M}",
        "" if len(alike) < 2 else FIRST if appointment.starts_at == alike[0] else SECOND,
    )
    is_cancelled = has_come(appointment.cancelled_at, now)
    return ToMove(found, choices, asked, state_of(appointment), is_cancelled, next(iter(changes), None))


@dataclass(frozen=True, slots=True)
class _Plan:
    """`columns`: to write; empty where nothing changes."""

    found: Found
    made: Made
    columns: dict[str, Any]
    act: Act
    effect: Effect


def foresee_move(practice_id: str, appointment_id: int, asked: Asked, now: datetime) -> Foreseen | None:
    """None where the form changes nothing. Raises Changed, NoSuchAppointment, Refused."""
    with store.reading(practice_id) as session:
        plan = _plan(session, practice_id, find(session, appointment_id), asked, now)
    return plan.made.foreseen(plan.effect) if plan.columns else None


def move(
    practice_id: str, appointment_id: int, asked: Asked, seen: str, seen_effect: str, who: Who, now: datetime
) -> bool:
    """Returns whether anything changed. `seen`: how the form showed it (`state_of`); `seen_effect`: what it said that
    saving does to the reminder. What waits for the old time is withdrawn.

    Raises Changed, NoSuchAppointment, Refused.
    """
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        found = find(session, appointment_id)
        plan = _plan(session, practice_id, found, asked, now)
        if not plan.columns:
            return False  # somebody did the same meanwhile, or it was sent twice
        appointment = found.appointment
        refuse_stale(appointment, seen)
        refuse_unseen(plan.effect, seen_effect)
        _note(session, plan, who, now)
        for name, value in plan.columns.items():
            setattr(appointment, name, value)
        session.flush()
        if plan.act is Act.MOVED:
            withdraw(session, practice_id, [appointment_id], now)
        return True


def find(session: Session, appointment_id: int) -> Found:
    """Raises NoSuchAppointment."""
    found = store.facts.find(session, Appointment.id == appointment_id)
    if found is None:
        raise NoSuchAppointment(str(appointment_id))
    return found


def slot_of(appointment: Appointment) -> Slot:
    return Slot(appointment.business_id, appointment.starts_wall, appointment.starts_at, appointment.timezone)


def _plan(session: Session, practice_id: str, found: Found, asked: Asked, now: datetime) -> _Plan:
    appointment = found.appointment
    if has_come(appointment.cancelled_at, now):
        raise Changed("It is cancelled: un-cancel it first, then move it.")
    parts = find_parts(session, practice_id, asked, appointment.patient_id)
    lasts = appointment.ends_at - appointment.starts_at
    made = make(parts, asked, lasts if asked.type_id == appointment.appointment_type_id else None)
    is_moved = is_move(slot_of(appointment), made.slot)
    current = {column.key: getattr(appointment, column.key) for column in table_of(Appointment).columns}
    columns = made.columns | revised(current, now, is_moved=is_moved)
    changed = {name: value for name, value in columns.items() if current[name] != value}
    after = Appointment(**current | columns)
    act = Act.MOVED if is_moved else Act.CHANGED
    message = None if is_moved else found.reminder.message
    reminder = store.facts.imagine(session, parts, after, message)
    effect = foresee(
        session, act, parts.practice, made.business, reminder, found.message, parts.opt_outs, parts.template, now
    )
    return _Plan(found, made, changed, act, effect)


def _note(session: Session, plan: _Plan, who: Who, now: datetime) -> None:
    before, made = plan.found, plan.made
    details = before.reminder.facts.details
    former = (details.practitioner_title, details.practitioner_first_name, details.practitioner_last_name)
    for field, old, new in (
        (TIME, time_in_words(slot_of(before.appointment)), time_in_words(made.slot)),
        (BUSINESS, before.business.name, made.business.name),
        (PRACTITIONER, full_name(*former), made.practitioner.full_name),
        (TYPE, before.type.name, made.type.name),
    ):
        note_change(session, who, now, Subject.APPOINTMENT, before.appointment.id, field, old, new)
