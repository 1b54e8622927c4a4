"""Sends texts through Vonage's Messages API: one POST a call, whatever happens."""

import logging
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit
from weakref import WeakSet

from requests.utils import get_environ_proxies
from vonage import Auth, HttpClientOptions, Vonage
from vonage_messages.models import Sms

from portal.sms.answers import (
    AccountRefused,
    Failure,
    InDoubt,
    NotReached,
    Outcome,
    Refused,
    Throttled,
    outcome_of_error,
    outcome_of_id,
)
from portal.sms.loopback import is_loopback
from portal.sms.session import AccountError, Session, certificates

CONNECT_TIMEOUT = 3.05  # seconds
READ_TIMEOUT = 20.0
SHORTEST_TTL, LONGEST_TTL = 20, 604_800  # seconds
LONGEST_TEXT = 3_200
LONGEST_CLIENT_REF = 40
TOKEN_AGE = 300.0  # seconds; the SDK's tokens hold for 900

DEFAULT_HOSTS = ("api.nexmo.com", "rest.nexmo.com")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER_NUMBER = re.compile(r"\+?[1-9][0-9]{2,14}")
_SENDER_NAME = re.compile(r"(?=.*[A-Za-z])[ -~]{1,11}")


class BalanceError(Exception):
    """The balance could not be read; the text says why."""


@dataclass(frozen=True)
class Account:
    api_key: str | None = None
    api_secret: str | None = None
    application_id: str | None = None
    private_key: str | None = None  # a path, or the key itself
    base_url: str | None = None  # None: Vonage's own
    webhook_url: str | None = None  # where receipts go; None: where the account says


@dataclass(frozen=True, slots=True)
class Outgoing:
    message_id: int
    to: str  # E.164, with its +
    sender: str  # a number, or a name of at most 11 characters
    text: str
    client_ref: str


