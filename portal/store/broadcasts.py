"""Messages to many: what was written, to whom it went, and who was not reached and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Date,
    Index,
    Select,
    Text,
    UniqueConstraint,
    and_,
    exists,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.core.broadcasts import Purpose, Whom
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.store.database import Model, PracticeOwned, belongs_to, everything, referable, row_id, table_of
from portal.store.messages import Message, list_queued_where
from portal.store.patients import Patient
from portal.store.practices import AppointmentType, Practitioner
from portal.store.types import Reasons, RowId, UtcDateTime, only_known_reasons, words

# What has not gone by then was given up: see `core.broadcasts.deadline`.
_SURELY_OVER = timedelta(days=3)


class Broadcast(PracticeOwned, Model):
    """`body`: with its placeholders. From `day` to `appointment_type_id`: whom it goes to, see `Whom`. `goes_at`: the
    first text of it. `recorded_at`: when every patient had been decided on. `written_by`, `taken_back_by`: the
    person's name as it was then. `reached`, `left_out`: how many patients, as it was decided.
    """

    __tablename__ = "broadcasts"

    id: Mapped[int] = row_id()
    body: Mapped[str] = mapped_column(Text)
    purpose: Mapped[Purpose] = mapped_column(words(Purpose))
    day: Mapped[date | None] = mapped_column(Date)
    with_cancelled: Mapped[bool]
    seen_since: Mapped[date | None] = mapped_column(Date)
    business_id: Mapped[int | None] = mapped_column(RowId)
    practitioner_id: Mapped[int | None] = mapped_column(RowId)
    appointment_type_id: Mapped[int | None] = mapped_column(RowId)
    goes_at: Mapped[datetime] = mapped_column(UtcDateTime)
    form_key: Mapped[str] = mapped_column(Text)
    written_at: Mapped[datetime] = mapped_column(UtcDateTime)
    written_by: Mapped[str] = mapped_column(Text)
    written_by_id: Mapped[int | None] = mapped_column(RowId)
    recorded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reached: Mapped[int] = mapped_column(default=0)
    left_out: Mapped[int] = mapped_column(default=0)
    taken_back_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    taken_back_by: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        referable(),
        belongs_to("business_id", "businesses"),
        belongs_to("practitioner_id", "practitioners"),
        belongs_to("appointment_type_id", "appointment_types"),
        UniqueConstraint("practice_id", "form_key"),  # a form that is sent twice writes once
        # What the sweep looks at.
        Index(
            "ix_broadcasts_unrecorded",
            "written_at",
            sqlite_where=text("recorded_at IS NULL AND taken_back_at IS NULL"),
            postgresql_where=text("recorded_at IS NULL AND taken_back_at IS NULL"),
        ),
    )

    @property
    def whom(self) -> Whom:
        return Whom(
            self.day,
            self.with_cancelled,
            self.seen_since,
            self.business_id,
            self.practitioner_id,
            self.appointment_type_id,
        )


class BroadcastRecipient(PracticeOwned, Model):
    """One patient of a message to many. `message_id`: the text that reaches them, which may be another's who has the
    same number, where it is the same to the letter; None where they are not reached, for these reasons."""

    __tablename__ = "broadcast_recipients"

    id: Mapped[int] = row_id()
    broadcast_id: Mapped[int] = mapped_column(RowId)
    patient_id: Mapped[int] = mapped_column(RowId)
    message_id: Mapped[int | None] = mapped_column(RowId)
    reasons: Mapped[tuple[Reason, ...]] = mapped_column(Reasons)

    __table_args__ = (
        belongs_to("broadcast_id", "broadcasts"),
        belongs_to("patient_id", "patients"),
        belongs_to("message_id", "messages"),
        only_known_reasons("reasons"),
        CheckConstraint("(message_id IS NULL) <> (reasons = '')", name="reached_or_a_reason"),
        # Nobody gets it twice, whatever happens.
        UniqueConstraint("broadcast_id", "patient_id", name="uq_broadcast_recipients_once"),
        Index("ix_broadcast_recipients_message", "practice_id", "message_id"),
    )


def find_broadcast(session: Session, broadcast_id: int) -> Broadcast | None:
    return session.scalar(select(Broadcast).where(Broadcast.id == broadcast_id))


def find_by_form(session: Session, form_key: str) -> Broadcast | None:
    return session.scalar(select(Broadcast).where(Broadcast.form_key == form_key))


# The message to many that a text is of.
broadcast_of = (
    select(BroadcastRecipient.broadcast_id)
    .where(BroadcastRecipient.message_id == Message.id)
    .correlate(Message)
    .limit(1)
    .scalar_subquery()
)

is_to_many = exists().where(BroadcastRecipient.message_id == Message.id)


# --- its patients -------------------------------------------------------------------------------------------


def record_recipients(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of practice_id, broadcast_id, patient_id, message_id, reasons."""
    if rows:
        session.execute(insert(table_of(BroadcastRecipient)), rows)


