"""An import in the browser: a file comes in, a worker checks it, staff see what it would change and agree, and a
worker imports it. The import itself is `import_practice`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.foresee import text_of
from portal.actions.import_conflicts import ShownConflict, find_whose, show_conflicts
from portal.actions.who import Who
from portal.core.effects import Act, Next, effect
from portal.core.timing import has_come, local
from portal.store.appointments import Appointment
from portal.store.imports import ImportRun
from portal.store.messages import Message
from portal.store.patients import Patient
from portal.store.uploads import Upload, UploadPart, UploadState

MOST_BYTES = 64 * 1024 * 1024  # of a file
TOO_LARGE = f"The file is larger than {MOST_BYTES // 1024**2} MB. Upload the zip of the folder, or fewer rows."

LEASE = timedelta(minutes=2)  # of a worker that says nothing
_KEPT = timedelta(days=1)
_MOST_AT_ONCE = 20
_NAMED = 100  # conflicts and missing appointments on a page

_NOT_TAKEN = "No worker took it for a day, so it is out of date. Tell your administrator, and upload it again."


class UploadRefused(Exception):
    """In words for whoever uploads or confirms. `field`: of the form, what it is about."""

    def __init__(self, says: str, field: str = "file") -> None:
        super().__init__(says)
        self.field = field


class NoSuchUpload(store.NotThere):
    def __init__(self) -> None:
        super().__init__("There is no such import.")


# --- what the pages show ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Overview:
    """`runs`: the imports of the practice, newest first, however they were made. `zone`: in which times are said."""

    open: Upload | None
    runs: list[ImportRun]
    zone: str | None


def show_overview(practice_id: str, most: int) -> Overview:
    with store.reading(practice_id) as session:
        businesses = store.practices.list_businesses(session)
        return Overview(
            store.uploads.find_open(session),
            list(store.imports.list_imports(session, most)),
            businesses[0].timezone if businesses else None,
        )


@dataclass(frozen=True, slots=True)
class Missing:
    """A future appointment that is no longer in the file. `reminded`: what the patient had of it, and so must be told
    where it is cancelled; empty where nobody must be."""

    appointment: Appointment
    patient: Patient
    reminded: str


@dataclass(frozen=True, slots=True)
class ShownUpload:
    upload: Upload
    conflicts: list[ShownConflict]
    missing: list[Missing]
    zone: str | None

    @property
    def found(self) -> dict[str, Any]:
        return self.upload.found or {}


def show_upload(practice_id: str, upload_id: int, now: datetime) -> ShownUpload:
    """Raises NoSuchUpload."""
    with store.reading(practice_id) as session:
        upload = store.uploads.find_upload(session, upload_id)
        if upload is None:
            raise NoSuchUpload
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        found = upload.found or {}
        conflicts, ids = found.get("conflicts", [])[:_NAMED], found.get("missing", [])[:_NAMED]
        whose = find_whose(session, conflicts, ids)
        shown = show_conflicts(session, practice, businesses, conflicts, whose)
        rows = [whose.appointments[id_] for id_ in ids if id_ in whose.appointments]
        reminders = store.messages.list_reminders(session, [one.id for one, _ in rows]) if rows else {}
    rows.sort(key=lambda row: (row[0].starts_at, row[0].id))
    missing = [Missing(one, whom, _reminded(one, whom, reminders.get(one.id), now)) for one, whom in rows]
    return ShownUpload(upload, shown, missing, businesses[0].timezone if businesses else None)


def _reminded(appointment: Appointment, patient: Patient, message: Message | None, now: datetime) -> str:
    """As it is said to staff who cancel it themselves."""
    zone = appointment.timezone
    coming = Next(None, (), has_come(appointment.starts_at, now))
    said = effect(Act.CANCELLED, patient.first_name, text_of(message, zone), coming, local(now, zone))
    return said.says[0] if said.must_be_told else ""


@dataclass(frozen=True, slots=True)
class ShownRun:
    """An import that is over. `conflicts`: the first of those it met, as they stand now."""

    run: ImportRun
    conflicts: list[ShownConflict]
    zone: str | None


def show_run(practice_id: str, run_id: int) -> ShownRun:
    """However it was made. Raises NoSuchUpload."""
    with store.reading(practice_id) as session:
        run = store.imports.find_import(session, run_id)
        if run is None:
            raise NoSuchUpload
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        conflicts = run.conflicts[:_NAMED]
        shown = show_conflicts(session, practice, businesses, conflicts, find_whose(session, conflicts))
    return ShownRun(run, shown, businesses[0].timezone if businesses else None)


def read_rejects(practice_id: str, upload_id: int) -> Iterator[bytes]:
    """The rows that cannot be imported, as CSV, piece by piece: memory does not grow with them. Raises NoSuchUpload
    where there are none."""
    with store.reading(practice_id) as session:
        if not store.uploads.has_part(session, upload_id, UploadPart.REJECTS):
            raise NoSuchUpload
    return _pieces_of(practice_id, upload_id)


def _pieces_of(practice_id: str, upload_id: int) -> Iterator[bytes]:
    for number in count():
        with store.reading(practice_id) as session:
            piece = store.uploads.find_piece(session, upload_id, UploadPart.REJECTS, number)
        if piece is None:
            return
        yield piece


# --- what staff decide --------------------------------------------------------------------------------------


def confirm(
    practice_id: str,
    upload_id: int,
    *,
    seen: str,
    accepts_valid: bool,
    withdraws_missing: bool,
    creates: bool,
    who: Who,
    now: datetime,
) -> None:
    """Let a worker import it. `seen`: the fingerprint of what the page showed. Said twice it is done once.

    Raises NoSuchUpload, UploadRefused.
    """
    with store.transaction(practice_id) as session:
        upload = get_locked(session, upload_id)
        if upload.state in (UploadState.IMPORTING, UploadState.IMPORTED):
            return
        found = upload.found or {}
        if upload.state is not UploadState.CHECKED or not found["may_be_imported"]:
            raise UploadRefused("It is not ready to be imported.", "confirm")
        if seen != found["fingerprint"]:
            raise UploadRefused("It was checked once more since this page was opened: look at it again.", "confirm")
        if found["problem_count"] and not accepts_valid:
            raise UploadRefused("Tick that only the good rows are to be imported, or mend the file.", "accept")
        if found["creates"] and not creates:
            raise UploadRefused("Tick that these are to be created.", "create")
        upload.is_anew = False
        upload.agreed = found["with_withdrawal" if withdraws_missing else "fingerprint"]
        upload.agreed_by, upload.agreed_by_id = who.name, who.user_id
        upload.accepts_valid, upload.withdraws_missing = accepts_valid, withdraws_missing
        begin(upload, UploadState.IMPORTING, now)


def begin(upload: Upload, state: UploadState, now: datetime) -> None:
    """A state that nobody works on yet."""
    upload.state, upload.changed_at = state, now
    upload.claim = upload.claimed_at = None
    upload.attempts = 0


def discard(practice_id: str, upload_id: int, now: datetime) -> None:
    """Raises NoSuchUpload, UploadRefused once it is being imported."""
    with store.transaction(practice_id) as session:
        upload = get_locked(session, upload_id)
        if upload.state is UploadState.IMPORTING:
            raise UploadRefused("It is being imported already, and cannot be stopped any more.", "confirm")
        if upload.state in store.uploads.OPEN:
            end(session, upload, UploadState.DISCARDED, now)


def end(session: Session, upload: Upload, state: UploadState, now: datetime) -> None:
    """Nothing is left to do: the file goes, and where nothing was imported all that was found in it."""
    begin(upload, state, now)
    if state is UploadState.IMPORTED:
        store.uploads.delete_pieces(session, upload.id, UploadPart.FILE)
    else:
        store.uploads.delete_pieces(session, upload.id)
        upload.found = None


def refuse(session: Session, upload: Upload, says: str, now: datetime) -> None:
    upload.refusal = says
    end(session, upload, UploadState.REFUSED, now)


def get_locked(session: Session, upload_id: int) -> Upload:
    """Raises NoSuchUpload."""
    upload = store.uploads.find_upload(session, upload_id, locked=True)
    if upload is None:
        raise NoSuchUpload
    return upload


# --- for the host's sweeps ----------------------------------------------------------------------------------


def list_lost(now: datetime) -> list[tuple[str, int]]:
    """(practice, id) of those that no worker is at any more, as far as the rows tell."""
    return store.uploads.list_waiting(now - LEASE, _MOST_AT_ONCE)


def forget_old(now: datetime) -> int:
    """What nobody has gone on with for a day goes, with its file; where it waits for a worker, staff are told for a
    further day. Returns how many. An import that is over has its record in `ImportRun`."""
    with store.everything(write=True) as session:
        old = store.uploads.list_old(session, now - _KEPT, _MOST_AT_ONCE)
        for upload in old:
            if upload.state in store.uploads.AT_WORK:
                refuse(session, upload, _NOT_TAKEN, now)
            else:
                store.uploads.delete_pieces(session, upload.id)
                session.delete(upload)
        session.flush()
    return len(old)
