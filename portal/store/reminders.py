"""Reminders to come, counted: what a switch, a template or the practice's default decides about."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, false, func, or_, select
from sqlalchemy.orm import Session

from portal.core.states import RETRIED_BY_PASS, Status
from portal.store.appointments import Appointment
from portal.store.messages import DAY_BEFORE, Message, is_its_reminder
from portal.store.patients import Patient
from portal.store.practices import AppointmentType, Business, Practice, SmsTemplate

Days = tuple[date, date]  # the first and last local date of the appointments


def count_to_come(session: Session, weeks: Mapping[int, Days]) -> dict[tuple[int, int], int]:
    """How many appointments of these businesses' days have no reminder queued or sent, by (business, type)."""
    if not weeks:
        return {}
    where = or_(*[_of_days(business_id, days) for business_id, days in weeks.items()])
    groups = (Appointment.business_id, Appointment.appointment_type_id)
    rows = session.execute(_to_come(select(*groups, func.count())).where(where).group_by(*groups))
    return {(row[0], row[1]): row[2] for row in rows}


def count_appointments(session: Session, business_id: int, now: datetime, since: date) -> int:
    """Of the business, to come and not cancelled. `since`: a local date before any of them."""
    found = select(func.count()).select_from(Appointment)
    to_come = (Appointment.starts_on >= since, Appointment.starts_at > now, Appointment.cancelled_at.is_(None))
    return session.scalar(found.where(Appointment.business_id == business_id, *to_come)) or 0


@dataclass(frozen=True, slots=True)
class Reach:
    """Of some days' reminders that are neither queued nor sent: `reminders`, all of them; `to_come`, the patients who
    have one and no wish of their own, who get what the practice's default says. `followers`: all of these patients,
    but for those who are archived."""

    reminders: int
    followers: int
    to_come: int


def count_reach(session: Session, practice_id: str, weeks: Mapping[int, Days]) -> Reach:
    """In one query, by indexes."""
    values = {"practice": practice_id} | _values(weeks)
    return Reach(*session.execute(_reach(len(weeks)), values).one())


@lru_cache(maxsize=64)
def _reach(businesses: int) -> Select[*tuple[Any, ...]]:
    practice: BindParameter[str] = bindparam("practice")
    follows = (Patient.practice_id == practice, Patient.preference.is_(None), Patient.archived.is_(False))
    of_these = _of_businesses(businesses)
    theirs = _to_come(select(func.count(Appointment.patient_id.distinct()))).join(
        Patient, Patient.id == Appointment.patient_id
    )
    counts = (
        _to_come(select(func.count())).where(of_these),
        select(func.count(Patient.id)).where(*follows),
        theirs.where(of_these, *follows),
    )
    return select(*(count.scalar_subquery() for count in counts)).select_from(Practice).where(Practice.id == practice)


@dataclass(frozen=True, slots=True)
class Choices:
    """`to_come`: reminders of the business. `templates`: (id, name) of those that can be used, by name."""

    to_come: int
    templates: tuple[tuple[int, str], ...]


def get_choices(session: Session, business_id: int, days: Days) -> Choices:
    """What the forms want to know that mend a business's switch or a type's template; in one query."""
    to_come = _to_come(select(func.count())).where(_of_days(business_id, days)).scalar_subquery()
    rows = session.execute(
        select(to_come, SmsTemplate.id, SmsTemplate.name)
        .select_from(Business)
        .join(SmsTemplate, SmsTemplate.problem.is_(None), isouter=True)
        .where(Business.id == business_id)
        .order_by(SmsTemplate.name, SmsTemplate.id)
    ).all()
    return Choices(rows[0][0], tuple((id_, name) for _, id_, name in rows if id_ is not None))


@dataclass(frozen=True, slots=True)
class Use:
    """`to_come`: reminders neither queued nor sent. `queued`: on their way; their text is read as they are sent."""

    to_come: int
    queued: int


def count_use(session: Session, template_id: int, weeks: Mapping[int, Days]) -> Use:
    """Of a template, `to_come` in these businesses' days. What staff sent by hand goes as they saw it: it does not
    count."""
    values = {"template": template_id} | _values(weeks)
    return Use(*session.execute(_use(len(weeks)), values).one())


@lru_cache(maxsize=64)
def _use(businesses: int) -> Select[*tuple[Any, ...]]:
    types = select(AppointmentType.id).where(AppointmentType.reminder_template_id == bindparam("template"))
    uses_it = Appointment.appointment_type_id.in_(types)
    queued = (
        select(func.count())
        .select_from(Message)
        .join(Appointment, Appointment.id == Message.appointment_id)
        .where(Message.status == Status.QUEUED, Message.rule == DAY_BEFORE, Message.written_by.is_(None), uses_it)
    )
    to_come = _to_come(select(func.count())).where(_of_businesses(businesses), uses_it)
    return select(to_come.scalar_subquery(), queued.scalar_subquery())


def _of_days(business_id: int, days: Days) -> ColumnElement[bool]:
    return and_(Appointment.business_id == business_id, Appointment.starts_on.between(*days))


def _of_businesses(count: int) -> ColumnElement[bool]:
    """As `_of_days` of so many, whose days `_values` gives."""
    return or_(
        false(),
        *[
            and_(
                Appointment.business_id == bindparam(f"business{number}"),
                Appointment.starts_on.between(bindparam(f"first{number}"), bindparam(f"last{number}")),
            )
            for number in range(count)
        ],
    )


def _values(weeks: Mapping[int, Days]) -> dict[str, Any]:
    return {
        f"{name}{number}": value
        for number, (business_id, days) in enumerate(weeks.items())
        for name, value in (("business", business_id), ("first", days[0]), ("last", days[1]))
    }


def _to_come(counted: Any) -> Any:
    return (
        counted.select_from(Appointment)
        .join(Message, is_its_reminder, isouter=True)
        .where(Appointment.cancelled_at.is_(None), or_(Message.id.is_(None), Message.status.in_(RETRIED_BY_PASS)))
    )
