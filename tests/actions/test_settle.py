"""The provider's records settle what no webhook has told: over HTTP, from the simulator, on both databases."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions.deliver import deliver
from portal.actions.queue_text import PAUSE
from portal.actions.receipts import work_on_events
from portal.actions.remind import run_pass
from portal.actions.resend import send_again
from portal.actions.settle import MISSED_AFTER, MOST_FAILURES, SETTLE_AFTER, ask, find_way, is_due
from portal.actions.sweep import LEASE, sweep
from portal.core.receipts import reference
from portal.core.states import Status
from portal.limiter import Limiter
from portal.sms.gateway import Account, Gateway, Outgoing
from portal.sms.reports import Reports, ReportsError
from portal.sms.simulator import Options, Simulator
from portal.store.host import STALE_WEBHOOK
from portal.store.messages import Message
from portal.store.provider_events import EventKind, ProviderEvent
from portal.store.worklist import state_of
from tests.actions.by_staff import DANA, message
from tests.actions.test_deliver_in_trouble import send
from tests.actions.test_remind import balance, events, the_log
from tests.builders import MOBILES, PASS_AT, Clinic
from tests.reported import a_receipt, a_reply, report, work

HALF_AN_HOUR = PASS_AT + SETTLE_AFTER


class Clock:
    """The simulator's and ours."""

    def __init__(self) -> None:
        self.at = PASS_AT

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulator(clock: Clock) -> Iterator[Simulator]:
    with Simulator(Options(now=clock)) as simulator:
        yield simulator


@pytest.fixture
def records(simulator: Simulator) -> Iterator[Reports]:
    with closing(Reports(Account(base_url=simulator.url))) as reports:
        yield reports


@pytest.fixture
def sent(app: Flask, simulator: Simulator, clock: Clock, redis_url: str) -> Iterator[Callable[..., list[Message]]]:
    """Reminders of so many patients, as the simulator's plan answers to them."""
    gateway = Gateway(Account(base_url=simulator.url), read_timeout=1)
    connection = redis.Redis.from_url(redis_url)

    def send(plan: list[dict[str, Any]], count: int = 1) -> list[Message]:
        simulator.plan(plan)
        clinic = Clinic()
        for number in range(count):
            clinic.book(str(number), patient={"mobile": MOBILES[number]})
        result = run_pass(clinic.id, PASS_AT, PASS_AT)
        assert result
        deliver(
            clinic.id,
            list(result.message_ids),
            sender=gateway,
            limiter=Limiter(connection, 2000),
            now=clock,
            stop_requested=lambda: False,
        )
        return [the_log()[str(number)] for number in range(count)]

    yield send
    gateway.close()
    connection.close()


def now_is(status: Status, id_: str = "0") -> bool:
    return the_log()[id_].status is status


def settle(at: datetime, records: Reports) -> int:
    kept = ask(at, records)
    work(at)
    return kept


TAKEN = {"fault": "drop", "taken": True}


# --- in doubt -------------------------------------------------------------------------------------------------


def test_a_text_in_doubt_that_the_provider_took_is_settled(sent: Any, simulator: Simulator, records: Reports) -> None:
    (message,) = sent([TAKEN | {"receipts": [], "ends": "delivered"}])
    assert now_is(Status.UNKNOWN)
    assert settle(HALF_AN_HOUR - timedelta(seconds=1), records) == 0  # so soon its absence would prove nothing
    assert settle(HALF_AN_HOUR, records) == 1
    message = the_log()["0"]
    assert (message.status, message.provider_id) == (Status.DELIVERED, simulator.messages[0].uuid)
    assert (message.charged, message.billed_price) == (1, 50_000)
    assert [event for _, event, _ in events(message)] == ["queued", "unknown", "delivered"]


