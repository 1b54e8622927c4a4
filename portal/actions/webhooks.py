"""Take what the provider sends: see that it is the provider's, and keep it. A job works on it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from portal import store
from portal.core.receipts import Unreadable, parse_event
from portal.sms.webhook import NotGenuine, verify
from portal.store.host import STALE_WEBHOOK
from portal.store.provider_events import EventKind, EventSource

__all__ = ["NotGenuine", "NotSetUp", "Trust", "Unreadable", "keep_event", "take_webhook"]

LARGEST = 64 * 1024  # bytes: the longest text, escaped, with room to spare
_NOTED_ANEW = timedelta(minutes=10)


class NotSetUp(Exception):
    """There is no secret to verify with."""


@dataclass(frozen=True, slots=True)
class Trust:
    """`secrets`: two while one is being changed. `account`: our api_key and application_id. `clock`: the machine's
    own time, by which the provider signs; the portal's may be a test's."""

    secrets: Sequence[str]
    account: Mapping[str, str | None]
    clock: datetime


def take_webhook(kind: EventKind, authorization: str, raw: bytes, trust: Trust, now: datetime) -> bool:
    """Whether it is new. Raises NotSetUp, NotGenuine, Unreadable."""
    if not trust.secrets:
        raise NotSetUp
    try:
        verify(authorization, raw, trust.secrets, trust.account, {now, trust.clock})
    except NotGenuine as refused:
        if refused.code == "stale":
            _note_stale(now)
        raise
    try:
        text = raw.decode()
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("It is no JSON object.") from None
    return keep_event(kind, EventSource.WEBHOOK, body, text, now)


def keep_event(kind: EventKind, source: EventSource, body: Any, text: str, now: datetime) -> bool:
    """Each once; False where it is there already. `text`: the body as it came. Raises Unreadable."""
    uuid, status, at = parse_event(body)
    with store.everything(write=True) as session:
        return store.provider_events.record_event(
            session,
            {
                "kind": kind,
                "source": source,
                "uuid": uuid,
                "status": status,
                "at": at,
                "body_hash": sha256(text.encode()).hexdigest(),
                "body": text,
                "received_at": now,
                "next_at": now,
            },
        )


def _note_stale(now: datetime) -> None:
    """It was the provider's, and is lost to us unless we ask: for a day, its records are read as well."""
    with store.everything(write=True) as session:
        noted = store.host.find_state(session, STALE_WEBHOOK)
        if noted is None or now - datetime.fromisoformat(noted["at"]) > _NOTED_ANEW:
            store.host.record_state(session, STALE_WEBHOOK, {"at": now.isoformat()}, now)
