"""What tells whether the host does its work: a few rows of each practice, all by an index."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.core.states import Status
from portal.store.messages import Message
from portal.store.passes import MissedDay, Pass
from portal.store.practices import Business, Practice


def count_due(session: Session, now: datetime) -> tuple[int, datetime | None]:
    """How many messages are queued and due, and since when the first of them is."""
    row = session.execute(
        select(func.count(), func.min(Message.next_at)).where(Message.status == Status.QUEUED, Message.next_at <= now)
    ).one()
    return row[0], row[1]


def count_in_doubt(session: Session, now: datetime) -> int:
    in_doubt = Message.status == Status.UNKNOWN, Message.claimed_at <= now  # the second for the index's sake
    return session.scalar(select(func.count()).where(*in_doubt)) or 0


def last_pass_at(session: Session) -> datetime | None:
    """When a pass last ran, by the machine's clock."""
    return session.scalar(select(Pass.started_at).order_by(Pass.id.desc()).limit(1))


def list_missed_days(session: Session, since: date) -> Sequence[tuple[str, str, date, int]]:
    """(practice, the export's id of the business, local date, appointments) of days without any pass."""
    return session.execute(
        select(MissedDay.practice_id, Business.external_id, MissedDay.local_date, MissedDay.appointments)
        .join(Business, Business.id == MissedDay.business_id)
        .where(MissedDay.local_date >= since)
        .order_by(MissedDay.local_date, MissedDay.id)
    ).all()


def list_businesses_watched(session: Session) -> Sequence[tuple[int, str, int, datetime | None]]:
    """(business, time zone, window start, watched since) of every business; the last is None before the first run."""
    return session.execute(
        select(Business.id, Business.timezone, Practice.window_start, Business.watched_since).join(
            Practice, Practice.id == Business.practice_id
        )
    ).all()
