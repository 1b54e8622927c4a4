"""What the provider reports of a message that it took: what each report makes of it, and what each code means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from portal.core.states import Status

_UUID = re.compile(r"[0-9A-Za-z-]{1,64}")
_REFERENCE = re.compile(r"([0-9]{1,18})\.([0-9a-f]{1,32})")
_DIGITS = re.compile(r"[1-9][0-9]{6,14}")
_CODE = re.compile(r"[0-9]{3,4}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_MOST_PARTS = 1000
_MOST_PRICE = Decimal(1_000_000)
MICROS = 1_000_000  # of a unit of a currency


class Reported(StrEnum):
    """What a receipt says; `rejected` stands for expired and failed, too."""

    SUBMITTED = "submitted"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    UNDELIVERABLE = "undeliverable"


class Unreadable(ValueError):
    """It is no receipt that we know how to read. The text holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """`message_id` and `claim`: of the attempt, as our reference says; None where there is none of ours. `code`:
    empty where there is none. `parts`, `price` (millionths of `currency`): as billed."""

    uuid: str
    to: str  # E.164; empty where it does not say
    status: Reported
    at: datetime
    code: str = ""
    message_id: int | None = None
    claim: str | None = None
    parts: int | None = None
    price: int | None = None
    currency: str | None = None


def parse_event(body: Any) -> tuple[str, str, datetime]:
    """(message_uuid, status, timestamp) of what the provider sent, a receipt or a reply; a reply has no status.

    Raises Unreadable.
    """
    if not isinstance(body, Mapping):
        raise Unreadable("It is no JSON object.")
    uuid, status = body.get("message_uuid"), body.get("status", "")
    if not isinstance(uuid, str) or not _UUID.fullmatch(uuid):
        raise Unreadable("It names no message.")
    if not isinstance(status, str) or not re.fullmatch(r"[a-z_-]{0,30}", status):
        raise Unreadable("Its status is no word.")
    return uuid, status, _instant(body.get("timestamp"))


def parse_receipt(body: Any) -> Receipt:
    """Raises Unreadable. What of it is beside the point, and cannot be read, is left out."""
    uuid, status, at = parse_event(body)
    try:
        reported = Reported(status)
    except ValueError:
        raise Unreadable("Its status is none that we know.") from None
    message_id, claim = parse_reference(body.get("client_ref"))
    error, usage, sms = (_mapping(body, name) for name in ("error", "usage", "sms"))
    code, currency = str(error.get("title", "")), str(usage.get("currency", ""))
    return Receipt(
        uuid,
        _number(body.get("to")),
        reported,
        at,
        code if _CODE.fullmatch(code) else "",
        message_id,
        claim,
        _count(sms.get("count_total")),
        _micros(usage.get("price")),
        currency if _CURRENCY.fullmatch(currency) else None,
    )


def reference(message_id: int, claim: str) -> str:
    """What goes with the message, and comes back with everything that is said of it."""
    return f"{message_id}.{claim}"


def parse_reference(text: Any) -> tuple[int | None, str | None]:
    """(message id, claim), or two Nones where the reference is not one of ours."""
    found = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
    return (int(found[1]), found[2]) if found else (None, None)


