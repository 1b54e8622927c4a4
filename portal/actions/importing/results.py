"""What an import did."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Counts:
    """Of one file, its rows: `read` = added + changed + unchanged + rejected. `removed`: numbers that it no
    longer holds."""

    read: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both the export and staff changed this value; staff's stands. A number's `id` is its patient's."""

    file: str
    id: str
    column: str


@dataclass(frozen=True, slots=True)
class ImportResult:
    """`missing`: ids of future appointments that appointments.csv no longer holds, withdrawn or not.

    `drafts`: templates that cannot be used. `rejects`: where the rejected rows were written.
    """

    practice_id: str | None
    is_imported: bool
    is_new: bool
    counts: dict[str, Counts]
    conflicts: tuple[Conflict, ...]
    missing: tuple[str, ...]
    drafts: int
    problems: int
    rejects: Path | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"rejects": self.rejects and str(self.rejects)}
