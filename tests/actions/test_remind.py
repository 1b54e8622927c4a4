"""The pass, on both databases: what it takes up, what it records, and in which order credits go."""

from datetime import datetime, timedelta
from threading import Barrier, Thread

import pytest
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions.remind import fingerprint, run_pass
from portal.actions.stop import Stop, stop_messages, withdraw
from portal.actions.sweep import take_due
from portal.core.reasons import Reason
from portal.core.reminders import Decision, Preference, Sending
from portal.core.states import Status
from portal.store.credits import CreditEntry
from portal.store.messages import Message
from portal.store.passes import Pass
from tests.builders import PASS_AT, Clinic

HOUR = timedelta(hours=1)


def the_log(practice_id: str = "riverside") -> dict[str, Message]:
    """Each appointment's newest reminder, by the appointment's id."""
    with store.reading(practice_id) as session:
        rows = session.execute(
            select(store.appointments.Appointment.external_id, Message)
            .join(Message, Message.appointment_id == store.appointments.Appointment.id)
            .order_by(Message.id)
        )
        return dict(rows.all())


def balance(practice_id: str = "riverside") -> int:
    with store.reading(practice_id) as session:
        credits = store.practices.get_practice(session, practice_id).credits
        assert credits == sum(session.scalars(select(CreditEntry.amount)).all())
        return credits


def events(message: Message) -> list[tuple[datetime, str, str]]:
    with store.reading(message.practice_id) as session:
        found = store.messages.list_events(session, [message.id])
    return [(event.at, event.event, event.detail) for event in found[message.id]]


def test_a_due_appointment_is_queued_with_its_text_and_its_credits(app: Flask) -> None:
    clinic = Clinic(credits=10)
    clinic.book("a")
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result and (result.considered, result.queued, result.not_sent, result.failed) == (1, 1, 0, 0)
    message = the_log()["a"]
    assert result.message_ids == (message.id,)
    assert (message.status, message.reasons) == (Status.QUEUED, ())
    assert (message.to, message.body) == ("+61491570006", "Hi Mia, see you 08/05/2031 9:30am.")
    assert (message.segments, message.charged, message.pass_at) == (1, 1, PASS_AT)
    assert events(message) == [(PASS_AT, "queued", "")]
    assert balance() == 9


def test_every_reason_that_holds_is_recorded_in_order(app: Flask) -> None:
    clinic = Clinic(sending=Sending.PAUSED, business={"sms_reminders": False})
    clinic.change(clinic.type, reminder_template_id=None)
    clinic.book("a", patient={"mobile": None, "preference": Preference.EMAIL, "archived": True})
    clinic.book("b", patient={"mobile": "0491 570 15", "preference": Preference.NONE})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    above = (Reason.SENDING_OFF, Reason.BUSINESS_REMINDERS_OFF, Reason.NO_TEMPLATE)
    log = the_log()
    assert log["a"].reasons == (*above, Reason.NO_MOBILE_NUMBER, Reason.PREFERS_EMAIL, Reason.PATIENT_ARCHIVED)
    assert log["b"].reasons == (*above, Reason.INVALID_MOBILE_NUMBER, Reason.PREFERS_NONE)
    assert all((m.status, m.to, m.body, m.segments) == (Status.NOT_SENT, None, None, None) for m in log.values())
    assert balance() == 100


def test_credits_go_by_start_and_then_by_id_as_text_and_a_smaller_message_still_fits(app: Flask) -> None:
    clinic = Clinic(credits=3)
    long_name = {"first_name": "M" * 150}  # makes two parts
    clinic.book("9", starts="2031-05-08 11:00")
    clinic.book("10", starts="2031-05-08 11:00")
    clinic.book("z", starts="2031-05-08 09:00", patient=long_name)
    clinic.book("b", starts="2031-05-08 10:00", patient=long_name)
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    log = the_log()
    assert {id_: message.status.value for id_, message in log.items()} == {
        "z": "queued",
        "b": "failed",  # needs two, one is left
        "10": "queued",  # "10" comes before "9" as text
        "9": "failed",
    }
    assert log["b"].reasons == (Reason.NO_CREDITS,)
    assert (log["b"].segments, log["b"].charged) == (2, 0)
    assert result and result.message_ids == (log["z"].id, log["10"].id)
    assert balance() == 0


def test_a_failed_message_goes_with_the_next_hours_pass_after_a_top_up(app: Flask) -> None:
    clinic = Clinic(credits=0)
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert the_log()["a"].status is Status.FAILED
    with store.transaction(clinic.id) as session:
        store.credits.record_entries(
            session,
            [
                {"practice_id": clinic.id, "at": PASS_AT, "kind": "top-up", "amount": 5}
                | {"message_id": None, "reference": "invoice 7"}
            ],
        )
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    message = the_log()["a"]
    assert (message.status, message.reasons, message.pass_at) == (Status.QUEUED, (), PASS_AT + HOUR)
    assert events(message) == [(PASS_AT, "failed", "no-credits"), (PASS_AT + HOUR, "queued", "")]
    assert balance() == 4


def test_an_answer_that_stays_the_same_still_moves_to_the_last_pass(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"mobile": None})
    for hours in range(8):
        run_pass(clinic.id, PASS_AT + hours * HOUR, PASS_AT)
    message = the_log()["a"]
    assert message.pass_at == PASS_AT + 5 * HOUR  # the sixth is the last: 3 PM
    assert len(events(message)) == 6


