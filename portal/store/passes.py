"""The record of passes: which business's hours were handled, what each pass did, and the days without one."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import Date, Float, Index, UniqueConstraint, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.core.timing import PassHour
from portal.store.appointments import Appointment
from portal.store.database import Model, PracticeOwned, belongs_to, insert_ignoring, referable, row_id, table_of
from portal.store.messages import Message, is_its_reminder
from portal.store.practices import Business
from portal.store.types import RowId, UtcDateTime


class Pass(PracticeOwned, Model):
    """One look at the due appointments of some of a practice's businesses, at the instant `at`."""

    __tablename__ = "passes"

    id: Mapped[int] = row_id()
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    considered: Mapped[int] = mapped_column(default=0)
    queued: Mapped[int] = mapped_column(default=0)
    not_sent: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float] = mapped_column(Float, default=0.0)

    __table_args__ = (referable(), Index("ix_passes_practice", "practice_id", "id"))


class HandledHour(PracticeOwned, Model):
    """A business's local hour that a pass has handled: once, whoever else calls."""

    __tablename__ = "handled_hours"

    id: Mapped[int] = row_id()
    business_id: Mapped[int] = mapped_column(RowId)
    local_date: Mapped[date] = mapped_column(Date)
    hour: Mapped[int]
    pass_id: Mapped[int] = mapped_column(RowId)

    __table_args__ = (
        UniqueConstraint("business_id", "local_date", "hour"),
        belongs_to("business_id", "businesses"),
        belongs_to("pass_id", "passes"),
        Index("ix_handled_hours_pass", "practice_id", "pass_id"),
        Index("ix_handled_hours_local_date", "local_date"),
    )


class MissedDay(PracticeOwned, Model):
    """A day on which no pass ran in any hour of a business's window: an alarm."""

    __tablename__ = "missed_days"

    id: Mapped[int] = row_id()
    business_id: Mapped[int] = mapped_column(RowId)
    local_date: Mapped[date] = mapped_column(Date)
    found_at: Mapped[datetime] = mapped_column(UtcDateTime)
    appointments: Mapped[int]  # how many should have been met

    __table_args__ = (
        UniqueConstraint("business_id", "local_date"),
        belongs_to("business_id", "businesses"),
        Index("ix_missed_days_practice", "practice_id", "id"),
    )


def claim_hours(session: Session, pass_: Pass, hours: Mapping[int, PassHour]) -> dict[int, PassHour]:
    """Of the businesses' hours, those that no pass had handled: now this one has."""
    if not hours:
        return {}
    table = table_of(HandledHour)
    claimed = session.scalars(
        insert_ignoring(session, table).returning(table.c.business_id),
        [
            {
                "practice_id": pass_.practice_id,
                "business_id": business_id,
                "local_date": hour.local_date,
                "hour": hour.hour,
                "pass_id": pass_.id,
            }
            for business_id, hour in hours.items()
        ],
    ).all()
    return {business_id: hours[business_id] for business_id in claimed}


def list_handled(
    session: Session, business_ids: Collection[int], since: date, until: date
) -> dict[int, dict[date, set[int]]]:
    """For each business, its local dates from `since` to `until` and their hours that a pass handled."""
    handled: dict[int, dict[date, set[int]]] = {}
    for business_id, local_date, hour in session.execute(
        select(HandledHour.business_id, HandledHour.local_date, HandledHour.hour).where(
            HandledHour.business_id.in_(business_ids), HandledHour.local_date.between(since, until)
        )
    ):
        handled.setdefault(business_id, {}).setdefault(local_date, set()).add(hour)
    return handled


def list_handled_hours(session: Session, hours: Collection[PassHour]) -> set[tuple[int, PassHour]]:
    """Which businesses' hours, of these, a pass has handled; of the whole host."""
    if not hours:
        return set()
    rows = session.execute(
        select(HandledHour.business_id, HandledHour.local_date, HandledHour.hour).where(
            HandledHour.local_date.in_({hour.local_date for hour in hours}),
            HandledHour.hour.in_({hour.hour for hour in hours}),
        )
    )
    return {(business_id, PassHour(local_date, hour)) for business_id, local_date, hour in rows}


def list_unmet(session: Session, business_id: int, day: date, met_by: datetime) -> Sequence[Appointment]:
    """A business's appointments of that local day that a pass at `met_by` would have taken up, and that have
    no reminder."""
    return session.scalars(
        select(Appointment)
        .join(Message, is_its_reminder, isouter=True)
        .where(
            Appointment.business_id == business_id,
            Appointment.starts_on == day,
            Appointment.booked_at <= met_by,
            or_(Appointment.cancelled_at.is_(None), Appointment.cancelled_at > met_by),
            or_(Appointment.moved_at.is_(None), Appointment.moved_at <= met_by),
            Message.id.is_(None),
        )
        .order_by(Appointment.id)
    ).all()


def list_passes(session: Session, most: int, before: int | None = None) -> Sequence[Pass]:
    """The newest first, of those with an id below `before`."""
    statement = select(Pass).order_by(Pass.id.desc()).limit(most)
    return session.scalars(statement if before is None else statement.where(Pass.id < before)).all()


def list_businesses_of(session: Session, pass_ids: Collection[int]) -> dict[int, list[str]]:
    """For each pass the export's ids of the businesses whose hours it handled."""
    businesses: dict[int, list[str]] = {}
    rows = session.execute(
        select(HandledHour.pass_id, Business.external_id)
        .join(Business, Business.id == HandledHour.business_id)
        .where(HandledHour.pass_id.in_(pass_ids))
        .order_by(HandledHour.pass_id, Business.id)
    )
    for pass_id, external_id in rows:
        businesses.setdefault(pass_id, []).append(external_id)
    return businesses
