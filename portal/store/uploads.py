"""Files that staff upload to import them: each waits here in pieces, for the workers may be on other machines."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import IO, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    and_,
    delete,
    insert,
    select,
    text,
    union,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.store.appointments import Appointment
from portal.store.database import Model, PracticeOwned, belongs_to, everything, referable, row_id, table_of
from portal.store.patients import Patient, PhoneRow
from portal.store.types import RowId, UtcDateTime, words

PIECE = 512 * 1024  # bytes


class UploadKind(StrEnum):
    EXPORT = "export"  # the folder, as a zip
    LIST = "list"  # one CSV file of appointments


class UploadState(StrEnum):
    MATCHING = "matching"  # staff say what the columns of a list hold
    CHECKING = "checking"  # waits for a worker, or one is at it
    CHECKED = "checked"  # staff see what would change, and decide
    IMPORTING = "importing"  # as CHECKING
    IMPORTED = "imported"
    REFUSED = "refused"
    DISCARDED = "discarded"


AT_WORK = (UploadState.CHECKING, UploadState.IMPORTING)
OPEN = (UploadState.MATCHING, *AT_WORK, UploadState.CHECKED)
_IS_OPEN = text(f"state IN ({', '.join(repr(state.value) for state in OPEN)})")


class UploadPart(StrEnum):
    FILE = "file"
    REJECTS = "rejects"  # the rows that cannot be imported, as CSV


class Upload(PracticeOwned, Model):
    """`matching`: of a list, see `core.lists.Matching`. `found`: what the check found, and then what the import did,
    without any patient's name once it is over. `agreed`: the fingerprint of what staff were shown and agreed to.
    `refusal`: why it cannot be imported, in words. `claim`: of the worker who is at it, since `claimed_at`;
    `attempts`: how many have begun on its present state. `is_anew`: what was agreed to no longer held."""

    __tablename__ = "uploads"

    id: Mapped[int] = row_id()
    kind: Mapped[UploadKind] = mapped_column(words(UploadKind))
    name: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[UploadState] = mapped_column(words(UploadState))
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    uploaded_by: Mapped[str] = mapped_column(Text)
    uploaded_by_id: Mapped[int | None] = mapped_column(RowId)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)  # its state
    matching: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    found: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    agreed: Mapped[str | None] = mapped_column(Text)
    agreed_by: Mapped[str | None] = mapped_column(Text)
    agreed_by_id: Mapped[int | None] = mapped_column(RowId)
    accepts_valid: Mapped[bool] = mapped_column(default=False)
    withdraws_missing: Mapped[bool] = mapped_column(default=False)
    is_anew: Mapped[bool] = mapped_column(default=False)
    refusal: Mapped[str | None] = mapped_column(Text)
    claim: Mapped[str | None] = mapped_column(Text)
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)

    __table_args__ = (
        referable(),
        # One at a time for a practice.
        Index("uq_uploads_open", "practice_id", unique=True, sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
        # What the sweep looks at.
        Index("ix_uploads_open", "changed_at", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
    )


class UploadPiece(PracticeOwned, Model):
    __tablename__ = "upload_pieces"

    id: Mapped[int] = row_id()
    upload_id: Mapped[int] = mapped_column(RowId)
    part: Mapped[UploadPart] = mapped_column(words(UploadPart))
    number: Mapped[int]  # from 0
    content: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        belongs_to("upload_id", "uploads"),
        UniqueConstraint("practice_id", "upload_id", "part", "number"),
    )


class ListMatching(PracticeOwned, Model):
    """What the columns of a list hold, as staff said it last for a list with these headings (`headings`: their
    digest)."""

    __tablename__ = "list_matchings"

    id: Mapped[int] = row_id()
    headings: Mapped[str] = mapped_column(Text)
    matching: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(Text)

    __table_args__ = (UniqueConstraint("practice_id", "headings"),)


# --- an upload ----------------------------------------------------------------------------------------------


def find_upload(session: Session, upload_id: int, *, locked: bool = False) -> Upload | None:
    found = select(Upload).where(Upload.id == upload_id)
    return session.scalar(found.with_for_update() if locked else found)


def find_open(session: Session) -> Upload | None:
    """The one that the practice is busy with."""
    return session.scalar(select(Upload).where(Upload.state.in_(OPEN)))


def list_uploads(session: Session, most: int) -> Sequence[Upload]:
    """The newest first."""
    return session.scalars(select(Upload).order_by(Upload.id.desc()).limit(most)).all()


@dataclass(slots=True)
class Whose:
    """Rows that an import speaks of, with their patients: by the export's ids, numbers by row id."""

    patients: dict[str, Patient] = field(default_factory=dict)
    numbers: dict[int, tuple[PhoneRow, Patient]] = field(default_factory=dict)
    appointments: dict[str, tuple[Appointment, Patient]] = field(default_factory=dict)


