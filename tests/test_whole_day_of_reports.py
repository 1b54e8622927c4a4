"""A whole day with the simulated provider: every kind of answer, receipt and reply, signed, over HTTP, while texts
still go out. In the end no message is in a wrong state, by the provider's own count."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal import clock, create_app, store
from portal.actions.deliver import deliver
from portal.actions.inbound import take_reply
from portal.actions.receipts import work_on_events
from portal.actions.remind import run_pass
from portal.actions.settle import MISSED_AFTER, SETTLE_AFTER, ask
from portal.actions.sweep import LEASE, WAIT_FOR_RECEIPT, sweep
from portal.config import Settings
from portal.core.receipts import CAUSES, Fault, parse_reference
from portal.core.states import Kind, Status
from portal.sms.gateway import Account, Gateway
from portal.sms.reports import Reports
from portal.sms.simulator import SIGNATURE_SECRET, Options, Simulator, Taken
from portal.store.messages import Message, MessageEvent
from portal.store.patients import OptOut, OptOutSource, PhoneRow
from portal.store.provider_events import Outcome, ProviderEvent
from tests.builders import PASS_AT, Clinic, a_patient, an_appointment
from tests.web.browsing import served

MANY = int(os.environ.get("PORTAL_TEST_DAY", "2000"))
SENDER = "+61400000000"

DELIVERED = {"status": "delivered"}
SUBMITTED = {"status": "submitted"}
CODES = sorted(CAUSES)


def the_plan() -> list[dict[str, Any]]:
    """What happens to the texts, by the last two digits of their numbers; all others are delivered."""
    kinds: list[dict[str, Any]] = [
        {"receipts": [DELIVERED, DELIVERED]},
        {"receipts": [DELIVERED, SUBMITTED]},
        {"receipts": [SUBMITTED, DELIVERED | {"after": 2}]},
        {"receipts": [{"status": "undeliverable", "code": "1180"}, DELIVERED]},
        {"receipts": [DELIVERED, {"status": "undeliverable", "code": "1180"}]},
        {"receipts": [{"status": "rejected", "code": "1180"}, {"status": "undeliverable", "code": "1170"}]},
        {"receipts": [], "ends": "delivered"},  # lost on its way
        {"receipts": [SUBMITTED], "ends": "undeliverable", "ends_code": "1190"},
        {"receipts": []},  # nobody ever learns
        {"fault": "drop", "taken": True, "receipts": [DELIVERED]},
        {"fault": "drop", "taken": True, "receipts": [], "ends": "delivered"},
        {"fault": "garbage", "taken": True, "receipts": [], "ends": "undeliverable", "ends_code": "1180"},
        {"fault": "reset"},
        {"status": 503},
        {"status": 422, "code": "1170", "title": "Invalid number"},
        {"receipts": [DELIVERED], "reply": "Y"},
        {"receipts": [DELIVERED], "reply": "can't make it, sorry"},
        {"receipts": [DELIVERED], "reply": "STOP"},
        {"receipts": [DELIVERED], "reply": "Is there parking?"},
        *({"receipts": [SUBMITTED, {"status": "undeliverable", "code": code}]} for code in CODES),
    ]
    assert len(kinds) < 90
    rules = [rule | {"to_ends": f"{ending:02}"} for ending, rule in enumerate(kinds)]
    return [*rules, {"receipts": [SUBMITTED, DELIVERED]}]


@pytest.fixture
def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setattr(clock, "_offset", timedelta())
    clock.start_at(PASS_AT)
    app = create_app(replace(settings, vonage_signature_secrets=(SIGNATURE_SECRET,)))
    with app.app_context():
        yield app
        store.database.db.engine.dispose()


def the_practice() -> Clinic:
    clinic = Clinic(sender=SENDER, credits=3 * MANY)
    own = {"business": clinic.business, "practitioner": clinic.practitioner, "type": clinic.type}
    with store.transaction(clinic.id) as session:
        for number in range(MANY):
            patient = a_patient(session, str(number), mobile=f"0412 {number // 1000:03} {number % 1000:03}")
            an_appointment(session, str(number), patient=patient, **own)
    return clinic


class NoLimit:
    """The test sends as fast as it can."""

    class Slots:
        def __init__(self, most: int) -> None:
            self.delays, self.retry_in = [0.0] * most, 0.0

    def reserve(self, most: int) -> Any:
        return self.Slots(most)

    def slow_down(self, seconds: float) -> None: ...


def work_meanwhile(app: Flask, is_over: Event) -> None:
    """As the workers do, from the first report to the last."""
    with app.app_context():
        while True:
            ends = is_over.is_set()
            while work_on_events(clock.now(), take_reply).events:
                pass
            if ends:
                return
            is_over.wait(0.05)


def the_reminders() -> dict[int, Message]:
    with store.reading("riverside") as session:
        rows = session.scalars(select(Message).where(Message.kind == Kind.REMINDER)).all()
    return {row.id: row for row in rows}


def expected(taken: Taken | None, message: Message) -> tuple[Status, str | None]:
    """(status, code) by what the provider itself knows."""
    if taken is None:
        return (Status.FAILED, "1170") if message.status is Status.FAILED else (Status.UNKNOWN, message.provider_code)
    status, code = taken.ending.status, taken.ending.code
    if status == "delivered":
        return Status.DELIVERED, None
    if status == "submitted":
        return Status.UNCONFIRMED, None
    return (Status.UNCONFIRMED, code) if code == "1490" else (Status.UNDELIVERED, code)


def test_a_whole_day(app: Flask) -> None:
    clinic = the_practice()
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result and result.queued == MANY
    is_over = Event()
    with Simulator(Options(now=lambda: PASS_AT)) as simulator, served(app) as url:
        simulator.plan(the_plan())
        worker = Thread(target=work_meanwhile, args=(app, is_over))
        worker.start()
        account = Account(base_url=simulator.url, webhook_url=f"{url}/webhooks/vonage/status")
        with closing(Gateway(account)) as gateway, closing(Reports(account)) as records:
            deliver(
                clinic.id,
                list(result.message_ids),
                sender=gateway,
                limiter=NoLimit(),
                now=lambda: PASS_AT,
                stop_requested=lambda: False,
            )
            assert simulator.errands.wait_until_done(300)
            is_over.set()
            worker.join()
            for at in (
                PASS_AT + LEASE,
                PASS_AT + SETTLE_AFTER,
                PASS_AT + MISSED_AFTER,
                PASS_AT + WAIT_FOR_RECEIPT - timedelta(seconds=1),
            ):
                sweep(at)
                ask(at, records)
                while work_on_events(at + timedelta(hours=1), take_reply).events:
                    pass
            sweep(PASS_AT + WAIT_FOR_RECEIPT)
        taken, counts = simulator.messages, simulator.counts | simulator.outcomes
    _compare(taken, counts)


def _compare(taken: list[Taken], counts: dict[str, Any]) -> None:
    reminders = the_reminders()
    by_id = {parse_reference(one.client_ref)[0]: one for one in taken}
    assert len(by_id) == len(taken)  # nobody was texted twice
    found = {id_: (message.status, message.provider_code) for id_, message in reminders.items()}
    assert found == {id_: expected(by_id.get(id_), message) for id_, message in reminders.items()}

    # The provider's own count, of what it took and what became of it.
    states = Counter(message.status for id_, message in reminders.items() if id_ in by_id)
    assert states[Status.DELIVERED] == counts["ended"]["delivered"]
    assert sum(states.values()) == counts["accepted"] == len(taken)
    lost = sum(one.ending.code == "1490" for one in taken)
    assert states[Status.UNCONFIRMED] == counts["ended"]["submitted"] + lost
    assert states[Status.UNDELIVERED] == counts["ended"]["undeliverable"] - lost

    # What nobody knows is said to be so, and none was guessed.
    unknown = [message.id for message in reminders.values() if message.status is Status.UNKNOWN]
    with store.reading("riverside") as session:
        asked = set(session.scalars(select(MessageEvent.message_id).where(MessageEvent.event == "no-record")))
        assert set(unknown) <= asked
        marked = session.scalar(select(func.count()).where(PhoneRow.out_of_service.is_not(None)))
        sources = Counter(session.scalars(select(OptOut.source)))
        replies = session.scalar(select(func.count()).where(Message.kind == Kind.REPLY))
    dead = {code for code, cause in CAUSES.items() if cause.fault is Fault.NUMBER}
    assert marked == sum(one.ending.code in dead for one in taken)
    assert sources[OptOutSource.CARRIER] == sum(one.ending.code == "1240" for one in taken)
    assert sources[OptOutSource.REPLY] == counts["replies"] // 4 == replies // 4
    with store.everything() as session:
        left = Counter(session.scalars(select(ProviderEvent.outcome)))
    assert set(left) == {Outcome.APPLIED}, left
