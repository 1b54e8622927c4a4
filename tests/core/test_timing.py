import zoneinfo
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.core.timing import (
    PASSES_A_DAY,
    PassHour,
    TimeError,
    UnknownZone,
    appointment_date,
    coming_week,
    day_passes,
    deadline,
    due_date,
    local,
    missed_days,
    next_pass_at,
    parse_date,
    parse_time,
    pass_hour,
    passes_ended_at,
    resolve,
    resolve_near,
    zone,
)

a_while = settings(deadline=None, max_examples=150)

SYDNEY = "Australia/Sydney"
HOUR = timedelta(hours=1)

# Clocks that change by an hour, by half an hour, not at all, or stand off the hour; and all others.
zones = st.sampled_from(
    [
        SYDNEY,
        "America/Chicago",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Australia/Brisbane",
        "Australia/Adelaide",
        "Pacific/Chatham",
        "Europe/London",
        "Africa/Casablanca",
    ]
) | st.sampled_from(sorted(zoneinfo.available_timezones() - {"Factory", "localtime"}))
days = st.dates(date(2025, 1, 1), date(2036, 12, 31)) | st.sampled_from(
    [
        date(2031, 4, 6),  # Sydney and Lord Howe go back
        date(2031, 10, 5),  # and forward
        date(2031, 3, 9),  # Chicago goes forward
        date(2031, 11, 2),  # and back
        date(2031, 3, 30),  # Europe
        date(2031, 10, 26),
    ]
)
window_starts = st.integers(6, 15)
instants = st.datetimes(
    datetime.fromisoformat("2025-01-02"), datetime.fromisoformat("2036-12-30"), timezones=st.just(UTC)
)


def at(text: str) -> datetime:
    """An instant with offset, or a naive wall time."""
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return at(text).astimezone(UTC)


def test_zones_come_from_the_tzdata_package_only() -> None:
    assert zoneinfo.TZPATH == ()
    assert zone(SYDNEY).key == SYDNEY


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "Australia/Sidney",
        "australia/sydney",
        "Australia/sydney",
        "AUSTRALIA/SYDNEY",
        "Australia",
        "Australia/Sydney ",
        "../Australia/Sydney",
        "/usr/share/zoneinfo/Australia/Sydney",
        "Australia/../Australia/Sydney",
        "Australia/Sydney\0",
        "zone.tab",
        "__init__.py",
        "+10:00",
        "x" * 5000,
    ],
)
def test_what_is_no_iana_name_is_no_zone(name: str) -> None:
    with pytest.raises(UnknownZone, match=r"Australia/Sydney"):
        zone(name)


@pytest.mark.parametrize(
    ("text", "zone_name", "instant"),
    [
        ("2031-05-08T09:30:00+10:00", None, "2031-05-07T23:30:00+00:00"),
        ("2031-05-08T09:30:00+10:00", "America/Chicago", "2031-05-07T23:30:00+00:00"),
        ("2031-05-08T09:30Z", None, "2031-05-08T09:30:00+00:00"),
        ("2031-05-08T09:30:15-03:30", None, "2031-05-08T13:00:15+00:00"),
        ("2031-05-08 09:30", SYDNEY, "2031-05-07T23:30:00+00:00"),
        ("2031-05-08T09:30:00", SYDNEY, "2031-05-07T23:30:00+00:00"),
        (" 2031-05-08 09:30 ", SYDNEY, "2031-05-07T23:30:00+00:00"),
        ("2031-01-08 09:30", SYDNEY, "2031-01-07T22:30:00+00:00"),
        ("2031-01-08 09:30", "Asia/Kathmandu", "2031-01-08T03:45:00+00:00"),
        ("1900-01-01T00:00Z", None, "1900-01-01T00:00:00+00:00"),
        ("2200-12-31T23:59Z", None, "2200-12-31T23:59:00+00:00"),
    ],
)
def test_times_of_iso_8601_are_read(text: str, zone_name: str | None, instant: str) -> None:
    parsed = parse_time(text, zone_name)
    assert parsed == at(instant)
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2031-05-08",
        "09:30",
        "08/05/2031 09:30",
        "05/08/2031 9:30am",
        "8 May 2031 09:30",
        "2031-5-8 9:30",
        "31-05-08 09:30",
        "20310508T0930",
        "20310508T093000Z",
        "2031-W19-4T09:30",
        "2031-128T09:30",
        "2031-05-08T09",
        "2031-05-08T0930",
        "2031-05-08  09:30",
        "2031-05-08_09:30",
        "2031-05-08T09:30:00.000Z",
        "2031-05-08T09:30:00,5",
        "2031-05-08T09:30z",
        "2031-05-08t09:30Z",
        "2031-05-08T09:30 +10:00",
        "2031-05-08T09:30+10",
        "2031-05-08T09:30+1000",
        "2031-05-08T09:30+10:00:30",
        "2031-05-08T09:30+25:00",
        "2031-05-08T09:30+10:75",
        "2031-05-08T09:30[Australia/Sydney]",
        "2031-05-08T24:00",
        "2031-05-08T09:60",
        "2031-05-08T23:59:60",
        "2031-02-29T09:30",
        "2031-13-08T09:30",
        "2031-00-08T09:30",
        "２０３１-05-08T09:30",
        "-2031-05-08T09:30",
        "45054.3958",
        "2031-05-08 09:30" * 100_000,
    ],
)
def test_any_other_way_of_writing_a_time_is_refused_and_shown_how(text: str) -> None:
    for zone_name in (SYDNEY, None):
        with pytest.raises(TimeError, match="2031-05-08T09:30:00\\+10:00") as caught:
            parse_time(text, zone_name)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("year", ["0001", "1899", "2201", "9999"])
