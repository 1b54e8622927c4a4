"""Which alarms stand, when they are told and when they are over; and that each has words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.alarms import (
    FEWEST_UNDELIVERED,
    OVER_AFTER,
    Alarm,
    Code,
    HostSeen,
    LateBusiness,
    PracticeSeen,
    alarms_of_host,
    alarms_of_practice,
    changes,
    say,
    say_to_staff,
)
from portal.core.reminders import Sending
from portal.core.watching import QueueSeen, WorkerSeen

NOW = datetime(2031, 5, 7, 1, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ALIVE = WorkerSeen("w", "host", 1, "idle", NOW, is_alive=True)
LOST = replace(ALIVE, is_alive=False)
WELL = HostSeen(QueueSeen(workers=[ALIVE]), True, None, None, None)
QUIET = PracticeSeen("riverside", Sending.ON, "Australia/Sydney")


def codes(seen: HostSeen | PracticeSeen) -> list[Code]:
    find: Any = alarms_of_host if isinstance(seen, HostSeen) else alarms_of_practice
    return [alarm.code for alarm in find(seen, NOW)]


def test_nothing_stands_where_all_is_well() -> None:
    assert codes(WELL) == []
    assert codes(QUIET) == []


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        (QueueSeen(problem="Redis does not answer"), [Code.REDIS_AWAY]),
        (QueueSeen(), []),  # no worker, and no work: cron starts them for a burst
        (QueueSeen(1, MINUTE), []),
        (QueueSeen(1, 3 * MINUTE), [Code.WORKERS_GONE]),
        (QueueSeen(workers=[LOST]), [Code.WORKERS_GONE]),
        (QueueSeen(expired=1), [Code.WORKERS_GONE]),
        (QueueSeen(workers=[LOST, ALIVE]), []),
        (QueueSeen(9, 9 * MINUTE, [ALIVE]), []),
        (QueueSeen(9, 10 * MINUTE, [ALIVE]), [Code.QUEUE_WAITS]),
        (QueueSeen(9, 10 * MINUTE), [Code.WORKERS_GONE]),  # the cause is told, not what comes of it
    ],
)
def test_the_queue_and_its_workers(queue: QueueSeen, expected: list[Code]) -> None:
    assert codes(replace(WELL, queue=queue)) == expected


def test_messages_that_are_due_and_not_sent_wait_too_long_unless_they_wait_for_the_account() -> None:
    late = replace(WELL, due_since=NOW - 10 * MINUTE)
    assert codes(late) == [Code.QUEUE_WAITS]
    assert codes(replace(late, due_since=NOW - 9 * MINUTE)) == []
    assert codes(replace(late, can_send=False)) == []
    assert codes(replace(late, refused="http-402")) == [Code.ACCOUNT_REFUSED]
    assert codes(replace(WELL, reported="1070")) == [Code.ACCOUNT_REPORTED]


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"late": (LateBusiness("North Clinic", "Australia/Sydney", NOW - HOUR),)}, Code.NO_PASS_RAN),
        ({"credits": 3, "needed": 9, "runs_out_at": NOW + HOUR}, Code.CREDITS_RUN_OUT),
        ({"in_doubt": 1, "in_doubt_since": NOW - HOUR}, Code.IN_DOUBT),
        ({"in_doubt": 1, "in_doubt_since": NOW - 59 * MINUTE}, None),
        ({"texted": 24, "undelivered": 5}, Code.MANY_UNDELIVERED),
        ({"texted": 25, "undelivered": 5}, None),  # 20 per cent, and not more
        ({"texted": 25, "undelivered": 5, "share": 10}, Code.MANY_UNDELIVERED),
        ({"texted": 4, "undelivered": FEWEST_UNDELIVERED - 1}, None),
        ({"held_back": 1}, Code.DAILY_LIMIT),
    ],
)
def test_each_alarm_of_a_practice(what: dict[str, Any], code: Code | None) -> None:
    assert codes(replace(QUIET, **what)) == ([code] if code else [])


def test_who_sends_nothing_runs_out_of_nothing() -> None:
    short = replace(QUIET, credits=0, needed=9, runs_out_at=NOW + HOUR)
    assert codes(replace(short, sending=Sending.REHEARSAL)) == []


def test_one_that_stands_is_not_raised_again_and_what_comes_and_goes_is_told_once() -> None:
    alarm = Alarm(Code.QUEUE_WAITS)
    assert changes({}, [alarm], NOW).raised == [alarm]
    standing = {alarm.key: NOW}
    assert changes(standing, [alarm], NOW + MINUTE) == changes(standing, [alarm], NOW)
    assert changes(standing, [alarm], NOW + MINUTE).raised == []
    assert changes(standing, [], NOW + OVER_AFTER - MINUTE).over == []
    assert changes(standing, [], NOW + OVER_AFTER).over == [alarm.key]


def test_the_same_of_two_practices_are_two() -> None:
    one, other = (Alarm(Code.IN_DOUBT, id_) for id_ in ("riverside", "northgate"))
    assert changes({one.key: NOW}, [one, other], NOW).raised == [other]


DETAIL: dict[str, Any] = {
    "since": "2031-05-06T23:10:00+00:00",
    "at": "2031-05-07T00:00:00+00:00",
    "zone": "Australia/Sydney",
    "code": "1070",
    "businesses": ["North Clinic", "South Clinic"],
    "credits": 140,
    "needed": 1164,
    "count": 3,
    "undelivered": 12,
    "texted": 40,
    "share": 20,
}


@pytest.mark.parametrize("code", Code)
def test_every_alarm_has_words_a_place_and_an_all_clear(code: Code) -> None:
    said = say(code, DETAIL, NOW)
    assert said.heading and not said.heading.endswith(".")
    assert said.says.endswith(".") and said.all_clear.endswith(".")
    assert said.place.startswith("/") and said.link
    assert str(code) not in said.says
    to_staff = say_to_staff(code, DETAIL, NOW)
    assert to_staff.heading and to_staff.says.endswith(".")
    for word in ("Redis", "worker", "1070", "Mend it at"):
        assert word not in f"{to_staff.heading} {to_staff.says}"


def test_an_alarm_says_what_by_when_at_the_practices_clocks() -> None:
    assert say(Code.CREDITS_RUN_OUT, DETAIL, NOW - 2 * HOUR).says == (
        "140 left; the reminders that go today need 1,164. Top up before 10am today."
    )
    assert say(Code.CREDITS_RUN_OUT, DETAIL, NOW).says == (
        "The reminders of 10am today need more than were left. Top up now: the next try takes up the others."
    )
    assert say(Code.NO_PASS_RAN, DETAIL, NOW).says.startswith("North Clinic and South Clinic: nothing has run since")
    assert "at 11:10pm UTC" in say(Code.QUEUE_WAITS, {"since": DETAIL["since"]}, NOW).says


@given(st.text(max_size=200))
def test_a_business_of_any_name_stays_in_its_line(name: str) -> None:
    said = say(Code.NO_PASS_RAN, DETAIL | {"businesses": [name]}, NOW)
    assert "\n" not in said.says
