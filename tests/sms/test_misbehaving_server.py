"""Whatever the provider does: one POST for each attempt, and what is known of the message after it."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from portal.sms.answers import Accepted, AccountRefused, InDoubt, NotReached, Refused, Throttled
from portal.sms.gateway import Account

ONE_POST = ["POST /v1/messages HTTP/1.1"]
UUID = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"


def problem(code: object, title: object = "Invalid sender") -> dict[str, object]:
    return {
        "type": f"https://developer.vonage.com/api-errors/messages#{code}",
        "title": title,
        "detail": "The `to` parameter 61491570156 is invalid.",
        "instance": "bf0ca0bf927b3b52e3cb03217e1a1ddf",
    }


def test_accepted_message_has_the_providers_id(server, make_gateway, send):
    assert send(make_gateway()) == Accepted(UUID)
    assert server.lines == ONE_POST


@pytest.mark.parametrize("fault", ["drop", "drop_midway", "reset"])
def test_dropped_connection_leaves_the_message_in_doubt(fault, server, make_gateway, send):
    server.behaviour = getattr(server, fault)
    assert send(make_gateway()) == InDoubt("dropped")
    assert server.lines == ONE_POST


@pytest.mark.parametrize("fault", ["drop", "reset"])
def test_kept_alive_connection_dropped_on_the_second_message_is_in_doubt(fault, server, make_gateway, send):
    gateway = make_gateway()
    assert send(gateway) == Accepted(UUID)
    server.behaviour = getattr(server, fault)
    assert send(gateway) == InDoubt("dropped")
    assert server.lines == ONE_POST * 2
    assert server.connections == 1


@pytest.mark.parametrize("fault", ["hang", "hang_midway"])
def test_no_answer_in_time_leaves_the_message_in_doubt(fault, server, make_gateway, send):
    server.behaviour = getattr(server, fault)
    assert send(make_gateway(read_timeout=0.2)) == InDoubt("read-timeout")
    assert server.lines == ONE_POST


def test_message_after_a_fault_goes_on_a_connection_of_its_own(server, make_gateway, send):
    gateway = make_gateway(read_timeout=0.2)
    server.behaviour = server.hang
    send(gateway)
    server.behaviour = server.accept
    assert send(gateway) == Accepted(UUID)
    assert server.lines == ONE_POST * 2


def test_connection_that_the_server_closed_while_idle_is_replaced_before_writing(server, make_gateway, send):
    server.behaviour = server.accept_then_close
    gateway = make_gateway()
    for _ in range(3):
        assert send(gateway) == Accepted(UUID)
        assert server.closed.acquire(timeout=60)
    assert server.lines == ONE_POST * 3
    assert server.connections == 3


def test_connection_idle_for_long_is_not_used_again(server, make_gateway, send, monkeypatch):
    gateway = make_gateway()
    send(gateway)
    send(gateway)
    assert server.connections == 1
    monkeypatch.setattr("portal.sms.session.LONGEST_IDLE", 0.0)
    assert send(gateway) == Accepted(UUID)
    assert server.lines == ONE_POST * 3
    assert server.connections == 2
    assert server.closed.acquire(timeout=60)


def test_refused_connection_never_reached_the_provider(make_gateway, send):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    gateway = make_gateway(Account(base_url=f"http://127.0.0.1:{port}"))
    assert send(gateway) == NotReached("no-connection")


def test_unknown_host_never_reached_the_provider(make_gateway, send, monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    gateway = make_gateway(Account(base_url="https://provider.invalid"))
    assert send(gateway) == NotReached("dns")


@pytest.fixture
def full_listener() -> Iterator[int]:
    """The port of a listener whose queue is full: a further connection is never answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for one in waiting:
            one.close()


def test_connection_not_made_in_time_never_reached_the_provider(full_listener, make_gateway, send):
    gateway = make_gateway(Account(base_url=f"http://127.0.0.1:{full_listener}"), connect_timeout=0.2)
    assert send(gateway) == NotReached("connect-timeout")


