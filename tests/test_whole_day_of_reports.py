"""A whole day with the simulated provider: every kind of answer, receipt and reply, signed, over HTTP, while texts
still go out and workers die. In the end no message is in a wrong state, by the provider's own count."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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
from portal.actions.who import COMMAND_LINE
from portal.actions.worklist import look_at_worklist, mark_dealt_with
from portal.config import Settings
from portal.core.receipts import CAUSES, Fault, parse_reference
from portal.core.replies import Meaning
from portal.core.states import Kind, Status
from portal.sms.answers import Outcome as Answer
from portal.sms.gateway import Account, Gateway, Outgoing
from portal.sms.reports import Reports
from portal.sms.simulator import SIGNATURE_SECRET, Options, Simulator, Taken
from portal.store.appointments import Appointment
from portal.store.credits import CreditEntry
from portal.store.messages import Message, MessageEvent
from portal.store.patients import OptOut, OptOutSource, PhoneRow
from portal.store.provider_events import Outcome, ProviderEvent
from portal.store.replies import Reply
from tests.builders import PASS_AT, Clinic, a_patient, an_appointment
from tests.web.browsing import served

MANY = int(os.environ.get("PORTAL_TEST_DAY", "2000"))  # by hundreds
OF_EACH = MANY // 100
SENDER = "+61400000000"
A_WHILE = timedelta(hours=1)
AT_THE_WORST = 1800  # seconds, until all that the provider has to say is said

DELIVERED = {"status": "delivered"}
SUBMITTED = {"status": "submitted"}
CODES = sorted(CAUSES)

RECEIPTS: list[dict[str, Any]] = [
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
]
EACH_CODE = [{"receipts": [SUBMITTED, {"status": "undeliverable", "code": code}]} for code in CODES]
REPLIES = {
    "Y": Meaning.CONFIRM,
    "👍": Meaning.CONFIRM,
    "can't make it, sorry": Meaning.DECLINE,
    "STOP": Meaning.STOP,
    "stop, please": Meaning.STOP,  # whoever writes that thinks better of it, and writes START
    "Cancel": Meaning.CANCEL,
    "HELP": Meaning.HELP,
    "Is there parking?": Meaning.OTHER,
    "yes": Meaning.CONFIRM,  # from a family's phone
    "I'm driving and will see your text later.": Meaning.OTHER,
    "": Meaning.OTHER,
}
STOPPED, BACK, FAMILY = "STOP", "stop, please", "yes"
SAYS = [{"receipts": [DELIVERED], "reply": text} for text in REPLIES]
# The first die before the request, the second after it; the last are told about after the 72 hours.
DIES_BEFORE, DIES_AFTER, VERY_LATE = ({"receipts": [DELIVERED]}, {"receipts": [DELIVERED]}, {"receipts": []})
PLAN: list[dict[str, Any]] = [*RECEIPTS, DIES_BEFORE, *EACH_CODE, DIES_AFTER, *SAYS, VERY_LATE]
STRANGERS = 10


def ending_of(rule: dict[str, Any]) -> str:
    """The last digits of the numbers that it is about."""
    return f"{next(at for at, one in enumerate(PLAN) if one is rule):02}"


def saying(text: str) -> str:
    return ending_of(SAYS[list(REPLIES).index(text)])


def the_plan() -> list[dict[str, Any]]:
    """What happens to the texts, by the last two digits of their numbers; all others are delivered."""
    assert len(PLAN) < 95
    assert MANY % 100 == 0
    return [*(rule | {"to_ends": ending_of(rule)} for rule in PLAN), {"receipts": [SUBMITTED, DELIVERED]}]


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
            mobile = f"0412 {number // 1000:03} {number % 1000:03}"
            patient = a_patient(session, str(number), mobile=mobile)
            an_appointment(session, str(number), patient=patient, **own)
            if mobile.endswith(saying(FAMILY)):
                a_patient(session, f"{number}b", mobile=mobile, first_name="Ben")
    return clinic


class NoLimit:
    """The test sends as fast as it can."""

    class Slots:
        def __init__(self, most: int) -> None:
            self.delays, self.retry_in = [0.0] * most, 0.0

    def reserve(self, most: int) -> Any:
        return self.Slots(most)

    def slow_down(self, seconds: float) -> None: ...


class Killed(BaseException):
    """The worker's process is no more."""


class Mortal:
    """Sends as the gateway does, unless its worker is killed just before or just after the request: once for each
    number."""

    def __init__(self, gateway: Gateway) -> None:
        self.prepare, self._gateway = gateway.prepare, gateway
        self.deaths = 0

    def send(self, prepared: Any, ttl_seconds: float) -> Answer:
        if prepared.to.endswith(ending_of(DIES_BEFORE)):
            self._die()
        answer = self._gateway.send(prepared, ttl_seconds)
        if prepared.to.endswith(ending_of(DIES_AFTER)):
            self._die()
        return answer

    def _die(self) -> None:
        self.deaths += 1
        raise Killed


