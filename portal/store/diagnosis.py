"""What the diagnosis of one appointment wants to know beyond the facts that decide."""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.core.timing import PassHour
from portal.store.appointments import Appointment
from portal.store.passes import HandledHour, Pass
from portal.store.patients import Patient


def list_pass_times(session: Session, business_id: int, since: date, until: date) -> dict[PassHour, datetime]:
    """The instants of the passes that handled a business's hours on these local dates."""
    rows = session.execute(
        select(HandledHour.local_date, HandledHour.hour, Pass.at)
        .join(Pass, Pass.id == HandledHour.pass_id)
        .where(HandledHour.business_id == business_id, HandledHour.local_date.between(since, until))
        .order_by(Pass.at)
    )
    return {PassHour(local_date, hour): at for local_date, hour, at in rows}


def list_pass_times_of(session: Session, business_ids: Collection[int], day: date) -> dict[int, dict[int, datetime]]:
    """For each business the hours of that local date that passes handled, and their instants."""
    times: dict[int, dict[int, datetime]] = {}
    for business_id, hour, at in session.execute(
        select(HandledHour.business_id, HandledHour.hour, Pass.at)
        .join(Pass, Pass.id == HandledHour.pass_id)
        .where(HandledHour.business_id.in_(business_ids), HandledHour.local_date == day)
    ):
        times.setdefault(business_id, {})[hour] = at
    return times


def list_booked(session: Session, business_id: int, day: date) -> dict[int, tuple[datetime, str]]:
    """For each appointment of a business's local day, when it was booked or moved to its time, and the export's id
    of its patient."""
    rows = session.execute(
        select(Appointment.id, Appointment.booked_at, Appointment.moved_at, Patient.external_id)
        .join(Patient, Patient.id == Appointment.patient_id)
        .where(Appointment.business_id == business_id, Appointment.starts_on == day)
    )
    return {id_: (max(booked_at, moved_at or booked_at), patient) for id_, booked_at, moved_at, patient in rows}
