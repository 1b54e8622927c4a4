"""The plan: what the simulated provider answers to which messages, where it is not to take them."""

from dataclasses import dataclass, fields
from typing import Any

from portal.sms.simulator.checks import Answer, Fault, problem


class PlanError(ValueError):
    """A plan that cannot be followed; the text says what is wrong with it."""


STATUSES = ("submitted", "delivered", "rejected", "undeliverable")


@dataclass(frozen=True)
class Step:
    """One receipt. `after`: in so many seconds."""

    status: str
    code: str | None = None
    after: float = 0.0

    @classmethod
    def parse(cls, item: Any) -> "Step":
        step = cls(**item)
        if step.status not in STATUSES or step.after < 0:
            raise ValueError
        return cls(step.status, None if step.code is None else str(step.code), float(step.after))


@dataclass
class Rule:
    """What to answer to the messages that it matches. The first rule that matches is followed.

    `receipts`: those that are sent, in that order (twice, turned round, late, or none at all); None: as the simulator
    does by itself. `ends`, `ends_code`: what its records say became of the message; None: as the last receipt that
    is final. `reply`: what whoever has the phone writes back; `reply_from`: from which other number.
    """

    to: str | None = None  # with or without its +; None: any
    to_ends: str | None = None  # the number's last digits
    times: int | None = None  # how often; None: always
    status: int = 202
    code: str | None = None  # the error code
    title: str | None = None
    retry_after: float | None = None  # seconds
    fault: Fault | None = None
    seconds: float = 60.0  # how long a hang lasts
    taken: bool = False  # the message is taken, whatever the answer says
    receipts: tuple[Step, ...] | None = None
    ends: str | None = None
    ends_code: str | None = None
    reply: str | None = None
    reply_from: str | None = None
    reply_after: float = 0.0  # seconds

    @classmethod
    def parse(cls, item: Any) -> "Rule":
        if not isinstance(item, dict):
            raise PlanError("A rule is a JSON object.")
        for name in item.keys() - {one.name for one in fields(cls)}:
            raise PlanError(f"A rule has no {name!r}.")
        rule = cls(**item)
        try:
            rule.fault = None if rule.fault is None else Fault(rule.fault)
            rule.to = None if rule.to is None else rule.to.removeprefix("+")
            rule.reply_from = None if rule.reply_from is None else rule.reply_from.removeprefix("+")
            rule.code = None if rule.code is None else str(rule.code)
            if rule.receipts is not None:
                rule.receipts = tuple(Step.parse(step) for step in rule.receipts)
            if rule.ends not in (None, *STATUSES):
                raise ValueError
            counts = (rule.times, rule.retry_after, rule.seconds, rule.reply_after)
            is_sound = 200 <= rule.status <= 599 and all(one is None or one >= 0 for one in counts)
        except (AttributeError, TypeError, ValueError):
            is_sound = False
        if not is_sound:
            raise PlanError("A rule has a value of the wrong kind.")
        return rule

    def matches(self, to: str) -> bool:
        return self.times != 0 and self.to in (None, to) and to.endswith(self.to_ends or "")

    @property
    def takes(self) -> bool:
        return self.taken or (self.fault is None and 200 <= self.status < 300)

    def answer(self, uuid: str) -> Answer:
        if self.fault:
            return Answer(202, {}, fault=self.fault, hang=self.seconds)
        if 200 <= self.status < 300:
            return Answer(self.status, {"message_uuid": uuid})
        headers = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        return problem(self.status, self.code or f"http-{self.status}", self.title or "Refused by the plan", headers)
