"""Alarms from real rows: raised once, told once over Apprise, ended with an all-clear. On both databases."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
import redis
from flask import Flask

from portal import notify, store
from portal.actions.account import account_is_well, account_refused
from portal.actions.alarms import _look, keep_watch, list_standing, tell_what_changed
from portal.actions.credits import top_up
from portal.actions.remind import run_pass
from portal.actions.who import COMMAND_LINE
from portal.actions.worklist import mark_dealt_with
from portal.alarms import look_for_alarms
from portal.config import Settings
from portal.core.alarms import OVER_AFTER, Alarm, Code
from portal.core.reasons import Reason
from portal.core.reminders import Sending
from portal.core.states import Status
from portal.core.watching import QueueSeen, WorkerSeen
from portal.embedded import RedisUnavailable
from portal.enqueue import enqueue
from portal.queue import Queue
from portal.store.messages import Message
from tests.actions.test_remind import the_log
from tests.builders import PASS_AT, Clinic

HOUR = timedelta(hours=1)
WELL = QueueSeen(workers=[WorkerSeen("w", "host", 1, "idle", PASS_AT, is_alive=True)])


def watch(at: datetime = PASS_AT, queue: QueueSeen = WELL) -> list[tuple[Code, str | None]]:
    """What stands after a look at that time."""
    keep_watch(queue, True, at)
    return [(alarm.code, alarm.practice_id) for alarm in list_standing(at)]


def set_status(clinic: Clinic, status: Status, **values: Any) -> list[int]:
    """Of all of its messages."""
    ids = [message.id for message in the_log(clinic.id).values()]
    with store.transaction(clinic.id) as session:
        row = {"practice_id": clinic.id, "status": status, "claimed_at": PASS_AT} | values
        store.messages.update_messages(session, [row | {"id": id_} for id_ in ids])
    return ids


class Heard(list[tuple[str, str]]):
    """Whoever is told. `is_deaf`: takes nothing."""

    is_deaf = False

    def __call__(self, title: str, text: str) -> bool:
        if not self.is_deaf:
            self.append((title, text))
        return not self.is_deaf

    @property
    def titles(self) -> list[str]:
        return [title for title, _ in self]


def test_a_quiet_practice_raises_nothing(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    set_status(clinic, Status.DELIVERED)
    assert watch() == []


def test_an_alarm_is_told_once_and_once_more_when_it_is_over(app: Flask) -> None:
    heard = Heard()
    gone = QueueSeen(problem="Redis does not answer")
    for minutes in (0, 5, 10):
        at = PASS_AT + timedelta(minutes=minutes)
        assert watch(at, gone) == [(Code.REDIS_AWAY, None)]
        tell_what_changed(heard, "https://reminders.example.com", at)
    assert heard == [
        (
            "SMS reminders: Nothing runs: Redis is away",
            "Nothing runs: Redis is away\n"
            "No reminder goes until Redis answers again. The portal's administrator can start it.\n"
            "https://reminders.example.com/host",
        )
    ]
    assert watch(at + timedelta(minutes=5)) == [(Code.REDIS_AWAY, None)]  # it may be back in a minute
    assert watch(at + OVER_AFTER) == []
    for _ in range(2):
        tell_what_changed(heard, None, at + OVER_AFTER)
    assert heard[1:] == [
        (
            "SMS reminders: over: Nothing runs: Redis is away",
            "Nothing runs: Redis is away\nOver: Redis answers again.",
        )
    ]


def test_who_could_not_be_told_is_told_the_next_time(app: Flask) -> None:
    heard = Heard()
    heard.is_deaf = True
    watch(PASS_AT, QueueSeen(problem="away"))
    assert tell_what_changed(heard, None, PASS_AT) == 0
    heard.is_deaf = False
    assert tell_what_changed(heard, None, PASS_AT + timedelta(minutes=5)) == 1


def test_what_was_over_before_anybody_was_told_is_not_told(app: Flask) -> None:
    heard = Heard()
    watch(PASS_AT, QueueSeen(problem="away"))
    watch(PASS_AT + HOUR)
    assert tell_what_changed(heard, None, PASS_AT + HOUR) == 0
    assert heard == []


def test_what_somebody_is_telling_is_not_told_by_another(app: Flask) -> None:
    watch(PASS_AT, QueueSeen(problem="away"))
    with store.everything(write=True) as session:
        assert len(store.alarms.claim_to_tell(session, PASS_AT)) == 1
    heard = Heard()
    assert tell_what_changed(heard, None, PASS_AT + timedelta(minutes=5)) == 0
    assert tell_what_changed(heard, None, PASS_AT + timedelta(minutes=10)) == 1  # whoever began was killed


def test_several_at_once_are_one_message(app: Flask) -> None:
    with store.everything(write=True) as session:
        account_refused(session, "http-402", PASS_AT)
    heard = Heard()
    watch(PASS_AT, QueueSeen(problem="away"))
    tell_what_changed(heard, None, PASS_AT)
    assert heard.titles == ["SMS reminders: 2 alarms"]


def test_a_refused_account_stands_until_it_is_well(app: Flask) -> None:
    with store.everything(write=True) as session:
        account_refused(session, "http-402", PASS_AT)
    assert watch() == [(Code.ACCOUNT_REFUSED, None)]
    with store.everything(write=True) as session:
        account_is_well(session, PASS_AT)
    assert watch(PASS_AT + OVER_AFTER) == []


def test_no_pass_in_an_hour_is_named_by_business_and_over_with_the_next(app: Flask) -> None:
    clinic = Clinic()
    clinic.change(clinic.business, watched_since=PASS_AT - HOUR)
    at = PASS_AT + HOUR + timedelta(minutes=1)
    assert watch(at - timedelta(minutes=2)) == []
    assert watch(at) == [(Code.NO_PASS_RAN, clinic.id)]
    (alarm,) = list_standing(at)
    assert "North Clinic: nothing has run since 10am today." in alarm.said.says
    assert alarm.practice == "Riverside"
    run_pass(clinic.id, at, at)
    assert watch(at + OVER_AFTER) == []


def test_credits_that_will_not_last_are_told_before_the_pass(app: Flask) -> None:
    clinic = Clinic(credits=1)
    clinic.book("a")
    clinic.book("b")
    before = PASS_AT - 2 * HOUR
    assert watch(before) == [(Code.CREDITS_RUN_OUT, clinic.id)]
    (alarm,) = list_standing(before)
    assert alarm.said.says == "1 left; the reminders that go today need 2. Top up before 10am today."
    clinic.change(clinic.practice, sending=Sending.PAUSED)
    assert watch(before + OVER_AFTER) == []


def test_a_top_up_weighs_the_alarm_again_and_the_all_clear_goes_once(app: Flask) -> None:
    clinic = Clinic(credits=1)
    for name in "abc":
        clinic.book(name)
    heard = Heard()
    before = PASS_AT - 2 * HOUR
    assert watch(before) == [(Code.CREDITS_RUN_OUT, clinic.id)]
    tell_what_changed(heard, None, before)
    top_up(clinic.id, 1, "", before)
    (alarm,) = list_standing(before)
    assert alarm.said.says.startswith("2 left; the reminders that go today need 3.")
    assert tell_what_changed(heard, None, before) == 0  # it stands, as was told
    top_up(clinic.id, 1, "", before)
    assert list_standing(before) == []
    for minutes in (1, 5):
        assert watch(before + timedelta(minutes=minutes)) == []
        tell_what_changed(heard, None, before + timedelta(minutes=minutes))
    assert heard.titles[1:] == ["SMS reminders: over: Riverside: Credits run out with the next reminders"]


def test_a_look_that_began_before_the_top_up_raises_nothing_for_the_old_balance(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = Clinic(credits=0)
    clinic.book("a")
    before = PASS_AT - 2 * HOUR
    watch(before)

    def look_and_top_up(*args: Any) -> list[Alarm]:
        seen = list(_look(*args))
        top_up(clinic.id, 1, "", before)
        return seen

    monkeypatch.setattr("portal.actions.alarms._look", look_and_top_up)
    assert watch(before) == []


def test_a_top_up_stands_where_the_alarm_cannot_be_weighed(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clinic = Clinic(credits=0)

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("portal.actions.credits.weigh_credits_again", fail)
    assert top_up(clinic.id, 1, "", PASS_AT) == 1
    assert "was not weighed again" in caplog.text


def test_doubts_stand_until_somebody_has_dealt_with_them(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    (id_,) = set_status(clinic, Status.UNKNOWN, next_at=None)
    assert watch(PASS_AT + timedelta(minutes=59)) == []
    at = PASS_AT + HOUR
    assert watch(at) == [(Code.IN_DOUBT, clinic.id)]
    mark_dealt_with(clinic.id, id_, COMMAND_LINE, at)
    assert watch(at + OVER_AFTER) == []


def test_many_undelivered_are_an_alarm_by_the_practices_own_share(app: Flask) -> None:
    clinic = Clinic()
    for number in range(10):
        clinic.book(str(number))
    run_pass(clinic.id, PASS_AT, PASS_AT)
    ids = set_status(clinic, Status.DELIVERED)
    with store.transaction(clinic.id) as session:
        for id_ in ids[:5]:
            session.get_one(Message, id_).status = Status.UNDELIVERED
    assert watch() == [(Code.MANY_UNDELIVERED, clinic.id)]
    clinic.change(clinic.practice, alarm_share=50)
    assert watch(PASS_AT + OVER_AFTER) == []
    clinic.change(clinic.practice, alarm_share=20)
    assert watch(PASS_AT + timedelta(days=1)) == []  # another day


def test_the_daily_limit_is_an_alarm_of_its_day(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    emptied = {"to_number": None, "body": None, "segments": None, "charged": 0, "next_at": None}
    set_status(clinic, Status.NOT_SENT, reasons=(Reason.DAILY_LIMIT,), **emptied)
    assert watch() == [(Code.DAILY_LIMIT, clinic.id)]
    assert watch(PASS_AT + timedelta(hours=14)) == []


def test_each_practice_has_its_own(app: Flask) -> None:
    for name in ("riverside", "northgate"):
        clinic = Clinic(name, credits=0)
        clinic.book("a")
    assert sorted(watch(PASS_AT - HOUR), key=str) == [
        (Code.CREDITS_RUN_OUT, "northgate"),
        (Code.CREDITS_RUN_OUT, "riverside"),
    ]


# --- who looks, and how it is told ------------------------------------------------------------------------------


@pytest.fixture
def queue(redis_url: str) -> Iterator[Queue]:
    with redis.Redis.from_url(redis_url) as connection:
        yield Queue(connection)


def jobs(queue: Queue) -> list[str]:
    return [job.func_name for job in queue._queue.jobs]


def test_the_script_enqueues_a_look_every_five_minutes(
    app: Flask, settings: Settings, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queue, "look", lambda self: WELL)
    for _ in range(2):
        enqueue(settings, queue, PASS_AT)
    assert jobs(queue) == ["portal.jobs.watch"]


@pytest.mark.parametrize("seen", [QueueSeen(), replace(WELL, length=3, oldest_age=timedelta(minutes=11))])
def test_where_no_worker_lives_or_they_are_far_behind_the_script_looks_itself(
    app: Flask, settings: Settings, queue: Queue, monkeypatch: pytest.MonkeyPatch, seen: QueueSeen
) -> None:
    monkeypatch.setattr(Queue, "look", lambda self: seen)
    enqueue(settings, queue, PASS_AT)
    assert jobs(queue) == []
    assert [alarm.code for alarm in list_standing(PASS_AT)] == [Code.QUEUE_WAITS] * bool(seen.length)


def test_where_the_workers_are_gone_the_script_looks_itself(
    app: Flask, settings: Settings, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queue, "look", lambda self: QueueSeen(3, timedelta(minutes=3)))
    enqueue(settings, queue, PASS_AT)
    assert [alarm.code for alarm in list_standing(PASS_AT)] == [Code.WORKERS_GONE]
    assert jobs(queue) == []


def test_where_redis_is_away_the_script_says_so_too(app: Flask, settings: Settings) -> None:
    with redis.Redis(port=1) as nobody, pytest.raises(RedisUnavailable):
        Clinic()
        enqueue(settings, Queue(nobody), PASS_AT)
    assert [alarm.code for alarm in list_standing(PASS_AT)] == [Code.REDIS_AWAY]


class _Ear(BaseHTTPRequestHandler):
    heard: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "/deaf" in self.path:
            self.send_response(500)
        else:
            self.heard.append(json.loads(body))
            self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """What Apprise calls `json://`: the address, and what it has taken."""
    heard: list[dict[str, Any]] = []
    ear = type("Ear", (_Ear,), {"heard": heard})
    with HTTPServer(("127.0.0.1", 0), ear) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"json://user:hidden@127.0.0.1:{server.server_port}", heard
        server.shutdown()
        thread.join()


def test_apprise_hands_it_to_the_services(
    app: Flask, settings: Settings, service: tuple[str, list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    url, heard = service
    caplog.set_level(logging.DEBUG)
    settings = replace(settings, alarm_urls=(f"{url}/deaf", url), public_url="https://reminders.example.com")
    for _ in range(2):
        look_for_alarms(settings, QueueSeen(problem="away"), PASS_AT)
    assert [one["title"] for one in heard] == ["SMS reminders: Nothing runs: Redis is away"]
    assert "https://reminders.example.com/host" in heard[0]["message"]
    assert "hidden" not in caplog.text  # nor any part of the address


def test_an_address_that_no_service_takes_is_named_by_its_number(service: tuple[str, list[dict[str, Any]]]) -> None:
    assert notify.find_unusable([service[0], "nonsense://secret", "mailtos://"]) == [2, 3]
    assert notify.tell(["nonsense://secret"], "title", "text") is False
