"""Read a CSV file of an export record by record, whatever it holds, in bounded memory."""

import csv
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from portal.core.phrases import counted

LONGEST = 64 * 1024  # bytes of one record
MOST_LINES = 100  # of one record: a quoted value may hold line breaks
MOST_COLUMNS = 300

_SAVE_AS_UTF8 = 'Save the file as "CSV UTF-8" and import it again.'
_TOO_LONG = f"longer than {LONGEST // 1024} KB, which no row of an export is."
_NOT_CLOSED = "a quotation mark is opened in this row and not closed."
_NOT_CSV = (
    "not well-formed CSV: a value that holds a comma or a quotation mark stands in quotation marks, "
    "and each quotation mark inside it is written twice."
)
_NOT_UTF8 = f"not UTF-8. {_SAVE_AS_UTF8}"


class UnreadableFile(Exception):
    """No record of the file can be read. `faults`: what is wrong, each with its column or an empty text."""

    def __init__(self, *faults: tuple[str, str]) -> None:
        super().__init__(faults[0][1])
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Record:
    """`fields` as they stand in the file; `values` by column, none where there is a `fault` (column, cause)."""

    line: int  # where it begins, from 1
    fields: Sequence[str]
    values: Mapping[str, str]
    fault: tuple[str, str] | None = None


class _BrokenRecord(Exception):
    pass


class _Lines(Iterator[str]):
    """What the csv module reads from: lines of bounded length, with a way back after a broken record."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self.most = 1  # of one record: the first names the columns
        self._number = 0
        self._again: deque[tuple[int, bytes]] = deque()
        self._taken: list[tuple[int, bytes]] = []  # the lines of the record being read
        self._size = 0  # their bytes
        self._has_ended = False
        self.bytes_read = 0

    def begin_record(self) -> None:
        self._has_ended = False
        self._taken.clear()
        self._size = 0

    def go_back(self) -> None:
        """Give the lines after the record's first once more: they may be records of their own."""
        self._again.extendleft(reversed(self._taken[1:]))

    @property
    def has_run_on(self) -> bool:
        """Whether the record wanted more than its first line."""
        return self._has_ended or len(self._taken) > 1

    @property
    def line(self) -> int:
        """Where the record begins."""
        return self._taken[0][0] if self._taken else self._number

    @property
    def first_bytes(self) -> bytes:
        return self._taken[0][1] if self._taken else b""

    def __next__(self) -> str:
        if len(self._taken) == self.most or self._size > LONGEST:
            raise _BrokenRecord(_NOT_CLOSED)
        line = self._again.popleft() if self._again else self._read()
        self._taken.append(line)
        self._size += len(line[1])
        # What cannot be decoded is found again as surrogates, which no text holds, in its own column.
        return line[1].decode(self._encoding, "surrogateescape")

    def _read(self) -> tuple[int, bytes]:
        raw = self._stream.readline(LONGEST)
        if not raw:
            self._has_ended = True
            raise StopIteration
        self._number += 1
        self.bytes_read += len(raw)
        if len(raw) == LONGEST and not raw.endswith(b"\n"):
            while raw and not raw.endswith(b"\n"):
                raw = self._stream.readline(LONGEST)
                self.bytes_read += len(raw)
            raise _BrokenRecord(_TOO_LONG)
        return self._number, raw


