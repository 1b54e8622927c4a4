"""The portal's own answers on their way: the real SDK over HTTP to the simulator, a real Redis, both databases."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from flask import Flask

from portal import store
from portal.actions.deliver import deliver
from portal.actions.remind import run_pass
from portal.core.answers import KEPT_FOR
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.limiter import Limiter
from portal.sms.gateway import Account, Gateway
from portal.sms.simulator import Simulator
from tests.actions.replies import LATER, MIA, SENDER, comes_in, message
from tests.builders import PASS_AT, Clinic

Send = Callable[..., None]


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    clinic = Clinic(sender=SENDER)
    clinic.book("a")
    return clinic


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def send(simulator: Simulator, redis_url: str) -> Iterator[Send]:
    """Run one job that sends these messages, at an instant."""
    gateway = Gateway(Account(base_url=simulator.url), read_timeout=2)
    with redis.Redis.from_url(redis_url) as connection:
        limiter = Limiter(connection, 2000)

        def run(message_ids: Any, at: datetime = LATER) -> None:
            deliver(
                "riverside",
                list(message_ids),
                sender=gateway,
                limiter=limiter,
                now=lambda: at,
                stop_requested=lambda: False,
            )

        yield run
    gateway.close()


def texts(simulator: Simulator) -> list[tuple[str, str]]:
    return [(taken.to, taken.text) for taken in simulator.messages]


def test_a_stop_is_confirmed_once_although_it_holds_and_nothing_else_goes(
    clinic: Clinic, send: Send, simulator: Simulator
) -> None:
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result
    taken = comes_in("STOP")
    send([*result.message_ids, *taken.to_send])
    send(taken.to_send)
    said = "Riverside: you will get no more texts from us. Text START to get them again."
    assert texts(simulator) == [(MIA[1:], said)]
    assert message(taken.to_send[0]).status is Status.SENT
    (reminder,) = result.message_ids
    assert (message(reminder).status, message(reminder).reasons) == (Status.NOT_SENT, (Reason.OPTED_OUT,))
    with store.reading(clinic.id) as session:
        assert store.practices.get_practice(session, clinic.id).credits == 99


def test_a_confirmation_that_no_longer_holds_is_withdrawn(clinic: Clinic, send: Send, simulator: Simulator) -> None:
    stop = comes_in("STOP")
    start = comes_in("START", LATER + timedelta(minutes=1))
    send([*stop.to_send, *start.to_send], LATER + timedelta(minutes=2))
    assert message(stop.to_send[0]).status is Status.CANCELLED
    assert [text for _, text in texts(simulator)] == [
        "Riverside: you will get our texts again. Text STOP to end them."
    ]


def test_an_answer_that_comes_too_late_does_not_go(clinic: Clinic, send: Send, simulator: Simulator) -> None:
    taken = comes_in("HELP")
    send(taken.to_send, LATER + KEPT_FOR)
    assert message(taken.to_send[0]).status is Status.EXPIRED
    assert simulator.messages == []


def test_an_unknown_number_is_answered_too(clinic: Clinic, send: Send, simulator: Simulator) -> None:
    send(comes_in("STOP", number="+61491570110").to_send)
    assert [to for to, _ in texts(simulator)] == ["61491570110"]
