"""Pairs of patients who may be one person, by what an index hands over; and two of them side by side."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, union_all
from sqlalchemy.orm import Session, aliased

from portal.core.phrases import full_name
from portal.store.appointments import Appointment
from portal.store.merges import Apart
from portal.store.messages import Message
from portal.store.patients import OptOut, Patient, PhoneRow
from portal.store.practices import AppointmentType, Business

MOST_SHARING = 12  # one number; more have it as they have the clinic's own


class Person(NamedTuple):
    """What the lists say of a patient: columns, for hundreds are looked at for a page."""

    id: int
    external_id: str
    first_name: str
    last_name: str
    date_of_birth: date | None
    archived: bool
    searched: str

    @property
    def full_name(self) -> str:
        return full_name(self.first_name, self.last_name)


def _columns(of: type[Patient]) -> list[Any]:
    return [getattr(of, name) for name in Person._fields]


def list_named_alike(session: Session, most: int, after: tuple[int, int] | None) -> list[tuple[Person, Person]]:
    """Same name and birth date, without those of whom staff said that they are two; in the order of names, from the
    one after the pair `after` (row ids) on."""
    one, other = aliased(Patient), aliased(Patient)
    is_apart = exists().where(Apart.first_id == one.id, Apart.second_id == other.id)
    # Most names are one patient's. To count them along an index is quicker than to look for a second of each.
    twice = select(Patient.searched).where(Patient.searched != "", Patient.date_of_birth.is_not(None))
    found = (
        select(*_columns(one), *_columns(other))
        .join(
            other,
            and_(other.searched == one.searched, other.date_of_birth == one.date_of_birth, other.id > one.id),
        )
        .where(~is_apart)
        .order_by(one.searched, one.id, other.id)
        .limit(most)
    )
    if after is not None:
        name = session.scalar(select(Patient.searched).where(Patient.id == after[0])) or ""
        same = and_(one.id == after[0], other.id > after[1])
        twice = twice.where(Patient.searched >= name)
        found = found.where(or_(one.searched > name, and_(one.searched == name, or_(one.id > after[0], same))))
    found = found.where(one.searched.in_(twice.group_by(Patient.searched).having(func.count() > 1)))
    each = len(Person._fields)
    return [(Person._make(row[:each]), Person._make(row[each:])) for row in session.execute(found)]


@dataclass(frozen=True, slots=True)
class SharedNumber:
    """`id`: of a row with that number, by which a list goes on without naming it."""

    id: int
    patients: tuple[Person, ...]


def list_shared_numbers(session: Session, most: int, after: int | None) -> list[SharedNumber]:
    """Numbers that several patients have, but not too many, from the one after that of the row `after` on.
    `patients`: one or none where the others gave it up."""
    shared = (
        select(PhoneRow.e164, func.min(PhoneRow.id).label("id"))
        .where(PhoneRow.e164.is_not(None))
        .group_by(PhoneRow.e164)
        .having(func.min(PhoneRow.patient_id) != func.max(PhoneRow.patient_id), func.count() <= MOST_SHARING)
        .order_by(PhoneRow.e164)
        .limit(most)
    )
    if after is not None:
        last = session.scalar(select(PhoneRow.e164).where(PhoneRow.id == after)) or ""
        shared = shared.where(PhoneRow.e164 > last)
    few = shared.subquery("few")
    rows = session.execute(
        select(few.c.id, *_columns(Patient))
        .select_from(few)
        .join(PhoneRow, and_(PhoneRow.e164 == few.c.e164, PhoneRow.removed_at.is_(None)), isouter=True)
        .join(Patient, Patient.id == PhoneRow.patient_id, isouter=True)
        .order_by(few.c.e164, Patient.id)
    )
    return [
        SharedNumber(id_, tuple(dict.fromkeys(Person._make(row[1:]) for row in theirs if row[1] is not None)))
        for id_, theirs in groupby(rows, key=lambda row: row[0])
    ]


@dataclass(frozen=True, slots=True)
class Record:
    """A patient, and how much there is of appointments and messages."""

    patient: Patient
    appointments: int
    messages: int
    last_message_at: datetime | None


def list_records(session: Session, patient_ids: Collection[int]) -> dict[int, Record]:
    rows = session.execute(
        select(
            Patient,
            _count(Appointment, Appointment.patient_id == Patient.id),
            _count(Message, Message.patient_id == Patient.id),
            select(func.max(Message.created_at)).where(Message.patient_id == Patient.id).scalar_subquery(),
        ).where(Patient.id.in_(patient_ids))
    )
    return {row[0].id: Record(*row) for row in rows}


def _count(model: Any, which: ColumnElement[bool]) -> Any:
    return select(func.count()).select_from(model).where(which).correlate(Patient).scalar_subquery()


@dataclass(frozen=True, slots=True)
class Coming:
    patient_id: int
    starts_wall: datetime
    starts_at: datetime
    timezone: str
    business: str
    appointment_type: str


def list_coming(session: Session, patient_ids: Collection[int], now: datetime, most: int) -> Sequence[Coming]:
    """Their appointments to come, the next first."""
    rows = session.execute(
        select(
            Appointment.patient_id,
            Appointment.starts_wall,
            Appointment.starts_at,
            Appointment.timezone,
            Business.name,
            AppointmentType.name,
        )
        .join(Business, Business.id == Appointment.business_id)
        .join(AppointmentType, AppointmentType.id == Appointment.appointment_type_id)
        .where(
            Appointment.patient_id.in_(patient_ids),
            Appointment.starts_at > now,
            or_(Appointment.cancelled_at.is_(None), Appointment.cancelled_at > now),
        )
        .order_by(Appointment.starts_at, Appointment.id)
        .limit(most)
    )
    return [Coming(*row) for row in rows]


def list_opt_outs(session: Session, patient_ids: Collection[int], e164s: Collection[str]) -> Sequence[OptOut]:
    """Those that hold for these patients or numbers, the newest first."""
    # Each on its own, for each has its index: with one "or" a database may read all of a practice's.
    theirs = union_all(
        select(OptOut.id).where(OptOut.patient_id.in_(patient_ids)), select(OptOut.id).where(OptOut.e164.in_(e164s))
    )
    found = select(OptOut).where(OptOut.id.in_(theirs), OptOut.lifted_at.is_(None))
    return session.scalars(found.order_by(OptOut.id.desc())).all()
