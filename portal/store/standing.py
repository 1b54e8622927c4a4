"""Messages as far as a report of the provider may change them, and what tells whose it is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from portal.core.states import Direction, Status
from portal.store.messages import Message


@dataclass(frozen=True, slots=True)
class Whose:
    id: int
    practice_id: str


@dataclass(frozen=True, slots=True)
class Practices:
    """By our own id of a message, and by the provider's."""

    by_id: Mapping[int, Whose]
    by_uuid: Mapping[str, Whose]


def find_practices(session: Session, message_ids: Collection[int], uuids: Collection[str]) -> Practices:
    """Of the whole host: whose messages these are."""
    by_id = select(Message.id, Message.practice_id).where(Message.id.in_(message_ids))
    by_uuid = select(Message.provider_id, Message.id, Message.practice_id).where(
        Message.provider_id.in_(uuids), Message.direction == Direction.OUTBOUND
    )
    return Practices(
        {id_: Whose(id_, practice_id) for id_, practice_id in session.execute(by_id)},
        {uuid: Whose(id_, practice_id) for uuid, id_, practice_id in session.execute(by_uuid) if uuid},
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """A message as far as a report of the provider may change it, and what tells whether it is about it.
    `was_in_doubt`: as in the message."""

    id: int
    status: Status
    code: str | None
    claim: str | None
    was_in_doubt: bool
    to: str | None
    created_at: datetime
    provider_id: str | None
    sent_at: datetime | None
    billed_parts: int | None
    billed_price: int | None
    billed_currency: str | None

    def with_bill(self, parts: int | None, price: int | None, currency: str | None) -> "Standing":
        """The highest that was said, in whatever order it came."""
        return replace(
            self,
            billed_parts=max((n for n in (self.billed_parts, parts) if n is not None), default=None),
            billed_price=max((n for n in (self.billed_price, price) if n is not None), default=None),
            billed_currency=max((word for word in (self.billed_currency, currency) if word), default=None),
        )


def list_standing(session: Session, message_ids: Collection[int]) -> dict[int, Standing]:
    """By id."""
    columns: tuple[Any, ...] = (
        Message.id,
        Message.status,
        Message.provider_code,
        Message.claim,
        Message.was_in_doubt,
        Message.to,
        Message.created_at,
        Message.provider_id,
        Message.sent_at,
        Message.billed_parts,
        Message.billed_price,
        Message.billed_currency,
    )
    return {row[0]: Standing(*row) for row in session.execute(select(*columns).where(Message.id.in_(message_ids)))}


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that the provider's records may tell of. `since`: when it went, or may have gone. `claim`: of the
    attempt; None where staff have queued it again since. `first`: no attempt of it that may have gone was before."""

    practice_id: str
    id: int
    status: Status
    claim: str | None
    provider_id: str | None
    to: str | None
    since: datetime
    asked_at: datetime | None
    first: datetime


def list_unknown(session: Session, first: datetime, last: datetime, most: int) -> list[Asked]:
    """Of the whole host: in doubt, and claimed between these instants."""
    return _list_asked(session, Status.UNKNOWN, Message.claimed_at, first, last, most)


def list_queued_again(session: Session, first: datetime, last: datetime, most: int) -> list[Asked]:
    """Of the whole host: in doubt since an attempt between these instants, and queued again by staff."""
    return _list_asked(session, Status.QUEUED, Message.claimed_at, first, last, most)


def list_without_receipt(session: Session, first: datetime, last: datetime, most: int) -> list[Asked]:
    """Of the whole host: sent between these instants, and nothing final was said of them."""
    return _list_asked(session, Status.SENT, Message.sent_at, first, last, most)


def _list_asked(
    session: Session, status: Status, column: Any, first: datetime, last: datetime, most: int
) -> list[Asked]:
    rows = session.execute(
        select(
            Message.practice_id,
            Message.id,
            Message.status,
            Message.claim,
            Message.provider_id,
            Message.to,
            column,
            Message.asked_at,
            case((Message.was_in_doubt, Message.created_at), else_=column),
        )
        .where(Message.status == status, column.between(first, last))
        .order_by(column)
        .limit(most)
    )
    return [Asked(*row) for row in rows]
