"""Whether what comes to a webhook is the provider's: signed by it, about our account, unchanged and fresh.

Source: https://developer.vonage.com/en/getting-started/concepts/webhooks (signed webhooks)
"""

import hmac
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import jwt

CLOCKS_APART = timedelta(seconds=60)
# What is older may be somebody's copy. A report that was held up so long is had from the provider's records.
LONGEST_ON_THE_WAY = timedelta(minutes=5)
_LONGEST_TOKEN = 4096

# The provider's claims are dated by its own clock, which is compared with ours, not with the library's.
_OPTIONS: Any = {
    "require": ["iat", "jti", "payload_hash"],
    **{f"verify_{claim}": False for claim in ("iat", "exp", "nbf", "aud", "iss", "sub")},
}


class NotGenuine(Exception):
    """It is not to be taken. `code`: unsigned, signature, payload, account, early or stale."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def verify(
    authorization: str,
    raw: bytes,
    secrets: Sequence[str],
    account: Mapping[str, str | None],
    clocks: Collection[datetime],
) -> None:
    """`authorization`: the header's value. `secrets`: each that may have signed it. `account`: our `api_key` and
    `application_id`, as far as we have them. `clocks`: what the time is; with a test clock there are two answers.
    Raises NotGenuine."""
    claims = _claims(authorization, secrets)
    digest = claims["payload_hash"]
    if not isinstance(digest, str) or not _same(digest.lower(), sha256(raw).hexdigest()):
        raise NotGenuine("payload")
    if not _is_ours(claims, account):
        raise NotGenuine("account")
    signed = claims["iat"]
    if isinstance(signed, bool) or not isinstance(signed, int | float):
        raise NotGenuine("signature")
    apart, longest = CLOCKS_APART.total_seconds(), (LONGEST_ON_THE_WAY + CLOCKS_APART).total_seconds()
    ages = [now.timestamp() - signed for now in clocks]
    if not any(-apart <= age <= longest for age in ages):
        raise NotGenuine("stale" if any(age > longest for age in ages) else "early")


def _claims(authorization: str, secrets: Sequence[str]) -> Mapping[str, Any]:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN:
        raise NotGenuine("unsigned")
    for secret in secrets:
        try:
            return jwt.decode(token.strip(), secret, algorithms=["HS256"], options=_OPTIONS)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            continue
    raise NotGenuine("signature")


def _is_ours(claims: Mapping[str, Any], account: Mapping[str, str | None]) -> bool:
    """What it names of the account is ours, and it names something, where we know what to expect."""
    ours = {name: value for name, value in account.items() if value}
    named = {name: str(claims[name]) for name in ours if name in claims}
    return bool(named or not ours) and all(_same(value, ours[name]) for name, value in named.items())


def _same(one: str, other: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))
