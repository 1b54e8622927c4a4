"""A list of appointments with their patients, as another program wrote it: what its columns hold, and how its dates,
times and names are read. Staff say it once. Nothing is guessed but what a heading says by itself, which they see."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any

from portal.core.text import MONTHS
from portal.core.timing import check_year

SEPARATORS = {",": "Comma ,", ";": "Semicolon ;", "\t": "Tab"}
ENCODINGS = {"utf-8": "UTF-8", "cp1252": "Windows-1252"}


class DateOrder(StrEnum):
    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"
    YEAR_FIRST = "year-first"


ORDERS_IN_WORDS = {
    DateOrder.DAY_FIRST: "Day first: 31/12/2031",
    DateOrder.MONTH_FIRST: "Month first: 12/31/2031",
    DateOrder.YEAR_FIRST: "Year first: 2031-12-31",
}
_LIKE = {
    DateOrder.DAY_FIRST: "with the day first, like 31/12/2031",
    DateOrder.MONTH_FIRST: "with the month first, like 12/31/2031",
    DateOrder.YEAR_FIRST: "with the year first, like 2031-12-31",
}

# What a column may hold, in the order in which staff are asked.
FIELDS = {
    "date": "Date of the appointment (its time may stand there, too)",
    "start": "Start time",
    "end": "End time",
    "minutes": "Length in minutes",
    "name": "Patient’s full name",
    "first_name": "Patient’s first name",
    "last_name": "Patient’s last name",
    "mobile": "Mobile number",
    "phone": "Home number",
    "email": "Email",
    "birth_date": "Date of birth",
    "patient_id": "Patient’s number in your software",
    "appointment_id": "Appointment’s number in your software",
    "business": "Business",
    "practitioner": "Practitioner",
    "type": "Appointment type",
    "status": "Whether it is cancelled",
}
_USUAL = {
    "date": "date",
    "time": "start",
    "start time": "start",
    "end time": "end",
    "patient": "name",
    "first name": "first_name",
    "last name": "last_name",
    "mobile": "mobile",
    "mobile number": "mobile",
    "email": "email",
    "date of birth": "birth_date",
    "business": "business",
    "practitioner": "practitioner",
    "appointment type": "type",
}
PLACES = ("business", "practitioner", "type")  # may be the same for all rows


@dataclass(frozen=True, slots=True)
class Matching:
    """`columns`: field to heading, in lower case. `same`: for those of PLACES that no column holds, the name for all
    rows. `zone`, `template`: of businesses and appointment types that are new; `template` is the export's id."""

    separator: str = ","
    encoding: str = "utf-8"
    dates: DateOrder | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    cancelled: str = "Cancelled"
    zone: str = ""
    template: str = ""

    @property
    def cancelled_words(self) -> frozenset[str]:
        """Folded. A blank is never one of them."""
        return frozenset(word for part in self.cancelled.split(",") if (word := folded(part)))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def find_problem(self) -> tuple[str, str] | None:
        """What is still to be said: (field of the form, in words)."""
        columns = self.columns
        if self.dates is None:
            return "dates", "Choose how the dates are written."
        if "date" not in columns:
            return "date", "Choose the column with the date."
        if not {"name", "first_name", "last_name"} & columns.keys():
            return "name", "Choose the column with the patient’s name."
        if "name" in columns and {"first_name", "last_name"} & columns.keys():
            return "name", "Choose either the full name, or the first and the last name."
        for place in PLACES:
            if place not in columns and not self.same.get(place):
                return place, f"Choose the column, or type the {FIELDS[place].lower()} of all rows."
        if "status" in columns and not self.cancelled_words:
            return "cancelled", "Type the word that stands there where it is cancelled."
        used = list(columns.values())
        for name, heading in columns.items():
            if used.count(heading) > 1 and name not in ("date", "start", "end"):
                return name, "This column is chosen twice."
        return None


def usual_columns(headings: Iterable[str]) -> dict[str, str]:
    """Field to heading, in lower case, where a heading is called as what it holds."""
    columns: dict[str, str] = {}
    for heading in map(str.casefold, headings):
        if heading in _USUAL:
            columns.setdefault(_USUAL[heading], heading)
    if {"first_name", "last_name"} & columns.keys():
        columns.pop("name", None)  # beside these it is hardly the name once more
    return columns


def matching_from(stored: Mapping[str, Any]) -> Matching:
    dates = stored.get("dates")
    return Matching(**{**stored, "dates": DateOrder(dates) if dates else None})


# --- dates and times ----------------------------------------------------------------------------------------

