"""What keeps texts from patients and is mended in a minute: lists of it, by the appointments to come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.core import contacts
from portal.core.ahead import number_to_file
from portal.core.numbers import LineKind
from portal.core.tidying import Fault, faults_of, is_no_mobile, would_be_reached
from portal.store.facts import usable_template
from portal.store.patients import Patient, PhoneRow
from portal.store.practices import Practice
from portal.store.tidying import Suspect, Tidying, TypeToCome

AHEAD = timedelta(days=30)
MOST = 2000  # patients of a list; more are shown once these are mended
_LAST = 10  # batches


@dataclass(frozen=True, slots=True)
class Count:
    """`reached`: those of the patients who are texted once it is mended, for no wish of theirs is in the way.
    `is_part`: there are more than were counted."""

    patients: int
    reached: int
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class AtFault:
    """A number with what is wrong: `filed` as `contacts.filed` has it, which forms hand over. `says`: in words.
    `is_landline`: filed as Mobile, and good for calls."""

    row: PhoneRow
    filed: str
    says: str
    is_landline: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A patient with the numbers at fault, the first to be mended first. `visits`, `next_at`: see `Suspect`."""

    patient: Patient
    visits: int
    next_at: datetime | None
    numbers: tuple[AtFault, ...]
    is_reached: bool  # once it is mended


@dataclass(frozen=True, slots=True)
class Found:
    """Patients of one list. `count`: of all of it, None of the patients without appointments. `further`: the number
    of the next page, or the id to go on below; None at the end."""

    lines: tuple[Line, ...]
    count: Count | None
    further: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    counts: Mapping[Fault, Count]
    types: tuple[TypeToCome, ...]
    batches: Sequence[Tidying]

    @property
    def patients_of_types(self) -> int:
        """How many have an appointment of such a type; who has two of them is counted for each."""
        return sum(one.patients for one in self.types)


def look_over(practice: Practice, now: datetime) -> Overview:
    """How much there is of everything."""
    with store.reading(practice.id) as session:
        known = _list_coming(session, practice, tuple(Fault), now)
        types = _without_template(store.tidying.list_types_to_come(session, now, now + AHEAD))
        batches = store.tidying.list_tidyings(session, _LAST)
    return Overview({fault: known.count(fault) for fault in Fault}, types, batches)


def list_types(practice: Practice, now: datetime) -> tuple[TypeToCome, ...]:
    """Those whose appointments get no reminder, for they have no template that can be used."""
    with store.reading(practice.id) as session:
        return _without_template(store.tidying.list_types_to_come(session, now, now + AHEAD))


def _without_template(types: Iterable[TypeToCome]) -> tuple[TypeToCome, ...]:
    return tuple(one for one in types if usable_template(one.body, one.problem) is None)


def list_coming(practice: Practice, fault: Fault, now: datetime, most: int, page: int = 1) -> Found:
    """Of the patients with appointments to come, those of the most appointments first."""
    with store.reading(practice.id) as session:
        known = _list_coming(session, practice, (fault,), now)
        theirs = [one for one in known.suspects if fault in known.faults[one.patient.id]]
        shown = theirs[(page - 1) * most : page * most]
        lines = _lines(session, practice, fault, shown, known)
    return Found(lines, known.count(fault), page + 1 if len(theirs) > page * most else None)


def find_coming(session: Session, practice: Practice, fault: Fault, now: datetime) -> list[int]:
    """All patients of the list, in its order."""
    known = _list_coming(session, practice, (fault,), now)
    return [one.patient.id for one in known.suspects if fault in known.faults[one.patient.id]]


def list_others(practice: Practice, fault: Fault, now: datetime, most: int, before: int | None = None) -> Found:
    """Of those without, the newest first."""
    with store.reading(practice.id) as session:
        found = store.tidying.list_others(
            session, fault, practice.countries, now, now + AHEAD, most + 1, before=before
        )
        known = _look_at(session, practice, found[:most])
        theirs = [one for one in found[:most] if fault in known.faults[one.patient.id]]
        lines = _lines(session, practice, fault, theirs, known)
    return Found(lines, None, found[most - 1].patient.id if len(found) > most else None)


# --- who has what wrong -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    """What is wrong with each, by patient; and who is texted once it is mended."""

    suspects: Sequence[Suspect]
    faults: Mapping[int, frozenset[Fault]]
    reached: frozenset[int]
    is_part: bool

    def count(self, fault: Fault) -> Count:
        theirs = [id_ for id_, faults in self.faults.items() if fault in faults]
        return Count(len(theirs), len(self.reached.intersection(theirs)), self.is_part)


def _list_coming(session: Session, practice: Practice, faults: Sequence[Fault], now: datetime) -> _Known:
    found = store.tidying.list_coming(session, faults, practice.countries, now, now + AHEAD, MOST + 1)
    return _look_at(session, practice, found[:MOST], is_part=len(found) > MOST)


def _look_at(session: Session, practice: Practice, suspects: Sequence[Suspect], *, is_part: bool = False) -> _Known:
    ids = [one.patient.id for one in suspects]
    numbers = store.patients.list_numbers(session, ids)
    e164s = {one.e164 for theirs in numbers.values() for one in theirs if one.e164}
    opted_patients, opted_numbers = store.patients.list_opt_outs(session, ids, e164s)
    faults, reached = {}, set()
    for one in suspects:
        patient = one.patient
        theirs = numbers.get(patient.id, [])
        faults[patient.id] = faults_of(theirs, patient.email, practice.countries)
        is_opted_out = patient.id in opted_patients
        if would_be_reached(store.texts.facts_of(practice, patient, theirs, is_opted_out, opted_numbers)):
            reached.add(patient.id)
    return _Known(suspects, faults, frozenset(reached), is_part)


def _lines(
    session: Session, practice: Practice, fault: Fault, shown: Sequence[Suspect], known: _Known
) -> tuple[Line, ...]:
    rows = store.today.list_number_rows(session, [one.patient.id for one in shown])
    return tuple(
        Line(
            one.patient,
            one.visits,
            one.next_at,
            tuple(at_fault(practice, fault, rows.get(one.patient.id, ()))),
            one.patient.id in known.reached,
        )
        for one in shown
    )


def at_fault(practice: Practice, fault: Fault, rows: Sequence[PhoneRow]) -> Iterable[AtFault]:
    """Of one patient's numbers in the order entered, those that are to be mended."""
    wanted: Sequence[PhoneRow] = ()
    if fault is Fault.TO_FILE:
        e164 = number_to_file([row.as_number() for row in rows], practice.countries)
        wanted = [row for row in rows if e164 and row.e164 == e164][:1]
    elif fault is Fault.NO_NUMBER:
        wanted = [row for row in rows if is_no_mobile(row.as_number())]
    for row in wanted:
        check = contacts.check_number(row.type, row.number, practice.country, practice.countries)
        is_landline = row.kind is LineKind.FIXED_LINE
        yield AtFault(row, contacts.filed(row.type, row.number), check.says, is_landline)
