"""Appointments: the wall time and zone that staff entered, and the instant these make."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Date, DateTime, Index, Text, UniqueConstraint, literal, or_, select, union_all
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.core.phrases import full_name
from portal.core.timing import resolve_near
from portal.store.database import Model, PracticeOwned, belongs_to, referable, row_id
from portal.store.imported import Imported
from portal.store.practices import AppointmentType, Business, Practitioner
from portal.store.types import RowId, UtcDateTime


class Appointment(PracticeOwned, Imported, Model):
    """`starts_on` is the local date; `revision` counts its moves to another time or business."""

    __tablename__ = "appointments"
    IMPORTED_FIELDS = (
        "business_id",
        "practitioner_id",
        "appointment_type_id",
        "patient_id",
        "starts_wall",
        "ends_wall",
        "booked_at",
        "cancelled_at",
    )

    id: Mapped[int] = row_id()
    external_id: Mapped[str] = mapped_column(Text)
    business_id: Mapped[int] = mapped_column(RowId)
    practitioner_id: Mapped[int] = mapped_column(RowId)
    appointment_type_id: Mapped[int] = mapped_column(RowId)
    patient_id: Mapped[int] = mapped_column(RowId)
    starts_wall: Mapped[datetime] = mapped_column(DateTime)  # as on the clock in `timezone`
    ends_wall: Mapped[datetime] = mapped_column(DateTime)
    timezone: Mapped[str] = mapped_column(Text)
    starts_on: Mapped[date] = mapped_column(Date)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    booked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revision: Mapped[int] = mapped_column(default=0)
    moved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when its present revision began
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # by a reply of the patient's
    confirmed_revision: Mapped[int | None]  # for which time

    __table_args__ = (
        referable(),
        UniqueConstraint("practice_id", "external_id"),
        belongs_to("business_id", "businesses"),
        belongs_to("practitioner_id", "practitioners"),
        belongs_to("appointment_type_id", "appointment_types"),
        belongs_to("patient_id", "patients"),
        # A pass reads a business's appointments of one local day, and nothing else.
        Index("ix_appointments_day", "practice_id", "business_id", "starts_on"),
        Index("ix_appointments_patient", "practice_id", "patient_id", "starts_at"),
        Index("ix_appointments_starts_at", "starts_at"),
    )

    @property
    def is_confirmed(self) -> bool:
        """For the time at which it is now."""
        return self.confirmed_at is not None and self.confirmed_revision == self.revision


def find_appointment(session: Session, external_id: str) -> Appointment | None:
    return session.scalar(select(Appointment).where(Appointment.external_id == external_id))


def has_another(session: Session, patient_id: int, starts_at: datetime, but: int | None, now: datetime) -> bool:
    """Whether the patient has an appointment that begins at that instant and is not cancelled. `but`: the row id of
    the one that is asked about, where it is there already."""
    others = select(Appointment.id).where(
        Appointment.patient_id == patient_id,
        Appointment.starts_at == starts_at,
        or_(Appointment.cancelled_at.is_(None), Appointment.cancelled_at > now),
    )
    if but is not None:
        others = others.where(Appointment.id != but)
    return session.scalar(others.limit(1)) is not None


@dataclass(frozen=True, slots=True)
class Choices:
    """What an appointment may have: (id, name) of each; of a business with its time zone."""

    businesses: tuple[tuple[int, str, str], ...]
    practitioners: tuple[tuple[int, str], ...]
    types: tuple[tuple[int, str], ...]


def list_choices(session: Session) -> Choices:
    """In one query."""
    nothing = literal("")
    name = (Practitioner.title, Practitioner.first_name, Practitioner.last_name)
    rows = session.execute(
        union_all(
            select(literal("b"), Business.id, Business.name, Business.timezone, nothing),
            select(literal("p"), Practitioner.id, *name),
            select(literal("t"), AppointmentType.id, AppointmentType.name, nothing, nothing),
        )
    ).all()
    practitioners = sorted((row for row in rows if row[0] == "p"), key=lambda row: (row[4], row[3], row[1]))
    types = sorted((row for row in rows if row[0] == "t"), key=lambda row: (row[2], row[1]))
    return Choices(
        tuple(sorted((id_, name, zone) for kind, id_, name, zone, _ in rows if kind == "b")),
        tuple((id_, full_name(*names)) for _, id_, *names in practitioners),
        tuple((id_, name) for _, id_, name, *_ in types),
    )


def read_wall_times_again(session: Session, now: datetime) -> int:
    """After a change of a zone's rules: the instants of future appointments follow their wall times.

    Returns how many moved. The appointment itself did not move: its revision stays.
    """
    moved = 0
    future = select(Appointment).where(Appointment.starts_at > now).execution_options(yield_per=1000)
    for row in session.scalars(future):
        starts_at = resolve_near(row.starts_wall, row.timezone, row.starts_at)
        if starts_at != row.starts_at:
            row.starts_at = starts_at
            row.ends_at = resolve_near(row.ends_wall, row.timezone, row.ends_at)
            moved += 1
    return moved


def list_future(session: Session, now: datetime, after: int, most: int) -> Sequence[tuple[int, str, bool]]:
    """(row id, the export's id, did staff take it up again) of those that start after `now` and
    are not cancelled by then, by row id, from the one after `after` on."""
    rows = session.execute(
        select(Appointment.id, Appointment.external_id, Appointment.staff_changed)
        .where(
            Appointment.id > after,
            Appointment.starts_at > now,
            Appointment.cancelled_at.is_(None) | (Appointment.cancelled_at > now),
        )
        .order_by(Appointment.id)
        .limit(most)
    )
    return [(id_, external_id, (changed or {}).get("cancelled_at") is not None) for id_, external_id, changed in rows]


def list_in_another_zone(session: Session, business_ids: Collection[int], most: int) -> list[tuple[Appointment, str]]:
    """Of these businesses those that were last read in another time zone than the business has, and that zone."""
    found = (
        select(Appointment, Business.timezone)
        .join(Business, Business.id == Appointment.business_id)
        .where(Appointment.business_id.in_(business_ids), Appointment.timezone != Business.timezone)
        .limit(most)
    )
    return [(appointment, zone) for appointment, zone in session.execute(found)]