def _mapping(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    return value if isinstance(value, Mapping) else {}


def _instant(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
    except ValueError:
        at = None
    if at is None or not 2000 < at.year < 9000:
        raise Unreadable("It has no time.")
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)


def _number(value: Any) -> str:
    return f"+{value}" if isinstance(value, str) and _DIGITS.fullmatch(value) else ""


def _count(value: Any) -> int | None:
    text = str(value)
    count = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    return count if 0 < count <= _MOST_PARTS else None


def _micros(value: Any) -> int | None:
    try:
        price = Decimal(str(value)) if value is not None and len(str(value)) < 30 else None
    except InvalidOperation:
        return None
    if price is None or not price.is_finite() or not 0 <= price <= _MOST_PRICE:
        return None
    return int(price * MICROS)


# --- what it makes of the message ---------------------------------------------------------------------------

# A receipt moves a message up this order, never down: so any order of any receipts ends alike.
_ORDER = (
    Status.SENDING,
    Status.UNKNOWN,
    Status.SENT,
    Status.UNCONFIRMED,
    Status.UNDELIVERED,
    Status.DELIVERED,  # the handset's own word stands over every guess of a carrier
)
_RANK = {status: rank for rank, status in enumerate(_ORDER)}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a message stands, and the code of why it was not delivered; empty where there is none."""

    status: Status
    code: str = ""


def may_be_reported(status: Status) -> bool:
    """Whether the provider may have such a message."""
    return status in _RANK


def apply(before: Standing, receipt: Receipt) -> Standing:
    """What the receipt makes of a message whose attempt it speaks of. One that never went is left as it is."""
    target = _target(receipt)
    if not may_be_reported(before.status) or _RANK[target.status] < _RANK[before.status]:
        return before
    if _RANK[target.status] > _RANK[before.status]:
        return target
    return max(before, target, key=lambda standing: _weight(standing.code))


def _target(receipt: Receipt) -> Standing:
    match receipt.status:
        case Reported.SUBMITTED:
            return Standing(Status.SENT)
        case Reported.DELIVERED:
            return Standing(Status.DELIVERED)
    if cause(receipt.code).fault is Fault.UNSURE:
        return Standing(Status.UNCONFIRMED, receipt.code)
    return Standing(Status.UNDELIVERED, receipt.code)


def _weight(code: str) -> tuple[bool, int, str]:
    """Of two causes the one that asks more of people, whichever came first."""
    return bool(code), -list(Fault).index(cause(code).fault), code


# --- what its codes mean ------------------------------------------------------------------------------------


class Fault(StrEnum):
    """Whose it is; what weighs more comes first."""

    OPT_OUT = "opt-out"
    NUMBER = "number"  # permanent: no text will ever reach it
    ACCOUNT = "account"
    MESSAGE = "message"
    CARRIER = "carrier"
    LATE = "late"
    PASSING = "passing"
    UNSURE = "unsure"
    NOT_SAID = "not-said"


@dataclass(frozen=True, slots=True)
class Cause:
    """`says`: one clause, as after "not delivered:". `do`: a sentence for staff, empty where there is nothing."""

    fault: Fault
    says: str
    do: str = ""


_NEW_NUMBER = "Ask the patient for a new number."
_AGAIN = "It may work later: send it again, or call."
_CALL = "Call the patient."
_TOLD = "Nothing is wrong with the patient's number. Your administrator sees this as an alarm."

_NOT_SAID = Cause(Fault.NOT_SAID, "the phone company gave no cause", _CALL)

# https://developer.vonage.com/en/api-errors/messages
CAUSES: Mapping[str, Cause] = {
    "1000": Cause(Fault.PASSING, "too many texts went at once", _AGAIN),
    "1040": Cause(Fault.MESSAGE, "the provider could not work with the number or the text", "Check the number."),
    "1050": Cause(Fault.NUMBER, "this number is barred from texts", _NEW_NUMBER),
    "1060": Cause(Fault.ACCOUNT, "the provider has barred our account", _TOLD),
    "1070": Cause(Fault.ACCOUNT, "our account with the provider has no money left", _TOLD),
    "1100": Cause(Fault.PASSING, "the provider could not reach the phone company", _AGAIN),
    "1120": Cause(Fault.ACCOUNT, "the phone company does not accept our sender", _TOLD),
    "1160": Cause(Fault.ACCOUNT, "our account with the provider is still on trial", _TOLD),
    "1170": Cause(Fault.NUMBER, "there is no such number", _NEW_NUMBER),
    "1180": Cause(Fault.PASSING, "the phone was off or out of reach", _AGAIN),
    "1190": Cause(Fault.NUMBER, "this number is not in service", _NEW_NUMBER),
    "1200": Cause(Fault.CARRIER, "the number has just changed its phone company", "The patient can ask that one."),
    "1210": Cause(Fault.MESSAGE, "the phone company took it for advertising", "Look at the template's words."),
    "1220": Cause(Fault.PASSING, "the phone was busy", _AGAIN),
    "1230": Cause(Fault.PASSING, "the phone network failed", _AGAIN),
    "1240": Cause(Fault.OPT_OUT, "this number has opted out of our texts", "Only the patient can undo it."),
    "1241": Cause(Fault.PASSING, "too many texts went to this number", _AGAIN),
    "1250": Cause(Fault.CARRIER, "the phone's network takes no texts from us", _CALL),
    "1260": Cause(Fault.CARRIER, "the phone could not be reached", _CALL),
    "1270": Cause(Fault.CARRIER, "the phone company blocks it for the patient's age", _CALL),
    "1280": Cause(Fault.NUMBER, "the phone company blocks texts to this number", _NEW_NUMBER),
    "1290": Cause(Fault.CARRIER, "the patient's phone has no credit to receive it", _CALL),
    "1300": Cause(Fault.CARRIER, "the number is not one of that network", _CALL),
    "1310": Cause(Fault.CARRIER, "the phone cannot receive texts", _CALL),
    "1330": Cause(Fault.CARRIER, "the phone company gave no cause", "Check the number."),
    "1331": Cause(Fault.PASSING, "the phone company could not deliver it for now", _AGAIN),
    "1360": Cause(Fault.LATE, "the phone was out of reach until it was too late to be of use", _CALL),
    "1460": Cause(Fault.ACCOUNT, "our sender has reached its limit for today", _TOLD),
    **{
        f"147{digit}": Cause(Fault.ACCOUNT, "our sender is not registered with the phone companies", _TOLD)
        for digit in range(7)
    },
    "1490": Cause(Fault.UNSURE, "a part of it was lost on the way; the rest may have arrived", _CALL),
}


def cause(code: str) -> Cause:
    """What the code means; for one that is not known, that no cause was given."""
    return CAUSES.get(code, _NOT_SAID)


# --- in the timeline of a message ---------------------------------------------------------------------------

# Beside the statuses. Their detail is the provider's status and code.
ALSO_REPORTED = "also-reported"  # it changes nothing any more
EARLIER_ATTEMPT = "earlier-attempt"  # of a text that was sent again since
NO_RECORD = "no-record"  # asked, and the provider knows nothing of it

_IN_WORDS = {
    Reported.SUBMITTED: "it was handed to the phone company",
    Reported.DELIVERED: "it was delivered",
    Reported.REJECTED: "it was not delivered",
    Reported.UNDELIVERABLE: "it was not delivered",
}


def in_words(event: str, detail: str) -> str:
    """What an event that a receipt left says; empty for another's. `detail`: as below."""
    status, _, code = detail.partition(";")
    why = f": {cause(code).says} (code {code})" if _CODE.fullmatch(code) else ""
    said = next((words for reported, words in _IN_WORDS.items() if reported == status), "something else")
    match event:
        case Status.DELIVERED:
            return "Delivered: it is on the patient's phone"
        case Status.UNDELIVERED:
            return f"Not delivered{why or ': the phone company gave no cause'}"
        case Status.UNCONFIRMED if code:
            return f"Unconfirmed{why}"
        case "also-reported":
            return f"The provider also reported that {said}{why}"
        case "earlier-attempt":
            return f"The provider reported of the first try that {said}{why}"
        case "no-record":
            return "Asked: the provider has no record of it"
    return ""


def detail(receipt: Receipt) -> str:
    """`delivered;`, `undeliverable;1170`: for the event."""
    return f"{receipt.status};{receipt.code}"
