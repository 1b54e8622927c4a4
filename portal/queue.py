"""The queue: what Redis holds for the workers, and the only place that enqueues.

A job is a trigger, not a record: it names a function and ids, and may be lost or run twice. The rows in
the database say what is to be done, and the sweep enqueues again what Redis lost.
"""

import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import redis
import rq.job
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
from rq.queue import EnqueueData
from rq.serializers import JSONSerializer
from rq.utils import now as rq_now
from rq.utils import utcparse
from rq.worker_registration import get_keys

from portal.config import Settings
from portal.core.watching import QueueSeen, WorkerSeen
from portal.embedded import RedisUnavailable, ensure_redis, redis_address, redis_pid
from portal.errors import describe

log = logging.getLogger(__name__)

# One queue only: RQ loses a job that is taken off the first of several when its worker is killed then.
NAME = "portal"
RUN = "portal.jobs.run_pass"
SEND = "portal.jobs.send"
SWEEP = "portal.jobs.sweep"
FORWARD = "portal.jobs.forward_reply"
WATCH = "portal.jobs.watch"
EVENTS = "portal.jobs.work_on_events"
ASK = "portal.jobs.ask_provider"
BROADCAST = "portal.jobs.record_broadcast"
UPLOAD = "portal.jobs.work_on_upload"

# What is done soon, and must not wait behind thousands of texts: patients' replies are in it, alarms, and imports,
# which somebody watches.
URGENT = frozenset({RUN, FORWARD, WATCH, EVENTS, UPLOAD})

CHUNK = 500  # messages a job: a fork takes as long as some twenty texts
BATCH = 100  # jobs a round trip

RESULT_TTL = 60
FAILURE_TTL = 86_400
# Only a stop for a job that hangs: a killed worker is noticed by its heartbeat. It must outlast the longest
# honest chunk: 500 messages while ten chunks share one request every three seconds take 15,000 s.
JOB_TIMEOUT = 18_000

# The zones' hours begin at quarters of an hour, so within one the same businesses are due.
QUARTER_SECONDS = 900

# Sends that wait for their moment, by its timestamp. Not RQ's scheduler, which dies with its worker.
LATER = "portal:later"

SWEEP_SECONDS = 55  # once a minute, whoever asks
WATCH_SECONDS = 290
# One job works on all that has come: while it waits, another would find nothing to do.
EVENTS_WAIT, ASK_WAITS = "portal:events_wait", "portal:ask_waits"
WAIT_SECONDS = 50  # less than a minute: a sweep a minute may each bring one
BROADCAST_WAITS_SECONDS = 3600  # until its job begins; longer only where a worker was killed as it took it
UPLOAD_WAITS_SECONDS = 600
PROGRESS_SECONDS = 120  # a worker that has said nothing for so long is at nothing any more

# A worker says that it lives every 15 seconds while it waits, every 10 while it works.
HEARTBEAT_LIMIT = timedelta(seconds=60)

Item = TypeVar("Item")


class JobFailed(Exception):
    """What Redis and the logs keep of a job's exception: its type and place, never its text."""


class Job(rq.job.Job):
    """Keeps patients' data out of Redis: stores neither an exception's text nor what a job returns."""

    def perform(self) -> None:
        try:
            if self.func_name == RUN:
                self.connection.delete(_waiting_key(*self.args))
            elif self.func_name == EVENTS:
                self.connection.delete(EVENTS_WAIT)
            elif self.func_name == BROADCAST:
                self.connection.delete(_broadcast_key(*self.args))
            elif self.func_name == UPLOAD:
                self.connection.delete(_upload_key(*self.args))
            super().perform()
        except Exception as error:
            raise JobFailed(describe(error)) from None


def connect(settings: Settings) -> redis.Redis:
    """A client for Redis; starts the embedded one where no address is set.

    It outlives a Redis that is gone for about four seconds. Says nothing about whether a Redis with an
    address answers. Raises RedisUnavailable where the embedded one cannot be started.
    """
    return redis.Redis.from_url(
        ensure_redis(settings),
        socket_timeout=10,
        socket_connect_timeout=5,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=1, base=0.1), 6),
    )


def reach(settings: Settings) -> redis.Redis:
    """A client for those who only look: it starts no server, and gives up soon."""
    return redis.Redis.from_url(
        redis_address(settings),
        socket_timeout=3,
        socket_connect_timeout=2,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 1),
    )


