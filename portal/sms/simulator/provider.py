"""What the simulated provider knows and decides. HTTP is in server.py."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any
from uuid import uuid4

from portal.core.text import count_parts
from portal.sms.simulator import records
from portal.sms.simulator.checks import THROTTLED, UNAUTHORIZED, Answer, account_of, check_message, problem
from portal.sms.simulator.errands import Errands
from portal.sms.simulator.plan import STATUSES, Rule, Step
from portal.sms.simulator.receipts import ReceiptError, Receipts

# Not a secret: what the simulator signs with unless it is told another.
SIGNATURE_SECRET = "the-signature-secret-of-the-simulator"  # noqa: S105
PRICE = 0.05  # euros a part


def _wall_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Options:
    latency_ms: float = 0.0
    rate_limit: int | None = None  # messages within any one second; more are throttled. Vonage's is 30
    receipts: bool = False  # every message taken is reported as delivered at once
    webhook_url: str | None = None  # for receipts of messages that name none
    inbound_url: str | None = None  # for replies; None: beside where the message's receipts go
    signature_secret: str = SIGNATURE_SECRET
    keep: int = 200_000  # messages; the oldest are forgotten first
    now: Callable[[], datetime] = _wall_clock


@dataclass(frozen=True, slots=True)
class Taken:
    number: int  # 1, 2, … in the order in which they were taken
    uuid: str
    at: datetime
    to: str  # digits only, as it came
    sender: str
    text: str
    client_ref: str | None
    ttl: int | None
    webhook_url: str | None
    account: Mapping[str, str]
    ending: "Ending"

    def as_record(self) -> dict[str, Any]:
        return {
            "message_id": self.uuid,
            "client_ref": self.client_ref,
            "direction": "outbound",
            "date_received": stamp(self.at),
            "date_finalized": stamp(self.at) if self.ending.is_final else None,
            "status": self.ending.status,
            "error_code": self.ending.code or "0",
            "error_code_description": "",
            "currency": "EUR",
            "total_price": price(self.text),
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "message_uuid": self.uuid,
            "at": self.at.isoformat(),
            "to": self.to,
            "from": self.sender,
            "text": self.text,
            "client_ref": self.client_ref,
            "ttl": self.ttl,
            "status": self.ending.status,
            "code": self.ending.code,
        }


@dataclass(slots=True)
class Ending:
    """What became of a message, as far as the provider knows."""

    status: str = "submitted"
    code: str | None = None

    @property
    def is_final(self) -> bool:
        return self.status != "submitted"

    def learn(self, status: str, code: str | None) -> None:
        if status == "delivered" or (self.status != "delivered" and status != "submitted"):
            self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Inbound:
    """A text that somebody wrote to one of the account's numbers."""

    uuid: str
    at: datetime
    sender: str  # digits only
    to: str
    text: str

    def as_record(self) -> dict[str, Any]:
        return {
            "message_id": self.uuid,
            "direction": "inbound",
            "date_received": stamp(self.at),
            "currency": "EUR",
            "total_price": "0.0000",
        }

    def as_webhook(self) -> dict[str, Any]:
        return {
            "message_uuid": self.uuid,
            "to": self.to,
            "from": self.sender,
            "text": self.text,
            "timestamp": stamp(self.at),
            "channel": "sms",
            "message_type": "text",
            "usage": {"currency": "EUR", "price": "0.0000"},
            "sms": {"num_messages": str(count_parts(self.text)), "keyword": self.text.split(" ")[0].upper()[:20]},
        }


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def price(text: str) -> str:
    return f"{PRICE * count_parts(text):.4f}"


