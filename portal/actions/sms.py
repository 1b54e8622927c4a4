"""What the SMS settings show: the main switch, the balance and the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from portal import store
from portal.actions.businesses import weeks_of
from portal.store.changes import CREDITS, SENDING, Change, Subject
from portal.store.credits import Billed, CreditEntry
from portal.store.practices import Practice

_MOST_BILLED = 20


@dataclass(frozen=True, slots=True)
class ShownSms:
    """`zone`: where times are shown. `to_come`: the practice's reminders of the next seven days. `changed`: the last
    time that people used the switch. `entries`: the newest first; `older`: below which id there are more;
    `topped_up_by`: who did, by the entry's instant. `billed_otherwise`: the newest messages for which the provider
    bills other parts than were taken."""

    practice: Practice
    zone: str | None
    to_come: int
    changed: Change | None
    entries: Sequence[CreditEntry]
    older: int | None
    topped_up_by: dict[datetime, str]
    billed_otherwise: Sequence[Billed]


def show_sms(practice_id: str, now: datetime, most: int, before: int | None) -> ShownSms:
    """`before`: only entries with a lower id. Raises NoSuchPractice."""
    key = Subject.PRACTICE, None, SENDING
    with store.reading(practice_id) as session:
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        to_come = store.reminders.count_to_come(session, weeks_of(practice, businesses, now))
        changes = store.changes.list_last(session, [key])
        entries = store.credits.list_entries(session, most + 1, before)
        billed_otherwise = store.credits.list_billed_otherwise(session, _MOST_BILLED)
        top_ups = store.changes.list_changes(session, Subject.PRACTICE, None, [CREDITS], most)
    return ShownSms(
        practice,
        businesses[0].timezone if businesses else None,
        sum(to_come.values()),
        changes.get(key),
        entries[:most],
        entries[most - 1].id if len(entries) > most else None,
        {change.at: change.by if change.user_id else "an administrator" for change in top_ups},
        billed_otherwise,
    )
