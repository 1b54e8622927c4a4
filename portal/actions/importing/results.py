"""What an import did."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Counts:
    """Of one file, its rows: `read` = added + changed + unchanged + rejected. `removed`: numbers that it no
    longer holds, and appointments where they were cancelled for that."""

    read: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both the export and staff changed this value; staff's stands. A number's `id` is its patient's, and
    `number_id` its own row's.

    `yours`, `exported`: what staff have and what the export has, as JSON. An import tells them of settings only; a
    plan tells the export's of all. Of a reference it is the row's id, or the name of one that is new. A number's are
    its type, number and place together, and None where the export no longer holds it.
    """

    file: str
    id: str
    column: str
    number_id: int | None = field(default=None, compare=False)
    yours: Any = field(default=None, compare=False)
    exported: Any = field(default=None, compare=False)

    def without_values(self) -> dict[str, Any]:
        """To be kept: nothing of a patient."""
        which = {} if self.number_id is None else {"number_id": self.number_id}
        return {"file": self.file, "id": self.id, "column": self.column} | which

    def with_exported(self) -> dict[str, Any]:
        return self.without_values() | {"exported": self.exported}


ADDED, CHANGED = "added", "changed"
FieldChange = tuple[str, Any, Any]  # column, value before, value after; both None where another row is referred to


@dataclass(frozen=True, slots=True)
class Example:
    """A row that would be added or changed (`kind`). A number's `id` and `name` are its patient's, an appointment's
    `name` too; `when`: its beginning, by the clocks of its business."""

    file: str
    kind: str
    id: str
    name: str
    when: str | None
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """What an import would do, as `ImportResult` says it afterwards. `may_be_imported`: once bad rows are left out.

    `fingerprint` is of what would be done; `with_withdrawal` where missing appointments are withdrawn as well.
    """

    may_be_imported: bool
    counts: dict[str, Counts]
    conflicts: tuple[Conflict, ...]
    missing: tuple[str, ...]
    drafts: int
    problems: int
    has_rejects: bool
    examples: tuple[Example, ...]
    fingerprint: str
    with_withdrawal: str


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
        values = [{"yours": one.yours, "exported": one.exported} for one in self.conflicts]
        named = [{"file": one.file, "id": one.id, "column": one.column} for one in self.conflicts]
        conflicts = [one | both for one, both in zip(named, values, strict=True)]
        return asdict(self) | {"rejects": self.rejects and str(self.rejects), "conflicts": conflicts}
