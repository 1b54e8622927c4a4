"""Alarms: what stands, what stood, and who has been told. And the day's line that is mailed once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Date, ForeignKey, Index, Text, and_, delete, func, or_, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.core.alarms import Alarm, Code
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.store.database import Model, PracticeOwned, insert_ignoring, row_id, table_of
from portal.store.messages import Message, has_reason
from portal.store.types import UtcDateTime, words
from portal.store.worklist import DealtWith, state_of

# Whoever began to tell and was killed is not waited for any longer.
_TELLING_FOR = timedelta(minutes=10)


class StandingAlarm(Model):
    """Not one of the rows that a practice's transaction narrows: some are the whole host's.

    `key`: the practice and the code; one alarm of it stands at a time. `detail`: figures and names of businesses,
    nothing of any patient. `seen_at`: last. `told_at`, `all_clear_told_at`: when whoever is to be told took it;
    `telling_since`: somebody is at it.
    """

    __tablename__ = "alarms"

    id: Mapped[int] = row_id()
    practice_id: Mapped[str | None] = mapped_column(Text, ForeignKey("practices.id"))  # None: the whole host's
    code: Mapped[Code] = mapped_column(words(Code))
    key: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    cleared_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    all_clear_told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    telling_since: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index(
            "uq_alarms_standing",
            "key",
            unique=True,
            sqlite_where=text("cleared_at IS NULL"),
            postgresql_where=text("cleared_at IS NULL"),
        ),
        Index("ix_alarms_practice", "practice_id", "cleared_at"),
        Index(
            "ix_alarms_to_tell",
            "id",
            sqlite_where=text("told_at IS NULL OR (cleared_at IS NOT NULL AND all_clear_told_at IS NULL)"),
            postgresql_where=text("told_at IS NULL OR (cleared_at IS NOT NULL AND all_clear_told_at IS NULL)"),
        ),
    )


class DailyLine(PracticeOwned, Model):
    """The line of a local day was mailed, or is being mailed: once."""

    __tablename__ = "daily_lines"

    id: Mapped[int] = row_id()
    day: Mapped[date] = mapped_column(Date)
    at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index("uq_daily_lines_day", "practice_id", "day", unique=True),)


def list_standing(session: Session) -> Sequence[StandingAlarm]:
    """Of the whole host, the oldest first."""
    return session.scalars(
        select(StandingAlarm)
        .where(StandingAlarm.cleared_at.is_(None))
        .order_by(StandingAlarm.since, StandingAlarm.id)
    ).all()


def find_standing(session: Session, key: str) -> StandingAlarm | None:
    return session.scalar(select(StandingAlarm).where(StandingAlarm.key == key, StandingAlarm.cleared_at.is_(None)))


def raise_alarm(session: Session, alarm: Alarm, now: datetime) -> bool:
    """False where it stands already: somebody was faster."""
    table = table_of(StandingAlarm)
    row = {"practice_id": alarm.practice_id, "code": alarm.code, "key": alarm.key, "detail": dict(alarm.detail)}
    statement = insert_ignoring(session, table).returning(table.c.id)
    return session.scalar(statement, row | {"since": now, "seen_at": now}) is not None


def see_again(session: Session, row: StandingAlarm, alarm: Alarm, now: datetime) -> None:
    row.detail, row.seen_at = dict(alarm.detail), now


def claim_to_tell(session: Session, now: datetime) -> list[StandingAlarm]:
    """Those of which nobody has been told, and those that are over of which somebody has: now in the caller's hands.
    One that was over before anybody could be told is left."""
    rows = session.scalars(
        select(StandingAlarm)
        .where(
            or_(
                and_(StandingAlarm.told_at.is_(None), StandingAlarm.cleared_at.is_(None)),
                and_(
                    StandingAlarm.told_at.is_not(None),
                    StandingAlarm.cleared_at.is_not(None),
                    StandingAlarm.all_clear_told_at.is_(None),
                ),
            ),
            or_(StandingAlarm.telling_since.is_(None), StandingAlarm.telling_since <= now - _TELLING_FOR),
        )
        .order_by(StandingAlarm.id)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        row.telling_since = now
    session.flush()
    return list(rows)


def record_told(session: Session, ids: Collection[int], *, is_over: bool, now: datetime) -> None:
    told = {"all_clear_told_at": now} if is_over else {"told_at": now}
    _let_go(session, ids, told)


def record_not_told(session: Session, ids: Collection[int]) -> None:
    """The next look tries again."""
    _let_go(session, ids, {})


def _let_go(session: Session, ids: Collection[int], told: dict[str, Any]) -> None:
    session.execute(
        update(StandingAlarm)
        .where(StandingAlarm.id.in_(ids))
        .values(telling_since=None, **told)
        .execution_options(synchronize_session=False)
    )


@dataclass(frozen=True, slots=True)
class Doubts:
    count: int
    since: datetime


def list_doubts(session: Session, since: datetime) -> dict[str, Doubts]:
    """Of the whole host by practice: messages tried since then whose fate is not known, and that nobody has marked
    as dealt with."""
    rows = session.execute(
        select(Message, DealtWith)
        .join(DealtWith, DealtWith.message_id == Message.id, isouter=True)
        .where(Message.status == Status.UNKNOWN, Message.claimed_at >= since)
        .order_by(Message.claimed_at)
    )
    found: dict[str, Doubts] = {}
    for message, mark in rows:
        if message.claimed_at and not (mark and mark.state == state_of(message)):
            known = found.get(message.practice_id, Doubts(0, message.claimed_at))
            found[message.practice_id] = Doubts(known.count + 1, known.since)
    return found


def count_held_back(session: Session, since: datetime) -> int:
    """The practice's reminders that are over the limit of texts a day, decided since then."""
    held_back = text(f"messages.{has_reason(Reason.DAILY_LIMIT)}")
    return session.execute(
        select(func.count()).select_from(Message).where(held_back, Message.pass_at >= since)
    ).scalar_one()


def begin_line(session: Session, practice_id: str, day: date, now: datetime) -> bool:
    """Whether the line of that day is the caller's to mail: it is once only."""
    table = table_of(DailyLine)
    statement = insert_ignoring(session, table).returning(table.c.id)
    return session.scalar(statement, {"practice_id": practice_id, "day": day, "at": now}) is not None


def forget_line(session: Session, day: date) -> None:
    """It was not mailed after all."""
    session.execute(delete(DailyLine).where(DailyLine.day == day).execution_options(synchronize_session=False))
