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
from portal.actions.upload_zip import unpack
from portal.actions.uploads import LEASE, begin, end
from portal.actions.who import Who, note_change
from portal.store.changes import IMPORT, Subject
from portal.store.uploads import PIECE, Upload, UploadPart, UploadState

_PREFIX = "portal-import-"
_ABANDONED = 6 * 3600  # seconds; no job lasts as long
_MOST_ATTEMPTS = 3
_LISTED = 200  # problems, conflicts, missing appointments
_TELLS = 0.4  # seconds between two reports

_GIVEN_UP = "It could not be finished, three times over. Your administrator finds the cause in the workers' log."

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
            with _folder() as folder:
                job.fetch(folder)
                if upload.state is UploadState.CHECKING or not job.import_it(folder):
                    job.check(folder)
        except CannotImport as cannot:
            job.refuse(str(cannot))


class _Job:
    def __init__(self, upload: Upload, claim: str, now: Callable[[], datetime], tell: Tell) -> None:
        self._upload = upload
        self._practice_id = upload.practice_id
        self._claim = claim
        self._now = now
        self._tell = tell

    def fetch(self, folder: Path) -> None:
        """The export's files into `folder`. Raises CannotImport."""
        self._tell(0, 1)
        with tempfile.TemporaryFile() as file:
            with store.reading(self._practice_id) as session:
                for piece in store.uploads.read_pieces(session, self._upload.id, UploadPart.FILE):
                    file.write(piece)
            unpack(file, folder)

    def check(self, folder: Path) -> None:
        report = _Report(folder, self._tell)
        rejects = folder / "rejects"
        planned = plan_folder(folder, self._now(), report=report, practice_id=self._practice_id, rejects=rejects)
        with self._claimed() as (session, upload):
            upload.found = _found(planned, report)
            _keep_rejects(session, upload, rejects if planned.has_rejects else None)
            begin(upload, UploadState.CHECKED, self._now())

    def import_it(self, folder: Path) -> bool:
        """False where it would not be what was agreed to: it is to be checked once more."""
        upload = self._upload
        report = _Report(folder, self._tell)
        rejects = folder / "rejects"

        def when_done(session: Session, result: ImportResult) -> None:
            found = self._still_mine(session)
            found.found = _told(result, report)
            _keep_rejects(session, found, result.rejects)
            who = Who(upload.uploaded_by_id, upload.uploaded_by)
            note_change(session, who, self._now(), Subject.PRACTICE, None, IMPORT, "", upload.name)
            end(session, found, UploadState.IMPORTED, self._now())
            session.flush()

        try:
            result = import_folder(
                folder,
                self._now(),
                report=report,
                practice_id=self._practice_id,
                accept_valid=upload.accepts_valid,
                withdraw_missing=upload.withdraws_missing,
                rejects=rejects,
                agreed=upload.agreed,
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
            upload.refusal = says
            end(session, upload, UploadState.REFUSED, self._now())

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


def _keep_rejects(session: Session, upload: Upload, path: Path | None) -> None:
    if path is None:
        store.uploads.delete_pieces(session, upload.id, UploadPart.REJECTS)
        return
    with path.open("rb") as stream:
        store.uploads.record_pieces(session, upload, UploadPart.REJECTS, iter(lambda: stream.read(PIECE), b""))


# --- what is told ---------------------------------------------------------------------------------------------


class _Report:
    """Keeps the first problems, and tells how far all files together are."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self._tell = tell
        self._total = sum(2 * path.stat().st_size for path in folder.glob("*.csv")) or 1
        self._done: dict[str, int] = {}
        self._told_at = 0.0
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def problem(self, problem: Problem) -> None:
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
            self._tell(min(sum(self._done.values()), self._total), self._total)


def _found(planned: Planned, report: _Report) -> dict[str, Any]:
    """What the page shows of a check."""
    return _told(planned, report) | {
        "may_be_imported": planned.may_be_imported,
        "examples": [asdict(one) for one in planned.examples],
        "creates": [],
        "fingerprint": planned.fingerprint,
        "with_withdrawal": planned.with_withdrawal,
    }


def _told(one: Planned | ImportResult, report: _Report) -> dict[str, Any]:
    return {
        "counts": {file: asdict(counts) for file, counts in one.counts.items()},
        "problems": [_as_shown(problem) for problem in report.problems],
        "problem_count": one.problems,
        "warnings": [_as_shown(problem) for problem in report.warnings],
        "conflicts": [[conflict.file, conflict.id, conflict.column] for conflict in one.conflicts[:_LISTED]],
        "conflict_count": len(one.conflicts),
        "missing": list(one.missing[:_LISTED]),
        "missing_count": len(one.missing),
        "drafts": one.drafts,
        "examples": [],  # once it is over, no names are kept
        "has_rejects": one.has_rejects if isinstance(one, Planned) else one.rejects is not None,
    }


def _as_shown(problem: Problem) -> dict[str, Any]:
    return asdict(replace(problem, value=problem.shown_value))
