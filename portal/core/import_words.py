"""What an import speaks of, in the words of staff: an export's files, their columns, and what stands in them."""

from datetime import date, datetime
from typing import Any

from portal.core.numbers import country_name
from portal.core.phrases import counted, day_and_time, hour, plain
from portal.core.text import MONTHS
from portal.core.timing import local

FILES = {
    "practice.json": "Practice",
    "businesses.csv": "Businesses",
    "practitioners.csv": "Practitioners",
    "sms_templates.csv": "Templates",
    "appointment_types.csv": "Appointment types",
    "patients.csv": "Patients",
    "phone_numbers.csv": "Phone numbers",
    "appointments.csv": "Appointments",
}
_COLUMNS = {
    "default_reminder": "What patients without a wish get",
    "lead_days": "Days ahead",
    "window_start": "Hour of reminders",
    "sender": "Whom texts come from",
    "timezone": "Time zone",
    "sms_reminders": "Reminders",
    "body": "Text",
    "duration_minutes": "Length",
    "reminder_template": "Template",
    "automated_reminder": "Preference",
    "type": "Filed as",
    "position": "Place among the numbers",
    "business_id": "Business",
    "practitioner_id": "Practitioner",
    "appointment_type_id": "Appointment type",
    "patient_id": "Patient",
    "starts_at": "Begins",
    "ends_at": "Ends",
    "booked_at": "Booked",
    "cancelled_at": "Cancelled",
}
_NOTHING = {
    "automated_reminder": "the practice’s default",
    "cancelled_at": "no",
    "reminder_template": "None",
}
_SENDING = {"on": "On", "paused": "Paused", "rehearsal": "Rehearsal"}
_LONGEST = {"body": 700}
_APART = 10_000  # places of the numbers of one who was merged are so many further on


def column_in_words(column: str) -> str:
    """`Preference` for `automated_reminder`."""
    return _COLUMNS.get(column) or column.replace("_", " ").capitalize()


def value_in_words(column: str, value: Any, zone: str | None) -> str:
    """A value as the import keeps it (JSON). `zone`: in which instants are said; a beginning and an end are local."""
    if value is None or value == "":
        return _NOTHING.get(column, "nothing")
    if isinstance(value, bool):
        return ("On" if value else "Off") if column == "sms_reminders" else "yes" if value else "no"
    if isinstance(value, int):
        return _number_in_words(column, value)
    text = str(value)
    if column in ("starts_at", "ends_at"):
        return day_and_time(datetime.fromisoformat(text), None)
    if column in ("booked_at", "cancelled_at"):
        at = datetime.fromisoformat(text)
        return day_and_time(local(at, zone) if zone else at, None)
    if column == "date_of_birth":
        born = date.fromisoformat(text)
        return f"{born.day} {MONTHS[born.month - 1]} {born.year}"
    if column == "country":
        return country_name(text)
    return _SENDING[text] if column == "sending" and text in _SENDING else plain(text, _LONGEST.get(column, 80))


def _number_in_words(column: str, value: int) -> str:
    if column == "window_start":
        return hour(value)
    if column == "lead_days":
        return counted(value, "day")
    if column == "duration_minutes":
        return counted(value, "minute")
    return str(value % _APART + 1) if column == "position" else str(value)
