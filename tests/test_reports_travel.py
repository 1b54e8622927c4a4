"""A report on its way from the provider to the message: real workers, a real Redis, the real webhook and records."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal import store
from portal.config import Settings
from portal.core.states import Kind, Status
from portal.sms.simulator import SIGNATURE_SECRET
from portal.store.messages import Message
from tests.actions.test_remind import the_log
from tests.builders import PASS_AT, Clinic
from tests.hosts import Host, running
from tests.processes import wait_until
from tests.web.browsing import served


@pytest.fixture
def host(settings: Settings) -> Iterator[Host]:
    with running(replace(settings, vonage_signature_secrets=(SIGNATURE_SECRET,))) as host:
        yield host


@pytest.fixture
def url(host: Host) -> Iterator[str]:
    """Of the pages; what the simulator reports goes there."""
    with served(host.app) as url:
        host.simulator.options = replace(host.simulator.options, webhook_url=f"{url}/webhooks/vonage/status")
        yield url


def status() -> Status:
    return the_log()["a"].status


def test_by_webhook(host: Host, url: str) -> None:
    Clinic(sender="+61400000000").book("a")
    host.simulator.plan([{"receipts": [{"status": "delivered"}], "reply": "Is there parking?"}])
    host.start_workers()
    host.pass_at(PASS_AT)
    wait_until(lambda: status() is Status.DELIVERED, seconds=30)

    def replies() -> list[str]:
        with store.reading("riverside") as session:
            return list(session.scalars(select(Message.body).where(Message.kind == Kind.REPLY)))

    wait_until(replies, seconds=30)
    assert replies() == ["Is there parking?"]
    assert host.queue.length() == 0


def test_by_asking(host: Host) -> None:
    Clinic().book("a")
    host.simulator.plan([{"receipts": [], "ends": "undeliverable", "ends_code": "1180"}])
    host.start_workers()
    host.pass_at(PASS_AT)
    assert status() is Status.SENT
    with store.transaction("riverside") as session:  # a minute goes by
        message = session.scalars(select(Message)).one()
        assert message.sent_at
        message.sent_at -= timedelta(minutes=1)
    host.queue.connection.delete("portal:ask_waits")
    assert host.queue.enqueue_asking()
    wait_until(lambda: status() is Status.UNDELIVERED, seconds=30)
    assert the_log()["a"].provider_code == "1180"


def test_what_came_while_redis_was_empty_waits_for_the_sweep(host: Host, url: str) -> None:
    Clinic().book("a")
    host.simulator.plan([{"receipts": []}])
    host.start_workers()
    host.pass_at(PASS_AT)
    host.stop_workers()
    host.simulator.receipt(host.simulator.messages[0].uuid, "delivered")
    host.queue.connection.flushall()
    assert status() is Status.SENT
    host.call_cron(PASS_AT)
    host.start_workers()
    wait_until(lambda: status() is Status.DELIVERED, seconds=30)
