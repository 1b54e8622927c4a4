"""The simulated provider after it took a message: receipts in every order, replies, and its records."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from portal.sms.simulator import Options, PlanError, Simulator

from .conftest import MisbehavingServer
from .test_simulator import BASIC, MESSAGE, post

Simulate = Callable[..., Simulator]
AT = datetime(2031, 5, 7, tzinfo=UTC)


@pytest.fixture
def simulate(server: MisbehavingServer) -> Iterator[Simulate]:
    with ExitStack() as stack:

        def make(**options: Any) -> Simulator:
            url = {"webhook_url": f"{server.url}/webhooks/vonage/status"}
            return stack.enter_context(Simulator(Options(**url | options)))

        yield make


def reported(server: MisbehavingServer, simulator: Simulator) -> list[tuple[str, str | None]]:
    """(status, code) of the receipts that came, in order."""
    assert simulator.errands.wait_until_done(30)
    bodies = [json.loads(one.body) for one in server.requests if one.line.startswith("POST /webhooks/vonage/status")]
    return [(body["status"], body.get("error", {}).get("title")) for body in bodies]


DELIVERED, SUBMITTED = {"status": "delivered"}, {"status": "submitted"}


@pytest.mark.parametrize(
    ("receipts", "came"),
    [
        ([], []),
        ([DELIVERED, DELIVERED], [("delivered", None)] * 2),
        ([DELIVERED, SUBMITTED], [("delivered", None), ("submitted", None)]),
        ([DELIVERED | {"after": 0.3}, SUBMITTED], [("submitted", None), ("delivered", None)]),
        ([{"status": "undeliverable", "code": 1170}], [("undeliverable", "1170")]),
    ],
)
def test_receipts_come_as_the_plan_says(
    server: MisbehavingServer, simulate: Simulate, receipts: list[Any], came: list[Any]
) -> None:
    simulator = simulate(receipts=True)
    simulator.plan([{"receipts": receipts}])
    post(simulator, MESSAGE)
    assert reported(server, simulator) == came


def test_a_rule_may_go_by_the_end_of_the_number(server: MisbehavingServer, simulate: Simulate) -> None:
    simulator = simulate(receipts=True)
    simulator.plan([{"to_ends": "56", "receipts": []}])
    post(simulator, MESSAGE)
    post(simulator, MESSAGE | {"to": "61491570157"})
    assert reported(server, simulator) == [("delivered", None)]


@pytest.mark.parametrize(
    "rule",
    [
        {"receipts": "delivered"},
        {"receipts": [{"status": "done"}]},
        {"receipts": [{"status": "delivered", "after": -1}]},
        {"receipts": [{"state": "delivered"}]},
        {"ends": "done"},
        {"reply_after": -1},
        {"reply_from": 61491570110},
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(simulate: Simulate, rule: dict[str, Any]) -> None:
    with pytest.raises(PlanError):
        simulate().plan([rule])


def test_a_reply_comes_back_beside_the_receipts(server: MisbehavingServer, simulate: Simulate) -> None:
    simulator = simulate()
    simulator.plan([{"reply": "Yes 👍"}])
    post(simulator, MESSAGE)
    assert simulator.errands.wait_until_done(30)
    (request,) = server.requests
    assert request.line.startswith("POST /webhooks/vonage/inbound ")
    body = json.loads(request.body)
    assert (body["from"], body["to"], body["text"]) == ("61491570156", "Riverside", "Yes 👍")
    assert body["sms"] == {"num_messages": "1", "keyword": "YES"}


def test_another_phone_may_answer(server: MisbehavingServer, simulate: Simulate) -> None:
    simulator = simulate()
    simulator.plan([{"reply": "This is his wife", "reply_from": "+61491570110"}])
    post(simulator, MESSAGE)
    assert simulator.errands.wait_until_done(30)
    assert json.loads(server.requests[0].body)["from"] == "61491570110"


def test_a_reply_can_be_asked_for(server: MisbehavingServer, simulate: Simulate) -> None:
    simulator = simulate(inbound_url=f"{server.url}/elsewhere")
    asked = {"from": "+61491570156", "to": "+61400000000", "text": "STOP"}
    answer = requests.post(f"{simulator.url}/simulator/replies", json=asked, timeout=10)
    assert (answer.status_code, answer.json()) == (200, {"status": 202})
    assert server.requests[0].line.startswith("POST /elsewhere ")
    wrong = requests.post(f"{simulator.url}/simulator/replies", json={"from": 1}, timeout=10)
    assert wrong.status_code == 400


def test_what_became_of_all_is_counted(server: MisbehavingServer, simulate: Simulate) -> None:
    simulator = simulate()
    simulator.plan([{"times": 1, "ends": "rejected", "ends_code": "1180"}, {"reply": "Y", "receipts": [DELIVERED]}])
    post(simulator, MESSAGE)
    post(simulator, MESSAGE)
    assert simulator.errands.wait_until_done(30)
    outcomes = requests.get(f"{simulator.url}/simulator/outcomes", timeout=10).json()
    assert outcomes == {"ended": {"rejected": 1, "delivered": 1}, "replies": 1}
    taken = requests.get(f"{simulator.url}/simulator/messages", timeout=10).json()["messages"]
    assert [(one["status"], one["code"]) for one in taken] == [("rejected", "1180"), ("delivered", None)]


# --- its records ----------------------------------------------------------------------------------------------

QUERY = {
    "account_id": "k",
    "product": "MESSAGES",
    "direction": "outbound",
    "date_start": "2031-05-07T00:00:00Z",
    "date_end": "2031-05-07T01:00:00Z",
}


def ask(simulator: Simulator, headers: dict[str, str] = BASIC, **changes: str | None) -> requests.Response:
    query = {name: value for name, value in (QUERY | changes).items() if value is not None}
    return requests.get(f"{simulator.url}/v2/reports/records", params=query, headers=headers, timeout=10)


def test_a_record_is_as_vonage_has_it(simulate: Simulate) -> None:
    simulator = simulate(now=lambda: AT)
    post(simulator, MESSAGE | {"client_ref": "7.ab"})
    page = ask(simulator).json()
    (record,) = page["records"]
    assert page["items_count"] == 1 and "next" not in page["_links"]
    assert record["message_id"] == simulator.messages[0].uuid
    assert (record["client_ref"], record["status"], record["account_id"]) == ("7.ab", "submitted", "k")
    assert (record["date_received"], record["to"], record["from"]) == (
        *("2031-05-07T00:00:00Z", "61491570156", "Riverside"),
    )
    assert "message_body" not in record
    assert ask(simulator, include_message="true").json()["records"][0]["message_body"] == MESSAGE["text"]


def test_records_are_narrowed_by_time_and_number(simulate: Simulate) -> None:
    simulator = simulate(now=lambda: AT)
    post(simulator, MESSAGE)

    def count(**changes: str) -> int:
        return len(ask(simulator, **changes).json()["records"])

    assert (count(), count(to="61491570156"), count(to="61491570157")) == (1, 1, 0)
    assert count(date_start="2031-05-07T00:00:01Z") == 0
    assert count(date_start="2031-05-06T23:00:00Z", date_end="2031-05-07T00:00:00Z") == 0  # its end is left out
    assert count(direction="inbound") == 0


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"account_id": "another"}, 403),
        ({"account_id": None}, 403),
        ({"product": "SMS"}, 422),
        ({"direction": None}, 422),
        ({"date_end": None}, 422),
        ({"date_start": "yesterday"}, 422),
        ({"date_start": "2031-05-07T00:00:00"}, 422),
        ({"date_end": (AT + timedelta(hours=24, seconds=1)).isoformat()}, 422),
        ({"cursor": "x"}, 422),
    ],
)
def test_what_vonage_would_refuse_is_refused(simulate: Simulate, changes: dict[str, Any], status: int) -> None:
    assert ask(simulate(), **changes).status_code == status


def test_records_open_to_a_key_only(simulate: Simulate) -> None:
    assert ask(simulate(), headers={}).status_code == 401
