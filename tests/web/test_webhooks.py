"""The provider's webhooks: what it signed is kept once and answered at once, and nothing else gets in."""

import json
import os
import random
import string
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal import create_app, store
from portal.actions.receipts import work_on_events
from portal.actions.webhooks import LARGEST
from portal.config import Settings
from portal.store.host import STALE_WEBHOOK
from portal.store.provider_events import EventKind, ProviderEvent
from tests.builders import Clinic
from tests.reported import SECRET, a_receipt, signed

NEW_SECRET = "the secret that takes its place one of these days"
STATUS, INBOUND = "/webhooks/vonage/status", "/webhooks/vonage/inbound"


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """With the secrets of an account, and without a test clock."""
    settings = replace(
        settings,
        vonage_signature_secrets=(SECRET, NEW_SECRET),
        vonage_api_key="abcd1234",
        vonage_api_secret="not-a-secret",
    )
    app = create_app(settings)
    with app.app_context():
        yield app
        store.database.db.engine.dispose()


@pytest.fixture
def provider(app: Flask) -> FlaskClient:
    told = app.extensions["tests.told"] = []
    app.extensions["portal.enqueue_events"] = lambda: told.append(1)
    return app.test_client()


def told(client: FlaskClient) -> int:
    """How often the workers were told that there is something to do."""
    return len(client.application.extensions["tests.told"])


def now() -> datetime:
    return datetime.now(UTC)


def post(client: FlaskClient, body: Any, path: str = STATUS, secret: str = SECRET, **claims: Any) -> TestResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, data=raw, headers=signed(raw, now(), secret, **claims))


def kept() -> list[ProviderEvent]:
    with store.everything() as session:
        return list(session.scalars(select(ProviderEvent).order_by(ProviderEvent.id)))


# --- what is taken --------------------------------------------------------------------------------------------


def test_what_the_provider_signed_is_kept_as_it_came(provider: FlaskClient) -> None:
    body = a_receipt("delivered", now(), uuid="uuid-1")
    answer = post(provider, body)
    assert (answer.status_code, answer.text) == (200, "Taken.\n")
    assert "Set-Cookie" not in answer.headers
    (event,) = kept()
    assert (event.kind, event.source, event.uuid, event.status) == ("status", "webhook", "uuid-1", "delivered")
    assert event.body == json.dumps(body)
    assert event.next_at == event.received_at and now() - event.received_at < timedelta(minutes=1)
    assert told(provider) == 1


def test_a_reply_is_kept_too(provider: FlaskClient) -> None:
    text = "Yes 👍 " * 400
    body = {"message_uuid": "r-1", "from": "61491570006", "to": "61400", "text": text, "timestamp": now().isoformat()}
    assert post(provider, body, INBOUND).status_code == 200
    assert [(one.kind, json.loads(one.body)["text"]) for one in kept()] == [(EventKind.INBOUND, text)]


def test_the_same_again_is_answered_and_kept_once(provider: FlaskClient) -> None:
    body = a_receipt("delivered", now())
    raw = json.dumps(body).encode()
    headers = signed(raw, now())
    assert [provider.post(STATUS, data=raw, headers=headers).status_code for _ in range(3)] == [200] * 3
    assert post(provider, body).status_code == 200  # signed anew
    assert (len(kept()), told(provider)) == (1, 1)


def test_both_secrets_open_while_one_is_changed(provider: FlaskClient) -> None:
    for secret in (SECRET, NEW_SECRET):
        assert post(provider, a_receipt("delivered", now()), secret=secret).status_code == 200
    assert len(kept()) == 2


# --- what is not ----------------------------------------------------------------------------------------------


def test_what_is_not_signed_as_ours_is_refused_so_that_it_comes_again(provider: FlaskClient) -> None:
    """Vonage tries again after 429 and 5xx: https://api.support.vonage.com/hc/en-us/articles/360028543292"""
    body = a_receipt("delivered", now())
    raw = json.dumps(body).encode()
    answers = [
        provider.post(STATUS, data=raw),
        post(provider, body, secret="somebody else's, of more than 32 bytes"),
        post(provider, body, payload_hash="0" * 64),
        post(provider, body, api_key="other123"),
        post(provider, body, age=timedelta(hours=1)),
        post(provider, body, age=-timedelta(minutes=5)),
    ]
    assert [answer.status_code for answer in answers] == [429] * len(answers)
    assert all(answer.headers["Retry-After"] == "60" for answer in answers)
    assert (kept(), told(provider)) == ([], 0)


def test_without_a_secret_nothing_is_taken_and_it_comes_again(settings: Settings) -> None:
    app = create_app(settings)
    with app.app_context():
        answer = post(app.test_client(), a_receipt("delivered", now()))
        assert (answer.status_code, kept()) == (503, [])
        assert "VONAGE_SIGNATURE_SECRET" in answer.text
        store.database.db.engine.dispose()


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"{}", b"1" * 5000, b"[" * 20_000, b'{"a": NaN}'),
        json.dumps(a_receipt("delivered", datetime(2031, 5, 7, tzinfo=UTC), uuid="\x00")).encode(),
        json.dumps(a_receipt("\ud800", datetime(2031, 5, 7, tzinfo=UTC))).encode(),
        json.dumps(a_receipt("delivered", datetime(2031, 5, 7, tzinfo=UTC)) | {"timestamp": "x"}).encode(),
        json.dumps(a_receipt("delivered", datetime(2031, 5, 7, tzinfo=UTC))).encode("utf-16"),
    ],
)
def test_what_makes_no_sense_is_refused_though_it_is_signed(provider: FlaskClient, raw: bytes) -> None:
    assert post(provider, raw).status_code == 400
    assert kept() == []


