"""Replies: what each means and did, whose it may be, and the portal's own answers to them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Boolean, Index, Text, UniqueConstraint, and_, func, or_, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.core.numbers import PhoneNumber, PhoneType, parse_number
from portal.core.reminders import Facts
from portal.core.replies import Meaning
from portal.core.states import Direction, Kind, Status
from portal.core.text import Details
from portal.store.appointments import Appointment
from portal.store.database import Model, PracticeOwned, belongs_to, row_id
from portal.store.facts import MESSAGE_STATE, MessageState
from portal.store.messages import DAY_BEFORE, Message
from portal.store.patients import OptOut, Patient, PhoneRow, list_opt_outs
from portal.store.practices import Business, Practice
from portal.store.types import RowId, UtcDateTime, words

_UNREAD = "read_at IS NULL"


class Reply(PracticeOwned, Model):
    """What a received message means, beside its row in the log.

    `number`: where it came from, E.164 or as the provider names it. `at`: when, by the provider's clock.
    `appointment_id`, `revision`: what it answers. `opt_out_id`: the opt-out that it made. `answer_id`: the portal's
    own answer to it. `read_by`: a name as it was then; the portal's, where nothing was left to do for staff. It stays
    where the text that answered it was taken back, and `read_at` is empty again.
    """

    __tablename__ = "replies"

    id: Mapped[int] = row_id()
    message_id: Mapped[int] = mapped_column(RowId)
    number: Mapped[str] = mapped_column(Text)
    meaning: Mapped[Meaning] = mapped_column(words(Meaning))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    appointment_id: Mapped[int | None] = mapped_column(RowId)
    revision: Mapped[int | None]
    opt_out_id: Mapped[int | None] = mapped_column(RowId)
    answer_id: Mapped[int | None] = mapped_column(RowId)
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    read_by: Mapped[str | None] = mapped_column(Text)
    read_by_id: Mapped[int | None] = mapped_column(RowId)

    __table_args__ = (
        UniqueConstraint("message_id"),
        belongs_to("message_id", "messages"),
        belongs_to("appointment_id", "appointments"),
        belongs_to("opt_out_id", "opt_outs"),
        belongs_to("answer_id", "messages"),
        Index("ix_replies_number", "practice_id", "number", "at"),
        Index("ix_replies_at", "practice_id", "at"),
        Index("ix_replies_appointment", "practice_id", "appointment_id"),
        Index("ix_replies_opt_out", "practice_id", "opt_out_id"),
        Index("ix_replies_answer", "practice_id", "answer_id"),
        Index("ix_replies_unread", "practice_id", "id", sqlite_where=text(_UNREAD), postgresql_where=text(_UNREAD)),
    )


class ReplySettings(PracticeOwned, Model):
    """How a practice answers by itself, where not in the portal's words; and to which address replies are mailed,
    with name, number and text where `in_full`."""

    __tablename__ = "reply_settings"

    id: Mapped[int] = row_id()
    stop_text: Mapped[str | None] = mapped_column(Text)
    start_text: Mapped[str | None] = mapped_column(Text)
    help_text: Mapped[str | None] = mapped_column(Text)
    forward_to: Mapped[str | None] = mapped_column(Text)
    in_full: Mapped[bool] = mapped_column(Boolean, default=False)

    __table_args__ = (UniqueConstraint("practice_id"),)


def find_settings(session: Session) -> ReplySettings | None:
    return session.scalar(select(ReplySettings))


# --- a reply comes in ---------------------------------------------------------------------------------------


def find_practice_id(session: Session, to: str, number: str) -> str | None:
    """Whose sender `to` is; where it is nobody's any more, who last texted that number from it. Of the whole host."""
    named = session.scalar(select(Practice.id).where(Practice.sender == to))
    if named is not None:
        return named
    return session.scalar(
        select(Message.practice_id)
        .join(PhoneRow, and_(PhoneRow.practice_id == Message.practice_id, PhoneRow.patient_id == Message.patient_id))
        .where(PhoneRow.e164 == number, Message.to == number, Message.sender == to)
        .order_by(Message.id.desc())
        .limit(1)
    )


def is_a_sender(session: Session, number: str) -> bool:
    """Whether a practice of the host texts from that number."""
    return session.scalar(select(Practice.id).where(Practice.sender == number)) is not None