def test_years_beyond_any_appointment_are_refused(year: str) -> None:
    for text in (f"{year}-05-08T09:30Z", f"{year}-05-08 09:30"):
        with pytest.raises(TimeError, match="between 1900 and 2200"):
            parse_time(text, SYDNEY)
    with pytest.raises(TimeError, match="between 1900 and 2200"):
        parse_date(f"{year}-05-08")


def test_local_time_without_a_zone_needs_its_offset() -> None:
    with pytest.raises(TimeError, match="lacks its offset"):
        parse_time("2031-05-08 09:30", None)


@pytest.mark.parametrize("text", ["2031-05-08", " 2031-05-08 "])
def test_iso_date_is_read(text: str) -> None:
    assert parse_date(text) == date(2031, 5, 8)


@pytest.mark.parametrize(
    "text",
    ["", "08/05/2031", "20310508", "2031-W19-4", "2031-5-8", "2031-02-29", "2031-05-08T00:00", "today"],
)
def test_any_other_way_of_writing_a_date_is_refused_and_shown_how(text: str) -> None:
    with pytest.raises(TimeError, match="write 2031-05-08"):
        parse_date(text)


@pytest.mark.parametrize(
    ("zone_name", "before", "twice", "after"),
    [
        (SYDNEY, "2031-04-06 01:59:59", "2031-04-06 02:00", "2031-04-06 03:00"),
        (SYDNEY, "2031-04-06 01:59:59", "2031-04-06 02:59:59", "2031-04-06 03:00"),
        ("America/Chicago", "2031-11-02 00:59", "2031-11-02 01:30", "2031-11-02 02:00"),
        ("Australia/Lord_Howe", "2031-04-06 01:29", "2031-04-06 01:45", "2031-04-06 02:00"),
    ],
)
def test_time_that_occurs_twice_is_refused(zone_name: str, before: str, twice: str, after: str) -> None:
    with pytest.raises(TimeError, match=f"occurs twice in {zone_name}.*with its offset"):
        resolve(at(twice), zone_name)
    with pytest.raises(TimeError, match="occurs twice"):
        parse_time(twice, zone_name)
    assert resolve(at(before), zone_name) < resolve(at(after), zone_name)


@pytest.mark.parametrize(
    ("zone_name", "before", "never", "after"),
    [
        (SYDNEY, "2031-10-05 01:59:59", "2031-10-05 02:00", "2031-10-05 03:00"),
        ("America/Chicago", "2031-03-09 01:59", "2031-03-09 02:30", "2031-03-09 03:00"),
        ("Australia/Lord_Howe", "2031-10-05 01:59", "2031-10-05 02:15", "2031-10-05 02:30"),
    ],
)
def test_time_that_never_occurs_is_refused(zone_name: str, before: str, never: str, after: str) -> None:
    with pytest.raises(TimeError, match=f"never occurs in {zone_name}"):
        resolve(at(never), zone_name)
    assert resolve(at(after), zone_name) - resolve(at(before), zone_name) <= timedelta(minutes=1)


