"""Patients, their phone numbers, and who asked for no more texts."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    Date,
    Index,
    Row,
    Select,
    Text,
    UniqueConstraint,
    and_,
    event,
    func,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from portal.core.numbers import LineKind, PhoneNumber, PhoneType, parse_number
from portal.core.patient_search import backwards, searched_name
from portal.core.phrases import full_name
from portal.core.reminders import Preference
from portal.store.database import Mergeable, Model, PracticeOwned, belongs_to, referable, row_id, table_of
from portal.store.imported import Imported, update_rows
from portal.store.name_index import keep_with
from portal.store.types import RowId, UtcDateTime, words

# As an index's condition, which a query repeats to the letter: what is tidied up.
FILED_ELSEWHERE = "type <> 'Mobile' AND kind = 'mobile' AND removed_at IS NULL"
NO_MOBILE_AT_ALL = "type = 'Mobile' AND kind NOT IN ('mobile', 'fixed-line-or-mobile') AND removed_at IS NULL"

# By the letters' codes, on both databases, and so that an index serves the beginnings.
_IN_PLAIN_ORDER = Text().with_variant(Text(collation="C"), "postgresql")


class Patient(PracticeOwned, Imported, Mergeable, Model):
    """`consent_source`: how the patient agreed to marketing, in staff's words."""

    __tablename__ = "patients"
    IMPORTED_FIELDS = ("first_name", "last_name", "date_of_birth", "email", "preference", "archived")

    id: Mapped[int] = row_id()
    external_id: Mapped[str] = mapped_column(Text)
    first_name: Mapped[str] = mapped_column(Text)
    last_name: Mapped[str] = mapped_column(Text)
    date_of_birth: Mapped[date | None] = mapped_column(Date)
    email: Mapped[str] = mapped_column(Text)
    preference: Mapped[Preference | None] = mapped_column(words(Preference))  # None: the practice's default
    archived: Mapped[bool]
    consented_on: Mapped[date | None] = mapped_column(Date)  # to marketing; None: not, or not any more
    consent_source: Mapped[str | None] = mapped_column(Text)
    searched: Mapped[str] = mapped_column(_IN_PLAIN_ORDER, server_default="")  # the name's words, the last name first

    __table_args__ = (
        referable(),
        UniqueConstraint("practice_id", "external_id"),
        # With what tells whether two are one person.
        Index("ix_patients_name", "practice_id", "searched", "id", "date_of_birth", "merged_into_id"),
        Index("ix_patients_born", "practice_id", "date_of_birth", "id"),
        # Counted by these alone.
        Index("ix_patients_preference", "practice_id", "preference", "archived", "merged_into_id"),
    )

    @property
    def full_name(self) -> str:
        return full_name(self.first_name, self.last_name)


class PhoneRow(PracticeOwned, Imported, Model):
    """A number as staff typed it, and what the phone library made of it when it was saved.

    `out_of_service`: the E.164 number of which the phone company said so. It holds while the row has that number.

    A number that staff removed keeps its row (`removed_at`), so that the next import does not bring it back.
    """

    __tablename__ = "phone_numbers"
    IMPORTED_FIELDS = ("type", "number", "position")

    id: Mapped[int] = row_id()
    patient_id: Mapped[int] = mapped_column(RowId)
    position: Mapped[int]
    type: Mapped[PhoneType] = mapped_column(words(PhoneType))
    number: Mapped[str] = mapped_column(Text)
    e164: Mapped[str | None] = mapped_column(Text)
    region: Mapped[str | None] = mapped_column(Text)  # ISO 3166, of the number itself
    kind: Mapped[LineKind] = mapped_column(words(LineKind))
    from_export: Mapped[bool]
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    backwards: Mapped[str] = mapped_column(_IN_PLAIN_ORDER, server_default="")  # its digits, to search for its end
    out_of_service: Mapped[str | None] = mapped_column(Text)
    out_of_service_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        belongs_to("patient_id", "patients"),
        Index("ix_phone_numbers_patient", "practice_id", "patient_id"),
        Index("ix_phone_numbers_e164", "practice_id", "e164", "patient_id"),
        Index("ix_phone_numbers_backwards", "practice_id", "backwards", "patient_id"),
        *(
            Index(
                f"ix_phone_numbers_{name}",
                "practice_id",
                "patient_id",
                sqlite_where=text(condition),
                postgresql_where=text(condition),
            )
            for name, condition in (("filed_elsewhere", FILED_ELSEWHERE), ("no_mobile", NO_MOBILE_AT_ALL))
        ),
    )

    def retype(self, number: str, country: str) -> None:
        """Take another number, as typed; it is parsed here, once, and never in a pass."""
        before = self.e164
        for column, value in parsed_columns(number, country).items():
            setattr(self, column, value)
        if self.e164 != before:
            self.out_of_service = self.out_of_service_at = None

    @property
    def is_out_of_service(self) -> bool:
        return self.e164 is not None and self.out_of_service == self.e164

    def as_number(self) -> PhoneNumber:
        return PhoneNumber(self.type, self.number, self.e164, self.region, self.kind, self.is_out_of_service)


