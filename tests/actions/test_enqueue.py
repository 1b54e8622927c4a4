"""The script that cron calls: what is due, what was missed, what the sweeps settle. Real Redis, both databases."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions import zone_rules
from portal.actions.due import find_due
from portal.actions.remind import run_pass
from portal.actions.sweep import ENQUEUED_FOR, WAIT_FOR_RECEIPT
from portal.config import Settings
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.enqueue import Refused, enqueue
from portal.queue import Queue
from portal.store.appointments import Appointment
from portal.store.messages import Message
from portal.store.passes import MissedDay
from tests.actions.test_remind import balance, events, the_log
from tests.builders import PASS_AT, Clinic

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def queue(redis_url: str) -> Iterator[Queue]:
    with redis.Redis.from_url(redis_url) as connection:
        queue = Queue(connection)
        queue.may_watch()  # and so nobody looks for alarms within the next minutes: see test_alarms.py
        yield queue


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, vonage_base_url="http://127.0.0.1:9")


def test_a_practice_is_due_in_each_of_its_six_hours_until_a_pass_handled_it(app: Flask) -> None:
    clinic = Clinic()
    due = [hours for hours in range(-10, 14) if find_due(PASS_AT + hours * HOUR + timedelta(minutes=40))]
    assert due == [0, 1, 2, 3, 4, 5]
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert find_due(PASS_AT + timedelta(minutes=59)) == []
    assert find_due(PASS_AT + HOUR) == [clinic.id]


def test_a_zone_off_the_hour_is_served_at_its_own_full_hour(app: Flask) -> None:
    Clinic(business={"timezone": "Asia/Kathmandu"})
    ten_there = datetime(2031, 5, 7, 10, 0, tzinfo=ZoneInfo("Asia/Kathmandu"))
    assert ten_there.utcoffset() == timedelta(hours=5, minutes=45)
    assert find_due(ten_there - timedelta(seconds=1)) == []
    assert find_due(ten_there) == ["riverside"]


def test_one_call_enqueues_one_pass_for_each_practice_that_is_due(
    app: Flask, settings: Settings, queue: Queue
) -> None:
    Clinic("one")
    Clinic("two")
    Clinic("three", window_start=12)
    done = enqueue(settings, queue, PASS_AT)
    assert (done.practices, done.requeued, queue.length()) == (2, 0, 2)
    assert enqueue(settings, queue, PASS_AT).practices == 2
    assert queue.length() == 2  # still waiting: not enqueued twice


def test_at_stands_for_now_in_passes_only(app: Flask, settings: Settings, queue: Queue) -> None:
    Clinic()
    today = PASS_AT - 1500 * DAY
    assert enqueue(settings, queue, today - 5 * HOUR).practices == 0
    assert enqueue(settings, queue, today, at=PASS_AT).practices == 1
    real = replace(settings, vonage_base_url=None, vonage_api_key="k", vonage_api_secret="s")
    with pytest.raises(Refused):
        enqueue(real, queue, today, at=PASS_AT)
    assert enqueue(real, queue, PASS_AT - 50 * timedelta(minutes=1), at=PASS_AT).practices == 1


def test_a_day_without_a_pass_is_recorded_for_each_appointment_it_should_have_met(
    app: Flask, settings: Settings, queue: Queue
) -> None:
    clinic = Clinic()
    enqueue(settings, queue, PASS_AT - 2 * DAY)  # it is watched from Monday on
    last_hour = PASS_AT + 5 * HOUR
    clinic.book("met")
    clinic.book("too late", booked_at=last_hour + timedelta(minutes=1))
    clinic.book("moved too late", revision=1, moved_at=last_hour + timedelta(minutes=1))
    clinic.book("cancelled", cancelled_at=PASS_AT + HOUR)
    clinic.book("another day", starts="2031-05-09 09:00")
    run_pass(clinic.id, PASS_AT - DAY, PASS_AT - DAY)  # Tuesday had one

    assert enqueue(settings, queue, last_hour + timedelta(minutes=59)).swept == 0
    assert enqueue(settings, queue, last_hour + HOUR).swept == 1
    assert enqueue(settings, queue, last_hour + HOUR).swept == 0
    log = the_log()
    assert set(log) == {"met"}
    assert (log["met"].status, log["met"].reasons) == (Status.NOT_SENT, (Reason.NO_PASS_RAN,))
    assert (log["met"].body, log["met"].pass_at) == (None, last_hour + HOUR)
    assert events(log["met"]) == [(last_hour + HOUR, "not-sent", "no-pass-ran")]
    with store.reading(clinic.id) as session:
        missed = session.scalars(select(MissedDay)).all()
    assert [(day.local_date, day.appointments) for day in missed] == [(date(2031, 5, 7), 1)]


def test_a_pass_in_any_hour_of_the_day_is_enough(app: Flask, settings: Settings, queue: Queue) -> None:
    clinic = Clinic()
    enqueue(settings, queue, PASS_AT - DAY)
    run_pass(clinic.id, PASS_AT - DAY + 3 * HOUR, PASS_AT)
    run_pass(clinic.id, PASS_AT + 5 * HOUR, PASS_AT)
    clinic.book("a")
    assert enqueue(settings, queue, PASS_AT + DAY).swept == 0
    assert the_log() == {}


def test_it_looks_back_fourteen_days_at_most_and_not_before_it_watched(
    app: Flask, settings: Settings, queue: Queue
) -> None:
    Clinic()
    enqueue(settings, queue, PASS_AT)
    assert enqueue(settings, queue, PASS_AT + 30 * DAY).swept == 14
    Clinic("younger")
    enqueue(settings, queue, PASS_AT + 30 * DAY)
    assert enqueue(settings, queue, PASS_AT + 31 * DAY - HOUR).swept == 1  # of the older one only


def test_what_redis_lost_is_enqueued_again(app: Flask, settings: Settings, queue: Queue) -> None:
    clinic = Clinic()
    clinic.book("a")
    clinic.book("b")
    run_pass(clinic.id, PASS_AT, PASS_AT)  # its job never reached Redis
    assert enqueue(settings, queue, PASS_AT + ENQUEUED_FOR - timedelta(seconds=1)).requeued == 0
    assert enqueue(settings, queue, PASS_AT + ENQUEUED_FOR).requeued == 2
    assert enqueue(settings, queue, PASS_AT + ENQUEUED_FOR).requeued == 0
    queue.connection.flushall()
    assert enqueue(settings, queue, PASS_AT + 2 * ENQUEUED_FOR).requeued == 2


def test_without_credentials_messages_wait_and_are_not_enqueued(app: Flask, settings: Settings, queue: Queue) -> None:
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    cannot_send = replace(settings, vonage_base_url=None)
    assert enqueue(cannot_send, queue, PASS_AT + HOUR).requeued == 0
    assert the_log()["a"].status is Status.QUEUED


def test_a_reminder_that_could_not_be_sent_expires_and_gives_back(
    app: Flask, settings: Settings, queue: Queue
) -> None:
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    nine_pm = PASS_AT + 11 * HOUR
    enqueue(settings, queue, nine_pm - timedelta(seconds=1))
    assert the_log()["a"].status is Status.QUEUED
    assert enqueue(settings, queue, nine_pm).swept >= 1
    assert (the_log()["a"].status, the_log()["a"].reasons) == (Status.EXPIRED, (Reason.DEADLINE_PASSED,))
    assert balance() == 100


def test_after_72_hours_without_a_receipt_it_is_unconfirmed(app: Flask, settings: Settings, queue: Queue) -> None:
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clinic.change(the_log()["a"], status=Status.SENT, sent_at=PASS_AT, next_at=None)
    enqueue(settings, queue, PASS_AT + WAIT_FOR_RECEIPT - timedelta(seconds=1))
    assert the_log()["a"].status is Status.SENT
    enqueue(settings, queue, PASS_AT + WAIT_FOR_RECEIPT)
    assert the_log()["a"].status is Status.UNCONFIRMED
    assert balance() == 99


def test_a_change_of_a_zones_rules_moves_the_instant_not_the_appointment(
    app: Flask, settings: Settings, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = Clinic()
    appointment = clinic.book("a")
    right = appointment.starts_at
    enqueue(settings, queue, PASS_AT - DAY)
    # As rules before a change of theirs had it: an hour off.
    wrong: dict[str, Any] = {"starts_at": right + HOUR, "ends_at": appointment.ends_at + HOUR}
    clinic.change(appointment, **wrong)
    enqueue(settings, queue, PASS_AT - DAY)
    with store.reading(clinic.id) as session:
        assert session.scalars(select(Appointment.starts_at)).one() == right + HOUR
    monkeypatch.setattr(zone_rules.tzdata, "IANA_VERSION", "2099z")
    enqueue(settings, queue, PASS_AT - DAY)
    with store.reading(clinic.id) as session:
        row = session.scalars(select(Appointment)).one()
        assert (row.starts_at, row.revision, row.starts_wall.hour) == (right, 0, 9)


def test_a_thousand_calls_a_day_make_six_passes(app: Flask, settings: Settings, queue: Queue) -> None:
    clinic = Clinic()
    for minute in range(0, 24 * 60, 10):
        instant = PASS_AT - 10 * HOUR + timedelta(minutes=minute)
        for practice_id in find_due(instant):
            run_pass(practice_id, instant, instant)
    with store.reading(clinic.id) as session:
        passes = store.passes.list_passes(session, 100)
        assert session.scalars(select(Message)).all() == []
    assert [record.at for record in reversed(passes)] == [PASS_AT + hours * HOUR for hours in range(6)]
