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
CREATE TABLE numbers (patient TEXT, line INTEGER, row TEXT, PRIMARY KEY (patient, line)) WITHOUT ROWID;
CREATE TABLE doubtful (patient TEXT PRIMARY KEY) WITHOUT ROWID;
BEGIN
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the export has an id first, and whether that row is good."""

    line: int
    is_good: bool


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

    def find_seen(self, file: str, ids: Collection[str]) -> dict[str, Seen]:
        """Those ids that the file has."""
        found = self._find("id, line, row IS NOT NULL", file, ids)
        return {id_: Seen(line, bool(is_good)) for id_, line, is_good in found}

    def find_rows(self, file: str, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """The good rows of those ids."""
        return {id_: json.loads(row) for id_, row in self._find("id, row", file, ids) if row is not None}

    def _find(self, columns: str, file: str, ids: Collection[str]) -> sqlite3.Cursor:
        marks = ", ".join("?" * len(ids))
        return self._database.execute(
            f"SELECT {columns} FROM rows WHERE file = ? AND id IN ({marks})",  # noqa: S608
            (file, *ids),
        )

    def list_rows(self, file: str) -> Iterator[dict[str, dict[str, Any]]]:
        """The good rows, by id, in the order of the file, some at a time."""
        cursor = self._database.execute(
            "SELECT id, row FROM rows NOT INDEXED WHERE file = ? AND row IS NOT NULL ORDER BY rowid", (file,)
        )
        while rows := cursor.fetchmany(AT_ONCE):
            yield {id_: json.loads(row) for id_, row in rows}

    # --- phone numbers have no id; a patient's may be scattered over the file ---

    def keep_numbers(self, rows: Iterable[tuple[str, int, Mapping[str, Any]]]) -> None:
        """Rows of (patient, line, values)."""
        self._database.executemany(
            "INSERT INTO numbers VALUES (?, ?, ?)",
            [(patient, line, json.dumps(values)) for patient, line, values in rows],
        )

    def doubt_numbers_of(self, patients: Iterable[str]) -> None:
        """A row of theirs was rejected, so the others are not all that they have."""
        self._database.executemany("INSERT OR IGNORE INTO doubtful VALUES (?)", [(id_,) for id_ in patients])

    def find_numbers(self, patients: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """Each patient's numbers in the order of the file."""
        marks = ", ".join("?" * len(patients))
        numbers: dict[str, list[dict[str, Any]]] = {}
        for patient, row in self._database.execute(
            f"SELECT patient, row FROM numbers WHERE patient IN ({marks}) ORDER BY patient, line",  # noqa: S608
            tuple(patients),
        ):
            numbers.setdefault(patient, []).append(json.loads(row))
        return numbers

    def count_numbers(self) -> int:
        """All but those of patients in doubt."""
        counted = self._database.execute(
            "SELECT count(*) FROM numbers WHERE patient NOT IN (SELECT patient FROM doubtful)"
        )
        return int(counted.fetchone()[0])

    def find_doubtful(self, patients: Collection[str]) -> set[str]:
        marks = ", ".join("?" * len(patients))
        return {
            patient
            for (patient,) in self._database.execute(
                f"SELECT patient FROM doubtful WHERE patient IN ({marks})",  # noqa: S608
                tuple(patients),
            )
        }
