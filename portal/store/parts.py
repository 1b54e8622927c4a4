"""What an appointment would be made of, before there is one."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.store.patients import OptOut, Patient, PhoneRow, numbers_of, with_numbers
from portal.store.practices import AppointmentType, Business, Practice, Practitioner, SmsTemplate


@dataclass(frozen=True, slots=True)
class Parts:
    """What an appointment would be made of; None where there is no such row."""

    practice: Practice
    business: Business | None
    practitioner: Practitioner | None
    type: AppointmentType | None
    template: SmsTemplate | None
    patient: Patient | None
    numbers: tuple[PhoneRow, ...]
    opt_outs: tuple[OptOut, ...]


def find_parts(
    session: Session, practice_id: str, *, business: int, practitioner: int, type_: int, patient: int
) -> Parts:
    """By the ids of their rows, in one query."""
    wanted = (
        select(Practice, Business, Practitioner, AppointmentType, SmsTemplate, Patient)
        .select_from(Practice)
        .join(Business, Business.id == business, isouter=True)
        .join(Practitioner, Practitioner.id == practitioner, isouter=True)
        .join(AppointmentType, AppointmentType.id == type_, isouter=True)
        .join(SmsTemplate, SmsTemplate.id == AppointmentType.reminder_template_id, isouter=True)
        .join(Patient, Patient.id == patient, isouter=True)
        .where(Practice.id == practice_id)
    )
    rows = session.execute(with_numbers(wanted)).all()
    numbers, opt_outs = numbers_of(rows)
    practice, at, with_, of_type, template, whose, *_ = rows[0]
    return Parts(practice, at, with_, of_type, template, whose, numbers, opt_outs)