class CsvFile:
    """One file of an export, or of another program. Raises UnreadableFile, also while it is iterated.

    `columns`: in lower case, those that are wanted. `headings`: by lower case as they stand in the first line, once
    that is read.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, separator: str = ",", encoding: str = "utf-8") -> None:
        self._columns = columns
        self.headings: Mapping[str, str] = {}
        self._not_encoded = _NOT_UTF8 if encoding == "utf-8" else "it holds a character that this encoding has not."
        if not path.is_file():  # opening a pipe would wait for ever
            raise UnreadableFile(("", "not a file."))
        try:
            self._stream = path.open("rb")
            self.size = path.stat().st_size
        except OSError as error:
            raise UnreadableFile(("", f"cannot be read: {error.strerror}.")) from None
        self._lines = _Lines(self._stream, encoding)
        self._reader = csv.reader(self._lines, delimiter=separator, strict=True)

    @property
    def bytes_read(self) -> int:
        return self._lines.bytes_read

    def __iter__(self) -> Iterator[Record]:
        with self._stream:
            self._check_beginning()
            header = self._find_columns(self._read_header())
            self._lines.most = MOST_LINES
            places = {column: header.index(column) for column in self._columns}
            while (record := self._next_record(len(header), places)) is not None:
                if record.fault or any(field and not field.isspace() for field in record.fields):
                    yield record

    def read_headings(self) -> list[str]:
        """The names of all columns, as they stand there. Instead of iterating."""
        with self._stream:
            self._check_beginning()
            names = self._read_header()
        if any(map(_is_not_decoded, names)):
            raise UnreadableFile(("", "its first line holds a character that this encoding has not."))
        return names

    def _check_beginning(self) -> None:
        start = self._stream.read(4096)
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise UnreadableFile(("", f"written in UTF-16. {_SAVE_AS_UTF8}"))
        if b"\0" in start.partition(b"\n")[0]:
            raise UnreadableFile(("", f"holds NUL bytes, so it is no text in UTF-8. {_SAVE_AS_UTF8}"))
        self._stream.seek(3 if start.startswith(b"\xef\xbb\xbf") else 0)

    def _read_header(self) -> list[str]:
        try:
            names = [name.strip() for name in next(self._reader)]
        except StopIteration:
            raise UnreadableFile(("", "empty: its first line must name the columns.")) from None
        except _BrokenRecord as error:
            raise UnreadableFile(("", f"its first line is no header: {error}")) from None
        except csv.Error:
            raise UnreadableFile(("", f"its first line does not name the columns. {_SAVE_AS_UTF8}")) from None
        if len(names) > MOST_COLUMNS:
            raise UnreadableFile(
                ("", f"its first line names {len(names):,} columns: at most {MOST_COLUMNS} are read.")
            )
        return names

    def _find_columns(self, header: list[str]) -> list[str]:
        names = [name.casefold() for name in header]
        self.headings = dict(zip(names, header, strict=True))
        missing = [column for column in self._columns if column not in names]
        if missing == list(self._columns) and len(names) == 1 and (";" in names[0] or "\t" in names[0]):
            raise UnreadableFile(("", f"its columns are not separated by commas. {_SAVE_AS_UTF8}"))
        faults = [(column, "this column is missing.") for column in missing]
        faults += [
            (column, "this column is there twice: rename one, or take it out.")
            for column in self._columns
            if names.count(column) > 1
        ]
        if faults:
            raise UnreadableFile(*faults)
        return names

    def _next_record(self, width: int, places: Mapping[str, int]) -> Record | None:
        lines = self._lines
        lines.begin_record()
        try:
            fields = next(self._reader)
        except StopIteration:
            return None
        except (csv.Error, _BrokenRecord) as error:
            lines.go_back()
            cause = str(error) if isinstance(error, _BrokenRecord) else _NOT_CLOSED if lines.has_run_on else _NOT_CSV
            return Record(lines.line, [lines.first_bytes.decode(errors="replace").rstrip("\r\n")], {}, ("", cause))
        if fields and len(fields) != width:
            fault = (
                "",
                f"it has {counted(len(fields), 'value')}, and the first line names {counted(width, 'column')}.",
            )
            return Record(lines.line, fields, {}, fault)
        values = {column: fields[place] for column, place in places.items()} if fields else {}
        for column, value in values.items():
            if not value.isascii() and _is_not_decoded(value):
                return Record(lines.line, fields, {}, (column, self._not_encoded))
        return Record(lines.line, fields, values)


def _is_not_decoded(value: str) -> bool:
    return any("\udc80" <= char <= "\udcff" for char in value)
