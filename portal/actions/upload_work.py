"""What a worker does with an uploaded file: check it, or import it as was agreed.

It may be killed at any moment, and another may begin before it has ended: what it did counts only where its claim
still stands, asked in the transaction that writes it. So an import is there whole and once, or not at all.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.import_practice import (
    CannotImport,
    ImportResult,
    NotAsAgreed,
    Planned,
    Problem,
    import_folder,
    plan_folder,
)
from portal.actions.importing.problems import Rejects
from portal.actions.upload_list import Converted, convert
from portal.actions.upload_zip import unpack
from portal.actions.uploads import LEASE, begin, end, refuse
from portal.actions.who import Who, note_change
from portal.core.lists import matching_from
from portal.store.changes import IMPORT, Subject
from portal.store.uploads import Upload, UploadKind, UploadPart, UploadState, in_pieces

_PREFIX = "portal-import-"
_ABANDONED = 6 * 3600  # seconds; no job lasts as long
_MOST_ATTEMPTS = 3
_MOST_FAULTS = 10_000  # each is written down twice, with its row
_LISTED = 200  # problems, conflicts, missing appointments
_EXPORT, _LEFT_OUT, _REJECTS = "export", "left-out.csv", "rejects.csv"  # in a job's folder
_TELLS = 0.4  # seconds between two reports

_GIVEN_UP = "It could not be finished, three times over. Your administrator finds the cause in the workers' log."
_TOO_MANY_FAULTS = f"It has more than {_MOST_FAULTS:,} faults: is this the right file?"

Tell = Callable[[int, int], None]


class _ClaimLost(Exception):
    """Another worker has it, or it was discarded."""


def work_on(practice_id: str, upload_id: int, now: Callable[[], datetime], tell: Tell) -> None:
    """Check or import it, whichever waits. `tell` hears how far it is: done, and of how much."""
    claim = token_hex(8)
    with store.transaction(practice_id) as session:
        if not store.uploads.claim_upload(session, upload_id, claim, now(), now() - LEASE):
            return
        upload = store.uploads.find_upload(session, upload_id)
    if upload is None:
        return
    job = _Job(upload, claim, now, tell)
    with suppress(_ClaimLost):
        try:
            if upload.attempts > _MOST_ATTEMPTS:
                raise CannotImport(_GIVEN_UP)
            if upload.state is UploadState.CHECKING or not job.import_it():
                job.check()
        except CannotImport as cannot:
            job.refuse(str(cannot))


class _Job:
    def __init__(self, upload: Upload, claim: str, now: Callable[[], datetime], tell: Tell) -> None:
        self._upload = upload
        self._practice_id = upload.practice_id
        self._claim = claim
        self._now = now
        self._tell = tell
        self._report = _Report(tell)
        self._list = Converted([], 0, 0, 0)

    @contextmanager
    def _fetched(self) -> Iterator[Path]:
        """A folder with the export's files in `export`. Raises CannotImport."""
        with _folder() as folder:
            self._fetch(folder)
            yield folder

    def _fetch(self, folder: Path) -> None:
        self._tell(0, 1)
        export = folder / _EXPORT
        export.mkdir()
        with (folder / "uploaded").open("w+b") as file:
            with store.reading(self._practice_id) as session:
                for piece in store.uploads.read_pieces(session, self._upload.id, UploadPart.FILE):
                    file.write(piece)
            if self._upload.kind is UploadKind.EXPORT:
                unpack(file, export)
        self._report = _Report(self._tell)
        if self._upload.kind is UploadKind.LIST:
            self._list = self._convert(folder)
        self._report.expect(export)

    def _convert(self, folder: Path) -> Converted:
        upload = self._upload
        matching = matching_from(upload.matching or {})
        rejected = Rejects(folder / _LEFT_OUT)
        try:
            with store.reading(self._practice_id) as session:
                converted = convert(
                    session,
                    folder / "uploaded",
                    upload.name,
                    matching,
                    store.practices.get_practice(session, self._practice_id).country,
                    folder / _EXPORT,
                    upload.uploaded_at,
                    self._report,
                    rejected,
                )
            rejected.keep()
        finally:
            rejected.discard()
        return converted

    def check(self) -> None:
        with self._fetched() as folder:
            planned = plan_folder(
                folder / _EXPORT,
                self._now(),
                report=self._report,
                practice_id=self._practice_id,
                rejects=folder / _REJECTS,
                is_whole=not self._list.left_out,
            )
            with self._claimed() as (session, upload):
                upload.found = self._found(planned)
                self._keep_rejects(session, upload, folder)
                begin(upload, UploadState.CHECKED, self._now())

    def import_it(self) -> bool:
        """False where it would not be what was agreed to: it is to be checked once more."""
        with self._fetched() as folder:

            def when_done(session: Session, result: ImportResult) -> None:
                upload = self._still_mine(session)
                upload.found = self._told(result)
                self._keep_rejects(session, upload, folder)
                who = Who(upload.agreed_by_id, upload.agreed_by or "")
                note_change(session, who, self._now(), Subject.PRACTICE, None, IMPORT, "", upload.name)
                end(session, upload, UploadState.IMPORTED, self._now())
                session.flush()

            try:
                result = import_folder(
                    folder / _EXPORT,
                    self._now(),
                    report=self._report,
                    practice_id=self._practice_id,
                    accept_valid=self._upload.accepts_valid,
                    withdraw_missing=self._upload.withdraws_missing,
                    rejects=folder / _REJECTS,
                    is_whole=not self._list.left_out,
                    agreed=self._upload.agreed,
                    when_done=when_done,
                )
                if result.is_imported:
                    return True
            except NotAsAgreed:
                pass
        with self._claimed() as (_, again):
            again.state, again.is_anew, again.agreed = UploadState.CHECKING, True, None
        return False

    def refuse(self, says: str) -> None:
        with self._claimed() as (session, upload):
            refuse(session, upload, says, self._now())

    def _found(self, planned: Planned) -> dict[str, Any]:
        """What the page shows of a check."""
        counts = planned.counts.values()
        left_out = self._list.left_out + sum(one.rejected for one in counts)
        is_any_good = not left_out or any(one.read > one.rejected for one in counts)
        return self._told(planned) | {
            "may_be_imported": planned.may_be_imported and is_any_good,
            "examples": [asdict(one) for one in planned.examples],
            "conflicts": [conflict.with_exported() for conflict in planned.conflicts[:_LISTED]],
            "creates": self._list.creates,
            "fingerprint": planned.fingerprint,
            "with_withdrawal": planned.with_withdrawal,
        }

    def _told(self, one: Planned | ImportResult) -> dict[str, Any]:
        has_rejects = one.has_rejects if isinstance(one, Planned) else one.rejects is not None
        return {
            "counts": {file: asdict(counts) for file, counts in one.counts.items()},
            "problems": [_as_shown(problem) for problem in self._report.problems],
            "problem_count": one.problems + self._list.problems,
            "warnings": [_as_shown(problem) for problem in self._report.warnings],
            "conflicts": [conflict.without_values() for conflict in one.conflicts[:_LISTED]],
            "conflict_count": len(one.conflicts),
            "missing": list(one.missing[:_LISTED]),
            "missing_count": len(one.missing),
            "examples": [],  # once it is over, no names and no values are kept
            "left_out": self._list.left_out,
            "rows": self._list.read,
            "has_rejects": has_rejects or self._list.left_out > 0,
        }

    def _keep_rejects(self, session: Session, upload: Upload, folder: Path) -> None:
        """The rows of a list that cannot be read, and those of an export that cannot be imported."""

        def pieces() -> Iterator[bytes]:
            there = [path for path in (folder / _LEFT_OUT, folder / _REJECTS) if path.exists()]
            for path in there:
                with path.open("rb") as stream:
                    if path is not there[0]:
                        stream.readline()  # the headings are there
                    yield from in_pieces(stream)

        store.uploads.record_pieces(session, upload, UploadPart.REJECTS, pieces())

    @contextmanager
    def _claimed(self) -> Iterator[tuple[Session, Upload]]:
        with store.transaction(self._practice_id) as session:
            yield session, self._still_mine(session)
            session.flush()

    def _still_mine(self, session: Session) -> Upload:
        upload = store.uploads.find_upload(session, self._upload.id, locked=True)
        if upload is None or upload.claim != self._claim:
            raise _ClaimLost
        return upload


