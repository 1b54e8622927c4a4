"""Claim, ask again, send, record: the real SDK over HTTP to the simulator, a real Redis, both databases."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from flask import Flask

from portal import store
from portal.actions.deliver import deliver
from portal.actions.remind import run_pass
from portal.actions.sweep import LEASE, sweep, take_due
from portal.core.reasons import Reason
from portal.core.reminders import Preference, Sending
from portal.core.states import Status
from portal.limiter import Limiter
from portal.sms.gateway import Account, Gateway
from portal.sms.simulator import Simulator
from portal.store.host import ACCOUNT_REFUSED
from portal.store.patients import OptOut, OptOutSource
from tests.actions.test_remind import balance, events, the_log
from tests.builders import PASS_AT, Clinic

Send = Callable[..., None]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def send(app: Flask, simulator: Simulator, redis_url: str) -> Iterator[Send]:
    """Run one job that sends these messages, at an instant."""
    gateway = Gateway(Account(base_url=simulator.url), read_timeout=10)
    connection = redis.Redis.from_url(redis_url)
    limiter = Limiter(connection, 2000)

    def run(message_ids: Any, at: datetime = PASS_AT, **options: Any) -> None:
        stop_requested = options.pop("stop_requested", lambda: False)
        deliver(
            "riverside",
            list(message_ids),
            sender=options.pop("sender", gateway),
            limiter=limiter,
            now=lambda: at,
            stop_requested=stop_requested,
            **options,
        )

    yield run
    gateway.close()
    connection.close()


def queue(clinic: Clinic, *ids: str, **patient: Any) -> list[int]:
    """Book an appointment for each id and let a pass queue its reminder."""
    for id_ in ids:
        clinic.book(id_, patient=patient)
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result and result.queued == len(ids)
    return list(result.message_ids)


def test_a_queued_message_is_sent_once_and_recorded(app: Flask, send: Send, simulator: Simulator) -> None:
    ids = queue(Clinic(), "a", "b", "c")
    send(ids)
    send(ids)  # the same job again
    log = the_log()
    taken = {message.client_ref.split(".")[0]: message for message in simulator.messages}
    assert len(simulator.messages) == 3
    for message in log.values():
        assert message.status is Status.SENT
        assert message.provider_id == taken[str(message.id)].uuid
        assert (message.sent_at, message.attempts, message.claim is not None) == (PASS_AT, 1, True)
        assert taken[str(message.id)].text == message.body
        assert [event for _, event, _ in events(message)] == ["queued", "sent"]
    assert balance() == 97


def test_the_time_to_live_ends_with_the_deadline(app: Flask, send: Send, simulator: Simulator) -> None:
    ids = queue(Clinic(), "a")
    send(ids, PASS_AT + timedelta(minutes=1))
    assert simulator.messages[0].ttl == 11 * 3600 - 60  # 9 PM is the earlier of the two


@pytest.mark.parametrize(
    ("what", "values", "reasons"),
    [
        ("practice", {"sending": Sending.PAUSED}, (Reason.SENDING_OFF,)),
        ("business", {"sms_reminders": False}, (Reason.BUSINESS_REMINDERS_OFF,)),
        ("type", {"reminder_template_id": None}, (Reason.NO_TEMPLATE,)),
        (
            "patient",
            {"preference": Preference.EMAIL, "archived": True},
            (Reason.PREFERS_EMAIL, Reason.PATIENT_ARCHIVED),
        ),
    ],
)
def test_what_changed_since_the_pass_holds_it_back(
    app: Flask, send: Send, simulator: Simulator, what: str, values: dict[str, Any], reasons: tuple[Reason, ...]
) -> None:
    clinic = Clinic()
    ids = queue(clinic, "a")
    with store.reading(clinic.id) as session:
        patient = store.patients.find_patient(session, "a")
    clinic.change(patient if what == "patient" else getattr(clinic, what), **values)
    send(ids)
    message = the_log()["a"]
    assert (message.status, message.reasons, message.body, message.to) == (Status.NOT_SENT, reasons, None, None)
    assert simulator.messages == []
    assert balance() == 100


def test_a_stop_between_pass_and_sending_is_heeded(app: Flask, send: Send, simulator: Simulator) -> None:
    clinic = Clinic()
    ids = queue(clinic, "a")
    with store.transaction(clinic.id) as session:
        session.add(OptOut(source=OptOutSource.REPLY, e164="+61491570006", recorded_at=PASS_AT))
    send(ids)
    assert the_log()["a"].reasons == (Reason.OPTED_OUT,)
    assert simulator.messages == []


def test_number_and_text_are_as_they_are_when_it_goes(app: Flask, send: Send, simulator: Simulator) -> None:
    clinic = Clinic(credits=10)
    ids = queue(clinic, "a")
    clinic.change(clinic.template, body="{{Patient.FirstName}} " + "x" * 170)
    with store.transaction(clinic.id) as session:
        patient = store.patients.find_patient(session, "a")
        assert patient
        (number,) = store.patients.list_number_rows(session, patient.id)
        number.retype("0491 570 110", "AU")
    send(ids)
    message = the_log()["a"]
    assert simulator.messages[0].to == "61491570110"
    assert simulator.messages[0].text == "Mia " + "x" * 170 == message.body
    assert (message.segments, message.charged, balance()) == (2, 2, 8)


def test_a_text_that_grew_and_cannot_be_paid_fails_and_gives_back(
    app: Flask, send: Send, simulator: Simulator
) -> None:
    clinic = Clinic(credits=1)
    ids = queue(clinic, "a")
    clinic.change(clinic.template, body="x" * 170)
    send(ids)
    assert (the_log()["a"].status, the_log()["a"].reasons) == (Status.FAILED, (Reason.NO_CREDITS,))
    assert (simulator.messages, balance()) == ([], 1)


def test_a_text_that_shrank_gives_the_difference_back(app: Flask, send: Send, simulator: Simulator) -> None:
    clinic = Clinic(credits=10)
    clinic.change(clinic.template, body="x" * 170)
    ids = queue(clinic, "a")
    assert balance() == 8
    clinic.change(clinic.template, body="See you")
    send(ids)
    assert (the_log()["a"].charged, balance(), simulator.messages[0].text) == (1, 9, "See you")


def test_credits_already_taken_suffice_whatever_the_balance(app: Flask, send: Send, simulator: Simulator) -> None:
    clinic = Clinic(credits=1)
    ids = queue(clinic, "a")
    with store.transaction(clinic.id) as session:
        correction = {"practice_id": clinic.id, "at": PASS_AT, "kind": "correction", "amount": -5}
        store.credits.record_entries(session, [correction | {"message_id": None, "reference": "counted again"}])
    send(ids)
    assert (the_log()["a"].status, balance()) == (Status.SENT, -5)


@pytest.mark.parametrize("change", [{"revision": 1}, {"cancelled_at": PASS_AT}])
def test_a_moved_or_cancelled_appointments_reminder_is_withdrawn(
    app: Flask, send: Send, simulator: Simulator, change: dict[str, Any]
) -> None:
    clinic = Clinic()
    appointment = clinic.book("a")
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    clinic.change(appointment, **change)
    assert result
    send(result.message_ids)
    assert (the_log()["a"].status, the_log()["a"].reasons) == (Status.CANCELLED, (Reason.WITHDRAWN,))
    assert (simulator.messages, balance()) == ([], 100)


def test_after_its_deadline_a_reminder_is_not_sent(app: Flask, send: Send, simulator: Simulator) -> None:
    ids = queue(Clinic(), "a")
    send(ids, PASS_AT + timedelta(hours=11))  # 9 PM
    assert (the_log()["a"].status, the_log()["a"].reasons) == (Status.EXPIRED, (Reason.DEADLINE_PASSED,))
    assert (simulator.messages, balance()) == ([], 100)


def test_a_refused_message_fails_and_gives_back(app: Flask, send: Send, simulator: Simulator) -> None:
    ids = queue(Clinic(), "a", "b")
    simulator.plan([{"status": 422, "code": "1170", "times": 1}])
    send(ids[:1])
    send(ids[1:])
    log = the_log()
    assert (log["a"].status, log["a"].reasons, log["a"].provider_code) == (
        Status.FAILED,
        (Reason.PROVIDER_REFUSED,),
        "1170",
    )
    assert log["b"].status is Status.SENT
    assert balance() == 99


@pytest.mark.parametrize("fault", ["drop", "garbage", "reset"])
def test_when_we_cannot_tell_it_is_in_doubt_and_never_sent_again(
    app: Flask, send: Send, simulator: Simulator, fault: str
) -> None:
    ids = queue(Clinic(), "a")
    simulator.plan([{"fault": fault, "times": 1}])
    send(ids)
    send(ids)
    later = PASS_AT + timedelta(hours=1)
    sweep(later)
    assert list(take_due(later)) == []
    run_pass("riverside", later, later)
    assert the_log()["a"].status is Status.UNKNOWN
    assert simulator.counts["requests"] == 1
    assert balance() == 99


def test_a_provider_that_cannot_be_reached_is_tried_again_with_growing_pauses(app: Flask, send: Send) -> None:
    ids = queue(Clinic(), "a")
    nobody = Gateway(Account(base_url="http://127.0.0.1:9"))
    pauses = []
    at = PASS_AT
    for _ in range(4):
        send(ids, at, sender=nobody)
        message = the_log()["a"]
        assert (message.status, message.charged) == (Status.QUEUED, 1)
        assert message.next_at
        pauses.append((message.next_at - at).total_seconds())
        send(ids, at + timedelta(seconds=pauses[-1] - 1), sender=nobody)  # not before
        at = message.next_at
        assert [ids for _, ids, _ in take_due(at)] == [ids]
    assert pauses == [5, 10, 20, 40]
    assert the_log()["a"].attempts == 4


def test_a_throttled_message_waits_as_long_as_it_was_told(app: Flask, send: Send, simulator: Simulator) -> None:
    ids = queue(Clinic(), "a")
    simulator.plan([{"status": 429, "retry_after": 7, "times": 1}])
    send(ids)
    message = the_log()["a"]
    assert (message.status, message.next_at) == (Status.QUEUED, PASS_AT + timedelta(seconds=7))
    assert balance() == 99


def test_a_refused_account_pauses_all_sending_until_a_probe_is_taken(
    app: Flask, send: Send, simulator: Simulator
) -> None:
    ids = queue(Clinic(), *(f"{n:02}" for n in range(40)))
    simulator.plan([{"status": 401, "times": 16}])
    send(ids)
    log = the_log()
    assert {message.status for message in log.values()} == {Status.QUEUED}
    waiting = [message for message in log.values() if message.reasons]
    assert 1 <= len(waiting) <= 32
    assert 1 <= simulator.counts["requests"] <= 16  # those on their way at once
    assert {message.reasons for message in waiting} == {(Reason.PROVIDER_ACCOUNT,)}
    tried = simulator.counts["requests"]
    send(ids)
    assert simulator.counts["requests"] == tried  # it waits
    assert list(take_due(PASS_AT)) == []

    later = PASS_AT + timedelta(minutes=1)
    ((practice, probe, is_probe),) = take_due(later)
    assert (practice, is_probe) == ("riverside", True)
    assert list(take_due(later)) == []  # one at a time
    simulator.plan([])
    send(probe, later, is_probe=True)
    assert len(simulator.messages) == 1  # the first that may go; the others wait for its answer
    with store.reading("riverside") as session:
        assert store.host.find_state(session, ACCOUNT_REFUSED) is None
    send(ids, later)
    assert {message.status for message in the_log().values()} == {Status.SENT}
    assert len(simulator.messages) == 40
    assert all(message.reasons == () for message in the_log().values())


def test_a_stop_signal_claims_nothing_more_and_records_what_is_in_flight(
    app: Flask, send: Send, simulator: Simulator
) -> None:
    ids = queue(Clinic(), *(f"{n:02}" for n in range(40)))
    send(ids, stop_requested=lambda: len(simulator.messages) > 0)
    statuses = [message.status for message in the_log().values()]
    assert statuses.count(Status.SENT) == len(simulator.messages) < 40
    assert statuses.count(Status.QUEUED) == 40 - len(simulator.messages)


def test_an_attempt_whose_worker_was_killed_is_in_doubt_after_its_lease(app: Flask, send: Send) -> None:
    clinic = Clinic()
    ids = queue(clinic, "a")
    with store.transaction(clinic.id) as session:
        store.messages.mark_sending(session, ids, "gone", PASS_AT)
    assert sweep(PASS_AT + LEASE - timedelta(seconds=1)) == 0
    assert sweep(PASS_AT + LEASE) == 1
    assert the_log()["a"].status is Status.UNKNOWN
    assert events(the_log()["a"])[-1][1:] == ("unknown", "no-answer")


def test_two_jobs_at_once_send_each_message_once(app: Flask, send: Send, simulator: Simulator) -> None:
    from threading import Thread

    ids = queue(Clinic(), *(f"{n:02}" for n in range(60)))

    def job() -> None:
        with app.app_context():
            send(ids)

    threads = [Thread(target=job) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {message.status for message in the_log().values()} == {Status.SENT}
    assert len(simulator.messages) == 60
