"""A text that came in: whose it is, what it means, and what that changes at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Taken:
    """`message_id`: the reply's row in the log. `to_send`: answers that are queued, to be enqueued by the caller.
    `is_forwarded`: the practice wants it by mail; the caller enqueues that too."""

    practice_id: str
    message_id: int
    to_send: tuple[int, ...]
    is_forwarded: bool


def take_reply(event: Mapping[str, Any], now: datetime) -> Taken | None:
    """Record a text that the provider reports: `message_uuid, to, from, text, timestamp, sms{num_messages}`.

    May run twice, and in any order with others: None where it is recorded already, where no practice has the number
    that it came to, or where the event names no sender.
    """
    raise NotImplementedError
