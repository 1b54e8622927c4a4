"""When a practice's reminders go: the hours, how many days ahead, and what a change of either does."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from portal.core.phrases import counted, hour
from portal.core.timing import PASSES_A_DAY, coming_week

WINDOW_STARTS = range(6, 16)  # local full hours
LEAD_DAYS = range(1, 15)
_DAY = timedelta(days=1)

Days = tuple[date, date]  # the first and last local date of appointments


@dataclass(frozen=True, slots=True)
class ReminderTimes:
    """`window_start`: the local full hour of the first attempt."""

    window_start: int
    lead_days: int

    def in_words(self) -> str:
        """10am to 11am, retries until 3pm, 1 day ahead"""
        return f"{window_in_words(self.window_start)}, {counted(self.lead_days, 'day')} ahead"


def window_in_words(start: int) -> str:
    """10am to 11am, retries until 3pm"""
    return f"{hour(start)} to {hour(start + 1)}, retries until {hour(start + PASSES_A_DAY - 1)}"


@dataclass(frozen=True, slots=True)
class ChangedDays:
    """What another choice of times does at one business. `first`: the first day of appointments whose reminders are
    still to come under the new ones. `missed`: the days before it whose reminders would still have gone under the old
    ones, and now do not. `again`: days whose reminders have had their day under the old ones, and have it again."""

    first: date
    due_on: date  # when the reminders of `first` go
    missed: Days | None
    again: Days | None


def changed_days(now: datetime, zone_name: str, before: ReminderTimes, after: ReminderTimes) -> ChangedDays:
    was = coming_week(now, zone_name, before.lead_days, before.window_start)[0]
    first = coming_week(now, zone_name, after.lead_days, after.window_start)[0]
    return ChangedDays(
        first,
        first - after.lead_days * _DAY,
        (was, first - _DAY) if was < first else None,
        (first, was - _DAY) if first < was else None,
    )
