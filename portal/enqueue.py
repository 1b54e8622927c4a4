"""What cron calls: find what is due, enqueue it, run the sweeps. How often it is called does not matter."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.actions.broadcasts import list_unrecorded
from portal.actions.due import find_due, watch_new_businesses
from portal.actions.missed import record_missed_days
from portal.actions.receipts import forget_old_events, is_any_to_do
from portal.actions.sweep import sweep, take_due
from portal.actions.uploads import forget_old as forget_old_uploads
from portal.actions.uploads import list_lost as list_lost_uploads
from portal.actions.zone_rules import follow_zone_rules
from portal.alarms import look_for_alarms
from portal.config import Settings
from portal.core.alarms import WORKERS_MAY_BE_AWAY
from portal.core.watching import QueueSeen
from portal.embedded import RedisUnavailable
from portal.queue import Queue

LONGEST_SHIFT = timedelta(hours=1)
# With so many jobs waiting the rows are most likely in one of them: enqueuing them again would only add more.
LONG_QUEUE = 200


class Refused(Exception):
    """The call cannot be taken; the text says why."""


@dataclass(frozen=True, slots=True)
class Enqueued:
    practices: int  # for which a pass was due
    requeued: int  # messages that Redis may have lost, or whose pause is over
    swept: int  # messages and days that time alone settled
    seconds: float


def enqueue(settings: Settings, queue: Queue, now: datetime, at: datetime | None = None) -> Enqueued:
    """One run of the script at the instant `now`; `at` stands for it in passes and due days only.

    Raises Refused where `at` is more than an hour off and the provider is the real one, and RedisUnavailable.
    """
    if (
        at is not None
        and abs(at - now) > LONGEST_SHIFT
        and not settings.is_provider_on_loopback
        and settings.can_send
    ):
        raise Refused("--at is more than an hour off, and the provider is the real one: patients would get texts.")
    try:
        done = _enqueue(settings, queue, now, at or now)
        if queue.may_watch():
            _watch(settings, queue, now)
    except RedisUnavailable as error:
        look_for_alarms(settings, QueueSeen(problem=str(error)), now)
        raise
    return done


def _watch(settings: Settings, queue: Queue, now: datetime) -> None:
    """By the workers; where they are gone or far behind, nobody else would say so."""
    seen = queue.look()
    if not seen.alive or (seen.oldest_age or timedelta()) >= WORKERS_MAY_BE_AWAY:
        look_for_alarms(settings, seen, now)
    else:
        queue.enqueue_watch()


def _enqueue(settings: Settings, queue: Queue, now: datetime, instant: datetime) -> Enqueued:
    started = time.perf_counter()
    follow_zone_rules(now)
    watch_new_businesses(instant)
    due = find_due(instant)
    queue.enqueue_passes((practice_id, instant) for practice_id in due)
    missed = record_missed_days(instant, now)
    swept = run_sweeps(settings, queue, now)
    seconds = round(time.perf_counter() - started, 3)
    return Enqueued(len(due), swept.requeued, swept.settled + missed, seconds)


@dataclass(frozen=True, slots=True)
class Swept:
    settled: int
    requeued: int


def run_sweeps(settings: Settings, queue: Queue, now: datetime) -> Swept:
    """Settle what time alone changes; enqueue what is due and waits in no job."""
    settled = sweep(now)
    requeued = 0
    forget_old_events(now)
    if is_any_to_do(now):
        queue.enqueue_events()
    for practice_id, broadcast_id in list_unrecorded(now):
        queue.enqueue_broadcast(practice_id, broadcast_id)
    for practice_id, upload_id in list_lost_uploads(now):
        queue.enqueue_upload(practice_id, upload_id)
    forget_old_uploads(now)
    if settings.can_send and queue.length() < LONG_QUEUE:
        for practice_id, ids, is_probe in take_due(now):
            queue.enqueue_sends(practice_id, ids, is_probe=is_probe)
            requeued += len(ids)
    return Swept(settled, requeued)