def send_all(ids: Sequence[int], sender: Any, now: datetime) -> None:
    """By one worker after the other, until none is left that is queued."""
    while True:
        try:
            return deliver(
                "riverside",
                ids,
                sender=sender,
                limiter=NoLimit(),
                now=lambda: now,
                stop_requested=lambda: False,
            )
        except Killed:
            with store.reading("riverside") as session:
                queued = select(Message.id).where(Message.status == Status.QUEUED).order_by(Message.id)
                ids = session.scalars(queued).all()


@dataclass
class Worker:
    """Works on what is reported while texts go out. `answers`: what the portal has to say to replies."""

    app: Flask
    is_over: Event = field(default_factory=Event)
    answers: list[int] = field(default_factory=list)

    def run(self) -> None:
        with self.app.app_context():
            while True:
                ends = self.is_over.is_set()
                while (worked := work_on_events(clock.now(), take_reply)).events:
                    self.answers += [id_ for reply in worked.replies for id_ in reply.to_send]
                if ends:
                    return
                self.is_over.wait(0.05)


def work_off(now: datetime) -> list[int]:
    """All that was reported until then; returns the answers that are to be sent."""
    to_send: list[int] = []
    while (worked := work_on_events(now, take_reply)).events:
        to_send += [id_ for reply in worked.replies for id_ in reply.to_send]
    return to_send


def test_a_whole_day(app: Flask) -> None:
    clinic = the_practice()
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result and result.queued == MANY
    worker = Worker(app)
    with Simulator(Options(now=clock.now)) as simulator, served(app) as url:
        simulator.plan(the_plan())
        thread = Thread(target=worker.run)
        thread.start()
        account = Account(base_url=simulator.url, webhook_url=f"{url}/webhooks/vonage/status")
        with closing(Gateway(account)) as gateway, closing(Reports(account)) as records:
            mortal = Mortal(gateway)
            send_all(result.message_ids, mortal, PASS_AT)
            assert OF_EACH < mortal.deaths <= 2 * OF_EACH  # one that dies takes others with it
            assert simulator.errands.wait_until_done(AT_THE_WORST)
            worker.is_over.set()
            thread.join()
            simulator.plan([])  # nobody writes back to an answer
            simulator.options = replace(simulator.options, receipts=True)
            send_all(worker.answers, gateway, clock.now())
            _write_more(simulator, gateway)
            send_all(work_off(clock.now()), gateway, clock.now())
            assert simulator.errands.wait_until_done(AT_THE_WORST)
            for at in (
                PASS_AT + LEASE,
                PASS_AT + SETTLE_AFTER,
                PASS_AT + MISSED_AFTER,
                PASS_AT + WAIT_FOR_RECEIPT - timedelta(seconds=1),
            ):
                sweep(at)
                ask(at, records)
                work_off(at + A_WHILE)
                if at == PASS_AT + MISSED_AFTER:
                    _deal_with_those_in_doubt(at)
            sweep(PASS_AT + WAIT_FOR_RECEIPT + A_WHILE)  # some were sent later than the pass ran
        _tell_very_late(simulator)
        taken, counts = simulator.messages, simulator.counts | simulator.outcomes
    _compare(taken, counts)
    _compare_replies(Counter(number[-2:] for number in {one.to for one in taken}), counts["replies"])


def _write_more(simulator: Simulator, gateway: Gateway) -> None:
    """Some who wrote STOP write START, people write whom nobody knows, and another program texts by our account.

    A second later at least: the provider tells whole seconds, and at one instant a stop outweighs a start."""
    clock.sleep(1)
    for number in {one.to for one in simulator.messages if one.to.endswith(saying(BACK))}:
        assert simulator.reply(number, SENDER, "START") == 200
    for at in range(STRANGERS):
        assert simulator.reply(f"6141399{at:02}99", SENDER, "Who is this?") == 200
        text = Outgoing(1, f"+6141399{at:02}99", SENDER, "Somebody else's text", f"order-{at}")
        gateway.send(gateway.prepare(text), 600)


def _tell_very_late(simulator: Simulator) -> None:
    late = [one for one in simulator.messages if one.to.endswith(ending_of(VERY_LATE))]
    assert late
    for one in late:
        assert simulator.receipt(one.uuid, "delivered") == 200
    work_off(PASS_AT + WAIT_FOR_RECEIPT + 2 * A_WHILE)


