"""What the forms of an appointment ask for: where, with whom, what, and a time on the clocks of its business."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.patients import NoSuchPatient, Refused
from portal.core.effects import Effect
from portal.core.moves import Slot
from portal.core.timing import TimeError, instants, local, parse_date
from portal.store.appointments import Appointment
from portal.store.parts import Parts
from portal.store.practices import AppointmentType, Business, Practitioner

FIRST, SECOND = "first", "second"


class Changed(ValueError):
    """Somebody, or what happened meanwhile, has made it another than the form showed. The text says so."""


class AddedAnother(Changed):
    """The form has added an appointment already, and comes back with another."""


class Twice(Refused):
    """The clocks show the time twice: which of the two was not said."""

    def __init__(self) -> None:
        super().__init__("which", "The clocks are put back, and this time comes twice that day. Say which it is.")


@dataclass(frozen=True, slots=True)
class Asked:
    """As a form has it; ids are rows', 0 where none is chosen. `day`: 2031-05-08; `time`: 09:30; `which` of two times
    that look alike: FIRST or SECOND."""

    business_id: int
    practitioner_id: int
    type_id: int
    day: str
    time: str
    which: str = ""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What saving the form would do. `starts_wall`, `ends_wall`: as the clocks there show them. `is_twice`: they show
    its time twice that day."""

    effect: Effect
    business: str
    timezone: str
    starts_wall: datetime
    ends_wall: datetime
    is_twice: bool


@dataclass(frozen=True, slots=True)
class Made:
    """All parts of an appointment, and its times: the columns to write."""

    parts: Parts
    business: Business
    practitioner: Practitioner
    type: AppointmentType
    columns: dict[str, Any]
    is_twice: bool

    def foreseen(self, effect: Effect) -> Foreseen:
        walls = self.columns["starts_wall"], self.columns["ends_wall"]
        return Foreseen(effect, self.business.name, self.business.timezone, *walls, self.is_twice)

    @property
    def slot(self) -> Slot:
        columns = self.columns
        return Slot(self.business.id, columns["starts_wall"], columns["starts_at"], columns["timezone"])


def find_parts(session: Session, practice_id: str, asked: Asked, patient_id: int) -> Parts:
    return store.parts.find_parts(
        session,
        practice_id,
        business=asked.business_id,
        practitioner=asked.practitioner_id,
        type_=asked.type_id,
        patient=patient_id,
    )


def make(parts: Parts, asked: Asked, lasts: timedelta | None = None) -> Made:
    """`lasts`: None for as long as its type takes. Raises NoSuchPatient, Refused, Twice."""
    business, practitioner, type_ = parts.business, parts.practitioner, parts.type
    if parts.patient is None:
        raise NoSuchPatient
    if business is None:
        raise Refused("business", "Choose the business.")
    if practitioner is None:
        raise Refused("practitioner", "Choose the practitioner.")
    if type_ is None:
        raise Refused("type", "Choose the appointment type.")
    zone = business.timezone
    starts_wall = _wall(asked)
    starts_at = _instant(starts_wall, asked, zone)
    ends_at = starts_at + (timedelta(minutes=type_.duration_minutes) if lasts is None else lasts)
    columns = {
        "business_id": business.id,
        "practitioner_id": practitioner.id,
        "appointment_type_id": type_.id,
        "patient_id": parts.patient.id,
        "timezone": zone,
        "starts_on": starts_wall.date(),
        "starts_wall": starts_wall,
        "starts_at": starts_at,
        "ends_wall": local(ends_at, zone).replace(tzinfo=None),
        "ends_at": ends_at,
    }
    return Made(parts, business, practitioner, type_, columns, len(instants(starts_wall, zone)) > 1)


def _wall(asked: Asked) -> datetime:
    try:
        day = parse_date(asked.day)
    except TimeError:
        raise Refused("day", "Choose the day.") from None
    try:
        at = time.fromisoformat(asked.time.strip())
    except ValueError:
        raise Refused("time", "Type the time, as 9:30am or 09:30.") from None
    if at.tzinfo is not None or at.second or at.microsecond:
        raise Refused("time", "Type the time in hours and minutes.")
    return datetime.combine(day, at)


def _instant(wall: datetime, asked: Asked, zone: str) -> datetime:
    found = instants(wall, zone)
    if not found:
        raise Refused("time", "The clocks are put forward that day, past this time: it never comes. Choose another.")
    if len(found) == 1 or asked.which == FIRST:
        return found[0]
    if asked.which != SECOND:
        raise Twice
    return found[1]


# --- what the forms show ------------------------------------------------------------------------------------


def state_of(appointment: Appointment) -> str:
    """How it stands, as a form hands it over: to tell whether it was changed meanwhile."""
    parts = (
        appointment.revision,
        appointment.patient_id,
        appointment.practitioner_id,
        appointment.appointment_type_id,
        int(appointment.cancelled_at is not None),
    )
    return ".".join(map(str, parts))


def refuse_stale(appointment: Appointment, seen: str) -> None:
    """Raises Changed where the form showed the appointment otherwise than it is now."""
    if seen != state_of(appointment):
        raise Changed("It has been changed since you opened this page. See how it stands now, then save.")


def refuse_unseen(effect: Effect, seen: str) -> None:
    """Raises Changed where the form showed another effect on the reminder, or none."""
    if seen != effect.key:
        raise Changed("What saving does has changed since it was shown. Read it once more, then save.")
