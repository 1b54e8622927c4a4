"""Reading the communications log in steps of a few rows by their ids, whatever the table's size.

Each page is bounded: an index hands over the newest messages that fit what is most selective, and no more than
`REACH` of them are looked at for the rest. Where that was not enough for a page, the reader goes on from there.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, FromClause, Select, func, select, text
from sqlalchemy.orm import Session

from portal.core.phrases import full_name
from portal.core.reasons import Reason
from portal.core.search import Query
from portal.core.states import Direction, Kind, Status
from portal.store import search
from portal.store.appointments import Appointment
from portal.store.broadcasts import broadcast_of, texts_of
from portal.store.messages import BUT_REMINDERS, Message, has_reason, message_at
from portal.store.patients import Patient
from portal.store.practices import OWN_OR_FIRST_ZONE, Business
from portal.store.search import LARGEST_ID, SENT_WITHIN, SearchVolume

_Rows: TypeAlias = Select[*tuple[Any, ...]]
_Condition: TypeAlias = ColumnElement[bool]

REACH = 2_000  # messages


class Told(NamedTuple):
    """What a list says of a message: columns, not an object, which takes longer to make of a row than the row to
    read."""

    id: int
    direction: Direction
    kind: Kind
    revision: int | None
    status: Status
    reasons: tuple[Reason, ...]
    to: str | None
    body: str | None
    segments: int | None
    provider_id: str | None
    created_at: datetime
    pass_at: datetime | None
    sent_at: datetime | None


AMessage = TypeVar("AMessage", Message, Told)


@dataclass(frozen=True, slots=True)
class Logged(Generic[AMessage]):
    """A message, and whom it is about. The two ids are the export's; what it is not about is None."""

    message: AMessage
    appointment: str | None
    appointment_revision: int | None
    starts_wall: datetime | None  # as it is now
    starts_at: datetime | None
    cancelled_at: datetime | None
    patient: str | None
    first_name: str | None
    last_name: str | None
    business: str | None
    timezone: str | None

    @property
    def at(self) -> datetime:
        """When it went, was decided or came: see `message_at`."""
        return self.message.sent_at or self.message.pass_at or self.message.created_at

    @property
    def is_of_former_time(self) -> bool:
        """The appointment was moved since."""
        return self.message.revision != self.appointment_revision

    @property
    def full_name(self) -> str:
        return full_name(self.first_name, self.last_name)


@dataclass(frozen=True, slots=True)
class Entry(Logged[Message]):
    """`broadcast_id`: of the message to many that it is part of, where one entry was asked for."""

    broadcast_id: int | None = None


