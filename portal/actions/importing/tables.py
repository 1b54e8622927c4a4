"""The files of an export: their columns, what each fills, and what they refer to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.actions.importing.fields import (
    Json,
    read_archived,
    read_as_it_is,
    read_birth_date,
    read_body,
    read_minutes,
    read_on_off,
    read_own_preference,
    read_phone_type,
    read_required_text,
    read_template_reference,
    read_text,
    read_zone,
)
from portal.core.patient_search import searched_name
from portal.core.text import TemplateError, compile_template
from portal.store.appointments import Appointment
from portal.store.patients import Patient, PhoneRow
from portal.store.practices import AppointmentType, Business, Practitioner, SmsTemplate


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    fills: str  # the field of the row
    read: Callable[[str], Json]
    is_personal: bool = False  # then its value is never shown


@dataclass(frozen=True, slots=True)
class Table:
    """`references`: fields that hold another file's ids. `derive`: what a row's merged fields imply."""

    file: str
    model: Any
    columns: tuple[Column, ...]
    references: Mapping[str, "Table"] = field(default_factory=dict)
    derive: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda _: {}

    def column_of(self, filled: str) -> str:
        """The column's name as the export has it."""
        return next((column.name for column in self.columns if column.fills == filled), filled)

    def may_be_told(self, filled: str) -> bool:
        """On a terminal, and so perhaps in a log: whether it is of no patient, and says something as it is."""
        column = next((column for column in self.columns if column.fills == filled), None)
        is_of_patients = self.model in (Patient, PhoneRow, Appointment)
        return column is not None and not (is_of_patients or column.is_personal or filled in self.references)


def find_template_problem(body: str) -> str | None:
    """Why a template can only be a draft; None where it can be used."""
    if not body.strip():
        return "it has no text."
    try:
        compile_template(body)
    except TemplateError as error:
        return str(error)
    return None


ID = Column("id", "external_id", read_required_text, is_personal=True)

BUSINESSES = Table(
    "businesses.csv",
    Business,
    (
        ID,
        Column("name", "name", read_required_text),
        Column("timezone", "timezone", read_zone),
        Column("contact_number", "contact_number", read_text),
        Column("sms_reminders", "sms_reminders", read_on_off),
    ),
)
PRACTITIONERS = Table(
    "practitioners.csv",
    Practitioner,
    (
        ID,
        Column("title", "title", read_text, is_personal=True),
        Column("first_name", "first_name", read_text, is_personal=True),
        Column("last_name", "last_name", read_text, is_personal=True),
    ),
)
SMS_TEMPLATES = Table(
    "sms_templates.csv",
    SmsTemplate,
    (ID, Column("name", "name", read_required_text), Column("body", "body", read_body)),
    derive=lambda row: {"problem": find_template_problem(row["body"])},
)
APPOINTMENT_TYPES = Table(
    "appointment_types.csv",
    AppointmentType,
    (
        ID,
        Column("name", "name", read_required_text),
        Column("duration_minutes", "duration_minutes", read_minutes),
        Column("reminder_template", "reminder_template_id", read_template_reference),
    ),
    references={"reminder_template_id": SMS_TEMPLATES},
)
PATIENTS = Table(
    "patients.csv",
    Patient,
    (
        ID,
        Column("first_name", "first_name", read_text, is_personal=True),
        Column("last_name", "last_name", read_text, is_personal=True),
        Column("date_of_birth", "date_of_birth", read_birth_date, is_personal=True),
        Column("email", "email", read_text, is_personal=True),
        Column("automated_reminder", "preference", read_own_preference),
        Column("archived", "archived", read_archived),
    ),
    derive=lambda row: {"searched": searched_name(row["first_name"], row["last_name"])},
)
PHONE_NUMBERS = Table(
    "phone_numbers.csv",
    PhoneRow,
    (
        Column("patient_id", "patient_id", read_required_text, is_personal=True),
        Column("type", "type", read_phone_type),
        Column("number", "number", read_text, is_personal=True),
    ),
    references={"patient_id": PATIENTS},
)
APPOINTMENTS = Table(
    "appointments.csv",
    Appointment,
    (
        ID,
        Column("business_id", "business_id", read_required_text),
        Column("practitioner_id", "practitioner_id", read_required_text),
        Column("appointment_type_id", "appointment_type_id", read_required_text),
        Column("patient_id", "patient_id", read_required_text, is_personal=True),
        Column("starts_at", "starts_at", read_as_it_is, is_personal=True),
        Column("ends_at", "ends_at", read_as_it_is, is_personal=True),
        Column("booked_at", "booked_at", read_as_it_is, is_personal=True),
        Column("cancelled_at", "cancelled_at", read_as_it_is, is_personal=True),
    ),
    references={
        "business_id": BUSINESSES,
        "practitioner_id": PRACTITIONERS,
        "appointment_type_id": APPOINTMENT_TYPES,
        "patient_id": PATIENTS,
    },
)

# Each after those that it refers to.
IN_ORDER = (
    BUSINESSES,
    PRACTITIONERS,
    SMS_TEMPLATES,
    APPOINTMENT_TYPES,
    PATIENTS,
    PHONE_NUMBERS,
    APPOINTMENTS,
)
