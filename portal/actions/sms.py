"""What the SMS settings show: the main switch, the practice's own settings, the balance and the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from portal import store
from portal.actions.businesses import weeks_of
from portal.actions.reminder_times import times_of
from portal.core.reminder_times import ReminderTimes
from portal.core.senders import SenderCheck, check_sender
from portal.store.changes import (
    ALARM_SHARE,
    COUNTRIES,
    CREDITS,
    DEFAULT_PREFERENCE,
    NAME,
    REMINDER_TIMES,
    SENDER,
    SENDING,
    TEXT_HOURS,
    Change,
    Subject,
)
from portal.store.credits import Billed, CreditEntry
from portal.store.practices import Practice
from portal.store.reminders import Days, Reach

Weeks = tuple[tuple[int, Days], ...]  # by business

_MOST_BILLED = 20
_FIELDS = (SENDING, REMINDER_TIMES, DEFAULT_PREFERENCE, SENDER, COUNTRIES, NAME, TEXT_HOURS, ALARM_SHARE)


@dataclass(frozen=True, slots=True)
class ShownSms:
    """`zone`: where times are shown. `weeks`: the days of each business's reminders of the next seven. `changed`: the
    last time that people changed the main switch, or a setting, by its field. `sender`: what is to be known of it.
    `entries`: the newest first; `older`: below which id there are more; `topped_up_by`: who did, by the entry's
    instant. `billed_otherwise`: the newest messages for which the provider bills other parts than were taken."""

    practice: Practice
    times: ReminderTimes
    zone: str | None
    weeks: Weeks
    changed: Mapping[str, Change]
    sender: SenderCheck
    entries: Sequence[CreditEntry]
    older: int | None
    topped_up_by: dict[datetime, str]
    billed_otherwise: Sequence[Billed]


def count_reach(practice_id: str, weeks: Weeks) -> Reach:
    """Of the reminders of these days."""
    with store.reading(practice_id) as session:
        return store.reminders.count_reach(session, practice_id, dict(weeks))


def show_sms(practice_id: str, now: datetime, most: int, before: int | None) -> ShownSms:
    """`before`: only entries with a lower id. Raises NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        changes = store.changes.list_last(session, [(Subject.PRACTICE, None, field) for field in _FIELDS])
        entries = store.credits.list_entries(session, most + 1, before)
        billed_otherwise = store.credits.list_billed_otherwise(session, _MOST_BILLED)
        top_ups = store.changes.list_changes(session, Subject.PRACTICE, None, [CREDITS], most)
    return ShownSms(
        practice,
        times_of(practice),
        businesses[0].timezone if businesses else None,
        tuple(weeks_of(practice, businesses, now).items()),
        {field: change for (_, _, field), change in changes.items()},
        check_sender(practice.sender, practice.country, practice.countries),
        entries[:most],
        entries[most - 1].id if len(entries) > most else None,
        {change.at: change.by if change.user_id else "an administrator" for change in top_ups},
        billed_otherwise,
    )
