"""What tells whether the host does its work: a few rows of each practice, all by an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.core.reminders import Sending
from portal.core.states import Status
from portal.store.host import ACCOUNT_REFUSED, HostState
from portal.store.imports import ImportRun
from portal.store.messages import Message
from portal.store.passes import MissedDay, Pass
from portal.store.practices import Business, Practice


@dataclass(frozen=True, slots=True)
class Figures:
    """`due`: messages that are queued and due, `due_since` the first of them. `last_pass_at`: when a pass last
    ran, by the machine's clock. `account_refused`: see `store/host.py`."""

    due: int
    due_since: datetime | None
    last_pass_at: datetime | None
    account_refused: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class PracticeFigures:
    """`queued`, `in_doubt`: messages. `imported_at`: when its appointments were last updated."""

    id: str
    name: str
    sending: Sending
    sender: str
    credits: int
    businesses: int
    queued: int
    in_doubt: int
    imported_at: datetime | None
    last_pass_at: datetime | None


def get_figures(session: Session, now: datetime) -> Figures:
    """In one statement."""
    due = (Message.status == Status.QUEUED, Message.next_at <= now)
    row = session.execute(
        select(
            select(func.count()).where(*due).scalar_subquery(),
            select(func.min(Message.next_at)).where(*due).scalar_subquery(),
            select(Pass.started_at).order_by(Pass.id.desc()).limit(1).scalar_subquery(),
            select(HostState.value).where(HostState.name == ACCOUNT_REFUSED).scalar_subquery(),
        )
    ).one()
    return Figures(*row)


def list_practice_figures(session: Session) -> list[PracticeFigures]:
    """Of the whole host, by id."""

    def count(model: type[Business] | type[Message], *which: Any) -> Any:
        return (
            select(func.count())
            .select_from(model)
            .where(model.practice_id == Practice.id, *which)
            .correlate(Practice)
            .scalar_subquery()
        )

    rows = session.execute(
        select(
            Practice.id,
            Practice.name,
            Practice.sending,
            Practice.sender,
            Practice.credits,
            count(Business),
            count(Message, Message.status == Status.QUEUED),
            count(Message, Message.status == Status.UNKNOWN),
            select(func.max(ImportRun.at))
            .where(ImportRun.practice_id == Practice.id)
            .correlate(Practice)
            .scalar_subquery(),
            select(Pass.started_at)
            .where(Pass.practice_id == Practice.id)
            .order_by(Pass.id.desc())
            .limit(1)
            .correlate(Practice)
            .scalar_subquery(),
        ).order_by(Practice.id)
    )
    return [PracticeFigures(*row) for row in rows]


def count_recent(session: Session, since: datetime) -> dict[Status, int]:
    """By their state, the messages that came into being since then; read from `ix_messages_created` alone."""
    counts = (
        select(Message.status, func.count())
        .where(Message.practice_id.in_(select(Practice.id)), Message.created_at >= since)
        .group_by(Message.status)
    )
    return {row[0]: row[1] for row in session.execute(counts)}


def list_missed_days(session: Session, since: date) -> Sequence[tuple[str, str, date, int]]:
    """(practice, the export's id of the business, local date, appointments) of days without any pass."""
    return session.execute(
        select(MissedDay.practice_id, Business.external_id, MissedDay.local_date, MissedDay.appointments)
        .join(Business, Business.id == MissedDay.business_id)
        .where(MissedDay.local_date >= since)
        .order_by(MissedDay.local_date, MissedDay.id)
    ).all()


@dataclass(frozen=True, slots=True)
class Watched:
    """`since`: from when the business is watched; None before the first run."""

    id: int
    practice_id: str
    name: str
    timezone: str
    window_start: int
    since: datetime | None


def list_businesses_watched(session: Session) -> list[Watched]:
    """Every business of the host."""
    rows = session.execute(
        select(
            Business.id,
            Practice.id,
            Business.name,
            Business.timezone,
            Practice.window_start,
            Business.watched_since,
        )
        .join(Practice, Practice.id == Business.practice_id)
        .order_by(Business.id)
    )
    return [Watched(*row) for row in rows]
