"""Patients who turned out to be one, and those of whom staff said that they are two."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, func, or_, select, update
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from portal.core.states import Kind, Status
from portal.store.broadcasts import Broadcast, BroadcastRecipient
from portal.store.changes import Change, Subject
from portal.store.database import Base, Model, PracticeOwned, belongs_to, row_id, table_of
from portal.store.messages import Message
from portal.store.patients import Patient
from portal.store.types import RowId, UtcDateTime

# The numbers of a patient who was merged into another stand behind that one's, so many places further on: by its
# place an import tells whose a number was in the export.
APART = 10_000


class Merge(PracticeOwned, Model):
    """`gone_id` is a trace since: its `external_id` stands for the patient `kept_id`. `first_place`: of its numbers,
    a multiple of `APART`. `by`: the person's name as it was then."""

    __tablename__ = "merges"

    id: Mapped[int] = row_id()
    gone_id: Mapped[int] = mapped_column(RowId)
    external_id: Mapped[str] = mapped_column(Text)
    kept_id: Mapped[int] = mapped_column(RowId)
    first_place: Mapped[int]
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(Text)
    by_id: Mapped[int | None] = mapped_column(RowId)

    __table_args__ = (
        belongs_to("gone_id", "patients"),
        belongs_to("kept_id", "patients"),
        UniqueConstraint("practice_id", "gone_id"),
        UniqueConstraint("practice_id", "external_id"),
        Index("ix_merges_kept", "practice_id", "kept_id"),
        Index("ix_merges_newest", "practice_id", "id"),
    )


class Apart(PracticeOwned, Model):
    """Staff said that these two patients are two. `first_id` is the lower one."""

    __tablename__ = "two_people"

    id: Mapped[int] = row_id()
    first_id: Mapped[int] = mapped_column(RowId)
    second_id: Mapped[int] = mapped_column(RowId)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(Text)
    by_id: Mapped[int | None] = mapped_column(RowId)

    __table_args__ = (
        belongs_to("first_id", "patients"),
        belongs_to("second_id", "patients"),
        UniqueConstraint("practice_id", "first_id", "second_id"),
        CheckConstraint("first_id < second_id", name="in_order"),
        Index("ix_two_people_second", "practice_id", "second_id"),
        Index("ix_two_people_practice", "practice_id", "id"),
    )


@dataclass(frozen=True, slots=True)
class Merged:
    """A merge with the trace that is left, and the patient who was kept."""

    merge: Merge
    gone: Patient
    kept: Patient


def find_kept(session: Session, patient_id: int) -> int | None:
    """To whom that row leads, where it was merged into another."""
    kept = select(Patient.merged_into_id).where(Patient.id == patient_id)
    return session.scalar(kept.execution_options(with_merged=True))


def list_merges(session: Session, most: int, before: int | None = None) -> list[Merged]:
    """The newest first, of those with an id below `before`."""
    gone, kept = aliased(Patient), aliased(Patient)
    found = (
        select(Merge, gone, kept)
        .join(gone, gone.id == Merge.gone_id)
        .join(kept, kept.id == Merge.kept_id)
        .order_by(Merge.id.desc())
        .limit(most)
        .execution_options(with_merged=True)
    )
    rows = session.execute(found if before is None else found.where(Merge.id < before))
    return [Merged(*row) for row in rows]


def list_aliases(session: Session, kept_ids: Collection[int]) -> list[Merge]:
    """Who was merged into these, by the place of their numbers."""
    found = select(Merge).where(Merge.kept_id.in_(kept_ids)).order_by(Merge.kept_id, Merge.first_place)
    return list(session.scalars(found)) if kept_ids else []


def find_merged_ids(session: Session, external_ids: Collection[str]) -> set[str]:
    """Those of the export's ids that are of patients who were merged into others."""
    found = select(Merge.external_id).where(Merge.external_id.in_(external_ids))
    return set(session.scalars(found)) if external_ids else set()


def list_meant(session: Session, external_ids: Collection[str]) -> list[tuple[int, str]]:
    """(row id, the export's id) of the patients whom these ids of an export mean: of one who was merged into another,
    the one who was kept."""
    if not external_ids:
        return []
    kept = session.scalars(select(Merge.kept_id).where(Merge.external_id.in_(external_ids))).all()
    found = select(Patient.id, Patient.external_id)
    rows = session.execute(found.where(or_(Patient.external_id.in_(external_ids), Patient.id.in_(kept))))
    return [(id_, external_id) for id_, external_id in rows]


def are_apart(session: Session, patient_ids: Collection[int]) -> set[tuple[int, int]]:
    """The pairs among these of whom staff said that they are two, the lower id first."""
    found = select(Apart.first_id, Apart.second_id).where(
        Apart.first_id.in_(patient_ids), Apart.second_id.in_(patient_ids)
    )
    return {(first, second) for first, second in session.execute(found)} if patient_ids else set()


def is_to_many_under_way(session: Session) -> bool:
    """Whether a message to many is being written down, patient by patient."""
    under_way = select(Broadcast.id).where(Broadcast.recorded_at.is_(None), Broadcast.taken_back_at.is_(None))
    return session.scalar(under_way.limit(1)) is not None