def watcher(settings: Settings) -> Callable[[], QueueSeen]:
    """What looks at the queue, through one client: it starts nothing, and says in words where Redis is away."""
    queue = Queue(reach(settings))

    def look() -> QueueSeen:
        if settings.redis_url is None and redis_pid(settings) is None:
            return QueueSeen(problem="The embedded Redis does not run, so no worker does.")
        try:
            return queue.look()
        except RedisUnavailable as error:
            return QueueSeen(problem=str(error))

    return look


class Queue:
    """Every method raises RedisUnavailable where Redis does not answer."""

    def __init__(self, connection: redis.Redis) -> None:
        self.connection = connection
        self._queue = rq.Queue(NAME, connection=connection, serializer=JSONSerializer, job_class=Job)

    def enqueue_pass(self, practice_id: str, at: datetime) -> bool:
        """Enqueue one pass. False where the same one waits already."""
        return self.enqueue_passes([(practice_id, at)]) == 1

    def enqueue_passes(self, passes: Iterable[tuple[str, datetime]]) -> int:
        """Enqueue a pass for each practice and instant; returns how many.

        A pass whose like (same practice, same quarter of an hour) still waits is left out: without workers,
        a cron that calls every minute would fill Redis. This only saves work; doing a pass twice is harmless.
        """
        enqueued = 0
        wanted = [(practice_id, at.astimezone(UTC).isoformat()) for practice_id, at in passes]
        wanted.reverse()  # each goes before those that were enqueued before it
        for batch in _batches(wanted, BATCH):
            with _redis_errors(), self.connection.pipeline() as pipeline:
                for one in batch:
                    pipeline.exists(_waiting_key(*one))
                fresh = [one for one, waits in zip(batch, pipeline.execute(), strict=True) if not waits]
                for one in fresh:
                    pipeline.set(_waiting_key(*one), 1, ex=QUARTER_SECONDS)
                jobs = [_job(RUN, one, f"pass of practice {one[0]} at {one[1]}") for one in fresh]
                self._queue.enqueue_many(jobs, pipeline=pipeline)
                pipeline.execute()
            enqueued += len(fresh)
        return enqueued

    def enqueue_sends(self, practice_id: str, message_ids: Sequence[int], *, is_probe: bool = False) -> int:
        """Enqueue messages for sending, in chunks of like size; returns the number of jobs."""
        size = math.ceil(len(message_ids) / math.ceil(len(message_ids) / CHUNK)) if message_ids else CHUNK
        chunks = [list(ids) for ids in _batches(message_ids, size)]
        for batch in _batches(chunks, BATCH):
            jobs = [
                _job(
                    SEND,
                    (practice_id, ids, is_probe),
                    f"send {len(ids)} of practice {practice_id}: {ids[0]} to {ids[-1]}",
                )
                for ids in batch
            ]
            with _redis_errors():
                self._queue.enqueue_many(jobs)
        return len(chunks)

    def enqueue_sends_at(self, practice_id: str, message_ids: Sequence[int], at: datetime) -> None:
        """Let a pool enqueue them then. What Redis or a pool loses meanwhile, the sweep after that enqueues."""
        with _redis_errors():
            self.connection.zadd(LATER, {json.dumps([practice_id, list(message_ids)]): at.timestamp()})

    def enqueue_come(self, now: datetime) -> None:
        """Enqueue the sends whose moment has come; each by one of the pools, which all look once a second."""
        with _redis_errors():
            come: Sequence[Any] = self.connection.zrangebyscore(LATER, "-inf", now.timestamp(), start=0, num=BATCH)
            mine = [one for one in come if self.connection.zrem(LATER, one)]
        for one in mine:
            self.enqueue_sends(*json.loads(one))

    def enqueue_forward(self, practice_id: str, message_id: int) -> None:
        """Enqueue a reply's mail to the practice."""
        description = f"mail reply {message_id} of practice {practice_id}"
        with _redis_errors():
            self._queue.enqueue_many([_job(FORWARD, (practice_id, message_id), description)])

    def enqueue_broadcast(self, practice_id: str, broadcast_id: int) -> bool:
        """Enqueue the rest of the work on a message to very many, unless a job for it waits."""
        ids = (practice_id, broadcast_id)
        description = f"write message to many {broadcast_id} of practice {practice_id}"
        return self._enqueue_once(BROADCAST, _broadcast_key(*ids), description, ids, BROADCAST_WAITS_SECONDS)

    def enqueue_upload(self, practice_id: str, upload_id: int) -> bool:
        """Enqueue work on an uploaded file, unless a job for it waits or a worker is at it."""
        if self.find_progress(practice_id, upload_id):
            return False
        ids = (practice_id, upload_id)
        description = f"work on upload {upload_id} of practice {practice_id}"
        return self._enqueue_once(UPLOAD, _upload_key(*ids), description, ids, UPLOAD_WAITS_SECONDS)

    def tell_progress(self, practice_id: str, upload_id: int, done: int, total: int) -> None:
        """How far the worker is that works on an uploaded file. The work goes on where Redis does not answer."""
        with suppress(redis.RedisError):
            self.connection.set(_progress_key(practice_id, upload_id), f"{done} {total}", ex=PROGRESS_SECONDS)

    def find_progress(self, practice_id: str, upload_id: int) -> tuple[int, int] | None:
        """What was done, and of how much; None where no worker is at it."""
        with _redis_errors():
            told = self.connection.get(_progress_key(practice_id, upload_id))
        if told is None:
            return None
        done, total = map(int, told.split())
        return done, total

    def end_progress(self, practice_id: str, upload_id: int) -> None:
        with suppress(redis.RedisError):
            self.connection.delete(_progress_key(practice_id, upload_id))

    def enqueue_sweep(self) -> bool:
        """Enqueue a sweep, unless one was less than a minute ago."""
        with _redis_errors():
            if not self.connection.set("portal:swept", 1, nx=True, ex=SWEEP_SECONDS):
                return False
            self._queue.enqueue_many([_job(SWEEP, (), "sweep")])
        return True

    def enqueue_events(self) -> bool:
        """Enqueue work on what the provider has reported, unless a job for it waits."""
        return self._enqueue_once(EVENTS, EVENTS_WAIT, "work on what the provider reported")

    def enqueue_asking(self) -> bool:
        """Enqueue a look at the provider's records, unless one was less than a minute ago."""
        return self._enqueue_once(ASK, ASK_WAITS, "ask the provider's records")

    def _enqueue_once(
        self, function: str, key: str, description: str, ids: tuple[Any, ...] = (), seconds: int = WAIT_SECONDS
    ) -> bool:
        with _redis_errors():
            if not self.connection.set(key, 1, nx=True, ex=seconds):
                return False
            self._queue.enqueue_many([_job(function, ids, description)])
        return True

    def may_watch(self) -> bool:
        """Whether nobody has looked for alarms in the last five minutes: now the caller does."""
        with _redis_errors():
            return bool(self.connection.set("portal:watched", 1, nx=True, ex=WATCH_SECONDS))

    def enqueue_watch(self) -> None:
        with _redis_errors():
            self._queue.enqueue_many([_job(WATCH, (), "look for alarms")])

    def look(self) -> QueueSeen:
        workers, expired = self._workers()
        return QueueSeen(self.length(), self.oldest_age(), workers, expired=expired)

    def length(self) -> int:
        with _redis_errors():
            return self._queue.count

    def oldest_age(self) -> timedelta | None:
        """How long the job that waits longest has waited, None where none does. By the machine's clock, as RQ.

        The newest stand at both ends, the urgent ones at the front: between them the times fall, then rise."""
        with _redis_errors():
            first, last = 0, self._queue.count - 1
            while first < last:
                middle = (first + last) // 2
                times = [_waits_since(job) for job in self._queue.get_jobs(middle, 2)]
                if times != sorted(times):
                    first = middle + 1
                else:
                    last = middle
            for job in self._queue.get_jobs(first, 1):
                return rq_now() - _waits_since(job)
        return None

    def workers(self) -> list[WorkerSeen]:
        """The workers of all hosts that signed on and not off, by name."""
        return self._workers()[0]

    def _workers(self) -> tuple[list[WorkerSeen], int]:
        """And how many died so long ago that RQ has forgotten all but their names: it does so after 90 seconds, and
        the names go only once another worker lives.

        Not by rq.Worker.all(), which would set this connection's timeout to seven minutes.
        """
        with _redis_errors():
            keys = sorted(get_keys(queue=self._queue))
            with self.connection.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.hmget(key, "hostname", "pid", "state", "last_heartbeat")
                rows = pipeline.execute()
        seen = [
            _seen(key, [value.decode() for value in row]) for key, row in zip(keys, rows, strict=True) if all(row)
        ]
        return seen, sum(not any(row) for row in rows)