@event.listens_for(Patient, "before_insert")
@event.listens_for(Patient, "before_update")
def _keep_what_is_searched(_mapper: object, _connection: object, patient: Patient) -> None:
    """The import, which writes columns, does it by itself."""
    patient.searched = searched_name(patient.first_name, patient.last_name)


keep_with(table_of(Patient))


class OptOutSource(StrEnum):
    REPLY = "reply"  # the number texted STOP
    CARRIER = "carrier"
    STAFF = "staff"


class OptOut(PracticeOwned, Model):
    """Who asked for no texts: a number (whoever else uses it), or a patient. Lifted ones stay as history."""

    __tablename__ = "opt_outs"

    id: Mapped[int] = row_id()
    source: Mapped[OptOutSource] = mapped_column(words(OptOutSource))
    e164: Mapped[str | None] = mapped_column(Text)
    patient_id: Mapped[int | None] = mapped_column(RowId)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lifted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        belongs_to("patient_id", "patients"),
        CheckConstraint("(e164 IS NULL) <> (patient_id IS NULL)", name="number_or_patient"),
        Index("uq_opt_outs_practice_id_id", "practice_id", "id", unique=True),  # what a reply refers to
        Index("ix_opt_outs_e164", "practice_id", "e164"),
        Index("ix_opt_outs_patient", "practice_id", "patient_id"),
    )


def find_patient(session: Session, external_id: str) -> Patient | None:
    """Also by the id of a record that was merged into theirs."""
    named = aliased(Patient)
    id_ = select(func.coalesce(named.merged_into_id, named.id)).where(named.external_id == external_id)
    found = select(Patient).where(Patient.id == id_.scalar_subquery())
    return session.scalar(found.execution_options(with_merged=True))


def list_numbers(session: Session, patient_ids: Collection[int] | Select[int]) -> dict[int, list[PhoneNumber]]:
    """Each patient's numbers in the order entered. Reads columns, not objects: a pass reads thousands."""
    numbers: dict[int, list[PhoneNumber]] = {}
    rows = session.execute(
        select(
            PhoneRow.patient_id,
            PhoneRow.type,
            PhoneRow.number,
            PhoneRow.e164,
            PhoneRow.region,
            PhoneRow.kind,
            PhoneRow.out_of_service,
        )
        .where(PhoneRow.patient_id.in_(patient_ids), PhoneRow.removed_at.is_(None))
        .order_by(PhoneRow.patient_id, PhoneRow.position, PhoneRow.id)
    )
    for patient_id, type_, number, e164, region, kind, out_of_service in rows:
        is_out = e164 is not None and out_of_service == e164
        numbers.setdefault(patient_id, []).append(PhoneNumber(type_, number, e164, region, kind, is_out))
    return numbers


