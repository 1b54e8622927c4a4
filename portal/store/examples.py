"""Appointments that show how a text reads."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Executable, or_, select, union_all
from sqlalchemy.orm import Session

from portal.core.broadcasts import Whom
from portal.core.text import Details
from portal.store.appointments import Appointment
from portal.store.facts import conditions_of
from portal.store.patients import Patient
from portal.store.practices import AppointmentType, Business, Practice, Practitioner

_DAY, _AHEAD = timedelta(days=1), timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Example:
    appointment_id: int
    business_id: int
    type_id: int
    timezone: str
    details: Details


def list_next(
    session: Session, practice: Practice, now: datetime, most: int, type_ids: Collection[int]
) -> list[Example]:
    """The practice's next appointments of 60 days: of these types, where they have any, else of all. In one query."""
    today = now.date()
    few = (
        select(Appointment.id)
        .where(
            # By the index of each business's days: where few are to come, the limit alone would not end the search.
            Appointment.business_id.in_(select(Business.id)),
            Appointment.starts_on.between(today - _DAY, today + _AHEAD),  # in the west it is yesterday still
            Appointment.starts_at > now,
            or_(Appointment.cancelled_at.is_(None), Appointment.cancelled_at > now),
        )
        .order_by(Appointment.starts_on, Appointment.starts_at, Appointment.id)
        .limit(most)
    )
    # First the few, then what they are about: nothing else is read for those that are not shown.
    near = [few, few.where(Appointment.appointment_type_id.in_(type_ids))] if type_ids else [few]
    ids = union_all(*(select(one.subquery().c.id) for one in near))
    found = _read(
        session,
        practice,
        _SELECT.where(Appointment.id.in_(ids)).order_by(Appointment.starts_at, Appointment.id),
    )
    return [one for one in found if one.type_id in type_ids] or found


def find(session: Session, practice: Practice, appointment_id: int) -> Example | None:
    return next(iter(_read(session, practice, _SELECT.where(Appointment.id == appointment_id))), None)


def find_of_whom(session: Session, practice: Practice, whom: Whom, now: datetime) -> Details | None:
    """Of the first of those to whom a message goes."""
    first = _SELECT.where(*conditions_of(whom, now)).order_by(Appointment.starts_at, Appointment.id).limit(1)
    return next((one.details for one in _read(session, practice, first)), None)


_SELECT = (
    select(Appointment, Business, AppointmentType, Practitioner, Patient)
    .select_from(Appointment)
    .join(Business, Business.id == Appointment.business_id)
    .join(AppointmentType, AppointmentType.id == Appointment.appointment_type_id)
    .join(Practitioner, Practitioner.id == Appointment.practitioner_id)
    .join(Patient, Patient.id == Appointment.patient_id)
)


def _read(session: Session, practice: Practice, wanted: Executable) -> list[Example]:
    return [
        Example(
            appointment.id,
            business.id,
            type_.id,
            appointment.timezone,
            Details(
                patient_first_name=patient.first_name,
                patient_last_name=patient.last_name,
                practitioner_title=practitioner.title,
                practitioner_first_name=practitioner.first_name,
                practitioner_last_name=practitioner.last_name,
                business_name=business.name,
                business_contact_number=business.contact_number,
                appointment_type_name=type_.name,
                starts_local=appointment.starts_wall,
                ends_local=appointment.ends_wall,
                country=practice.country,
            ),
        )
        for appointment, business, type_, practitioner, patient in session.execute(wanted)
    ]
