"""A message to many: whom it goes to, what it may name, when it goes, and how it stands; each in words, too."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from portal.core.phrases import day, on, plain
from portal.core.text import PLACEHOLDERS, Details, Template, values
from portal.core.timing import TimeError, hours_end_at, local, resolve, texting_at
from portal.core.typed_text import tidy

# In which it can be taken back before the first text goes.
PAUSE = timedelta(minutes=2)
_FURTHEST = timedelta(days=60)


class Purpose(StrEnum):
    """Care is about a patient's own treatment; marketing needs the patient's consent."""

    CARE = "care"
    MARKETING = "marketing"


class State(StrEnum):
    PREPARED = "prepared"  # its texts are being written
    WAITING = "waiting"
    GOING = "going"
    DONE = "done"
    TAKEN_BACK = "taken-back"


STATES_IN_WORDS = {
    State.PREPARED: "Being prepared",
    State.WAITING: "Waiting",
    State.GOING: "Going out",
    State.DONE: "Done",
    State.TAKEN_BACK: "Taken back",
}


@dataclass(frozen=True, slots=True)
class Whom:
    """Who has an appointment on `day`; where that is None, the patients who are not archived. The ids are of rows.

    `with_cancelled`: also whose appointment of that day is cancelled. `seen_since`: of patients, who were seen on
    that day or later.
    """

    day: date | None = None
    with_cancelled: bool = False
    seen_since: date | None = None
    business_id: int | None = None
    practitioner_id: int | None = None
    appointment_type_id: int | None = None


def whom_in_words(whom: Whom, today: date, business: str, practitioner: str, appointment_type: str) -> str:
    """`Everybody with an appointment tomorrow with Dr Helen Marsh at North Clinic`. The names: empty where any."""
    at = f" at {plain(business)}" if business else ""
    if whom.day is not None:
        for_ = f' for "{plain(appointment_type)}"' if appointment_type else ""
        of = f" with {plain(practitioner)}" if practitioner else ""
        also = ", also where it is cancelled" if whom.with_cancelled else ""
        return f"Everybody with an appointment {on(whom.day, today)}{of}{at}{for_}{also}"
    if whom.seen_since is not None:
        by = f" by {plain(practitioner)}" if practitioner else ""
        return f"Patients seen since {day(whom.seen_since, None)}{by}{at}"
    if practitioner or at:
        of = f" of {plain(practitioner)}" if practitioner else ""
        return f"Patients{of}{at}"
    return "All patients"


# --- the text -----------------------------------------------------------------------------------------------


def known_placeholders(whom: Whom, *, has_business: bool) -> tuple[str, ...]:
    """Those that can be filled in for everybody. `has_business`: it is clear which one is meant."""
    if whom.day is not None:
        return PLACEHOLDERS
    begin = ("Patient.", "Business.") if has_business else ("Patient.",)
    return tuple(name for name in PLACEHOLDERS if name.startswith(begin))


def fill(template: Template, details: Details) -> str:
    return tidy(template.fill(values(details)))


# --- when it goes -------------------------------------------------------------------------------------------


class NotThen(ValueError):
    """It cannot go at that time. The message says why."""


def read_time(typed: str, zone: str, now: datetime) -> datetime | None:
    """A local time as a form has it, `2031-05-08T09:30`; None where none was typed. Raises NotThen."""
    if not typed.strip():
        return None
    try:
        wall = datetime.fromisoformat(typed.strip())
        at = resolve(wall.replace(tzinfo=None), zone)
    except TimeError as error:
        raise NotThen(f"{str(error)[:1].upper()}{str(error)[1:]}") from None
    except ValueError:
        raise NotThen("Type the time as a date and a time of day.") from None
    if at <= now:
        raise NotThen("That time has passed: choose a later one, or send it as soon as possible.")
    if at > now + _FURTHEST:
        raise NotThen(f"That is more than {_FURTHEST.days} days ahead: choose an earlier time.")
    return at


def goes_at(asked: datetime | None, zone: str, texts_from: int, texts_until: int, now: datetime) -> datetime:
    """Not before the pause is over, and within the practice's hours for texts."""
    earliest = _full_minute(now + PAUSE)
    return texting_at(max(asked or earliest, earliest), zone, texts_from, texts_until)


def _full_minute(at: datetime) -> datetime:
    """Or the next one: clocks are read to the minute."""
    begun = at.replace(second=0, microsecond=0)
    return at if at == begun else begun + timedelta(minutes=1)


def deadline(at: datetime, zone: str, texts_until: int) -> datetime:
    """Until when a text that goes at `at` may be sent: until the hours for texts end on the next day, so that what a
    long queue has left in the evening waits for the morning."""
    return hours_end_at(local(at, zone) + timedelta(days=1), zone, texts_until)


def state_of(goes: datetime, *, is_recorded: bool, is_taken_back: bool, is_under_way: bool, now: datetime) -> State:
    """`is_recorded`: each patient has been decided on. `is_under_way`: a text of it is still to be sent."""
    if is_taken_back:
        return State.TAKEN_BACK
    if not is_recorded:
        return State.PREPARED
    if not is_under_way:
        return State.DONE
    return State.WAITING if now < goes else State.GOING
