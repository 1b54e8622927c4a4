"""What was tidied up, so that it can be undone; and who has what wrong, by the appointments to come."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Date, Index, Integer, Select, Text, bindparam, exists, func, or_, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.core.numbers import LineKind, PhoneType
from portal.core.tidying import Fault
from portal.store.appointments import Appointment
from portal.store.database import Model, PracticeOwned, belongs_to, referable, row_id
from portal.store.patients import FILED_ELSEWHERE, NO_MOBILE_AT_ALL, Patient, PhoneRow
from portal.store.practices import AppointmentType, Business, SmsTemplate
from portal.store.search import LARGEST_ID
from portal.store.types import RowId, UtcDateTime, words

_DAY = timedelta(days=1)


class What(StrEnum):
    FILED = "filed"  # as Mobile
    CORRECTED = "corrected"
    ADDED = "added"


class Fate(StrEnum):
    """What became of one number of those that were tidied up."""

    DONE = "done"
    UNDONE = "undone"
    LEFT = "left"  # as it was undone: somebody had changed it since


class Tidying(PracticeOwned, Model):
    """Numbers mended at once. `by`, `undone_by`: the person's name as it was then."""

    __tablename__ = "tidyings"

    id: Mapped[int] = row_id()
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(Text)
    by_id: Mapped[int | None] = mapped_column(RowId)
    what: Mapped[What] = mapped_column(words(What))
    numbers: Mapped[int]
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    undone_by: Mapped[str | None] = mapped_column(Text)
    undone_by_id: Mapped[int | None] = mapped_column(RowId)

    __table_args__ = (referable(), Index("ix_tidyings_practice", "practice_id", "id"))


class TidiedNumber(PracticeOwned, Model):
    """`number_id`: of a row that an import may have taken away since. `before`, `after`: as `contacts.filed` has
    them; `before` is empty where the number is new."""

    __tablename__ = "tidied_numbers"

    id: Mapped[int] = row_id()
    tidying_id: Mapped[int] = mapped_column(RowId)
    patient_id: Mapped[int] = mapped_column(RowId)
    number_id: Mapped[int] = mapped_column(RowId)
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    fate: Mapped[Fate] = mapped_column(words(Fate), default=Fate.DONE)

    __table_args__ = (
        belongs_to("tidying_id", "tidyings"),
        belongs_to("patient_id", "patients"),
        Index("ix_tidied_numbers_tidying", "practice_id", "tidying_id", "id"),
        Index("ix_tidied_numbers_patient", "practice_id", "patient_id"),
    )


def find_tidying(session: Session, tidying_id: int) -> Tidying | None:
    return session.scalar(select(Tidying).where(Tidying.id == tidying_id))


def list_tidyings(session: Session, most: int, before: int | None = None) -> Sequence[Tidying]:
    """The newest first, of those with an id below `before`."""
    found = select(Tidying).order_by(Tidying.id.desc()).limit(most)
    return session.scalars(found if before is None else found.where(Tidying.id < before)).all()


def list_tidied(
    session: Session, tidying_id: int, most: int | None = None, after: int = 0, fate: Fate | None = None
) -> list[tuple[TidiedNumber, Patient]]:
    """In the order in which they were mended, from the one after `after` on."""
    found = (
        select(TidiedNumber, Patient)
        .join(Patient, Patient.id == TidiedNumber.patient_id)
        .where(TidiedNumber.tidying_id == tidying_id, TidiedNumber.id > after)
        .order_by(TidiedNumber.id)
        .limit(most)
    )
    if fate is not None:
        found = found.where(TidiedNumber.fate == fate)
    return [(one, patient) for one, patient in session.execute(found)]


# --- the rows that are mended, many in one query ------------------------------------------------------------------


def find_owners(session: Session, number_ids: Collection[int]) -> list[int]:
    """The patients whose numbers these rows are."""
    found = select(PhoneRow.patient_id).where(PhoneRow.id.in_(number_ids)).order_by(PhoneRow.patient_id)
    return list(session.scalars(found.distinct())) if number_ids else []


def find_patients(session: Session, patient_ids: Collection[int]) -> dict[int, Patient]:
    found = session.scalars(select(Patient).where(Patient.id.in_(patient_ids))) if patient_ids else ()
    return {patient.id: patient for patient in found}


def find_number_rows(session: Session, number_ids: Collection[int]) -> dict[int, PhoneRow]:
    """Also those that staff removed."""
    found = session.scalars(select(PhoneRow).where(PhoneRow.id.in_(number_ids))) if number_ids else ()
    return {row.id: row for row in found}


# --- who may have something wrong: `core/tidying.py` says who has ---------------------------------------------


@dataclass(frozen=True, slots=True)
class Suspect:
    """`visits`: appointments to come, in the time that was asked for; `next_at`: the first of them."""

    patient: Patient
    visits: int = 0
    next_at: datetime | None = None


def list_coming(
    session: Session, faults: Collection[Fault], countries: Collection[str], now: datetime, until: datetime, most: int
) -> list[Suspect]:
    """Of those who have appointments from now until then, the most appointments first. Their days alone are read,
    whatever the practice's history."""
    values = _time(now, until) | {"countries": sorted(countries), "most": most}
    return [Suspect(*row) for row in session.execute(_suspects(frozenset(faults)), values)]