def count_with_mobile_in(session: Session, region: str) -> int:
    """Patients with a number of that country (ISO 3166) filed as Mobile. Reads all numbers of the practice: not for a
    page that is often opened."""
    there = (PhoneRow.region == region, PhoneRow.type == PhoneType.MOBILE, PhoneRow.removed_at.is_(None))
    return session.scalar(select(func.count(PhoneRow.patient_id.distinct())).where(*there)) or 0


def mark_out_of_service(session: Session, e164s: Collection[str], at: datetime) -> None:
    """The phone company says that no text can reach these numbers: of every patient who has one."""
    if e164s:
        session.execute(
            update(PhoneRow)
            .where(PhoneRow.e164.in_(e164s), PhoneRow.out_of_service.is_distinct_from(PhoneRow.e164))
            .values(out_of_service=PhoneRow.e164, out_of_service_at=at)
            .execution_options(synchronize_session=False)
        )


def lift_out_of_service(session: Session, e164s: Collection[str]) -> None:
    """Something arrived at these numbers, or came from them."""
    if e164s:
        session.execute(
            update(PhoneRow)
            .where(PhoneRow.e164.in_(e164s), PhoneRow.out_of_service.is_not(None))
            .values(out_of_service=None, out_of_service_at=None)
            .execution_options(synchronize_session=False)
        )


def record_carrier_opt_outs(session: Session, said_at: Mapping[str, datetime], at: datetime) -> None:
    """The phone company said of these numbers, then, that they have opted out. Once, while that stands; not where
    whoever has the phone has taken it back since."""
    found = session.execute(
        select(OptOut.e164, OptOut.source, OptOut.lifted_at).where(OptOut.e164.in_(said_at.keys()))
    )
    settled = {
        e164
        for e164, source, lifted_at in found
        if e164 and (source is OptOutSource.CARRIER if lifted_at is None else lifted_at >= said_at[e164])
    }
    for e164 in sorted(said_at.keys() - settled):
        session.add(OptOut(source=OptOutSource.CARRIER, e164=e164, recorded_at=at))
    session.flush()


def list_patients_after(session: Session, after: int, most: int) -> list[tuple[int, str]]:
    """(row id, the export's id) of the practice's patients by row id, from the one after `after` on."""
    found = select(Patient.id, Patient.external_id).where(Patient.id > after).order_by(Patient.id).limit(most)
    return [(id_, external_id) for id_, external_id in session.execute(found)]


def list_imported_numbers(session: Session, whose: ColumnElement[bool]) -> dict[int, list[dict[str, Any]]]:
    """For each patient, the rows that an export brought, also those that staff removed, in the order entered.

    `whose`: a condition on `PhoneRow.patient_id`."""
    numbers: dict[int, list[dict[str, Any]]] = {}
    for row in session.execute(
        select(
            PhoneRow.patient_id,
            PhoneRow.id,
            PhoneRow.type,
            PhoneRow.number,
            PhoneRow.position,
            PhoneRow.e164,
            PhoneRow.region,
            PhoneRow.kind,
            PhoneRow.backwards,
            PhoneRow.from_export,
            PhoneRow.removed_at,
            PhoneRow.staff_changed,
        )
        .where(whose, PhoneRow.from_export)
        .order_by(PhoneRow.patient_id, PhoneRow.position, PhoneRow.id)
    ):
        numbers.setdefault(row.patient_id, []).append(dict(row._mapping))
    return numbers


def parsed_columns(number: str, country: str) -> dict[str, Any]:
    """What a row of that number holds, for writing many at once; see `PhoneRow.retype`."""
    parsed = parse_number(number, country)
    return {
        "number": number,
        "e164": parsed.e164,
        "region": parsed.region,
        "kind": parsed.kind,
        "backwards": backwards(number, parsed.e164),
    }


def parse_numbers_again(session: Session, practice_id: str, country: str) -> None:
    """Where a practice has another country now, its numbers are read as that country's."""
    after = 0
    while rows := session.execute(
        select(PhoneRow.id, PhoneRow.number).where(PhoneRow.id > after).order_by(PhoneRow.id).limit(1000)
    ).all():
        after = rows[-1].id
        update_rows(
            session, PhoneRow, practice_id, [{"id": row.id} | parsed_columns(row.number, country) for row in rows]
        )


