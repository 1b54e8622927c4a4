"""What the provider's answer means: one table, by status code, by error code, by exception."""

import re
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import requests
import urllib3.exceptions as urllib3
from requests import Response
from requests.exceptions import InvalidSchema, InvalidURL
from vonage_http_client.errors import HttpRequestError


@dataclass(frozen=True, slots=True)
class Accepted:
    provider_id: str


@dataclass(frozen=True, slots=True)
class NotReached:
    """The request never left this machine: it may be sent again."""

    code: str


@dataclass(frozen=True, slots=True)
class Throttled:
    retry_after: float  # seconds


@dataclass(frozen=True, slots=True)
class AccountRefused:
    """The account is refused, not the message: every other message would be refused too."""

    code: str


@dataclass(frozen=True, slots=True)
class Refused:
    """This message is refused. `code` is the provider's error code where it gave one (e.g. "1170"),
    else a word of ours; `title` is short words, at most 100 characters, with no number in them."""

    code: str
    title: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The provider was asked, and may have taken the message: it must not be sent again."""

    code: str


Failure = NotReached | Throttled | AccountRefused | Refused | InDoubt
Outcome = Accepted | Failure

DEFAULT_RETRY_AFTER = 1.0
LONGEST_RETRY_AFTER = 300.0
LONGEST_TITLE = 100

ACCOUNT_STATUSES = frozenset({401, 402, 403})
# https://developer.vonage.com/en/api-errors, those that speak of the account.
ACCOUNT_CODES = frozenset(
    {
        *("1060", "1070", "1120", "1460", "1470", "1471", "1472", "1473", "1474", "1475", "1476"),
        *("account-suspended", "forbidden", "invalid-api-key", "invalid-signature"),
        *("jwt-expired", "jwt-revoked", "low-balance", "unauthorized", "unprovisioned"),
    }
)

_PROVIDER_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_ERROR_CODE = re.compile(r"[0-9]{3,4}|[a-z][a-z-]{0,39}")
# Five digits or more, also where spaces or brackets part them: it may be somebody's number.
_NUMBER = re.compile(r"\+?\d(?:[\s().\-/]*\d){4,}")


def outcome_of_id(provider_id: str) -> Outcome:
    return Accepted(provider_id) if _PROVIDER_ID.fullmatch(provider_id) else InDoubt("unreadable-answer")


def outcome_of_error(error: Exception) -> Failure:
    """What an exception out of the SDK's call means. In doubt, unless it proves otherwise."""
    if isinstance(error, HttpRequestError):
        return outcome_of_response(error.response)
    cause = _cause(error)
    match cause:
        case urllib3.NameResolutionError():
            return NotReached("dns")
        case urllib3.NewConnectionError():
            return NotReached("no-connection")
        case urllib3.ConnectTimeoutError():
            return NotReached("connect-timeout")
        case ssl.SSLCertVerificationError():
            return NotReached("certificate")
        case InvalidURL() | InvalidSchema() | urllib3.LocationValueError():
            return NotReached("address")  # also a kind of proxy that cannot be used
        case urllib3.ReadTimeoutError():
            return InDoubt("read-timeout")
        case requests.RequestException() | urllib3.HTTPError() | OSError():
            return InDoubt("dropped")
        case TypeError() | KeyError() | ValueError():
            return InDoubt("unreadable-answer")  # a 2xx that the SDK could not take apart
    return InDoubt(f"error-{type(cause).__name__}")


def outcome_of_response(response: Response) -> Failure:
    """What an answer other than 2xx means."""
    status = response.status_code
    if status == 429:
        return Throttled(_retry_after(response))
    if status in ACCOUNT_STATUSES:
        return AccountRefused(f"http-{status}")
    if 400 <= status < 500:
        code, title = _problem(response)
        if status == 422 and code in ACCOUNT_CODES:
            return AccountRefused(code)
        return Refused(code or f"http-{status}", title)
    if 300 <= status < 400:
        return InDoubt("redirect")
    return InDoubt(f"http-{status}")


def _cause(error: Exception) -> Exception:
    """The failure itself, out of the wrappers that requests and urllib3 put around it."""
    inner: object = error
    while True:
        match inner:
            case urllib3.MaxRetryError(reason=Exception() as reason):
                inner = reason
            case urllib3.ProxyError(original_error=original):
                inner = original
            case requests.RequestException(args=[urllib3.HTTPError() as wrapped, *_]):
                inner = wrapped
            case urllib3.SSLError(args=[Exception() as wrapped, *_]):
                inner = wrapped
            case Exception():
                return inner
            case _:
                return error


def _problem(response: Response) -> tuple[str, str]:
    """(error code, title) of a problem body, each "" where it is missing or unreadable.

    The code stands after the # of `type`; `title` is prose.
    """
    try:
        body = response.json()
    except ValueError:
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    code = str(body.get("type", "")).partition("#")[2]
    return code if _ERROR_CODE.fullmatch(code) else "", _clean(str(body.get("title", "")))


def _clean(title: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in title)
    return _NUMBER.sub("…", " ".join(printable.split()))[:LONGEST_TITLE]


def _retry_after(response: Response) -> float:
    """Seconds to wait. A date is counted from the answer's own Date, so no clock need agree with theirs."""
    value = response.headers.get("Retry-After", "")
    try:
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value.strip()):
            seconds = float(value)
        else:
            until = parsedate_to_datetime(value)
            seconds = (until - parsedate_to_datetime(response.headers.get("Date", ""))).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return DEFAULT_RETRY_AFTER
    return min(max(seconds, DEFAULT_RETRY_AFTER), LONGEST_RETRY_AFTER)
