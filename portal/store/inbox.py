"""Replies as staff read them: those that wait, those of patients who cannot come, one with all that it is about."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Select, bindparam, func, select
from sqlalchemy.orm import Session

from portal.core.replies import Meaning
from portal.store.appointments import Appointment
from portal.store.messages import Message
from portal.store.patients import OptOut, Patient
from portal.store.practices import FIRST_ZONE
from portal.store.replies import Reply


@dataclass(frozen=True, slots=True)
class Row:
    """A reply, and what it is about. `patient`: None while nobody has said whose it is. `timezone`: of the
    practice's first business; None where it has none."""

    reply: Reply
    message: Message
    patient: Patient | None
    appointment: Appointment | None
    timezone: str | None

    @property
    def full_name(self) -> str:
        return self.patient.full_name if self.patient else ""


def count_unread(session: Session) -> int:
    return session.execute(select(func.count()).select_from(Reply).where(Reply.read_at.is_(None))).scalar_one()


def find_reply(session: Session, message_id: int) -> Row | None:
    """By the id of its message."""
    return next(iter(_rows(session, _SELECT.where(Reply.message_id == message_id))), None)


def list_unread(session: Session, most: int) -> list[Row]:
    """The newest first."""
    return _rows(session, _SELECT.where(Reply.read_at.is_(None)).order_by(Reply.id.desc()).limit(most))


def list_unread_meaning(session: Session, meanings: Collection[Meaning], most: int) -> list[Row]:
    """The newest first."""
    return _rows(session, _UNREAD_MEANING, {"meanings": meanings, "most": most})


def list_read_since(session: Session, since: datetime, most: int) -> list[Row]:
    """Those that came since then and are read, the newest first."""
    read = _SELECT.where(Reply.read_at.is_not(None), Reply.at >= since)
    return _rows(session, read.order_by(Reply.at.desc(), Reply.id.desc()).limit(most))


def list_unread_of(session: Session, patient_id: int, most: int) -> list[Row]:
    """The patient's, the newest first."""
    unread = _SELECT.where(Reply.read_at.is_(None), Message.patient_id == patient_id)
    return _rows(session, unread.order_by(Reply.id.desc()).limit(most))


def list_unread_among(session: Session, patient_id: int, message_ids: Collection[int]) -> Sequence[Reply]:
    """Those of these messages that are the patient's and unread."""
    unread = select(Reply).join(Message, Message.id == Reply.message_id)
    return session.scalars(
        unread.where(Reply.read_at.is_(None), Message.patient_id == patient_id, Message.id.in_(message_ids))
    ).all()


def list_read_at(session: Session, patient_id: int, at: datetime) -> Sequence[Reply]:
    """The patient's that were marked as read at that instant."""
    read = select(Reply).join(Message, Message.id == Reply.message_id)
    return session.scalars(read.where(Message.patient_id == patient_id, Reply.read_at == at)).all()


def list_opened_again(session: Session, patient_id: int, until: datetime) -> Sequence[Reply]:
    """The patient's that came until then, and are unread because the text that answered them was taken back."""
    opened = select(Reply).join(Message, Message.id == Reply.message_id)
    is_opened = Reply.read_at.is_(None) & Reply.read_by.is_not(None)
    return session.scalars(opened.where(Message.patient_id == patient_id, is_opened, Reply.at <= until)).all()


def find_message_of(session: Session, opt_out_id: int) -> tuple[bool, int | None]:
    """Whether there is such an opt-out, and the id of the message that made it."""
    made = select(OptOut.id, Reply.message_id).join(Reply, Reply.opt_out_id == OptOut.id, isouter=True)
    row = session.execute(made.where(OptOut.id == opt_out_id)).first()
    return (True, row[1]) if row else (False, None)


_SELECT: Select[Any] = (
    select(Reply, Message, Patient, Appointment, FIRST_ZONE)
    .select_from(Reply)
    .join(Message, Message.id == Reply.message_id)
    .join(Patient, Patient.id == Message.patient_id, isouter=True)
    .join(Appointment, Appointment.id == Reply.appointment_id, isouter=True)
)


# Built once: the worklist asks it each minute.
_UNREAD_MEANING = (
    _SELECT.where(Reply.read_at.is_(None), Reply.meaning.in_(bindparam("meanings", expanding=True)))
    .order_by(Reply.id.desc())
    .limit(bindparam("most", type_=Integer))
)


def _rows(session: Session, statement: Select[Any], values: Mapping[str, Any] | None = None) -> list[Row]:
    rows: Sequence[Any] = session.execute(statement, values).all()
    return [Row(*row) for row in rows]