def test_one_that_it_knows_nothing_of_stays_in_doubt_and_says_so_once(sent: Any, records: Reports) -> None:
    sent([{"fault": "drop"}])
    for hours in (0.5, 1, 2, 5, 24):
        assert settle(PASS_AT + timedelta(hours=hours), records) == 0
    message = the_log()["0"]
    assert (message.status, message.charged, message.attempts) == (Status.UNKNOWN, 1, 1)
    assert [event for _, event, _ in events(message)] == ["queued", "unknown", "no-record"]
    settle(PASS_AT + timedelta(days=8), records)
    assert the_log()["0"].asked_at == message.asked_at  # asked about no longer


def test_one_whose_record_appears_late_is_still_settled(sent: Any, simulator: Simulator, records: Reports) -> None:
    (message,) = sent([{"fault": "drop"}])
    settle(HALF_AN_HOUR, records)
    simulator.plan([])
    assert message.claim and message.to and message.body
    with closing(Gateway(Account(base_url=simulator.url))) as gateway:  # as if it had been taken then
        ours = reference(message.id, message.claim)
        gateway.send(gateway.prepare(Outgoing(message.id, message.to, "Clinic", message.body, ours)), 3600)
    settle(HALF_AN_HOUR + timedelta(hours=1), records)
    assert now_is(Status.SENT)


def test_a_worker_that_was_killed_leaves_doubt_and_the_records_settle_it(
    sent: Any, simulator: Simulator, records: Reports
) -> None:
    (message,) = sent([TAKEN | {"ends": "rejected", "ends_code": "1180", "receipts": []}])
    with store.transaction("riverside") as session:  # it died before it noted anything
        session.get_one(Message, message.id).status = Status.SENDING
    sweep(PASS_AT + LEASE)
    assert now_is(Status.UNKNOWN)
    settle(HALF_AN_HOUR, records)
    message = the_log()["0"]
    assert (message.status, message.provider_code) == (Status.UNDELIVERED, "1180")


def test_several_in_doubt_are_asked_about_at_once(sent: Any, simulator: Simulator, records: Reports) -> None:
    plan = [{"to": "+61491570006", "fault": "drop"}, TAKEN | {"receipts": [], "ends": "delivered"}]
    sent(plan, count=4)
    assert settle(HALF_AN_HOUR, records) == 3
    assert [the_log()[str(n)].status for n in range(4)] == [Status.UNKNOWN] + [Status.DELIVERED] * 3


def test_queued_again_by_staff_it_is_asked_about_while_it_waits(
    sent: Any, simulator: Simulator, records: Reports
) -> None:
    sent([{"to": "+61491570006", "fault": "drop"}, TAKEN | {"receipts": [], "ends": "delivered"}], count=2)
    for row in the_log().values():
        send_again("riverside", row.id, state_of(row), True, DANA, HALF_AN_HOUR - timedelta(minutes=1))
    assert settle(HALF_AN_HOUR - timedelta(seconds=1), records) == 0
    assert settle(HALF_AN_HOUR, records) == 1
    assert sorted(row.status for row in the_log().values()) == [Status.DELIVERED, Status.QUEUED]
    assert balance() == 98
    (other,) = (row for row in the_log().values() if row.status is Status.QUEUED)
    assert [event for _, event, _ in events(other)] == ["queued", "unknown", "sent-again-by-staff", "no-record"]
    assert not is_due(HALF_AN_HOUR + timedelta(seconds=30))
    sweep(PASS_AT + timedelta(hours=24))
    assert message(other.id).status is Status.UNKNOWN


