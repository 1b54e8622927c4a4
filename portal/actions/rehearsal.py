"""A day as it would go, or would have gone: who would be texted and who not, while nothing is sent."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from portal import store
from portal.actions.ahead import MOST, Placed, place, read_times
from portal.actions.today import Day, Line, groups_of, line_of
from portal.core.diagnosis import ON_ITS_WAY, REACHED
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.core.timing import appointment_date, due_date, local
from portal.store.practices import Practice

FARTHEST = timedelta(days=365)  # that somebody looks back or ahead
_DAY = timedelta(days=1)


class NoSuchDay(store.NotThere):
    """It is too far away, or there is no business."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """`due_on`: when its reminders go, or went. `is_played`: no pass will decide on it any more, and it is shown as
    it was recorded, if `is_recorded`. `is_part`: there are more appointments than were looked at."""

    day: Day
    due_on: date
    is_played: bool
    is_recorded: bool
    is_part: bool
    businesses: int

    @property
    def before(self) -> date:
        return self.day.day - _DAY

    @property
    def after(self) -> date:
        return self.day.day + _DAY


def rehearse(practice: Practice, day: date | None, now: datetime) -> Rehearsed:
    """Of the appointments on that local date; None: those whose reminders go today. In six queries, for at most
    `MOST` appointments. Raises NoSuchDay."""
    with store.reading(practice.id) as session:
        clocks = read_times(session, practice).clocks
        if not clocks:
            raise NoSuchDay
        today = local(now, clocks[0].timezone).date()
        day = day or appointment_date(today, practice.lead_days)
        if abs(day - today) > FARTHEST:
            raise NoSuchDay
        ids = [clock.id for clock in clocks]
        found = store.facts.list_page_of_day(session, practice, ids, day, None, MOST + 1)
    stands = [one for one in found[:MOST] if one.message or one.cancelled_at is None or one.cancelled_at > now]
    placed = place(practice, clocks, stands, now)
    due_on = due_date(day, practice.lead_days)
    is_played = due_on <= today and all(one.pass_at is None for one in placed)
    return Rehearsed(
        _day(day, today, placed),
        due_on,
        is_played,
        is_played and any(one.reminder.message for one in placed),
        len(found) > MOST,
        len(ids),
    )


def _day(day: date, today: date, placed: Iterable[Placed]) -> Day:
    would, did, would_not = [], [], []
    for one in placed:
        line = _as_if_on(one)
        if not one.pass_at and line.status in REACHED | ON_ITS_WAY:
            did.append(line)
        elif not line.reasons:
            would.append(line)
        elif line.status is not Status.CANCELLED:
            would_not.append(line)
    would.sort(key=_in_turn)
    did.sort(key=_in_turn)
    would_not.sort(key=_in_turn)
    return Day(day, today, (), tuple(would), tuple(did), groups_of(would_not), ())


def _as_if_on(one: Placed) -> Line:
    """What a pass recorded only because sending was off, it would have texted."""
    line = line_of(one)
    return replace(line, reasons=tuple(reason for reason in line.reasons if reason is not Reason.SENDING_OFF))


def _in_turn(line: Line) -> tuple[datetime, int]:
    return line.starts_local, line.appointment_id
