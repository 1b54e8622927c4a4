"""Send queued messages: claim, ask again, send, record.

One thread does all the database's work; the others do nothing but wait for the provider. No transaction is
open while a request is.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from portal import store
from portal.actions.claim import Attempt, claim
from portal.actions.record import record
from portal.sms.answers import Outcome, Throttled

THREADS = 16  # requests in flight, for each worker
# Answers that come within this time of each other share a transaction.
GATHER_SECONDS = 0.005


class Slots(Protocol):
    delays: Sequence[float]  # seconds from now
    retry_in: float


class Limiter(Protocol):
    """The rate limit over all workers on all hosts."""

    def reserve(self, most: int, within: float = ...) -> Any: ...
    def slow_down(self, seconds: float) -> None: ...


class Sender(Protocol):
    """The provider, as the SDK's gateway speaks to it."""

    def prepare(self, outgoing: Any) -> Any: ...
    def send(self, prepared: Any, ttl_seconds: float) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class _InFlight:
    attempt: Attempt
    future: Future[Outcome]


def deliver(
    practice_id: str,
    message_ids: Sequence[int],
    *,
    sender: Sender,
    limiter: Limiter,
    now: Callable[[], datetime],
    stop_requested: Callable[[], bool],
    threads: int = THREADS,
    is_probe: bool = False,
) -> None:
    """Send those of the messages that are still queued and due. May run twice, or twice at once.

    `is_probe`: try although the provider refuses our account, to see whether that is mended.
    After a stop is requested nothing more is claimed; what is in flight is waited for and recorded.
    """
    waiting = deque(message_ids)
    in_flight: dict[Future[Outcome], Attempt] = {}
    with ThreadPoolExecutor(threads, thread_name_prefix="send") as pool:
        while waiting or in_flight:
            if stop_requested():
                waiting.clear()
            answered = {future: in_flight.pop(future) for future in list(in_flight) if future.done()}
            free = min(threads - len(in_flight), len(waiting))
            reserved_at = time.monotonic()
            slots = limiter.reserve(free) if free else None
            delays = slots.delays if slots else ()
            answers = [(attempt, future.result()) for future, attempt in answered.items()]
            for _, outcome in answers:
                if isinstance(outcome, Throttled):
                    limiter.slow_down(outcome.retry_after)
            if answers or delays:
                ids = [waiting.popleft() for _ in delays]
                with store.transaction(practice_id) as session:
                    practice = store.practices.lock_practice(session, practice_id)
                    record(session, practice, answers, now())
                    claimed = claim(session, practice, ids, sender, now(), is_probe=is_probe)
                if claimed is None:  # the provider refuses our account: all sending waits
                    waiting.clear()
                for attempt, delay in zip(claimed or (), delays, strict=False):
                    future = pool.submit(_send, sender, attempt, reserved_at + delay)
                    in_flight[future] = attempt
            _wait(in_flight, bool(waiting), slots.retry_in if slots else 0.0, threads)


def _send(sender: Sender, attempt: Attempt, starts_at: float) -> Outcome:
    time.sleep(max(0.0, starts_at - time.monotonic()))
    return sender.send(attempt.prepared, attempt.ttl_seconds)


def _wait(in_flight: dict[Future[Outcome], Attempt], more: bool, retry_in: float, threads: int) -> None:
    """Until something can be done: an answer to record, or a slot for the next message."""
    if not in_flight:
        if more:
            time.sleep(min(retry_in, 1.0))
        return
    can_claim = more and len(in_flight) < threads
    wait(in_flight, timeout=min(retry_in, 1.0) if can_claim else None, return_when=FIRST_COMPLETED)
    time.sleep(GATHER_SECONDS)
