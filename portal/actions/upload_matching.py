"""What the columns of an uploaded list hold: staff say it once, see the first rows as they are understood, and go on;
the next list with the same headings is matched as the last one was."""

import codecs
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path

from sqlalchemy.orm import Session

from portal import store
from portal.actions.importing.problems import Problem
from portal.actions.importing.reading import CsvFile, UnreadableFile
from portal.actions.upload_list import Misread, Understood, problems_of, understand
from portal.actions.uploads import NoSuchUpload, UploadRefused, begin, get_locked
from portal.actions.who import Who
from portal.core.lists import SEPARATORS, Matching, matching_from, usual_columns
from portal.core.timing import UnknownZone, zone
from portal.core.zones import zones_to_offer
from portal.store.uploads import ListMatching, Upload, UploadKind, UploadPart, UploadState

_SHOWN = 5  # rows
_MATCHED = "Its columns are matched already. To change that, press “Match the columns otherwise”."
_ONE_COLUMN = (
    "Its first line does not name several columns. Choose what separates them; or, if something else stands above "
    "the headings, delete that in the file and upload it again."
)


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """A row as it is understood, or what of it cannot be read."""

    line: int
    understood: Understood | None
    faults: Sequence[Problem]


@dataclass(frozen=True, slots=True)
class ShownMatching:
    """`problem`: (field, words) of what is still to be said. `rows` are there once nothing is. `fingerprint`: of the
    matching. `unreadable`: why the first line cannot be read."""

    matching: Matching
    headings: list[str]
    rows: list[PreviewRow]
    problem: tuple[str, str] | None
    unreadable: str
    zones: tuple[tuple[str, ...], tuple[str, ...]]
    templates: list[tuple[str, str]]
    fingerprint: str


def show_matching(practice_id: str, upload_id: int) -> ShownMatching:
    """Raises NoSuchUpload."""
    with store.reading(practice_id) as session:
        upload = store.uploads.find_upload(session, upload_id)
        if upload is None or upload.kind is not UploadKind.LIST:
            raise NoSuchUpload
        templates = store.practices.list_templates(session)
        country = store.practices.get_practice(session, practice_id).country
        matching = matching_from(upload.matching or {})
        with _beginning(session, upload_id) as path:
            headings, unreadable = _headings(path, matching)
            problem = _find_problem(matching)
            rows = _preview(path, upload.name, matching, country) if not (problem or unreadable) else []
    return ShownMatching(
        matching,
        headings,
        rows,
        problem,
        unreadable,
        zones_to_offer(country, matching.zone),
        [(one.external_id, one.name) for one in templates if not one.problem],
        _fingerprint(matching),
    )


def match(practice_id: str, upload_id: int, matching: Matching, now: datetime) -> tuple[str, str] | None:
    """Keep what staff said; returns what is still to be said, as (field, words). Raises NoSuchUpload,
    UploadRefused."""
    with store.transaction(practice_id) as session:
        upload = _get(session, upload_id)
        with _beginning(session, upload_id) as path:
            headings, unreadable = _headings(path, matching)
        known = {heading.casefold() for heading in headings}
        matching = replace(matching, columns={f: column for f, column in matching.columns.items() if column in known})
        upload.matching, upload.changed_at = matching.as_json(), now
    return ("separator", unreadable) if unreadable else _find_problem(matching)


def go_on(practice_id: str, upload_id: int, seen: str, who: Who, now: datetime) -> None:
    """Let a worker check it. `seen`: the fingerprint of what was shown. Raises NoSuchUpload, UploadRefused."""
    with store.transaction(practice_id) as session:
        upload = _get(session, upload_id)
        matching = matching_from(upload.matching or {})
        if _find_problem(matching) or seen != _fingerprint(matching):
            raise UploadRefused("What the columns hold has changed since: look at the first rows again.", "matching")
        with _beginning(session, upload_id) as path:
            headings, _ = _headings(path, matching)
        _remember(session, _digest(headings), matching, who, now)
        begin(upload, UploadState.CHECKING, now)


def match_otherwise(practice_id: str, upload_id: int, now: datetime) -> None:
    """Back to its columns, until it is confirmed: a worker that checks it meanwhile finds that it no longer may.
    Raises NoSuchUpload, UploadRefused."""
    with store.transaction(practice_id) as session:
        upload = get_locked(session, upload_id)
        if upload.kind is not UploadKind.LIST:
            raise UploadRefused("An export's columns are matched already.", "otherwise")
        if upload.state is UploadState.MATCHING:
            return
        if upload.state not in (UploadState.CHECKING, UploadState.CHECKED):
            raise UploadRefused("It is no longer to be changed: upload the file again.", "otherwise")
        store.uploads.delete_pieces(session, upload.id, UploadPart.REJECTS)
        upload.found, upload.is_anew = None, False
        begin(upload, UploadState.MATCHING, now)


