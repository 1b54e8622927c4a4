"""The demo shows every reason and every outcome up to sent, by the real pass, gateway and stand-in provider."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from portal import demo, store
from portal.actions.browse_log import stream
from portal.actions.diagnose import diagnose
from portal.core.reasons import DIAGNOSIS_ONLY, Reason
from portal.core.replies import Meaning, read
from portal.core.states import Status
from portal.core.timing import local
from portal.demo.cities import late_morning
from portal.demo.practice import PRACTICE
from tests.played_demo import NEW_YORK, SYDNEY, PlayedDemo, played_demo

UP_TO_SENT = {
    *(Status.QUEUED, Status.SENT, Status.UNCONFIRMED, Status.NOT_SENT, Status.FAILED),
    *(Status.CANCELLED, Status.EXPIRED, Status.UNKNOWN),
}


@pytest.fixture(scope="module", params=[SYDNEY, NEW_YORK], ids=["Sydney", "New York"])
def played(request: pytest.FixtureRequest) -> Iterator[PlayedDemo]:
    with played_demo(request.param) as host, host.app.app_context():
        yield host


def test_every_outcome_up_to_sent_is_in_the_log(played: PlayedDemo) -> None:
    assert {message["status"] for message in stream(PRACTICE)} == UP_TO_SENT


def test_every_reason_is_in_the_log_or_in_a_diagnosis(played: PlayedDemo) -> None:
    # Asked of marketing only, and of a practice that comes from another system.
    of_reminders = set(Reason) - {Reason.NO_CONSENT, Reason.REMINDED_ELSEWHERE}
    logged = {reason for message in stream(PRACTICE) for reason in message["reasons"]}
    assert logged == of_reminders - DIAGNOSIS_ONLY
    said = {reason for id_ in range(5001, 5049) for reason in diagnose(PRACTICE, str(id_), played.now).reasons}
    assert said == of_reminders


def test_only_numbers_set_aside_for_fiction_are_texted(played: PlayedDemo) -> None:
    fiction = {"+61491570" + ending for ending in ("006", "110", "156", "157", "158", "159", "737")}
    fiction |= {"+6149157" + ending for ending in ("1491", "1804", "2549")}
    fiction |= {f"+120255501{ending:02}" for ending in range(100)}
    assert {message["to"] for message in stream(PRACTICE)} - {None} <= fiction


def test_reminders_are_answered_by_patients_a_family_and_a_stranger(played: PlayedDemo) -> None:
    rules = [rule for rule in json.loads(demo.plan_file(played.settings).read_text()) if "reply" in rule]
    reminded = {message["to"] for message in stream(PRACTICE) if message["status"] == Status.SENT}
    assert all(rule["to"] in reminded and rule["times"] == 1 for rule in rules)
    with store.reading(PRACTICE) as session:
        numbers = [rule["reply_from"] for rule in rules]
        whose = store.replies.list_candidates(session, numbers)
    assert [(read(rule["reply"]), len(whose.get(rule["reply_from"], ()))) for rule in rules] == [
        (Meaning.CONFIRM, 1),
        (Meaning.OTHER, 1),
        (Meaning.OTHER, 2),
        (Meaning.OTHER, 0),
        (Meaning.STOP, 1),
    ]


def test_a_second_start_keeps_the_practice_and_another_day_asks_for_a_fresh_one(played: PlayedDemo) -> None:
    assert demo.prepare(played.settings, played.now + timedelta(hours=1)).startswith("Harbour Physiotherapy is in")
    assert "portal demo --fresh" in demo.prepare(played.settings, played.now + timedelta(days=2))
    assert played.says.startswith(("Harbour Physiotherapy is in Sydney", "Harbour Physiotherapy is in New York"))


def test_it_is_late_morning_somewhere_at_any_time_of_any_day() -> None:
    instant = datetime(2026, 1, 1, tzinfo=UTC)
    while instant.year == 2026:
        there = local(instant, late_morning(instant).zone)
        assert 10.5 <= there.hour + there.minute / 60 < 12.5
        instant += timedelta(hours=7, minutes=15)
