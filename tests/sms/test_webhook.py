"""What is signed as the provider signs is taken; everything else is not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from portal.sms.webhook import NotGenuine, verify
from tests.reported import SECRET, signed

NOW = datetime(2031, 5, 7, 0, 0, 5, tzinfo=UTC)
RAW = b'{"message_uuid": "u"}'
OURS = {"api_key": "abcd1234", "application_id": None}


def check(
    authorization: str,
    raw: bytes = RAW,
    secrets: Any = (SECRET,),
    account: Any = OURS,
    other_clocks: Any = (),
) -> str:
    """The code of the refusal; empty where it is taken."""
    try:
        verify(authorization, raw, secrets, account, {NOW, *other_clocks})
    except NotGenuine as refused:
        return refused.code
    return ""


def header(**claims: Any) -> str:
    return signed(RAW, NOW, **claims)["Authorization"]


def test_what_the_provider_signed_is_taken() -> None:
    assert check(header()) == ""
    assert check(header().replace("Bearer", "bearer")) == ""


def test_both_secrets_hold_while_one_is_changed() -> None:
    for secret in ("the old secret, of more than 32 bytes", "the new secret, of more than 32 bytes"):
        both = ("the old secret, of more than 32 bytes", "the new secret, of more than 32 bytes")
        assert check(signed(RAW, NOW, secret)["Authorization"], secrets=both) == ""
        assert check(signed(RAW, NOW, secret)["Authorization"]) == "signature"


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer " + "a" * 5000, "Token abc", "\x00"]
)
def test_what_is_not_signed_is_refused(authorization: str) -> None:
    assert check(authorization) == "unsigned"


def unsigned_token() -> str:
    return jwt.encode({"iat": 1, "jti": "a", "payload_hash": "b"}, None, algorithm="none")


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer a.b.c",
        "Bearer €",
        f"Bearer {unsigned_token()}",
        f"Bearer {jwt.encode({'iat': 1, 'jti': 'a', 'payload_hash': 'b'}, 'another secret of more than 32 bytes')}",
        f"Bearer {jwt.encode({'iat': 1, 'jti': 'a', 'payload_hash': 'b'}, SECRET * 2, algorithm='HS512')}",
    ],
)
def test_what_another_signed_is_refused(authorization: str) -> None:
    assert check(authorization) == "signature"


@pytest.mark.parametrize("claim", ["iat", "jti", "payload_hash"])
def test_a_claim_that_is_missing_is_a_refusal(claim: str) -> None:
    assert check(header(**{claim: None})) == "signature"


@pytest.mark.parametrize("iat", ["soon", True, [1], {}])
def test_a_time_that_is_no_number_is_a_refusal(iat: Any) -> None:
    assert check(header(iat=iat)) == "signature"


def test_another_body_is_refused() -> None:
    assert check(header(), RAW + b" ") == "payload"
    assert check(header(payload_hash=7)) == "payload"
    assert check(header(payload_hash="é")) == "payload"


def test_another_account_is_refused() -> None:
    assert check(header(api_key="other123")) == "account"
    assert check(header(api_key=None)) == "account"
    both = {"api_key": "abcd1234", "application_id": "app"}
    assert check(header(application_id="app"), account=both) == ""
    assert check(header(application_id="other"), account=both) == "account"
    assert check(header(api_key=None, application_id="app"), account=both) == ""
    assert check(header(api_key=None), account={"api_key": None, "application_id": None}) == ""  # a simulator


@pytest.mark.parametrize(
    ("age", "code"),
    [
        (timedelta(), ""),
        (timedelta(seconds=-60), ""),
        (timedelta(seconds=-62), "early"),
        (timedelta(minutes=5, seconds=60), ""),
        (timedelta(minutes=6, seconds=1), "stale"),
        (timedelta(days=1), "stale"),
    ],
)
def test_it_is_taken_while_it_is_fresh(age: timedelta, code: str) -> None:
    assert check(header(age=age)) == code


def test_with_a_test_clock_the_machines_own_counts_too() -> None:
    years = timedelta(days=2000)
    assert check(header(age=years)) == "stale"
    assert check(header(age=years), other_clocks=(NOW - years,)) == ""
    assert check(header(age=timedelta(days=3)), other_clocks=(NOW - years,)) == "stale"
