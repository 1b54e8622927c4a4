"""Reminders to come, counted: what a switch or a template decides about."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from portal.core.states import RETRIED_BY_PASS
from portal.store.appointments import Appointment
from portal.store.messages import Message, is_its_reminder
from portal.store.practices import Business, SmsTemplate

Days = tuple[date, date]  # the first and last local date of the appointments


def count_to_come(session: Session, weeks: Mapping[int, Days]) -> dict[tuple[int, int], int]:
    """How many appointments of these businesses' days have no reminder queued or sent, by (business, type)."""
    if not weeks:
        return {}
    where = or_(*[_of_days(business_id, days) for business_id, days in weeks.items()])
    groups = (Appointment.business_id, Appointment.appointment_type_id)
    rows = session.execute(_to_come(select(*groups, func.count())).where(where).group_by(*groups))
    return {(row[0], row[1]): row[2] for row in rows}


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


def _of_days(business_id: int, days: Days) -> ColumnElement[bool]:
    return and_(Appointment.business_id == business_id, Appointment.starts_on.between(*days))


def _to_come(counted: Any) -> Any:
    return (
        counted.select_from(Appointment)
        .join(Message, is_its_reminder, isouter=True)
        .where(Appointment.cancelled_at.is_(None), or_(Message.id.is_(None), Message.status.in_(RETRIED_BY_PASS)))
    )