def list_recorded(session: Session, broadcast_id: int) -> set[int]:
    """Its patients who have been decided on."""
    found = select(BroadcastRecipient.patient_id).where(BroadcastRecipient.broadcast_id == broadcast_id)
    return set(session.scalars(found))


def last_recorded(session: Session, broadcast_id: int) -> int:
    """The highest row id of a patient who has been decided on; 0 where none has."""
    found = select(func.max(BroadcastRecipient.patient_id)).where(BroadcastRecipient.broadcast_id == broadcast_id)
    return session.scalar(found) or 0


def list_texts(session: Session, broadcast_id: int, numbers: Collection[str]) -> dict[tuple[str, str], int]:
    """The ids of its texts to these numbers, by number and text."""
    rows = session.execute(
        select(Message.to, Message.body, Message.id)
        .join(BroadcastRecipient, BroadcastRecipient.message_id == Message.id)
        .where(BroadcastRecipient.broadcast_id == broadcast_id, Message.to.in_(numbers))
    )
    return {(to, body): id_ for to, body, id_ in rows if to is not None and body is not None}


@dataclass(frozen=True, slots=True)
class Shared:
    """A text of a message to many that is for several patients, one of them its own."""

    message: Message
    broadcast: Broadcast
    patient_ids: tuple[int, ...]  # the others', in the order in which they were decided on


def list_shared(session: Session, message_ids: Collection[int]) -> list[Shared]:
    """Those of the messages that more than one patient shares."""
    rows = session.execute(
        select(Message, Broadcast, BroadcastRecipient.patient_id)
        .join(BroadcastRecipient, BroadcastRecipient.message_id == Message.id)
        .join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
        .where(Message.id.in_(message_ids), BroadcastRecipient.patient_id != Message.patient_id)
        .order_by(BroadcastRecipient.id)
        .execution_options(populate_existing=True)  # it may have stopped just now
    ).all()
    messages = {message: broadcast for message, broadcast, _ in rows}
    return [
        Shared(message, broadcast, tuple(id_ for of, _, id_ in rows if of is message))
        for message, broadcast in messages.items()
    ]


def set_text_of(
    session: Session, broadcast_id: int, patient_id: int, message_id: int | None, reasons: Sequence[Reason]
) -> None:
    """Which text reaches the patient now, or why none does."""
    session.execute(
        update(BroadcastRecipient)
        .where(BroadcastRecipient.broadcast_id == broadcast_id, BroadcastRecipient.patient_id == patient_id)
        .values(message_id=message_id, reasons=tuple(reasons))
        .execution_options(synchronize_session=False)
    )


def list_queued(session: Session, broadcast_id: int) -> list[tuple[int, int, bool]]:
    """As `messages.list_queued_where`, of its texts."""
    return list_queued_where(session, Message.id.in_(texts_of(broadcast_id)))


def texts_of(broadcast_id: int) -> Select[int | None]:
    """The ids of its texts."""
    return select(BroadcastRecipient.message_id).where(BroadcastRecipient.broadcast_id == broadcast_id)


