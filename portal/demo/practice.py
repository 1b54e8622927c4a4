"""The demo practice as an export folder: invented people, with one for every reason and outcome."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

from portal.demo.cities import City

PRACTICE = "harbour"
OPENING_CREDITS = 20
STANDARD, DRY_NEEDLING, MASSAGE, HYDROTHERAPY = "1", "2", "3", "4"
MAIN, ANNEX = "1", "2"


@dataclass(frozen=True, slots=True)
class Numbers:
    """Set aside for fiction, by what the stand-in for the provider does with them."""

    good: tuple[str, ...]
    landline: str
    too_short: str
    opted_out: str
    refused: str
    dropped: str
    account: str
    dead: str
    sender: str
    # Whose phones answer a reminder; the last is on nobody's record.
    says_yes: str
    asks: str
    says_stop: str
    family: str
    unknown: str


NUMBERS = {
    "AU": Numbers(
        good=("0491 570 006", "0491 570 110"),
        landline="(02) 5550 1234",
        too_short="0491 570 15",
        account="0491 570 156",
        dead="0491 571 266",
        dropped="0491 570 157",
        refused="0491 570 158",
        opted_out="0491 570 159",
        sender="+61491570313",
        says_yes="0491 570 737",
        asks="0491 571 491",
        says_stop="0491 571 804",
        family="0491 572 549",
        unknown="0491 572 665",
    ),
    "US": Numbers(
        good=tuple(f"(202) 555-01{ending:02}" for ending in range(1, 30)),
        landline="(202) 555-0150",
        too_short="(202) 555-01",
        account="(202) 555-0156",
        dead="(202) 555-0155",
        dropped="(202) 555-0157",
        refused="(202) 555-0158",
        opted_out="(202) 555-0159",
        sender="+12025550199",
        says_yes="(202) 555-0131",
        asks="(202) 555-0132",
        says_stop="(202) 555-0133",
        family="(202) 555-0134",
        unknown="(202) 555-0135",
    ),
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One patient's appointment, `day` days from today. `phones`: (type, number) in the order entered; None: a
    good mobile."""

    day: int
    at: str
    name: str
    phones: tuple[tuple[str, str], ...] | None = None
    type: str = STANDARD
    business: str = MAIN
    preference: str = ""
    archived: str = ""
    booked_day: int = -20
    booked_at: str = "14:05"
    cancelled_day: int | None = None
    moved_to_day: int | None = None  # after yesterday's first pass


# What happens to these two between yesterday's first pass and its sending.
CANCELLED_LATE = "Ewa Nowak"
MOVED_LATE = "Samir Haddad"
# Yesterday the provider could not be reached for this one.
NEVER_REACHED = "Joan Ferris"
# With the account refused for a minute it waits; after it the credits run out.
LAST_WITH_CREDITS = "Otis Grant"


