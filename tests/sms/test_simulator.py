"""The simulated provider, asked by the real SDK where it can ask, and by hand where it would never."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace

import jwt
import pytest
import requests

from portal.sms.answers import Accepted, AccountRefused, InDoubt, NotReached, Refused, Throttled
from portal.sms.gateway import Account, Gateway, Outgoing
from portal.sms.simulator import SIGNATURE_SECRET, Options, Simulator, provider

MIA, JACK = "+61491570156", "+61491570157"
BASIC = {"Authorization": "Basic azpz"}
MESSAGE = {
    "to": "61491570156",
    "from": "Riverside",
    "text": "See you tomorrow.",
    "channel": "sms",
    "message_type": "text",
}


def outgoing(to: str = MIA, text: str = "See you tomorrow.") -> Outgoing:
    return Outgoing(message_id=7, to=to, sender="Riverside", text=text, client_ref="m7")


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulator]]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Simulator(Options(**options)))


@pytest.fixture
def simulator(simulate):
    return simulate()


@pytest.fixture
def gateway(simulator) -> Iterator[Gateway]:
    made = Gateway(Account(base_url=simulator.url), read_timeout=0.5)
    yield made
    made.close()


def send(gateway: Gateway, to: str = MIA) -> object:
    return gateway.send(gateway.prepare(outgoing(to)), 3600)


def post(simulator: Simulator, body: object, headers: dict[str, str] = BASIC) -> requests.Response:
    return requests.post(f"{simulator.url}/v1/messages", json=body, headers=headers, timeout=10)


# Taken.


def test_message_is_taken_with_all_that_was_sent(simulator, gateway):
    outcome = send(gateway)
    (taken,) = simulator.messages
    assert outcome == Accepted(taken.uuid)
    assert (taken.to, taken.sender, taken.text) == ("61491570156", "Riverside", "See you tomorrow.")
    assert (taken.client_ref, taken.ttl, taken.account) == ("m7", 3600, {"api_key": "simulator"})


def test_many_connections_at_once_are_all_answered(simulator, gateway):
    with ThreadPoolExecutor(64) as pool:
        outcomes = list(pool.map(lambda _: send(gateway), range(256)))
    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert len({taken.uuid for taken in simulator.messages}) == 256
    assert [taken.number for taken in simulator.messages] == list(range(1, 257))


def test_messages_can_be_asked_for_from_a_number_on_and_forgotten(simulator, gateway):
    for to in (MIA, JACK, MIA):
        send(gateway, to)
    url = f"{simulator.url}/simulator/messages"
    assert [one["number"] for one in requests.get(url, timeout=10).json()["messages"]] == [1, 2, 3]
    later = requests.get(f"{url}?since=1", timeout=10).json()["messages"]
    assert [(one["number"], one["to"]) for one in later] == [(2, JACK[1:]), (3, MIA[1:])]
    assert requests.get(f"{url}?since=3", timeout=10).json() == {"messages": []}
    requests.delete(url, timeout=10)
    send(gateway)
    assert [one["number"] for one in requests.get(f"{url}?since=3", timeout=10).json()["messages"]] == [4]


def test_oldest_messages_are_forgotten_first(simulate):
    simulator = simulate(keep=2)
    for _ in range(5):
        post(simulator, MESSAGE)
    assert [taken.number for taken in simulator.messages] == [4, 5]
    assert [taken.number for taken in simulator.messages_since(4)] == [5]
    assert simulator.counts["accepted"] == 5


def test_counts_tell_requests_from_accepted_ones(simulator, gateway):
    simulator.plan([{"times": 1, "fault": "drop"}, {"times": 1, "status": 500}])
    for _ in range(4):
        send(gateway)
    counts = requests.get(f"{simulator.url}/simulator/counts", timeout=10).json()
    assert counts["requests"] == 4
    assert counts["accepted"] == 2
    assert counts["statuses"] == {"drop": 1, "500": 1, "202": 2}
    assert 1 <= counts["most_in_one_second"] <= 4


def test_balance_is_told(gateway):
    assert gateway.balance() == 100.0


def test_answer_waits_for_the_latency(simulate):
    simulator = simulate(latency_ms=50)
    before = time.monotonic()
    post(simulator, MESSAGE)
    assert time.monotonic() - before >= 0.05


# Strict.


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("to", None),
        ("to", "+61491570156"),
        ("to", "061491570156"),
        ("to", "6149157"[:6]),
        ("to", "6" * 16),
        ("to", 61491570156),
        ("text", None),
        ("text", ""),
        ("text", "x" * 3201),
        ("channel", None),
        ("channel", "mms"),
        ("message_type", None),
        ("message_type", "image"),
        ("ttl", 19),
        ("ttl", 604_801),
        ("ttl", "3600"),
        ("ttl", 3600.0),
        ("ttl", True),
        ("client_ref", "m" * 101),
        ("client_ref", 7),
        ("webhook_url", "ftp://127.0.0.1/"),
        ("webhook_version", "v2"),
        ("from_", "Riverside"),
    ],
)
def test_message_that_vonage_would_refuse_is_refused(field, value, simulator):
    answer = post(simulator, {**MESSAGE, field: value})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"].endswith("/messages#1150")
    assert answer.json()["invalid_parameters"] == [{"name": field, "reason": "invalid value"}]
    assert simulator.messages == []


@pytest.mark.parametrize("sender", [None, "", "Riverside Clinic", "Río", "+12025550187", 12025550187])
def test_sender_that_vonage_would_refuse_is_refused(sender, simulator):
    answer = post(simulator, {**MESSAGE, "from": sender})
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("/messages#1120")
    assert simulator.messages == []


@pytest.mark.parametrize(
    "extra",
    [{"ttl": 20}, {"ttl": 604_800}, {"client_ref": "m" * 100}, {"text": "x" * 3200}, {"from": "12345"}],
)
def test_message_at_the_limits_is_taken(extra, simulator):
    assert post(simulator, {**MESSAGE, **extra}).status_code == 202


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_body_that_is_no_json_object_is_refused(raw, simulator):
    headers = {**BASIC, "Content-Type": "application/json"}
    answer = requests.post(f"{simulator.url}/v1/messages", data=raw, headers=headers, timeout=10)
    assert answer.status_code == 422


def test_body_of_another_type_is_refused(simulator):
    headers = {**BASIC, "Content-Type": "text/plain"}
    body = json.dumps(MESSAGE)
    answer = requests.post(f"{simulator.url}/v1/messages", data=body, headers=headers, timeout=10)
    assert answer.status_code == 422


def test_body_too_large_is_refused(simulator):
    assert post(simulator, {**MESSAGE, "text": "x" * 1_000_001}).status_code == 413


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic %%%",
        "Basic Og==",
        "Basic azo=",
        "Basic a2V5",
        "Bearer",
        "Bearer x.y.z",
        "k:s",
    ],
)
def test_request_without_credentials_is_refused(authorization, simulator):
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = post(simulator, MESSAGE, headers)
    assert answer.status_code == 401
    assert simulator.messages == []
    balance = requests.get(f"{simulator.url}/account/get-balance", headers=headers, timeout=10)
    assert balance.status_code == 401


@pytest.mark.parametrize("path", ["/", "/v1/messages", "/v2/messages", "/simulator"])
def test_unknown_place_is_not_found(path, simulator):
    assert requests.get(simulator.url + path, timeout=10).status_code == 404


def test_every_message_above_the_rate_limit_is_throttled(monkeypatch):
    moments = iter([0.0, 0.25, 0.5, 0.75, 1.0, 1.125, 1.25])
    monkeypatch.setattr(provider, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    limited = provider.Provider(Options(rate_limit=3))
    raw = json.dumps(MESSAGE).encode()
    answers = [limited.take(BASIC["Authorization"], "application/json", raw) for _ in range(7)]
    assert [answer.status for answer in answers] == [202, 202, 202, 429, 202, 429, 202]
    assert limited.counts == {
        "requests": 7,
        "accepted": 5,
        "statuses": {"202": 5, "429": 2},
        "most_in_one_second": 5,
    }


def test_throttled_message_is_told_when_to_come_again(simulate):
    simulator = simulate(rate_limit=0)
    answer = post(simulator, MESSAGE)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert simulator.messages == []


# The plan.


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ({"fault": "drop"}, InDoubt("dropped")),
        ({"fault": "reset"}, InDoubt("dropped")),
        ({"fault": "hang"}, InDoubt("read-timeout")),
        ({"fault": "garbage"}, InDoubt("unreadable-answer")),
        ({"status": 500}, InDoubt("http-500")),
        ({"status": 503, "code": "internal-error"}, InDoubt("http-503")),
        ({"status": 401}, AccountRefused("http-401")),
        ({"status": 402, "code": "low-balance", "title": "Low balance"}, AccountRefused("http-402")),
        ({"status": 422, "code": 1070}, AccountRefused("1070")),
        ({"status": 422, "code": "1170", "title": "No such number"}, Refused("1170", "No such number")),
        ({"status": 404}, Refused("http-404", "Refused by the plan")),
        ({"status": 429, "retry_after": 7}, Throttled(7.0)),
        ({"status": 429}, Throttled(1.0)),
        ({"status": 307}, InDoubt("redirect")),
    ],
)
def test_planned_answer_is_given_and_the_message_not_taken(rule, outcome, simulator, gateway):
    simulator.plan([{"to": MIA, "times": 1, **rule}])
    assert send(gateway, MIA) == outcome
    assert simulator.messages == []
    assert isinstance(send(gateway, MIA), Accepted)
    assert simulator.counts["requests"] == 2


@pytest.mark.parametrize("rule", [{"fault": "drop"}, {"fault": "hang"}, {"fault": "garbage"}, {"status": 500}])
def test_message_in_doubt_may_have_been_taken(rule, simulator, gateway):
    simulator.plan([{"taken": True, **rule}])
    assert isinstance(send(gateway), InDoubt)
    assert [taken.client_ref for taken in simulator.messages] == ["m7"]


def test_first_rule_that_matches_is_followed_as_often_as_it_says(simulator, gateway):
    rules = [
        {"to": JACK, "status": 202},
        {"to": MIA[1:], "times": 2, "status": 422, "code": "1170"},
        {"status": 500},
    ]
    url = f"{simulator.url}/simulator/plan"
    assert requests.put(url, json=rules, timeout=10).status_code == 200
    assert isinstance(send(gateway, JACK), Accepted)
    assert [type(send(gateway, MIA)) for _ in range(3)] == [Refused, Refused, InDoubt]
    assert requests.put(url, json=[], timeout=10).status_code == 200
    assert isinstance(send(gateway, MIA), Accepted)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([{"colour": "red"}], "A rule has no 'colour'."),
        ([7], "A rule is a JSON object."),
        ([{"fault": "sulk"}], "wrong kind"),
        ([{"status": "500"}], "wrong kind"),
        ([{"status": 99}], "wrong kind"),
        ([{"times": -1}], "wrong kind"),
        ([{"to": 61491570156}], "wrong kind"),
        ([{"retry_after": "soon"}], "wrong kind"),
        (7, "cannot be understood"),
    ],
)
def test_plan_that_cannot_be_followed_is_refused_and_the_old_one_stays(rules, words, simulator, gateway):
    simulator.plan([{"status": 500}])
    answer = requests.put(f"{simulator.url}/simulator/plan", json=rules, timeout=10)
    assert answer.status_code == 400
    assert words in answer.json()["title"]
    assert send(gateway) == InDoubt("http-500")


def test_plan_of_another_type_is_refused(simulator):
    answer = requests.put(f"{simulator.url}/simulator/plan", data="[]", timeout=10)
    assert answer.status_code == 415


# Receipts.


def receipt_of(server) -> tuple[dict[str, object], dict[str, object]]:
    """(body, claims) of the one webhook that came."""
    (request,) = server.requests
    scheme, _, token = request.headers["authorization"].partition(" ")
    assert scheme == "Bearer"
    claims = jwt.decode(token, SIGNATURE_SECRET, algorithms=["HS256"])
    assert claims["payload_hash"] == hashlib.sha256(request.body).hexdigest()
    return json.loads(request.body), claims


def test_receipt_is_signed_as_vonage_signs_it(server, simulate):
    simulator = simulate(webhook_url=f"{server.url}/webhooks/vonage/status")
    uuid = post(simulator, {**MESSAGE, "client_ref": "m7"}).json()["message_uuid"]
    url = f"{simulator.url}/simulator/receipts"
    asked = {"message_uuid": uuid, "status": "undeliverable", "code": "1170"}
    answer = requests.post(url, json=asked, timeout=10)
    assert answer.json() == {"status": 202}  # what the webhook answered
    assert server.lines == ["POST /webhooks/vonage/status HTTP/1.1"]
    body, claims = receipt_of(server)
    assert (body["message_uuid"], body["client_ref"]) == (uuid, "m7")
    assert (body["status"], body["error"]["title"]) == ("undeliverable", "1170")
    assert (body["to"], body["from"], body["channel"]) == ("61491570156", "Riverside", "sms")
    assert body["sms"] == {"count_total": "1"}
    assert claims["iss"] == "Vonage"
    assert claims["api_key"] == "k"
    assert claims.keys() >= {"iat", "jti"}


def test_receipt_goes_to_the_messages_own_webhook_first(server, simulate):
    simulator = simulate(webhook_url="http://127.0.0.1:9/elsewhere")
    uuid = post(simulator, {**MESSAGE, "webhook_url": f"{server.url}/mine"}).json()["message_uuid"]
    assert simulator.receipt(uuid, "delivered") == 202
    assert server.lines == ["POST /mine HTTP/1.1"]
    assert "error" not in receipt_of(server)[0]


def test_receipt_of_an_application_names_it(server, simulate):
    simulator = simulate(webhook_url=server.url)
    token = jwt.encode({"iat": 1, "jti": "j", "application_id": "app-1"}, "k" * 32, algorithm="HS256")
    post(simulator, MESSAGE, {"Authorization": f"Bearer {token}"})
    simulator.receipt(simulator.messages[0].uuid, "delivered")
    assert receipt_of(server)[1]["application_id"] == "app-1"


def test_receipts_go_by_themselves_where_asked(server, simulate):
    simulator = simulate(webhook_url=server.url, receipts=True)
    uuid = post(simulator, MESSAGE).json()["message_uuid"]
    until = time.monotonic() + 20
    while not server.requests and time.monotonic() < until:
        time.sleep(0.01)
    body, _ = receipt_of(server)
    assert (body["message_uuid"], body["status"]) == (uuid, "delivered")


@pytest.mark.parametrize(
    "webhook", [None, "http://example.invalid/", "http://192.0.2.1/", "http://127.0.0.1.example.invalid/"]
)
def test_receipts_leave_this_machine_never(webhook, simulate):
    simulator = simulate(webhook_url=webhook)
    uuid = post(simulator, MESSAGE).json()["message_uuid"]
    url = f"{simulator.url}/simulator/receipts"
    answer = requests.post(url, json={"message_uuid": uuid, "status": "delivered"}, timeout=10)
    assert answer.status_code == 409
    assert "on this machine only" in answer.json()["title"]


def test_receipt_that_cannot_be_sent_says_why(server, simulate):
    simulator = simulate(webhook_url=server.url)
    url = f"{simulator.url}/simulator/receipts"
    unknown = requests.post(url, json={"message_uuid": "?", "status": "delivered"}, timeout=10)
    assert (unknown.status_code, unknown.json()["title"]) == (409, "No such message was taken.")
    misspelt = requests.post(url, json={"message_uuid": "?", "status": "done"}, timeout=10)
    assert (misspelt.status_code, "is one of" in misspelt.json()["title"]) == (409, True)
    incomplete = requests.post(url, json={"status": "delivered"}, timeout=10)
    assert incomplete.status_code == 400
    uuid = post(simulator, MESSAGE).json()["message_uuid"]
    server.behaviour = server.drop
    dropped = requests.post(url, json={"message_uuid": uuid, "status": "delivered"}, timeout=10)
    assert (dropped.status_code, "could not be reached" in dropped.json()["title"]) == (409, True)


# Discreet.


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.invalid", ""])
def test_it_listens_on_loopback_only(host):
    with pytest.raises(ValueError, match="loopback"):
        Simulator(host=host)


def test_nothing_of_a_message_is_printed_or_logged(simulator, gateway, capfd, caplog):
    caplog.set_level("DEBUG")
    send(gateway)
    post(simulator, {**MESSAGE, "to": "+61491570156"})
    requests.request("BREW", f"{simulator.url}/v1/messages", data=json.dumps(MESSAGE), timeout=10)
    simulator.plan([{"fault": "reset"}])
    send(gateway)
    printed = "".join(capfd.readouterr()) + caplog.text
    assert "61491570156" not in printed
    assert "See you" not in printed


def test_stopped_simulator_cannot_be_reached():
    with Simulator() as simulator:
        gateway = Gateway(Account(base_url=simulator.url))
        assert isinstance(send(gateway), Accepted)
    assert send(gateway) == NotReached("no-connection")
    gateway.close()
