"""Whether the host does its work: passes, messages that wait, messages in doubt, days that were missed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.core.timing import PASSES_A_DAY, PassHour, local

_LOOK_BACK = timedelta(days=3)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Practice:
    id: str
    sending: str
    sender: str
    credits: int
    imported_at: datetime | None


@dataclass(frozen=True, slots=True)
class Health:
    """`unhandled_hours`: businesses' hours of the last day that ended without a pass. `missed_days`: (practice,
    business, local date, appointments) of the last three days."""

    practices: Sequence[Practice]
    businesses: int
    last_pass_at: datetime | None
    unhandled_hours: int
    missed_days: Sequence[tuple[str, str, date, int]]
    due: int
    due_since: datetime | None
    in_doubt: int
    account_refused: dict[str, Any] | None


def look(now: datetime) -> Health:
    with store.everything() as session:
        imported = store.imports.list_last_imports(session)
        due, due_since = store.health.count_due(session, now)
        return Health(
            practices=[
                Practice(row.id, row.sending, row.sender, row.credits, imported.get(row.id))
                for row in store.practices.list_practices(session)
            ],
            businesses=len(store.practices.list_clocks(session)),
            last_pass_at=store.health.last_pass_at(session),
            unhandled_hours=_count_unhandled_hours(session, now),
            missed_days=store.health.list_missed_days(session, (now - _LOOK_BACK).date()),
            due=due,
            due_since=due_since,
            in_doubt=store.health.count_in_doubt(session, now),
            account_refused=store.host.find_state(session, store.host.ACCOUNT_REFUSED),
        )


def _count_unhandled_hours(session: Session, now: datetime) -> int:
    """Pass hours that ended within the last 24, while their business was watched, and that no pass handled."""
    ended: set[tuple[int, PassHour]] = set()
    for business_id, zone_name, window_start, watched_since in store.health.list_businesses_watched(session):
        if watched_since is None:
            continue
        for hours_ago in range(1, 25):
            began = now - hours_ago * _HOUR
            there = local(began, zone_name)
            is_pass_hour = window_start <= there.hour < window_start + PASSES_A_DAY
            if is_pass_hour and began.replace(minute=0, second=0) > watched_since:
                ended.add((business_id, PassHour(there.date(), there.hour)))
    return len(ended - store.passes.list_handled_hours(session, {hour for _, hour in ended}))
