"""The Reports API of the simulated provider: what it took and what came in, by time.

Source: https://developer.vonage.com/en/api/reports
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode

from portal.sms.simulator.checks import Answer, problem

PATH = "/v2/reports/records"
PAGE = 1000
LONGEST_WINDOW = timedelta(hours=24)


class Record(Protocol):
    @property
    def at(self) -> datetime: ...
    @property
    def to(self) -> str: ...
    @property
    def sender(self) -> str: ...
    @property
    def text(self) -> str: ...
    def as_record(self) -> dict[str, Any]: ...


class RecordsError(ValueError):
    """The request cannot be answered; `name`: of the parameter."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


def answer(query: Mapping[str, str], key: str, outbound: Sequence[Record], inbound: Sequence[Record]) -> Answer:
    """`key`: of the account that asks."""
    try:
        start, end = _window(query)
        if query.get("account_id") != key:
            return problem(403, "forbidden", "Forbidden", detail="User not authorized to query the requested data")
        if query.get("product") != "MESSAGES":
            raise RecordsError("product", "Could not resolve product name.")
        of = {"outbound": outbound, "inbound": inbound}.get(query.get("direction", ""))
        if of is None:
            raise RecordsError("direction", "Missing required parameter")
        first = int(query.get("cursor", "0"))
    except RecordsError as error:
        wrong = [{"name": error.name, "reason": str(error)}]
        return problem(422, "unprocessable-entity", "Unprocessable entity", invalid_parameters=wrong)
    except ValueError:
        return problem(422, "unprocessable-entity", "Unprocessable entity")
    found = list(_within(of, start, end, query))
    page = found[first : first + PAGE]
    has_body = query.get("include_message") == "true"
    body: dict[str, Any] = {
        "_links": {"self": {"href": f"{PATH}?{urlencode(query)}"}},
        "request_status": "SUCCESS",
        "direction": query["direction"],
        "product": "MESSAGES",
        "items_count": len(page),
        "records": [_as_record(one, key, has_body) for one in page],
    }
    if first + PAGE < len(found):
        # As the provider's: it holds where to go on, and not what was asked.
        body["_links"]["next"] = {"href": f"{PATH}?{urlencode({'cursor': first + PAGE, 'iv': 'iv'})}"}
    return Answer(200, body)


def _window(query: Mapping[str, str]) -> tuple[datetime, datetime]:
    ends = []
    for name in ("date_start", "date_end"):
        try:
            at = datetime.fromisoformat(query[name])
        except (KeyError, ValueError):
            raise RecordsError(name, "Missing required parameter") from None
        if at.tzinfo is None:
            raise RecordsError(name, "It has no offset")
        ends.append(at)
    if not timedelta() <= ends[1] - ends[0] <= LONGEST_WINDOW:
        raise RecordsError("date_end", "Must be no more than 24 hours later than date_start")
    return ends[0], ends[1]


def _within(of: Iterable[Record], start: datetime, end: datetime, query: Mapping[str, str]) -> Iterable[Record]:
    to, sender = query.get("to"), query.get("from")
    for one in of:
        if start <= one.at < end and to in (None, one.to) and sender in (None, one.sender):
            yield one


def _as_record(one: Record, key: str, has_body: bool) -> dict[str, Any]:
    body = {"message_body": one.text} if has_body else {}
    return {"account_id": key, "from": one.sender, "to": one.to, **one.as_record(), **body}