def test_what_is_too_large_is_refused_unread(provider: FlaskClient) -> None:
    large = json.dumps(a_receipt("delivered", now()) | {"padding": "x" * LARGEST}).encode()
    assert post(provider, large).status_code == 413
    in_pieces = signed(large, now()) | {"Transfer-Encoding": "chunked"}
    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    answer = provider.post(STATUS, input_stream=BytesIO(large), headers=in_pieces, environ_overrides=environ)
    assert answer.status_code == 413
    assert kept() == []


def test_only_posts_are_heard(provider: FlaskClient) -> None:
    Clinic()  # or every page leads to the set-up
    assert provider.get(STATUS).status_code == 405


def test_one_that_comes_too_late_is_noted_once(provider: FlaskClient) -> None:
    body = a_receipt("delivered", now())
    for _ in range(3):
        post(provider, body, age=timedelta(hours=1))
    with store.everything() as session:
        noted = store.host.find_state(session, STALE_WEBHOOK)
    assert noted and now() - datetime.fromisoformat(noted["at"]) < timedelta(minutes=1)


def test_a_stranger_cannot_make_us_ask_the_provider(provider: FlaskClient) -> None:
    post(provider, a_receipt("delivered", now()), secret="somebody else's, of more than 32 bytes", age=timedelta(1))
    with store.everything() as session:
        assert store.host.find_state(session, STALE_WEBHOOK) is None


# --- abuse ----------------------------------------------------------------------------------------------------

MANY = int(os.environ.get("PORTAL_TEST_ABUSE", "20000"))


_KINDS = ("malformed", "oversized", "unsigned", "wrongly signed", "stale", "replayed", "bare", "header")


def _abuse(chance: random.Random, genuine: tuple[bytes, dict[str, str]]) -> tuple[str, bytes, dict[str, str]]:
    """(what is wrong, body, headers) of one request that must not be taken."""
    body = a_receipt("delivered", now(), uuid="".join(chance.choices(string.hexdigits, k=12)))
    raw = json.dumps(body).encode()
    noise = chance.randbytes(chance.randrange(0, 400))
    match chance.choice(
        ["malformed", "oversized", "unsigned", "wrongly signed", "stale", "replayed", "bare", "header"]
    ):
        case "malformed":
            cut = raw[: chance.randrange(len(raw))] + noise
            return "malformed", cut, signed(cut, now())
        case "oversized":
            large = raw + b" " * LARGEST
            return "oversized", large, signed(large, now())
        case "unsigned":
            return "unsigned", raw, {"Content-Type": "application/json"}
        case "wrongly signed":
            return "wrongly signed", raw, signed(raw, now(), "".join(chance.choices(string.printable, k=40)))
        case "stale":
            return "stale", raw, signed(raw, now(), age=timedelta(minutes=chance.randrange(7, 100_000)))
        case "replayed":
            return "replayed", *genuine
        case "bare":
            return "bare", noise, {"Content-Type": "text/plain"}
    token = "".join(chance.choices(string.ascii_letters + ".-_= {}\"'", k=chance.randrange(1, 3000)))
    return "header", raw, {"Authorization": f"{chance.choice(['Bearer', 'Basic', 'bearer', ''])} {token}"}


def _memory() -> int:
    """Of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_many_abusive_requests_change_nothing_and_cost_no_memory(provider: FlaskClient) -> None:
    chance = random.Random(20_000)
    body = json.dumps(a_receipt("delivered", now(), uuid="genuine")).encode()
    genuine = body, signed(body, now())
    assert provider.post(STATUS, data=genuine[0], headers=genuine[1]).status_code == 200
    answers: Counter[tuple[str, int]] = Counter()
    started_with = 0
    for turn in range(MANY):
        if turn % 1000 == 0:  # a replay is to be fresh, and so a copy of what was just taken
            genuine = body, signed(body, now())
        what, raw, headers = _abuse(chance, genuine)
        path = STATUS if chance.random() < 0.5 or what == "replayed" else INBOUND
        answers[what, provider.post(path, data=raw, headers=headers).status_code] += 1
        if turn == MANY // 10:
            started_with = _memory()
    assert _memory() - started_with < 20_000_000
    expected = {what: {429} for what in _KINDS} | {"malformed": {400}, "oversized": {413}, "replayed": {200}}
    got: dict[str, set[int]] = {}
    for what, code in answers:
        got.setdefault(what, set()).add(code)
    assert got == expected
    with store.everything() as session:
        assert session.scalar(select(func.count()).select_from(ProviderEvent)) == 1
    assert work_on_events(now() + timedelta(seconds=1), lambda event, at: None).events == 1
