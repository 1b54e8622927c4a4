"""What another hour, or another number of days ahead, does to the days between."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.reminder_times import LEAD_DAYS, WINDOW_STARTS, ReminderTimes, changed_days
from portal.core.timing import next_pass_at

SYDNEY = "Australia/Sydney"
USUAL = ReminderTimes(10, 1)


def at(hour: int, minute: int = 0) -> datetime:
    """On Wednesday 7 May 2031, in Sydney."""
    return datetime(2031, 5, 7, hour, minute, tzinfo=ZoneInfo(SYDNEY))


def may(day: int) -> date:
    return date(2031, 5, day)


def test_times_in_words() -> None:
    assert USUAL.in_words() == "10am to 11am, retries until 3pm, 1 day ahead"
    assert ReminderTimes(6, 3).in_words() == "6am to 7am, retries until 11am, 3 days ahead"
    assert ReminderTimes(15, 14).in_words() == "3pm to 4pm, retries until 8pm, 14 days ahead"


@pytest.mark.parametrize(
    ("now", "before", "after", "missed", "again"),
    [
        # More days ahead: those of the days between would have had theirs later, and now never.
        (at(9), USUAL, ReminderTimes(10, 2), (may(8), may(8)), None),
        (at(17), USUAL, ReminderTimes(10, 2), (may(9), may(9)), None),
        (at(9), USUAL, ReminderTimes(10, 4), (may(8), may(10)), None),
        # Fewer: theirs have gone already.
        (at(9), ReminderTimes(10, 3), USUAL, None, (may(8), may(9))),
        # Another hour: only where today's are over with it, or are not any more.
        (at(9), USUAL, ReminderTimes(8, 1), None, None),
        (at(15), USUAL, ReminderTimes(6, 1), (may(8), may(8)), None),
        (at(17), USUAL, ReminderTimes(15, 1), None, (may(8), may(8))),
        (at(9), USUAL, USUAL, None, None),
    ],
)
def test_the_days_between_miss_their_reminder_or_have_had_it(
    now: datetime,
    before: ReminderTimes,
    after: ReminderTimes,
    missed: tuple[date, date] | None,
    again: tuple[date, date] | None,
) -> None:
    found = changed_days(now, SYDNEY, before, after)
    assert (found.missed, found.again) == (missed, again)


times = st.builds(ReminderTimes, st.sampled_from(WINDOW_STARTS), st.sampled_from(LEAD_DAYS))


@given(st.integers(0, 23), times, times, st.integers(7, 40))
def test_it_says_what_the_passes_do(hour: int, before: ReminderTimes, after: ReminderTimes, ahead: int) -> None:
    now, starts_on = at(hour, 30), date.fromordinal(may(1).toordinal() + ahead)
    days = changed_days(now, SYDNEY, before, after)
    was, will = (next_pass_at(now, starts_on, one.lead_days, SYDNEY, one.window_start) for one in (before, after))
    is_missed = days.missed is not None and days.missed[0] <= starts_on <= days.missed[1]
    is_again = days.again is not None and days.again[0] <= starts_on <= days.again[1]
    assert is_missed is (was is not None and will is None)
    assert is_again is (was is None and will is not None)
    assert (will is not None) is (starts_on >= days.first)
