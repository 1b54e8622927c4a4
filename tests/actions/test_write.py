"""Texts that staff write: what is asked of them, what is recorded, and what goes out, whoever else acts meanwhile."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions.browse_log import Asked, browse
from portal.actions.patients import NoSuchPatient, record_opt_out
from portal.actions.queue_text import PAUSE
from portal.actions.remind import run_pass
from portal.actions.sending import switch_sending
from portal.actions.show_message import show_message
from portal.actions.stop import withdraw
from portal.actions.sweep import sweep
from portal.actions.worklist import look_at_worklist
from portal.actions.write import CannotGo, MayNotSend, TextProblem, may_text, open_composer, send_text, weigh
from portal.core.numbers import PhoneType
from portal.core.reasons import Reason
from portal.core.reminders import Preference, Sending
from portal.core.roles import MAY, Permission, Role
from portal.core.states import Kind, Status
from portal.store.messages import Message
from portal.store.patients import OptOut, OptOutSource
from tests.actions.test_remind import balance, events, the_log
from tests.builders import MOBILES, PASS_AT, Clinic, a_number, a_patient, a_practitioner

from .by_staff import DANA, Line, at_once, message, patient, practitioner, write

HOUR = timedelta(hours=1)
ARABIC = "مرحبا Mia 🙂"


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    """Mia's appointment tomorrow at 9:30, before its reminder."""
    clinic = Clinic()
    clinic.book("a")
    return clinic


def why(call: pytest.ExceptionInfo[CannotGo]) -> list[Reason | None]:
    return [obstacle.reason for obstacle in call.value.explained]


def texts() -> list[Message]:
    with store.reading("riverside") as session:
        return list(session.scalars(select(Message).where(Message.kind == Kind.MANUAL).order_by(Message.id)))


# --- a text of its own ----------------------------------------------------------------------------------------


def test_a_text_is_queued_with_its_credits_and_sent_as_it_was_written(clinic: Clinic, line: Line) -> None:
    id_ = write("  Please call us.\r\nThank you \r\n")
    row = message(id_)
    assert (row.kind, row.status, row.patient_id) == (Kind.MANUAL, Status.QUEUED, patient().id)
    assert (row.appointment_id, row.revision, row.rule) == (None, None, None)
    assert (row.to, row.body, row.segments, row.charged) == (
        "+61491570006",
        "Please call us.\nThank you",
        1,
        1,
    )
    assert (row.written_by, row.written_by_id, row.business_id) == ("Dana", 1, clinic.business.id)
    assert row.deadline_at == PASS_AT + HOUR
    assert events(row) == [(PASS_AT, "queued-by-staff", "Dana")]
    assert balance() == 99
    line.send([id_])
    assert line.taken == [("61491570006", "Please call us.\nThank you")]
    assert line.simulator.messages[0].ttl == 3590
    assert (message(id_).status, balance()) == (Status.SENT, 99)


def test_reminders_own_rules_are_not_asked_of_it(clinic: Clinic, line: Line) -> None:
    clinic.change(clinic.business, sms_reminders=False)
    clinic.change(clinic.type, reminder_template_id=None)
    clinic.change(patient(), preference=Preference.NONE)
    line.send([write()])
    assert len(line.taken) == 1


def hold_back(clinic: Clinic, what: str) -> Reason:
    """Something that stands in the way of every text to Mia."""
    match what:
        case "sending":
            clinic.change(clinic.practice, sending=Sending.PAUSED)
            return Reason.SENDING_OFF
        case "none":
            set_number(clinic, type=PhoneType.HOME)
            return Reason.NO_MOBILE_NUMBER
        case "landline":
            set_number(clinic, **store.patients.parsed_columns("02 5550 1234", "AU"))
            return Reason.INVALID_MOBILE_NUMBER
        case "stop":
            with store.transaction(clinic.id) as session:
                session.add(OptOut(source=OptOutSource.REPLY, e164="+61491570006", recorded_at=PASS_AT))
            return Reason.OPTED_OUT
        case "opt-out":
            record_opt_out(clinic.id, patient().id, who=DANA.who, now=PASS_AT)
            return Reason.OPTED_OUT
        case _:
            clinic.change(patient(), archived=True)
            return Reason.PATIENT_ARCHIVED


def set_number(clinic: Clinic, **values: Any) -> None:
    mia = patient()
    with store.reading(clinic.id) as session:
        (row,) = store.patients.list_number_rows(session, mia.id)
    clinic.change(row, **values)


