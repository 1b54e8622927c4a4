"""What is wrong with an export, and where; and the file of rejected rows."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from portal.core.csv_cells import harmless

_SHOWN = 40  # characters of a value


@dataclass(frozen=True, slots=True)
class Problem:
    """`column` is empty where it is the whole line. `value` is None in a column that holds personal data."""

    file: str
    line: int
    column: str
    cause: str
    value: str | None = None

    def __str__(self) -> str:
        """`businesses.csv:3: timezone: "Mars/Olympus": not a time zone: use …`"""
        parts = [f"{self.file}:{self.line}"]
        if self.column:
            parts.append(self.column)
        if self.value:
            parts.append(f'"{self.shown_value}"')
        return ": ".join([*parts, self.cause])

    @property
    def shown_value(self) -> str:
        """As one short line, of characters that can be printed."""
        value = self.value or ""
        shown = "".join(char if char.isprintable() else "�" for char in value[:_SHOWN])
        return f"{shown}…" if len(value) > _SHOWN else shown


class CannotImport(Exception):
    """Nothing of the folder can be imported. The message says what to mend."""


class NotAsAgreed(Exception):
    """The import would do something else than what was shown: nothing is imported."""


class Report(Protocol):
    """Told of each thing as it is found."""

    def problem(self, problem: Problem) -> None:
        """A bad row, or a file that cannot be read."""

    def warning(self, warning: Problem) -> None:
        """Imported, but it needs attention: a template that is only a draft."""

    def progress(self, file: str, done: int, total: int) -> None:
        """Of twice the file's bytes: it is read and checked first, and saved after all files are."""


class Rejects:
    """The rejected rows with their causes: a CSV file that only its owner can read.

    It takes its name only when it is complete, in place of that of an earlier import. Raises CannotImport.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.{os.getpid()}")
        self.rows = 0
        try:
            descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CannotImport(f"{path} cannot be written: {error.strerror}.") from None
        self._stream = open(descriptor, "w", encoding="utf-8", errors="replace", newline="")  # noqa: SIM115
        self._writer = csv.writer(self._stream)
        self._writer.writerow(["file", "line", "cause", "the row as it was"])

    def add(self, file: str, line: int, problems: Sequence[Problem], fields: Sequence[str]) -> None:
        """The row's own values follow, one in each further cell; none is a formula to a spreadsheet."""
        cause = " ".join(f"{p.column}: {p.cause}" if p.column else p.cause for p in problems)
        self._writer.writerow([file, line, *map(harmless, (cause, *fields))])
        self.rows += 1

    def keep(self) -> None:
        """Those of an earlier import go, also where this one has none."""
        self._stream.close()
        if self.rows:
            os.replace(self._part, self._path)
        else:
            self._path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Where nothing was kept. May be called after `keep`."""
        self._stream.close()
        self._part.unlink(missing_ok=True)