@a_while
@given(instants, zones)
def test_local_time_resolves_to_its_instant_unless_it_occurs_twice(instant: datetime, name: str) -> None:
    wall = local(instant, name).replace(tzinfo=None)
    try:
        assert resolve(wall, name) == instant
    except TimeError:
        others = [instant + timedelta(minutes=minutes) for minutes in (-120, -60, -30, 30, 60, 120)]
        assert [other for other in others if local(other, name).replace(tzinfo=None, fold=0) == wall]
    assert resolve_near(wall, name, instant) == instant


def test_time_that_occurs_twice_is_read_anew_as_the_nearer_instant() -> None:
    wall = at("2031-04-06 02:30")
    first, second = utc("2031-04-06 02:30+11:00"), utc("2031-04-06 02:30+10:00")
    assert resolve_near(wall, SYDNEY, first - 5 * HOUR) == first
    assert resolve_near(wall, SYDNEY, first + timedelta(minutes=29)) == first
    assert resolve_near(wall, SYDNEY, first + timedelta(minutes=31)) == second
    assert resolve_near(wall, SYDNEY, second + 5 * HOUR) == second


def test_time_that_the_clocks_now_skip_is_read_anew_after_the_change() -> None:
    for instant in ("2031-10-04T00:00Z", "2031-10-06T00:00Z"):
        read = resolve_near(at("2031-10-05 02:30"), SYDNEY, at(instant))
        assert read == at("2031-10-05 03:30+11:00")
        assert read.tzinfo is UTC


@given(days, st.integers(1, 14))
def test_due_date_and_appointment_date_are_each_others_way_back(day: date, lead_days: int) -> None:
    assert appointment_date(due_date(day, lead_days), lead_days) == day
    assert due_date(day, lead_days) < day


def test_due_date_is_the_lead_before_the_appointment() -> None:
    assert due_date(date(2031, 5, 8), 1) == date(2031, 5, 7)
    assert due_date(date(2031, 3, 2), 3) == date(2031, 2, 27)


@pytest.mark.parametrize(
    ("now", "zone_name", "expected"),
    [
        ("2031-05-07T09:59:59+10:00", SYDNEY, None),
        ("2031-05-07T10:00:00+10:00", SYDNEY, PassHour(date(2031, 5, 7), 10)),
        ("2031-05-07T15:59:59+10:00", SYDNEY, PassHour(date(2031, 5, 7), 15)),
        ("2031-05-07T16:00:00+10:00", SYDNEY, None),
        ("2031-05-07T00:00:00Z", "Australia/Perth", None),
        ("2031-05-07T10:00:00Z", "Asia/Kathmandu", PassHour(date(2031, 5, 7), 15)),
        ("2031-05-07T10:15:00Z", "Asia/Kathmandu", None),
        ("2031-05-07T00:30:00Z", "Australia/Adelaide", PassHour(date(2031, 5, 7), 10)),
        ("2031-05-06T23:59:59Z", "Pacific/Auckland", PassHour(date(2031, 5, 7), 11)),
    ],
)
def test_pass_hour_is_the_full_local_hour_that_holds_now(now: str, zone_name: str, expected: PassHour | None) -> None:
    assert pass_hour(at(now), zone_name, 10) == expected


def test_passes_of_a_day_count_by_the_local_clock_when_clocks_change() -> None:
    for day, offset in ((5, "+11:00"), (4, "+10:00")):
        passes = day_passes(date(2031, 10, day), SYDNEY, 10)
        assert passes == [at(f"2031-10-0{day}T{hour}:00:00{offset}") for hour in range(10, 16)]


@a_while
@given(days, zones, window_starts)
def test_day_has_a_pass_at_each_of_its_six_local_hours(day: date, name: str, window_start: int) -> None:
    passes = day_passes(day, name, window_start)
    shown = [local(begin, name) for begin in passes]
    assert [when.hour for when in shown] == list(range(window_start, window_start + PASSES_A_DAY))
    assert {when.date() for when in shown} == {day}
    assert {when.minute for when in shown} == {0}
    assert passes_ended_at(day, name, window_start) > max(passes)
    assert all(begin.tzinfo is UTC for begin in passes)