class Gateway:
    """May be shared by threads and made before a fork: each thread of each process has its own client."""

    def __init__(
        self,
        account: Account,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        """Timeouts in seconds. Raises AccountError where the credentials are missing or cannot be used."""
        self._auth = _auth(account)
        self._has_key = bool(account.api_key) or account.base_url is not None
        self._timeout = (connect_timeout, read_timeout)
        url = urlsplit(account.base_url or f"https://{DEFAULT_HOSTS[0]}")
        self._is_plain = url.scheme == "http"
        self._hosts = (url.netloc, url.netloc) if account.base_url else DEFAULT_HOSTS
        self._proxies = {} if is_loopback(url.hostname) else get_environ_proxies(url.geturl())
        self._verify = certificates()
        self._webhook_url = account.webhook_url
        self._local = threading.local()
        self._sessions: WeakSet[Session] = WeakSet()  # weak: a thread's ends with it
        _keep_quiet()

    @staticmethod
    def prepare(outgoing: Outgoing) -> Sms | Refused:
        """The SDK's message, or why it can never be sent. To be asked before the row is claimed."""
        if not _NUMBER.fullmatch(outgoing.to):
            return Refused("number", "The number is not one in international form.")
        if not (_SENDER_NUMBER.fullmatch(outgoing.sender) or _SENDER_NAME.fullmatch(outgoing.sender)):
            return Refused("sender", "The sender is neither a number nor a name of up to 11 characters.")
        if not outgoing.text.strip():
            return Refused("no-text", "The message is empty.")
        if len(outgoing.text) > LONGEST_TEXT:
            return Refused("text-too-long", "The message is longer than 3,200 characters.")
        if len(outgoing.client_ref) > LONGEST_CLIENT_REF:
            return Refused("client-ref", "Its reference is longer than 40 characters.")
        try:
            return Sms(
                to=outgoing.to.removeprefix("+"),
                from_=outgoing.sender.removeprefix("+"),
                text=outgoing.text,
                client_ref=outgoing.client_ref,
                webhook_version="v1",
            )
        except ValueError:
            return Refused("unusable", "The message holds characters that cannot be sent.")

    def send(self, prepared: Sms, ttl_seconds: float) -> Outcome:
        """One POST, and what became of it. Never raises. `ttl_seconds`: how long the text is of use."""
        try:
            prepared.ttl = int(min(max(ttl_seconds, SHORTEST_TTL), LONGEST_TTL))
            prepared.webhook_url = self._webhook_url
            answer = self._client().messages.send(prepared)
        except Exception as error:
            return outcome_of_error(error)
        return outcome_of_id(answer.message_uuid)

    def balance(self) -> float:
        """The account's balance in euros. Raises BalanceError."""
        if not self._has_key:
            raise BalanceError("The balance needs VONAGE_API_KEY and VONAGE_API_SECRET.")
        # A client of its own: two APIs on one client spoil each other's headers.
        client, session = self._new_client()
        try:
            return float(client.account.get_balance().value)
        except Exception as error:
            raise BalanceError(in_words(outcome_of_error(error), "balance")) from None
        finally:
            session.close()

    def close(self) -> None:
        """Close every thread's connection. To be called when no send is in flight."""
        for session in self._sessions:
            session.close()

    def _client(self) -> Vonage:
        local = self._local
        # A fork inherits its parent's client, and would share its socket.
        if getattr(local, "process", None) != os.getpid():
            local.client, session = self._new_client()
            local.process = os.getpid()
            self._sessions.add(session)
        return local.client

    def _new_client(self) -> tuple[Vonage, "Session"]:
        # With more, the SDK and urllib3 send a POST again whose connection closed without an answer.
        options = HttpClientOptions(api_host=self._hosts[0], rest_host=self._hosts[1], pool_maxsize=1, max_retries=0)
        client = Vonage(self._auth, options)
        session = Session(self._timeout, self._is_plain, self._proxies, self._verify)
        client.http_client._session.close()
        client.http_client._session = session
        return client, session


class _Token:
    """The SDK's signed token, kept for some minutes: a signature takes 30 ms of CPU."""

    def __init__(self, sign: Callable[[], bytes]) -> None:
        self._sign = sign
        self._token = b""
        self._signed_at = 0.0

    def __call__(self) -> bytes:
        now = time.time()  # the token's own clock: it also runs while the machine sleeps
        if not 0 <= now - self._signed_at < TOKEN_AGE:
            self._token, self._signed_at = self._sign(), now
        return self._token


def _auth(account: Account) -> Auth:
    if not (account.api_key or account.application_id):
        if account.base_url is None:
            raise AccountError("There are no credentials for Vonage.")
        return Auth(api_key="simulator", api_secret="not-a-secret")  # noqa: S106
    try:
        auth = Auth(
            api_key=account.api_key,
            api_secret=account.api_secret,
            application_id=account.application_id,
            private_key=_private_key(account.private_key),
        )
        if account.application_id:
            auth.create_jwt_auth_string = _Token(auth.create_jwt_auth_string)
            # A key that cannot sign would otherwise show at the first message, and leave it in doubt.
            auth.create_jwt_auth_string()
    except OSError as error:
        raise AccountError(f"VONAGE_PRIVATE_KEY cannot be read: {error.strerror}.") from None
    except Exception:
        raise AccountError(
            "Vonage's credentials cannot be used: VONAGE_PRIVATE_KEY must be a private key in PEM form."
        ) from None
    return auth


def _private_key(key: str | None) -> str | None:
    """The key itself. The SDK takes for a path only what has a file extension."""
    if key is None or "-----BEGIN" in key:
        return key
    with open(key, encoding="ascii") as file:
        return file.read()


def _keep_quiet() -> None:
    """The SDK logs texts, numbers and credentials, at DEBUG, and at WARNING what the provider answered."""
    logging.getLogger("vonage").addFilter(_nothing)
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def _nothing(record: logging.LogRecord) -> bool:
    return False


def in_words(failure: Failure, what: str) -> str:
    """Why the provider did not give what it was asked for."""
    match failure:
        case AccountRefused(code):
            return f"Vonage refuses the account ({code})."
        case NotReached(code):
            return f"Vonage cannot be reached ({code})."
        case Throttled(retry_after):
            return f"Vonage asks to wait {retry_after:.0f} seconds."
        case Refused(code) | InDoubt(code):
            return f"Vonage gave no {what} ({code})."
