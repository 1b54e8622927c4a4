"""The provider's records: read page by page, over windows that it takes, into receipts and replies."""

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.core.receipts import Reported, parse_receipt
from portal.sms.gateway import Account
from portal.sms.reports import Reports, ReportsError, as_receipt, as_reply
from portal.sms.simulator import Options, Simulator
from portal.sms.simulator.records import PAGE

from .conftest import MisbehavingServer

AT = datetime(2031, 5, 7, 0, 0, 5, tzinfo=UTC)


class Clock:
    at = AT

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
def reports(simulator: Simulator) -> Iterator[Reports]:
    with closing(Reports(Account(base_url=simulator.url))) as reports:
        yield reports


def take(simulator: Simulator, count: int = 1) -> None:
    authorization = f"Basic {base64.b64encode(b'key:secret').decode()}"
    for number in range(count):
        message = {
            **{"channel": "sms", "message_type": "text", "to": "61491570156", "from": "Clinic"},
            **{"text": "Hi", "client_ref": f"{number}.ab"},
        }
        assert simulator.take(authorization, "application/json", json.dumps(message).encode()).status == 202


def test_every_page_is_read(simulator: Simulator, reports: Reports) -> None:
    take(simulator, 2 * PAGE + 1)
    found = list(reports.list_receipts(AT - timedelta(minutes=1), AT + timedelta(minutes=1)))
    assert [parse_receipt(body).message_id for body in found] == list(range(2 * PAGE + 1))


def test_a_window_longer_than_the_provider_takes_is_read_in_parts(
    simulator: Simulator, reports: Reports, clock: Clock
) -> None:
    for hours in (0, 23, 30, 70):
        clock.at = AT + timedelta(hours=hours)
        take(simulator)
    assert len(list(reports.list_receipts(AT, AT + timedelta(hours=71)))) == 4
    assert len(list(reports.list_receipts(AT, AT + timedelta(hours=70)))) == 3
    assert list(reports.list_receipts(AT, AT)) == []


def test_a_whole_day_with_parts_of_a_second_is_taken(simulator: Simulator, reports: Reports) -> None:
    take(simulator)
    start = AT - timedelta(hours=12, microseconds=1)
    assert len(list(reports.list_receipts(start, start + timedelta(hours=24)))) == 1


def test_a_record_says_how_it_ended(simulator: Simulator, reports: Reports) -> None:
    simulator.plan([{"ends": "undeliverable", "ends_code": "1170"}])
    take(simulator)
    (body,) = reports.list_receipts(AT, AT + timedelta(seconds=1))
    found = parse_receipt(body)
    assert (found.uuid, found.status, found.code) == (simulator.messages[0].uuid, Reported.UNDELIVERABLE, "1170")
    assert (found.to, found.message_id, found.claim, found.price, found.currency) == (
        *("+61491570156", 0, "ab", 50_000, "EUR"),
    )


def test_replies_come_with_their_text(simulator: Simulator, reports: Reports) -> None:
    simulator.reply("61491570156", "61400000000", "Yes\n👍")
    (body,) = reports.list_replies(AT, AT + timedelta(minutes=1))
    assert (body["from"], body["to"], body["text"]) == ("61491570156", "61400000000", "Yes\n👍")


@pytest.mark.parametrize(
    ("status", "reported"),
    [
        ("delivered", "delivered"),
        ("read", "delivered"),
        ("failed", "rejected"),
        ("expired", "rejected"),
        ("rejected", "rejected"),
        ("undeliverable", "undeliverable"),
        ("accepted", "submitted"),
        ("buffered", "submitted"),
        ("unknown", "submitted"),
        (None, "submitted"),
    ],
)
def test_what_records_call_it(status: str | None, reported: str) -> None:
    record = {"message_id": "u", "status": status, "date_received": "2031-05-07T00:00:05Z", "error_code": "0"}
    body = as_receipt(record)
    assert (body["status"], "error" in body) == (reported, False)
    assert parse_receipt(body).uuid == "u"
    assert as_reply({"id": "r"})["message_uuid"] == "r"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (401, "refuses the account"),
        (403, "refuses the account"),
        (422, "gave no records"),
        (429, "asks to wait"),
        (500, "gave no records"),
        (302, "gave no records"),
    ],
)
def test_a_refusal_is_told_in_words(server: MisbehavingServer, answer: int, says: str) -> None:
    server.behaviour = server.answer(answer, {"title": "no 61491570156"}, Location="http://127.0.0.1:1/")
    with closing(Reports(Account(base_url=server.url))) as reports, pytest.raises(ReportsError, match=says) as told:
        list(reports.list_receipts(AT, AT + timedelta(hours=1)))
    assert "61491570156" not in str(told.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null"])
def test_what_is_no_list_of_records_is_told_in_words(server: MisbehavingServer, body: bytes) -> None:
    server.behaviour = server.answer(200, body)
    with closing(Reports(Account(base_url=server.url))) as reports, pytest.raises(ReportsError, match="records"):
        list(reports.list_receipts(AT, AT + timedelta(hours=1)))


@pytest.mark.parametrize("body", [b"{}", b'{"records": 7}', b'{"records": [7, null]}', b'{"_links": []}'])
def test_what_is_no_record_is_left_out(server: MisbehavingServer, body: bytes) -> None:
    server.behaviour = server.answer(200, body)
    with closing(Reports(Account(base_url=server.url))) as reports:
        assert list(reports.list_receipts(AT, AT + timedelta(hours=1))) == []


def test_pages_without_an_end_are_given_up(server: MisbehavingServer) -> None:
    pages = iter(range(10_000))

    def endless(connection: Any) -> bool:
        link = {"next": {"href": f"/v2/reports/records?cursor={next(pages)}&iv=x"}}
        return server.answer(200, {"records": [], "_links": link})(connection)

    server.behaviour = endless
    with closing(Reports(Account(base_url=server.url))) as reports, pytest.raises(ReportsError, match="do not end"):
        list(reports.list_receipts(AT, AT + timedelta(hours=1)))


def test_the_link_to_the_next_page_leads_nowhere_else(server: MisbehavingServer) -> None:
    link = {"next": {"href": "http://evil.example/steal?cursor=1&iv=x&account_id=other"}}
    server.behaviour = server.answer(200, {"records": [], "_links": link})
    with closing(Reports(Account("abcd1234", "secret", base_url=server.url))) as reports:
        list(reports.list_receipts(AT, AT + timedelta(hours=1)))
    assert len(server.requests) == 2
    assert "cursor=1" in server.lines[1] and "account_id=abcd1234" in server.lines[1]


def test_without_a_key_there_are_no_records() -> None:
    with pytest.raises(ReportsError, match="VONAGE_API_KEY"):
        Reports(Account(application_id="a", private_key="b"))
