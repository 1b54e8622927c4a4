"""What the simulated provider takes and refuses, as Vonage documents it.

Sources: https://developer.vonage.com/en/api/messages and https://developer.vonage.com/en/api-errors
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import uuid4

import jwt

ERRORS = "https://developer.vonage.com/api-errors"

_NUMBER = re.compile(r"[1-9][0-9]{6,14}")
_SENDER = re.compile(r"[1-9][0-9]{2,14}|(?=.*[A-Za-z])[ -~]{1,11}")


class Fault(StrEnum):
    DROP = "drop"  # the connection closes without an answer
    RESET = "reset"
    HANG = "hang"  # no answer for `seconds`, then the connection closes
    GARBAGE = "garbage"  # 202 and something that is not JSON


@dataclass(frozen=True)
class Answer:
    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    hang: float = 0.0  # seconds


def problem(status: int, code: str, title: str, headers: Mapping[str, str] | None = None, **more: object) -> Answer:
    """A problem body (RFC 7807). Message codes are four digits; others are words."""
    kind = f"{ERRORS}/messages#{code}" if code.isdigit() else f"{ERRORS}#{code}"
    return Answer(status, {"type": kind, "title": title, "instance": uuid4().hex, **more}, headers or {})


UNAUTHORIZED = problem(401, "unauthorized", "You did not provide correct credentials.")
NOT_FOUND = problem(404, "not-found", "The requested resource does not exist.")
THROTTLED = problem(429, "throttled", "Throttled", {"Retry-After": "1"})


def account_of(authorization: str) -> dict[str, str] | None:
    """Whom the request speaks for, as a receipt's signature names it; None without credentials."""
    scheme, _, value = authorization.partition(" ")
    try:
        if scheme == "Basic":
            key, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
            return {"api_key": key} if key and secret else None
        if scheme == "Bearer":
            claims = jwt.decode(value, options={"verify_signature": False, "require": ["iat", "jti"]})
            return {"application_id": claims["application_id"]}
    except (binascii.Error, UnicodeDecodeError, jwt.InvalidTokenError, KeyError):
        return None
    return None


def check_message(content_type: str, raw: bytes) -> dict[str, Any] | Answer:
    """The message of a request, or the answer that refuses it."""
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        message = None
    if content_type.partition(";")[0] != "application/json" or not isinstance(message, dict):
        return problem(422, "1150", "Invalid params", detail="The request body is not a JSON object.")
    wrong = [name for name in message if name not in _CHECKS]
    wrong += [name for name, is_right in _CHECKS.items() if not is_right(message.get(name))]
    if "from" in wrong:
        return problem(422, "1120", "Invalid sender", detail="The `from` parameter is invalid.")
    if wrong:
        parameters = [{"name": name, "reason": "invalid value"} for name in wrong]
        return problem(422, "1150", "Invalid params", invalid_parameters=parameters)
    return message


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= longest


def _is_ttl(value: Any) -> bool:
    return type(value) is int and 20 <= value <= 604_800


def _is_url(value: Any) -> bool:
    return _is_text(value, 2000) and value.startswith(("http://", "https://"))


# By field: whether its value (None where it is missing) is one that Vonage takes.
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "channel": lambda value: value == "sms",
    "message_type": lambda value: value == "text",
    "to": lambda value: isinstance(value, str) and bool(_NUMBER.fullmatch(value)),
    "from": lambda value: isinstance(value, str) and bool(_SENDER.fullmatch(value)),
    "text": lambda value: _is_text(value, 3200),
    "ttl": lambda value: value is None or _is_ttl(value),
    "client_ref": lambda value: value is None or _is_text(value, 100),
    "webhook_url": lambda value: value is None or _is_url(value),
    "webhook_version": lambda value: value in (None, "v0.1", "v1"),
}
