"""Patients who turned out to be one, and those of whom staff said that they are two."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from portal.store.database import Model, PracticeOwned, belongs_to, row_id
from portal.store.patients import Patient
from portal.store.types import RowId, UtcDateTime

# The numbers of a patient who was merged into another stand behind that one's, so many places further on: by its
# place an import tells whose a number was in the export.
APART = 10_000


class Merge(PracticeOwned, Model):
    """`gone_id` is a trace since: what its export's id is said of is of the patient `kept_id`. `first_place`: of its
    numbers, a multiple of `APART`. `by`: the person's name as it was then."""

    __tablename__ = "merges"

    id: Mapped[int] = row_id()
    gone_id: Mapped[int] = mapped_column(RowId)
    kept_id: Mapped[int] = mapped_column(RowId)
    first_place: Mapped[int]
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(Text)
    by_id: Mapped[int | None] = mapped_column(RowId)

    __table_args__ = (
        belongs_to("gone_id", "patients"),
        belongs_to("kept_id", "patients"),
        UniqueConstraint("practice_id", "gone_id"),
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


def list_aliases(session: Session, kept_ids: Collection[int]) -> list[tuple[int, str, int]]:
    """(kept patient, the export's id of one who was merged into them, first place of that one's numbers)."""
    if not kept_ids:
        return []
    found = (
        select(Merge.kept_id, Patient.external_id, Merge.first_place)
        .join(Patient, Patient.id == Merge.gone_id)
        .where(Merge.kept_id.in_(kept_ids))
        .order_by(Merge.kept_id, Merge.first_place)
        .execution_options(with_merged=True)
    )
    return [(kept_id, external_id, place) for kept_id, external_id, place in session.execute(found)]


def find_merged_ids(session: Session, external_ids: Collection[str]) -> set[str]:
    """Those of the export's ids that are of patients who were merged into others."""
    if not external_ids:
        return set()
    found = select(Patient.external_id).where(
        Patient.external_id.in_(external_ids), Patient.merged_into_id.is_not(None)
    )
    return set(session.scalars(found.execution_options(with_merged=True)))


def are_apart(session: Session, patient_ids: Collection[int]) -> set[tuple[int, int]]:
    """The pairs among these of whom staff said that they are two, the lower id first."""
    if not patient_ids:
        return set()
    found = select(Apart.first_id, Apart.second_id).where(
        Apart.first_id.in_(patient_ids), Apart.second_id.in_(patient_ids)
    )
    return {(first, second) for first, second in session.execute(found)}