class Window:
    """How many things happened within the last second."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self.most = 0

    def size(self, now: float) -> int:
        while self._times and now - self._times[0] >= 1.0:
            self._times.popleft()
        return len(self._times)

    def add(self, now: float) -> None:
        self._times.append(now)
        self.most = max(self.most, self.size(now))


class Provider:
    """Safe to share between threads."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._last_number = 0
        self._receipts = Receipts(options.signature_secret)
        self.errands = Errands()
        self.clear()

    @property
    def messages(self) -> list[Taken]:
        """What was taken, in order."""
        return self.messages_since(0)

    def messages_since(self, number: int) -> list[Taken]:
        """What was taken after the message with this number."""
        with self._lock:
            first = self._taken[0].number if self._taken else 0
            return list(islice(self._taken, max(0, number - first + 1), None))

    @property
    def counts(self) -> dict[str, Any]:
        """Of POSTs to /v1/messages: `requests`, `accepted`, `statuses` (by status code, or by fault
        where none was given), `most_in_one_second`."""
        with self._lock:
            return {
                "requests": sum(self._statuses.values()),
                "accepted": self._accepted,
                "statuses": dict(self._statuses),
                "most_in_one_second": self._requests.most,
            }

    @property
    def outcomes(self) -> dict[str, Any]:
        """Of the messages taken, how they `ended`, by the status of their receipts; how many `replies` there were."""
        with self._lock:
            ended = Counter(one.ending.status for one in self._taken)
            return {"ended": dict(ended), "replies": len(self._inbound)}

    def clear(self) -> None:
        """Forget what was taken and counted. The plan stays, and so does the numbering."""
        with self._lock:
            self._taken: deque[Taken] = deque(maxlen=self.options.keep)
            self._inbound: deque[Inbound] = deque(maxlen=self.options.keep)
            self._accepted = 0
            self._statuses: Counter[str] = Counter()
            self._requests = Window()
            self._admitted = Window()

    def plan(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Follow these rules from now on, in place of those before. Raises PlanError."""
        parsed = [Rule.parse(rule) for rule in rules]
        with self._lock:
            self._rules = parsed

    def take(self, authorization: str, content_type: str, raw: bytes) -> Answer:
        """Answer one POST /v1/messages, from its headers and body."""
        account = account_of(authorization)
        message = check_message(content_type, raw) if account else UNAUTHORIZED
        with self._lock:
            answer = self._decide(account or {}, message)
            self._statuses[answer.fault or str(answer.status)] += 1
        return answer

    def receipt(self, uuid: str, status: str, code: str | None = None) -> int:
        """Send the status webhook of a message that was taken.

        `status` and `code` as Vonage has them, e.g. "undeliverable" and "1170". Returns the status
        code that the webhook answered. Raises ReceiptError.
        """
        if status not in STATUSES:
            raise ReceiptError(f"The status of a receipt is one of {', '.join(STATUSES)}.")
        taken = next((one for one in self.messages if one.uuid == uuid), None)
        if taken is None:
            raise ReceiptError("No such message was taken.")
        taken.ending.learn(status, code)
        return self._send_receipt(taken, status, code)

    def reply(self, sender: str, to: str, text: str) -> int:
        """Somebody writes from a number to one of ours; returns the status code that the webhook answered, 0 where
        there is none to tell. Raises ReceiptError."""
        inbound = Inbound(str(uuid4()), self.options.now(), sender.removeprefix("+"), to.removeprefix("+"), text)
        with self._lock:
            self._inbound.append(inbound)
            newest = self._taken[-1] if self._taken else None
        url = self.options.inbound_url or _beside(newest.webhook_url if newest else self.options.webhook_url)
        if url is None:
            return 0
        return self._receipts.send(url, inbound.as_webhook(), newest.account if newest else {})

    def records(self, authorization: str, query: Mapping[str, str]) -> Answer:
        """Answer one GET of the Reports API."""
        account = account_of(authorization)
        if account is None or "api_key" not in account:
            return UNAUTHORIZED
        with self._lock:
            taken, inbound = list(self._taken), list(self._inbound)
        return records.answer(query, account["api_key"], taken, inbound)

    def _decide(self, account: Mapping[str, str], message: dict[str, Any] | Answer) -> Answer:
        now = time.monotonic()
        self._requests.add(now)
        if isinstance(message, Answer):
            return message
        limit = self.options.rate_limit
        if limit is not None and self._admitted.size(now) >= limit:
            return THROTTLED
        self._admitted.add(now)
        rule = next((rule for rule in self._rules if rule.matches(message["to"])), Rule())
        if rule.times is not None:
            rule.times -= 1
        uuid = str(uuid4())
        if rule.takes:
            self._keep(uuid, message, account, rule)
        return rule.answer(uuid)

    def _keep(self, uuid: str, message: dict[str, Any], account: Mapping[str, str], rule: Rule) -> None:
        self._last_number += 1
        self._accepted += 1
        taken = Taken(
            number=self._last_number,
            uuid=uuid,
            at=self.options.now(),
            to=message["to"],
            sender=message["from"],
            text=message["text"],
            client_ref=message.get("client_ref"),
            ttl=message.get("ttl"),
            webhook_url=message.get("webhook_url") or self.options.webhook_url,
            account=account,
            ending=Ending(),
        )
        self._taken.append(taken)
        steps = rule.receipts
        if steps is None:
            steps = (Step("delivered"),) if self.options.receipts else ()
        for step in steps:
            taken.ending.learn(step.status, step.code)
            self.errands.put(partial(self._report, taken, step), step.after)
        if rule.ends is not None:
            taken.ending.status, taken.ending.code = rule.ends, rule.ends_code
        if rule.reply is not None:
            self.errands.put(partial(self._answer, taken, rule.reply_from or taken.to, rule.reply), rule.reply_after)

    def _report(self, taken: Taken, step: Step) -> None:
        with suppress(ReceiptError):  # the portal may be down
            self._send_receipt(taken, step.status, step.code)

    def _answer(self, taken: Taken, number: str, text: str) -> None:
        with suppress(ReceiptError):
            self.reply(number, taken.sender, text)

    def _send_receipt(self, taken: Taken, status: str, code: str | None = None) -> int:
        parts = count_parts(taken.text)
        body: dict[str, Any] = {
            "message_uuid": taken.uuid,
            "to": taken.to,
            "from": taken.sender,
            "timestamp": stamp(self.options.now()),
            "status": status,
            "channel": "sms",
            "usage": {"currency": "EUR", "price": price(taken.text)},
            "sms": {"count_total": str(parts)},
        }
        if taken.client_ref is not None:
            body["client_ref"] = taken.client_ref
        if code is not None:
            # In a receipt the title holds the code.
            body["error"] = {**problem(422, code, code).body, "detail": "As asked for."}
        return self._receipts.send(taken.webhook_url, body, taken.account)


def _beside(url: str | None) -> str | None:
    return None if url is None or not url.endswith("/status") else f"{url.removesuffix('/status')}/inbound"
