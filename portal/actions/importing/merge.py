"""Merge a row of the export into a row that staff may have changed, field by field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]  # by field, in the form that JSON keeps


@dataclass(frozen=True, slots=True)
class Merged:
    """`values`: the fields to set. `conflicts`: those that both sides changed, where staff's value stands.

    `staff_changed`: as `Imported` keeps it, after this import.
    """

    values: dict[str, Any]
    staff_changed: dict[str, Any] | None
    conflicts: tuple[str, ...]


def merge(current: Row, staff_changed: Row | None, exported: Row) -> Merged:
    """Apply what changed in the export since the last import; only the fields in `exported` are asked.

    A value that staff changed, and that the export now has as well, is the export's again.
    """
    staff = dict(staff_changed or {})
    values: dict[str, Any] = {}
    conflicts: list[str] = []
    for field, value in exported.items():
        mine = current[field]
        if value == staff.get(field, mine):
            continue
        if field in staff and mine == staff[field]:
            del staff[field]  # staff changed it and changed it back
        if field not in staff:
            values[field] = value
        elif value == mine:
            del staff[field]
        else:
            staff[field] = value
            conflicts.append(field)
    return Merged(values, staff or None, tuple(conflicts))


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a stored row. `columns`: everything to write to it; None where nothing changes."""

    columns: dict[str, Any] | None
    conflicts: tuple[str, ...]
    is_applied: bool  # something of the export was taken
    withdraws: bool = False  # an appointment's: what is still queued for it is not to go


UNCHANGED = Change(None, (), is_applied=False)
