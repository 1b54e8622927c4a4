"""Patients who may be one person: listed with why, and side by side with what differs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from portal import store
from portal.actions.patients import NoSuchPatient
from portal.core.duplicates import Alike, is_similar_name
from portal.core.numbers import number_to_text
from portal.core.phrases import plain
from portal.store.duplicates import Coming, Person, Record, SharedNumber
from portal.store.imported import is_made_here
from portal.store.merges import Merged
from portal.store.patients import OptOut, Patient, PhoneRow
from portal.store.practices import Practice

AT_ONCE = 300  # shared numbers looked at for one page: most are families'
_COMING = 50


@dataclass(frozen=True, slots=True)
class Pair:
    first: Person
    second: Person


@dataclass(frozen=True, slots=True)
class Pairs:
    """`further`: where to go on, as the next page's address has it; empty at the end. `merges`: the last."""

    pairs: tuple[Pair, ...]
    further: str
    merges: Sequence[Merged]


def list_pairs(practice_id: str, alike: Alike, most: int, after: Sequence[int] = (), merges: int = 10) -> Pairs:
    """`after`: as `further` of the page before. A senseless one begins at the beginning."""
    with store.reading(practice_id) as session:
        done = store.merges.list_merges(session, merges)
        if alike is Alike.NAME_AND_BIRTH:
            place = (after[0], after[1]) if len(after) == 2 else None
            named = store.duplicates.list_named_alike(session, most + 1, place)
            pairs = [Pair(*one) for one in named[:most]]
            last = pairs[-1] if len(named) > most else None
            return Pairs(tuple(pairs), f"{last.first.id}-{last.second.id}" if last else "", done)
        shared = store.duplicates.list_shared_numbers(session, AT_ONCE, after[0] if len(after) == 1 else None)
        ids = {patient.id for one in shared for patient in one.patients}
        apart = store.merges.are_apart(session, ids)
        found, further = _similar(shared, apart, most)
        return Pairs(found, further, done)


def _similar(shared: Sequence[SharedNumber], apart: set[tuple[int, int]], most: int) -> tuple[tuple[Pair, ...], str]:
    """A page ends with a number."""
    pairs: dict[tuple[int, int], Pair] = {}
    for one in shared:
        if len(pairs) >= most:
            break
        for pair in _pairs(one.patients):
            key = (pair.first.id, pair.second.id)
            if key not in apart:
                pairs[key] = pair
        last = one
    has_more = bool(shared) and (last is not shared[-1] or len(shared) == AT_ONCE)
    return tuple(pairs.values()), str(last.id) if has_more else ""


def _pairs(patients: Sequence[Person]) -> Iterator[Pair]:
    """Without those that the other list has."""
    for index, one in enumerate(patients):
        for other in patients[index + 1 :]:
            is_in_the_other = bool(one.searched) and one.searched == other.searched
            if is_in_the_other and one.date_of_birth is not None and one.date_of_birth == other.date_of_birth:
                continue
            if is_similar_name(one.first_name, one.last_name, other.first_name, other.last_name):
                yield Pair(one, other)


# --- side by side -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two. `to`: the number that is texted, E.164. `is_from_export`: the practice's system knows it."""

    record: Record
    numbers: tuple[PhoneRow, ...]
    to: str | None
    opt_outs: tuple[OptOut, ...]
    coming: tuple[Coming, ...]
    is_from_export: bool

    @property
    def patient(self) -> Patient:
        return self.record.patient


@dataclass(frozen=True, slots=True)
class Compared:
    """`alike`: why they are listed; may be for neither. `at_once`: appointments that both have at the same time."""

    sides: tuple[Side, Side]
    same_name_and_birth: bool
    shared_numbers: tuple[str, ...]
    is_similar: bool
    at_once: tuple[Coming, ...]


def compare(practice: Practice, first_id: int, second_id: int, now: datetime) -> Compared:
    """Raises NoSuchPatient."""
    ids = (first_id, second_id)
    with store.reading(practice.id) as session:
        records = store.duplicates.list_records(session, ids)
        if len(records) < 2:
            raise NoSuchPatient
        numbers = store.today.list_number_rows(session, ids)
        e164s = {row.e164 for theirs in numbers.values() for row in theirs if row.e164}
        opt_outs = store.duplicates.list_opt_outs(session, ids, e164s)
        coming = store.duplicates.list_coming(session, ids, now, _COMING)
    one, other = (_side(practice, records[id_], numbers, opt_outs, coming) for id_ in ids)
    a, b = one.patient, other.patient
    times = {visit.starts_at for visit in one.coming}
    shared = [row.e164 for row in one.numbers if row.e164 and row.e164 in {theirs.e164 for theirs in other.numbers}]
    return Compared(
        (one, other),
        bool(a.searched) and (a.searched, a.date_of_birth) == (b.searched, b.date_of_birth) and bool(a.date_of_birth),
        tuple(dict.fromkeys(shared)),
        is_similar_name(a.first_name, a.last_name, b.first_name, b.last_name),
        tuple(visit for visit in other.coming if visit.starts_at in times),
    )


def _side(
    practice: Practice,
    record: Record,
    numbers: Mapping[int, Sequence[PhoneRow]],
    opt_outs: Sequence[OptOut],
    coming: Sequence[Coming],
) -> Side:
    patient = record.patient
    theirs = tuple(numbers.get(patient.id, ()))
    e164s = {row.e164 for row in theirs}
    return Side(
        record,
        theirs,
        number_to_text([row.as_number() for row in theirs], practice.countries),
        tuple(one for one in opt_outs if one.patient_id == patient.id or (one.e164 and one.e164 in e164s)),
        tuple(visit for visit in coming if visit.patient_id == patient.id),
        not is_made_here(patient.external_id),
    )


def known_as(external_id: str) -> str:
    """patient number 4711; of a record that staff added, that they did: its number is the portal's own."""
    return "added in the portal" if is_made_here(external_id) else f"patient number {plain(external_id, 40)}"