def visits(numbers: Numbers) -> tuple[Visit, ...]:
    mobile = "Mobile"
    tomorrow = (
        Visit(1, "08:00", "Mia Nguyen"),
        Visit(1, "08:15", "Tomás Rivera", (("Home", numbers.good[0]),)),
        Visit(1, "08:30", "Grace Okafor", (("Home", numbers.landline), ("Work", numbers.landline))),
        Visit(1, "08:45", "Liam O'Brien", ((mobile, numbers.too_short),)),
        Visit(1, "09:00", "Aroha Tane", preference="Email"),
        Visit(1, "09:15", "Henrik Lund", preference="None"),
        Visit(1, "09:30", "Vera Popova", archived="yes"),
        Visit(1, "09:45", "Noah Kim", ((mobile, numbers.opted_out),)),
        Visit(1, "10:00", "Ivy Kim", ((mobile, numbers.opted_out),), preference="SMS"),
        Visit(1, "10:15", "Łukasz Øverland", type=DRY_NEEDLING),
        Visit(1, "10:30", "Chiara Rossi", type=MASSAGE),
        Visit(1, "10:45", "Ben Adeyemi", business=ANNEX),
        Visit(1, "11:00", "Rosa Silva", (), type=DRY_NEEDLING, business=ANNEX, preference="Email", archived="yes"),
        Visit(1, "11:15", "Dieter Braun", ((mobile, numbers.refused),)),
        Visit(1, "11:30", "Fatima Zahra", ((mobile, numbers.dropped),)),
        Visit(1, "11:45", "Ruth Cohen", cancelled_day=-2),
        Visit(1, "12:00", "Zoë Martin", ((mobile, numbers.family),), type=HYDROTHERAPY),
        Visit(1, "12:15", "Arjun Patel", ((mobile, numbers.asks),)),
        Visit(1, "12:30", "Mei Chen", ((mobile, numbers.says_yes),)),
        Visit(1, "13:00", "Owen Hughes", ((mobile, numbers.says_stop),)),
        Visit(1, "14:00", LAST_WITH_CREDITS, ((mobile, numbers.account),)),
        Visit(1, "15:00", "Petra Novak", type=HYDROTHERAPY),
        Visit(1, "15:30", "Kofi Mensah"),
        Visit(1, "16:00", "Hannah Weiss"),
    )
    today = (
        Visit(0, "13:30", "Sofia Costa"),
        Visit(0, "14:00", "Jack Murray"),
        Visit(0, "14:30", CANCELLED_LATE),
        Visit(0, "15:00", MOVED_LATE, moved_to_day=1),
        Visit(0, "15:30", "Amara Diallo", booked_day=-1, booked_at="16:20"),
        Visit(0, "16:00", NEVER_REACHED),
    )
    earlier = (
        Visit(-4, "09:00", "Elif Yılmaz"),
        Visit(-4, "10:00", "Paul Leclerc", ((mobile, numbers.family),)),
        Visit(-3, "09:30", "Mia Nguyen"),
        Visit(-3, "11:00", "Jack Murray"),
        Visit(-2, "09:00", "Sofia Costa"),
        Visit(-2, "10:30", "Arjun Patel"),
        Visit(-1, "09:00", "Mei Chen"),
        Visit(-1, "14:00", "Owen Hughes"),
        Visit(2, "09:00", "Elif Yılmaz"),
        Visit(2, "10:00", "Grace Okafor", (("Home", numbers.landline),)),
        Visit(3, "09:30", "Paul Leclerc"),
        # Booked six times over by mistake.
        *(Visit(-2, f"{hour}:00", "Priya Shah") for hour in range(11, 17)),
        Visit(1, "17:00", "Leo Fischer", ((mobile, numbers.dead),)),
    )
    return tomorrow + today + earlier


def replies(numbers: Numbers) -> tuple[tuple[str, str, str], ...]:
    """(whose reminder is answered, from which number, with what)."""
    return (
        (numbers.says_yes, numbers.says_yes, "Yes, thank you"),
        (numbers.asks, numbers.asks, "Is there somewhere to park nearby? I come by car this time"),
        (numbers.family, numbers.family, "Which of us is it tomorrow, Paul or me?"),
        (numbers.good[0], numbers.unknown, "I have a new phone. Please text this number from now on"),
        (numbers.says_stop, numbers.says_stop, "STOP"),
    )