def test_an_hour_is_handled_once_whatever_the_minute(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    assert run_pass(clinic.id, PASS_AT + timedelta(minutes=20), PASS_AT)
    assert run_pass(clinic.id, PASS_AT + timedelta(minutes=20), PASS_AT) is None
    assert run_pass(clinic.id, PASS_AT + timedelta(minutes=59), PASS_AT) is None
    assert run_pass(clinic.id, PASS_AT - timedelta(minutes=1), PASS_AT) is None
    with store.reading(clinic.id) as session:
        assert len(session.scalars(select(Pass)).all()) == 1


def test_a_pass_with_nothing_due_leaves_its_record(app: Flask) -> None:
    clinic = Clinic()
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.reading(clinic.id) as session:
        (record,) = store.passes.list_passes(session, 10)
    assert (record.at, record.considered, record.queued) == (PASS_AT, 0, 0)


@pytest.mark.parametrize(
    ("change", "is_met"),
    [
        ({"booked_at": PASS_AT}, True),
        ({"booked_at": PASS_AT + timedelta(seconds=1)}, False),
        ({"cancelled_at": PASS_AT}, False),
        ({"cancelled_at": PASS_AT + timedelta(seconds=1)}, True),
        ({"starts": "2031-05-08 00:00"}, True),
        ({"starts": "2031-05-08 23:45"}, True),
        ({"starts": "2031-05-07 23:45"}, False),
        ({"starts": "2031-05-09 00:00"}, False),
    ],
)
def test_a_pass_meets_what_is_booked_and_not_cancelled_on_the_next_local_day(
    app: Flask, change: dict[str, object], is_met: bool
) -> None:
    clinic = Clinic()
    clinic.book("a", **change)
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result and result.considered == int(is_met)


def test_a_move_starts_a_revision_with_a_reminder_of_its_own(app: Flask) -> None:
    clinic = Clinic(credits=5)
    appointment = clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clinic.change(appointment, revision=1)
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT)
    with store.reading(clinic.id) as session:
        rows = session.scalars(select(Message).order_by(Message.id)).all()
    assert [(row.revision, row.status) for row in rows] == [(0, Status.QUEUED), (1, Status.QUEUED)]


def test_uncancelling_takes_the_same_reminder_up_again(app: Flask) -> None:
    clinic = Clinic(credits=5)
    appointment = clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clinic.change(appointment, cancelled_at=PASS_AT)
    with store.transaction(clinic.id) as session:
        store.practices.lock_practice(session, clinic.id)
        assert withdraw(session, clinic.id, [appointment.id], PASS_AT) == 1
    first = the_log()["a"]
    assert (first.status, first.reasons, first.charged) == (Status.CANCELLED, (Reason.WITHDRAWN,), 0)
    assert balance() == 5
    clinic.change(appointment, cancelled_at=None)
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT)
    again = the_log()["a"]
    assert (again.id, again.status, balance()) == (first.id, Status.QUEUED, 4)


def test_what_the_provider_refused_is_not_tried_again_unless_it_changed(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    message = the_log()["a"]
    refused = fingerprint(Decision((), message.to, message.body, 1), "Clinic")
    with store.transaction(clinic.id) as session:
        store.practices.lock_practice(session, clinic.id)
        stop = Stop(message.id, Status.FAILED, (Reason.PROVIDER_REFUSED,), message.charged, "1170", refused)
        stop_messages(session, clinic.id, [stop], PASS_AT)
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT)
    assert (the_log()["a"].status, the_log()["a"].reasons) == (Status.FAILED, (Reason.PROVIDER_REFUSED,))
    assert the_log()["a"].pass_at == PASS_AT + HOUR
    assert balance() == 100
    clinic.change(clinic.practice, sender="Riverside")
    run_pass(clinic.id, PASS_AT + 2 * HOUR, PASS_AT)
    assert the_log()["a"].status is Status.QUEUED


def test_two_passes_at_once_decide_each_appointment_once(app: Flask) -> None:
    clinic = Clinic(credits=30)
    for number in range(40):
        clinic.book(f"{number:02}")
    barrier = Barrier(4)
    results = []

    def call() -> None:
        with app.app_context():
            barrier.wait()
            results.append(run_pass(clinic.id, PASS_AT, PASS_AT))

    threads = [Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [result for result in results if result]
    assert len(results) == 4
    assert [(result.considered, result.queued, result.failed) for result in done] == [(40, 30, 10)]
    statuses = [message.status for message in the_log().values()]
    assert (statuses.count(Status.QUEUED), statuses.count(Status.FAILED)) == (30, 10)
    assert balance() == 0


def test_a_pass_that_waited_until_the_evening_does_nothing(app: Flask) -> None:
    """What it queued could not be sent any more: the day is accounted for as one without a pass."""
    clinic = Clinic()
    clinic.book("a")
    assert run_pass(clinic.id, PASS_AT, PASS_AT + timedelta(hours=11)) is None
    assert the_log() == {}
    assert run_pass(clinic.id, PASS_AT, PASS_AT + timedelta(hours=10, minutes=59)) is not None


def test_an_appointment_that_was_given_to_another_patient_is_logged_as_theirs(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Ann", "mobile": None})
    clinic.book("b", starts="2031-05-09 09:00", patient={"first_name": "Dora"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.transaction(clinic.id) as session:
        appointment = store.appointments.find_appointment(session, "a")
        dora = store.patients.find_patient(session, "b")
        assert appointment and dora
        appointment.patient_id = dora.id
    run_pass(clinic.id, PASS_AT + timedelta(hours=1), PASS_AT + timedelta(hours=1))
    message = the_log()["a"]
    assert message.patient_id == dora.id
    assert message.body and message.body.startswith("Hi Dora")


def test_what_nobody_enqueues_is_found_by_the_next_sweep(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    result = run_pass(clinic.id, PASS_AT, PASS_AT, enqueues=False)
    assert result
    assert list(take_due(PASS_AT)) == [(clinic.id, list(result.message_ids), False)]
