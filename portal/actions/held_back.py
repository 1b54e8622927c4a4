"""Reminders and texts that a pause has held back, and what becomes of each once sending is on again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from portal import store
from portal.actions.ahead import place, read_times
from portal.actions.today import Group, Line, groups_of, line_of
from portal.core.states import Status
from portal.store.practices import Practice

MOST = 500


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Of the appointments that stand: `goes`, by the passes that will take them up; `blocked`: something else stands
    in the way; `too_late`: ahead, and no pass takes them up any more; `over`: how many have begun meanwhile.
    `is_part`: there are more than were looked at. `zone`: of the first business."""

    goes: Sequence[tuple[datetime, Sequence[Line]]]
    blocked: Sequence[Group]
    too_late: Sequence[Line]
    over: int
    is_part: bool
    zone: str | None

    @property
    def will_go(self) -> int:
        return sum(len(lines) for _, lines in self.goes)


def paused_at(practice: Practice) -> datetime:
    """An export may have brought it paused."""
    return practice.sending_changed_at or practice.created_at


def count_texts(practice: Practice) -> int:
    """Those by staff, since the pause began."""
    with store.reading(practice.id) as session:
        return store.texts.count_held_back(session, paused_at(practice))


def list_held_back(practice: Practice, now: datetime) -> HeldBack:
    """Since the pause began. In six queries; for at most `MOST` reminders."""
    with store.reading(practice.id) as session:
        clocks = read_times(session, practice).clocks
        found = store.facts.list_held_back(session, practice, paused_at(practice), MOST + 1)
    stands = [one for one in found[:MOST] if one.cancelled_at is None or one.cancelled_at > now]
    placed = place(practice, clocks, stands, now)
    goes: dict[datetime, list[Line]] = {}
    blocked, too_late = [], []
    for one in placed:
        line = line_of(one)
        if one.pass_at and line.status is Status.QUEUED:
            goes.setdefault(one.pass_at, []).append(line)
        elif one.pass_at:
            blocked.append(line)
        elif one.reminder.starts_at > now:
            too_late.append(line)
    seen = sum(map(len, goes.values())) + len(blocked) + len(too_late)
    return HeldBack(
        sorted(goes.items()),
        groups_of(blocked),
        sorted(too_late, key=lambda line: (line.starts_local, line.appointment_id)),
        len(placed) - seen,
        len(found) > MOST,
        clocks[0].timezone if clocks else None,
    )
