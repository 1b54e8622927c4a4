"""Where the checked rows wait until all files are checked.

A database of the import's own in a temporary file, which nobody else can open and which is gone when it is
closed: so memory does not grow with the export, ids are compared across a whole file, and the practice is
locked only while the rows are saved, not while they are read and checked.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

AT_ONCE = 1000  # rows; below every database's limit of values in one statement

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -16000;
CREATE TABLE rows (file TEXT, id TEXT, line INTEGER, row TEXT, PRIMARY KEY (file, id));
CREATE TABLE numbers (patient TEXT, line INTEGER, type TEXT, number TEXT, PRIMARY KEY (patient, line)) WITHOUT ROWID;
CREATE TABLE doubtful (patient TEXT PRIMARY KEY) WITHOUT ROWID;
BEGIN
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """A row of the export; `values` is None where it was rejected."""

    line: int
    values: dict[str, Any] | None


class Scratch:
    def __enter__(self) -> Self:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_TABLES)
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def keep_rows(self, file: str, rows: Iterable[tuple[str, int, Mapping[str, Any] | None]]) -> None:
        """Rows of (id, line, values). A row whose id the file had before is left out."""
        self._database.executemany(
            "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?)",
            [(file, id_, line, None if values is None else json.dumps(values)) for id_, line, values in rows],
        )

    def find_lines(self, file: str, ids: Collection[str]) -> dict[str, int]:
        """The line on which the file has each id first."""
        marks = ", ".join("?" * len(ids))
        return dict(
            self._database.execute(
                f"SELECT id, line FROM rows WHERE file = ? AND id IN ({marks})",  # noqa: S608
                (file, *ids),
            )
        )

    def find_rows(self, file: str, ids: Collection[str]) -> dict[str, Seen]:
        marks = ", ".join("?" * len(ids))
        found = self._database.execute(
            f"SELECT id, line, row FROM rows WHERE file = ? AND id IN ({marks})",  # noqa: S608
            (file, *ids),
        )
        return {id_: Seen(line, None if row is None else json.loads(row)) for id_, line, row in found}

    def list_rows(self, file: str) -> Iterator[dict[str, dict[str, Any]]]:
        """The rows that were not rejected, by id, in the order of the file, some at a time."""
        cursor = self._database.execute(
            "SELECT id, row FROM rows NOT INDEXED WHERE file = ? AND row IS NOT NULL ORDER BY rowid", (file,)
        )
        while rows := cursor.fetchmany(AT_ONCE):
            yield {id_: json.loads(row) for id_, row in rows}

    # --- phone numbers have no id; a patient's may be scattered over the file ---

    def keep_numbers(self, rows: Iterable[tuple[str, int, str, str]]) -> None:
        """Rows of (patient, line, type, number)."""
        self._database.executemany("INSERT INTO numbers VALUES (?, ?, ?, ?)", rows)

    def doubt_numbers_of(self, patients: Iterable[str]) -> None:
        """A row of theirs was rejected, so the others are not all that they have."""
        self._database.executemany("INSERT OR IGNORE INTO doubtful VALUES (?)", [(id_,) for id_ in patients])

    def find_numbers(self, patients: Collection[str]) -> dict[str, list[tuple[str, str]]]:
        """Each patient's (type, number) in the order of the file."""
        marks = ", ".join("?" * len(patients))
        numbers: dict[str, list[tuple[str, str]]] = {}
        for patient, type_, number in self._database.execute(
            f"SELECT patient, type, number FROM numbers WHERE patient IN ({marks})"  # noqa: S608
            " ORDER BY patient, line",
            tuple(patients),
        ):
            numbers.setdefault(patient, []).append((type_, number))
        return numbers

    def find_doubtful(self, patients: Collection[str]) -> set[str]:
        marks = ", ".join("?" * len(patients))
        return {
            patient
            for (patient,) in self._database.execute(
                f"SELECT patient FROM doubtful WHERE patient IN ({marks})",  # noqa: S608
                tuple(patients),
            )
        }
