"""Texts that staff write, and whom they go to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ScalarSelect, func, select, text
from sqlalchemy.orm import Session

from portal.core.numbers import PhoneNumber
from portal.core.reasons import Reason
from portal.core.reminders import Facts
from portal.core.states import Kind, Status
from portal.core.text import Details
from portal.store.appointments import Appointment
from portal.store.broadcasts import is_to_many
from portal.store.facts import MESSAGE_STATE, MessageState
from portal.store.messages import Message, MessageEvent, has_reason
from portal.store.patients import OptOut, Patient, PhoneRow, list_numbers, list_opt_outs, numbers_of, with_numbers
from portal.store.practices import OWN_OR_FIRST_ZONE, Business, Practice

_NEVER = datetime(1, 1, 1)  # noqa: DTZ001  a wall time, which no text shows


@dataclass(frozen=True, slots=True)
class Text:
    """A message of no appointment, and the facts that decide on it. `timezone`: of the patient's business, or UTC.
    `is_to_many`: it is of a message to many."""

    patient_id: int
    timezone: str
    created_at: datetime
    facts: Facts
    message: MessageState
    is_to_many: bool

    @property
    def cancelled_at(self) -> None:
        """As of a reminder's appointment."""
        return None


def list_of_messages(session: Session, practice: Practice, message_ids: Collection[int]) -> dict[int, Text]:
    """By message id, the first written first; of those that are no reminders and have a text."""
    if not message_ids:
        return {}
    rows = session.execute(
        select(Patient, Business.timezone, Message.created_at, Message.is_marketing, is_to_many, *MESSAGE_STATE)
        .join(Patient, Patient.id == Message.patient_id)
        .join(Business, Business.id == Message.business_id, isouter=True)
        .where(Message.id.in_(message_ids), Message.kind == Kind.MANUAL, Message.body.is_not(None))
        .order_by(Message.id)
    ).all()
    facts = _facts_of_all(session, practice, [row[0] for row in rows])
    texts = [
        Text(
            patient.id,
            timezone or "UTC",
            created_at,
            replace(facts[patient.id], is_marketing=is_marketing),
            MessageState(*state),
            is_to_many,
        )
        for patient, timezone, created_at, is_marketing, is_to_many, *state in rows
    ]
    return {text.message.id: text for text in texts}


def list_facts(session: Session, practice: Practice, patient_ids: Collection[int]) -> dict[int, Facts]:
    """By patient, by row id; of a text of no appointment."""
    patients = select(Patient).where(Patient.id.in_(patient_ids)).order_by(Patient.id)
    return _facts_of_all(session, practice, session.scalars(patients).all())


def _facts_of_all(session: Session, practice: Practice, patients: Sequence[Patient]) -> dict[int, Facts]:
    ids = {patient.id for patient in patients}
    numbers = list_numbers(session, ids)
    opted_patients, opted_numbers = list_opt_outs(
        session, ids, {n.e164 for theirs in numbers.values() for n in theirs if n.e164}
    )
    return {
        patient.id: facts_of(
            practice, patient, numbers.get(patient.id, ()), patient.id in opted_patients, opted_numbers
        )
        for patient in patients
    }


def facts_of(
    practice: Practice,
    patient: Patient,
    numbers: Sequence[PhoneNumber],
    patient_opted_out: bool,
    opted_out_numbers: frozenset[str],
    business: Business | None = None,
) -> Facts:
    """Of a patient without an appointment. `business`: what a text may name as such."""
    return Facts(
        sending=practice.sending,
        business_reminders_on=True,
        template=None,
        numbers=numbers,
        countries=practice.countries,
        preference=patient.preference,
        default_preference=practice.default_preference,
        patient_opted_out=patient_opted_out,
        opted_out_numbers=opted_out_numbers,
        archived=patient.archived,
        has_consented=patient.consented_on is not None,
        details=Details(
            patient_first_name=patient.first_name,
            patient_last_name=patient.last_name,
            practitioner_title="",
            practitioner_first_name="",
            practitioner_last_name="",
            business_name=business.name if business else "",
            business_contact_number=business.contact_number if business else "",
            appointment_type_name="",
            starts_local=_NEVER,
            ends_local=_NEVER,
            country=practice.country,
        ),
    )