_WEEKDAY = re.compile(r"^[^\W\d]{2,9}\.?,?\s+(?=\d)")
_NUMBERS = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?![\d:])\.?")
_IN_WORDS = re.compile(r"(\d{1,2})\.?[ -]([A-Za-z]{3,9})\.?,?[ -](\d{4})")
_CLOCK = re.compile(r"(\d{1,2})(?:[:.h](\d{2}))?(?:[:.]\d{2}(?:\.\d+)?)?\s*([ap])?\.?(?:m\.?)?", re.IGNORECASE)
_OFFSET = re.compile(r"\d\s*(Z|[+-]\d{2}:?\d{2})$", re.IGNORECASE)
_MONTHS = {name[:3].lower(): str(number) for number, name in enumerate(MONTHS, 1)}
_TWO_DIGITS = "its year has two digits: write all four, like 1961, or choose “No column” for the date of birth."


def read_day(text: str, order: DateOrder) -> date:
    """A date of birth. Raises ValueError where it is not written so."""
    day, rest = _split_day(text, order, is_near=False)
    if rest:
        raise ValueError(f"not a date alone, {_LIKE[order]}.")
    return day


def read_moment(text: str, clock: str | None, order: DateOrder) -> datetime:
    """A date with its time, which stands beside it or in a column of its own. Raises ValueError."""
    day, rest = _split_day(text, order, is_near=True)
    if clock is None and not rest:
        raise ValueError("there is no time beside the date: choose the column that holds it.")
    return datetime.combine(day, read_clock(rest if clock is None else clock))


def read_end(text: str, starts: datetime, order: DateOrder) -> datetime:
    """A time of the day on which it starts, or a date with its time. Raises ValueError."""
    text = text.strip()
    if _CLOCK.fullmatch(text) and not _NUMBERS.match(text):
        return datetime.combine(starts.date(), read_clock(text))
    return read_moment(text, None, order)


def read_clock(text: str) -> time:
    """9:30, 09.30, 9:30 am, 2pm, 14:00:00. Raises ValueError."""
    if found := _OFFSET.search(text.strip()):
        raise ValueError(f"write it as the clock at the business shows it, without “{found[1]}”.")
    found = _CLOCK.fullmatch(text.strip())
    half = found[3].lower() if found and found[3] else ""
    if not found or not (found[2] or half):
        raise ValueError("not a time like 9:30, 14:05 or 2:05pm.")
    hour, minute = int(found[1]), int(found[2] or 0)
    if minute > 59 or hour > 23 or (half and not 1 <= hour <= 12):
        raise ValueError("not a time like 9:30, 14:05 or 2:05pm.")
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return time(hour, minute)


def _split_day(text: str, order: DateOrder, *, is_near: bool) -> tuple[date, str]:
    """The date, and what follows it. `is_near`: a year of two digits can only be of this century."""
    text = _WEEKDAY.sub("", " ".join(text.split()))
    if found := _IN_WORDS.match(text):
        year, month, number = found[3], _MONTHS.get(found[2][:3].lower(), ""), found[1]
    elif found := _NUMBERS.match(text):
        parts = (found[1], found[3], found[4])
        year, month, number = {
            DateOrder.DAY_FIRST: (parts[2], parts[1], parts[0]),
            DateOrder.MONTH_FIRST: (parts[2], parts[0], parts[1]),
            DateOrder.YEAR_FIRST: parts,
        }[order]
    if not found or len(year) not in (2, 4) or not 1 <= len(month) <= 2 or len(number) > 2:
        raise ValueError(f"not a date {_LIKE[order]}.")
    if len(year) == 2:
        if not is_near:
            raise ValueError(_TWO_DIGITS)
        year = f"20{year}"
    if not 1 <= int(month) <= 12:
        raise ValueError(f"there is no month {int(month)} {_LIKE[order]}.")
    try:
        day = date(int(year), int(month), int(number))
    except ValueError:
        raise ValueError("there is no such day.") from None
    check_year(day)
    return day, text[found.end() :].removeprefix("T").strip(" ,")


# --- names --------------------------------------------------------------------------------------------------

_TITLES = frozenset({"dr", "mr", "mrs", "ms", "miss", "mx", "prof", "professor", "a/prof", "sr"})


def split_name(text: str) -> tuple[str, str]:
    """First and last name: `Nguyen, Mia` or `Mia Nguyen`."""
    text = " ".join(text.split())
    if "," in text:
        last, _, first = text.partition(",")
        return first.strip(), last.strip()
    first, _, last = text.rpartition(" ")
    return first, last


def split_title(text: str) -> tuple[str, str, str]:
    """Title, first and last name of a practitioner."""
    text = " ".join(text.split())
    title, _, rest = text.partition(" ")
    if rest and title.lower().rstrip(".") in _TITLES:
        return title, *split_name(rest)
    return "", *split_name(text)


def folded(name: str) -> str:
    """What two spellings of the same name have in common."""
    return " ".join(name.replace(".", " ").split()).casefold()
