"""Which changes of an appointment are a move, and so start a revision: by an export and by staff alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.core.timing import local


@dataclass(frozen=True, slots=True)
class Slot:
    """When and where an appointment begins. `wall`: what the clocks of `timezone` show at the instant `at`."""

    business_id: int
    wall: datetime
    at: datetime
    timezone: str


def is_move(before: Slot, after: Slot) -> bool:
    """Another wall time, or another business. The same wall time read by new rules of its zone is no move; the other
    of two times that look alike, as the clocks are put back, is one."""
    if before.business_id != after.business_id or before.wall != after.wall:
        return True
    return before.at != after.at and before.wall == local(before.at, after.timezone).replace(tzinfo=None)


def revised(row: Mapping[str, Any], now: datetime, *, is_moved: bool) -> dict[str, Any]:
    """The columns of a row's revision, after the change."""
    return {"revision": row["revision"] + is_moved, "moved_at": now if is_moved else row["moved_at"]}
