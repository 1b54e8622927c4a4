"""Messages that somebody should look at, and the marks of those that are dealt with."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    or_,
    select,
    text,
    union,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.core.phrases import full_name
from portal.core.states import Kind, Status
from portal.store.appointments import Appointment
from portal.store.database import Model, PracticeOwned, belongs_to, row_id
from portal.store.messages import BY_STAFF, Message
from portal.store.patients import Patient
from portal.store.practices import OWN_OR_FIRST_ZONE, Business
from portal.store.types import RowId, UtcDateTime


class DealtWith(PracticeOwned, Model):
    """A mark that holds while the message stands as it stood then: what becomes of it later is news.

    `state`: how it stood. `by`: the person's name as it was then.
    """

    __tablename__ = "dealt_with"

    id: Mapped[int] = row_id()
    message_id: Mapped[int] = mapped_column(RowId)
    state: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    user_id: Mapped[int | None] = mapped_column(RowId)
    by: Mapped[str] = mapped_column(Text)

    __table_args__ = (UniqueConstraint("message_id"), belongs_to("message_id", "messages"))


def state_of(message: Message) -> str:
    """`failed;no-credits;0`: a later pass that decides the same changes nothing, another attempt does."""
    return ";".join((message.status, *message.reasons, str(message.attempts)))


@dataclass(frozen=True, slots=True)
class Row:
    """A message, and whom and what it is about; what it is not about is None."""

    message: Message
    mark: DealtWith | None
    first_name: str | None
    last_name: str | None
    starts_wall: datetime | None
    starts_at: datetime | None
    booked_at: datetime | None
    moved_at: datetime | None
    timezone: str | None

    @property
    def full_name(self) -> str:
        return full_name(self.first_name, self.last_name)

    @property
    def cancelled_at(self) -> None:
        """Of its appointment: only those that stand are listed, at their time."""
        return None

    @property
    def is_of_former_time(self) -> bool:
        return False

    @property
    def is_dealt_with(self) -> bool:
        return self.mark is not None and self.mark.state == state_of(self.message)


def list_stopped(
    session: Session, statuses: Collection[Status], since: datetime, now: datetime, most: int
) -> Sequence[Row]:
    """Messages that came into being since then, or that staff queued and that were to go by a later time, and stand
    so; of an appointment only while it is ahead and at its time. Those that are not dealt with first, of these those
    in doubt, then what was tried before what was decided; among their like the newest first."""
    values = {"statuses": statuses, "since": since, "now": now, "most": most}
    return [Row(*row) for row in session.execute(_STOPPED, values)]


_ORDER = (
    DealtWith.id.is_not(None),
    Message.status != Status.UNKNOWN,
    Message.status == Status.NOT_SENT,
    Message.created_at.desc(),
    Message.id.desc(),
)
_SINCE, _NOW = (bindparam(name, type_=UtcDateTime) for name in ("since", "now"))
_MOST = bindparam("most", type_=Integer)


def _few(is_recent: ColumnElement[bool]) -> Select[int]:
    return (
        select(Message.id)
        .join(Appointment, Appointment.id == Message.appointment_id, isouter=True)
        .join(DealtWith, DealtWith.message_id == Message.id, isouter=True)
        .where(
            is_recent,
            Message.status.in_(bindparam("statuses", expanding=True)),
            Message.kind.in_((Kind.REMINDER, Kind.MANUAL)),
            or_(
                # What staff had written and took back themselves is no news.
                Appointment.id.is_(None) & (Message.status != Status.CANCELLED),
                (Appointment.starts_at > _NOW)
                & Appointment.cancelled_at.is_(None)
                & (Message.revision.is_(None) | (Message.revision == Appointment.revision)),
            ),
        )
        .order_by(*_ORDER)
        .limit(_MOST)
    )


def _stopped() -> Select[*tuple[Any, ...]]:
    # First the few, then whom they are about: for what it takes to be many, SQLite reads all patients beforehand.
    # Two selects, for each has its index.
    recent = _few(Message.created_at >= _SINCE).subquery()
    by_staff = _few(text(f"({BY_STAFF})") & (Message.deadline_at >= _SINCE)).subquery()
    ids = union(select(recent.c.id), select(by_staff.c.id)).subquery()
    return (
        select(
            Message,
            DealtWith,
            Patient.first_name,
            Patient.last_name,
            Appointment.starts_wall,
            Appointment.starts_at,
            Appointment.booked_at,
            Appointment.moved_at,
            OWN_OR_FIRST_ZONE,
        )
        .select_from(ids)
        .join(Message, Message.id == ids.c.id)
        .join(DealtWith, DealtWith.message_id == Message.id, isouter=True)
        .join(Patient, Patient.id == Message.patient_id, isouter=True)
        .join(Appointment, Appointment.id == Message.appointment_id, isouter=True)
        .join(Business, Business.id == Message.business_id, isouter=True)
        .order_by(*_ORDER)
        .limit(_MOST)
    )


_STOPPED = _stopped()


def delete_marks(session: Session, message_ids: Collection[int]) -> None:
    """They are in hand again: what becomes of them is news, also where it is what became of them before."""
    if message_ids:
        session.execute(delete(DealtWith).where(DealtWith.message_id.in_(message_ids)))


def list_marks_of(session: Session, patient_id: int, at: datetime) -> list[tuple[DealtWith, Message]]:
    """Those that were made at that instant, of the patient's messages."""
    marks = select(DealtWith, Message).join(Message, Message.id == DealtWith.message_id)
    return [
        (mark, message)
        for mark, message in session.execute(marks.where(Message.patient_id == patient_id, DealtWith.at == at))
    ]


def find_mark(session: Session, message_id: int) -> DealtWith | None:
    return session.scalar(select(DealtWith).where(DealtWith.message_id == message_id))
