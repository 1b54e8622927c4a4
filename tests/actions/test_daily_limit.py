"""No patient gets more than five automatic texts a day, whatever an export does."""

from datetime import timedelta
from typing import Any

from flask import Flask

from portal import store
from portal.actions.preview import preview
from portal.actions.remind import run_pass
from portal.core.reasons import Reason
from portal.core.reminders import DAILY_LIMIT
from portal.core.states import Kind, Status
from portal.store.appointments import Appointment
from portal.store.messages import Message
from portal.store.patients import Patient
from tests.actions.test_remind import balance, the_log
from tests.builders import DAY, PASS_AT, Clinic, a_patient, an_appointment

HOUR = timedelta(hours=1)


def book(clinic: Clinic, patient: Patient, *ids: str, **values: Any) -> list[Appointment]:
    with store.transaction(clinic.id) as session:
        own = {"business": clinic.business, "practitioner": clinic.practitioner, "type": clinic.type}
        return [an_appointment(session, id_, patient=patient, **own | values) for id_ in ids]


def a_busy_clinic(appointments: int) -> tuple[Clinic, Patient]:
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        patient = a_patient(session, "busy")
    book(clinic, patient, *map(str, range(appointments)))
    return clinic, patient


def move(clinic: Clinic, appointment: Appointment, revision: int) -> None:
    clinic.change(appointment, revision=revision, moved_at=PASS_AT)


def counted() -> dict[Status, int]:
    statuses = [message.status for message in the_log().values()]
    return {status: statuses.count(status) for status in set(statuses)}


def test_the_sixth_reminder_of_a_patient_in_one_pass_does_not_go(app: Flask) -> None:
    clinic, _ = a_busy_clinic(7)
    clinic.book("another")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    log = the_log()
    assert log["another"].status is Status.QUEUED
    assert [log[str(i)].status for i in range(7)] == [Status.QUEUED] * DAILY_LIMIT + [Status.NOT_SENT] * 2
    assert (log["6"].reasons, log["6"].body, log["6"].charged) == ((Reason.DAILY_LIMIT,), None, 0)
    assert balance() == 100 - DAILY_LIMIT - 1


def test_a_later_pass_of_the_day_counts_what_waits_and_what_went(app: Flask) -> None:
    clinic, patient = a_busy_clinic(3)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    first = the_log()["0"]
    with store.transaction(clinic.id) as session:
        store.messages.update_messages(
            session, [{"id": first.id, "practice_id": clinic.id, "status": Status.UNDELIVERED}]
        )
    book(clinic, patient, "3", "4", "5")
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert counted() == {Status.UNDELIVERED: 1, Status.QUEUED: 4, Status.NOT_SENT: 1}
    run_pass(clinic.id, PASS_AT + 2 * HOUR, PASS_AT + 2 * HOUR)
    assert the_log()["5"].reasons == (Reason.DAILY_LIMIT,)


def test_an_appointment_that_moves_all_day_is_texted_five_times(app: Flask) -> None:
    clinic, patient = a_busy_clinic(0)
    (appointment,) = book(clinic, patient, "restless")
    outcomes = []
    for i in range(6):
        move(clinic, appointment, i)
        run_pass(clinic.id, PASS_AT + i * HOUR, PASS_AT + i * HOUR)
        outcomes.append(the_log()["restless"])
        with store.transaction(clinic.id) as session:
            sent = {"id": outcomes[-1].id, "practice_id": clinic.id, "status": Status.SENT}
            if outcomes[-1].status is Status.QUEUED:
                store.messages.update_messages(session, [sent])
    assert [one.reasons for one in outcomes] == [()] * DAILY_LIMIT + [(Reason.DAILY_LIMIT,)]


def test_the_next_day_begins_anew(app: Flask) -> None:
    clinic, patient = a_busy_clinic(6)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    book(clinic, patient, *("a", "b", "c", "d", "e", "f"), starts="2031-05-09 09:00")
    tomorrow = PASS_AT + timedelta(days=1)
    run_pass(clinic.id, tomorrow, tomorrow)
    assert [the_log()[id_].status for id_ in "abcdef"] == [Status.QUEUED] * DAILY_LIMIT + [Status.NOT_SENT]


def test_it_is_asked_again_before_sending_of_what_went_meanwhile_only(app: Flask) -> None:
    clinic, _ = a_busy_clinic(DAILY_LIMIT)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    ids = [message.id for message in the_log().values()]

    def texts_that_day() -> list[int]:
        with store.reading(clinic.id) as session:
            practice = store.practices.get_practice(session, clinic.id)
            found = store.facts.list_of_messages(session, practice, ids)
        return [found[id_].facts.texts_that_day for id_ in ids]

    assert texts_that_day() == [0] * DAILY_LIMIT  # those that wait do not stand in each other's way
    with store.transaction(clinic.id) as session:
        session.get_one(Message, ids[0]).status = Status.UNKNOWN
        session.get_one(Message, ids[1]).status = Status.CANCELLED
        session.get_one(Message, ids[1]).reasons = (Reason.WITHDRAWN,)
        session.get_one(Message, ids[1]).charged = 0
    assert texts_that_day() == [0, 1, 1, 1, 1]


def test_the_preview_says_so_beforehand(app: Flask) -> None:
    clinic, _ = a_busy_clinic(6)
    seen = preview(clinic.id, DAY, PASS_AT)
    assert [line.reasons for line in seen.lines] == [()] * DAILY_LIMIT + [(Reason.DAILY_LIMIT,)]
    assert seen.needed == DAILY_LIMIT


def test_an_answer_to_a_reply_counts_too_and_a_text_by_staff_does_not(app: Flask) -> None:
    clinic, patient = a_busy_clinic(5)
    with store.transaction(clinic.id) as session:
        own = {
            "direction": "outbound",
            "patient_id": patient.id,
            "status": Status.SENT,
            "reasons": (),
            "to": "+61491570006",
        }
        own |= {"body": "Hello", "segments": 1, "created_at": PASS_AT}
        session.add(Message(kind=Kind.AUTO_REPLY, pass_at=PASS_AT, **own))
        session.add(Message(kind=Kind.MANUAL, **own))
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert counted() == {Status.QUEUED: 4, Status.NOT_SENT: 1}


def test_a_reminder_that_staff_sent_by_hand_does_not_count(app: Flask) -> None:
    clinic, patient = a_busy_clinic(DAILY_LIMIT)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clinic.change(the_log()["0"], written_by="Dana")
    book(clinic, patient, "5", "6")
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert counted() == {Status.QUEUED: DAILY_LIMIT + 1, Status.NOT_SENT: 1}
