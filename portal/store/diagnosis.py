"""What the diagnosis of one appointment wants to know beyond the facts that decide."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from portal.core.timing import PassHour
from portal.store.appointments import Appointment
from portal.store.passes import HandledHour, Pass
from portal.store.patients import OptOut, Patient
from portal.store.practices import AppointmentType, SmsTemplate


@dataclass(frozen=True, slots=True)
class Setting:
    patient_external_id: str
    template_name: str | None
    template_problem: str | None


def get_setting(session: Session, appointment_id: int) -> Setting:
    row = session.execute(
        select(Patient.external_id, SmsTemplate.name, SmsTemplate.problem)
        .select_from(Appointment)
        .join(Patient, Patient.id == Appointment.patient_id)
        .join(AppointmentType, AppointmentType.id == Appointment.appointment_type_id)
        .join(SmsTemplate, SmsTemplate.id == AppointmentType.reminder_template_id, isouter=True)
        .where(Appointment.id == appointment_id)
    ).one()
    return Setting(*row)


def find_opt_out(session: Session, patient_id: int, e164: str | None) -> OptOut | None:
    """The newest that holds for the patient, or for the number."""
    return session.scalars(
        select(OptOut)
        .where(OptOut.lifted_at.is_(None), or_(OptOut.patient_id == patient_id, OptOut.e164 == e164))
        .order_by(OptOut.id.desc())
        .limit(1)
    ).first()


def list_pass_times(session: Session, business_id: int, since: date, until: date) -> dict[PassHour, datetime]:
    """The instants of the passes that handled a business's hours on these local dates."""
    rows = session.execute(
        select(HandledHour.local_date, HandledHour.hour, Pass.at)
        .join(Pass, Pass.id == HandledHour.pass_id)
        .where(HandledHour.business_id == business_id, HandledHour.local_date.between(since, until))
        .order_by(Pass.at)
    )
    return {PassHour(local_date, hour): at for local_date, hour, at in rows}


def list_booked(session: Session, business_id: int, day: date) -> dict[int, tuple[datetime, str]]:
    """For each appointment of a business's local day, when it was booked or moved to its time, and the export's id
    of its patient."""
    rows = session.execute(
        select(Appointment.id, Appointment.booked_at, Appointment.moved_at, Patient.external_id)
        .join(Patient, Patient.id == Appointment.patient_id)
        .where(Appointment.business_id == business_id, Appointment.starts_on == day)
    )
    return {id_: (max(booked_at, moved_at or booked_at), patient) for id_, booked_at, moved_at, patient in rows}
