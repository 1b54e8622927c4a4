"""The provider's own records: what became of our texts, and what came in.

Source: https://developer.vonage.com/en/api/reports
"""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from requests.utils import get_environ_proxies

from portal.sms.answers import outcome_of_error, outcome_of_response
from portal.sms.gateway import CONNECT_TIMEOUT, DEFAULT_HOSTS, READ_TIMEOUT, Account, in_words
from portal.sms.loopback import is_loopback
from portal.sms.session import Session, certificates

LONGEST_WINDOW = timedelta(hours=23)  # the provider takes 24, and ours end on whole seconds
MOST_PAGES = 200
_PATH = "/v2/reports/records"

# What the records call it, and the receipts.
_STATUSES = {
    "delivered": "delivered",
    "read": "delivered",
    "rejected": "rejected",
    "failed": "rejected",
    "expired": "rejected",
    "undeliverable": "undeliverable",
}


class ReportsError(Exception):
    """The records could not be read; the text says why, and holds nothing of them."""


class Reports:
    """For one thread. Raises ReportsError where the account has no key: an application's opens no records."""

    def __init__(self, account: Account) -> None:
        if account.api_key and account.api_secret:
            self._auth = (account.api_key, account.api_secret)
        elif account.base_url is not None:
            self._auth = ("simulator", "not-a-secret")
        else:
            raise ReportsError("The provider's records need VONAGE_API_KEY and VONAGE_API_SECRET.")
        self._base = account.base_url or f"https://{DEFAULT_HOSTS[0]}"
        url = urlsplit(self._base)
        proxies = {} if is_loopback(url.hostname) else get_environ_proxies(self._base)
        self._session = Session((CONNECT_TIMEOUT, READ_TIMEOUT), url.scheme == "http", proxies, certificates())

    def list_receipts(self, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        """What became of the texts that the provider took from `start` to `end`, as its receipts say it."""
        for record in self._records("outbound", start, end):
            yield as_receipt(record)

    def list_replies(self, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        """What came in from `start` to `end`, as the inbound webhook says it."""
        for record in self._records("inbound", start, end, include_message="true"):
            yield as_reply(record)

    def close(self) -> None:
        self._session.close()

    def _records(self, direction: str, start: datetime, end: datetime, **more: str) -> Iterator[Mapping[str, Any]]:
        while start < end:
            until = min(end, start + LONGEST_WINDOW)
            query = {
                "account_id": self._auth[0],
                "product": "MESSAGES",
                "provider": "sms",
                "direction": direction,
                "date_start": _stamp(start, math.floor),
                "date_end": _stamp(until, math.ceil),
                **more,
            }
            yield from self._pages(query)
            start = until

    def _pages(self, query: dict[str, str]) -> Iterator[Mapping[str, Any]]:
        for _ in range(MOST_PAGES):
            page = self._get(query)
            records = page.get("records")
            yield from (one for one in (records if isinstance(records, list) else ()) if isinstance(one, Mapping))
            further = _further(page)
            if not further or further.items() <= query.items():
                return
            query = query | further  # the link itself leaves out what was asked
        raise ReportsError("The provider's records do not end.")

    def _get(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            answer = self._session.get(self._base + _PATH, params=dict(query), auth=self._auth)
            if answer.status_code != 200:
                raise ReportsError(in_words(outcome_of_response(answer), "records"))
            page = answer.json()
        except ReportsError:
            raise
        except Exception as error:
            raise ReportsError(in_words(outcome_of_error(error), "records")) from None
        if not isinstance(page, Mapping):
            raise ReportsError("The provider's records could not be read.")
        return page


def _stamp(at: datetime, to_whole: Any) -> str:
    """Whole seconds, so that nothing falls between two windows."""
    whole = datetime.fromtimestamp(to_whole(at.timestamp()), UTC)
    return whole.strftime("%Y-%m-%dT%H:%M:%SZ")


def _further(page: Mapping[str, Any]) -> dict[str, str]:
    links = page.get("_links")
    following = links.get("next") if isinstance(links, Mapping) else None
    href = following.get("href") if isinstance(following, Mapping) else None
    if not isinstance(href, str):
        return {}
    found = parse_qs(urlsplit(href).query)
    return {name: found[name][-1] for name in ("cursor", "iv") if name in found}


def as_receipt(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of a text of ours, in the form of a status webhook: unless it is final, that it was taken."""
    status = str(record.get("status", "")).lower()
    body: dict[str, Any] = {
        "message_uuid": _uuid(record),
        "to": record.get("to"),
        "from": record.get("from"),
        "timestamp": record.get("date_finalized") or record.get("date_received"),
        "status": _STATUSES.get(status, "submitted"),
        "channel": "sms",
        "usage": {"currency": record.get("currency"), "price": record.get("total_price")},
    }
    if record.get("client_ref"):
        body["client_ref"] = record["client_ref"]
    code = str(record.get("error_code") or "")
    if code.strip("0"):
        body["error"] = {"title": code}
    return body


def as_reply(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of a text that came in, in the form of an inbound webhook."""
    return {
        "message_uuid": _uuid(record),
        "to": record.get("to"),
        "from": record.get("from"),
        "text": record.get("message_body", ""),
        "timestamp": record.get("date_received"),
        "channel": "sms",
    }


def _uuid(record: Mapping[str, Any]) -> Any:
    return record.get("message_id") or record.get("message_uuid") or record.get("id")
