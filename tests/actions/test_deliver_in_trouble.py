"""What goes wrong while messages are on their way: none is lost, doubled or left in doubt for it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from portal import store
from portal.actions import deliver as module
from portal.actions.deliver import deliver
from portal.actions.remind import run_pass
from portal.actions.sending import switch_sending
from portal.actions.sweep import take_due
from portal.core.reasons import Reason
from portal.core.reminders import Sending
from portal.core.states import Status
from portal.sms.answers import Accepted, AccountRefused, Outcome, Throttled
from portal.store.host import ACCOUNT_REFUSED
from tests.actions.test_remind import balance, events, the_log
from tests.builders import PASS_AT, Clinic

from .test_deliver import queue


@dataclass
class Provider:
    """Answers as told, and notes when it was asked for what."""

    answer: Callable[[Any], Outcome] = lambda outgoing: Accepted(f"id-{outgoing.message_id}")
    seconds: float = 0.05
    asked: list[Any] = field(default_factory=list)
    lock: Any = field(default_factory=Lock)

    def prepare(self, outgoing: Any) -> Any:
        return outgoing

    def send(self, prepared: Any, ttl_seconds: float) -> Outcome:
        with self.lock:
            self.asked.append(prepared)
        time.sleep(self.seconds)
        return self.answer(prepared)


@dataclass
class Slots:
    delays: Sequence[float]
    retry_in: float = 0.0


@dataclass
class Limits:
    """Gives every slot at once, or `delay` seconds from now."""

    delay: float = 0.0
    slowed: list[float] = field(default_factory=list)
    is_gone: bool = False

    def reserve(self, most: int) -> Slots:
        if self.is_gone:
            raise ConnectionError("Redis")
        return Slots([self.delay] * most)

    def slow_down(self, seconds: float) -> None:
        self.slowed.append(seconds)


def send(ids: Sequence[int], provider: Provider, limits: Limits | None = None, **options: Any) -> None:
    at: datetime = options.pop("at", PASS_AT)
    stop_requested = options.pop("stop_requested", lambda: False)
    deliver(
        "riverside",
        ids,
        sender=provider,
        limiter=limits or Limits(),
        now=lambda: at,
        stop_requested=stop_requested,
        **options,
    )


def statuses() -> list[Status]:
    return [message.status for message in the_log().values()]


@dataclass
class Trouble:
    """After so many further transactions, so many fail at their end, as where the database is locked."""

    after: int = 0
    failing: int = 0


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Trouble:
    trouble, real = Trouble(), store.transaction

    @contextmanager
    def transaction(practice_id: str) -> Iterator[Any]:
        with real(practice_id) as session:
            yield session
            if trouble.after:
                trouble.after -= 1
            elif trouble.failing:
                trouble.failing -= 1
                raise OperationalError("COMMIT", {}, Exception("database is locked"))

    monkeypatch.setattr(store, "transaction", transaction)
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.01))
    return trouble


def test_texts_that_grew_share_what_is_left(app: Flask) -> None:
    clinic = Clinic(credits=5)
    ids = queue(clinic, "a", "b", "c")
    assert balance() == 2
    clinic.change(clinic.template, body="x" * 170)  # each needs one more; the balance has two
    provider = Provider()
    send(ids, provider)
    assert statuses() == [Status.SENT, Status.SENT, Status.FAILED]
    assert the_log()["c"].reasons == (Reason.NO_CREDITS,)
    assert balance() == 1


def test_what_a_stopped_text_gives_back_pays_for_one_that_grew(app: Flask) -> None:
    clinic = Clinic(credits=2)
    clinic.book("a")
    clinic.book("b", starts="2031-05-08 11:00")
    ids = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert ids
    clinic.change(clinic.template, body="x" * 170)
    with store.transaction(clinic.id) as session:
        patient = store.patients.find_patient(session, "a")
        assert patient
        patient.archived = True
    send(ids.message_ids, Provider())
    assert statuses() == [Status.NOT_SENT, Status.SENT]
    assert balance() == 0


def test_a_database_that_is_locked_for_a_while_costs_no_answer(app: Flask, trouble: Trouble) -> None:
    ids = queue(Clinic(), *"abcdef")
    trouble.after, trouble.failing = 1, 2
    provider = Provider()
    send(ids, provider, threads=2)
    assert statuses() == [Status.SENT] * 6
    assert len(provider.asked) == 6


def test_where_it_stays_locked_nothing_more_is_begun(app: Flask, trouble: Trouble) -> None:
    ids = queue(Clinic(), *(f"{n:02}" for n in range(20)))
    trouble.after, trouble.failing = 1, 3
    provider = Provider(seconds=0.2)
    with pytest.raises(OperationalError):
        send(ids, provider, threads=2)
    sent = statuses().count(Status.SENT)
    assert sent == len(provider.asked) < 20  # the answers of those in flight were recorded in the end
    assert Status.SENDING not in statuses()


def test_a_limiter_that_cannot_be_asked_costs_no_answer(app: Flask) -> None:
    ids = queue(Clinic(), *(f"{n:02}" for n in range(20)))
    limits = Limits()
    provider = Provider()

    def answer(outgoing: Any) -> Outcome:
        limits.is_gone = True
        return Accepted(f"id-{outgoing.message_id}")

    provider.answer = answer
    with pytest.raises(ConnectionError):
        send(ids, provider, limits, threads=2)
    assert statuses().count(Status.SENT) == len(provider.asked) < 20
    assert set(statuses()) == {Status.SENT, Status.QUEUED}


def test_after_a_429_those_claimed_ahead_are_not_tried(app: Flask) -> None:
    ids = queue(Clinic(), *(f"{n:02}" for n in range(10)))
    limits = Limits()
    provider = Provider(answer=lambda outgoing: Throttled(7.0))
    send(ids, provider, limits, threads=1)
    log = the_log()
    assert len(provider.asked) < 10
    tried = {outgoing.message_id for outgoing in provider.asked}
    for message in log.values():
        assert message.status is Status.QUEUED
        was_tried = message.id in tried
        assert message.attempts == int(was_tried)
        assert ("throttled" in [name for _, name, _ in events(message)]) is was_tried
    assert limits.slowed == [7.0] * len(provider.asked)  # once for each answer


def test_while_the_pool_waits_nothing_stays_claimed(app: Flask) -> None:
    """A claimed message would go unasked once the wait is over, or be called in doubt after its lease."""
    ids = queue(Clinic(), "a", "b")

    class Missed(Limits):
        """The slot passed while the message was claimed, and there is no other soon."""

        def reserve(self, most: int) -> Slots:
            return Slots([-1.0] * most) if most > 1 else Slots((), 1.0)

    provider, began = Provider(), time.monotonic()
    send(ids, provider, Missed(), stop_requested=lambda: time.monotonic() - began > 1)
    assert provider.asked == []
    assert statuses() == [Status.QUEUED] * 2
    assert [message.attempts for message in the_log().values()] == [0, 0]


def test_a_stop_is_heeded_by_what_waits_for_its_slot(app: Flask) -> None:
    clinic = Clinic()
    ids = queue(clinic, "a", "b")
    began = time.monotonic()
    send(ids, Provider(), Limits(delay=30.0), stop_requested=lambda: time.monotonic() - began > 0.3)
    assert time.monotonic() - began < 10
    assert statuses() == [Status.QUEUED] * 2


def test_a_probe_that_may_not_go_makes_room_for_the_next(app: Flask) -> None:
    clinic = Clinic()
    ids = queue(clinic, *(f"{n:02}" for n in range(6)))
    send(ids, Provider(answer=lambda outgoing: AccountRefused("http-401")), threads=1)
    with store.transaction(clinic.id) as session:
        patient = store.patients.find_patient(session, "00")
        assert patient
        patient.archived = True
    later = PASS_AT + timedelta(minutes=1)
    ((_, probe, is_probe),) = take_due(later)
    provider = Provider()
    send(probe, provider, at=later, is_probe=is_probe)
    assert len(provider.asked) == 1
    assert statuses().count(Status.SENT) == 1
    with store.reading(clinic.id) as session:
        assert store.host.find_state(session, ACCOUNT_REFUSED) is None


def test_a_probe_of_a_practice_that_is_paused_does_not_make_the_others_wait(app: Flask) -> None:
    clinic = Clinic()
    ids = queue(clinic, "a", "b")
    send(ids, Provider(answer=lambda outgoing: AccountRefused("http-401")), threads=1)
    switch_sending(clinic.id, Sending.PAUSED, PASS_AT)
    at = PASS_AT + timedelta(minutes=1)
    ((_, probe, is_probe),) = take_due(at)
    send(probe, Provider(), at=at, is_probe=is_probe)
    assert statuses() == [Status.NOT_SENT] * 2
    with store.reading(clinic.id) as session:
        state = store.host.find_state(session, ACCOUNT_REFUSED)
    assert state and datetime.fromisoformat(state["probe_at"]) == at + timedelta(minutes=1)


def test_the_row_says_what_was_sent(app: Flask) -> None:
    clinic = Clinic()
    ids = queue(clinic, "a")
    with store.everything(write=True) as session:
        store.practices.get_practice(session, clinic.id).sender = "NewName"
    provider = Provider()
    send(ids, provider)
    assert (provider.asked[0].sender, the_log()["a"].sender) == ("NewName", "NewName")
