"""Reading the communications log in steps of a few rows by their ids, whatever the table's size.

Each page is bounded: an index hands over the newest messages that fit what is most selective, and no more than
`REACH` of them are looked at for the rest. Where that was not enough for a page, the reader goes on from there.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import Subquery

from portal.core.reasons import Reason
from portal.core.search import Query
from portal.core.states import Direction, Kind, Status
from portal.store import search
from portal.store.appointments import Appointment
from portal.store.broadcasts import broadcast_of, texts_of
from portal.store.messages import BUT_REMINDERS, Message, has_reason, message_at
from portal.store.patients import Patient
from portal.store.practices import Business
from portal.store.search import SENT_WITHIN, SearchVolume

_Rows: TypeAlias = Select[*tuple[Any, ...]]
_Condition: TypeAlias = ColumnElement[bool]

REACH = 2_000  # messages


@dataclass(frozen=True, slots=True)
class Entry:
    """A message, and whom it is about. The two ids are the export's; what it is not about is None. `broadcast_id`: of
    the message to many that it is part of, where one entry was asked for."""

    message: Message
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
    broadcast_id: int | None = None

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
        return " ".join(part for part in (self.first_name, self.last_name) if part)


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

    entries: list[Entry]
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
    named: list[Entry] = []
    others = Message.id > 0
    if query is not None:
        first, rest = [], [*first, *rest]
        if query.id is not None:
            others = Message.id != query.id
            if before is None:
                named = _entries(session, _entry().where(Message.id == query.id, *rest))
        if not query.terms:
            return Found(named, None)
    reach = REACH if rest else most + 2
    if query is not None:
        at_hand = search.find(session, practice_id, query, reach, before, wanted.since, wanted.until)
    else:
        newest = select(Message.id).where(*first, *_range(session, wanted, before))
        at_hand = newest.order_by(Message.id.desc()).limit(reach).subquery("at_hand")
    in_hand = _is_among(session, at_hand)
    ids = select(Message.id).where(in_hand, others, *rest).order_by(Message.id.desc()).limit(most + 1).subquery("ids")
    entries = _entries(session, _entry().where(_is_among(session, ids)).order_by(Message.id.desc()))
    if len(entries) > most:
        return Found(named + entries[:most], entries[most - 1].message.id)
    if rest:
        seen, oldest = session.execute(select(func.count(), func.min(Message.id)).where(in_hand)).one()
        if seen == reach:
            return Found(named + entries, oldest, has_reached_limit=True)
    return Found(named + entries, None)


def list_after(session: Session, wanted: Filter, most: int, after: int) -> list[Entry]:
    """The oldest first, of those with an id above `after`."""
    first, rest = _conditions(wanted)
    statement = _entry().where(*first, *rest, *_range(session, wanted, None), Message.id > after)
    return _entries(session, statement.order_by(Message.id).limit(most))


def list_by_id(session: Session, message_ids: Collection[int]) -> list[Entry]:
    """The newest first."""
    return _entries(session, _entry().where(Message.id.in_(message_ids)).order_by(Message.id.desc()))


def find_entry(session: Session, message_id: int) -> Entry | None:
    one = _entry().add_columns(broadcast_of).where(Message.id == message_id)
    return next(iter(_entries(session, one)), None)


def _entry() -> _Rows:
    return (
        select(
            Message,
            Appointment.external_id,
            Appointment.revision,
            Appointment.starts_wall,
            Appointment.starts_at,
            Appointment.cancelled_at,
            Patient.external_id,
            Patient.first_name,
            Patient.last_name,
            Business.name,
            Business.timezone,
        )
        .select_from(Message)
        .join(Appointment, Appointment.id == Message.appointment_id, isouter=True)
        .join(Patient, Patient.id == Message.patient_id, isouter=True)
        .join(Business, Business.id == Message.business_id, isouter=True)
    )


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


def _is_among(session: Session, ids: Subquery) -> _Condition:
    """Each message is looked up by its id. A join, or on PostgreSQL a plain IN, would leave it to the planner to read
    the practice's whole log instead and look each message up among the few ids."""
    if session.get_bind().dialect.name == "postgresql":
        return Message.id == func.any(func.array(select(ids.c.id).scalar_subquery()))
    return Message.id.in_(select(ids.c.id))


def _range(session: Session, wanted: Filter, before: int | None) -> list[_Condition]:
    """The ids between which all that is wanted lies."""
    conditions: list[_Condition] = [] if before is None else [Message.id < before]
    if wanted.since is None and wanted.until is None:
        return conditions
    between = select(func.min(SearchVolume.first_id), func.max(SearchVolume.first_id))
    if wanted.since is not None:
        between = between.where(SearchVolume.until >= wanted.since - SENT_WITHIN)
    if wanted.until is not None:
        between = between.where(SearchVolume.since < wanted.until)
    lowest, last = session.execute(between).one()
    if lowest is None:
        return [*conditions, Message.id < 0]
    following = session.scalar(select(func.min(SearchVolume.first_id)).where(SearchVolume.first_id > last))
    if following is not None:
        conditions.append(Message.id < following)
    return [*conditions, Message.id >= lowest]


def _entries(session: Session, statement: _Rows) -> list[Entry]:
    return [Entry(*row) for row in session.execute(statement)]
