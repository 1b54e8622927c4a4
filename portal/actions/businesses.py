"""A practice's businesses: name, time zone and contact number of each, and its switch for appointment reminders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.actions.asking import Asked, SettingRefused, read_name
from portal.actions.importing.appointments import follow_zones
from portal.actions.sending import NotConfirmed
from portal.actions.who import Who, note_change
from portal.core.ahead import place_of_zone
from portal.core.phrases import clock_time, counted, plain
from portal.core.reminder_times import window_in_words
from portal.core.timing import coming_week, local, zone
from portal.store.changes import ADDED, CONTACT_NUMBER, NAME, SMS_REMINDERS, TIMEZONE, Change, Subject
from portal.store.imported import made_here_id
from portal.store.practices import Business, Practice

LONGEST_NUMBER = 60  # characters
_FEWEST_DIGITS = 5  # short ones are real: 13 11 14 is called all over Australia
_DETAILS = (NAME, TIMEZONE, CONTACT_NUMBER)
_DAY = timedelta(days=1)


class NoSuchBusiness(store.NotThere):
    def __init__(self) -> None:
        super().__init__("There is no such business.")


@dataclass(frozen=True, slots=True)
class ShownBusiness:
    """`to_come`: its reminders of the next seven days. `changed`: the last time that people used the switch."""

    business: Business
    to_come: int
    changed: Change | None


def list_businesses(practice_id: str, now: datetime) -> list[ShownBusiness]:
    """Raises NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        to_come = store.reminders.count_to_come(session, weeks_of(practice, businesses, now))
        changes = store.changes.list_last(session, [_switch_of(one.id) for one in businesses])
    return [
        ShownBusiness(
            one,
            sum(count for (business_id, _), count in to_come.items() if business_id == one.id),
            changes.get(_switch_of(one.id)),
        )
        for one in businesses
    ]


def weeks_of(practice: Practice, businesses: Sequence[Business], now: datetime) -> dict[int, store.reminders.Days]:
    return {one.id: coming_week(now, one.timezone, practice.lead_days, practice.window_start) for one in businesses}


def switch_business(
    practice_id: str, business_id: int, on: bool | None, *, confirmed: bool, who: Who, now: datetime
) -> bool:
    """Returns whether it was the other way before. `on`: None where the form did not say.

    What is queued for a business that is switched off is held back by the workers, who ask again before each message.
    Raises NoSuchBusiness, NotConfirmed.
    """
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)  # an import reads the row and writes it later
        business = session.get(Business, business_id)
        if business is None:
            raise NoSuchBusiness
        if on is None:
            raise NotConfirmed("Choose whether reminders are on or off.")
        if business.sms_reminders is on:
            return False
        if not on and not confirmed:
            raise NotConfirmed("Tick that its patients are to get no reminders.")
        business.sms_reminders = on
        note_change(session, who, now, *_switch_of(business_id), _word(not on), _word(on))
        return True


@dataclass(frozen=True, slots=True)
class Details:
    """As typed."""

    name: str
    timezone: str
    contact_number: str


@dataclass(frozen=True, slots=True)
class ShownDetails:
    """`country`: the practice's. `changed`: the last time that people changed any of them."""

    business: Business
    country: str
    changed: Change | None


def show_business(practice_id: str, business_id: int) -> ShownDetails:
    """Raises NoSuchBusiness, NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        business = next((one for one in businesses if one.id == business_id), None)
        if business is None:
            raise NoSuchBusiness
        changes = store.changes.list_changes(session, Subject.BUSINESS, business_id, [*_DETAILS, ADDED], 1)
    return ShownDetails(business, practice.country, changes[0] if changes else None)


def add_business(practice_id: str, typed: Details, *, who: Who, now: datetime) -> int:
    """Its reminders are on. Returns its row id. Raises SettingRefused, NoSuchPractice."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        details = _read(session, typed, None)
        business = Business(
            external_id=made_here_id(),
            name=details.name,
            timezone=details.timezone,
            contact_number=details.contact_number,
            sms_reminders=True,
        )
        session.add(business)
        session.flush()
        note_change(session, who, now, Subject.BUSINESS, business.id, ADDED, "", details.name)
        return business.id


def change_business(
    practice_id: str, business_id: int, typed: Details, *, confirmed: bool, who: Who, now: datetime
) -> bool:
    """Returns whether anything was otherwise before. With another time zone its appointments keep their time on the
    clock, as with an import. Raises NoSuchBusiness, SettingRefused, Asked, NoSuchPractice."""
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)  # an import reads the row and writes it later
        business = session.get(Business, business_id)
        if business is None:
            raise NoSuchBusiness
        new = _read(session, typed, business_id)
        before = Details(business.name, business.timezone, business.contact_number)
        if new == before:
            return False
        has_moved = new.timezone != before.timezone
        if has_moved and not confirmed:
            effects = _effects_of_zone(session, practice, business, new.timezone, now)
            raise Asked(effects, f"Yes, the clocks of {place_of_zone(new.timezone)} hold for {plain(new.name)}")
        business.name, business.timezone, business.contact_number = new.name, new.timezone, new.contact_number
        for field in _DETAILS:
            note_change(
                session, who, now, Subject.BUSINESS, business_id, field, getattr(before, field), getattr(new, field)
            )
        session.flush()
        if has_moved:
            follow_zones(session, practice_id, [business_id])
        return True


def _read(session: Session, typed: Details, but: int | None) -> Details:
    name = read_name(typed.name, "The business needs a name.")
    if any(one.name == name and one.id != but for one in store.practices.list_businesses(session)):
        raise SettingRefused("There is a business of that name: choose another.", "name")
    try:
        timezone = zone(typed.timezone).key
    except ValueError:
        raise SettingRefused("Choose a time zone of the list.", "timezone") from None
    number = plain(typed.contact_number, LONGEST_NUMBER + 1)
    if len(number) > LONGEST_NUMBER:
        raise SettingRefused(f"A contact number has at most {LONGEST_NUMBER} characters.", "contact_number")
    if number and sum(char.isdecimal() for char in number) < _FEWEST_DIGITS:
        says = f'"{number}" is too short for a phone number: write it as patients are to dial it, or leave it empty.'
        raise SettingRefused(says, "contact_number")
    return Details(name, timezone, number)


def _effects_of_zone(session: Session, practice: Practice, business: Business, new: str, now: datetime) -> list[str]:
    there, here = local(now, new), local(now, business.timezone)
    place = place_of_zone(new)
    since = min(there, here).date() - _DAY
    to_come = store.reminders.count_appointments(session, business.id, now, since)
    says = [
        f"It is {clock_time(there)} in {place} now, and {clock_time(here)} by the clocks until now.",
        f"Reminders go from {window_in_words(practice.window_start)} by the clocks of {place}.",
    ]
    if to_come:
        keep = "keeps its time" if to_come == 1 else "keep their times"
        says.append(
            f"{counted(to_come, 'appointment')} to come {keep} as in the diary: 9:30am stays 9:30am, now of {place}. "
            "Where your export writes times with an offset such as +10:00, the next import sets those anew."
        )
    return says


def _switch_of(business_id: int) -> store.changes.Key:
    return Subject.BUSINESS, business_id, SMS_REMINDERS


def _word(on: bool) -> str:
    return "On" if on else "Off"
