"""A practice's businesses: the switch of each for appointment reminders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from portal import store
from portal.actions.sending import NotConfirmed
from portal.actions.who import Who, note_change
from portal.core.timing import coming_week
from portal.store.changes import SMS_REMINDERS, Change, Subject
from portal.store.practices import Business, Practice


class NoSuchBusiness(LookupError):
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


def _switch_of(business_id: int) -> store.changes.Key:
    return Subject.BUSINESS, business_id, SMS_REMINDERS


def _word(on: bool) -> str:
    return "On" if on else "Off"