@contextmanager
def _folder() -> Iterator[Path]:
    """For its owner only, and gone afterwards. Those of workers that were killed go, too."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if time.time() - left.stat().st_mtime > _ABANDONED:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        yield Path(name)


# --- what is told ---------------------------------------------------------------------------------------------


class _Report:
    """Keeps the first problems, and tells how far all files together are. Raises CannotImport where there are too
    many problems."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._total = 0
        self._done: dict[str, int] = {}
        self._told_at = 0.0
        self._count = 0
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def expect(self, export: Path) -> None:
        """These files; where a list became them, that was a third of the way."""
        ahead = sum(2 * path.stat().st_size for path in export.glob("*.csv"))
        self._done = {"": ahead // 2} if self._done else {}
        self._total = ahead + sum(self._done.values())

    def problem(self, problem: Problem) -> None:
        self._count += 1
        if self._count > _MOST_FAULTS:
            first = self.problems[0]
            raise CannotImport(f"{_TOO_MANY_FAULTS} The first, in {first.file}, line {first.line}: {first.cause}")
        if len(self.problems) < _LISTED:
            self.problems.append(problem)

    def warning(self, warning: Problem) -> None:
        if len(self.warnings) < _LISTED:
            self.warnings.append(warning)

    def progress(self, file: str, done: int, total: int) -> None:
        self._done[file] = done
        at = time.monotonic()
        if at - self._told_at >= _TELLS:
            self._told_at = at
            done, total = sum(self._done.values()), self._total or total
            self._tell(min(done, total), total)


def _as_shown(problem: Problem) -> dict[str, Any]:
    return asdict(replace(problem, value=problem.shown_value))
