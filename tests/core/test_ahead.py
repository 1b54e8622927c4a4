"""When reminders go, whether they ran when they should have, and how long the credits last."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from portal.core.ahead import (
    BusinessClock,
    ago,
    countdown,
    date_heading,
    day_begins,
    missed,
    needs,
    next_pass,
    number_to_file,
    place_of_zone,
)
from portal.core.numbers import PhoneNumber, PhoneType, parse_number
from portal.core.timing import PassHour

SYDNEY = "Australia/Sydney"
WEDNESDAY = date(2031, 5, 7)


def at(hour: int, minute: int = 0, day: int = 7, zone: str = SYDNEY) -> datetime:
    return datetime(2031, 5, day, hour, minute, tzinfo=ZoneInfo(zone)).astimezone(UTC)


LONG_WATCHED = at(9, day=1)


def a_clock(*hours: int, day: int = 7, zone: str = SYDNEY, since: datetime | None = LONG_WATCHED) -> BusinessClock:
    ran = {PassHour(date(2031, 5, day), hour): at(hour, day=day, zone=zone) for hour in hours}
    return BusinessClock(1, "North Clinic", zone, since, ran)


@pytest.mark.parametrize(
    ("clock", "now", "next_at", "day", "is_retry"),
    [
        (a_clock(), at(8), at(10), date(2031, 5, 8), False),
        (a_clock(), at(10, 20), at(10, 20), date(2031, 5, 8), False),
        (a_clock(10), at(10, 20), at(11), date(2031, 5, 8), True),
        (a_clock(10, 11, 12, 13, 14), at(15, 59), at(15, 59), date(2031, 5, 8), True),
        (a_clock(10, 11, 12, 13, 14, 15), at(15, 59), at(10, day=8), date(2031, 5, 9), False),
        (a_clock(10), at(16), at(10, day=8), date(2031, 5, 9), False),
    ],
)
def test_the_next_pass(clock: BusinessClock, now: datetime, next_at: datetime, day: date, is_retry: bool) -> None:
    found = next_pass(clock, 1, 10, now)
    assert found
    assert (found.at, found.day, found.is_retry) == (next_at, day, is_retry)
    assert (found.until is not None) is (next_at == now)


def test_a_long_lead_moves_the_day() -> None:
    found = next_pass(a_clock(), 14, 10, at(8))
    assert found
    assert found.day == date(2031, 5, 21)


def due(clock: BusinessClock, now: datetime) -> datetime | None:
    found = missed(clock, 10, now)
    return found.due_at if found else None


def test_an_hour_is_missed_once_it_is_over() -> None:
    assert due(a_clock(since=at(9)), at(10, 59)) is None
    assert due(a_clock(since=at(9)), at(11)) == at(10)
    assert due(a_clock(10), at(11, 30)) is None
    assert due(a_clock(10), at(12)) == at(11)
    assert due(a_clock(10, 12), at(12, 30)) is None  # a later pass covers an hour before it
    assert due(a_clock(10, 11), at(20)) == at(12)
    assert due(a_clock(10, 15), at(20)) is None


def test_what_began_before_it_was_watched_is_not_missed() -> None:
    assert due(a_clock(since=None), at(12)) is None
    assert due(a_clock(since=at(10, 30)), at(11, 30)) is None
    assert due(a_clock(since=at(10, 30)), at(12)) == at(11)


def test_a_day_without_any_pass_is_missed_until_the_next_days_first_hour_is_over() -> None:
    assert due(a_clock(), at(8, day=8)) == at(10)
    assert due(a_clock(12), at(8, day=8)) is None
    assert due(a_clock(10, day=8), at(11, 30, day=8)) is None


@pytest.mark.parametrize(
    ("now", "make_up_at"),
    [
        (at(11, 10), at(11, 10)),
        (at(15, 59), at(15, 59)),
        (at(16), at(15, 59) + timedelta(seconds=59)),
        (at(20, 59), at(15, 59) + timedelta(seconds=59)),
        (at(21), None),
        (at(9, day=8), None),
    ],
)
def test_what_was_missed_is_made_up_while_a_reminder_of_that_day_may_still_go(
    now: datetime, make_up_at: datetime | None
) -> None:
    found = missed(a_clock(), 10, now)
    assert found
    assert found.make_up_at == make_up_at


def test_the_clocks_change_within_a_day_of_passes() -> None:
    # Sydney's clocks go back on 6 April 2031 and forward on 5 October, at night: the hours are whole.
    for day in (
        datetime(2031, 4, 6, 12, tzinfo=ZoneInfo(SYDNEY)),
        datetime(2031, 10, 5, 12, tzinfo=ZoneInfo(SYDNEY)),
    ):
        clock = BusinessClock(1, "", SYDNEY, day - timedelta(days=9), {})
        found = missed(clock, 10, day)
        assert found
        assert found.due_at == day.replace(hour=10)


def test_where_a_day_begins() -> None:
    assert day_begins(WEDNESDAY, SYDNEY) == datetime(2031, 5, 6, 14, tzinfo=UTC)
    assert day_begins(WEDNESDAY, None) == datetime(2031, 5, 7, tzinfo=UTC)
    # Beirut's clocks skip midnight when they go forward.
    assert day_begins(date(2031, 3, 30), "Asia/Beirut") == datetime(2031, 3, 29, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("left", "says"),
    [
        (timedelta(minutes=72), "in 1 h 12 min"),
        (timedelta(minutes=60), "in 1 h"),
        (timedelta(minutes=5), "in 5 min"),
        (timedelta(seconds=20), "in less than a minute"),
        (timedelta(hours=49), "in 2 days"),
    ],
)
def test_a_countdown(left: timedelta, says: str) -> None:
    assert countdown(left) == says


@pytest.mark.parametrize(("hours", "says"), [(1, "an hour ago"), (27, "27 hours ago"), (50, "2 days ago")])
def test_how_long_ago(hours: int, says: str) -> None:
    assert ago(timedelta(hours=hours)) == says


def test_headings() -> None:
    assert date_heading(date(2031, 5, 8), WEDNESDAY) == "Tomorrow, Thursday 8 May"
    assert date_heading(date(2031, 5, 12), WEDNESDAY) == "Monday 12 May"
    assert place_of_zone("Australia/Lord_Howe") == "Lord Howe"


@pytest.mark.parametrize(
    ("type_", "raw", "country", "is_filed"),
    [
        (PhoneType.HOME, "0491 570 156", "AU", True),
        (PhoneType.MOBILE, "0491 570 156", "AU", False),
        (PhoneType.HOME, "02 5550 1234", "AU", False),
        (PhoneType.HOME, "202 555 0123", "US", False),  # it may be a landline
        (PhoneType.HOME, "+44 7700 900123", "AU", False),  # of another country
    ],
)
def test_only_a_mobile_beyond_doubt_is_filed_in_bulk(
    type_: PhoneType, raw: str, country: str, is_filed: bool
) -> None:
    parsed = parse_number(raw, country)
    number = PhoneNumber(type_, raw, parsed.e164, parsed.region, parsed.kind)
    assert (number_to_file([number], {country}) is not None) is is_filed


def test_needs_are_counted_by_the_day_on_which_they_go() -> None:
    sends = [
        (at(10), SYDNEY, 2, True),
        (at(11), SYDNEY, 1, True),
        (at(10, day=8), SYDNEY, 3, True),
        (at(10, day=8, zone="Australia/Perth"), "Australia/Perth", 1, False),
    ]
    first, second = needs(sends, None)
    assert (first.day, first.credits, first.reminders, first.runs_out_at) == (WEDNESDAY, 3, 2, None)
    assert (second.credits, second.timezone) == (4, "Australia/Perth")
    assert second.runs_out_at == at(10, day=8, zone="Australia/Perth")
    assert [need.is_part for need in needs(sends, date(2031, 5, 8))] == [False, True]
    assert needs([], None) == []
