"""Send queued messages: claim, ask again, send, record.

One thread does all the database's work; the others do nothing but wait for their turn and for the provider.
No transaction is open while a request is.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from portal import store
from portal.actions.claim import Attempt, Preparer, claim
from portal.actions.record import Answer, HeldBack, record
from portal.sms.answers import AccountRefused, Outcome, Throttled

THREADS = 16  # requests in flight, for each worker
# Claimed for each thread, so that none waits for the database between two requests.
AHEAD = 2
# A slot used later than this is as good as used together with those after it.
LATE_SECONDS = 0.02
# How soon a thread that waits for its slot learns of a stop or a refusal.
LOOK_SECONDS = 0.2
# Answers that come within this time of each other share a transaction.
GATHER_SECONDS = 0.02
# A database that is locked, or starts again, must not cost the answers in flight: they would be in doubt.
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


class Slots(Protocol):
    @property
    def delays(self) -> Sequence[float]: ...  # seconds from now, ascending
    @property
    def retry_in(self) -> float: ...


class Limiter(Protocol):
    """The rate limit over all workers on all hosts. Raises ConnectionError where it cannot be asked."""

    def reserve(self, most: int) -> Slots: ...
    def slow_down(self, seconds: float) -> None: ...


class Sender(Preparer, Protocol):
    """The provider, as the SDK's gateway speaks to it."""

    def send(self, prepared: Any, ttl_seconds: float) -> Outcome: ...


@dataclass(slots=True)
class _Hold:
    """Set once the provider asks to wait or refuses the account: for those not yet on their way it holds too."""

    cause: Throttled | AccountRefused | None = None


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

    `is_probe`: send one although the provider refuses our account, to see whether that is mended.
    After a stop is requested, or where the limiter cannot be asked (then raises ConnectionError), no request is
    begun; those in flight are waited for and recorded.
    """
    delivery = _Delivery(practice_id, message_ids, sender, limiter, now, stop_requested, threads, is_probe)
    with ThreadPoolExecutor(threads, thread_name_prefix="send") as pool:
        delivery.run(pool)
    if delivery.lost:
        raise delivery.lost


class _Delivery:
    """One job's messages on their way."""

    def __init__(
        self,
        practice_id: str,
        message_ids: Sequence[int],
        sender: Sender,
        limiter: Limiter,
        now: Callable[[], datetime],
        stop_requested: Callable[[], bool],
        threads: int,
        is_probe: bool,
    ) -> None:
        self.practice_id = practice_id
        self.waiting = deque(message_ids)
        self.sender = sender
        self.limiter = limiter
        self.now = now
        self.stop_requested = stop_requested
        self.most_claimed = 1 if is_probe else AHEAD * threads
        self.is_probe = is_probe
        self.in_flight: dict[Future[Answer], Attempt] = {}
        self.answers: list[tuple[Attempt, Answer]] = []  # not yet recorded
        self.hold = _Hold()
        self.is_over = False
        self.lost: ConnectionError | None = None

    def run(self, pool: ThreadPoolExecutor) -> None:
        try:
            while self.waiting or self.in_flight or self.answers:
                self._turn(pool)
        except BaseException:
            self.is_over = True
            wait(self.in_flight)
            self._take_answers()
            self._settle([])
            raise

    def _turn(self, pool: ThreadPoolExecutor) -> None:
        if self.stop_requested():
            self.waiting.clear()
        self._take_answers()
        asked_at = time.monotonic()
        delays, retry_in = self._reserve(min(self.most_claimed - len(self.in_flight), len(self.waiting)))
        if self.answers or delays:
            attempts = self._settle([self.waiting.popleft() for _ in delays])
            if attempts is None or (self.is_probe and attempts):  # the account is refused; one probe is enough
                self.waiting.clear()
            for attempt, delay in zip(attempts or (), delays, strict=False):
                future = pool.submit(self._send, self.hold, attempt, asked_at + delay)
                self.in_flight[future] = attempt
        self._wait(retry_in)

    def _take_answers(self) -> None:
        for future in [future for future in self.in_flight if future.done()]:
            attempt, answer = self.in_flight.pop(future), future.result()
            self.answers.append((attempt, answer))
            if isinstance(answer, Throttled | AccountRefused):
                self.hold = _Hold()  # what is claimed from now on has asked the limiter, or is a probe
            elif isinstance(answer, HeldBack) and answer.cause is None and not self.stop_requested():
                self.waiting.append(attempt.message_id)

    def _reserve(self, most: int) -> tuple[Sequence[float], float]:
        """Slots for so many, and in how many seconds there are more."""
        if not most:
            return (), 0.0
        try:
            slots = self.limiter.reserve(most)
        except ConnectionError as error:  # first record what is in flight
            self.lost = error
            self.waiting.clear()
            return (), 0.0
        return slots.delays, slots.retry_in

    def _settle(self, message_ids: Sequence[int]) -> list[Attempt] | None:
        """Record the answers and claim these messages, in one transaction."""
        for pause in (*PAUSES, None):
            try:
                with store.transaction(self.practice_id) as session:
                    practice = store.practices.lock_practice(session, self.practice_id)
                    given_back = record(session, practice, self.answers, self.now())
                    credits = practice.credits + given_back
                    attempts = claim(
                        session, practice, credits, message_ids, self.sender, self.now(), is_probe=self.is_probe
                    )
                self.answers.clear()
                return attempts
            except store.Unavailable:
                if pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError

    def _wait(self, retry_in: float) -> None:
        """Until something can be done: an answer to record, or a slot for the next message."""
        if not self.in_flight:
            if self.waiting:
                time.sleep(min(retry_in, 1.0))
            return
        can_claim = self.waiting and len(self.in_flight) < self.most_claimed
        wait(self.in_flight, timeout=min(retry_in, 1.0) if can_claim else None, return_when=FIRST_COMPLETED)
        time.sleep(GATHER_SECONDS)

    # --- in the threads ---

    def _send(self, hold: _Hold, attempt: Attempt, starts_at: float) -> Answer:
        if not self._wait_for_slot(hold, starts_at):
            return HeldBack(hold.cause)
        outcome = self.sender.send(attempt.prepared, attempt.ttl_seconds)
        if isinstance(outcome, Throttled | AccountRefused):
            hold.cause = outcome
        if isinstance(outcome, Throttled):
            with suppress(ConnectionError):  # the next reservation says so
                self.limiter.slow_down(outcome.retry_after)
        return outcome

    def _wait_for_slot(self, hold: _Hold, starts_at: float) -> bool:
        """False where the message is not to go after all: there was a stop, a refusal, or no other slot soon."""
        while not (self.is_over or self.stop_requested() or hold.cause):
            early = starts_at - time.monotonic()
            if early > 0:
                time.sleep(min(early, LOOK_SECONDS))
            elif early >= -LATE_SECONDS:
                return True
            else:
                asked_at = time.monotonic()
                try:
                    delays = self.limiter.reserve(1).delays
                except ConnectionError:
                    return False
                if not delays:
                    return False
                starts_at = asked_at + delays[0]
        return False
