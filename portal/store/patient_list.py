"""The list of patients and its search, a page at a time, whatever the table's size."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

from sqlalchemy import Select, and_, func, literal, or_, select, true, union_all
from sqlalchemy.orm import Session

from portal.core.patient_search import Query, spellings
from portal.core.phrases import full_name
from portal.core.reminders import Preference
from portal.store.merges import Merge
from portal.store.name_index import ABOVE_ALL, find_by_name
from portal.store.patients import Patient, PhoneRow

_Rows: TypeAlias = Select[*tuple[Any, ...]]

_LATEST = 1000  # patients whose names are looked at one by one


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
        return full_name(self.first_name, self.last_name)


@dataclass(frozen=True, slots=True)
class Likeness:
    """A patient who is like one to be added. `same`: what they share: name, birth date, number."""

    line: Line
    same: tuple[str, ...] = ()


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
    before = ABOVE_ALL if before is None else before
    found = _find_at_hand(session, query, most, before)
    if query.words and len(found) < most:
        found |= set(find_by_name(session, practice_id, query.words, most, before))
    return _list_by_id(session, sorted(found, reverse=True)[:most])


def find_alike(session: Session, searched: str, born: date | None, e164: str | None, most: int) -> list[Likeness]:
    """Who has that name and the same birth date, or one of the two has none; then who has that number. Each the
    likeliest first: a family may share a number, and would hide the one who is there twice."""
    has_number = and_(PhoneRow.e164 == e164, PhoneRow.removed_at.is_(None))
    theirs: list[int] = []
    if searched:
        same_birth = true() if born is None else or_(Patient.date_of_birth == born, Patient.date_of_birth.is_(None))
        named = select(Patient.id).where(Patient.searched == searched, same_birth)
        on_number = Patient.id.in_(select(PhoneRow.patient_id).where(has_number))
        order = (Patient.date_of_birth.is_(None), on_number.desc(), Patient.id.desc())
        theirs += session.scalars(named.order_by(*order).limit(most))
    sharing: list[int] = []
    if e164 is not None:
        shared = select(PhoneRow.patient_id).where(has_number).group_by(PhoneRow.patient_id)  # who has it twice, once
        order_of_shared = (PhoneRow.patient_id.in_(theirs).desc(), PhoneRow.patient_id.desc())
        sharing += session.scalars(shared.order_by(*order_of_shared).limit(most))
    ids = list(dict.fromkeys([*theirs, *sharing]))[:most]
    found = []
    for line in sorted(_list_by_id(session, ids), key=lambda line: ids.index(line.id)):
        is_born_then = line.id in theirs and born is not None and line.date_of_birth == born
        shares = {"name": line.id in theirs, "birth date": is_born_then, "number": line.id in sharing}
        found.append(Likeness(line, tuple(what for what, is_same in shares.items() if is_same)))
    return found


def _find_at_hand(session: Session, query: Query, most: int, before: int) -> set[int]:
    """All that an index has in order: ids, ends of numbers, birth dates; and whoever of the latest has such a name.

    A full-text index knows the newest only once it has gone through all that match. A name that many have is met
    among the latest, and so that index is asked only for what few have.
    """
    wanted = [select(Patient.id).where(Patient.external_id == query.id)] if query.id else []
    if query.id:  # also by that of a record that was merged into theirs
        wanted.append(select(Merge.kept_id).where(Merge.external_id == query.id))
    for end in query.ends:
        begin = end[::-1]
        is_there = (PhoneRow.backwards >= begin, PhoneRow.backwards < begin + ":")  # ":" comes after 9
        theirs = select(PhoneRow.patient_id).where(*is_there, PhoneRow.removed_at.is_(None))
        wanted.append(theirs.group_by(PhoneRow.patient_id))  # who has it twice is found once
    if query.born:
        wanted.append(select(Patient.id).where(Patient.date_of_birth.between(*query.born)))
    if query.words:
        name = (literal(" ") + Patient.searched).label("name")
        latest = select(Patient.id, name).where(Patient.id < before).order_by(Patient.id.desc()).limit(_LATEST)
        there = latest.subquery("latest")
        place = func.instr if session.get_bind().dialect.name == "sqlite" else func.strpos
        begins = [or_(*(place(there.c.name, f" {one}") > 0 for one in spellings(word))) for word in query.words]
        wanted.append(select(there.c.id).where(*begins))
    parts = []
    for statement in wanted:
        # Each on its own, and `+ 0`: so that each goes by its index, not through all patients from the newest.
        id_ = next(iter(statement.selected_columns)) + 0
        parts.append(select(statement.where(id_ < before).order_by(id_.desc()).limit(most).subquery().c[0]))
    return set(session.scalars(union_all(*parts)))


def _list_by_id(session: Session, ids: Collection[int]) -> list[Line]:
    """The newest first."""
    return _lines(session, _LINE.where(Patient.id.in_(ids)).order_by(Patient.id.desc())) if ids else []


def _lines(session: Session, statement: _Rows) -> list[Line]:
    return [Line(*row) for row in session.execute(statement)]
