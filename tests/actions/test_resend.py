"""Sent again by staff: in the same row where nobody gets it twice by that, once however often it is asked."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions.credits import top_up
from portal.actions.missed import record_missed_days
from portal.actions.queue_text import PAUSE
from portal.actions.remind import run_pass
from portal.actions.resend import Again, Changed, Resent, may_send_again, send_again, send_all_again
from portal.actions.show_message import NoSuchMessage, show_message
from portal.actions.sweep import sweep
from portal.actions.write import CannotGo, MayNotSend
from portal.core.reasons import Reason
from portal.core.reminders import Preference, Sending
from portal.core.roles import MAY, Role
from portal.core.states import Direction, Kind, Status
from portal.store.communications import Filter, find_entry, list_newest
from portal.store.messages import Message
from portal.store.worklist import state_of
from tests.actions.test_remind import balance, events, the_log
from tests.builders import MOBILES, PASS_AT, Clinic

from .by_staff import DANA, Line, at_once, message, patient, practitioner, write

HOUR = timedelta(hours=1)
EVENING = PASS_AT + 9 * HOUR


def becomes(status: Status, *reasons: Reason, of: str = "a", **values: Any) -> Message:
    """As if that had become of a reminder; its credits back, where they would be."""
    row = the_log()[of]
    with store.transaction("riverside") as session:
        practice = store.practices.lock_practice(session, "riverside")
        entries = [{"kind": "refund", "amount": row.charged, "message_id": row.id, "reference": ""}]
        keeps = status in (Status.UNKNOWN, Status.SENT, Status.DELIVERED, Status.UNDELIVERED, Status.SENDING)
        if row.charged and not keeps:
            store.credits.record_entries(session, [{"practice_id": practice.id, "at": PASS_AT, **entries[0]}])
        row = session.get_one(Message, row.id)
        row.status, row.reasons, row.charged = status, reasons, row.charged if keeps else 0
        for name, value in values.items():
            setattr(row, name, value)
    return row


def asked(message_id: int, at: Any = PASS_AT) -> Again:
    with store.reading("riverside") as session:
        entry = find_entry(session, message_id)
        assert entry
        return may_send_again(entry, store.practices.get_practice(session, "riverside"), at)


def again(row: Message, *, at: Any = EVENING, confirmed: bool = False, writer: Any = DANA, state: Any = None) -> int:
    return send_again("riverside", row.id, state or state_of(row), confirmed, writer, at)


def all_again(*rows: Message, at: Any = EVENING, writer: Any = DANA) -> Resent:
    return send_all_again("riverside", [(row.id, state_of(row)) for row in rows], writer, at)


# --- which may, and how -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reasons", "how", "says"),
    [
        (Status.QUEUED, (), "no", "on its way"),
        (Status.SENDING, (), "no", "on its way"),
        (Status.SENT, (), "composer", "It was sent today at 10am: Mia may get it twice."),
        (Status.DELIVERED, (), "composer", "may get it twice"),
        (Status.UNDELIVERED, (), "composer", "reported as not delivered"),
        (Status.UNCONFIRMED, (), "composer", "may get it twice"),
        (Status.UNKNOWN, (), "same-row", "Mia may have got it already"),
        (Status.FAILED, (Reason.NO_CREDITS,), "same-row", ""),
        (Status.FAILED, (Reason.PROVIDER_REFUSED,), "same-row", "The provider refused it"),
        (Status.EXPIRED, (Reason.DEADLINE_PASSED,), "same-row", ""),
        (Status.CANCELLED, (Reason.WITHDRAWN,), "same-row", ""),
        (Status.NOT_SENT, (Reason.NO_MOBILE_NUMBER,), "same-row", ""),
        (Status.NOT_SENT, (Reason.PREFERS_NONE,), "same-row", "only if Mia agrees"),
        (Status.NOT_SENT, (Reason.NO_TEMPLATE,), "composer", "write the text"),
    ],
)
def test_what_became_of_it_says_how_it_may_go_again(
    clinic: Clinic, status: Status, reasons: tuple[Reason, ...], how: str, says: str
) -> None:
    emptied = {"to": None, "body": None, "segments": None} if status is Status.NOT_SENT else {}
    row = becomes(status, *reasons, sent_at=PASS_AT, **emptied)
    found = asked(row.id)
    assert (found.how, found.state) == (how, state_of(row))
    assert says in found.says
    assert found.needs_confirmation is (status is Status.UNKNOWN)
    assert found.appointment_id == (row.appointment_id if Reason.NO_TEMPLATE in reasons else None)
    if how != "same-row":
        with pytest.raises(CannotGo):
            again(row)
        assert message(row.id).status is status


@pytest.mark.parametrize(
    ("values", "at", "says"),
    [
        ({"revision": 1, "moved_at": PASS_AT}, EVENING, "was moved"),
        ({"cancelled_at": PASS_AT}, EVENING, "is cancelled"),
        ({}, PASS_AT + 24 * HOUR, "has begun"),
    ],
)
def test_of_what_is_moved_cancelled_or_over_nobody_is_reminded(
    clinic: Clinic, values: dict[str, Any], at: Any, says: str
) -> None:
    row = becomes(Status.EXPIRED, Reason.DEADLINE_PASSED)
    with store.reading(clinic.id) as session:
        appointment = store.appointments.find_appointment(session, "a")
    clinic.change(appointment, **values)
    assert (asked(row.id, at).how, says in asked(row.id, at).says) == ("no", True)
    with pytest.raises(CannotGo):
        again(row, at=at)
    assert (all_again(row, at=at).message_ids, balance()) == ((), 100)


def test_a_reply_is_never_sent(clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        reply = Message(
            direction=Direction.INBOUND,
            kind=Kind.REPLY,
            status=Status.RECEIVED,
            reasons=(),
            created_at=PASS_AT,
            patient_id=the_patient(session),
        )
        session.add(reply)
    assert asked(reply.id).how == "no"
    with pytest.raises(CannotGo):
        again(reply)


def the_patient(session: Any) -> int:
    found = store.patients.find_patient(session, "a")
    assert found
    return found.id


# --- one --------------------------------------------------------------------------------------------------------


def test_a_reminder_goes_again_in_its_row_as_its_template_is_now(clinic: Clinic, line: Line) -> None:
    row = becomes(Status.EXPIRED, Reason.DEADLINE_PASSED)
    clinic.change(clinic.template, body="Tomorrow, {{Patient.FirstName}}!")
    assert again(row) == row.id
    queued = message(row.id)
    assert (queued.status, queued.reasons, queued.body) == (Status.QUEUED, (), "Tomorrow, Mia!")
    assert (queued.written_by, queued.charged) == ("Dana", 1)
    assert queued.deadline_at == PASS_AT + timedelta(hours=23, minutes=30)
    assert events(queued)[-1] == (EVENING, "sent-again-by-staff", "Dana")
    clinic.change(clinic.template, body="Changed meanwhile")
    line.send([row.id], at=PASS_AT + 10 * HOUR)
    assert line.taken == [("61491570006", "Tomorrow, Mia!")]
    shown = show_message(clinic.id, row.id, PASS_AT + 10 * HOUR, MAY[Role.OWNER])
    assert "Dana sent it again: it was scheduled" in [step.says for step in shown.steps]
    assert balance() == 99


def test_a_text_by_staff_goes_again_as_it_was_written(clinic: Clinic, line: Line) -> None:
    id_ = write("About your knee.")
    sweep(PASS_AT + HOUR)
    assert message(id_).status is Status.EXPIRED
    soon = PASS_AT + 2 * HOUR - timedelta(minutes=1)
    assert again(message(id_), at=soon) == id_
    assert (message(id_).deadline_at, message(id_).own_words) == (soon + HOUR, True)
    line.send([id_], at=soon + PAUSE)
    assert line.taken == [("61491570006", "About your knee.")]


def test_what_staff_wrote_is_read_again_before_it_goes_after_an_hour(clinic: Clinic) -> None:
    written = write("We are running late.", at=PASS_AT)
    sweep(PASS_AT + HOUR)
    assert [asked(written, PASS_AT + HOUR).how, asked(written, PASS_AT + HOUR).is_safe] == ["same-row", False]
    late = asked(written, PASS_AT + 2 * HOUR)
    assert (late.how, late.is_safe, late.appointment_id) == ("composer", False, None)
    assert late.says == "It was written today at 10am: see first whether its words still hold."
    with pytest.raises(CannotGo):
        again(message(written), at=PASS_AT + 2 * HOUR)
    now = becomes(
        Status.FAILED, Reason.NO_CREDITS, own_words=True, written_by="Dana", body="See you", claimed_at=PASS_AT
    )
    late = asked(now.id, PASS_AT + HOUR)
    assert (late.how, late.appointment_id) == ("composer", now.appointment_id)


def test_what_a_pass_missed_is_sent_by_hand(app: Flask, line: Line) -> None:
    clinic = Clinic()
    clinic.book("a")
    clinic.change(clinic.business, watched_since=PASS_AT - 48 * HOUR, accounted_until=None)
    record_missed_days(PASS_AT + 6 * HOUR, PASS_AT + 6 * HOUR)
    row = the_log()["a"]
    assert row.reasons == (Reason.NO_PASS_RAN,)
    again(row)
    line.send([row.id], at=EVENING + PAUSE)
    assert (message(row.id).status, len(line.taken)) == (Status.SENT, 1)


def test_in_doubt_it_goes_only_once_that_is_confirmed_and_is_paid_once(clinic: Clinic, line: Line) -> None:
    line.simulator.plan([{"status": 503, "times": 1}])
    line.send([the_log()["a"].id])
    row = the_log()["a"]
    assert (row.status, row.charged, balance()) == (Status.UNKNOWN, 1, 99)
    with pytest.raises(CannotGo, match="Tick that the patient may have got it already"):
        again(row)
    assert all_again(row).left == (("Mia Nguyen", asked(row.id).says),)
    again(row, confirmed=True)
    assert (message(row.id).charged, balance()) == (1, 99)
    line.send([row.id], at=EVENING + PAUSE)
    assert (message(row.id).status, message(row.id).attempts, len(line.taken)) == (Status.SENT, 2, 1)


def test_in_doubt_a_text_that_grew_costs_the_difference(clinic: Clinic) -> None:
    row = becomes(Status.UNKNOWN)
    clinic.change(clinic.template, body="x" * 400)
    again(row, confirmed=True)
    assert (message(row.id).charged, balance()) == (3, 97)
    row = becomes(Status.UNKNOWN)
    clinic.change(clinic.template, body="short")
    again(row, confirmed=True)
    assert (message(row.id).charged, balance()) == (1, 99)


def test_a_reminder_sent_again_speaks_of_its_time_as_it_is_whenever_it_goes(clinic: Clinic, line: Line) -> None:
    row = becomes(Status.EXPIRED, Reason.DEADLINE_PASSED)
    again(row)
    assert (message(row.id).written_by, message(row.id).own_words) == ("Dana", False)
    row = becomes(Status.FAILED, Reason.NO_CREDITS)
    clinic.change(clinic.template, body="Come at {{Appointment.StartTime}}, {{Patient.FirstName}}")
    clinic.change(patient(), preference=Preference.NONE)
    assert all_again(row).left == (("Mia Nguyen", "The patient wants no reminders"),)  # every rule, as before
    clinic.change(patient(), preference=None)
    assert all_again(row).message_ids == (row.id,)
    row = becomes(Status.FAILED, Reason.NO_CREDITS)
    clinic.change(clinic.template, body="See you, {{Patient.FirstName}}")
    again(row)
    line.send([row.id], at=EVENING + PAUSE)
    assert line.taken == [("61491570006", "See you, Mia")]


@pytest.mark.parametrize(
    ("what", "values", "reason"),
    [
        ("practice", {"sending": Sending.PAUSED}, Reason.SENDING_OFF),
        ("patient", {"archived": True}, Reason.PATIENT_ARCHIVED),
        ("type", {"reminder_template_id": None}, Reason.NO_TEMPLATE),
    ],
)
def test_what_stands_in_the_way_is_said_and_nothing_changes(
    clinic: Clinic, what: str, values: dict[str, Any], reason: Reason
) -> None:
    row = becomes(Status.EXPIRED, Reason.DEADLINE_PASSED)
    clinic.change(patient() if what == "patient" else getattr(clinic, what), **values)
    with pytest.raises(CannotGo) as refused:
        again(row)
    assert [one.reason for one in refused.value.explained] == [reason]
    assert (message(row.id).status, message(row.id).written_by, balance()) == (Status.EXPIRED, None, 100)


def test_what_only_reminders_are_asked_is_not_asked_of_staff(clinic: Clinic, line: Line) -> None:
    row = becomes(Status.EXPIRED, Reason.DEADLINE_PASSED)
    clinic.change(clinic.business, sms_reminders=False)
    clinic.change(patient(), preference=Preference.NONE)
    again(row)
    shown = show_message(clinic.id, row.id, EVENING, MAY[Role.OWNER])
    assert shown.explanation and shown.explanation.diagnosis.outlook == "Mia's reminder is on its way."
    line.send([row.id], at=EVENING + PAUSE)
    assert len(line.taken) == 1


def test_credits_that_a_pass_took_meanwhile_are_missing(app: Flask) -> None:
    clinic = Clinic(credits=1)
    clinic.book("b", starts="2031-05-08 09:00")
    clinic.book("a", starts="2031-05-08 10:00")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    row = the_log()["a"]
    assert row.reasons == (Reason.NO_CREDITS,)
    with pytest.raises(CannotGo) as refused:
        again(row)
    assert "This message needs 1 credit; 0 are left." in refused.value.explained[0].words.says
    top_up(clinic.id, 1, "", EVENING, DANA.who)
    again(row)
    assert (message(row.id).status, balance()) == (Status.QUEUED, 0)


def test_what_the_provider_refuses_again_fails_again_and_its_credits_come_back(clinic: Clinic, line: Line) -> None:
    line.simulator.plan([{"status": 422, "code": "1170", "times": 2}])
    line.send([the_log()["a"].id])
    row = the_log()["a"]
    assert (row.status, row.refused is not None) == (Status.FAILED, True)
    again(row)
    line.send([row.id], at=EVENING + PAUSE)
    assert (message(row.id).status, message(row.id).reasons) == (Status.FAILED, (Reason.PROVIDER_REFUSED,))
    assert balance() == 100


def test_a_page_that_was_opened_before_something_changed_is_refused(clinic: Clinic) -> None:
    row = becomes(Status.EXPIRED, Reason.DEADLINE_PASSED)
    again(row)
    for state in (state_of(row), "", "queued;0", "\x00"):
        with pytest.raises((Changed, CannotGo)):
            again(row, state=state)
    assert balance() == 99


def test_sent_again_twice_at_once_it_goes_once(app: Flask, clinic: Clinic, line: Line) -> None:
    row = becomes(Status.EXPIRED, Reason.DEADLINE_PASSED)
    results = at_once(app, *[lambda: again(row)] * 4)
    assert sorted(map(type, results), key=str) == sorted([int, Changed, Changed, Changed], key=str)
    assert balance() == 99
    line.send([row.id, row.id], at=EVENING + PAUSE)
    assert len(line.taken) == 1


def test_sent_again_and_a_pass_at_once_it_is_queued_once(app: Flask, clinic: Clinic) -> None:
    row = becomes(Status.FAILED, Reason.NO_CREDITS)
    hour = PASS_AT + HOUR
    at_once(app, lambda: again(row, at=hour), lambda: run_pass(clinic.id, hour, hour))
    assert (message(row.id).status, balance()) == (Status.QUEUED, 99)


def test_who_may_not_text_the_patient_may_not_send_it_again(clinic: Clinic) -> None:
    row = becomes(Status.EXPIRED, Reason.DEADLINE_PASSED)
    with pytest.raises(MayNotSend):
        again(row, writer=practitioner(clinic, 9_999))
    assert again(row, writer=practitioner(clinic)) == row.id
    for id_ in (9_999, 2**62):
        with pytest.raises(NoSuchMessage):
            send_again(clinic.id, id_, "", False, DANA, EVENING)


def test_a_message_of_another_practice_is_not_there(clinic: Clinic) -> None:
    row = becomes(Status.EXPIRED, Reason.DEADLINE_PASSED)
    Clinic("harbour")
    with pytest.raises(NoSuchMessage):
        send_again("harbour", row.id, state_of(row), False, DANA, EVENING)
    resent = send_all_again("harbour", [(row.id, state_of(row))], DANA, EVENING)
    assert resent == Resent((), (("", "It is no longer there"),))


def test_what_staff_wrote_for_another_patient_is_not_sent_to_this_one(clinic: Clinic, line: Line) -> None:
    clinic.book("b", starts="2031-05-09 09:30", patient={"first_name": "Noa", "mobile": MOBILES[1]})
    row = becomes(
        Status.EXPIRED, Reason.DEADLINE_PASSED, written_by="Dana", own_words=True, body="Mia, about your knee."
    )
    noa = patient("b")
    with store.reading(clinic.id) as session:
        appointment = store.appointments.find_appointment(session, "a")
    clinic.change(appointment, patient_id=noa.id)
    again(row)
    line.send([row.id], at=EVENING + PAUSE)
    assert line.taken == [("61491570110", "Hi Noa, see you 08/05/2031 9:30am.")]


def test_sent_days_after_its_pass_it_is_found_on_the_day_it_went(app: Flask, line: Line) -> None:
    clinic = Clinic(lead_days=14)
    clinic.book("a", starts="2031-05-21 09:30")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    row = becomes(Status.EXPIRED, Reason.DEADLINE_PASSED)
    later = PASS_AT + 24 * 10 * HOUR
    again(row, at=later)
    line.send([row.id], at=later + PAUSE)
    with store.reading(clinic.id) as session:
        found = list_newest(session, clinic.id, Filter(since=later - HOUR, until=later + HOUR), 50)
    assert [entry.message.id for entry in found.entries] == [row.id]


# --- all --------------------------------------------------------------------------------------------------------


def a_bad_day() -> dict[str, Message]:
    """What its id says has become of each, the soonest last."""
    clinic = Clinic(credits=100)
    names = ("sent", "doubt", "wish", "expired", "failed")
    for hour, name in enumerate(names):
        starts = f"2031-05-08 {16 - hour:02}:00"
        clinic.book(name, starts=starts, patient={"first_name": name.title(), "mobile": MOBILES[hour]})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    becomes(Status.SENT, of="sent", sent_at=PASS_AT)
    becomes(Status.UNKNOWN, of="doubt")
    becomes(Status.EXPIRED, Reason.DEADLINE_PASSED, of="wish")
    becomes(Status.EXPIRED, Reason.DEADLINE_PASSED, of="expired")
    becomes(Status.FAILED, Reason.NO_CREDITS, of="failed")
    clinic.change(patient("wish"), preference=Preference.NONE)
    return the_log()


def test_all_again_sends_the_safe_ones_by_their_start_and_says_of_each_other_why(app: Flask, line: Line) -> None:
    log = a_bad_day()
    resent = all_again(*log.values())
    assert resent.message_ids == (log["failed"].id, log["expired"].id)
    assert dict(resent.left) == {
        "Doubt Nguyen": "Doubt may have got it already: the provider gave no clear answer.",
        "Wish Nguyen": "The patient wants no reminders",
    }
    assert resent.on_their_way == 1  # whom somebody else was faster with
    assert balance() == 96
    line.send(resent.message_ids, at=EVENING + PAUSE)
    assert {text[:10] for _, text in line.taken} == {"Hi Failed,", "Hi Expired"}
    assert all_again(*log.values()).message_ids == ()  # they have changed since
    assert balance() == 96


def test_all_again_goes_as_far_as_the_credits_do(app: Flask) -> None:
    log = a_bad_day()
    with store.transaction("riverside") as session:
        entry = {"practice_id": "riverside", "at": PASS_AT, "kind": "correction", "amount": 1 - balance_in(session)}
        store.credits.record_entries(session, [entry | {"message_id": None, "reference": ""}])
    resent = all_again(log["expired"], log["failed"])
    assert resent == Resent((log["failed"].id,), (("Expired Nguyen", "Not enough SMS credits"),))
    assert balance() == 0


def balance_in(session: Any) -> int:
    return int(store.practices.get_practice(session, "riverside").credits)


def test_all_again_leaves_what_the_provider_refused_as_it_is(clinic: Clinic, line: Line) -> None:
    line.simulator.plan([{"status": 422, "code": "1170", "times": 1}])
    line.send([the_log()["a"].id])
    row = the_log()["a"]
    assert all_again(row).left == (("Mia Nguyen", "The provider refused it as it is"),)
    clinic.change(clinic.template, body="Another text")
    assert all_again(row).message_ids == (row.id,)


def test_all_again_twice_at_once_queues_each_once(app: Flask) -> None:
    log = a_bad_day()
    results = at_once(app, *[lambda: all_again(*log.values())] * 3)
    assert sorted(len(one.message_ids) for one in results) == [0, 0, 2]
    assert balance() == 96


def test_texts_by_staff_are_read_before_they_go_again(clinic: Clinic) -> None:
    id_ = write("About your knee.")
    sweep(PASS_AT + HOUR)
    row = becomes(Status.EXPIRED, Reason.DEADLINE_PASSED)
    resent = all_again(message(id_), row, at=PASS_AT + HOUR)
    assert resent.message_ids == (row.id,)
    assert resent.left == (("Mia Nguyen", "Staff wrote it: read it before it goes again"),)
    assert message(id_).status is Status.EXPIRED


def test_all_again_is_for_who_may_text_them(clinic: Clinic) -> None:
    row = becomes(Status.EXPIRED, Reason.DEADLINE_PASSED)
    with pytest.raises(MayNotSend):
        all_again(row, writer=type(DANA)(DANA.who, MAY[Role.SYSADMIN]))
    assert all_again(row, writer=practitioner(clinic, 9_999)).left == (
        ("Mia Nguyen", "You may not text this patient"),
    )
    assert all_again(row, writer=practitioner(clinic)).message_ids == (row.id,)


def test_nothing_is_nothing(clinic: Clinic) -> None:
    assert all_again() == Resent((), ())
    with store.reading(clinic.id) as session:
        assert len(session.scalars(select(Message)).all()) == 1