def find_whose(
    session: Session, patients: Collection[str], numbers: Collection[int], appointments: Collection[str]
) -> Whose:
    """In one query. `numbers`: row ids; the others are ids of the export."""
    whose = Whose()
    if not (patients or numbers or appointments):
        return whose
    ids = union(
        select(Patient.id).where(Patient.external_id.in_(patients)),
        select(PhoneRow.patient_id).where(PhoneRow.id.in_(numbers)),
        select(Appointment.patient_id).where(Appointment.external_id.in_(appointments)),
    )
    found = (
        select(Patient, PhoneRow, Appointment)
        .outerjoin(PhoneRow, and_(PhoneRow.patient_id == Patient.id, PhoneRow.id.in_(numbers)))
        .outerjoin(Appointment, and_(Appointment.patient_id == Patient.id, Appointment.external_id.in_(appointments)))
        .where(Patient.id.in_(ids))
    )
    for patient, number, appointment in session.execute(found):
        whose.patients[patient.external_id] = patient
        if number:
            whose.numbers[number.id] = (number, patient)
        if appointment:
            whose.appointments[appointment.external_id] = (appointment, patient)
    return whose


# --- its pieces ---------------------------------------------------------------------------------------------


def in_pieces(stream: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: stream.read(PIECE), b"")


def record_pieces(session: Session, upload: Upload, part: UploadPart, pieces: Iterable[bytes]) -> None:
    """In place of those that the part had. One at a time: memory does not grow with the file."""
    delete_pieces(session, upload.id, part)
    own = {"practice_id": upload.practice_id, "upload_id": upload.id, "part": part}
    for number, content in enumerate(pieces):
        session.execute(insert(table_of(UploadPiece)), [own | {"number": number, "content": content}])


def read_pieces(session: Session, upload_id: int, part: UploadPart) -> Iterator[bytes]:
    number = 0
    while (content := find_piece(session, upload_id, part, number)) is not None:
        yield content
        number += 1


def find_piece(session: Session, upload_id: int, part: UploadPart, number: int) -> bytes | None:
    return session.scalar(
        select(UploadPiece.content).where(
            UploadPiece.upload_id == upload_id, UploadPiece.part == part, UploadPiece.number == number
        )
    )


def has_part(session: Session, upload_id: int, part: UploadPart) -> bool:
    found = select(UploadPiece.id).where(UploadPiece.upload_id == upload_id, UploadPiece.part == part)
    return session.scalar(found.limit(1)) is not None


def delete_pieces(session: Session, upload_id: int, part: UploadPart | None = None) -> None:
    gone = delete(UploadPiece).where(UploadPiece.upload_id == upload_id)
    session.execute(
        (gone if part is None else gone.where(UploadPiece.part == part)).execution_options(synchronize_session=False)
    )


# --- the workers' claim -------------------------------------------------------------------------------------


def claim_upload(session: Session, upload_id: int, claim: str, now: datetime, lost_before: datetime) -> bool:
    """False where there is nothing to do, or another worker is at it."""
    claimed = session.execute(
        update(Upload)
        .where(
            Upload.id == upload_id,
            Upload.state.in_(AT_WORK),
            Upload.claimed_at.is_(None) | (Upload.claimed_at <= lost_before),
        )
        .values(claim=claim, claimed_at=now, attempts=Upload.attempts + 1)
        .execution_options(synchronize_session=False)
    )
    return bool(claimed.rowcount)  # type: ignore[attr-defined]


# --- what staff said of columns -----------------------------------------------------------------------------


def find_matching(session: Session, headings: str) -> ListMatching | None:
    return session.scalar(select(ListMatching).where(ListMatching.headings == headings))


# --- for the host's sweeps: rows of every practice ----------------------------------------------------------


def list_waiting(claimed_before: datetime, most: int) -> list[tuple[str, int]]:
    """(practice, id) of those that a worker is to work on, and none has claimed since then."""
    with everything() as session:
        rows = session.execute(
            select(Upload.practice_id, Upload.id)
            .where(
                _IS_OPEN,
                Upload.state.in_(AT_WORK),
                Upload.changed_at <= claimed_before,
                Upload.claimed_at.is_(None) | (Upload.claimed_at <= claimed_before),
            )
            .order_by(Upload.changed_at)
            .limit(most)
        )
        return [(practice_id, id_) for practice_id, id_ in rows]


def list_old(session: Session, changed_before: datetime, most: int) -> Sequence[Upload]:
    """Locked; those that a worker or somebody of the staff is at just now are left out."""
    old = select(Upload).where(Upload.changed_at <= changed_before).limit(most)
    return session.scalars(old.with_for_update(skip_locked=True)).all()
