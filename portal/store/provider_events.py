"""What the provider told us, as it came: kept until it is worked on, and for a while after."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import product
from typing import Any

from sqlalchemy import Index, Text, UniqueConstraint, delete, func, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.store.database import Model, insert_ignoring, row_id, table_of
from portal.store.types import UtcDateTime, words

_TO_DO = "next_at IS NOT NULL"


class EventKind(StrEnum):
    STATUS = "status"  # what became of a text of ours
    INBOUND = "inbound"  # somebody's reply


class EventSource(StrEnum):
    WEBHOOK = "webhook"
    RECORDS = "records"  # we asked


class Outcome(StrEnum):
    WAITING = "waiting"
    APPLIED = "applied"
    UNMATCHED = "unmatched"  # it speaks of no message of ours
    UNREADABLE = "unreadable"


class ProviderEvent(Model):
    """One report of the provider. Of no practice until its message is found: so it is the host's.

    `body`: as it came; it holds numbers and texts, and is deleted after a time. `next_at`: when it is to be worked
    on; None: done. `at`: the provider's own time.
    """

    __tablename__ = "provider_events"

    id: Mapped[int] = row_id()
    kind: Mapped[EventKind] = mapped_column(words(EventKind))
    source: Mapped[EventSource] = mapped_column(words(EventSource))
    uuid: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    body_hash: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tries: Mapped[int] = mapped_column(default=0)
    outcome: Mapped[Outcome] = mapped_column(words(Outcome))
    practice_id: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        # Each once, however often the provider sends it.
        UniqueConstraint("uuid", "kind", "status", "at", "body_hash", name="uq_provider_events_once"),
        Index("ix_provider_events_to_do", "next_at", sqlite_where=text(_TO_DO), postgresql_where=text(_TO_DO)),
        Index("ix_provider_events_received", "source", "kind", "received_at"),
    )


def record_event(session: Session, values: Mapping[str, Any]) -> bool:
    """False where it is known already."""
    table = table_of(ProviderEvent)
    row = {"tries": 0, "outcome": Outcome.WAITING, "practice_id": None} | dict(values)
    return session.scalar(insert_ignoring(session, table).returning(table.c.id), row) is not None


def list_to_do(session: Session, now: datetime, most: int) -> Sequence[ProviderEvent]:
    """In the order in which they came."""
    return session.scalars(
        select(ProviderEvent).where(ProviderEvent.next_at <= now).order_by(ProviderEvent.id).limit(most)
    ).all()


def is_any_to_do(session: Session, now: datetime) -> bool:
    return session.scalar(select(ProviderEvent.id).where(ProviderEvent.next_at <= now).limit(1)) is not None


def keep_to_do(session: Session, ids: Collection[int]) -> set[int]:
    """Those of them that nobody has worked on meanwhile."""
    found = select(ProviderEvent.id).where(ProviderEvent.id.in_(ids), ProviderEvent.next_at.is_not(None))
    return set(session.scalars(found))


def finish(session: Session, ids: Collection[int], outcome: Outcome, practice_id: str | None = None) -> None:
    if ids:
        session.execute(
            update(ProviderEvent)
            .where(ProviderEvent.id.in_(ids))
            .values(next_at=None, outcome=outcome, practice_id=practice_id)
            .execution_options(synchronize_session=False)
        )


def postpone(session: Session, id_: int, next_at: datetime) -> None:
    session.execute(
        update(ProviderEvent)
        .where(ProviderEvent.id == id_, ProviderEvent.next_at.is_not(None))
        .values(next_at=next_at, tries=ProviderEvent.tries + 1)
        .execution_options(synchronize_session=False)
    )


def forget(session: Session, before: datetime) -> int:
    """Delete what came before then; returns how many."""
    deleted = 0
    for source, kind in product(EventSource, EventKind):  # as the index has them
        old = delete(ProviderEvent).where(
            ProviderEvent.source == source, ProviderEvent.kind == kind, ProviderEvent.received_at < before
        )
        result = session.execute(old.execution_options(synchronize_session=False))
        deleted += int(getattr(result, "rowcount", 0))
    return deleted


def last_received(session: Session, source: EventSource, kind: EventKind) -> datetime | None:
    """When the newest of its kind came that way; None where none did, as far back as they are kept."""
    newest = select(func.max(ProviderEvent.received_at))
    return session.scalar(newest.where(ProviderEvent.source == source, ProviderEvent.kind == kind))
