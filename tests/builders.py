"""Small practices for tests: each function writes one row, with sensible values for what a test does not name."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from portal import store
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference, Sending
from portal.core.roles import Role
from portal.core.timing import resolve
from portal.store.appointments import Appointment
from portal.store.credits import EntryKind
from portal.store.patients import Patient, PhoneRow
from portal.store.practices import AppointmentType, Business, Practice, Practitioner, SmsTemplate
from portal.store.staff import User

ZONE = "Australia/Sydney"
# Numbers set aside for fiction.
MOBILES = tuple(f"0491 570 {ending}" for ending in ("006", "110", "156", "157", "158", "159"))
# Wednesday 7 May 2031, the first reminder hour; appointments are on Thursday.
PASS_AT = datetime(2031, 5, 7, 10, 0, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
DAY = date(2031, 5, 8)


def a_practice(id: str = "riverside", *, credits: int = 100, **values: Any) -> Practice:
    """A practice of its own, with credits and with sending on."""
    defaults: dict[str, Any] = {
        "name": id.title(),
        "country": "AU",
        "default_preference": Preference.SMS,
        "lead_days": 1,
        "window_start": 10,
        "sending": Sending.ON,
        "sender": "Clinic",
        "created_at": PASS_AT,
        "live_since": None if values.get("sending") is Sending.REHEARSAL else PASS_AT - timedelta(days=30),
    }
    practice = Practice(id=id, **defaults | values)
    with store.everything(write=True) as session:
        session.add(practice)
        session.flush()
        if credits:
            entry = {"practice_id": id, "at": PASS_AT, "kind": EntryKind.OPENING, "amount": credits}
            store.credits.record_entries(session, [entry | {"message_id": None, "reference": ""}])
        for role in (Role.OWNER, Role.RECEPTION, Role.PRACTITIONER):
            session.add(a_user(role, id))
    return practice


def a_user(role: Role, practice_id: str | None, **values: Any) -> User:
    """Whom `sign_in` of the web tests signs in: one of each role in each practice."""
    name = f"{role}@{practice_id or 'host'}"
    defaults = {"email": f"{name}.example", "name": f"Dana {role.title()}", "fs_uniquifier": name}
    return User(role=role, practice_id=practice_id, created_at=PASS_AT, **defaults | {"joined_at": PASS_AT} | values)


def _add(session: Session, row: Any) -> Any:
    session.add(row)
    session.flush()
    return row


def a_business(session: Session, **values: Any) -> Business:
    defaults = {"external_id": "1", "name": "North Clinic", "timezone": ZONE, "contact_number": "(02) 5550 9325"}
    return _add(session, Business(**defaults | {"sms_reminders": True} | values))


def a_practitioner(session: Session, **values: Any) -> Practitioner:
    defaults = {"external_id": "1", "title": "Dr", "first_name": "Helen", "last_name": "Marsh"}
    return _add(session, Practitioner(**defaults | values))


def a_template(session: Session, **values: Any) -> SmsTemplate:
    body = "Hi {{Patient.FirstName}}, see you {{Appointment.DateShort}} {{Appointment.StartTime}}."
    return _add(session, SmsTemplate(**{"external_id": "1", "name": "Short", "body": body, "problem": None} | values))


def a_type(session: Session, template: SmsTemplate | None, **values: Any) -> AppointmentType:
    defaults = {"external_id": "1", "name": "Initial consultation", "duration_minutes": 30}
    return _add(
        session, AppointmentType(**defaults | {"reminder_template_id": template.id if template else None} | values)
    )


def a_patient(session: Session, external_id: str, *, mobile: str | None = MOBILES[0], **values: Any) -> Patient:
    defaults = {"first_name": "Mia", "last_name": "Nguyen", "email": "", "archived": False}
    patient = _add(session, Patient(external_id=external_id, **defaults | values))
    if mobile is not None:
        a_number(session, patient, mobile)
    return patient


def a_number(
    session: Session, patient: Patient, number: str, type: PhoneType = PhoneType.MOBILE, position: int = 0
) -> PhoneRow:
    row = PhoneRow(patient_id=patient.id, position=position, type=type, from_export=True)
    row.retype(number, "AU")
    return _add(session, row)


def an_appointment(
    session: Session,
    external_id: str,
    *,
    business: Business,
    practitioner: Practitioner,
    type: AppointmentType,
    patient: Patient,
    starts: str = "2031-05-08 09:30",
    minutes: int = 30,
    **values: Any,
) -> Appointment:
    """`starts` is local to the business."""
    wall = datetime.fromisoformat(starts)
    ends = wall + timedelta(minutes=minutes)
    defaults: dict[str, Any] = {
        "starts_wall": wall,
        "ends_wall": ends,
        "timezone": business.timezone,
        "starts_on": wall.date(),
        "starts_at": resolve(wall, business.timezone),
        "ends_at": resolve(ends, business.timezone),
        "booked_at": PASS_AT - timedelta(days=20),
    }
    return _add(
        session,
        Appointment(
            external_id=external_id,
            business_id=business.id,
            practitioner_id=practitioner.id,
            appointment_type_id=type.id,
            patient_id=patient.id,
            **defaults | values,
        ),
    )


class Clinic:
    """A practice with one business, practitioner, template and type; `book` adds a patient's appointment."""

    def __init__(self, id: str = "riverside", *, business: dict[str, Any] | None = None, **practice: Any) -> None:
        self.practice = a_practice(id, **practice)
        self.id = id
        with store.transaction(id) as session:
            self.business = a_business(session, **business or {})
            self.practitioner = a_practitioner(session)
            self.template = a_template(session)
            self.type = a_type(session, self.template)

    def book(
        self, external_id: str = "1", *, patient: dict[str, Any] | None = None, **appointment: Any
    ) -> Appointment:
        """An appointment of a patient of its own, both called `external_id`."""
        with store.transaction(self.id) as session:
            person = a_patient(session, external_id, **patient or {})
            own = {"business": self.business, "practitioner": self.practitioner, "type": self.type, "patient": person}
            return an_appointment(session, external_id, **own | appointment)

    def change(self, row: Any, **values: Any) -> None:
        """As staff would: through the mapped object."""
        with store.transaction(self.id) as session:
            row = session.get_one(type(row), row.id)
            for name, value in values.items():
                setattr(row, name, value)