@dataclass(frozen=True, slots=True)
class LogLine(Logged[Told]):
    """As a list has it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages. `since` and `until` (not included) are instants; the ids are those of rows."""

    status: Status | None = None
    reason: Reason | None = None
    business_id: int | None = None
    kind: Kind | None = None
    direction: Direction | None = None
    since: datetime | None = None
    until: datetime | None = None
    appointment_id: int | None = None
    patient_id: int | None = None
    broadcast_id: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The newest first. `older`: the id to go on below, None at the end. `has_reached_limit`: REACH messages were
    looked at before there were enough."""

    entries: list[LogLine]
    older: int | None
    has_reached_limit: bool = False


def list_newest(
    session: Session,
    practice_id: str,
    wanted: Filter,
    most: int,
    before: int | None = None,
    query: Query | None = None,
) -> Found:
    """The newest that are wanted, of those with an id below `before`. A message whose own number is asked for comes
    first of all."""
    first, rest = _conditions(wanted)
    named: list[LogLine] = []
    others = Message.id > 0
    if query is not None:
        first, rest = [], [*first, *rest]
        if query.id is not None:
            others = Message.id != query.id
            if before is None:
                named = _lines(session.execute(_LINES.where(Message.id == query.id, *rest)))
        if not query.terms:
            return Found(named, None)
    reach = REACH if rest else most + 2
    if query is not None:
        at_hand = search.find(session, practice_id, query, reach, before, wanted.since, wanted.until)
    else:
        newest = select(Message.id).where(*first, *_range(wanted, before))
        at_hand = newest.order_by(Message.id.desc()).limit(reach).cte("at_hand")
    in_hand = _is_among(session, at_hand)
    ids = select(Message.id).where(in_hand, others, *rest).order_by(Message.id.desc()).limit(most + 1).subquery("ids")
    if not rest:
        lines = _lines(session.execute(_LINES.where(_is_among(session, ids)).order_by(Message.id.desc())))
        return _page(named, lines, most)
    # How far it came is told beside each line, or on its own: what is at hand is looked for once.
    seen = select(func.count().label("count"), func.min(at_hand.c.id).label("oldest")).subquery("seen")
    beside = select(*_TOLD, *_ABOUT, seen.c.count, seen.c.oldest).select_from(seen)
    statement = _about(beside.join(Message, _is_among(session, ids), isouter=True)).order_by(Message.id.desc())
    rows = session.execute(statement).all()
    count, oldest = rows[0][-2:]
    lines = _lines(row[:-2] for row in rows if row[0] is not None)
    return _page(named, lines, most, oldest if count == reach else None)


def _page(named: list[LogLine], lines: list[LogLine], most: int, oldest: int | None = None) -> Found:
    """`oldest`: that was looked at, where there may be more that is wanted below."""
    if len(lines) > most:
        return Found(named + lines[:most], lines[most - 1].message.id)
    return Found(named + lines, oldest, has_reached_limit=oldest is not None)


def list_after(session: Session, wanted: Filter, most: int, after: int) -> list[Entry]:
    """The oldest first, of those with an id above `after`."""
    first, rest = _conditions(wanted)
    statement = _ENTRIES.where(*first, *rest, *_range(wanted, None), Message.id > after)
    return _entries(session, statement.order_by(Message.id).limit(most))


def list_by_id(session: Session, message_ids: Collection[int]) -> list[Entry]:
    """The newest first."""
    return _entries(session, _ENTRIES.where(Message.id.in_(message_ids)).order_by(Message.id.desc()))


def find_entry(session: Session, message_id: int) -> Entry | None:
    one = _ENTRIES.add_columns(broadcast_of).where(Message.id == message_id)
    return next(iter(_entries(session, one)), None)


_TOLD = tuple(getattr(Message, name) for name in Told._fields)
_ABOUT = (
    Appointment.external_id,
    Appointment.revision,
    Appointment.starts_wall,
    Appointment.starts_at,
    Appointment.cancelled_at,
    Patient.external_id,
    Patient.first_name,
    Patient.last_name,
    Business.name,
    OWN_OR_FIRST_ZONE,
)


def _about(messages: _Rows) -> _Rows:
    return (
        messages.join(Appointment, Appointment.id == Message.appointment_id, isouter=True)
        .join(Patient, Patient.id == Message.patient_id, isouter=True)
        .join(Business, Business.id == Message.business_id, isouter=True)
    )


_ENTRIES = _about(select(Message, *_ABOUT).select_from(Message))
_LINES = _about(select(*_TOLD, *_ABOUT).select_from(Message))


def _entries(session: Session, statement: _Rows) -> list[Entry]:
    return [Entry(*row) for row in session.execute(statement)]


def _lines(rows: Iterable[Sequence[Any]]) -> list[LogLine]:
    told = len(_TOLD)
    return [LogLine(Told._make(row[:told]), *row[told:]) for row in rows]


def _conditions(wanted: Filter) -> tuple[list[_Condition], list[_Condition]]:
    """What one index answers with the newest first, the most selective there is; and the rest."""
    each: list[list[_Condition]] = []
    if wanted.appointment_id is not None:
        each.append([Message.appointment_id == wanted.appointment_id])
    if wanted.broadcast_id is not None:
        each.append([Message.id.in_(texts_of(wanted.broadcast_id))])
    if wanted.patient_id is not None:
        each.append([Message.patient_id == wanted.patient_id])
    if wanted.reason is not None:
        each.append([text(f"messages.{has_reason(wanted.reason)}")])  # type: ignore[list-item]
    if wanted.kind is not None and wanted.kind is not Kind.REMINDER:
        each.append([Message.kind == wanted.kind, text(f"messages.{BUT_REMINDERS}")])  # type: ignore[list-item]
    if wanted.direction is Direction.INBOUND:  # whatever comes in is a reply
        each.append([Message.kind == Kind.REPLY, text(f"messages.{BUT_REMINDERS}")])  # type: ignore[list-item]
    if wanted.status is not None:
        each.append([Message.status == wanted.status])
    if wanted.business_id is not None:
        each.append([Message.business_id == wanted.business_id])
    first = each[0] if each else []
    rest = [condition for conditions in each[1:] for condition in conditions]
    if wanted.kind is Kind.REMINDER:
        rest.append(Message.kind == Kind.REMINDER)
    if wanted.direction is Direction.OUTBOUND:
        rest.append(Message.direction == Direction.OUTBOUND)
    if wanted.since is not None:
        rest.append(message_at >= wanted.since)
    if wanted.until is not None:
        rest.append(message_at < wanted.until)
    return first, rest


def _is_among(session: Session, ids: FromClause) -> _Condition:
    """Each message is looked up by its id. A join, or on PostgreSQL a plain IN, would leave it to the planner to read
    the practice's whole log instead and look each message up among the few ids."""
    if session.get_bind().dialect.name == "postgresql":
        return Message.id == func.any(func.array(select(ids.c.id).scalar_subquery()))
    return Message.id.in_(select(ids.c.id))


def _range(wanted: Filter, before: int | None) -> list[_Condition]:
    """The ids between which all that is wanted lies."""
    conditions: list[_Condition] = [] if before is None else [Message.id < before]
    if wanted.since is None and wanted.until is None:
        return conditions
    within: list[_Condition] = []
    if wanted.since is not None:
        within.append(SearchVolume.until >= wanted.since - SENT_WITHIN)
    if wanted.until is not None:
        within.append(SearchVolume.since < wanted.until)
    lowest = select(func.min(SearchVolume.first_id)).where(*within).scalar_subquery()
    last = select(func.max(SearchVolume.first_id)).where(*within).scalar_subquery()
    following = select(func.min(SearchVolume.first_id)).where(SearchVolume.first_id > last).scalar_subquery()
    return [*conditions, Message.id >= lowest, Message.id < func.coalesce(following, LARGEST_ID)]