def test_proxy_that_refuses_connections_never_reached_the_provider(make_gateway, send, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    gateway = make_gateway(Account(base_url="https://provider.invalid"))
    assert send(gateway) == NotReached("no-connection")


@pytest.mark.parametrize("proxy", ["pigeon://127.0.0.1:1", "http://", "http://127.0.0.1:port"])
def test_proxy_that_cannot_be_used_never_reached_the_provider(proxy, make_gateway, send, monkeypatch):
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    gateway = make_gateway(Account(base_url="https://provider.invalid"))
    assert send(gateway) == NotReached("address")


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
def test_server_error_leaves_the_message_in_doubt(status, server, make_gateway, send):
    server.behaviour = server.answer(status, problem("internal-error"), Retry_After="1")
    assert send(make_gateway()) == InDoubt(f"http-{status}")
    assert server.lines == ONE_POST


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_redirect_is_not_followed(status, server, make_gateway, send):
    server.behaviour = server.answer(status, Location=f"{server.url}/v1/messages")
    assert send(make_gateway()) == InDoubt("redirect")
    assert server.lines == ONE_POST


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe<html>Accepted</html>",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"message_uuid": null}',
        b'{"message_uuid": 7}',
        b'{"message_uuid": ""}',
        b'{"message_uuid": "not an id"}',
        b'{"message_uuid": "' + b"a" * 500 + b'"}',
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("status", [200, 202, 204])
def test_unreadable_success_leaves_the_message_in_doubt(status, body, server, make_gateway, send):
    server.behaviour = server.answer(status, body)
    assert isinstance(send(make_gateway()), InDoubt)
    assert server.lines == ONE_POST


def test_answer_that_is_not_http_leaves_the_message_in_doubt(server, make_gateway, send):
    def behave(connection: socket.socket) -> bool:
        connection.sendall(b"220 mail.example ESMTP\r\n\r\n")
        return False

    server.behaviour = behave
    assert send(make_gateway()) == InDoubt("dropped")
    assert server.lines == ONE_POST


def test_compressed_garbage_leaves_the_message_in_doubt(server, make_gateway, send):
    server.behaviour = server.answer(202, b"not gzip", Content_Encoding="gzip")
    assert send(make_gateway()) == InDoubt("dropped")
    assert server.lines == ONE_POST


@pytest.mark.parametrize("status", [401, 402, 403])
def test_refused_account_is_told_from_a_refused_message(status, server, make_gateway, send):
    server.behaviour = server.answer(status, problem("unauthorized"))
    assert send(make_gateway()) == AccountRefused(f"http-{status}")
    assert server.lines == ONE_POST


@pytest.mark.parametrize(
    "code",
    ["1060", "1070", "1120", "1460", "1470", "1471", "1472", "1473", "1474", "1475", "1476", "low-balance"],
)
def test_error_code_of_the_account_is_told_from_one_of_the_message(code, server, make_gateway, send):
    server.behaviour = server.answer(422, problem(code))
    assert send(make_gateway()) == AccountRefused(code)
    assert server.lines == ONE_POST


@pytest.mark.parametrize("code", ["1000", "1150", "1170", "1240", "1430", "1477", "1469"])
def test_error_code_of_the_message_is_kept_with_its_title(code, server, make_gateway, send):
    server.behaviour = server.answer(422, problem(code, "Invalid recipient"))
    assert send(make_gateway()) == Refused(code, "Invalid recipient")
    assert server.lines == ONE_POST


@pytest.mark.parametrize("status", [400, 404, 405, 408, 409, 413, 415, 418, 451])
def test_any_other_refusal_is_of_this_message(status, server, make_gateway, send):
    server.behaviour = server.answer(status, b"<html>Not here</html>")
    assert send(make_gateway()) == Refused(f"http-{status}", "")
    assert server.lines == ONE_POST


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"1070"', b'{"type": 7}', b'{"type": "x#"}', b"{"])
def test_unreadable_refusal_is_of_this_message(body, server, make_gateway, send):
    server.behaviour = server.answer(422, body)
    assert send(make_gateway()) == Refused("http-422", "")


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("No such number", "No such number"),
        ("The number 61491570156 is barred", "The number … is barred"),
        ("Call +61 491 570 156 now", "Call … now"),
        ("(0491) 570-156 and 1234", "(… and 1234"),
        ("Line\none\x00\x1b[31m", "Line one [31m"),
        ("x" * 300, "x" * 100),
        ("y" * 98 + "61491570156", "y" * 98 + "…"),
        (1170, "1170"),
    ],
)
def test_title_of_a_refusal_is_short_and_holds_no_number(title, kept, server, make_gateway, send):
    server.behaviour = server.answer(422, problem("1170", title))
    assert send(make_gateway()) == Refused("1170", kept)


@pytest.mark.parametrize("code", ["61491570156", "Mia Nguyen", "a" * 200])
def test_what_is_no_error_code_is_not_kept_as_one(code, server, make_gateway, send):
    server.behaviour = server.answer(422, problem(code))
    assert send(make_gateway()) == Refused("http-422", "Invalid sender")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 2.5 ", 2.5),
        ("0", 1.0),
        ("-5", 1.0),
        ("86400", 300.0),
        ("9" * 40, 1.0),
        ("nan", 1.0),
        ("soon", 1.0),
        ("", 1.0),
        (None, 1.0),
    ],
)
def test_throttled_for_as_long_as_the_provider_says_within_limits(value, seconds, server, make_gateway, send):
    headers = {} if value is None else {"Retry_After": value}
    server.behaviour = server.answer(429, problem("throttled"), **headers)
    assert send(make_gateway()) == Throttled(seconds)
    assert server.lines == ONE_POST


@pytest.mark.parametrize(("wait", "seconds"), [(30, 30.0), (-30, 1.0), (86_400, 300.0)])
def test_throttled_until_a_date_is_counted_by_the_providers_clock(wait, seconds, server, make_gateway, send):
    theirs = datetime(2031, 5, 7, tzinfo=UTC)
    until = format_datetime(theirs + timedelta(seconds=wait), usegmt=True)
    server.behaviour = server.answer(429, Retry_After=until, Date=format_datetime(theirs, usegmt=True))
    assert send(make_gateway()) == Throttled(seconds)


def test_throttled_until_a_date_without_their_clock_waits_the_default(server, make_gateway, send):
    server.behaviour = server.answer(429, Retry_After="Wed, 07 May 2031 00:00:30 GMT")
    assert send(make_gateway()) == Throttled(1.0)


def test_request_holds_what_the_provider_needs(server, make_gateway, send):
    send(make_gateway())
    request = server.requests[0]
    assert json.loads(request.body) == {
        "to": "61491570156",
        "from": "Riverside",
        "text": "Hi Mia, see you on Thursday 8 May 2031 at 9:30am.",
        "ttl": 3600,
        "client_ref": "m7",
        "webhook_version": "v1",
        "channel": "sms",
        "message_type": "text",
    }
    assert request.headers["content-type"] == "application/json"
