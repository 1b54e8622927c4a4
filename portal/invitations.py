"""Links by which somebody takes an account: signed, for one use, valid for a week.

A link is bound to the person's `fs_uniquifier`. Whatever gives them a new one (the link was used, another was
made, the account was switched off) ends it.
"""

from datetime import UTC, datetime, timedelta

from itsdangerous import BadSignature, URLSafeSerializer

VALID_FOR = timedelta(days=7)
_PURPOSE = "invitation"


def token_for(secret_key: str, uniquifier: str, now: datetime) -> str:
    return str(_serializer(secret_key).dumps([uniquifier, int((now + VALID_FOR).timestamp())]))


def find_invited(secret_key: str, token: str, now: datetime) -> str | None:
    """The `fs_uniquifier` of who is invited; None where the link is not ours or is too old."""
    try:
        uniquifier, until = _serializer(secret_key).loads(token)
    except (BadSignature, ValueError, TypeError):
        return None
    return str(uniquifier) if now < datetime.fromtimestamp(until, UTC) else None


def link_for(secret_key: str, base_url: str, uniquifier: str, now: datetime) -> str:
    return f"{base_url.rstrip('/')}/join/{token_for(secret_key, uniquifier, now)}"


def _serializer(secret_key: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret_key, salt=_PURPOSE)