def recall(session: Session, upload: Upload) -> None:
    """As the last list with these headings was matched, though this file may be written otherwise; else by what its
    first line shows."""
    with _beginning(session, upload.id) as path:
        matching = _guess(session, upload.practice_id, path)
        for separator in SEPARATORS:
            headings, _ = _headings(path, replace(matching, separator=separator))
            if headings and (found := store.uploads.find_matching(session, _digest(headings))):
                last = matching_from(found.matching)
                encoding = last.encoding if path.read_bytes().isascii() else matching.encoding
                matching = replace(last, separator=separator, encoding=encoding)
                break
    upload.matching = matching.as_json()


def _find_problem(matching: Matching) -> tuple[str, str] | None:
    if problem := matching.find_problem():
        return problem
    try:
        zone(matching.zone)
    except UnknownZone:
        return "zone", "Choose the time zone."
    return None


def _guess(session: Session, practice_id: str, path: Path) -> Matching:
    """Its separator and encoding, the columns that are called as what they hold, the only business and the practice's
    own zone, all of which staff see and change; never how it writes dates, nor one of its country's several zones."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(path.read_bytes())
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = "cp1252"
    first = path.read_bytes().partition(b"\n")[0]
    practice, businesses = store.practices.get_with_businesses(session, practice_id)
    here, _ = zones_to_offer(practice.country)
    own = businesses[0].timezone if businesses else here[0] if len(here) == 1 else ""
    separator = max(SEPARATORS, key=lambda one: first.count(one.encode()))
    matching = Matching(separator=separator, encoding=encoding, zone=own)
    columns = usual_columns(_headings(path, matching)[0])
    is_only_one = len(businesses) == 1 and "business" not in columns
    return replace(matching, columns=columns, same={"business": businesses[0].name} if is_only_one else {})


def _remember(session: Session, headings: str, matching: Matching, who: Who, now: datetime) -> None:
    found = store.uploads.find_matching(session, headings)
    if found is None:
        session.add(ListMatching(headings=headings, matching=matching.as_json(), at=now, by=who.name))
    else:
        found.matching, found.at, found.by = matching.as_json(), now, who.name


@contextmanager
def _beginning(session: Session, upload_id: int) -> Iterator[Path]:
    """The list's first piece, as a file of its own."""
    with tempfile.NamedTemporaryFile(prefix="portal-list-") as file:
        file.write(store.uploads.find_piece(session, upload_id, UploadPart.FILE, 0) or b"")
        file.flush()
        yield Path(file.name)


def _headings(path: Path, matching: Matching) -> tuple[list[str], str]:
    """Each once, in their order; and why they cannot be those of a list."""
    try:
        file = CsvFile(path, (), separator=matching.separator, encoding=matching.encoding)
        names = list({name.casefold(): name for name in file.read_headings() if name}.values())
    except UnreadableFile as error:
        return [], f"The file: {error}"
    return names, "" if len(names) > 1 else _ONE_COLUMN


def _preview(path: Path, name: str, matching: Matching, country: str) -> list[PreviewRow]:
    columns = list(dict.fromkeys(matching.columns.values()))
    file = CsvFile(path, columns, separator=matching.separator, encoding=matching.encoding)
    rows = []
    try:
        for record in islice(file, _SHOWN):
            try:
                rows.append(PreviewRow(record.line, understand(record, matching, country), ()))
            except Misread as misread:
                problems = problems_of(name, file, record, matching, misread.faults)
                rows.append(PreviewRow(record.line, None, problems))
    except UnreadableFile as error:
        return [
            PreviewRow(1, None, [Problem(name, 1, file.headings.get(column, column), cause)])
            for column, cause in error.faults
        ]
    return rows


def _get(session: Session, upload_id: int) -> Upload:
    upload = get_locked(session, upload_id)
    if upload.state is not UploadState.MATCHING:
        raise UploadRefused(_MATCHED, "matching")
    return upload


def _digest(headings: Sequence[str]) -> str:
    """The same for the same headings, in whatever order and letter case."""
    return hashlib.sha256(json.dumps(sorted(name.casefold() for name in headings)).encode()).hexdigest()


def _fingerprint(matching: Matching) -> str:
    return hashlib.sha256(json.dumps(matching.as_json(), sort_keys=True).encode()).hexdigest()