# --- for its pages ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """With the names of the practitioner and of the appointment type that it is about, empty where of all.
    `is_under_way`: a text of it is still to be sent."""

    broadcast: Broadcast
    practitioner: str
    appointment_type: str
    is_under_way: bool


def list_broadcasts(session: Session, now: datetime, most: int, before: int | None = None) -> list[Listed]:
    """The newest first, of those with an id below `before`."""
    found = _listed(now).order_by(Broadcast.id.desc()).limit(most)
    return [
        _as_listed(row) for row in session.execute(found if before is None else found.where(Broadcast.id < before))
    ]


def find_listed(session: Session, broadcast_id: int, now: datetime) -> Listed | None:
    row = session.execute(_listed(now).where(Broadcast.id == broadcast_id)).one_or_none()
    return _as_listed(row) if row else None


def _listed(now: datetime) -> Select[*tuple[Any, ...]]:
    to_go = exists().where(
        BroadcastRecipient.broadcast_id == Broadcast.id,
        Message.id == BroadcastRecipient.message_id,
        Message.status.in_((Status.QUEUED, Status.SENDING)),
    )
    return (
        select(Broadcast, Practitioner, AppointmentType.name, and_(Broadcast.goes_at > now - _SURELY_OVER, to_go))
        .join(Practitioner, Practitioner.id == Broadcast.practitioner_id, isouter=True)
        .join(AppointmentType, AppointmentType.id == Broadcast.appointment_type_id, isouter=True)
    )


def _as_listed(row: Any) -> Listed:
    broadcast, practitioner, appointment_type, is_under_way = row
    return Listed(broadcast, practitioner.full_name if practitioner else "", appointment_type or "", is_under_way)


@dataclass(frozen=True, slots=True)
class Progress:
    """By how many patients, not texts. `credits`: taken for its texts and not given back."""

    by_status: Mapping[Status, int]
    by_reasons: Mapping[tuple[Reason, ...], int]
    credits: int


def count_progress(session: Session, broadcast_id: int) -> Progress:
    charged = select(func.sum(Message.charged)).where(Message.id.in_(texts_of(broadcast_id))).scalar_subquery()
    rows = session.execute(
        select(Message.status, BroadcastRecipient.reasons, func.count(), charged)
        .select_from(BroadcastRecipient)
        .join(Message, Message.id == BroadcastRecipient.message_id, isouter=True)
        .where(BroadcastRecipient.broadcast_id == broadcast_id)
        .group_by(Message.status, BroadcastRecipient.reasons)
    ).all()
    return Progress(
        {status: count for status, _, count, _ in rows if status is not None},
        {reasons: count for status, reasons, count, _ in rows if status is None},
        (rows[0][3] if rows else None) or 0,
    )


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Who is not reached. `id`: of the recipient's row."""

    id: int
    patient: Patient
    reasons: tuple[Reason, ...]


def list_left_out(session: Session, broadcast_id: int, most: int, after: int = 0) -> list[LeftOut]:
    """In the order in which they were decided on, from the one after `after` on."""
    rows = session.execute(
        select(BroadcastRecipient.id, Patient, BroadcastRecipient.reasons)
        .join(Patient, Patient.id == BroadcastRecipient.patient_id)
        .where(
            BroadcastRecipient.broadcast_id == broadcast_id,
            BroadcastRecipient.message_id.is_(None),
            BroadcastRecipient.id > after,
        )
        .order_by(BroadcastRecipient.id)
        .limit(most)
    )
    return [LeftOut(*row) for row in rows]


# --- for the host's sweeps: rows of every practice ----------------------------------------------------------


def list_unrecorded(written_before: datetime, most: int) -> list[tuple[str, int]]:
    """(practice, id) of those that were written by then and have patients who are not decided on."""
    with everything() as session:
        rows = session.execute(
            select(Broadcast.practice_id, Broadcast.id)
            .where(
                Broadcast.recorded_at.is_(None),
                Broadcast.taken_back_at.is_(None),
                Broadcast.written_at <= written_before,
            )
            .order_by(Broadcast.written_at)
            .limit(most)
        )
        return [(practice_id, id_) for practice_id, id_ in rows]
