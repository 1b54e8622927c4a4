"""A message's life: its states and the changes between them that are legal."""

from enum import StrEnum


class Status(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"  # the provider has it
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    UNCONFIRMED = "unconfirmed"  # no receipt within 72 hours
    NOT_SENT = "not-sent"  # a decision
    FAILED = "failed"  # it was tried
    CANCELLED = "cancelled"  # withdrawn while queued
    EXPIRED = "expired"  # not sent by its deadline
    UNKNOWN = "unknown"  # the provider was asked, and may have taken it
    RECEIVED = "received"  # a reply


class Direction(StrEnum):
    OUTBOUND = "outbound"
    INBOUND = "inbound"


class Kind(StrEnum):
    REMINDER = "reminder"
    MANUAL = "manual"
    REPLY = "reply"
    AUTO_REPLY = "auto-reply"
    TEST = "test"  # of staff, to themselves


# A later pass of the day takes these up anew.
RETRIED_BY_PASS = frozenset({Status.NOT_SENT, Status.FAILED, Status.CANCELLED})

_TAKEN = frozenset({Status.SENT, Status.DELIVERED, Status.UNDELIVERED, Status.UNCONFIRMED})
# The provider has it, or may have it.
HANDED_OVER = _TAKEN | {Status.SENDING, Status.UNKNOWN}
_STOPPED = frozenset({Status.NOT_SENT, Status.FAILED, Status.CANCELLED, Status.EXPIRED})

_CHANGES: dict[Status, frozenset[Status]] = {
    # Where staff had queued what was in doubt: in doubt again, where it was stopped; or it turns out that it came.
    Status.QUEUED: _STOPPED | {Status.SENDING, Status.UNKNOWN, Status.DELIVERED},
    # `queued` again only where the provider was never reached, or said not now.
    # A receipt can come before our own record of the answer.
    Status.SENDING: _TAKEN | {Status.QUEUED, Status.FAILED, Status.UNKNOWN},
    # Only evidence settles doubt; staff may send again.
    Status.UNKNOWN: _TAKEN | {Status.FAILED, Status.QUEUED},
    Status.SENT: _TAKEN - {Status.SENT},
    Status.UNCONFIRMED: frozenset({Status.DELIVERED, Status.UNDELIVERED}),
    Status.DELIVERED: frozenset(),
    # The handset's own word, which may come after a carrier's guess: what two receipts make of a message must not
    # depend on which came first.
    Status.UNDELIVERED: frozenset({Status.DELIVERED}),
    # Decided anew by a later pass, or sent by staff in the same row.
    Status.NOT_SENT: _STOPPED | {Status.QUEUED},
    Status.FAILED: _STOPPED | {Status.QUEUED},
    Status.CANCELLED: _STOPPED | {Status.QUEUED},
    Status.EXPIRED: frozenset({Status.QUEUED, Status.CANCELLED}),
    Status.RECEIVED: frozenset(),
}


def may_change(old: Status, new: Status) -> bool:
    return new in _CHANGES[old]


def states_before(new: Status) -> frozenset[Status]:
    """The states from which a message may come to `new`: what a conditional update names."""
    return frozenset(old for old, after in _CHANGES.items() if new in after)
