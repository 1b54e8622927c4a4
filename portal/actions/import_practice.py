"""Take a practice's export folder: read and check all of it, then save it in one transaction."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from portal import store
from portal.actions.importing.apply import Apply
from portal.actions.importing.appointments import cancel_missing, find_missing, follow_zones
from portal.actions.importing.check import Check
from portal.actions.importing.merge import Merged
from portal.actions.importing.plan import Plan
from portal.actions.importing.practice_file import (
    FILE,
    SENDER_TAKEN,
    PracticeFile,
    apply_practice,
    find_taken_sender,
    key_of,
    merge_practice,
    read_practice,
    record_new_practice,
)
from portal.actions.importing.problems import CannotImport, NotAsAgreed, Problem, Rejects, Report
from portal.actions.importing.results import Conflict, Counts, Example, ImportResult, Planned
from portal.actions.importing.scratch import Scratch
from portal.actions.importing.tables import APPOINTMENTS, IN_ORDER, PATIENTS, PHONE_NUMBERS
from portal.store.imported import IMPORTING, as_json, plan_each_lookup
from portal.store.imports import ImportRun
from portal.store.practices import NoSuchPractice, Practice

__all__ = [
    "CannotImport",
    "Conflict",
    "Counts",
    "ImportResult",
    "NotAsAgreed",
    "Planned",
    "Problem",
    "Report",
    "import_folder",
    "plan_folder",
]


def import_folder(
    folder: Path,
    now: datetime,
    *,
    report: Report,
    practice_id: str | None = None,
    accept_valid: bool = False,
    withdraw_missing: bool = False,
    rejects: Path = Path("rejects.csv"),
    is_whole: bool = True,
    agreed: str | None = None,
    when_done: Callable[[Session, ImportResult], None] | None = None,
) -> ImportResult:
    """Import an export folder; importing the same one again changes nothing.

    Where a row is bad nothing is imported, unless `accept_valid`: then the rest is, without the rows that refer
    to a bad one, and the bad ones are written to `rejects`. `practice_id` names the practice where the folder
    has no practice.json. `is_whole`: the folder holds all that its source does, so what is missing there is gone.
    `agreed`: the fingerprint of a plan; nothing else is done than what it was made of.
    `when_done` is called at the end of the import's own transaction.
    Raises CannotImport where there is nothing to read or nowhere to write, NotAsAgreed.
    """
    started = time.perf_counter()
    export = _open(folder, practice_id)
    id_ = export.practice_id
    with ExitStack() as stack:
        rejected = Rejects(rejects) if accept_valid else None
        if rejected:
            stack.callback(rejected.discard)
        scratch = stack.enter_context(Scratch())
        with store.reading(id_ or "") as session:
            check, is_refused = _check(session, export, scratch, report, rejected)
        is_refused = is_refused or (check.problems > 0 and not accept_valid)
        saved = _Saved()

        def result() -> ImportResult:
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

        if id_ and not is_refused:
            with store.transaction(id_) as session:
                saved = _save(session, id_, export.file, check, is_whole, withdraw_missing, now)
                if agreed is not None and saved.fingerprint != agreed:
                    raise NotAsAgreed
                _record(session, id_, saved, now, time.perf_counter() - started)
                if rejected:
                    rejected.keep()
                if when_done:
                    when_done(session, result())
    return result()


def plan_folder(
    folder: Path, now: datetime, *, report: Report, practice_id: str, rejects: Path, is_whole: bool = True
) -> Planned:
    """What `import_folder` would do with `accept_valid`, for a practice that is there. It only reads, and writes
    `rejects`. Raises CannotImport."""
    export = _open(folder, practice_id)
    with ExitStack() as stack:
        rejected = Rejects(rejects)
        stack.callback(rejected.discard)
        scratch = stack.enter_context(Scratch())
        with store.reading(practice_id) as session:
            practice = _get(session, practice_id)
            check, is_refused = _check(session, export, scratch, report, rejected)
            rejected.keep()
            saved = _plan(session, practice, export.file, check, is_whole, now) if not is_refused else _Saved()
    return Planned(
        may_be_imported=not is_refused,
        counts=saved.counts,
        conflicts=saved.conflicts,
        missing=saved.missing,
        drafts=check.drafts,
        problems=check.problems,
        has_rejects=rejected.rows > 0,
        examples=saved.examples,
        fingerprint=saved.fingerprint,
        with_withdrawal=saved.with_withdrawal,
    )


@dataclass(frozen=True, slots=True)
class _Export:
    """`practice_id` is None where practice.json does not tell it."""

    folder: Path
    files: set[str]
    file: PracticeFile | None
    practice_id: str | None


def _open(folder: Path, practice_id: str | None) -> _Export:
    files = _list_files(folder)
    file = read_practice(folder / FILE) if FILE in files else None
    return _Export(folder, files, file, _find_id(file, practice_id))


def _check(
    session: Session, export: _Export, scratch: Scratch, report: Report, rejected: Rejects | None
) -> tuple[Check, bool]:
    """And whether nothing can be imported, since the practice is not understood."""
    id_, file = export.practice_id, export.file
    is_new = file is not None and store.practices.find_practice(session, id_ or "") is None
    country = file.values.get("country") if file and is_new else None
    check = Check(session, scratch, report, rejected, country)
    _check_practice(session, check, file, id_)
    is_refused = check.problems > 0
    for table in IN_ORDER:
        if table.file in export.files and id_:
            check.check_file(export.folder / table.file, table)
    return check, is_refused


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
        says = f"{FILE} is that of the practice “{file.id}”, and this practice is “{named}”. Is it the right folder?"
        raise CannotImport(f"{says} Then take {FILE} out of it, or write “{named}” as its id, and import it again.")
    return file.id


def _check_practice(session: Session, check: Check, file: PracticeFile | None, id_: str | None) -> None:
    if file is None and id_ is not None:
        _get(session, id_)
    if file is not None:
        for problem in file.problems:
            check.say(problem)
        if id_ is not None and not file.problems and (taken := find_taken_sender(session, id_, file)):
            check.say(taken)


def _get(session: Session, practice_id: str) -> Practice:
    try:
        return store.practices.get_practice(session, practice_id)
    except NoSuchPractice as error:
        raise CannotImport(f"{error} A new one needs its {FILE}.") from None


@dataclass(frozen=True, slots=True)
class _Saved:
    is_new: bool = False
    counts: dict[str, Counts] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    missing: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    fingerprint: str = ""
    with_withdrawal: str = ""


def _save(
    session: Session,
    practice_id: str,
    file: PracticeFile | None,
    check: Check,
    is_whole: bool,
    withdraw_missing: bool,
    now: datetime,
) -> _Saved:
    session.info[IMPORTING] = True
    plan_each_lookup(session)
    is_new = file is not None and record_new_practice(session, practice_id, file, now)
    practice = _lock(session, practice_id)
    country = practice.country
    merged = apply_practice(session, practice, file, now) if file is not None and not is_new else None
    zones = store.practices.list_zones(session)
    apply = Apply(session, practice, check.scratch, check.report, _begin(check, merged, is_new), check.sizes, now)
    _apply(apply, check, practice, merged)
    if practice.country != country:
        store.patients.parse_numbers_again(session, practice_id, practice.country)
    if moved := [id_ for id_, zone in store.practices.list_zones(session).items() if zones.get(id_, zone) != zone]:
        follow_zones(session, practice_id, moved)
    missing: list[str] = []
    for some in _find_missing(session, check, is_whole, now):
        missing += some.values()
        if withdraw_missing:
            cancel_missing(session, practice_id, some.keys(), now)
            apply.counts[APPOINTMENTS.file].removed += len(some)
    if withdraw_missing:
        apply.fingerprint.add(missing)
    return _Saved(is_new, apply.counts, tuple(apply.conflicts), tuple(missing), fingerprint=str(apply.fingerprint))


def _plan(
    session: Session, practice: Practice, file: PracticeFile | None, check: Check, is_whole: bool, now: datetime
) -> _Saved:
    """As `_save`, and nothing is written."""
    plan_each_lookup(session)
    merged = merge_practice(practice, file.values) if file else None
    plan = Plan(session, practice, check.scratch, check.report, _begin(check, merged, False), check.sizes, now)
    if merged and merged.values:
        plan.tell_practice(practice, merged)
    _apply(plan, check, practice, merged)
    fingerprint = str(plan.fingerprint)
    missing = [id_ for some in _find_missing(session, check, is_whole, now) for id_ in some.values()]
    plan.fingerprint.add(missing)
    return _Saved(
        False,
        plan.counts,
        tuple(plan.conflicts),
        tuple(missing),
        tuple(plan.examples),
        fingerprint,
        with_withdrawal=str(plan.fingerprint),
    )


def _begin(check: Check, merged: Merged | None, is_new: bool) -> dict[str, Counts]:
    """The counts of what was read; of practice.json, which is saved already, all."""
    counts = {name: Counts(read=found.read, rejected=found.rejected) for name, found in check.files.items()}
    if merged is None and not is_new:
        return counts
    is_changed = merged is not None and bool(merged.values)
    unchanged = int(not is_new and not is_changed)
    return {FILE: Counts(read=1, added=int(is_new), changed=int(is_changed), unchanged=unchanged)} | counts


def _apply(apply: Apply, check: Check, practice: Practice, merged: Merged | None) -> None:
    if merged:
        apply.fingerprint.add(FILE, sorted(merged.values.items()), merged.conflicts)
        theirs = merged.staff_changed or {}
        apply.conflicts += [
            Conflict(FILE, practice.id, key_of(name), None, as_json(getattr(practice, name)), theirs[name])
            for name in merged.conflicts
        ]
    for table in IN_ORDER:
        if table.file not in check.files:
            continue
        if table is PHONE_NUMBERS:
            apply.apply_numbers(
                is_whole=check.files[table.file].is_whole, are_patients_there=PATIENTS.file in check.files
            )
        else:
            apply.apply_rows(table)


def _find_missing(session: Session, check: Check, is_whole: bool, now: datetime) -> Iterator[dict[int, str]]:
    if is_whole and APPOINTMENTS.file in check.files and check.files[APPOINTMENTS.file].is_whole:
        yield from find_missing(session, check.scratch, now)


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
            conflicts=[conflict.without_values() for conflict in saved.conflicts],
            seconds=seconds,
        )
    )
    session.flush()