def write_export(folder: Path, city: City, today: date, *, after_the_first_pass: bool) -> None:
    """Of yesterday: as the practice's own software had it before, or after the day's first pass."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    numbers = NUMBERS[city.country]
    (folder / "practice.json").write_text(
        json.dumps(
            {
                "id": PRACTICE,
                "name": "Harbour Physiotherapy",
                "country": city.country,
                "default_reminder": "SMS",
                "lead_days": 1,
                "window_start": "10:00",
                "credits": OPENING_CREDITS,
                "sending": "rehearsal",
                "sender": numbers.sender,
            },
            indent=1,
        )
    )
    contact = numbers.landline
    _write(
        folder / "businesses.csv",
        ("id", "name", "timezone", "contact_number", "sms_reminders"),
        [(MAIN, "Harbour Clinic", city.zone, contact, "On"), (ANNEX, "Harbour Annex", city.zone, contact, "Off")],
    )
    _write(folder / "practitioners.csv", ("id", "title", "first_name", "last_name"), [("1", "Dr", "Helen", "Marsh")])
    _write(folder / "sms_templates.csv", ("id", "name", "body"), _TEMPLATES)
    _write(folder / "appointment_types.csv", ("id", "name", "duration_minutes", "reminder_template"), _TYPES)
    people = _people(visits(numbers))
    _write(
        folder / "patients.csv",
        ("id", "first_name", "last_name", "date_of_birth", "email", "automated_reminder", "archived"),
        [
            (id_, *visit.name.split(" ", 1), "1980-01-01", f"p{id_}@example.org", visit.preference, visit.archived)
            for id_, visit in people.values()
        ],
    )
    _write(folder / "phone_numbers.csv", ("patient_id", "type", "number"), _phones(people.values(), numbers))
    _write(
        folder / "appointments.csv",
        (
            *("id", "business_id", "practitioner_id", "appointment_type_id", "patient_id"),
            *("starts_at", "ends_at", "booked_at", "cancelled_at"),
        ),
        [
            _appointment(str(number), visit, people[visit.name][0], today, after_the_first_pass)
            for number, visit in enumerate(visits(numbers), 5001)
        ],
    )


_TEMPLATES = [
    (
        "1",
        "Standard",
        "Hi {{Patient.FirstName}}, a reminder of your appointment at {{Business.Name}} on {{Appointment.Date}} at "
        "{{Appointment.StartTime}}. Call {{Business.ContactNumber}} to change it.",
    ),
    (
        "2",
        "Hydrotherapy",
        "Hi {{Patient.FirstName}}, see you for hydrotherapy at {{Business.Name}} on {{Appointment.Date}} at "
        "{{Appointment.StartTime}}. Please bring a towel and swimwear 🏊 and come ten minutes early.",
    ),
    ("3", "Massage (draft)", "Hi {{Patient.Nickname}}, see you {{Appointment.DateShort}}."),
]
_TYPES = [
    (STANDARD, "Initial consultation", "30", "1"),
    (DRY_NEEDLING, "Dry needling", "30", "None"),
    (MASSAGE, "Massage", "45", "3"),
    (HYDROTHERAPY, "Hydrotherapy", "30", "2"),
]


def _people(all_: Iterable[Visit]) -> dict[str, tuple[str, Visit]]:
    """By name: the patient's id, and the visit that says most of them."""
    people: dict[str, tuple[str, Visit]] = {}
    for visit in all_:
        people.setdefault(visit.name, (str(1001 + len(people)), visit))
    return people


def _phones(people: Iterable[tuple[str, Visit]], numbers: Numbers) -> Iterator[tuple[str, str, str]]:
    for count, (id_, visit) in enumerate(people):
        phones = visit.phones
        if phones is None:
            phones = (("Mobile", numbers.good[count % len(numbers.good)]),)
        yield from ((id_, type_, number) for type_, number in phones)


def _appointment(id_: str, visit: Visit, patient: str, today: date, after_the_first_pass: bool) -> tuple[str, ...]:
    day, cancelled_at = visit.day, ""
    if visit.cancelled_day is not None:
        cancelled_at = _wall(today, visit.cancelled_day, "11:00")
    if after_the_first_pass and visit.name == CANCELLED_LATE:
        cancelled_at = _wall(today, -1, "10:03")
    if after_the_first_pass and visit.moved_to_day is not None:
        day = visit.moved_to_day
    starts = _wall(today, day, visit.at)
    ends = f"{datetime.fromisoformat(starts) + timedelta(minutes=30):%Y-%m-%d %H:%M}"
    booked_at = _wall(today, visit.booked_day, visit.booked_at)
    return (id_, visit.business, "1", visit.type, patient, starts, ends, booked_at, cancelled_at)


def _wall(today: date, day: int, at: str) -> str:
    return f"{datetime.combine(today + timedelta(days=day), time.fromisoformat(at)):%Y-%m-%d %H:%M}"


def _write(path: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
