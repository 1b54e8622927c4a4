"""The export folder as a zip that staff upload: what it holds, and its files unpacked, whatever it claims to be."""

import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from portal.actions.importing.practice_file import FILE
from portal.actions.importing.problems import CannotImport
from portal.actions.importing.tables import IN_ORDER

FILES = (FILE, *(table.file for table in IN_ORDER))

MOST_UNPACKED = 256 * 1024 * 1024  # bytes of all files together
MOST_ENTRIES = 1000
_LONGEST_READ = 1024 * 1024  # bytes; zipfile reads the whole list of entries at once, however long it claims to be
_AT_ONCE = 64 * 1024
_SYSTEM = ("__MACOSX/",)  # what a Mac adds

_DAMAGED = "The zip file is damaged or incomplete: make it anew, and upload it again."
_TOO_MANY = f"The zip file holds more than {MOST_ENTRIES:,} files, which no export does."
_TOO_LARGE = f"The zip file unpacks to more than {MOST_UNPACKED // 1024**2} MB, which no export does."
WORKBOOK = "This is a workbook, not a list. Open it, save it as “CSV UTF-8”, and upload that."
_ASK = "Make a zip of the export folder itself, and of nothing else."


# What reading a broken one raises.
_BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, NotImplementedError, ValueError, OSError, EOFError)


class _TooLongARead(Exception):
    pass


class _Bounded:
    """A file of which nobody reads much at once."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if size > _LONGEST_READ:
            raise _TooLongARead
        return self._stream.read(_LONGEST_READ if size < 0 else size)

    def seekable(self) -> bool:
        return True


def is_zip(beginning: bytes) -> bool:
    """By its first bytes; an empty one counts."""
    return beginning.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"))


def look_at_zip(stream: IO[bytes]) -> None:
    """Raises CannotImport where it is no export; nothing is unpacked."""
    with _open(stream) as archive:
        _find_files(archive)


def unpack(stream: IO[bytes], folder: Path) -> None:
    """The export's files into the folder, under names of our own. Raises CannotImport."""
    with _open(stream) as archive:
        left = MOST_UNPACKED
        for name, entry in _find_files(archive).items():
            with (folder / name).open("wb") as file:
                for piece in _unpacked(archive, entry):
                    left -= len(piece)
                    if left < 0:
                        raise CannotImport(_TOO_LARGE)
                    file.write(piece)


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Raises CannotImport; what goes wrong where the pieces are written does not pass here."""
    try:
        with archive.open(entry) as packed:
            while piece := packed.read(_AT_ONCE):
                yield piece
    except (*_BROKEN, _TooLongARead):
        raise CannotImport(_DAMAGED) from None


def _open(stream: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(_Bounded(stream))
    except _TooLongARead:
        raise CannotImport(_TOO_MANY) from None
    except _BROKEN:
        raise CannotImport(_DAMAGED) from None


def _find_files(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """By name those of an export that are there, in capitals or not: at the top, or all in one folder."""
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise CannotImport(_TOO_MANY)
    found: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for entry in entries:
        _check_entry(entry)
        folder, _, name = entry.filename.rpartition("/")
        name = name.lower()
        if name not in FILES or "/" in folder or entry.filename.startswith(_SYSTEM):
            continue
        if name in found:
            raise CannotImport(f"The zip file holds {name} more than once. {_ASK}")
        found[name] = entry
        folders.add(folder)
    if len(folders) > 1:
        raise CannotImport(f"The zip file holds files of an export in more than one folder. {_ASK}")
    if not found:
        raise CannotImport(_nothing_in([entry.filename for entry in entries]))
    if sum(entry.file_size for entry in found.values()) > MOST_UNPACKED:
        raise CannotImport(_TOO_LARGE)
    return found


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
        raise CannotImport(f"The zip file names a place outside its own folder. {_ASK}")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise CannotImport(f"The zip file holds a link in the place of a file. {_ASK}")
    if entry.flag_bits & 0x1:
        raise CannotImport("The zip file is locked with a password: make it anew without one.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise CannotImport("The zip file is packed in an unusual way: make it anew as an ordinary zip.")


def _nothing_in(names: Iterable[str]) -> str:
    names = list(names)
    if any(name.startswith("xl/") or name == "content.xml" for name in names):
        return WORKBOOK
    if any(name.lower().endswith(".zip") for name in names):
        return "The zip file holds another zip file: unpack it, and upload the inner one."
    says = f"The zip file holds no export: none of {', '.join(FILES)} is in it, nor in a folder at its top."
    is_list = any(name.lower().endswith(".csv") and name.rpartition("/")[2].lower() not in FILES for name in names)
    return f"{says} One list of appointments is uploaded as it is, as CSV, not zipped." if is_list else says
