"""Numbers that are tidied up: filed as Mobile, many at once after a look at each, corrected or added; and put back.

What is done stands together in one batch, with who did it and what each number was before. Wishes of patients are no
part of it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.patients import (
    Case,
    NoSuchPatient,
    Refused,
    add_in,
    change_in,
    file_in,
    find_case,
    put_back_in,
)
from portal.actions.tidy import MOST, at_fault, find_coming
from portal.actions.who import Who
from portal.core import contacts
from portal.core.numbers import PhoneType
from portal.core.tidying import Fault, faults_of
from portal.store.patients import Patient, PhoneRow
from portal.store.practices import Practice
from portal.store.tidying import Fate, TidiedNumber, Tidying, What


class NoSuchBatch(store.NotThere):
    def __init__(self) -> None:
        super().__init__("There is no such batch.")


@dataclass(frozen=True, slots=True)
class ToFile:
    """A number that would be filed as Mobile. `before`, `after`: as `contacts.filed` has them."""

    patient: Patient
    row: PhoneRow
    before: str
    after: str


def plan_filing(practice: Practice, number_ids: Collection[int] | None, now: datetime) -> list[ToFile]:
    """What filing these would do: nothing to those that have been mended meanwhile. None: all that the list has."""
    with store.reading(practice.id) as session:
        if number_ids is None:
            patient_ids: Collection[int] = find_coming(session, practice, Fault.TO_FILE, now)
        else:
            patient_ids = store.tidying.find_owners(session, sorted(number_ids)[:MOST])
        found = _to_file(session, practice, patient_ids)
    return [one for one in found if number_ids is None or one.row.id in number_ids]


def _to_file(session: Session, practice: Practice, patient_ids: Collection[int]) -> list[ToFile]:
    """In the order of `patient_ids`."""
    patients = store.tidying.find_patients(session, patient_ids)
    rows = store.today.list_number_rows(session, patient_ids)
    found = []
    for patient_id in patient_ids:
        patient, theirs = patients.get(patient_id), rows.get(patient_id, [])
        if patient is None or patient.archived:
            continue
        numbers = [row.as_number() for row in theirs]
        if Fault.TO_FILE in faults_of(numbers, patient.email, practice.countries):
            found += [
                ToFile(patient, one.row, one.filed, contacts.filed(PhoneType.MOBILE, one.row.number))
                for one in at_fault(practice, Fault.TO_FILE, theirs)
            ]
    return found


@dataclass(frozen=True, slots=True)
class Tidied:
    """`batch_id`: None where nothing was left to do. `left`: how many of those asked for somebody had changed since
    they were shown."""

    batch_id: int | None
    done: int
    left: int


def file_numbers(practice_id: str, seen: Mapping[int, str], who: Who, now: datetime) -> Tidied:
    """`seen`: each number's row id, with how it was filed when it was shown. None is filed that stands otherwise by
    now, or whose patient can be texted meanwhile."""
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        wanted = dict(sorted(seen.items())[:MOST])
        patient_ids = store.tidying.find_owners(session, list(wanted))
        filed = file_in_a_batch(session, practice, patient_ids, wanted, who, now)
    return Tidied(filed.batch_id, filed.done, len(seen) - filed.done)


def file_in_a_batch(
    session: Session,
    practice: Practice,
    patient_ids: Collection[int],
    seen: Mapping[int, str] | None,
    who: Who,
    now: datetime,
) -> Tidied:
    """For the patients of whom none of their numbers can be texted. The practice is locked. `seen`: as in
    `file_numbers`; None: whatever is on file now."""
    items = []
    for one in _to_file(session, practice, patient_ids):
        if seen is not None and seen.get(one.row.id) != one.before:
            continue
        with suppress(Refused):  # too long for a form, say
            if file_in(find_case(session, practice, one.patient.id, who, now), one.row):
                items.append((one.patient.id, one.row, one.before))
    return Tidied(_record(session, What.FILED, items, who, now), len(items), 0)


def is_there(practice_id: str, number_id: int) -> bool:
    with store.reading(practice_id) as session:
        return bool(store.tidying.find_owners(session, [number_id]))


def correct_number(
    practice_id: str, number_id: int, type_: str, number: str, *, seen: str | None, who: Who, now: datetime
) -> Tidied:
    """Of what is filed as Mobile and is none. Raises NoSuchPatient, Refused."""

    def correct(case: Case, row: PhoneRow | None) -> PhoneRow | None:
        assert row is not None
        return row if change_in(case, row, type_, number, seen=seen) else None

    return _mend(practice_id, What.CORRECTED, correct, who, now, number_id=number_id)


def add_mobile(practice_id: str, patient_id: int, number: str, *, who: Who, now: datetime) -> Tidied:
    """For a patient who could not be reached. Raises NoSuchPatient, Refused."""

    def add(case: Case, _: PhoneRow | None) -> PhoneRow | None:
        return add_in(case, PhoneType.MOBILE, number)

    return _mend(practice_id, What.ADDED, add, who, now, patient_id=patient_id)


def _mend(
    practice_id: str,
    what: What,
    act: Callable[[Case, PhoneRow | None], PhoneRow | None],
    who: Who,
    now: datetime,
    *,
    number_id: int | None = None,
    patient_id: int | None = None,
) -> Tidied:
    """One number; `act` returns its row, or None where it was so already."""
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        row = session.get(PhoneRow, number_id) if number_id else None
        owner = row.patient_id if row else patient_id
        if owner is None:
            raise NoSuchPatient
        before = contacts.filed(row.type, row.number) if row else ""
        mended = act(find_case(session, practice, owner, who, now), row)
        items = [(owner, mended, before)] if mended else []
        return Tidied(_record(session, what, items, who, now), len(items), 0)


def _record(
    session: Session, what: What, items: Sequence[tuple[int, PhoneRow, str]], who: Who, now: datetime
) -> int | None:
    """`items`: (patient, number's row, how it was filed before)."""
    if not items:
        return None
    batch = Tidying(at=now, by=who.name, by_id=who.user_id, what=what, numbers=len(items))
    session.add(batch)
    session.flush()  # the rows that are new have their ids
    session.add_all(
        TidiedNumber(
            tidying_id=batch.id,
            patient_id=patient_id,
            number_id=row.id,
            before=before,
            after=contacts.filed(row.type, row.number),
            fate=Fate.DONE,
        )
        for patient_id, row, before in items
    )
    session.flush()
    return batch.id


# --- put back ---------------------------------------------------------------------------------------------------


def undo(practice_id: str, batch_id: int, who: Who, now: datetime) -> bool:
    """Put each number back as it was, but those that somebody has changed since. False where it was undone already.

    Raises NoSuchBatch.
    """
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        batch = store.tidying.find_tidying(session, batch_id)
        if batch is None:
            raise NoSuchBatch
        if batch.undone_at is not None:
            return False
        tidied = store.tidying.list_tidied(session, batch_id)
        rows = store.tidying.find_number_rows(session, [one.number_id for one, _ in tidied])
        for one, patient in tidied:
            row = rows.get(one.number_id)
            is_theirs = row is not None and row.patient_id == patient.id
            case = find_case(session, practice, patient.id, who, now)
            was_put_back = is_theirs and row is not None and put_back_in(case, row, one.before, one.after)
            one.fate = Fate.UNDONE if was_put_back else Fate.LEFT
        batch.undone_at, batch.undone_by, batch.undone_by_id = now, who.name, who.user_id
        session.flush()
        return True


@dataclass(frozen=True, slots=True)
class ShownBatch:
    """`left`: those that the undoing left as they are, all of them; `further`: the id to go on after."""

    batch: Tidying
    numbers: tuple[tuple[TidiedNumber, Patient], ...]
    left: tuple[tuple[TidiedNumber, Patient], ...]
    further: int | None


def show_batch(practice_id: str, batch_id: int, most: int, after: int = 0) -> ShownBatch:
    """Raises NoSuchBatch."""
    with store.reading(practice_id) as session:
        batch = store.tidying.find_tidying(session, batch_id)
        if batch is None:
            raise NoSuchBatch
        found = store.tidying.list_tidied(session, batch_id, most + 1, after)
        left = store.tidying.list_tidied(session, batch_id, fate=Fate.LEFT) if batch.undone_at else []
    shown = found[:most]
    return ShownBatch(batch, tuple(shown), tuple(left), shown[-1][0].id if len(found) > most else None)
