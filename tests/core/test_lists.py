"""How a list's dates, times and names are read: as staff said, or not at all."""

from dataclasses import replace
from datetime import date, datetime, time

import pytest

from portal.core.lists import (
    DateOrder,
    Matching,
    folded,
    matching_from,
    read_clock,
    read_day,
    read_end,
    read_moment,
    split_name,
    split_title,
    usual_columns,
)

DAY, MONTH, YEAR = DateOrder.DAY_FIRST, DateOrder.MONTH_FIRST, DateOrder.YEAR_FIRST


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("08/05/2031", DAY, date(2031, 5, 8)),
        ("08/05/2031", MONTH, date(2031, 8, 5)),
        ("8.5.2031", DAY, date(2031, 5, 8)),
        (" 2031-05-08 ", YEAR, date(2031, 5, 8)),
        ("Thu 8 May 2031", MONTH, date(2031, 5, 8)),
        ("Thursday, 08-May-2031", YEAR, date(2031, 5, 8)),
    ],
)
def test_dates_are_read_as_staff_said(text: str, order: DateOrder, day: date) -> None:
    assert read_day(text, order) == day


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("2031-05-08", DAY),
        ("08/05/2031", YEAR),
        ("08/05-2031", DAY),
        ("8 Foo 2031", DAY),
        ("", DAY),
        ("45786", DAY),
    ],
)
def test_any_other_way_of_writing_is_an_error(text: str, order: DateOrder) -> None:
    with pytest.raises(ValueError, match="not a date"):
        read_day(text, order)


@pytest.mark.parametrize(
    ("text", "order", "says"),
    [
        ("31.11.2026", DAY, "there is no such day"),
        ("31 Feb 2031", DAY, "there is no such day"),
        ("05/13/2031", DAY, "there is no month 13 with the day first, like"),  # right the other way round
        ("13/05/2031", MONTH, "there is no month 13 with the month first, like"),
        ("00.00.0000", DAY, "there is no month 0 with the day first, like"),
        ("3.12.61", DAY, "write all four, like 1961"),  # nothing says of which century
    ],
)
def test_a_date_that_is_none_says_why(text: str, order: DateOrder, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_day(text, order)


@pytest.mark.parametrize(
    ("text", "order"),
    [("28.11.26", DAY), ("28/11/26", DAY), ("28-11-26", DAY), ("11/28/26", MONTH), ("26-11-28", YEAR)],
)
def test_an_appointments_year_of_two_digits_is_of_this_century(text: str, order: DateOrder) -> None:
    at = datetime.fromisoformat("2026-11-28 09:30")
    assert read_moment(text, "9:30", order) == read_moment(f"{text} 9:30", None, order) == at


def test_a_time_is_not_taken_for_a_year() -> None:
    with pytest.raises(ValueError, match="not a date"):
        read_moment("8.5.10:30", "10:30", DAY)


@pytest.mark.parametrize("text", ["31/12/9999", "1 Jan 0001"])
def test_a_year_that_cannot_be_meant_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="the year must lie between"):
        read_day(text, DAY)


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("9:30", time(9, 30)),
        ("09.30", time(9, 30)),
        ("9am", time(9)),
        ("2:05 PM", time(14, 5)),
        ("12 a.m.", time(0)),
        ("12:15pm", time(12, 15)),
        ("14:00:00", time(14)),
        ("14:00:00.000", time(14)),
    ],
)
def test_times(text: str, clock: time) -> None:
    assert read_clock(text) == clock


@pytest.mark.parametrize("text", ["", "930", "9", "25:00", "13pm", "0am", "9:5", "9:61", "noon"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        read_clock(text)


@pytest.mark.parametrize("text", ["10:00+10:00", "10:00:00.000 -0500", "10:00Z"])
def test_a_time_zone_is_named_where_none_is_read(text: str) -> None:
    with pytest.raises(ValueError, match="as the clock at the business shows it, without “"):
        read_clock(text)


def test_a_time_stands_beside_the_date_or_in_its_own_column() -> None:
    at = datetime.fromisoformat("2031-05-08 09:30")
    assert read_moment("08/05/2031 9:30am", None, DAY) == at
    assert read_moment("2031-05-08T09:30", None, YEAR) == at
    assert read_moment("08/05/2031 00:00", "9:30", DAY) == at  # as spreadsheets write a date
    with pytest.raises(ValueError, match="no time beside the date"):
        read_moment("08/05/2031", None, DAY)
    assert (
        read_end("10:00", at, DAY)
        == read_end("08/05/2031 10:00", at, DAY)
        == datetime.fromisoformat("2031-05-08 10:00")
    )


def test_names() -> None:
    assert split_name("Mia  Nguyen") == split_name("Nguyen, Mia") == ("Mia", "Nguyen")
    assert split_name("Mia van der Berg") == ("Mia van der", "Berg")
    assert split_title("Dr. Helen Marsh") == ("Dr.", "Helen", "Marsh")
    assert split_title("Helen Marsh") == ("", "Helen", "Marsh")
    assert folded("DR. Helen  marsh") == folded("Dr Helen Marsh")


def test_headings_that_say_by_themselves_what_they_hold() -> None:
    assert usual_columns(["Date", "Start time", "Time", "Phone", "Mobile"]) == {
        "date": "date",
        "start": "start time",
        "mobile": "mobile",
    }
    assert usual_columns(["Patient", "Last name"]) == {"last_name": "last name"}


COMPLETE = Matching(
    dates=DAY,
    columns={"date": "when", "name": "who", "type": "what"},
    same={"business": "North", "practitioner": "Dr Marsh"},
)


def test_a_matching_says_what_is_still_to_be_said() -> None:
    assert COMPLETE.find_problem() is None
    assert matching_from(COMPLETE.as_json()) == COMPLETE
    for wrong, field in (
        (Matching(), "dates"),
        (Matching(dates=DAY), "date"),
        (Matching(dates=DAY, columns={"date": "when"}), "name"),
        (Matching(dates=DAY, columns={"date": "d", "name": "n", "last_name": "l"}), "name"),
        (Matching(dates=DAY, columns={"date": "d", "name": "n"}), "business"),
        (Matching(dates=DAY, columns={**COMPLETE.columns, "email": "who"}, same=COMPLETE.same), "name"),
        (replace(COMPLETE, columns={**COMPLETE.columns, "status": "state"}, cancelled=" , ."), "cancelled"),
    ):
        assert (wrong.find_problem() or ("", ""))[0] == field
