"""The diagnosis: what was recorded, what holds now and when the next try is, on both databases."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions.diagnose import NoSuchAppointment, diagnose
from portal.actions.missed import record_missed_days
from portal.actions.remind import fingerprint, run_pass
from portal.actions.stop import Stop, stop_messages, withdraw
from portal.core.diagnosis import Check, Diagnosis
from portal.core.numbers import PhoneType
from portal.core.reasons import Reason
from portal.core.reminders import POLICY, Decision, Preference, Sending
from portal.core.states import Status
from portal.store.messages import Message
from portal.store.patients import OptOut, OptOutSource
from portal.store.practices import NoSuchPractice
from tests.builders import MOBILES, PASS_AT, Clinic, a_number

HOUR = timedelta(hours=1)
BEFORE = PASS_AT - HOUR
EVENING = PASS_AT + 9 * HOUR
ORDER = [*(rule.reason for rule in POLICY), Reason.NO_CREDITS]


def crossed(diagnosis: Diagnosis) -> dict[Reason, Check]:
    assert [check.code for check in diagnosis.checks] == ORDER
    return {check.code: check for check in diagnosis.checks if not check.ok}


def test_before_its_pass_an_appointment_without_hindrance_is_all_well(app: Flask) -> None:
    clinic = Clinic(credits=140)
    clinic.book("a")
    diagnosis = diagnose(clinic.id, "a", BEFORE)
    assert (diagnosis.status, diagnosis.reasons, diagnosis.recorded) == (None, (), ())
    assert crossed(diagnosis) == {}
    assert diagnosis.next_pass_at == PASS_AT
    assert diagnosis.next_try == "Next try: today at 10am."
    assert diagnosis.question == "Will Mia Nguyen get a reminder for tomorrow, 9:30am?"
    assert [(line.label, line.detail) for line in diagnosis.lines] == [
        ("Sending", "On for the practice"),
        ("Business", "North Clinic sends reminders"),
        ("Appointment type", '"Initial consultation" uses "Short"'),
        ("Mobile number", "0491 570 006 can be texted"),
        ("Preference", "SMS (the practice's default)"),
        ("Opt-out", "None"),
        ("Patient", "The record is active"),
        ("Texts that day", "At most 5 automatic texts go to a patient a day; fewer have gone"),
        ("Credits", "140 left, this message needs 1"),
    ]


def test_every_hindrance_is_crossed_at_once_and_credits_are_asked_beside_them(app: Flask) -> None:
    clinic = Clinic(credits=0, sending=Sending.REHEARSAL, business={"sms_reminders": False})
    clinic.change(clinic.type, reminder_template_id=None)
    clinic.book("a", patient={"mobile": "0491 570 15", "preference": Preference.EMAIL, "archived": True})
    appointment = clinic.book("b", patient={"mobile": None, "preference": Preference.NONE})
    with store.transaction(clinic.id) as session:
        session.add(OptOut(source=OptOutSource.STAFF, patient_id=appointment.patient_id, recorded_at=BEFORE))
    shared = {Reason.SENDING_OFF, Reason.BUSINESS_REMINDERS_OFF, Reason.NO_TEMPLATE, Reason.NO_CREDITS}
    first = crossed(diagnose(clinic.id, "a", BEFORE))
    assert first.keys() == shared | {Reason.INVALID_MOBILE_NUMBER, Reason.PREFERS_EMAIL, Reason.PATIENT_ARCHIVED}
    second = crossed(diagnose(clinic.id, "b", BEFORE))
    assert second.keys() == shared | {Reason.NO_MOBILE_NUMBER, Reason.PREFERS_NONE, Reason.OPTED_OUT}
    assert all(check.fix and check.place for check in [*first.values(), *second.values()])


def test_without_a_text_any_credit_is_enough(app: Flask) -> None:
    clinic = Clinic(credits=1)
    clinic.change(clinic.type, reminder_template_id=None)
    clinic.book("a")
    assert crossed(diagnose(clinic.id, "a", BEFORE)).keys() == {Reason.NO_TEMPLATE}


def test_credits_are_asked_at_the_messages_own_cost(app: Flask) -> None:
    clinic = Clinic(credits=1)
    clinic.book("a", patient={"first_name": "M" * 150, "preference": Preference.NONE})
    check = crossed(diagnose(clinic.id, "a", BEFORE))[Reason.NO_CREDITS]
    assert check.detail.startswith("This message needs 2 credits; 1 is left.")


def test_what_a_pass_recorded_stands_beside_what_holds_after_a_mend(app: Flask) -> None:
    clinic = Clinic()
    appointment = clinic.book("a", patient={"mobile": None})
    with store.transaction(clinic.id) as session:
        patient = session.get_one(store.patients.Patient, appointment.patient_id)
        number = a_number(session, patient, MOBILES[2], PhoneType.HOME)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    at = PASS_AT + HOUR + timedelta(minutes=5)

    before = diagnose(clinic.id, "a", at)
    assert (before.status, before.reasons) == (Status.NOT_SENT, (Reason.NO_MOBILE_NUMBER,))
    assert [one.reason for one in before.explained if one.is_mended] == []
    check = crossed(before)[Reason.NO_MOBILE_NUMBER]
    assert (check.detail, check.fix, check.place) == (
        "Mia has 0491 570 156, filed as Home: it is a mobile.",
        "File it as Mobile",
        "/patients/1",
    )
    assert before.next_try == "Next try: today at 12pm, if nothing above is crossed."
    assert before.question == "Why didn't Mia Nguyen get a reminder for tomorrow, 9:30am?"

    clinic.change(number, type=PhoneType.MOBILE)
    after = diagnose(clinic.id, "a", at)
    assert (after.status, after.reasons) == (Status.NOT_SENT, (Reason.NO_MOBILE_NUMBER,))
    assert crossed(after) == {}
    assert [(one.at, one.status, one.reasons) for one in after.recorded] == [
        (PASS_AT, Status.NOT_SENT, (Reason.NO_MOBILE_NUMBER,)),
        (PASS_AT + HOUR, Status.NOT_SENT, (Reason.NO_MOBILE_NUMBER,)),
    ]
    assert after.recorded_in_words[0] == "today at 10am, not sent: No mobile number on file"
    (explained,) = after.explained
    assert explained.is_mended
    assert explained.words.says == "No longer so. Mobile number: 0491 570 156 is filed as Mobile."
    assert after.next_pass_at == PASS_AT + 2 * HOUR


def test_within_an_hour_that_no_pass_has_handled_the_next_try_is_now(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    now = PASS_AT + timedelta(minutes=20)
    diagnosis = diagnose(clinic.id, "a", now)
    assert diagnosis.next_pass_at == now
    assert diagnosis.next_try == "Next try: before 11am."


def test_after_the_days_last_pass_there_is_no_next_try(app: Flask) -> None:
    clinic = Clinic(sending=Sending.PAUSED)
    clinic.book("a")
    for hours in range(6):
        run_pass(clinic.id, PASS_AT + hours * HOUR, PASS_AT)
    diagnosis = diagnose(clinic.id, "a", PASS_AT + 5 * HOUR + timedelta(minutes=1))
    assert diagnosis.next_pass_at is None
    assert diagnosis.next_try == "No further try comes by itself."
    assert len(diagnosis.recorded) == 6


def test_a_queued_reminder_has_its_credits_and_waits_for_no_pass(app: Flask) -> None:
    clinic = Clinic(credits=1)
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    diagnosis = diagnose(clinic.id, "a", PASS_AT)
    assert (diagnosis.status, diagnosis.reasons, diagnosis.next_pass_at) == (Status.QUEUED, (), None)
    assert crossed(diagnosis) == {}
    assert diagnosis.checks[-1].detail == "1 credit was taken for this message"
    assert [(one.status, one.reasons) for one in diagnosis.recorded] == [(Status.QUEUED, ())]
    assert diagnosis.question == "Mia Nguyen's reminder for tomorrow, 9:30am"


def test_what_a_worker_decided_is_no_decision_of_a_pass(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.transaction(clinic.id) as session:
        message = session.scalars(select(Message)).one()
        stop = Stop(message.id, Status.NOT_SENT, (Reason.SENDING_OFF,), message.charged)
        stop_messages(session, clinic.id, [stop], PASS_AT + timedelta(seconds=3))
    diagnosis = diagnose(clinic.id, "a", PASS_AT + timedelta(minutes=1))
    assert (diagnosis.status, diagnosis.reasons) == (Status.NOT_SENT, (Reason.SENDING_OFF,))
    assert [one.status for one in diagnosis.recorded] == [Status.QUEUED]


def test_cancelled_before_any_pass(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a", cancelled_at=BEFORE)
    for now in (BEFORE, EVENING):
        diagnosis = diagnose(clinic.id, "a", now)
        assert (diagnosis.status, diagnosis.reasons) == (None, (Reason.APPOINTMENT_CANCELLED,))
        assert diagnosis.next_pass_at is None
        assert diagnosis.next_try == "No reminder is due: the appointment is cancelled."


def test_cancelled_while_queued_is_withdrawn(app: Flask) -> None:
    clinic = Clinic()
    appointment = clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clinic.change(appointment, cancelled_at=PASS_AT)
    with store.transaction(clinic.id) as session:
        store.practices.lock_practice(session, clinic.id)
        withdraw(session, clinic.id, [appointment.id], PASS_AT)
    diagnosis = diagnose(clinic.id, "a", PASS_AT + HOUR)
    assert (diagnosis.status, diagnosis.reasons) == (Status.CANCELLED, (Reason.WITHDRAWN,))
    assert diagnosis.next_pass_at is None
    assert diagnosis.explained[0].words.says == "The appointment was cancelled today at 10am."


@pytest.mark.parametrize(
    "change",
    [
        {"booked_at": PASS_AT + 6 * HOUR + timedelta(minutes=20)},
        {"revision": 1, "moved_at": PASS_AT + 6 * HOUR + timedelta(minutes=20)},
    ],
    ids=["booked", "moved"],
)
def test_booked_or_moved_after_the_days_last_pass(app: Flask, change: dict[str, object]) -> None:
    clinic = Clinic()
    appointment = clinic.book("a")
    for hours in range(6):
        run_pass(clinic.id, PASS_AT + hours * HOUR, PASS_AT)
    late = clinic.book("b", **change)
    diagnosis = diagnose(clinic.id, "b", EVENING)
    assert (diagnosis.status, diagnosis.reasons) == (None, (Reason.BOOKED_TOO_LATE,))
    said = diagnosis.explained[0].words.says
    assert said.endswith("today at 4:20pm; the last ones ran today at 3pm.")
    assert said.startswith("Moved to its time" if late.moved_at else "Booked")
    assert diagnose(clinic.id, "a", EVENING).message_id != diagnosis.message_id
    assert appointment.id != late.id


def test_an_appointment_that_reached_the_portal_late_is_not_said_to_be_booked_late(app: Flask) -> None:
    clinic = Clinic()
    run_pass(clinic.id, PASS_AT + 5 * HOUR, PASS_AT)
    clinic.book("a")  # booked long ago, imported only now
    diagnosis = diagnose(clinic.id, "a", EVENING)
    assert diagnosis.reasons == (Reason.BOOKED_TOO_LATE,)
    assert diagnosis.explained[0].words.says == (
        "It came to the portal after that day's reminders; the last ones ran today at 3pm."
    )


def test_a_day_without_a_pass_is_said_before_and_after_it_is_recorded(app: Flask) -> None:
    clinic = Clinic(business={"watched_since": PASS_AT - timedelta(days=3)})
    clinic.book("a")
    before = diagnose(clinic.id, "a", EVENING)
    assert (before.status, before.reasons) == (None, (Reason.NO_PASS_RAN,))
    record_missed_days(EVENING, EVENING)
    after = diagnose(clinic.id, "a", EVENING)
    assert (after.status, after.reasons) == (Status.NOT_SENT, (Reason.NO_PASS_RAN,))
    assert after.explained[0].words.says.startswith("Nothing ran between 10am and 4pm today.")
    assert [(one.at, one.reasons) for one in after.recorded] == [(EVENING, (Reason.NO_PASS_RAN,))]


def test_what_the_provider_refused_is_told_and_goes_only_if_it_changes(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.transaction(clinic.id) as session:
        message = session.scalars(select(Message)).one()
        refused = fingerprint(Decision((), message.to, message.body, 1), "Clinic")
        stop = Stop(message.id, Status.FAILED, (Reason.PROVIDER_REFUSED,), message.charged, "1170", refused)
        stop_messages(session, clinic.id, [stop], PASS_AT)
    diagnosis = diagnose(clinic.id, "a", PASS_AT)
    assert diagnosis.reasons == (Reason.PROVIDER_REFUSED,)
    assert diagnosis.explained[0].words.says == "No such number."
    assert crossed(diagnosis) == {}
    assert diagnosis.next_try == "Next try: today at 11am, if the number, the text or the sender is another by then."
    clinic.change(clinic.template, body="Another text")
    diagnosis = diagnose(clinic.id, "a", PASS_AT)
    assert diagnosis.next_try == "Next try: today at 11am."
    (told,) = diagnosis.explained
    assert (told.is_mended, told.words.fix) == (True, "")
    assert told.words.says == "No such number. No longer so: the number or the text is another by now."


def test_an_opt_out_says_whose_it_is_and_since_when(app: Flask) -> None:
    clinic = Clinic(sender="+61480000001")
    clinic.book("a")
    with store.transaction(clinic.id) as session:
        session.add(OptOut(source=OptOutSource.REPLY, e164="+61491570006", recorded_at=BEFORE))
    check = crossed(diagnose(clinic.id, "a", PASS_AT))[Reason.OPTED_OUT]
    assert check.detail.startswith("0491 570 006 replied STOP to this practice today at 9am.")


def test_an_unknown_appointment_or_practice_is_said_so(app: Flask) -> None:
    Clinic()
    with pytest.raises(NoSuchAppointment):
        diagnose("riverside", "a", PASS_AT)
    with pytest.raises(NoSuchPractice):
        diagnose("elsewhere", "a", PASS_AT)


def test_another_practices_appointment_is_unknown(app: Flask) -> None:
    Clinic()
    Clinic("northgate").book("a")
    with pytest.raises(NoSuchAppointment):
        diagnose("riverside", "a", PASS_AT)


def test_played_days_lie_in_the_future_and_are_still_explained(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("cancelled", cancelled_at=PASS_AT - HOUR)
    clinic.book("late", booked_at=PASS_AT + 7 * HOUR)
    now = datetime.fromisoformat("2026-11-01T00:00:00+00:00")
    for hours in range(6):
        run_pass(clinic.id, PASS_AT + hours * HOUR, now)
    assert diagnose(clinic.id, "cancelled", now).reasons == (Reason.APPOINTMENT_CANCELLED,)
    assert diagnose(clinic.id, "late", now).reasons == (Reason.BOOKED_TOO_LATE,)


def test_what_holds_after_a_mend_is_said_in_one_sentence(app: Flask) -> None:
    clinic = Clinic()
    appointment = clinic.book("a")
    tomorrows = clinic.book("b", starts="2031-05-10 09:30")
    assert diagnose(clinic.id, "a", BEFORE).outlook == "Mia's reminder goes at 10am today."
    assert diagnose(clinic.id, "a", PASS_AT).outlook == "Mia's reminder goes before 11am today."
    assert diagnose(clinic.id, "b", BEFORE).outlook == "Mia's reminder goes at 10am on Friday 9 May."
    assert diagnose(clinic.id, "a", EVENING).outlook == (
        "No further try comes by itself for this appointment. It holds from the next reminder on."
    )
    late = diagnose(clinic.id, "a", PASS_AT + timedelta(days=2))
    assert late.outlook.endswith("It holds from the next appointment's reminder on.")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert diagnose(clinic.id, "a", PASS_AT).outlook == "Mia's reminder is on its way."
    clinic.change(clinic.business, sms_reminders=False)
    assert diagnose(clinic.id, "a", PASS_AT).outlook == (
        "Mia's reminder is scheduled, but will be held back: Reminders are switched off for this business."
    )
    assert diagnose(clinic.id, "b", PASS_AT).outlook == (
        "Still in the way: Reminders are switched off for this business."
    )
    with store.transaction(clinic.id) as session:
        session.scalars(select(Message)).one().status = Status.SENT
    assert (
        diagnose(clinic.id, "a", PASS_AT).outlook == "Mia's reminder was sent already: it holds from the next one on."
    )
    clinic.change(clinic.business, sms_reminders=True)
    clinic.change(tomorrows, cancelled_at=PASS_AT)
    assert diagnose(clinic.id, "b", PASS_AT).outlook == "No reminder is due: the appointment is cancelled."
    assert appointment.id != tomorrows.id


def test_only_the_opt_out_of_the_number_that_would_be_texted_is_told(app: Flask) -> None:
    clinic = Clinic()
    appointment = clinic.book("a")
    with store.transaction(clinic.id) as session:
        a_number(session, session.get_one(store.patients.Patient, appointment.patient_id), MOBILES[1], position=1)
        session.add(OptOut(source=OptOutSource.REPLY, e164="+61491570110", recorded_at=BEFORE))
    assert crossed(diagnose(clinic.id, "a", BEFORE)) == {}
