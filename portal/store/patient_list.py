"""The list of patients and its search, a page at a time, whatever the table's size."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

from sqlalchemy import Select, and_, or_, select, union_all
from sqlalchemy.orm import Session

from portal.core.patient_search import Query
from portal.core.reminders import Preference
from portal.store.name_index import find_by_name
from portal.store.patients import Patient, PhoneRow

_Rows: TypeAlias = Select[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Line:
    """A patient in the list. `searched`: the place in the order of names."""

    id: int
    external_id: str
    first_name: str
    last_name: str
    date_of_birth: date | None
    preference: Preference | None
    archived: bool
    searched: str

    @property
    def full_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)


_LINE: _Rows = select(
    Patient.id,
    Patient.external_id,
    Patient.first_name,
    Patient.last_name,
    Patient.date_of_birth,
    Patient.preference,
    Patient.archived,
    Patient.searched,
)


def list_newest(session: Session, most: int, before: int | None = None) -> list[Line]:
    """The newest first, of those with a row id below `before`."""
    statement = _LINE.order_by(Patient.id.desc()).limit(most)
    return _lines(session, statement if before is None else statement.where(Patient.id < before))


def list_by_name(session: Session, most: int, after: tuple[str, int] | None = None) -> list[Line]:
    """In the order of names, from the one after `after` (its place, its row id) on."""
    statement = _LINE.order_by(Patient.searched, Patient.id).limit(most)
    if after is not None:
        name, id_ = after
        # The first condition is what the index is asked for.
        statement = statement.where(
            Patient.searched >= name, or_(Patient.searched > name, and_(Patient.searched == name, Patient.id > id_))
        )
    return _lines(session, statement)


def find(session: Session, practice_id: str, query: Query, most: int, before: int | None = None) -> list[Line]:
    """The newest first, of those with a row id below `before`."""
    found = _find_by_values(session, query, most, before)
    if query.words:
        found |= set(find_by_name(session, practice_id, query.words, most, before))
    return _list_by_id(session, sorted(found, reverse=True)[:most])


def _find_by_values(session: Session, query: Query, most: int, before: int | None) -> set[int]:
    wanted = [select(Patient.id).where(Patient.external_id == query.id)] if query.id else []
    for end in query.ends:
        begin = end[::-1]
        is_there = (PhoneRow.backwards >= begin, PhoneRow.backwards < begin + ":")  # ":" comes after 9
        wanted.append(select(PhoneRow.patient_id).where(*is_there, PhoneRow.removed_at.is_(None)).distinct())
    if query.born:
        wanted.append(select(Patient.id).where(Patient.date_of_birth.between(*query.born)))
    if not wanted:
        return set()
    # Each on its own, so that each goes by its index.
    parts = []
    for statement in wanted:
        column = next(iter(statement.selected_columns))
        if before is not None:
            statement = statement.where(column < before)
        parts.append(select(statement.order_by(column.desc()).limit(most).subquery().c[0]))
    return set(session.scalars(union_all(*parts)))


def _list_by_id(session: Session, ids: Collection[int]) -> list[Line]:
    """The newest first."""
    return _lines(session, _LINE.where(Patient.id.in_(ids)).order_by(Patient.id.desc())) if ids else []


def _lines(session: Session, statement: _Rows) -> list[Line]:
    return [Line(*row) for row in session.execute(statement)]