@pytest.mark.parametrize(
    ("zone_name", "day", "begins"),
    [
        (SYDNEY, date(2031, 10, 5), ["0:00", "1:00", "3:00", "4:00", "5:00"]),
        (SYDNEY, date(2031, 4, 6), ["0:00", "1:00", "2:00", "3:00", "4:00", "5:00"]),
        ("Australia/Lord_Howe", date(2031, 10, 5), ["0:00", "1:00", "2:30", "3:00", "4:00", "5:00"]),
        # Past changes off the hour, and a day that Samoa left out.
        ("America/St_Johns", date(2010, 3, 14), ["0:00", "1:01", "2:00", "3:00", "4:00", "5:00"]),
        ("Antarctica/Casey", date(2020, 10, 4), ["0:00", "3:01", "4:00", "5:00"]),
        ("Pacific/Apia", date(2011, 12, 30), []),
    ],
)
def test_hours_that_the_clocks_skip_have_no_pass(zone_name: str, day: date, begins: list[str]) -> None:
    # No zone changes its clocks by day at present: the night shows what would become of such hours.
    passes = day_passes(day, zone_name, 0)
    shown = [local(begin, zone_name) for begin in passes]
    assert [f"{when.hour}:{when.minute:02}" for when in shown] == begins
    assert all(when.date() == day for when in shown)
    assert all(
        local(begin - timedelta(seconds=1), zone_name).hour != local(begin, zone_name).hour for begin in passes
    )


def test_hour_that_occurs_twice_has_one_pass_at_its_first_beginning() -> None:
    assert day_passes(date(2031, 4, 6), SYDNEY, 0)[2] == at("2031-04-06T02:00:00+11:00")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2031, 10, 4), "2031-10-04T16:00:00+10:00"),
        (date(2031, 10, 5), "2031-10-05T16:00:00+11:00"),
        (date(2031, 4, 6), "2031-04-06T16:00:00+10:00"),
    ],
)
def test_passes_end_with_the_last_pass_hour(day: date, expected: str) -> None:
    assert passes_ended_at(day, SYDNEY, 10) == at(expected)


