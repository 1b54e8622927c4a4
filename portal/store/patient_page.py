"""What the page of one patient shows, each kind in one query."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select, union_all
from sqlalchemy.orm import Session

from portal.core.reasons import Reason
from portal.core.states import Direction, Kind, Status
from portal.store.appointments import Appointment
from portal.store.messages import Message, is_its_reminder
from portal.store.patients import OptOut, Patient, PhoneRow
from portal.store.practices import AppointmentType, Business, Practice, Practitioner
from portal.store.replies import Reply


@dataclass(frozen=True, slots=True)
class Record:
    """A patient, the practice, its first business's time zone, the numbers in the order entered."""

    practice: Practice
    zone: str | None
    patient: Patient
    numbers: tuple[PhoneRow, ...]


def find_record(session: Session, patient_id: int) -> Record | None:
    zone = select(Business.timezone).order_by(Business.id).limit(1).scalar_subquery()
    rows = session.execute(
        select(Practice, zone, Patient, PhoneRow)
        .select_from(Patient)
        .join(Practice, Practice.id == Patient.practice_id)
        .join(PhoneRow, and_(PhoneRow.patient_id == Patient.id, PhoneRow.removed_at.is_(None)), isouter=True)
        .where(Patient.id == patient_id)
        .order_by(PhoneRow.position, PhoneRow.id)
    ).all()
    if not rows:
        return None
    practice, zone_found, patient, _ = rows[0]
    return Record(practice, zone_found, patient, tuple(row[3] for row in rows if row[3] is not None))


def list_opt_outs(session: Session, patient_id: int, numbers: Collection[str]) -> list[tuple[OptOut, int | None]]:
    """The patient's and those of the E.164 numbers, the newest first, lifted ones too; each with the message of the
    reply that made it."""
    # Each on its own, for each has its index: with one "or" a database may read all of a practice's.
    theirs = union_all(
        select(OptOut.id).where(OptOut.patient_id == patient_id), select(OptOut.id).where(OptOut.e164.in_(numbers))
    )
    rows = session.execute(
        select(OptOut, Reply.message_id)
        .join(Reply, Reply.opt_out_id == OptOut.id, isouter=True)
        .where(OptOut.id.in_(theirs))
        .order_by(OptOut.id.desc())
        .limit(50)
    )
    return [(opt_out, message_id) for opt_out, message_id in rows]


@dataclass(frozen=True, slots=True)
class Visit:
    """An appointment with what became of its reminder; `status` is None where it has none yet."""

    id: int
    starts_wall: datetime
    starts_at: datetime
    timezone: str
    cancelled_at: datetime | None
    appointment_type: str
    business: str
    practitioner: str
    status: Status | None
    reasons: tuple[Reason, ...]
    is_confirmed: bool  # by a reply


_VISIT = (
    select(
        Appointment.id,
        Appointment.starts_wall,
        Appointment.starts_at,
        Appointment.timezone,
        Appointment.cancelled_at,
        AppointmentType.name,
        Business.name,
        Practitioner.title,
        Practitioner.first_name,
        Practitioner.last_name,
        Message.status,
        Message.reasons,
        Appointment.confirmed_revision,
        Appointment.revision,
    )
    .select_from(Appointment)
    .join(AppointmentType, AppointmentType.id == Appointment.appointment_type_id)
    .join(Business, Business.id == Appointment.business_id)
    .join(Practitioner, Practitioner.id == Appointment.practitioner_id)
    .join(Message, is_its_reminder, isouter=True)
)


def list_visits(session: Session, patient_id: int, most: int) -> list[Visit]:
    """The latest first, those to come included."""
    rows = session.execute(
        _VISIT.where(Appointment.patient_id == patient_id)
        .order_by(Appointment.starts_at.desc(), Appointment.id.desc())
        .limit(most)
    )
    return [
        Visit(
            *row[:7],
            " ".join(part for part in row[7:10] if part),
            row.status,
            row.reasons or (),
            row.confirmed_revision == row.revision,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Said:
    """A message with the patient; `timezone` is its business's. `reply`: what one that came in means."""

    id: int
    direction: Direction
    kind: Kind
    status: Status
    reasons: tuple[Reason, ...]
    to: str | None
    body: str | None
    at: datetime
    timezone: str | None
    reply: Reply | None


_SAID = (
    select(
        Message.id,
        Message.direction,
        Message.kind,
        Message.status,
        Message.reasons,
        Message.to,
        Message.body,
        Message.sent_at,
        Message.pass_at,
        Message.created_at,
        Business.timezone,
        Reply,
    )
    .select_from(Message)
    .join(Business, Business.id == Message.business_id, isouter=True)
    .join(Reply, Reply.message_id == Message.id, isouter=True)
)


def list_said(session: Session, patient_id: int, most: int) -> list[Said]:
    """The newest first."""
    rows = session.execute(_SAID.where(Message.patient_id == patient_id).order_by(Message.id.desc()).limit(most))
    return [Said(*row[:7], row.sent_at or row.pass_at or row.created_at, row.timezone, row.Reply) for row in rows]
