"""Messages to many: whom in words, what a text may name, when it goes and until when, how it stands."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from portal.core.broadcasts import (
    STATES_IN_WORDS,
    NotThen,
    State,
    Whom,
    deadline,
    goes_at,
    known_placeholders,
    read_time,
    state_of,
    whom_in_words,
)
from portal.core.text import PLACEHOLDERS
from portal.core.typed_text import read_text

SYDNEY = "Australia/Sydney"
NOW = datetime(2031, 5, 7, 0, 5, tzinfo=UTC)  # 10:05am on Wednesday in Sydney
TODAY = date(2031, 5, 7)
THURSDAY = Whom(day=date(2031, 5, 8))


@pytest.mark.parametrize(
    ("whom", "names", "says"),
    [
        (THURSDAY, ("", "", ""), "Everybody with an appointment tomorrow"),
        (
            replace(THURSDAY, with_cancelled=True),
            ("North Clinic", "Dr Helen Marsh", "Pilates"),
            'Everybody with an appointment tomorrow with Dr Helen Marsh at North Clinic for "Pilates", '
            "also where it is cancelled",
        ),
        (Whom(day=date(2031, 5, 20)), ("", "", ""), "Everybody with an appointment on Tuesday 20 May"),
        (Whom(), ("", "", ""), "All patients"),
        (Whom(), ("North Clinic", "Dr Helen Marsh", ""), "Patients of Dr Helen Marsh at North Clinic"),
        (
            Whom(seen_since=date(2031, 1, 1)),
            ("", "Dr Helen Marsh", ""),
            "Patients seen since Wednesday 1 January 2031 by Dr Helen Marsh",
        ),
    ],
)
def test_whom_it_is_for_is_told_in_words(whom: Whom, names: tuple[str, str, str], says: str) -> None:
    assert whom_in_words(whom, TODAY, *names) == says


def test_only_what_everybody_has_can_be_named() -> None:
    assert known_placeholders(THURSDAY, has_business=False) == PLACEHOLDERS
    assert {name.split(".")[0] for name in known_placeholders(Whom(), has_business=True)} == {"Patient", "Business"}
    known = known_placeholders(Whom(), has_business=False)
    assert {name.split(".")[0] for name in known} == {"Patient"}
    template, problem = read_text(" Hi {{ Patient.FirstName }}\r\n", known)
    assert template and template.pieces == ("Hi ", "Patient.FirstName", "") and not problem
    assert read_text("{{Business.Name}}", known) == (
        None,
        "{{Business.Name}} cannot be filled in for these patients: write out what is to stand there.",
    )


@pytest.mark.parametrize(
    ("now", "asked", "goes"),
    [
        (NOW, None, NOW + timedelta(minutes=2)),
        (NOW + timedelta(seconds=1), None, NOW + timedelta(minutes=3)),  # clocks are read to the minute
        (NOW, NOW + timedelta(seconds=30), NOW + timedelta(minutes=2)),
        (NOW, NOW + timedelta(hours=4), NOW + timedelta(hours=4)),
        (NOW, NOW + timedelta(hours=12), NOW + timedelta(hours=21, minutes=55)),  # 8am
        (NOW - timedelta(hours=3), None, NOW - timedelta(hours=2, minutes=5)),
    ],
)
def test_it_goes_after_the_pause_and_within_the_hours(now: datetime, asked: datetime | None, goes: datetime) -> None:
    assert goes_at(asked, SYDNEY, 8, 21, now) == goes


def test_it_may_be_sent_until_the_hours_of_the_next_day_end() -> None:
    assert deadline(NOW, SYDNEY, 21) == datetime(2031, 5, 8, 11, tzinfo=UTC)  # 9pm
    assert deadline(NOW, SYDNEY, 24) == datetime(2031, 5, 8, 14, tzinfo=UTC)


def test_a_time_is_read_by_the_local_clocks() -> None:
    assert read_time(" ", SYDNEY, NOW) is None
    assert read_time("2031-05-07T10:06", SYDNEY, NOW) == NOW + timedelta(minutes=1)
    for typed, says in (
        ("2031-05-07T10:05", "That time has passed"),
        ("2031-07-07T10:05", "more than 60 days ahead"),
        ("soon", "Type the time"),
        ("0001-01-01T00:00", "The year must lie between"),
        ("2031-10-05T02:30", "This local time never occurs"),
    ):
        with pytest.raises(NotThen, match=says):
            read_time(typed, SYDNEY, NOW)


@pytest.mark.parametrize(
    ("is_recorded", "is_taken_back", "is_under_way", "now", "state"),
    [
        (False, False, True, NOW, State.PREPARED),
        (True, False, True, NOW - timedelta(minutes=1), State.WAITING),
        (True, False, True, NOW, State.GOING),
        (True, False, False, NOW, State.DONE),
        (False, True, True, NOW, State.TAKEN_BACK),
    ],
)
def test_how_it_stands(
    is_recorded: bool, is_taken_back: bool, is_under_way: bool, now: datetime, state: State
) -> None:
    told = state_of(NOW, is_recorded=is_recorded, is_taken_back=is_taken_back, is_under_way=is_under_way, now=now)
    assert told is state
    assert STATES_IN_WORDS[told]
