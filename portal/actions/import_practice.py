"""Take a practice's export folder: read and check all of it, then save it in one transaction."""

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from portal import store
from portal.actions.importing.apply import Apply
from portal.actions.importing.appointments import cancel_missing, find_missing, follow_zones
from portal.actions.importing.check import Check
from portal.actions.importing.practice_file import (
    FILE,
    SENDER_TAKEN,
    PracticeFile,
    apply_practice,
    find_taken_sender,
    key_of,
    read_practice,
    record_new_practice,
)
from portal.actions.importing.problems import CannotImport, Problem, Rejects, Report
from portal.actions.importing.results import Conflict, Counts, ImportResult
from portal.actions.importing.scratch import Scratch
from portal.actions.importing.tables import APPOINTMENTS, IN_ORDER, PATIENTS, PHONE_NUMBERS
from portal.store.imported import IMPORTING, plan_each_lookup
from portal.store.imports import ImportRun
from portal.store.practices import NoSuchPractice, Practice

__all__ = ["CannotImport", "Conflict", "Counts", "ImportResult", "Problem", "Report", "import_folder"]


def import_folder(
    folder: Path,
    now: datetime,
    *,
    report: Report,
    practice_id: str | None = None,
    accept_valid: bool = False,
    withdraw_missing: bool = False,
    rejects: Path = Path("rejects.csv"),
) -> ImportResult:
    """Import an export folder; importing the same one again changes nothing.

    Where a row is bad nothing is imported, unless `accept_valid`: then the rest is, without the rows that refer
    to a bad one, and the bad ones are written to `rejects`. `practice_id` names the practice where the folder
    has no practice.json. Raises CannotImport where there is nothing to read or nowhere to write.
    """
    started = time.perf_counter()
    files = _list_files(folder)
    file = read_practice(folder / FILE) if FILE in files else None
    id_ = _find_id(file, practice_id)
    with ExitStack() as stack:
        rejected = Rejects(rejects) if accept_valid else None
        if rejected:
            stack.callback(rejected.discard)
        scratch = stack.enter_context(Scratch())
        with store.reading(id_ or "") as session:
            is_new = file is not None and store.practices.find_practice(session, id_ or "") is None
            country = file.values.get("country") if file and is_new else None
            check = Check(session, scratch, report, rejected, country)
            _check_practice(session, check, file, id_)
            is_refused = check.problems > 0  # nothing can be imported into a practice that is not understood
            for table in IN_ORDER:
                if table.file in files and id_:
                    check.check_file(folder / table.file, table)
        is_refused = is_refused or (check.problems > 0 and not accept_valid)
        saved = _Saved()
        if id_ and not is_refused:
            with store.transaction(id_) as session:
                saved = _save(session, id_, file, check, withdraw_missing, now)
                seconds = time.perf_counter() - started
                _record(session, id_, saved, now, seconds)
                if rejected:
                    rejected.keep()
    return ImportResult(
        practice_id=id_,
        is_imported=not is_refused,
        is_new=saved.is_new,
        counts=saved.counts,
        conflicts=saved.conflicts,
        missing=saved.missing,
        drafts=check.drafts,
        problems=check.problems,
        rejects=rejects if not is_refused and rejected and rejected.rows else None,
        seconds=time.perf_counter() - started,
    )


def _list_files(folder: Path) -> set[str]:
    """Those files of an export that are there."""
    names = (FILE, *(table.file for table in IN_ORDER))
    try:
        if not folder.is_dir():
            raise CannotImport(f"{folder} is not a folder.")
        there = {name for name in names if (folder / name).exists()}
    except OSError as error:
        raise CannotImport(f"{folder} cannot be read: {error.strerror}.") from None
    if not there:
        raise CannotImport(f"{folder} holds no export: none of {', '.join(names)} is in it.")
    return there


def _find_id(file: PracticeFile | None, named: str | None) -> str | None:
    if file is None and named is None:
        with store.everything() as session:
            ids = [practice.id for practice in store.practices.list_practices(session)]
        if len(ids) == 1:
            return ids[0]
        raise CannotImport(f"There is no {FILE} in the folder: say with --practice which practice this is.")
    if file is None or named is None:
        return named if file is None else file.id
    if file.id is not None and file.id != named:
        raise CannotImport(f"{FILE} is that of the practice {file.id!r}, not of {named!r}.")
    return file.id


def _check_practice(session: Session, check: Check, file: PracticeFile | None, id_: str | None) -> None:
    if file is None and id_ is not None:
        try:
            store.practices.get_practice(session, id_)
        except NoSuchPractice as error:
            raise CannotImport(f"{error} A new one needs its {FILE}.") from None
    if file is not None:
        for problem in file.problems:
            check.say(problem)
        if id_ is not None and not file.problems and (taken := find_taken_sender(session, id_, file)):
            check.say(taken)


@dataclass(frozen=True, slots=True)
class _Saved:
    is_new: bool = False
    counts: dict[str, Counts] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    missing: tuple[str, ...] = ()


def _save(
    session: Session,
    practice_id: str,
    file: PracticeFile | None,
    check: Check,
    withdraw_missing: bool,
    now: datetime,
) -> _Saved:
    session.info[IMPORTING] = True
    plan_each_lookup(session)
    is_new = file is not None and record_new_practice(session, practice_id, file, now)
    practice = _lock(session, practice_id)
    country = practice.country
    counts = {name: Counts(read=found.read, rejected=found.rejected) for name, found in check.files.items()}
    conflicts: list[Conflict] = []
    if file is not None:
        counts = {FILE: Counts(read=1, added=int(is_new))} | counts
        if not is_new:
            merged = apply_practice(session, practice, file, now)
            counts[FILE].changed = int(bool(merged.values))
            counts[FILE].unchanged = 1 - counts[FILE].changed
            conflicts = [Conflict(FILE, practice_id, key_of(filled)) for filled in merged.conflicts]
    zones = store.practices.list_zones(session)
    apply = Apply(session, practice, check.scratch, check.report, counts, check.sizes, now)
    for table in IN_ORDER:
        if table.file not in check.files:
            continue
        if table is PHONE_NUMBERS:
            apply.apply_numbers(
                is_whole=check.files[table.file].is_whole, are_patients_there=PATIENTS.file in check.files
            )
        else:
            apply.apply_rows(table)
    if practice.country != country:
        store.patients.parse_numbers_again(session, practice_id, practice.country)
    if moved := [id_ for id_, zone in store.practices.list_zones(session).items() if zones.get(id_, zone) != zone]:
        follow_zones(session, practice_id, moved)
    missing: list[str] = []
    if APPOINTMENTS.file in check.files and check.files[APPOINTMENTS.file].is_whole:
        for some in find_missing(session, check.scratch, now):
            missing += some.values()
            if withdraw_missing:
                cancel_missing(session, practice_id, some.keys(), now)
    return _Saved(is_new, counts, (*conflicts, *apply.conflicts), tuple(missing))


def _lock(session: Session, practice_id: str) -> Practice:
    try:
        return store.practices.lock_practice(session, practice_id)
    except NoSuchPractice:
        # It could not be recorded: somebody was faster with its number.
        raise CannotImport(f"{FILE}: sender: {SENDER_TAKEN}") from None


def _record(session: Session, practice_id: str, saved: _Saved, now: datetime, seconds: float) -> None:
    session.add(
        ImportRun(
            practice_id=practice_id,
            at=now,
            counts={name: asdict(counts) for name, counts in saved.counts.items()},
            conflicts=[asdict(conflict) for conflict in saved.conflicts],
            seconds=seconds,
        )
    )
    session.flush()
