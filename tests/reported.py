"""What the provider sends, as it sends it: receipts, replies, and their signature."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt

from portal import store
from portal.actions.receipts import work_on_events
from portal.actions.webhooks import keep_event
from portal.core.receipts import reference
from portal.store.messages import Message
from portal.store.provider_events import EventKind, EventSource

SECRET = "the signature secret of an account, for tests"


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_receipt(
    status: str,
    at: datetime,
    *,
    code: str | None = None,
    uuid: str | None = None,
    ref: str | None = None,
    to: str = "61491570006",
    parts: int = 1,
    price: str = "0.0500",
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "message_uuid": uuid or str(uuid4()),
        "to": to,
        "from": "Clinic",
        "timestamp": stamp(at),
        "status": status,
        "channel": "sms",
        "usage": {"currency": "EUR", "price": price},
        "sms": {"count_total": str(parts)},
    }
    if ref is not None:
        body["client_ref"] = ref
    if code is not None:
        body["error"] = {"type": f"https://developer.vonage.com/api-errors/messages#{code}", "title": code}
    return body


def a_reply(at: datetime, text: str = "Yes") -> dict[str, Any]:
    return {
        "message_uuid": str(uuid4()),
        "to": "61400000000",
        "from": "61491570006",
        "timestamp": stamp(at),
        "text": text,
        "channel": "sms",
    }


def of(message: Message, status: str, at: datetime, code: str | None = None, **more: Any) -> dict[str, Any]:
    """A receipt about the message's present attempt."""
    assert message.claim and message.to
    known = {"uuid": message.provider_id, "ref": reference(message.id, message.claim), "to": message.to[1:]}
    return a_receipt(status, at, code=code, **known | more)


def report(body: Mapping[str, Any], now: datetime, kind: EventKind = EventKind.STATUS) -> bool:
    """It came by webhook; nobody has worked on it."""
    return keep_event(kind, EventSource.WEBHOOK, body, json.dumps(body), now)


def work(now: datetime) -> int:
    """All that waits, as the job does; returns how many were looked at."""

    def no_reply(event: Mapping[str, Any], now: datetime) -> None:
        raise AssertionError("a reply")

    return work_on_events(now, no_reply, most=10_000).events


def the_event(uuid: str) -> Any:
    from portal.store.provider_events import ProviderEvent

    with store.everything() as session:
        return session.query(ProviderEvent).filter_by(uuid=uuid).one_or_none()


def signed(
    raw: bytes, now: datetime, secret: str = SECRET, *, age: timedelta = timedelta(), **claims: Any
) -> dict[str, str]:
    """The headers of a webhook. A claim that is None is left out."""
    all_claims = {
        "iat": int((now - age).timestamp()),
        "jti": str(uuid4()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(raw).hexdigest(),
        "api_key": "abcd1234",
    } | claims
    token = jwt.encode({k: v for k, v in all_claims.items() if v is not None}, secret, algorithm="HS256")
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
