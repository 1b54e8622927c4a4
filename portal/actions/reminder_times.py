"""When the practice's reminders go: the hour of the first attempt, and how many days ahead."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.ahead import MOST, place, read_times
from portal.actions.asking import Asked, SettingRefused
from portal.actions.who import Who, note_change
from portal.core.phrases import counted, day
from portal.core.reminder_times import (
    LEAD_DAYS,
    WINDOW_STARTS,
    ChangedDays,
    Days,
    ReminderTimes,
    changed_days,
    window_in_words,
)
from portal.core.states import Status
from portal.core.timing import local
from portal.store.changes import REMINDER_TIMES, Subject
from portal.store.practices import Business, Practice


def set_reminder_times(
    practice_id: str, window_start: int, lead_days: int, *, confirmed: bool, who: Who, now: datetime
) -> bool:
    """Returns whether they were others before. Raises SettingRefused, Asked, NoSuchPractice."""
    if window_start not in WINDOW_STARTS:
        raise SettingRefused("Choose an hour from 6am to 3pm.", "window_start")
    if lead_days not in LEAD_DAYS:
        raise SettingRefused("Choose from 1 to 14 days.", "lead_days")
    new = ReminderTimes(window_start, lead_days)
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        old = times_of(practice)
        if new == old:
            return False
        if not confirmed:
            raise Asked(_effects(session, practice, new, now), "Yes, change when reminders go")
        practice.window_start, practice.lead_days = window_start, lead_days
        note_change(session, who, now, Subject.PRACTICE, None, REMINDER_TIMES, old.in_words(), new.in_words())
        session.flush()
        return True


def times_of(practice: Practice) -> ReminderTimes:
    return ReminderTimes(practice.window_start, practice.lead_days)


def _effects(session: Session, practice: Practice, new: ReminderTimes, now: datetime) -> list[str]:
    old = times_of(practice)
    businesses = store.practices.list_businesses(session)
    ahead = counted(new.lead_days, "day")
    says = [
        f"Reminders go from {window_in_words(new.window_start)}, {ahead} before the appointment, by the clocks of "
        "each business."
    ]
    found = {one.id: changed_days(now, one.timezone, old, new) for one in businesses}
    if not found:
        return says
    earliest = min(businesses, key=lambda one: found[one.id].due_on)
    says.append(_first(found[earliest.id], earliest, now))
    missed = {id_: days.missed for id_, days in found.items() if days.missed}
    again = {id_: days.again for id_, days in found.items() if days.again}
    if missed:
        says.append(_missed(_count_lost(session, practice, missed, now), _in_words(list(missed.values()), now)))
    if again:
        to_come = sum(store.reminders.count_to_come(session, again).values())
        says.append(_again(to_come, _in_words(list(again.values()), now)))
    return says


def _count_lost(session: Session, practice: Practice, missed: Mapping[int, Days], now: datetime) -> int:
    """Of these days' reminders those that would go as things are: patients who get none lose none. Of at most `MOST`
    appointments."""
    first, last = min(days[0] for days in missed.values()), max(days[1] for days in missed.values())
    found = store.facts.list_to_decide(session, practice, list(missed), first, last, MOST)
    return sum(
        one.outcome is not None
        and one.outcome.status is Status.QUEUED
        and _is_within(one.reminder.facts.details.starts_local.date(), missed[one.reminder.business_id])
        for one in place(practice, read_times(session, practice).clocks, found, now)
    )


def _is_within(day: date, days: Days) -> bool:
    return days[0] <= day <= days[1]


def _first(days: ChangedDays, business: Business, now: datetime) -> str:
    today = local(now, business.timezone).date()
    return f"The next go {day(days.due_on, today)}, for the appointments of {_date(days.first, now)}."


def _missed(to_come: int, days: str) -> str:
    if not to_come:
        return f"For the appointments of {days} no reminder is left to send: none is lost by the change."
    which = counted(to_come, "reminder")
    return (
        f"{which} for the appointments of {days} will not go by themselves: under the new times their day is over. "
        "Text these patients yourselves, from Appointments."
    )


def _again(to_come: int, days: str) -> str:
    says = f"The appointments of {days} have had their day for reminders: whoever got one gets no second."
    if to_come:
        says += f" {counted(to_come, 'reminder')} that did not go, or of later bookings, will be tried then."
    return says


def _in_words(spans: Sequence[Days], now: datetime) -> str:
    """Over all businesses: Friday 9 May; Friday 9 May to Saturday 10 May."""
    first, last = min(span[0] for span in spans), max(span[1] for span in spans)
    return _date(first, now) if first == last else f"{_date(first, now)} to {_date(last, now)}"


def _date(of: date, now: datetime) -> str:
    """Friday 9 May, with its year where that is another."""
    full = day(of, None)
    return full.rpartition(" ")[0] if of.year == now.year else full
