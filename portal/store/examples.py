"""Appointments that show how a text reads."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Executable, Integer, Select, bindparam, or_, select, union_all
from sqlalchemy.orm import Session

from portal.core.broadcasts import Whom
from portal.core.text import Details
from portal.store.appointments import Appointment
from portal.store.facts import conditions_of
from portal.store.patients import Patient
from portal.store.practices import AppointmentType, Business, Practice, Practitioner
from portal.store.types import UtcDateTime

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
    # In the west it is yesterday still.
    values = {"now": now, "first": today - _DAY, "last": today + _AHEAD, "most": most, "types": list(type_ids)}
    found = _read(session, practice, _NEXT_OF_TYPES if type_ids else _NEXT, values)
    return [one for one in found if one.type_id in type_ids] or found


def find(session: Session, practice: Practice, appointment_id: int) -> Example | None:
    return next(iter(_read(session, practice, _SELECT.where(Appointment.id == appointment_id))), None)


def find_of_whom(session: Session, practice: Practice, whom: Whom, now: datetime) -> Details | None:
    """Of the first of those to whom a message goes."""
    first = _SELECT.where(*conditions_of(whom, now)).order_by(Appointment.starts_at, Appointment.id).limit(1)
    return next((one.details for one in _read(session, practice, first)), None)


_DETAILS = [field.name for field in fields(Details) if field.name != "country"]  # in the order of the columns
_SELECT = (
    select(
        Appointment.id,
        Business.id,
        AppointmentType.id,
        Appointment.timezone,
        Patient.first_name,
        Patient.last_name,
        Practitioner.title,
        Practitioner.first_name,
        Practitioner.last_name,
        Business.name,
        Business.contact_number,
        AppointmentType.name,
        Appointment.starts_wall,
        Appointment.ends_wall,
    )
    .select_from(Appointment)
    .join(Business, Business.id == Appointment.business_id)
    .join(AppointmentType, AppointmentType.id == Appointment.appointment_type_id)
    .join(Practitioner, Practitioner.id == Appointment.practitioner_id)
    .join(Patient, Patient.id == Appointment.patient_id)
)


def _next_of(*near: Select[int]) -> Select[*tuple[Any, ...]]:
    # First the few, then what they are about: nothing else is read for those that are not shown.
    ids = union_all(*(select(one.subquery().c.id) for one in near))
    return _SELECT.where(Appointment.id.in_(ids)).order_by(Appointment.starts_at, Appointment.id)


_NOW = bindparam("now", type_=UtcDateTime)
_FEW = (
    select(Appointment.id)
    .where(
        # By the index of each business's days: where few are to come, the limit alone would not end the search.
        Appointment.business_id.in_(select(Business.id)),
        Appointment.starts_on.between(bindparam("first"), bindparam("last")),
        Appointment.starts_at > _NOW,
        or_(Appointment.cancelled_at.is_(None), Appointment.cancelled_at > _NOW),
    )
    .order_by(Appointment.starts_on, Appointment.starts_at, Appointment.id)
    .limit(bindparam("most", type_=Integer))
)
_NEXT = _next_of(_FEW)
_NEXT_OF_TYPES = _next_of(_FEW, _FEW.where(Appointment.appointment_type_id.in_(bindparam("types", expanding=True))))


def _read(
    session: Session, practice: Practice, wanted: Executable, values: Mapping[str, Any] | None = None
) -> list[Example]:
    return [
        Example(
            id_,
            business_id,
            type_id,
            timezone,
            Details(country=practice.country, **dict(zip(_DETAILS, details, strict=True))),
        )
        for id_, business_id, type_id, timezone, *details in session.execute(wanted, values)
    ]