WAYS = ["sending", "none", "landline", "stop", "opt-out", "archived"]


@pytest.mark.parametrize("what", WAYS)
def test_what_stands_in_the_way_is_said_and_nothing_is_recorded(clinic: Clinic, what: str) -> None:
    reason = hold_back(clinic, what)
    with pytest.raises(CannotGo) as refused:
        write()
    assert why(refused) == [reason]
    assert refused.value.explained[0].words.says
    assert (texts(), balance()) == ([], 100)


@pytest.mark.parametrize("what", WAYS)
def test_what_comes_between_queueing_and_sending_holds_it_back(clinic: Clinic, line: Line, what: str) -> None:
    id_ = write("It is about your knee.")
    reason = hold_back(clinic, what)
    line.send([id_])
    row = message(id_)
    assert (row.status, row.reasons, row.charged) == (Status.NOT_SENT, (reason,), 0)
    # The words stay: they may be wanted once it is mended.
    assert (row.to, row.body, row.written_by) == (None, "It is about your knee.", "Dana")
    assert (line.taken, balance()) == ([], 100)
    shown = show_message(clinic.id, id_, PASS_AT, MAY[Role.OWNER])
    assert [one.reason for one in shown.explained] == [reason]
    assert [row.message.id for row in look_at_worklist(clinic.practice, PASS_AT).open] == [id_]


def test_it_goes_to_the_number_that_is_the_patients_when_it_goes(clinic: Clinic, line: Line) -> None:
    id_ = write()
    set_number(clinic, type=PhoneType.WORK)
    mia = patient()
    with store.transaction(clinic.id) as session:
        a_number(session, mia, MOBILES[1], position=1)
    line.send([id_])
    assert line.taken == [("61491570110", "Please call us.")]
    assert message(id_).to == "+61491570110"


def test_without_credits_nothing_is_recorded(app: Flask) -> None:
    clinic = Clinic(credits=1)
    clinic.book("a")
    with pytest.raises(CannotGo) as refused:
        write("a" * 161)
    assert why(refused) == [Reason.NO_CREDITS]
    assert "This message needs 2 credits; 1 is left." in refused.value.explained[0].words.says
    write("a" * 160)
    with pytest.raises(CannotGo):
        write()
    assert (len(texts()), balance()) == (1, 0)


def test_a_text_that_no_provider_takes_in_an_hour_expires_and_waits_on_the_worklist(clinic: Clinic) -> None:
    id_ = write()
    assert sweep(PASS_AT + HOUR) == 1
    row = message(id_)
    assert (row.status, row.reasons, row.body) == (Status.EXPIRED, (Reason.DEADLINE_PASSED,), "Please call us.")
    assert balance() == 100
    assert [row.message.id for row in look_at_worklist(clinic.practice, PASS_AT + HOUR).open] == [id_]
    shown = show_message(clinic.id, id_, PASS_AT + HOUR, MAY[Role.OWNER])
    assert "by 11am today" in shown.explained[0].words.says
    assert shown.steps[0].says == "Dana wrote it, and it was scheduled"
    assert "Dana" not in shown.steps[0].code


def test_no_pass_touches_it(clinic: Clinic) -> None:
    id_ = write()
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result and result.considered == 1
    assert (message(id_).status, message(id_).pass_at) == (Status.QUEUED, None)
    assert balance() == 98


def test_it_is_found_by_its_words_and_its_patients_name(clinic: Clinic) -> None:
    id_ = write("The physiotherapist telephoned.")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    for search in ("physio", "nguyen telephoned", "570006", str(id_)):
        found = browse(clinic.id, 50, Asked(search=search)).entries
        assert id_ in [entry.message.id for entry in found], search
    assert [entry.message.id for entry in browse(clinic.id, 50, Asked(kind=Kind.MANUAL)).entries] == [id_]


# --- what is typed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Write the text first"),
        (" \r\n\t ", "Write the text first"),
        ("Hi Mia\x00", 'after "Hi Mia"'),
        ("\x1b[31mred", "at the beginning"),
        ("a\tb", 'after "a"'),
        ("half \ud83d of a pair", 'after "half"'),
        ("See you {{Appointment.Date}}.", "{{Appointment.Date}} is still in it"),
        ("See you {{ what }}.", "{{ what }} is still in it"),
        ("x" * 5_000, "as long as 33 texts"),
        ("🙂" * 400, "as long as 13 texts"),
    ],
)
def test_a_text_that_cannot_be_sent_is_refused_in_words(clinic: Clinic, text: str, says: str) -> None:
    with pytest.raises(TextProblem, match=says.replace("{", r"\{")):
        write(text)
    assert (texts(), balance()) == ([], 100)


