"""A file comes in: kept for the workers where it may be an export or a list, refused in words where it is neither."""

import codecs
from datetime import datetime
from typing import IO

from sqlalchemy.exc import IntegrityError

from portal import store
from portal.actions.importing.problems import CannotImport
from portal.actions.importing.tables import IN_ORDER
from portal.actions.upload_matching import recall
from portal.actions.upload_zip import WORKBOOK, is_zip, look_at_zip
from portal.actions.uploads import MOST_BYTES, TOO_LARGE, UploadRefused
from portal.actions.who import Who
from portal.core.phrases import plain
from portal.store.uploads import PIECE, Upload, UploadKind, UploadPart, UploadState, in_pieces

_UNDER_WAY = "Another import is under way: finish it or discard it first."
_NOTHING = "Choose a file: the export folder as a zip, or a CSV file of appointments."
_EMPTY = "The file is empty. Save or export it once more, and upload it again."
_NO_TEXT = (
    "This is neither a zip file nor a CSV file. Choose the export folder as a zip, or a list of appointments "
    "saved as CSV."
)
_PDF = "This is a PDF, which cannot be read as a list. Have your software save the list as CSV, and upload that."
_UTF16 = "The file is written in UTF-16. Save it as “CSV UTF-8”, and upload it again."
_NO_ROWS = "It holds no appointments: only its first line is there, which names the columns."
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"  # how an .xls file begins


def receive(practice_id: str, name: str, stream: IO[bytes], who: Who, now: datetime) -> Upload:
    """Keep an uploaded file for the workers. Memory does not grow with it. Raises UploadRefused."""
    beginning = stream.read(PIECE)
    if not beginning.strip():
        raise UploadRefused(_EMPTY if name else _NOTHING)
    kind = UploadKind.EXPORT if is_zip(beginning) else UploadKind.LIST
    if kind is UploadKind.LIST:
        _look_at_list(beginning)
    stream.seek(0)
    if kind is UploadKind.EXPORT:
        try:
            look_at_zip(stream)
        except CannotImport as cannot:
            raise UploadRefused(str(cannot)) from None
    size = stream.seek(0, 2)
    stream.seek(0)
    if size > MOST_BYTES:
        raise UploadRefused(TOO_LARGE)
    with store.transaction(practice_id) as session:
        if store.uploads.find_open(session):
            raise UploadRefused(_UNDER_WAY)
        upload = Upload(
            kind=kind,
            name=plain(name) or "the file",
            size=size,
            state=UploadState.CHECKING if kind is UploadKind.EXPORT else UploadState.MATCHING,
            uploaded_at=now,
            uploaded_by=who.name,
            uploaded_by_id=who.user_id,
            changed_at=now,
        )
        session.add(upload)
        try:
            session.flush()
        except IntegrityError:  # somebody was faster
            raise UploadRefused(_UNDER_WAY) from None
        store.uploads.record_pieces(session, upload, UploadPart.FILE, in_pieces(stream))
        if kind is UploadKind.LIST:
            recall(session, upload)
    return upload


def _look_at_list(beginning: bytes) -> None:
    """Raises UploadRefused where it can be none, before anybody is asked what its columns hold."""
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UploadRefused(_UTF16)
    if beginning.startswith(_OLD_WORKBOOK):
        raise UploadRefused(WORKBOOK)
    if beginning.startswith(b"%PDF"):
        raise UploadRefused(_PDF)
    if not _is_text(beginning):
        raise UploadRefused(_NO_TEXT)
    lines = [line for line in beginning.splitlines() if line.strip()]
    headings = {name.strip(' "').casefold() for name in lines[0].decode("utf-8-sig", "replace").split(",")}
    for table in IN_ORDER:
        if headings == {column.name for column in table.columns}:
            raise UploadRefused(
                f"This is {table.file} of an export folder, alone. Make a zip of the whole folder, and upload that."
            )
    if len(lines) == 1 and len(beginning) < PIECE:
        raise UploadRefused(_NO_ROWS)


def _is_text(beginning: bytes) -> bool:
    """Whether it may be a CSV file, in an encoding of single bytes."""
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1a" for byte in beginning[:4096])
    return b"\0" not in beginning[:4096] and control == 0
