"""The provider's webhooks: what it signed is kept once and answered at once, and nothing else gets in."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import create_app, store
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
