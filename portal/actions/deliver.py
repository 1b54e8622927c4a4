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
from portal.sms.answers import AccountRefused, NotReached, Outcome, Throttled

THREADS = 16  # requests in flight, for each worker
# Claimed for each thread, so that none waits for the database between two requests.
AHEAD = 2
# A slot used later than this is as good as used together with those after it.
LATE_SECONDS = 0.02
LONGEST_WAIT = 86_400.0  # seconds, for a slot in place of one that was missed
# Answers that come within this time of each other share a transaction.
GATHER_SECONDS = 0.02


class Slots(Protocol):
    delays: Sequence[float]  # seconds from now
    retry_in: float


class Limiter(Protocol):
    """The rate limit over all workers on all hosts. Raises ConnectionError where it cannot be asked."""

    def reserve(self, most: int, within: float = ...) -> Any: ...
    def slow_down(self, seconds: float) -> None: ...


class Sender(Protocol):
    """The provider, as the SDK's gateway speaks to it."""

    def prepare(self, outgoing: Any) -> Any: ...
    def send(self, prepared: Any, ttl_seconds: float) -> Outcome: ...


@dataclass(slots=True)
class _Hold:
    """Set once the provider asks to wait or refuses the account: for those not yet on their way it holds too."""

    outcome: Throttled | AccountRefused | None = None


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
    After a stop is requested, or where the limiter cannot be asked (then raises ConnectionError), nothing more
    is claimed; what is in flight is waited for and recorded.
    """
    waiting = deque(message_ids)
    in_flight: dict[Future[Outcome], Attempt] = {}
    hold = _Hold()
    lost: ConnectionError | None = None
    with ThreadPoolExecutor(threads, thread_name_prefix="send") as pool:
        while waiting or in_flight:
            if stop_requested():
                waiting.clear()
            answered = {future: in_flight.pop(future) for future in list(in_flight) if future.done()}
            answers = [(attempt, future.result()) for future, attempt in answered.items()]
            free = min(AHEAD * threads - len(in_flight), len(waiting))
            reserved_at = time.monotonic()
            slots = None
            try:
                for _, outcome in answers:
                    if isinstance(outcome, Throttled):
                        hold = _Hold()  # what is claimed from now on waits in the limiter
                        limiter.slow_down(outcome.retry_after)
                if free:
                    slots = limiter.reserve(free)
            except ConnectionError as error:  # first record what is in flight
                lost = error
                waiting.clear()
            delays = slots.delays if slots else ()
            if answers or delays:
                ids = [waiting.popleft() for _ in delays]
                with store.transaction(practice_id) as session:
                    practice = store.practices.lock_practice(session, practice_id)
                    record(session, practice, answers, now())
                    claimed = claim(session, practice, ids, sender, now(), is_probe=is_probe)
                if claimed is None:  # the provider refuses our account: all sending waits
                    waiting.clear()
                for attempt, delay in zip(claimed or (), delays, strict=False):
                    future = pool.submit(_send, sender, limiter, hold, attempt, reserved_at + delay)
                    in_flight[future] = attempt
            _wait(in_flight, bool(waiting), slots.retry_in if slots else 0.0, AHEAD * threads)
    if lost:
        raise lost


def _send(sender: Sender, limiter: Limiter, hold: _Hold, attempt: Attempt, starts_at: float) -> Outcome:
    try:
        while time.monotonic() - starts_at > LATE_SECONDS:
            starts_at = _next_slot(limiter)
    except ConnectionError:
        return NotReached("no-redis")
    time.sleep(max(0.0, starts_at - time.monotonic()))
    if hold.outcome:
        return hold.outcome
    outcome = sender.send(attempt.prepared, attempt.ttl_seconds)
    if isinstance(outcome, Throttled | AccountRefused):
        hold.outcome = outcome
    return outcome


def _next_slot(limiter: Limiter) -> float:
    asked_at = time.monotonic()
    slots = limiter.reserve(1, within=LONGEST_WAIT)
    return float(asked_at + slots.delays[0])


def _wait(in_flight: dict[Future[Outcome], Attempt], more: bool, retry_in: float, most: int) -> None:
    """Until something can be done: an answer to record, or a slot for the next message."""
    if not in_flight:
        if more:
            time.sleep(min(retry_in, 1.0))
        return
    can_claim = more and len(in_flight) < most
    wait(in_flight, timeout=min(retry_in, 1.0) if can_claim else None, return_when=FIRST_COMPLETED)
    time.sleep(GATHER_SECONDS)