@cache
def _suspects(faults: frozenset[Fault]) -> Select[Patient, int, datetime]:
    coming = _COMING.subquery("coming")
    return (
        select(Patient, coming.c.visits, coming.c.next_at)
        .join(coming, coming.c.patient_id == Patient.id)
        .where(_may_have(faults))
        .order_by(coming.c.visits.desc(), coming.c.next_at, Patient.id)
        .limit(bindparam("most", type_=Integer))
    )


def list_others(
    session: Session,
    fault: Fault,
    countries: Collection[str],
    now: datetime,
    until: datetime,
    most: int,
    before: int | None = None,
) -> list[Suspect]:
    """Of those without an appointment in that time, the newest first."""
    values = _time(now, until) | {"countries": sorted(countries), "most": most, "before": before or LARGEST_ID}
    return [Suspect(patient) for patient in session.scalars(_others(fault), values)]


@cache
def _others(fault: Fault) -> Select[Patient]:
    is_coming = exists().where(Appointment.patient_id == Patient.id, *_STANDS_BETWEEN)
    return (
        select(Patient)
        .where(_may_have([fault]), ~is_coming, Patient.id < bindparam("before"))
        .order_by(Patient.id.desc())
        .limit(bindparam("most", type_=Integer))
    )


def _time(now: datetime, until: datetime) -> dict[str, Any]:
    return {"now": now, "until": until, "first_day": (now - _DAY).date(), "last_day": (until + _DAY).date()}


_NOW, _UNTIL = (bindparam(name, type_=UtcDateTime) for name in ("now", "until"))
_STANDS_BETWEEN = (
    Appointment.starts_at > _NOW,
    Appointment.starts_at <= _UNTIL,
    or_(Appointment.cancelled_at.is_(None), Appointment.cancelled_at > _NOW),
)
# An index has each business's days.
_ON_THEIR_DAYS = (
    Appointment.business_id.in_(select(Business.id)),
    Appointment.starts_on.between(bindparam("first_day", type_=Date), bindparam("last_day", type_=Date)),
)
_COMING = (
    select(
        Appointment.patient_id,
        func.count().label("visits"),
        func.min(Appointment.starts_at).label("next_at"),
    )
    .where(*_ON_THEIR_DAYS, *_STANDS_BETWEEN)
    .group_by(Appointment.patient_id)
)


def _may_have(faults: Collection[Fault]) -> ColumnElement[bool]:
    """Whoever is archived is not texted, whatever the number."""
    theirs = (PhoneRow.patient_id == Patient.id, PhoneRow.removed_at.is_(None))
    can_be_texted = exists().where(
        *theirs,
        PhoneRow.type == PhoneType.MOBILE,
        PhoneRow.kind.in_((LineKind.MOBILE, LineKind.FIXED_LINE_OR_MOBILE)),
        PhoneRow.region.in_(bindparam("countries", expanding=True)),
    )
    has_a_number = exists().where(*theirs, PhoneRow.kind != LineKind.NOT_A_NUMBER)
    conditions: dict[Fault, ColumnElement[bool]] = {
        Fault.TO_FILE: _has_number(FILED_ELSEWHERE) & ~can_be_texted,
        Fault.NO_NUMBER: _has_number(NO_MOBILE_AT_ALL),
        Fault.NO_WAY: (Patient.email == "") & ~has_a_number,
    }
    return Patient.archived.is_(False) & or_(*[conditions[fault] for fault in Fault if fault in faults])


def _has_number(condition: str) -> ColumnElement[bool]:
    return Patient.id.in_(select(PhoneRow.patient_id).where(text(condition)))


# --- appointment types ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TypeToCome:
    """`body`, `problem`: of its template, None where it has none. `patients`, `visits`: to come."""

    type: AppointmentType
    body: str | None
    problem: str | None
    patients: int
    visits: int


def list_types_to_come(session: Session, now: datetime, until: datetime) -> list[TypeToCome]:
    """All of the practice, those of the most patients first."""
    return [TypeToCome(*row) for row in session.execute(_TYPES_TO_COME, _time(now, until))]


def _types_to_come() -> Select[*tuple[Any, ...]]:
    coming = (
        select(
            Appointment.appointment_type_id,
            func.count(Appointment.patient_id.distinct()).label("patients"),
            func.count().label("visits"),
        )
        .where(*_ON_THEIR_DAYS, *_STANDS_BETWEEN)
        .group_by(Appointment.appointment_type_id)
        .subquery("coming")
    )
    patients = func.coalesce(coming.c.patients, 0)
    return (
        select(AppointmentType, SmsTemplate.body, SmsTemplate.problem, patients, func.coalesce(coming.c.visits, 0))
        .join(SmsTemplate, SmsTemplate.id == AppointmentType.reminder_template_id, isouter=True)
        .join(coming, coming.c.appointment_type_id == AppointmentType.id, isouter=True)
        .order_by(patients.desc(), AppointmentType.name, AppointmentType.id)
    )


_TYPES_TO_COME = _types_to_come()