def _deal_with_those_in_doubt(now: datetime) -> None:
    """Each is on the worklist, until staff have dealt with the last."""
    unknown = {message.id for message in texts() if message.status is Status.UNKNOWN}
    with store.reading("riverside") as session:
        practice = store.practices.get_practice(session, "riverside")
    dealt_with: set[int] = set()
    while doubtful := {
        row.message.id for row in look_at_worklist(practice, now).open if row.message.status is Status.UNKNOWN
    }:
        assert not doubtful & dealt_with
        for id_ in doubtful:
            mark_dealt_with("riverside", id_, COMMAND_LINE, now)
        dealt_with |= doubtful
    assert dealt_with == unknown


def texts() -> list[Message]:
    """Reminders and answers."""
    with store.reading("riverside") as session:
        return list(session.scalars(select(Message).where(Message.kind.in_((Kind.REMINDER, Kind.AUTO_REPLY)))))


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


def _compare(taken: list[Taken], counts: dict[str, Any]) -> None:
    messages = texts()
    ours = [one for one in taken if not (one.client_ref or "").startswith("order-")]
    assert len(taken) - len(ours) == STRANGERS
    by_id = {parse_reference(one.client_ref)[0]: one for one in ours}
    assert len(by_id) == len(ours)  # nobody was texted twice
    found = {message.id: (message.status, message.provider_code) for message in messages}
    assert found == {message.id: expected(by_id.get(message.id), message) for message in messages}

    # The provider's own count, of what it took and what became of it.
    states = Counter(message.status for message in messages if message.id in by_id)
    assert states[Status.DELIVERED] + STRANGERS == counts["ended"]["delivered"]
    assert sum(states.values()) + STRANGERS == counts["accepted"] == len(taken)
    lost = sum(one.ending.code == "1490" for one in ours)
    assert states[Status.UNCONFIRMED] == counts["ended"]["submitted"] + lost
    assert states[Status.UNDELIVERED] == counts["ended"]["undeliverable"] - lost

    # What nobody knows is said to be so, and none was guessed. What died beside others takes some with it.
    unknown = {message.id for message in messages if message.status is Status.UNKNOWN}
    failed = sum(message.status is Status.FAILED for message in messages)
    assert 3 * OF_EACH <= len(unknown) < 6 * OF_EACH
    assert failed <= OF_EACH
    with store.reading("riverside") as session:
        asked = session.scalars(select(MessageEvent.message_id).where(MessageEvent.event == "no-record")).all()
        assert unknown <= set(asked)
        assert len(asked) == len(set(asked))
        marked = session.scalar(select(func.count()).where(PhoneRow.out_of_service.is_not(None)))
        sources = Counter(session.scalars(select(OptOut.source)))
        balance = store.practices.get_practice(session, "riverside").credits
        ledger = session.scalar(select(func.sum(CreditEntry.amount)))
    dead = {code for code, cause in CAUSES.items() if cause.fault is Fault.NUMBER}
    assert marked == sum(one.ending.code in dead for one in ours)
    assert sources[OptOutSource.CARRIER] == sum(one.ending.code == "1240" for one in ours)
    assert balance == ledger == 3 * MANY - sum(message.charged for message in messages)
    assert {message.charged for message in messages if message.status is Status.FAILED} == {0}
    with store.everything() as session:
        left = Counter(session.scalars(select(ProviderEvent.outcome)))
    assert left.pop(Outcome.UNMATCHED) == STRANGERS  # of the other program's texts
    assert set(left) == {Outcome.APPLIED}, left


def _compare_replies(texted: Counter[str], replies: int) -> None:
    """`texted`: how many were, by the last digits of their numbers. `replies`: by the provider's count."""
    with store.reading("riverside") as session:
        meanings = Counter(session.scalars(select(Reply.meaning)))
        stops = select(OptOut.e164).where(OptOut.source == OptOutSource.REPLY, OptOut.lifted_at.is_(None))
        stopped = Counter(str(number)[-2:] for number in session.scalars(stops))
        confirmed = sum(one.is_confirmed for one in session.scalars(select(Appointment)))
        nobodys = session.scalar(select(func.count()).where(Message.kind == Kind.REPLY, Message.patient_id.is_(None)))
        cancelled = session.scalar(select(func.count()).where(Appointment.cancelled_at.is_not(None)))
        answered = session.scalar(select(func.count()).where(Message.kind == Kind.AUTO_REPLY))
    said = {text: texted[saying(text)] for text in REPLIES}
    wanted = Counter({Meaning.START: said[BACK], Meaning.OTHER: STRANGERS})
    for text, meaning in REPLIES.items():
        wanted[meaning] += said[text]
    assert meanings == wanted
    assert replies == wanted.total()
    assert stopped == {saying(STOPPED): said[STOPPED], saying("Cancel"): said["Cancel"]}
    assert confirmed == said["Y"] + said["👍"]  # not the family's: staff say whose yes it is
    assert nobodys == said[FAMILY] + STRANGERS
    assert answered == said[STOPPED] + 2 * said[BACK] + said["Cancel"] + said["HELP"]
    assert cancelled == 0