def _next_visit(now: datetime) -> ScalarSelect[Any]:
    return (
        select(Appointment.id)
        .where(
            Appointment.patient_id == Patient.id,
            Appointment.starts_at > now,
            Appointment.cancelled_at.is_(None) | (Appointment.cancelled_at > now),
        )
        .order_by(Appointment.starts_at, Appointment.id)
        .limit(1)
        .correlate(Patient)
        .scalar_subquery()
    )


@dataclass(frozen=True, slots=True)
class Person:
    """A patient, the numbers in the order entered, the opt-outs that hold for either, the newest first, and the id of
    the next appointment."""

    practice: Practice
    patient: Patient
    numbers: tuple[PhoneRow, ...]
    opt_outs: tuple[OptOut, ...]
    next_visit: int | None


def find_person(session: Session, patient_id: int, now: datetime) -> Person | None:
    """All of it in one query."""
    rows = session.execute(
        with_numbers(
            select(Practice, Patient, _next_visit(now))
            .select_from(Patient)
            .join(Practice, Practice.id == Patient.practice_id)
            .where(Patient.id == patient_id)
        )
    ).all()
    if not rows:
        return None
    practice, patient, next_visit, *_ = rows[0]
    return Person(practice, patient, *numbers_of(rows), next_visit)


def find_place(session: Session, patient_id: int) -> tuple[Business | None, bool]:
    """The business that saw the patient last, or the practice's first; and whether a text may name it as theirs: it
    saw them, or there is no other."""
    last_seen = (
        select(func.max(Appointment.starts_at))
        .where(Appointment.patient_id == patient_id, Appointment.business_id == Business.id)
        .scalar_subquery()
    )
    rows = session.execute(select(Business, last_seen).order_by(Business.id)).all()
    seen = [(at, business) for business, at in rows if at is not None]
    if seen:
        return max(seen, key=lambda one: one[0])[1], True
    return (rows[0][0], len(rows) == 1) if rows else (None, False)


def list_own_patients(session: Session, practitioner_id: int, patient_ids: Collection[int]) -> set[int]:
    """Those of them who have an appointment with the practitioner, at any time, that is not cancelled."""
    found = select(Appointment.patient_id).where(
        Appointment.patient_id.in_(patient_ids),
        Appointment.practitioner_id == practitioner_id,
        Appointment.cancelled_at.is_(None),
    )
    return set(session.scalars(found.distinct()))


def list_waiting(session: Session, patient_id: int, most: int) -> list[tuple[Message, str]]:
    """What staff have sent to the patient and has not gone yet, the newest first; each with the time zone of its
    business, or UTC."""
    rows = session.execute(
        select(Message, func.coalesce(OWN_OR_FIRST_ZONE, "UTC"))
        .join(Business, Business.id == Message.business_id, isouter=True)
        .where(Message.patient_id == patient_id, Message.status == Status.QUEUED, Message.written_by.is_not(None))
        .order_by(Message.id.desc())
        .limit(most)
    )
    return [(message, timezone) for message, timezone in rows]


def count_held_back(session: Session, since: datetime) -> int:
    """Texts by staff that were not sent because sending was off, as was decided since then."""
    found = (
        select(func.count(Message.id.distinct()))
        .join(MessageEvent, MessageEvent.message_id == Message.id)
        .where(
            Message.status == Status.NOT_SENT,
            text(f"messages.{has_reason(Reason.SENDING_OFF)}"),
            Message.kind == Kind.MANUAL,
            MessageEvent.event == Status.NOT_SENT.value,
            MessageEvent.at >= since,
        )
    )
    return session.scalar(found) or 0


def find_by_form(session: Session, form_key: str) -> Message | None:
    """What a form has written."""
    return session.scalar(select(Message).where(Message.form_key == form_key))