def notifier(settings: Settings) -> Callable[[], None]:
    """For what the provider calls, which is to be answered at once: what it cannot enqueue, the next sweep does."""
    queue = Queue(reach(settings))

    def notify() -> None:
        if settings.redis_url is None and redis_pid(settings) is None:
            return
        try:
            queue.enqueue_events()
        except RedisUnavailable as error:
            log.warning("What the provider reported waits for the next sweep: %s", error)

    return notify


def enqueue_now(settings: Settings, practice_id: str, message_ids: Sequence[int], at: datetime | None = None) -> None:
    """For the pages: what they have just recorded, to be sent now, or `at` that time. Where Redis does not answer,
    the rows wait for the next sweep."""
    if not settings.can_send or not message_ids:
        return
    try:
        queue = Queue(connect(settings))
        if at is None:
            queue.enqueue_sends(practice_id, message_ids)
        else:
            queue.enqueue_sends_at(practice_id, message_ids, at)
    except RedisUnavailable:
        log.warning("Redis does not answer: %d messages wait for the next sweep.", len(message_ids))


def enqueue_broadcast_now(settings: Settings, practice_id: str, broadcast_id: int) -> None:
    """As `enqueue_now`, for a message to very many."""
    try:
        Queue(connect(settings)).enqueue_broadcast(practice_id, broadcast_id)
    except RedisUnavailable:
        log.warning("Redis does not answer: message to many %d waits for the next sweep.", broadcast_id)