def list_number_rows(session: Session, patient_id: int) -> Sequence[PhoneRow]:
    """As staff see and mend them, in the order entered."""
    return session.scalars(
        select(PhoneRow)
        .where(PhoneRow.patient_id == patient_id, PhoneRow.removed_at.is_(None))
        .order_by(PhoneRow.position, PhoneRow.id)
    ).all()


def list_all_number_rows(session: Session, patient_id: int) -> Sequence[PhoneRow]:
    """In the order entered, also those that staff removed."""
    return session.scalars(
        select(PhoneRow).where(PhoneRow.patient_id == patient_id).order_by(PhoneRow.position, PhoneRow.id)
    ).all()


_OfPatient, _OfNumber = aliased(OptOut), aliased(OptOut)


def with_numbers(of_patients: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """With the patients' numbers in the order entered, and the opt-outs that hold for either: `numbers_of` reads them
    from the rows."""
    return (
        of_patients.add_columns(PhoneRow, _OfPatient, _OfNumber)
        .join(PhoneRow, and_(PhoneRow.patient_id == Patient.id, PhoneRow.removed_at.is_(None)), isouter=True)
        # Two joins, for each has its index: with one "or" a database may read all of a practice's.
        .join(_OfPatient, and_(_OfPatient.lifted_at.is_(None), _OfPatient.patient_id == Patient.id), isouter=True)
        .join(_OfNumber, and_(_OfNumber.lifted_at.is_(None), _OfNumber.e164 == PhoneRow.e164), isouter=True)
        .order_by(PhoneRow.position, PhoneRow.id)
    )


def numbers_of(rows: Sequence[Row[*tuple[Any, ...]]]) -> tuple[tuple[PhoneRow, ...], tuple[OptOut, ...]]:
    """One patient's numbers in the order entered, and the opt-outs that hold, the newest first."""
    numbers = tuple(dict.fromkeys(row[-3] for row in rows if row[-3]))
    opt_outs = {one for row in rows for one in row[-2:] if one}
    return numbers, tuple(sorted(opt_outs, key=lambda opt_out: -opt_out.id))


def find_staff_opt_out(session: Session, patient_id: int) -> OptOut | None:
    """What staff recorded for the patient, and nobody lifted."""
    return session.scalars(
        select(OptOut)
        .where(OptOut.patient_id == patient_id, OptOut.source == OptOutSource.STAFF, OptOut.lifted_at.is_(None))
        .limit(1)
    ).first()


def list_opt_outs(
    session: Session, patient_ids: Collection[int], numbers: Collection[str]
) -> tuple[frozenset[int], frozenset[str]]:
    """Those of the patients and of the E.164 numbers that are opted out now."""
    return _list_opt_outs(session, patient_ids, numbers)


def list_opt_outs_of(session: Session, patients: Select[int]) -> tuple[frozenset[int], frozenset[str]]:
    """As `list_opt_outs`, of those patients and their numbers."""
    theirs = select(PhoneRow.e164).where(PhoneRow.patient_id.in_(patients), PhoneRow.removed_at.is_(None))
    return _list_opt_outs(session, patients, theirs)


def _list_opt_outs(
    session: Session,
    patient_ids: Collection[int] | Select[int],
    numbers: Collection[str] | Select[str | None],
) -> tuple[frozenset[int], frozenset[str]]:
    holding = select(OptOut.patient_id, OptOut.e164).where(OptOut.lifted_at.is_(None))
    # Each on its own, for each has its index: with one "or" a database may read all of a practice's.
    rows = session.execute(
        union_all(holding.where(OptOut.patient_id.in_(patient_ids)), holding.where(OptOut.e164.in_(numbers)))
    ).all()
    return (
        frozenset(patient_id for patient_id, _ in rows if patient_id is not None),
        frozenset(e164 for _, e164 in rows if e164 is not None),
    )
