"""Whom a message to many goes to, with the facts that decide on each, in few queries however many they are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import Session

from portal.core.broadcasts import Whom
from portal.core.reminders import Facts
from portal.core.text import Details
from portal.store import examples, facts
from portal.store.appointments import Appointment
from portal.store.patients import Patient, list_numbers, list_opt_outs_of
from portal.store.practices import Business, Practice
from portal.store.texts import facts_of

_Ids: TypeAlias = Select[int]


@dataclass(frozen=True, slots=True)
class Addressee:
    """A patient, where they are seen, and the facts that decide on a text."""

    patient_id: int
    business_id: int
    timezone: str
    facts: Facts


def list_of_day(session: Session, practice: Practice, whom: Whom, now: datetime) -> list[Addressee]:
    """Who has an appointment that day, once each: by start, with the details of the first."""
    by_patient: dict[int, facts.Reminder] = {}
    for one in sorted(facts.list_of_whom(session, practice, whom, now), key=facts.in_turn):
        by_patient.setdefault(one.patient_id, one)
    return [Addressee(one.patient_id, one.business_id, one.timezone, one.facts) for one in by_patient.values()]


def list_patients(
    session: Session,
    practice: Practice,
    whom: Whom,
    now: datetime,
    place: Business,
    named: Business | None,
    after: int = 0,
    most: int | None = None,
) -> list[Addressee]:
    """By row id, from the one after `after` on. `place`: whose clocks count; `named`: what the text may call
    theirs."""
    wanted = _patients(whom, now).where(Patient.id > after).order_by(Patient.id).limit(most)
    patients = session.scalars(select(Patient).where(Patient.id.in_(wanted)).order_by(Patient.id)).all()
    numbers = list_numbers(session, wanted)
    opted_patients, opted_numbers = list_opt_outs_of(session, wanted)
    return [
        Addressee(
            patient.id,
            place.id,
            place.timezone,
            facts_of(
                practice,
                patient,
                numbers.get(patient.id, ()),
                patient.id in opted_patients,
                opted_numbers,
                named,
            ),
        )
        for patient in patients
    ]


def count(session: Session, whom: Whom, now: datetime) -> int:
    """How many patients they are."""
    if whom.day is not None:
        of_day = select(func.count(Appointment.patient_id.distinct())).where(*facts.conditions_of(whom, now))
        return session.scalar(of_day) or 0
    return session.scalar(select(func.count()).select_from(_patients(whom, now).subquery())) or 0


def find_details(
    session: Session, practice: Practice, whom: Whom, now: datetime, named: Business | None
) -> Details | None:
    """Of one of them, to show how the text will read."""
    if whom.day is not None:
        return examples.find_of_whom(session, practice, whom, now)
    patient = session.scalar(
        select(Patient).where(Patient.id.in_(_patients(whom, now))).order_by(Patient.id).limit(1)
    )
    return facts_of(practice, patient, (), False, frozenset(), named).details if patient else None


def _patients(whom: Whom, now: datetime) -> _Ids:
    wanted: Any = select(Patient.id).where(Patient.archived.is_(False))
    visits = []
    if whom.seen_since is not None:
        visits += [Appointment.starts_on >= whom.seen_since, Appointment.starts_at <= now]
    if whom.business_id is not None:
        visits.append(Appointment.business_id == whom.business_id)
    if whom.practitioner_id is not None:
        visits.append(Appointment.practitioner_id == whom.practitioner_id)
    if visits:
        stands = Appointment.cancelled_at.is_(None) | (Appointment.cancelled_at > now)
        wanted = wanted.where(exists().where(Appointment.patient_id == Patient.id, stands, *visits))
    return wanted
