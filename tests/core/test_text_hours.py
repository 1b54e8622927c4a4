"""When a text that staff write goes: within the practice's hours at once, else in the morning."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.phrases import hours_in_words
from portal.core.timing import local, resolve, texting_at, zone

ZONES = ("Australia/Sydney", "Australia/Lord_Howe", "America/New_York", "Europe/London", "Asia/Kathmandu")


@pytest.mark.parametrize(
    ("written", "goes"),
    [
        ("2031-05-07 07:59", "2031-05-07 08:00"),
        ("2031-05-07 08:00", "2031-05-07 08:00"),
        ("2031-05-07 20:59", "2031-05-07 20:59"),
        ("2031-05-07 21:00", "2031-05-08 08:00"),
        ("2031-05-07 00:10", "2031-05-07 08:00"),
        ("2031-04-05 22:00", "2031-04-06 08:00"),  # the clocks are put back in that night
    ],
)
def test_outside_its_hours_it_waits_for_the_morning(written: str, goes: str) -> None:
    at = resolve(datetime.fromisoformat(written), ZONES[0])
    assert texting_at(at, ZONES[0], 8, 21) == resolve(datetime.fromisoformat(goes), ZONES[0])


@given(
    st.datetimes(datetime.fromisoformat("2030-01-01"), datetime.fromisoformat("2032-01-01")),
    st.sampled_from(ZONES),
    st.integers(0, 12),
    st.integers(13, 24),
)
def test_it_never_goes_outside_them_nor_later_than_the_next_morning(
    written: datetime, zone_name: str, begin: int, end: int
) -> None:
    at = written.replace(tzinfo=zone(zone_name))
    goes = texting_at(at, zone_name, begin, end)
    assert begin <= local(goes, zone_name).hour < end
    assert timedelta(0) <= goes - at <= timedelta(hours=25)
    assert texting_at(goes, zone_name, begin, end) == goes
    if begin <= local(at, zone_name).hour < end:
        assert goes == at


def test_hours_in_words() -> None:
    assert hours_in_words(8, 21) == "8am to 9pm"
    assert hours_in_words(0, 24) == "midnight to midnight"
    assert hours_in_words(12, 13) == "12pm to 1pm"
