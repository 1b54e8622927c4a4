"""What the benchmark's practices look like: who their patients are, and what stops a reminder.

Every practice is alike but for a few; a patient is known by a number from 0, a day by one from 0 on, an
appointment of the day by its place from 0.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

from portal.core.numbers import PhoneNumber, PhoneType, parse_number
from portal.core.reminders import Decision, Facts, Preference, Sending, decide
from portal.core.text import Details, compile_template
from portal.core.timing import resolve

ZONE = "Australia/Sydney"
FIRST_DAY = date(2031, 1, 6)
APPOINTMENTS = 100  # of a practice a day
PATIENTS = 400
PRACTITIONERS = 5
PLENTY, FEW = 1_000_000, 60  # credits

# Set aside for fiction: Australia's, and a hundred of the United States', so that numbers are as many as
# patients. The last of each has asked for no texts.
AUSTRALIAN = tuple(f"0491 570 {ending}" for ending in ("006", "110", "156", "157", "158", "159"))
AMERICAN = tuple(f"+1 202-555-01{ending:02}" for ending in range(100))
LANDLINE = "02 5550 1234"
INCOMPLETE = "0491 570 15"

# One part, two and three.
TEMPLATES = (
    "Hi {{Patient.FirstName}}, a reminder of your {{AppointmentType.Name}} at {{Business.Name}} on "
    "{{Appointment.DateShort}} at {{Appointment.StartTime}}. Call {{Business.ContactNumber}} to change it.",
    "Dear {{Patient.FullName}}, this is a reminder of your {{AppointmentType.Name}} with "
    "{{Practitioner.FullNameWithTitle}} at {{Business.Name}} on {{Appointment.Date}} from {{Appointment.StartTime}} "
    "to {{Appointment.EndTime}}. Please come ten minutes early. Call {{Business.ContactNumber}} to change it.",
    "Chère {{Patient.FullName}}, nous vous attendons pour votre {{AppointmentType.Name}} avec "
    "{{Practitioner.FullName}}, {{Business.Name}}, le {{Appointment.DateShort}} à {{Appointment.StartTime}} "
    "(ça ne vous convient pas ? {{Business.ContactNumber}}).",
)
# Each appointment type's template; None sends nothing.
TYPES = (0, 1, 2, None)
# The types of a practice's day, in turn.
_TYPE_OF = (0, 0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 0, 1, 0, 0, 2, 0, 0, 1, 3)


def practice_id(number: int) -> str:
    return f"clinic-{number:04}"


def sending(practice: int) -> Sending:
    return Sending.REHEARSAL if practice % 50 == 7 else Sending.ON


def business_sends(practice: int) -> bool:
    return practice % 50 != 13


def credits(practice: int) -> int:
    return FEW if practice % 20 == 3 else PLENTY


def _ordinal(patient: int) -> int:
    return patient % APPOINTMENTS


def patient_of(day: int, place: int) -> int:
    return (day * APPOINTMENTS + place) % PATIENTS


def type_of(place: int) -> int:
    return _TYPE_OF[place % len(_TYPE_OF)]


def preference(patient: int) -> Preference | None:
    return {5: Preference.EMAIL, 6: Preference.EMAIL, 7: Preference.NONE, 8: Preference.SMS}.get(_ordinal(patient))


def is_archived(patient: int) -> bool:
    return _ordinal(patient) == 9


def has_opted_out(patient: int) -> bool:
    """As recorded by staff, whatever the number."""
    return _ordinal(patient) == 10


def landline(patient: int) -> str:
    """Set aside for fiction too: ten thousand of them."""
    return f"02 5550 {patient % 10_000:04}"


def numbers(patient: int) -> list[tuple[PhoneType, str]]:
    ordinal = _ordinal(patient)
    if ordinal in (0, 1, 2):
        return [(PhoneType.HOME, landline(patient))]
    if ordinal in (3, 4):
        return [(PhoneType.MOBILE, INCOMPLETE)]
    if ordinal == 11:
        return [(PhoneType.MOBILE, AUSTRALIAN[-1])]
    mobile = AUSTRALIAN[ordinal % 5] if ordinal % 3 == 0 else AMERICAN[ordinal]
    home = [(PhoneType.HOME, landline(patient))] if ordinal % 3 == 1 else []
    return [*home, (PhoneType.MOBILE, mobile)]


OPTED_OUT_NUMBERS = tuple(parse_number(raw, "AU").e164 for raw in (AUSTRALIAN[-1], AMERICAN[-1]))


@dataclass(frozen=True, slots=True)
class Slot:
    """An appointment's times, the same in every practice."""

    starts_wall: datetime
    ends_wall: datetime
    starts_at: datetime
    ends_at: datetime


def slot(day: int, place: int) -> Slot:
    midnight = datetime.combine(FIRST_DAY, datetime.min.time()) + timedelta(days=day)
    starts = midnight + timedelta(hours=8, minutes=5 * place)
    ends = starts + timedelta(minutes=30)
    return Slot(starts, ends, resolve(starts, ZONE), resolve(ends, ZONE))


def pass_at(day: int) -> datetime:
    """The instant at which the reminders of that day's appointments go: 10 AM on the day before."""
    wall = datetime.combine(FIRST_DAY, datetime.min.time()) + timedelta(days=day - 1, hours=10)
    return resolve(wall, ZONE).astimezone(UTC)


def decision(day: int, place: int) -> Decision:
    """What an ordinary practice decides about an appointment."""
    patient, kind = patient_of(day, place), type_of(place)
    template, times = TYPES[kind], slot(day, place)
    facts = Facts(
        sending=Sending.ON,
        business_reminders_on=True,
        template=None if template is None else compile_template(TEMPLATES[template]),
        numbers=[PhoneNumber(type_, raw, **_parsed(raw)) for type_, raw in numbers(patient)],
        countries=frozenset({"AU", "US"}),
        preference=preference(patient),
        default_preference=Preference.SMS,
        patient_opted_out=has_opted_out(patient),
        opted_out_numbers=frozenset(number for number in OPTED_OUT_NUMBERS if number),
        archived=is_archived(patient),
        details=Details(
            patient_first_name=f"Mia {patient}",
            patient_last_name="Nguyen",
            practitioner_title="Dr",
            practitioner_first_name="Helen",
            practitioner_last_name="Marsh",
            business_name="Clinic",
            business_contact_number=LANDLINE,
            appointment_type_name=f"Consultation {kind}",
            starts_local=times.starts_wall,
            ends_local=times.ends_wall,
            country="AU",
        ),
    )
    return decide(facts, PLENTY)


@cache
def _parsed(raw: str) -> dict[str, Any]:
    return asdict(parse_number(raw, "AU"))