@pytest.mark.parametrize("second", [{"fault": "drop"}, {"receipts": []}])
def test_sent_again_what_the_records_say_of_the_first_attempt_still_counts(
    sent: Any, clock: Clock, simulator: Simulator, records: Reports, second: dict[str, Any]
) -> None:
    (row,) = sent([TAKEN | {"receipts": [], "ends": "delivered"}])
    clock.at = PASS_AT + timedelta(hours=2)
    send_again("riverside", row.id, state_of(row), True, DANA, clock.at)
    clock.at += PAUSE
    simulator.plan([second])
    with closing(Gateway(Account(base_url=simulator.url), read_timeout=1)) as gateway:
        send([row.id], gateway, at=clock.at)  # type: ignore[arg-type]
    assert (message(row.id).status, message(row.id).was_in_doubt) == (
        Status.UNKNOWN if "fault" in second else Status.SENT,
        True,
    )
    settle(clock.at + SETTLE_AFTER, records)
    assert message(row.id).status is Status.DELIVERED
    assert "no-record" not in [event for _, event, _ in events(message(row.id))]


# --- receipts without webhooks --------------------------------------------------------------------------------


def test_where_no_webhook_ever_came_receipts_are_asked_for(sent: Any, simulator: Simulator, records: Reports) -> None:
    sent([{"to": "+61491570006", "ends": "undeliverable", "ends_code": "1170", "receipts": []}], count=2)
    assert settle(PASS_AT + timedelta(seconds=20), records) == 0
    at = PASS_AT + timedelta(minutes=1)
    assert settle(at, records) == 1  # the other has no news
    assert [the_log()[str(n)].status for n in range(2)] == [Status.UNDELIVERED, Status.SENT]
    assert not is_due(at + timedelta(seconds=30))
    (other,) = (one for one in simulator.messages if not one.ending.is_final)
    other.ending.learn("delivered", None)
    settle(at + timedelta(minutes=1), records)
    assert now_is(Status.DELIVERED, "1")


def replies_are_another_matter() -> None:
    """They are known for days to come."""
    with store.everything(write=True) as session:
        until = {"until": (PASS_AT + timedelta(days=9)).isoformat()}
        store.host.record_state(session, store.host.POLLED_REPLIES, until, PASS_AT)


def test_the_older_it_is_the_seldomer_it_is_asked_about(sent: Any, records: Reports) -> None:
    sent([{"receipts": []}])
    asked = []
    replies_are_another_matter()
    for minute in range(1, 72 * 60):
        at = PASS_AT + timedelta(minutes=minute)
        if is_due(at):
            asked.append(minute)
            ask(at, records)
    assert 20 < len(asked) < 45, asked
    assert asked[:3] == [1, 2, 3]


def test_where_webhooks_come_only_a_receipt_that_stays_away_is_asked_for(sent: Any, records: Reports) -> None:
    sent([{"receipts": [], "ends": "delivered"}])
    report(a_receipt("delivered", PASS_AT, uuid="another"), PASS_AT)
    replies_are_another_matter()
    assert not is_due(PASS_AT + MISSED_AFTER - timedelta(seconds=1))
    settle(PASS_AT + MISSED_AFTER, records)
    assert now_is(Status.DELIVERED)


# --- replies without webhooks ---------------------------------------------------------------------------------


def inbound() -> list[str]:
    with store.everything() as session:
        bodies = session.scalars(select(ProviderEvent.body).where(ProviderEvent.kind == EventKind.INBOUND)).all()
    return [json.loads(body)["text"] for body in bodies]


def test_replies_are_asked_for_once_each(app: Flask, clock: Clock, simulator: Simulator, records: Reports) -> None:
    Clinic(sender="+61400000000")
    simulator.reply("+61491570006", "+61400000000", "Yes 👍")
    at = PASS_AT + timedelta(minutes=1)
    assert ask(at, records) == 1
    assert inbound() == ["Yes 👍"]
    assert not is_due(at + timedelta(minutes=1))
    clock.at = at + timedelta(minutes=1)
    simulator.reply("+61491570006", "+61400000000", "STOP")
    assert ask(at + timedelta(minutes=3), records) == 1
    assert inbound() == ["Yes 👍", "STOP"]
    taken: list[Any] = []
    work_on_events(at + timedelta(minutes=3), lambda event, now: taken.append(event["from"]))
    assert taken == ["61491570006"] * 2