def enqueue_upload_now(settings: Settings, practice_id: str, upload_id: int) -> None:
    """As `enqueue_now`, for an uploaded file."""
    try:
        Queue(connect(settings)).enqueue_upload(practice_id, upload_id)
    except RedisUnavailable:
        log.warning("Redis does not answer: upload %d waits for the next sweep.", upload_id)


def progress_reader(settings: Settings) -> Callable[[str, int], tuple[int, int] | None]:
    """For the page that shows how far a worker is with an uploaded file; None also where Redis does not answer."""
    queue = Queue(reach(settings))

    def find_progress(practice_id: str, upload_id: int) -> tuple[int, int] | None:
        if settings.redis_url is None and redis_pid(settings) is None:
            return None
        try:
            return queue.find_progress(practice_id, upload_id)
        except RedisUnavailable:
            return None

    return find_progress


@contextmanager
def _redis_errors() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise RedisUnavailable(f"Redis: {error}") from None


def _job(function: str, arguments: tuple[Any, ...], description: str) -> EnqueueData:
    """No Retry: a send that failed midway must not be repeated blindly; its rows know where it stands."""
    return rq.Queue.prepare_data(
        function,
        arguments,
        timeout=JOB_TIMEOUT,
        result_ttl=RESULT_TTL,
        failure_ttl=FAILURE_TTL,
        description=description,
        at_front=function in URGENT,
    )


def _waits_since(job: rq.job.Job) -> datetime:
    return job.enqueued_at or job.created_at


def _waiting_key(practice_id: str, at: str) -> str:
    quarter = int(datetime.fromisoformat(at).timestamp()) // QUARTER_SECONDS
    return f"portal:pass_waits:{quarter}:{practice_id}"


def _broadcast_key(practice_id: str, broadcast_id: int) -> str:
    return f"portal:broadcast_waits:{broadcast_id}:{practice_id}"


def _upload_key(practice_id: str, upload_id: int) -> str:
    return f"portal:upload_waits:{upload_id}:{practice_id}"


def _progress_key(practice_id: str, upload_id: int) -> str:
    return f"portal:upload_progress:{upload_id}:{practice_id}"


def _seen(key: str, row: list[str]) -> WorkerSeen:
    host, pid, state, heartbeat = row
    last = utcparse(heartbeat)
    name = key.rsplit(":", 1)[-1]
    return WorkerSeen(name, host, int(pid), state, last, is_alive=rq_now() - last < HEARTBEAT_LIMIT)


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