def is_taken(session: Session, provider_id: str) -> bool:
    """Whether that text is in the log already."""
    taken = select(Message.id).where(Message.provider_id == provider_id, Message.kind == Kind.REPLY)
    return session.scalar(taken.limit(1)) is not None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A patient who has the number. `message`: the newest that may have come to that number, where there was one;
    `timezone`: its."""

    patient: Patient
    message: Message | None
    timezone: str | None
    starts_wall: datetime | None  # of the appointment that the message is about


def list_candidates(session: Session, numbers: Collection[str]) -> dict[str, list[Candidate]]:
    """By number, the likeliest first: who was texted there last."""
    newest = (
        select(func.max(Message.id))
        .where(
            Message.patient_id == PhoneRow.patient_id,
            Message.to == PhoneRow.e164,
            Message.direction == Direction.OUTBOUND,
            Message.status.in_(_MAY_HAVE_COME),
        )
        .correlate(PhoneRow)
        .scalar_subquery()
    )
    has_number = (
        select(PhoneRow.patient_id, PhoneRow.e164, newest.label("message_id"))
        .where(PhoneRow.e164.in_(numbers), PhoneRow.removed_at.is_(None))
        .distinct()
        .subquery()
    )
    rows = session.execute(
        select(has_number.c.e164, Patient, Message, Business.timezone, Appointment.starts_wall)
        .select_from(has_number)
        .join(Patient, Patient.id == has_number.c.patient_id)
        .join(Message, Message.id == has_number.c.message_id, isouter=True)
        .join(Business, Business.id == Message.business_id, isouter=True)
        .join(Appointment, Appointment.id == Message.appointment_id, isouter=True)
        .order_by(Patient.archived, Message.id.desc().nulls_last(), Patient.id)
    )
    found: dict[str, list[Candidate]] = {}
    for number, *candidate in rows:
        found.setdefault(number, []).append(Candidate(*candidate))
    return found


def find_reminded(session: Session, patient_id: int, number: str, at: datetime) -> Appointment | None:
    """The appointment that the patient's newest reminder to that number was about, of those that lay ahead then and
    stand as the reminder said."""
    return session.scalar(
        select(Appointment)
        .join(Message, and_(Message.appointment_id == Appointment.id, Message.revision == Appointment.revision))
        .where(
            Message.patient_id == patient_id,
            Message.kind == Kind.REMINDER,
            Message.rule == DAY_BEFORE,
            Message.to == number,
            Message.status.in_(_MAY_HAVE_COME),
            Message.created_at <= at,
            Appointment.patient_id == patient_id,
            Appointment.starts_at > at,
            or_(Appointment.cancelled_at.is_(None), Appointment.cancelled_at > at),
        )
        .order_by(func.coalesce(Message.sent_at, Message.claimed_at).desc(), Message.id.desc())
        .limit(1)
    )


def has_staff_texted_since(session: Session, appointment: Appointment, number: str, at: datetime) -> bool:
    """Whether a text of staff's own may have come to that number between the appointment's reminder and `at`."""
    came_at = func.coalesce(Message.sent_at, Message.claimed_at)
    may_have_come = select(Message.id).where(Message.to == number, Message.status.in_(_MAY_HAVE_COME), came_at <= at)
    reminded_at = (
        select(func.max(came_at))
        .where(
            Message.appointment_id == appointment.id,
            Message.revision == appointment.revision,
            Message.kind == Kind.REMINDER,
            Message.to == number,
            Message.status.in_(_MAY_HAVE_COME),
        )
        .scalar_subquery()
    )
    since = may_have_come.where(Message.kind == Kind.MANUAL, came_at >= reminded_at)
    return session.scalar(since.limit(1)) is not None


_MAY_HAVE_COME = (Status.SENDING, Status.SENT, Status.DELIVERED, Status.UNCONFIRMED, Status.UNKNOWN)


def has_later(session: Session, number: str, meanings: Collection[Meaning], at: datetime) -> bool:
    """Whether the number sent such a reply after that."""
    later = select(Reply.id).where(Reply.number == number, Reply.meaning.in_(meanings), Reply.at > at)
    return session.scalar(later.limit(1)) is not None


def has_later_about(session: Session, appointment_id: int, meanings: Collection[Meaning], at: datetime) -> bool:
    """Whether such a reply about the appointment came at that instant or after."""
    later = select(Reply.id).where(
        Reply.appointment_id == appointment_id, Reply.meaning.in_(meanings), Reply.at >= at
    )
    return session.scalar(later.limit(1)) is not None


def count_answers(session: Session, number: str, since: datetime) -> int:
    """How often the portal answered that number by itself."""
    answers = (
        select(func.count())
        .select_from(Reply)
        .join(Message, Message.id == Reply.answer_id)
        .where(Reply.number == number, Message.created_at >= since)
    )
    return session.execute(answers).scalar_one()


def list_holding(session: Session, number: str) -> Sequence[OptOut]:
    """The opt-outs of the number, whoever recorded them, that nobody has lifted."""
    return session.scalars(select(OptOut).where(OptOut.e164 == number, OptOut.lifted_at.is_(None))).all()


# --- the portal's own answers -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the portal's own on its way, with what decides on it."""

    patient_id: int | None
    cancelled_at: datetime | None  # what it says no longer holds
    facts: Facts
    message: MessageState


def facts_of_number(practice: Practice, number: str, *, is_opted_out: bool) -> Facts:
    """Of a text to a number, whoever has it."""
    parsed = parse_number(number, practice.country)
    return Facts(
        sending=practice.sending,
        business_reminders_on=True,
        template=None,
        numbers=[PhoneNumber(PhoneType.MOBILE, number, parsed.e164, parsed.region, parsed.kind)],
        countries=practice.countries,
        preference=None,
        default_preference=practice.default_preference,
        patient_opted_out=False,
        opted_out_numbers=frozenset({number} if is_opted_out else ()),
        archived=False,
        details=Details("", "", "", "", "", "", "", "", practice.created_at, practice.created_at, practice.country),
    )


def list_answers(session: Session, practice: Practice, message_ids: Collection[int]) -> dict[int, Answer]:
    """By message id. An opt-out does not hold back its own confirmation."""
    if not message_ids:
        return {}
    rows = session.execute(
        select(Message.patient_id, Reply.number, Reply.meaning, OptOut.lifted_at, *MESSAGE_STATE)
        .join(Reply, Reply.answer_id == Message.id)
        .join(OptOut, OptOut.id == Reply.opt_out_id, isouter=True)
        .where(Message.id.in_(message_ids), Message.kind == Kind.AUTO_REPLY)
        .order_by(Message.id)
    ).all()
    _, opted_out = list_opt_outs(session, (), {number for _, number, *_ in rows})
    answers = [
        Answer(
            patient_id,
            lifted_at,
            facts_of_number(practice, number, is_opted_out=number in opted_out and not meaning.opts_out),
            MessageState(*columns),
        )
        for patient_id, number, meaning, lifted_at, *columns in rows
    ]
    return {answer.message.id: answer for answer in answers}