# --- all that hangs on a patient --------------------------------------------------------------------------------


def list_references() -> list[tuple[type[Base], str]]:
    """(model, column) of everything that refers to a patient, of whatever table there is."""
    patients = table_of(Patient)
    return [
        (mapper.class_, column.name)
        for mapper in sorted(Base.registry.mappers, key=lambda mapper: mapper.class_.__name__)
        for key in table_of(mapper.class_).foreign_key_constraints
        if key.referred_table is patients
        for column in key.columns
        if column.name != "practice_id"
    ]


def pass_on(session: Session, gone_id: int, kept_id: int, handled: Collection[tuple[type[Base], str]]) -> None:
    """Whatever refers to the one refers to the other, but what the caller has `handled`; so do the changes of it."""
    for model, column in list_references():
        if (model, column) not in handled:
            attribute = getattr(model, column)
            _update(session, update(model).where(attribute == gone_id).values({column: kept_id}))
    _update(
        session,
        update(Change)
        .where(Change.subject == Subject.PATIENT, Change.subject_id == gone_id)
        .values(subject_id=kept_id),
    )


def list_named_twice(
    session: Session, kept_id: int, gone_id: int
) -> list[tuple[BroadcastRecipient, BroadcastRecipient, Broadcast]]:
    """Messages to many that both are of: the rows of the one and of the other."""
    kept, gone = aliased(BroadcastRecipient), aliased(BroadcastRecipient)
    rows = session.execute(
        select(kept, gone, Broadcast)
        .join(gone, gone.broadcast_id == kept.broadcast_id)
        .join(Broadcast, Broadcast.id == kept.broadcast_id)
        .where(kept.patient_id == kept_id, gone.patient_id == gone_id)
        .order_by(kept.id)
    )
    return [(mine, theirs, broadcast) for mine, theirs, broadcast in rows]


def find_shared(session: Session, message_ids: Collection[int], but: Collection[int]) -> set[int]:
    """Those texts to many that reach others than these patients, too."""
    found = select(BroadcastRecipient.message_id).where(
        BroadcastRecipient.message_id.in_(message_ids), BroadcastRecipient.patient_id.not_in(but)
    )
    return {id_ for id_ in session.scalars(found) if id_ is not None}


def list_shared_texts(session: Session, gone_id: int, kept_id: int) -> list[tuple[Message, int]]:
    """The one's texts to many that wait and reach others, too; each with one of those."""
    other = func.min(BroadcastRecipient.patient_id)
    shared = (
        select(BroadcastRecipient.message_id, other.label("patient_id"))
        .join(Message, Message.id == BroadcastRecipient.message_id)
        .where(
            Message.patient_id == gone_id,
            Message.status == Status.QUEUED,
            BroadcastRecipient.patient_id.not_in((gone_id, kept_id)),
        )
        .group_by(BroadcastRecipient.message_id)
        .subquery("shared")
    )
    rows = session.execute(select(Message, shared.c.patient_id).join(shared, shared.c.message_id == Message.id))
    return [(message, patient_id) for message, patient_id in rows]


def list_message_ids(session: Session, patient_id: int) -> list[int]:
    return list(session.scalars(select(Message.id).where(Message.patient_id == patient_id).order_by(Message.id)))


def list_waiting(session: Session, patient_ids: Collection[int], kind: Kind) -> Sequence[Message]:
    """What is queued for them, of that kind."""
    found = select(Message).where(
        Message.patient_id.in_(patient_ids), Message.status == Status.QUEUED, Message.kind == kind
    )
    return session.scalars(found.order_by(Message.id)).all()


def leave_a_trace(session: Session, gone_id: int, kept_id: int) -> None:
    """Both of it and of those who were merged into it: they lead to the one who was kept, and are found no more."""
    gone = or_(Patient.id == gone_id, Patient.merged_into_id == gone_id)
    leading = update(Patient).where(gone).values(merged_into_id=kept_id, searched="")
    _update(session, leading.execution_options(with_merged=True))


def take_over_aliases(session: Session, gone_id: int, kept_id: int, first_place: int) -> None:
    """Of those who were merged into `gone_id`: their numbers stand so much further on now."""
    moved = update(Merge).where(Merge.kept_id == gone_id)
    _update(session, moved.values(kept_id=kept_id, first_place=Merge.first_place + first_place))


def take_over_apart(session: Session, gone_id: int, kept_id: int) -> None:
    """Who was somebody else than the one is somebody else than the other."""
    pairs = session.scalars(select(Apart).where(or_(Apart.first_id == gone_id, Apart.second_id == gone_id))).all()
    others = {one.second_id if one.first_id == gone_id else one.first_id: one for one in pairs}
    known = are_apart(session, [*others, kept_id])
    for other, pair in others.items():
        first, second = sorted((other, kept_id))
        session.delete(pair)
        if other != kept_id and (first, second) not in known:
            session.add(Apart(first_id=first, second_id=second, at=pair.at, by=pair.by, by_id=pair.by_id))
    session.flush()


def _update(session: Session, statement: Any) -> None:
    session.execute(statement.execution_options(synchronize_session=False))
