"""Whether the host does its work: passes, messages that wait, messages in doubt, days that were missed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.core.alarms import LateBusiness
from portal.core.states import Status
from portal.core.timing import PASSES_A_DAY, PassHour, day_passes, local, pass_hour
from portal.core.watching import Passes
from portal.store.health import PracticeFigures, Watched
from portal.store.passes import Pass

RECENT = timedelta(hours=24)

_LOOK_BACK = timedelta(days=3)
_HOUR = timedelta(hours=1)
_PASSES = 10


@dataclass(frozen=True, slots=True)
class Health:
    """`unhandled_hours`: businesses' hours of the last day that ended without a pass. `late`: those whose
    newest hour is one of them, by practice. `missed_days`: (practice, business, local date, appointments) of the last
    three days. `passes`: the newest first. `first_due_at`: while none has run, when the first is due, `now` where one
    is; None where the schedule has never run."""

    practices: Sequence[PracticeFigures]
    businesses: int
    passes: Sequence[Pass]
    last_pass_at: datetime | None
    first_due_at: datetime | None
    unhandled_hours: int
    late: Mapping[str, Sequence[LateBusiness]]
    missed_days: Sequence[tuple[str, str, date, int]]
    due: int
    due_since: datetime | None
    in_doubt: int
    account_refused: dict[str, Any] | None

    @property
    def late_businesses(self) -> int:
        return sum(map(len, self.late.values()))

    @property
    def state_of_passes(self) -> Passes:
        """By what came last: an hour that was missed, and met by a later pass, is no trouble any more."""
        if self.late:
            return Passes.MISSED
        return Passes.OK if self.last_pass_at else Passes.NONE_YET


def look(now: datetime) -> Health:
    with store.everything() as session:
        figures = store.health.get_figures(session, now)
        practices = store.health.list_practice_figures(session)
        businesses = store.health.list_businesses_watched(session)
        unhandled_hours, late = _look_at_hours(session, businesses, now)
        return Health(
            practices=practices,
            businesses=len(businesses),
            passes=store.passes.list_passes(session, _PASSES),
            last_pass_at=figures.last_pass_at,
            first_due_at=None if figures.last_pass_at else _first_due_at(businesses, now),
            unhandled_hours=unhandled_hours,
            late=late,
            missed_days=store.health.list_missed_days(session, (now - _LOOK_BACK).date()),
            due=figures.due,
            due_since=figures.due_since,
            in_doubt=sum(practice.in_doubt for practice in practices),
            account_refused=figures.account_refused,
        )


def count_recent(now: datetime) -> dict[Status, int]:
    """The messages of the last day by their state."""
    with store.everything() as session:
        return store.health.count_recent(session, now - RECENT)


def _first_due_at(businesses: Sequence[Watched], now: datetime) -> datetime | None:
    clocks = {(one.timezone, one.window_start) for one in businesses if one.since}
    return min((_next_hour_at(now, *clock) for clock in clocks), default=None)


def _next_hour_at(now: datetime, zone_name: str, window_start: int) -> datetime:
    """When a pass hour next begins; `now` within one."""
    if pass_hour(now, zone_name, window_start):
        return now
    today = local(now, zone_name).date()
    begins = (at for days in range(3) for at in day_passes(today + timedelta(days), zone_name, window_start))
    return next(at for at in begins if at > now)


def _look_at_hours(
    session: Session, businesses: Sequence[Watched], now: datetime
) -> tuple[int, dict[str, list[LateBusiness]]]:
    """How many of their pass hours ended within the last 24, while the business was watched, and no pass handled
    them; those that no pass has met since, by practice."""
    kinds = {(one.timezone, one.window_start) for one in businesses}
    clocks = {kind: _pass_hours(now, *kind) for kind in kinds}
    handled = store.passes.list_handled_hours(session, {hour for hours in clocks.values() for hour in hours})
    unhandled = 0
    late: dict[str, list[LateBusiness]] = {}
    for one in businesses:
        if one.since is None:
            continue
        hours = clocks[one.timezone, one.window_start]
        watched = [hour for hour, began in hours.items() if began > one.since]
        met = [(one.id, hour) in handled for hour in watched]
        has_ended = [hours[hour] + _HOUR <= now for hour in watched]
        unhandled += sum(ended and not was_met for ended, was_met in zip(has_ended, met, strict=True))
        newest_ended = has_ended.index(True) if True in has_ended else None
        if newest_ended is not None and not any(met[: newest_ended + 1]):
            unmet = met.index(True) if True in met else len(met)
            since = hours[watched[unmet - 1]]
            late.setdefault(one.practice_id, []).append(LateBusiness(one.name, one.timezone, since))
    return unhandled, late


def _pass_hours(now: datetime, zone_name: str, window_start: int) -> dict[PassHour, datetime]:
    """The pass hours of the last 24 hours and the one that runs, the newest first, and when each began."""
    hours: dict[PassHour, datetime] = {}
    for hours_ago in range(25):
        there = local(now - hours_ago * _HOUR, zone_name)
        if window_start <= there.hour < window_start + PASSES_A_DAY:
            into_it = timedelta(minutes=there.minute, seconds=there.second, microseconds=there.microsecond)
            hours[PassHour(there.date(), there.hour)] = now - hours_ago * _HOUR - into_it
    return hours