def test_where_receipts_come_by_webhook_replies_are_asked_for_until_they_do_too(
    app: Flask, simulator: Simulator, records: Reports
) -> None:
    Clinic(sender="+61400000000")
    report(a_receipt("delivered", PASS_AT), PASS_AT)
    at = PASS_AT + timedelta(minutes=1)
    simulator.reply("+61491570006", "+61400000000", "STOP")
    assert is_due(at)
    assert ask(at, records) == 1
    assert inbound() == ["STOP"]
    assert not is_due(at + timedelta(minutes=9))
    assert is_due(at + timedelta(minutes=10))
    report(a_reply(at), at + timedelta(minutes=10), EventKind.INBOUND)
    assert not is_due(at + timedelta(minutes=10))


def test_where_replies_come_by_webhook_they_are_not_asked_for_unless_one_came_too_late(
    app: Flask, simulator: Simulator, records: Reports
) -> None:
    Clinic()
    report(a_reply(PASS_AT), PASS_AT, EventKind.INBOUND)
    at = PASS_AT + timedelta(minutes=1)
    assert not is_due(at)
    with store.everything(write=True) as session:
        store.host.record_state(session, STALE_WEBHOOK, {"at": at.isoformat()}, at)
    assert is_due(at)
    with store.everything() as session:
        assert find_way(session, at).asks_for_replies
        assert not find_way(session, at + timedelta(days=2)).asks_for_replies


# --- some records cannot be read ------------------------------------------------------------------------------


class Broken:
    """The records, of which those of receipts that begin by then cannot be read."""

    def __init__(self, records: Reports, until: datetime) -> None:
        self.list_replies, self._list_receipts, self._until = records.list_replies, records.list_receipts, until
        self.failed = 0

    def list_receipts(self, start: datetime, end: datetime) -> Any:
        if start <= self._until:
            self.failed += 1
            raise ReportsError("It is no use.")
        return self._list_receipts(start, end)


def sent_at(*minutes: int) -> None:
    """Of the patients in turn, so long after the pass."""
    rows = the_log()
    with store.transaction("riverside") as session:
        for number, after in enumerate(minutes):
            session.get_one(Message, rows[str(number)].id).sent_at = PASS_AT + timedelta(minutes=after)


def test_receipts_that_cannot_be_read_keep_neither_replies_nor_other_receipts_away(
    sent: Any, simulator: Simulator, records: Reports
) -> None:
    sent([{"receipts": [], "ends": "delivered"}], count=2)
    sent_at(-60, 0)
    simulator.reply("+61491570006", "+61400000000", "STOP")
    at = PASS_AT + timedelta(minutes=5)
    with pytest.raises(ReportsError):
        ask(at, Broken(records, PASS_AT - timedelta(minutes=30)))
    assert inbound() == ["STOP"]
    work_on_events(at, lambda event, now: None)
    assert [the_log()[str(n)].status for n in range(2)] == [Status.SENT, Status.DELIVERED]


def test_where_nothing_can_be_read_it_gives_up_soon(sent: Any, records: Reports) -> None:
    sent([{"receipts": []}], count=4)
    sent_at(0, 60, 120, 180)
    broken = Broken(records, PASS_AT + timedelta(days=1))
    with pytest.raises(ReportsError):
        ask(PASS_AT + timedelta(hours=4), broken)
    assert broken.failed == MOST_FAILURES


# --- the provider away ----------------------------------------------------------------------------------------


def test_records_that_cannot_be_read_change_nothing(sent: Any, clock: Clock) -> None:
    sent([{"fault": "drop"}])
    with closing(Reports(Account(base_url="http://127.0.0.1:9"))) as away, pytest.raises(ReportsError):
        ask(HALF_AN_HOUR, away)
    assert is_due(HALF_AN_HOUR)
    assert [event for _, event, _ in events(the_log()["0"])] == ["queued", "unknown"]
