"""What the Today page wants to know beyond the facts that decide: when passes ran, when appointments were updated,
and what became of the messages of each day. Nothing here grows with a table: all is by an index."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select, text
from sqlalchemy.orm import Session

from portal.core.states import Kind, Status
from portal.core.timing import PassHour
from portal.store.appointments import Appointment
from portal.store.imports import ImportRun
from portal.store.messages import BUT_REMINDERS, Message
from portal.store.passes import HandledHour, Pass
from portal.store.patients import PhoneRow
from portal.store.practices import AppointmentType, Business
from portal.store.types import UtcDateTime


def list_businesses(session: Session) -> tuple[Sequence[Business], datetime | None, datetime | None]:
    """The practice's businesses, when an import last updated its appointments, and when staff last sent themselves a
    test text: in one query."""
    updated_at = (
        select(ImportRun.at)
        .where(ImportRun.practice_id == Business.practice_id)
        .order_by(ImportRun.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    tested_at = (
        select(Message.sent_at)
        .where(
            Message.practice_id == Business.practice_id,
            Message.kind == Kind.TEST,
            text(f"messages.{BUT_REMINDERS}"),  # as its index says it
            Message.sent_at.is_not(None),
        )
        .order_by(Message.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(select(Business, updated_at, tested_at).order_by(Business.id)).all()
    return [row[0] for row in rows], *(rows[0][1:] if rows else (None, None))


@dataclass(frozen=True, slots=True)
class LastPass:
    at: datetime
    considered: int
    queued: int
    not_sent: int
    failed: int


def list_hours(session: Session, passes: int) -> tuple[dict[int, dict[PassHour, datetime]], LastPass | None]:
    """For each business the hours that the last so many passes handled, with the pass's instant; and what the last
    pass did."""
    newest = select(Pass.id).order_by(Pass.id.desc()).limit(passes).scalar_subquery()
    rows = session.execute(
        select(
            HandledHour.business_id,
            HandledHour.local_date,
            HandledHour.hour,
            Pass.at,
            Pass.considered,
            Pass.queued,
            Pass.not_sent,
            Pass.failed,
        )
        .join(Pass, Pass.id == HandledHour.pass_id)
        .where(HandledHour.pass_id.in_(newest))
        .order_by(Pass.at, Pass.id)
    ).all()
    hours: dict[int, dict[PassHour, datetime]] = {}
    for business_id, local_date, hour, at, *_ in rows:
        hours.setdefault(business_id, {})[PassHour(local_date, hour)] = at
    return hours, LastPass(*rows[-1][3:]) if rows else None


_OUTCOMES = """
SELECT {0} AS day, status, count(*) FROM messages
 WHERE practice_id = :practice AND created_at >= :begin_{0} AND created_at < :end_{0} AND status <> 'received'
 GROUP BY status"""


def count_outcomes(
    session: Session, practice_id: str, days: Sequence[tuple[datetime, datetime]]
) -> list[dict[Status, int]]:
    """For each stretch of time how many outbound messages that came into being then stand where.

    Counted anew each time, from `ix_messages_created` alone: no receipt that comes late is missed, and the work is
    that of the stretches asked for, whatever the table holds beside them. 30 days of a clinic with 500 messages a
    day (15,000 entries of the index among 300,000 messages) take 8 ms of processor time on SQLite.
    """
    counts: list[dict[Status, int]] = [{} for _ in days]
    instants = {f"begin_{i}": begin for i, (begin, _) in enumerate(days)}
    instants |= {f"end_{i}": end for i, (_, end) in enumerate(days)}
    statement = text(" UNION ALL".join(_OUTCOMES.format(i) for i in range(len(days))))
    statement = statement.bindparams(*(bindparam(name, instant, UtcDateTime) for name, instant in instants.items()))
    # Not through the session's own execute, which narrows mapped classes only, and each of thirty: by hand above.
    for day, status, count in session.connection().execute(statement, {"practice": practice_id}):
        counts[day][Status(status)] = count
    return counts


def list_number_rows(session: Session, patient_ids: Collection[int]) -> dict[int, list[PhoneRow]]:
    """Each patient's numbers in the order entered."""
    numbers: dict[int, list[PhoneRow]] = {}
    for row in session.scalars(
        select(PhoneRow)
        .where(PhoneRow.patient_id.in_(patient_ids), PhoneRow.removed_at.is_(None))
        .order_by(PhoneRow.patient_id, PhoneRow.position, PhoneRow.id)
    ):
        numbers.setdefault(row.patient_id, []).append(row)
    return numbers


def find_type(session: Session, appointment_id: int) -> AppointmentType | None:
    """The type of the appointment with that row's id."""
    return session.scalar(
        select(AppointmentType)
        .join(Appointment, Appointment.appointment_type_id == AppointmentType.id)
        .where(Appointment.id == appointment_id)
    )