@pytest.mark.parametrize("text", [ARABIC, "Line\n\nline", "<script>alert(1)</script>", "=1+1", "\u202eevil", "é" * 5])
def test_any_other_text_goes_as_it_is(clinic: Clinic, line: Line, text: str) -> None:
    line.send([write(text)])
    assert line.taken == [("61491570006", text)]


def test_the_longest_text_goes(clinic: Clinic, line: Line) -> None:
    line.send([write("x" * 1_530)])
    assert (line.taken[0][1], balance()) == ("x" * 1_530, 90)


def test_a_text_is_weighed_as_it_would_be_sent(clinic: Clinic) -> None:
    weighed = weigh(clinic.id, "a" * 150 + "\r\n")
    assert (weighed.parts, weighed.encoding, weighed.dearest) == (1, "GSM-7", None)
    assert (weighed.units, weighed.left_in_part, weighed.credits) == (150, 10, 100)
    weighed = weigh(clinic.id, "ç" + "a" * 80)
    assert (weighed.parts, weighed.encoding, weighed.dearest, weighed.left_in_part) == (2, "UCS-2", "ç", 53)
    assert weigh(clinic.id, "x" * 100_000).parts == 654


# --- one form, one text ---------------------------------------------------------------------------------------


def test_a_form_sent_twice_writes_once(clinic: Clinic) -> None:
    first = write(form_key="the-same-form")
    assert write("Please call us.\r\n", form_key="the-same-form") == first
    assert (len(texts()), balance()) == (1, 99)


def test_a_form_sent_twice_at_once_writes_once(app: Flask, clinic: Clinic) -> None:
    results = at_once(app, *[lambda: write(form_key="the-same-form")] * 4)
    assert len(set(results)) == 1
    assert (len(texts()), balance()) == (1, 99)


def test_a_form_that_comes_back_with_other_words_or_for_another_patient_is_refused(clinic: Clinic) -> None:
    clinic.book("b", starts="2031-05-09 09:30")
    first = write(form_key="the-same-form")
    for text, to in (("Please write to us.", "a"), ("Please call us.", "b")):
        with pytest.raises(CannotGo) as refused:
            write(text, to, form_key="the-same-form")
        assert refused.value.explained[0].words.place == f"/communications/{first}"
    assert len(texts()) == 1


@pytest.mark.parametrize("key", ["", "short", "x" * 65, "with\x00zero-in-it", "with spaces in it", "مرحبا-مرحبا"])
def test_a_form_without_its_key_is_refused(clinic: Clinic, key: str) -> None:
    with pytest.raises(TextProblem, match="open it anew"):
        write(form_key=key)
    assert texts() == []


def test_the_same_key_in_another_practice_is_another_form(clinic: Clinic) -> None:
    other = Clinic("harbour")
    other.book("a")
    write(form_key="the-same-form")
    id_ = send_text("harbour", patient("a", "harbour").id, "Hi", "the-same-form", DANA, PASS_AT)
    assert message(id_, "harbour").practice_id == "harbour"


def test_texts_written_at_once_never_take_the_balance_below_zero(app: Flask) -> None:
    clinic = Clinic(credits=3)
    clinic.book("a")
    results = at_once(app, *[write] * 6)
    assert sum(isinstance(one, CannotGo) for one in results) == 3
    assert (len(texts()), balance()) == (3, 0)


def test_a_text_and_a_pass_at_once_share_the_credits(app: Flask) -> None:
    clinic = Clinic(credits=3)
    for name in "abc":
        clinic.book(name)
    at_once(app, lambda: run_pass(clinic.id, PASS_AT, PASS_AT), write)
    queued = [one for one in the_log().values() if one.status is Status.QUEUED]
    assert len(queued) + len(texts()) == 3
    assert balance() == 0


# --- who may --------------------------------------------------------------------------------------------------


