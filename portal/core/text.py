"""Fill a template with an appointment's details, and count the SMS parts of the result."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from typing import Literal, NamedTuple

# Not from the calendar module: its names follow the host's locale.
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class Details:
    """What a template may speak of. The two times are wall times at the business."""

    patient_first_name: str
    patient_last_name: str
    practitioner_title: str
    practitioner_first_name: str
    practitioner_last_name: str
    business_name: str
    business_contact_number: str
    appointment_type_name: str
    starts_local: datetime
    ends_local: datetime
    country: str  # ISO 3166, of the practice

    @property
    def patient(self) -> str:
        return _joined(self.patient_first_name, self.patient_last_name)


_VALUES: dict[str, Callable[[Details], str]] = {
    "Patient.FirstName": lambda d: d.patient_first_name,
    "Patient.LastName": lambda d: d.patient_last_name,
    "Patient.FullName": lambda d: d.patient,
    "Practitioner.FullName": lambda d: _joined(d.practitioner_first_name, d.practitioner_last_name),
    "Practitioner.FullNameWithTitle": lambda d: _joined(
        d.practitioner_title, d.practitioner_first_name, d.practitioner_last_name
    ),
    "Business.Name": lambda d: d.business_name,
    "Business.ContactNumber": lambda d: d.business_contact_number,
    "AppointmentType.Name": lambda d: d.appointment_type_name,
    "Appointment.Date": lambda d: _long_date(d.starts_local),
    "Appointment.DateShort": lambda d: _short_date(d.starts_local, d.country),
    "Appointment.StartTime": lambda d: _clock_time(d.starts_local),
    "Appointment.EndTime": lambda d: _clock_time(d.ends_local),
}

PLACEHOLDERS: tuple[str, ...] = tuple(_VALUES)


class _Values(Mapping[str, str]):
    """Worked out on lookup: a template uses few of the placeholders, a pass fills many templates."""

    __slots__ = ("_details",)

    def __init__(self, details: Details) -> None:
        self._details = details

    def __getitem__(self, name: str) -> str:
        return _VALUES[name](self._details)

    def __iter__(self) -> Iterator[str]:
        return iter(_VALUES)

    def __len__(self) -> int:
        return len(_VALUES)


def values(details: Details) -> Mapping[str, str]:
    """Every placeholder's value, in the formats that clinics know: 9:30am, Thursday 8 May 2031."""
    return _Values(details)


def _joined(*names: str) -> str:
    return " ".join(name.strip() for name in names if name.strip())


def _long_date(day: date) -> str:
    return f"{WEEKDAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]} {day.year}"


def _short_date(day: date, country: str) -> str:
    first, second = (day.month, day.day) if country == "US" else (day.day, day.month)
    return f"{first:02}/{second:02}/{day.year}"


def _clock_time(time: datetime) -> str:
    return f"{time.hour % 12 or 12}:{time.minute:02}{'am' if time.hour < 12 else 'pm'}"


class TemplateError(ValueError):
    """A template that cannot be used. `unknown` holds what stands between its faulty braces, shortened."""

    def __init__(self, message: str, unknown: tuple[str, ...]) -> None:
        super().__init__(message)
        self.unknown = unknown


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text and placeholder names in turn, beginning and ending with literal text."""

    pieces: tuple[str, ...]
    placeholders: frozenset[str]

    def fill(self, values: Mapping[str, str]) -> str:
        """The text. Braces within a value are text. Raises KeyError where a value is missing."""
        filled = list(self.pieces)
        for i in range(1, len(filled), 2):
            filled[i] = values[filled[i]]
        return "".join(filled)


def compile_template(body: str) -> Template:
    """Cut a template at its placeholders. Raises TemplateError where one is unknown or not closed."""
    literal, *openings = body.split("{{")
    pieces = [literal]
    faulty: dict[str, bool] = {}  # what stands between the braces: whether they are closed
    for opening in openings:
        inside, closing, literal = opening.partition("}}")
        name = inside.strip()
        if not closing or name not in _VALUES:
            faulty.setdefault(_shortened(name), bool(closing))
        pieces += (name, literal)
    if faulty:
        raise TemplateError(_fault(*next(iter(faulty.items())), more=len(faulty) - 1), tuple(faulty))
    return Template(tuple(pieces), frozenset(pieces[1::2]))


def _fault(name: str, is_closed: bool, more: int) -> str:
    others = f" {more} more cannot be used either." if more else ""
    if not is_closed:
        return f'"{{{{{name}" is not closed with }}}}.{others}'
    alike = get_close_matches(name, PLACEHOLDERS, n=1)
    advice = f"did you mean {{{{{alike[0]}}}}}?" if alike else f"use one of {', '.join(PLACEHOLDERS)}."
    return f"{{{{{name}}}}} is not a placeholder: {advice}{others}"


def _shortened(inside: str) -> str:
    return "".join(char if char.isprintable() else " " for char in inside[:60]).strip()


# GSM 03.38's basic table without its escape, which is no character; and its extension table.
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = "\f^{}\\[~]|€"
_GSM = re.compile(f"[{re.escape(_BASIC + _EXTENSION)}]*")
_FOREIGN = re.compile(f"[^{re.escape(_BASIC + _EXTENSION)}]")
_EXTENDED = re.compile(f"[{re.escape(_EXTENSION)}]")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


class Measure(NamedTuple):
    """What a text costs: `units` are septets or UTF-16 units, without the headers of its parts."""

    parts: int
    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    dearest: str | None  # the first character outside GSM-7, which makes the whole text UCS-2
    left: int  # so many units more fit into its last part


def measure(text: str) -> Measure:
    """Count SMS parts by GSM 03.38. An empty text counts as one part: it would go as one message."""
    within_gsm = _GSM.match(text)
    end = within_gsm.end() if within_gsm else 0
    if end == len(text):
        septets = _EXTENDED.sub("\x1b.", text)
        parts, left = _divided(septets, "\x1b", 160, 153)
        return Measure(parts, "GSM-7", len(septets), None, left)
    units = _ASTRAL.sub("\ud800\udc00", text)
    parts, left = _divided(units, "\ud800", 70, 67)
    return Measure(parts, "UCS-2", len(units), text[end], left)


def count_parts(text: str) -> int:
    """How many SMS parts, and so credits, the text costs."""
    return measure(text).parts


def count_parts_in_gsm(text: str) -> int:
    """How many it would cost with a plain letter in place of each character outside GSM-7."""
    return count_parts(_FOREIGN.sub("?", text))


def _divided(units: str, first_half: str, alone: int, each: int) -> tuple[int, int]:
    """The parts, and what is left in the last. `first_half` opens a pair of units that must stay in one part."""
    if len(units) <= alone:
        return 1, alone - len(units)
    parts = start = 0
    while start < len(units):
        start += each
        if units[start - 1 : start] == first_half:
            start -= 1
        parts += 1
    return parts, start - len(units)
