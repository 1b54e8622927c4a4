"""What the page of one patient shows, each kind in one query."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, and_, bindparam, select, union_all
from sqlalchemy.orm import Session

from portal.core.reasons import Reason
from portal.core.states import Direction, Kind, Status
from portal.store.appointments import Appointment
from portal.store.messages import Message, is_its_reminder
from portal.store.patients import OptOut, Patient, PhoneRow
from portal.store.practices import AppointmentType, Business, Practice, Practitioner
from portal.store.replies import Reply
from portal.store.types import RowId


@dataclass(frozen=True, slots=True)
class Record:
    """A patient, the practice, its first business's time zone, the numbers in the order entered."""

    practice: Practice
    zone: str | None
    patient: Patient
    numbers: tuple[PhoneRow, ...]


def find_record(session: Session, patient_id: int) -> Record | None:
    rows = session.execute(_RECORD, {"patient": patient_id}).all()
    if not rows:
        return None
    practice, zone, patient, _ = rows[0]
    return Record(practice, zone, patient, tuple(row[3] for row in rows if row[3] is not None))


_PATIENT, _MOST = bindparam("patient", type_=RowId), bindparam("most", type_=Integer)
_RECORD = (
    select(Practice, select(Business.timezone).order_by(Business.id).limit(1).scalar_subquery(), Patient, PhoneRow)
    .select_from(Patient)
    .join(Practice, Practice.id == Patient.practice_id)
    .join(PhoneRow, and_(PhoneRow.patient_id == Patient.id, PhoneRow.removed_at.is_(None)), isouter=True)
    .where(Patient.id == _PATIENT)
    .order_by(PhoneRow.position, PhoneRow.id)
)


def list_opt_outs(session: Session, patient_id: int, numbers: Collection[str]) -> list[tuple[OptOut, int | None]]:
    """The patient's and those of the E.164 numbers, the newest first, lifted ones too; each with the message of the
    reply that made it."""
    rows = session.execute(_OPT_OUTS, {"patient": patient_id, "numbers": list(numbers)})
    return [(opt_out, message_id) for opt_out, message_id in rows]


_OPT_OUTS = (
    select(OptOut, Reply.message_id)
    .join(Reply, Reply.opt_out_id == OptOut.id, isouter=True)
    .where(
        # Each on its own, for each has its index: with one "or" a database may read all of a practice's.
        OptOut.id.in_(
            union_all(
                select(OptOut.id).where(OptOut.patient_id == _PATIENT),
                select(OptOut.id).where(OptOut.e164.in_(bindparam("numbers", expanding=True))),
            )
        )
    )
    .order_by(OptOut.id.desc())
    .limit(50)
)


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


_VISITS = (
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
    .where(Appointment.patient_id == _PATIENT)
    .order_by(Appointment.starts_at.desc(), Appointment.id.desc())
    .limit(_MOST)
)


def list_visits(session: Session, patient_id: int, most: int) -> list[Visit]:
    """The latest first, those to come included."""
    rows = session.execute(_VISITS, {"patient": patient_id, "most": most})
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
    .where(Message.patient_id == _PATIENT)
    .order_by(Message.id.desc())
    .limit(_MOST)
)


def list_said(session: Session, patient_id: int, most: int) -> list[Said]:
    """The newest first."""
    rows = session.execute(_SAID, {"patient": patient_id, "most": most})
    return [Said(*row[:7], row.sent_at or row.pass_at or row.created_at, row.timezone, row.Reply) for row in rows]