def test_a_practitioner_texts_own_patients_only(clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        other = a_practitioner(session, external_id="2")
    helen, kim = practitioner(clinic), practitioner(clinic, other.id)
    write(writer=helen)
    with pytest.raises(MayNotSend, match="Reception may text every patient"):
        write(writer=kim)
    mia = patient().id
    assert (may_text(clinic.id, mia, helen), may_text(clinic.id, mia, kim), may_text(clinic.id, mia, DANA)) == (
        True,
        False,
        True,
    )


def test_a_cancelled_appointment_makes_no_patient_ones_own_and_a_past_one_does(clinic: Clinic) -> None:
    past = clinic.book("b", starts="2031-04-01 09:00")
    write(to="b", writer=practitioner(clinic))
    clinic.change(past, cancelled_at=PASS_AT)
    with pytest.raises(MayNotSend):
        write(to="b", writer=practitioner(clinic))


@pytest.mark.parametrize("permissions", [MAY[Role.SYSADMIN], frozenset({Permission.READ}), MAY[Role.PRACTITIONER]])
def test_who_has_no_leave_or_no_patients_sends_nothing(clinic: Clinic, permissions: frozenset[Permission]) -> None:
    with pytest.raises(MayNotSend):
        write(writer=replace(DANA, permissions=permissions))
    assert texts() == []


def test_no_patient_of_another_practice_is_texted(clinic: Clinic) -> None:
    Clinic("harbour").book("a")
    theirs = patient("a", "harbour").id
    with pytest.raises(NoSuchPatient):
        send_text(clinic.id, theirs, "Hi", "a-form-of-its-own", DANA, PASS_AT)
    assert texts() == []


# --- the reminder, now ----------------------------------------------------------------------------------------


def text_now(text: str = "See you tomorrow.", at: Any = PASS_AT, of: str = "a", **options: Any) -> int:
    with store.reading("riverside") as session:
        appointment = store.appointments.find_appointment(session, of)
        assert appointment
    return write(text, of, at=at, appointment_id=appointment.id, **options)


def test_booked_too_late_it_becomes_the_appointments_one_reminder(clinic: Clinic, line: Line) -> None:
    evening = PASS_AT + 9 * HOUR
    id_ = text_now(at=evening)
    row = the_log()["a"]
    assert (row.id, row.kind, row.revision, row.status) == (id_, Kind.REMINDER, 0, Status.QUEUED)
    assert (row.body, row.written_by, row.pass_at) == ("See you tomorrow.", "Dana", None)
    assert row.deadline_at == PASS_AT + timedelta(hours=23, minutes=30)  # its start
    line.send([id_], at=PASS_AT + 22 * HOUR)  # 8 AM, long after the day's passes
    assert message(id_).status is Status.SENT
    with pytest.raises(CannotGo, match="went already"):
        text_now(at=PASS_AT + 23 * HOUR)
    assert balance() == 99


def test_it_goes_on_in_the_row_that_a_pass_wrote(clinic: Clinic, line: Line) -> None:
    clinic.change(clinic.business, sms_reminders=False)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    before = the_log()["a"]
    assert before.status is Status.NOT_SENT
    id_ = text_now(at=PASS_AT + HOUR)
    assert id_ == before.id
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert (message(id_).status, message(id_).body) == (Status.QUEUED, "See you tomorrow.")  # no pass touches it
    line.send([id_], at=PASS_AT + HOUR + PAUSE)  # nor asks the worker whether the business has reminders on
    assert line.taken == [("61491570006", "See you tomorrow.")]
    assert [event for _, event, _ in events(message(id_))] == ["not-sent", "queued-by-staff", "sent"]


def test_what_was_held_back_is_the_next_passes_again(clinic: Clinic, line: Line) -> None:
    run_pass(clinic.id, PASS_AT - HOUR, PASS_AT - HOUR)
    id_ = text_now()
    switch_sending(clinic.id, Sending.PAUSED, PASS_AT)
    line.send([id_])
    row = message(id_)
    assert (row.status, row.reasons, row.body) == (Status.NOT_SENT, (Reason.SENDING_OFF,), None)
    switch_sending(clinic.id, Sending.ON, PASS_AT + HOUR)
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    row = message(id_)
    assert (row.status, row.body) == (Status.QUEUED, "Hi Mia, see you 08/05/2031 9:30am.")
    assert (row.written_by, row.written_by_id) == (None, None)
    assert row.deadline_at == PASS_AT + 12 * HOUR - HOUR
    assert balance() == 99


@pytest.mark.parametrize("how", ["moved", "cancelled", "withdrawn", "given away"])
def test_an_appointment_that_changes_meanwhile_is_not_spoken_of(clinic: Clinic, line: Line, how: str) -> None:
    clinic.book("b", starts="2031-05-09 09:30", patient={"mobile": MOBILES[1]})
    id_ = text_now()
    with store.transaction(clinic.id) as session:
        appointment = store.appointments.find_appointment(session, "a")
        other = store.patients.find_patient(session, "b")
        assert appointment and other
        match how:
            case "moved":
                appointment.revision, appointment.moved_at = 1, PASS_AT
            case "cancelled":
                appointment.cancelled_at = PASS_AT
            case "withdrawn":
                store.practices.lock_practice(session, clinic.id)
                withdraw(session, clinic.id, [appointment.id], PASS_AT)
            case _:
                appointment.patient_id = other.id
    line.send([id_])
    row = message(id_)
    assert (row.status, row.reasons, row.charged) == (Status.CANCELLED, (Reason.WITHDRAWN,), 0)
    assert (line.taken, balance()) == ([], 100)


def test_moved_since_the_page_was_opened_nothing_is_sent_until_that_is_seen(clinic: Clinic, line: Line) -> None:
    with store.reading(clinic.id) as session:
        appointment = store.appointments.find_appointment(session, "a")
    assert appointment
    opened = open_composer(clinic.id, patient().id, DANA, PASS_AT, appointment_id=appointment.id)
    assert (opened.revision, opened.text) == (0, "Hi Mia, see you 08/05/2031 9:30am.")
    wall = appointment.starts_wall + 2 * HOUR
    clinic.change(
        appointment, revision=1, moved_at=PASS_AT, starts_wall=wall, starts_at=appointment.starts_at + 2 * HOUR
    )
    moved = "The appointment was moved to tomorrow at 11:30am since you opened the page"
    with pytest.raises(CannotGo, match=moved):
        text_now(opened.text, revision=opened.revision)
    assert (the_log(), balance()) == ({}, 100)
    shown = open_composer(
        clinic.id,
        patient().id,
        DANA,
        PASS_AT,
        appointment_id=appointment.id,
        text=opened.text,
        revision=opened.revision,
    )
    assert (shown.text, shown.revision) == (opened.text, 1)
    assert [one.words.heading for one in shown.stands_in_the_way] == [moved]
    line.send([text_now("See you at 11:30.", revision=shown.revision)])
    assert line.taken == [("61491570006", "See you at 11:30.")]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (Status.QUEUED, "on its way"),
        (Status.SENDING, "on its way"),
        (Status.UNKNOWN, "in doubt"),
        (Status.SENT, "went already"),
        (Status.UNDELIVERED, "went already"),
    ],
)
def test_a_reminder_that_is_out_of_hand_is_left(clinic: Clinic, status: Status, says: str) -> None:
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clinic.change(the_log()["a"], status=status, sent_at=PASS_AT)
    with pytest.raises(CannotGo, match=says) as refused:
        text_now()
    assert refused.value.explained[0].words.place == f"/communications/{the_log()['a'].id}"
    assert (the_log()["a"].status, balance()) == (status, 99)


@pytest.mark.parametrize(("values", "says"), [({"cancelled_at": PASS_AT}, "cancelled"), ({}, "has begun")])
def test_nobody_is_reminded_of_what_is_cancelled_or_over(clinic: Clinic, values: dict[str, Any], says: str) -> None:
    with store.reading(clinic.id) as session:
        appointment = store.appointments.find_appointment(session, "a")
    clinic.change(appointment, **values)
    at = PASS_AT if values else PASS_AT + timedelta(hours=23, minutes=30)
    with pytest.raises(CannotGo, match=says):
        text_now(at=at)
    assert (the_log(), balance()) == ({}, 100)


def test_text_now_and_a_pass_at_once_make_one_reminder(app: Flask, clinic: Clinic) -> None:
    at_once(app, text_now, lambda: run_pass(clinic.id, PASS_AT, PASS_AT))
    with store.reading(clinic.id) as session:
        assert len(session.scalars(select(Message)).all()) == 1
    assert (the_log()["a"].status, balance()) == (Status.QUEUED, 99)


def test_a_text_to_a_patient_without_any_appointment_belongs_to_the_first_business(clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        a_patient(session, "new", mobile=MOBILES[2])
    assert message(write(to="new")).business_id == clinic.business.id