@a_while
@given(days, zones, window_starts, st.sampled_from([5, 15, 60]), st.data())
def test_calls_at_a_steady_rate_meet_every_pass_hour_equally_often(
    day: date, name: str, window_start: int, every: int, data: st.DataObject
) -> None:
    first = datetime.combine(day - timedelta(days=1), time(), UTC)
    late = timedelta(minutes=data.draw(st.integers(0, every - 1)))
    calls = [first + late + timedelta(minutes=every) * n for n in range(3 * 24 * 60 // every)]
    met = Counter(pass_hour(call, name, window_start) for call in calls)
    for hour in range(24):
        is_pass_hour = window_start <= hour < window_start + PASSES_A_DAY
        assert met[PassHour(day, hour)] == (60 // every if is_pass_hour else 0)


def test_next_pass_is_now_within_a_pass_hour_of_the_due_day() -> None:
    now = utc("2031-05-07T10:40:00+10:00")
    assert next_pass_at(now, date(2031, 5, 8), 1, SYDNEY, 10) == now


@pytest.mark.parametrize(
    ("now", "handled", "expected"),
    [
        ("2031-05-01T12:00:00+10:00", [], "2031-05-07T10:00:00+10:00"),
        ("2031-05-07T09:00:00+10:00", [], "2031-05-07T10:00:00+10:00"),
        ("2031-05-07T10:40:00+10:00", [10], "2031-05-07T11:00:00+10:00"),
        ("2031-05-07T10:40:00+10:00", [10, 11], "2031-05-07T12:00:00+10:00"),
        ("2031-05-07T15:59:00+10:00", [10, 15], None),
        ("2031-05-07T16:00:00+10:00", [], None),
        ("2031-05-08T10:30:00+10:00", [], None),
    ],
)
def test_next_pass_is_the_next_pass_hour_of_the_due_day(now: str, handled: list[int], expected: str | None) -> None:
    found = next_pass_at(utc(now), date(2031, 5, 8), 1, SYDNEY, 10, handled)
    assert found == (at(expected) if expected else None)


@a_while
@given(instants, zones, window_starts, st.integers(-1, 3), st.integers(1, 2), st.sets(st.integers(6, 20)))
def test_next_pass_would_take_the_appointment_up(
    now: datetime, name: str, window_start: int, ahead: int, lead_days: int, handled: set[int]
) -> None:
    due_on = local(now, name).date() + timedelta(days=ahead)
    found = next_pass_at(now, appointment_date(due_on, lead_days), lead_days, name, window_start, handled)
    left = [
        begin
        for begin in day_passes(due_on, name, window_start)
        if begin + HOUR > now and local(begin, name).hour not in handled
    ]
    assert found == (max(now, left[0]) if left else None)


@pytest.mark.parametrize(
    ("starts_at", "queued_at", "expected"),
    [
        ("2031-05-08T09:30:00+10:00", "2031-05-07T10:00:00+10:00", "2031-05-07T21:00:00+10:00"),
        ("2031-05-07T18:00:00+10:00", "2031-05-07T10:00:00+10:00", "2031-05-07T18:00:00+10:00"),
        ("2031-05-08T09:30:00+10:00", "2031-05-06T23:00:00Z", "2031-05-07T21:00:00+10:00"),
        ("2031-10-06T09:30:00+11:00", "2031-10-05T01:30:00+10:00", "2031-10-05T21:00:00+11:00"),
        ("2031-04-07T09:30:00+10:00", "2031-04-06T01:30:00+11:00", "2031-04-06T21:00:00+10:00"),
    ],
)
def test_deadline_is_the_start_or_nine_in_the_evening_where_the_business_is(
    starts_at: str, queued_at: str, expected: str
) -> None:
    found = deadline(at(starts_at), at(queued_at), SYDNEY)
    assert found == at(expected)
    assert found.tzinfo is UTC


def missed(watched_since: str, now: str, *handled: date) -> list[date]:
    return missed_days(utc(watched_since), utc(now), SYDNEY, 10, handled)


def test_day_is_missed_once_its_last_pass_hour_is_over() -> None:
    watched = "2031-05-06T12:00:00+10:00"
    assert missed(watched, "2031-05-07T15:59:59+10:00") == []
    assert missed(watched, "2031-05-07T16:00:00+10:00") == [date(2031, 5, 7)]
    assert missed(watched, "2031-05-07T16:00:00+10:00", date(2031, 5, 7)) == []


def test_day_on_which_watching_began_is_never_missed() -> None:
    assert missed("2031-05-07T00:00:01+10:00", "2031-05-07T23:00:00+10:00") == []
    # Still the evening of the 6th in Sydney.
    assert missed("2031-05-06T13:59:59Z", "2031-05-07T23:00:00+10:00") == [date(2031, 5, 7)]


def test_days_with_a_pass_are_not_missed() -> None:
    days = missed("2031-05-01T12:00:00+10:00", "2031-05-06T09:00:00+10:00", date(2031, 5, 3))
    assert days == [date(2031, 5, 2), date(2031, 5, 4), date(2031, 5, 5)]


def test_fourteen_days_are_looked_back_upon_at_most() -> None:
    days = missed("2030-01-01T12:00:00+10:00", "2031-05-20T16:00:00+10:00")
    assert days == [date(2031, 5, 6) + timedelta(days=n) for n in range(15)]


@a_while
@given(instants, instants, zones, window_starts, st.sets(st.integers(0, 20)))
def test_missed_days_are_exactly_those_over_and_without_a_pass(
    watched_since: datetime, now: datetime, name: str, window_start: int, handled_ago: set[int]
) -> None:
    today = local(now, name).date()
    handled = {today - timedelta(days=ago) for ago in handled_ago}
    found = missed_days(watched_since, now, name, window_start, handled)
    assert found == sorted(set(found))
    for ago in range(-1, 30):
        day = today - timedelta(days=ago)
        over = now >= max(day_passes(day, name, window_start)) + HOUR
        watched = day > local(watched_since, name).date()
        assert (day in found) == (over and watched and 0 <= ago <= 14 and day not in handled)


@pytest.mark.parametrize(
    ("hour", "lead_days", "first", "last"),
    [
        ("09:00", 1, "2031-05-08", "2031-05-14"),
        ("15:59", 1, "2031-05-08", "2031-05-14"),
        ("16:00", 1, "2031-05-09", "2031-05-15"),  # today's last pass hour is over
        ("09:00", 3, "2031-05-10", "2031-05-16"),
    ],
)
def test_the_coming_week_begins_with_reminders_still_due(hour: str, lead_days: int, first: str, last: str) -> None:
    now = resolve(datetime.fromisoformat(f"2031-05-07 {hour}"), SYDNEY)
    assert coming_week(now, SYDNEY, lead_days, 10) == (date.fromisoformat(first), date.fromisoformat(last))
