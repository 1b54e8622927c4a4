"""A patient's phone numbers: the export's rows against the stored ones. They have no ids of their own."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.actions.importing.merge import merge

Stored = Mapping[str, Any]  # id, type, number, position, staff_changed, removed_at
Exported = Mapping[str, Any]  # type, number, and what else a new row is to hold


@dataclass(slots=True)
class NumbersPlan:
    """What becomes of one patient's numbers. `added` and `changed` hold the columns to write, `changed` by row
    id; `conflicts`: (row id, field, the export's row, None where it has none any more)."""

    added: list[dict[str, Any]] = field(default_factory=list)
    changed: dict[int, dict[str, Any]] = field(default_factory=dict)
    removed: list[int] = field(default_factory=list)
    conflicts: list[tuple[int, str, dict[str, Any] | None]] = field(default_factory=list)
    applied: int = 0  # rows of which something of the export was taken


def plan_numbers(
    stored: Sequence[Stored], exported: Sequence[Exported], *, is_whole: bool = True, first_place: int = 0
) -> NumbersPlan:
    """Merge a patient's exported rows into the stored ones that an export brought (not those that staff added).

    Where it is not `is_whole`, the patient may have more rows than could be read, so no row is taken away or
    becomes another number. `first_place`: of the first of them among all of the patient's.
    """
    plan = NumbersPlan()
    pairs = _match(stored, exported)
    if is_whole:
        _match_the_others(pairs, stored, exported)
    for position, values in enumerate(exported):
        row = pairs.get(position)
        if row is None:
            plan.added.append({**values, "position": first_place + position})
            continue
        new = {"type": values["type"], "number": values["number"], "position": first_place + position}
        merged = merge(row, row["staff_changed"], new)
        conflicts = list(merged.conflicts)
        is_removed = row["removed_at"] is not None
        if is_removed:
            # Staff took this number away: that stands, and what the export changed about it is told.
            conflicts += [name for name in merged.values if name != "position"]
        plan.conflicts += [(row["id"], name, new) for name in conflicts]
        if merged.values or merged.staff_changed != row["staff_changed"]:
            plan.changed[row["id"]] = merged.values | {"staff_changed": merged.staff_changed}
        if merged.values and not is_removed:
            plan.applied += 1
    if is_whole:
        matched = {row["id"] for row in pairs.values()}
        _remove([row for row in stored if row["id"] not in matched], plan)
    return plan


def _exported_number(row: Stored) -> str:
    """As the export last had it."""
    return str((row["staff_changed"] or {}).get("number", row["number"]))


def _match(stored: Sequence[Stored], exported: Sequence[Exported]) -> dict[int, Stored]:
    """The stored row of the same number for each exported one, by position."""
    pairs: dict[int, Stored] = {}
    by_number: dict[str, deque[Stored]] = {}
    for row in stored:
        by_number.setdefault(_exported_number(row), deque()).append(row)
    for position, values in enumerate(exported):
        if by_number.get(values["number"]):
            pairs[position] = by_number[values["number"]].popleft()
    return pairs


def _match_the_others(pairs: dict[int, Stored], stored: Sequence[Stored], exported: Sequence[Exported]) -> None:
    """A number that is new takes the place of one that is gone, in their order: so it was corrected.

    One that staff removed is met again by itself only: another in its place is a new number.
    """
    matched = {row["id"] for row in pairs.values()}
    left = deque(row for row in stored if row["removed_at"] is None and row["id"] not in matched)
    for position in range(len(exported)):
        if position not in pairs and left:
            pairs[position] = left.popleft()


def _remove(rows: Sequence[Stored], plan: NumbersPlan) -> None:
    """What is gone from the export goes, but what staff changed is theirs from now on."""
    for row in rows:
        if row["staff_changed"] and row["removed_at"] is None:
            names = [name for name in row["staff_changed"] if name != "position"] or ["position"]
            plan.conflicts += [(row["id"], name, None) for name in names]
            plan.changed[row["id"]] = {"from_export": False, "staff_changed": None}
        else:
            plan.removed.append(row["id"])
