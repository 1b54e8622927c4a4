"""What the sysadmin sees of the host: health, queue and findings, and the practices a page at a time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from portal import store
from portal.actions.alarms import Standing, list_standing
from portal.actions.health import Health, look
from portal.core.watching import Database, Finding, Passes, QueueSeen, is_ready, readiness
from portal.store.health import PracticeFigures

Judge = Callable[[Health, QueueSeen, datetime], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class HostSeen:
    """`practices`: some of them, by id; `more`: there are others after these."""

    health: Health
    queue: QueueSeen
    findings: Sequence[Finding]
    practices: Sequence[PracticeFigures]
    more: bool
    alarms: Sequence[Standing]


def watch(queue: QueueSeen, judge: Judge, now: datetime, *, most: int, after: str = "") -> HostSeen:
    health = look(now)
    practices = [practice for practice in health.practices if practice.id > after]
    return HostSeen(
        health,
        queue,
        list(judge(health, queue, now)),
        practices[:most],
        len(practices) > most,
        list_standing(now),
    )


@dataclass(frozen=True, slots=True)
class Readiness:
    """`codes`: for everyone. `health`: None where the database cannot be used; then no alarm is known."""

    is_ready: bool
    codes: dict[str, str]
    queue: QueueSeen
    health: Health | None
    alarms: Sequence[Standing] = ()


def check_readiness(queue: QueueSeen, now: datetime) -> Readiness:
    database = store.revision.look_at_database()
    health = look(now) if database is Database.OK else None
    codes = readiness(database, queue, health.state_of_passes if health else Passes.UNKNOWN)
    return Readiness(is_ready(codes), codes, queue, health, list_standing(now) if health else ())
