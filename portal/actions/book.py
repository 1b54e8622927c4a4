"""Staff add an appointment."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.booking import AddedAnother, Asked, Foreseen, Made, find_parts, make, refuse_unseen
from portal.actions.foresee import foresee
from portal.actions.move import slot_of
from portal.actions.who import Who, note_change
from portal.core.appointment_changes import ADDED, time_in_words
from portal.core.effects import Act, Effect
from portal.store.appointments import Appointment, Choices
from portal.store.changes import Subject
from portal.store.imported import made_here_id
from portal.store.parts import Parts

_ASKED = ("patient_id", "business_id", "practitioner_id", "appointment_type_id", "starts_at")


@dataclass(frozen=True, slots=True)
class ToBook:
    """What the form shows before it is filled in. `parts`: of what is chosen so far."""

    parts: Parts
    choices: Choices


def show_booking(practice_id: str, patient_id: int, asked: Asked) -> ToBook:
    with store.reading(practice_id) as session:
        return ToBook(find_parts(session, practice_id, asked, patient_id), store.appointments.list_choices(session))


def foresee_booking(practice_id: str, patient_id: int, asked: Asked, now: datetime) -> Foreseen:
    """Raises NoSuchPatient, Refused."""
    with store.reading(practice_id) as session:
        made = make(find_parts(session, practice_id, asked, patient_id), asked)
        _, effect = _foresee(session, made, now)
    return made.foreseen(effect)


def book(
    practice_id: str, patient_id: int, asked: Asked, form_id: str, seen_effect: str, who: Who, now: datetime
) -> int:
    """Returns its id. `form_id`: of the form, which may come twice and adds one. `seen_effect`: what the form said
    that it does to the reminder. Raises AddedAnother, Changed, NoSuchPatient, Refused."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        external_id = made_here_id(form_id)
        made = make(find_parts(session, practice_id, asked, patient_id), asked)
        there = store.appointments.find_appointment(session, external_id)
        if there is not None:
            return _same_again(there, made)
        appointment, effect = _foresee(session, made, now)
        refuse_unseen(effect, seen_effect)
        appointment.external_id = external_id
        session.add(appointment)
        session.flush()
        when = f"{time_in_words(made.slot)}, {made.business.name}"
        note_change(session, who, now, Subject.APPOINTMENT, appointment.id, ADDED, "", when)
        return appointment.id


def _same_again(there: Appointment, made: Made) -> int:
    """What the form has added. Raises AddedAnother."""
    if all(getattr(there, name) == made.columns[name] for name in _ASKED):
        return there.id
    when = time_in_words(slot_of(there))
    raise AddedAnother(
        f"This form has added one already: {when}. If that one is wrong, move it; to add this one too, save again."
    )


def _foresee(session: Session, made: Made, now: datetime) -> tuple[Appointment, Effect]:
    appointment = Appointment(**made.columns, booked_at=now, revision=0)
    reminder = store.facts.imagine(session, made.parts, appointment, None)
    parts = made.parts
    effect = foresee(
        session, Act.ADDED, parts.practice, made.business, reminder, None, parts.opt_outs, parts.template, now
    )
    return appointment, effect
