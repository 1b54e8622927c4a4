"""Texts that staff send outside the practice's hours: put off to the morning, not dropped; and taken back."""

from datetime import datetime, timedelta

import pytest
from flask import Flask

from portal import store
from portal.actions.diagnose import diagnose
from portal.actions.queue_text import PAUSE
from portal.actions.remind import run_pass
from portal.actions.show_message import NoSuchMessage, show_message
from portal.actions.sweep import sweep, take_due
from portal.actions.take_back import TooLate, take_back
from portal.actions.worklist import look_at_worklist
from portal.actions.write import CannotGo, MayNotSend, open_composer
from portal.core.broadcasts import Whom
from portal.core.reasons import Reason
from portal.core.reminders import Preference
from portal.core.states import Status
from portal.core.timing import resolve
from portal.store.patients import OptOut, OptOutSource
from tests.actions.test_remind import balance, events, the_log
from tests.builders import MOBILES, PASS_AT, Clinic, a_practitioner, a_type

from .broadcasting import press, texts
from .by_staff import DANA, Line, at_once, message, patient, practitioner, write
from .test_booking import move_to
from .test_resend import again, all_again, asked, becomes

HOUR = timedelta(hours=1)
EVENING = PASS_AT + 8 * HOUR
NIGHT = PASS_AT + 12 * HOUR  # 10pm
MORNING = PASS_AT + 22 * HOUR  # 8am


def due(at: datetime) -> list[int]:
    return [id_ for _, ids, _ in take_due(at) for id_ in ids]


def says(message_id: int, at: datetime) -> str:
    return show_message("riverside", message_id, at, frozenset()).sentence


def compose(at: datetime, appointment_id: int | None = None) -> tuple[str, list[str]]:
    opened = open_composer("riverside", patient().id, DANA, at, appointment_id=appointment_id)
    return opened.goes, [one.words.heading for one in opened.stands_in_the_way]


# --- put off ------------------------------------------------------------------------------------------------


def test_a_text_written_at_night_goes_in_the_morning(clinic: Clinic, line: Line) -> None:
    assert compose(EVENING)[0] == ""
    assert compose(NIGHT)[0] == "8am tomorrow"
    id_ = write(at=NIGHT)
    row = message(id_)
    assert (row.status, row.next_at, row.enqueued_at) == (Status.QUEUED, MORNING, None)
    assert row.deadline_at == MORNING + HOUR
    assert balance() == 98  # its own, and the reminder's
    line.send([id_], at=NIGHT)
    sweep(MORNING - timedelta(seconds=1))
    assert id_ not in due(MORNING - timedelta(seconds=1))
    assert line.taken == []
    assert due(MORNING) == [id_]
    line.send([id_], at=MORNING)
    assert [text for _, text in line.taken] == ["Please call us."]
    assert message(id_).status is Status.SENT


@pytest.mark.parametrize("is_reminder", [False, True])
def test_what_could_not_go_before_the_hours_were_over_waits_for_the_morning(
    app: Flask, line: Line, is_reminder: bool
) -> None:
    clinic = Clinic()
    visit = clinic.book("a")
    late = PASS_AT + 10 * HOUR + timedelta(minutes=50)
    id_ = write(at=late, appointment_id=visit.id if is_reminder else None)
    after_nine = late + timedelta(minutes=20)  # the workers were gone until now
    line.send([id_], at=after_nine)
    row = message(id_)
    assert (line.taken, row.status, row.next_at, row.enqueued_at) == ([], Status.QUEUED, MORNING, None)
    assert row.deadline_at == (visit.starts_at if is_reminder else MORNING + HOUR)
    assert events(row)[-1] == (after_nine, "put-off", "2031-05-08T08:00")
    sweep(MORNING)
    line.send(due(MORNING), at=MORNING)
    assert (len(line.taken), message(id_).status, balance()) == (1, Status.SENT, 99)


def test_a_reminder_whose_appointment_begins_before_the_hours_do_stands_on_the_worklist_at_once(
    app: Flask, line: Line
) -> None:
    clinic = Clinic()
    visit = clinic.book("a", starts="2031-05-08 07:30")
    id_ = write(at=NIGHT - HOUR - timedelta(minutes=2), appointment_id=visit.id)  # 8:58pm
    line.send([id_], at=NIGHT - HOUR + timedelta(minutes=1))
    row = message(id_)
    assert (line.taken, row.status, row.reasons) == ([], Status.EXPIRED, (Reason.DEADLINE_PASSED,))
    assert balance() == 100
    assert [one.message.id for one in look_at_worklist(clinic.practice, NIGHT).open] == [id_]


def test_what_a_message_to_many_has_left_in_the_evening_goes_in_the_morning(app: Flask, line: Line) -> None:
    clinic = Clinic()
    clinic.book("a")
    press(text="We are closed on Friday.", now=EVENING, whom=Whom())
    (row,) = texts()
    until = NIGHT + 23 * HOUR  # 9pm tomorrow
    assert row.deadline_at == until
    sweep(NIGHT)
    line.send([row.id], at=NIGHT)
    assert (line.taken, message(row.id).next_at, message(row.id).deadline_at) == ([], MORNING, until + 24 * HOUR)
    line.send([row.id], at=MORNING)
    assert len(line.taken) == 1


def test_an_automatic_reminder_keeps_its_own_hours(app: Flask, line: Line) -> None:
    clinic = Clinic(texts_from=12, texts_until=13)
    clinic.book("a")
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result
    line.send(result.message_ids)
    assert len(line.taken) == 1


@pytest.mark.parametrize("wish", [None, Preference.NONE])
def test_a_change_of_the_appointment_says_that_a_reminder_by_staff_goes_as_it_was_written(
    app: Flask, line: Line, wish: Preference | None
) -> None:
    clinic = Clinic()
    visit = clinic.book("a", patient={"preference": wish})
    id_ = write("Dr Marsh sees you tomorrow.", at=NIGHT, appointment_id=visit.id)
    with store.transaction(clinic.id) as session:
        other = a_practitioner(session, external_id="2", first_name="Ana", last_name="Berg")
        bare = a_type(session, None, external_id="2", name="Dry needling")
    assert move_to(clinic, NIGHT, visit.id, practitioner_id=other.id, type_id=bare.id).says == (
        "The text that waits was sent by staff and goes as it was written: "
        "take it back and write it anew if it no longer holds.",
    )
    line.send([id_], at=MORNING)
    assert [text for _, text in line.taken] == ["Dr Marsh sees you tomorrow."]


def test_a_change_of_the_appointment_says_what_holds_a_reminder_by_staff_back(app: Flask, line: Line) -> None:
    clinic = Clinic()
    visit = clinic.book("a")
    id_ = write(at=NIGHT, appointment_id=visit.id)
    with store.transaction(clinic.id) as session:
        other = a_practitioner(session, external_id="2")
        session.add(OptOut(source=OptOutSource.STAFF, patient_id=visit.patient_id, recorded_at=NIGHT))
    assert move_to(clinic, NIGHT, visit.id, practitioner_id=other.id).says[0] == "The text that waits is held back."
    line.send([id_], at=MORNING)
    assert line.taken == []


def test_one_that_does_not_go_in_the_morning_either_is_too_late(clinic: Clinic) -> None:
    id_ = write(at=NIGHT)
    sweep(MORNING + HOUR)
    assert (message(id_).status, message(id_).reasons) == (Status.EXPIRED, (Reason.DEADLINE_PASSED,))
    assert asked(id_, MORNING + HOUR).how == "same-row"


def test_its_page_says_when_it_goes_and_that_it_waits(clinic: Clinic) -> None:
    id_ = write(at=NIGHT)
    shown = show_message("riverside", id_, NIGHT, frozenset())
    assert shown.sentence == "Mia Nguyen will be texted: it is scheduled for 8am tomorrow."
    assert [step.says for step in shown.steps] == [
        "Dana wrote it, and it was scheduled",
        "It waits until 8am on Thursday 8 May 2031",
    ]
    assert "Dana" not in "".join(step.code for step in shown.steps)
    assert says(id_, MORNING) == "Mia Nguyen will be texted: it is scheduled."


def test_the_hours_are_the_practices_by_the_clocks_of_the_patients_business(app: Flask) -> None:
    clinic = Clinic(business={"timezone": "Australia/Perth"}, texts_from=9, texts_until=20)
    clinic.book("a")
    assert message(write(at=EVENING)).next_at == EVENING + PAUSE  # 4pm there
    at_eight = resolve(datetime.fromisoformat("2031-05-07 20:00"), "Australia/Perth")
    assert compose(at_eight)[0] == "9am tomorrow"
    assert message(write(at=at_eight)).next_at == at_eight + 13 * HOUR


def test_a_reminder_by_hand_waits_too_and_may_go_until_its_appointment_begins(app: Flask, line: Line) -> None:
    clinic = Clinic()
    visit = clinic.book("a")
    assert compose(NIGHT, visit.id)[0] == "8am tomorrow"
    id_ = write("See you at 9:30.", at=NIGHT, appointment_id=visit.id)
    assert (message(id_).next_at, message(id_).deadline_at) == (MORNING, visit.starts_at)
    found = diagnose("riverside", "a", NIGHT)
    assert found.next_try == "It goes at 8am tomorrow."
    line.send([id_], at=MORNING)
    assert len(line.taken) == 1


def test_where_the_appointment_begins_before_the_hours_do_an_obstacle_says_so(app: Flask) -> None:
    clinic = Clinic()
    visit = clinic.book("a", starts="2031-05-08 08:00")
    heading = "No text goes at this hour"
    assert compose(NIGHT, visit.id) == ("8am tomorrow", [heading])
    with pytest.raises(CannotGo, match=heading) as refused:
        write(at=NIGHT, appointment_id=visit.id)
    assert (
        "at 8am tomorrow, and the appointment has begun by then: call Mia." in refused.value.explained[0].words.says
    )
    assert (the_log(), balance()) == ({}, 100)
    assert compose(NIGHT)[1] == []  # another text


def test_what_is_sent_again_at_night_waits_as_well(clinic: Clinic, line: Line) -> None:
    row = becomes(Status.FAILED, Reason.NO_CREDITS)
    assert asked(row.id, EVENING).goes_at is None
    found = asked(row.id, NIGHT)
    assert (found.how, found.goes_at) == ("same-row", MORNING)
    again(row, at=NIGHT)
    assert (message(row.id).next_at, message(row.id).enqueued_at) == (MORNING, None)
    assert "It waits until 8am on Thursday 8 May 2031" in [
        step.says for step in show_message("riverside", row.id, NIGHT, frozenset()).steps
    ]
    line.send([row.id], at=MORNING)
    assert len(line.taken) == 1


def test_all_again_at_night_says_when_they_go_and_leaves_whom_it_is_too_late_for(clinic: Clinic) -> None:
    clinic.book("early", starts="2031-05-08 07:30", patient={"mobile": MOBILES[1], "first_name": "Ben"})
    row = becomes(Status.FAILED, Reason.NO_CREDITS)
    early = message(write(to="early", at=EVENING, appointment_id=_visit("early")))
    with store.transaction("riverside") as session:
        early = session.get_one(type(early), early.id)
        early.status, early.reasons, early.charged, early.own_words = (
            Status.FAILED,
            (Reason.NO_CREDITS,),
            0,
            False,
        )
    done = all_again(row, early, at=NIGHT)
    assert (done.message_ids, done.later) == ((row.id,), ("8am tomorrow",))
    assert [name for name, _ in done.left] == ["Ben Nguyen"]
    assert "has begun by then" in done.left[0][1]


def _visit(external_id: str) -> int:
    with store.reading("riverside") as session:
        found = store.facts.find(session, store.appointments.Appointment.external_id == external_id)
        assert found
        return found.appointment.id


# --- taken back ---------------------------------------------------------------------------------------------


def test_what_waits_can_be_taken_back_and_its_credits_come_back(clinic: Clinic, line: Line) -> None:
    id_ = write(at=NIGHT)
    take_back("riverside", id_, DANA, NIGHT + HOUR)
    row = message(id_)
    assert (row.status, row.reasons, row.charged) == (Status.CANCELLED, (Reason.WITHDRAWN,), 0)
    assert balance() == 99
    assert events(message(id_))[-1][1:] == ("taken-back-by-staff", "Dana")
    shown = show_message("riverside", id_, NIGHT + HOUR, frozenset())
    assert shown.steps[-1].says == "Dana took it back"
    assert [one.words.says for one in shown.explained] == ["Dana took it back today at 11pm."]
    line.send([id_], at=MORNING)
    assert id_ not in due(MORNING)
    assert line.taken == []
    with pytest.raises(TooLate):
        take_back("riverside", id_, DANA, MORNING)
    assert asked(id_, NIGHT + HOUR).how == "composer"  # its words are read first


def test_what_went_is_not_taken_back(clinic: Clinic, line: Line) -> None:
    id_ = write()
    line.send([id_])
    with pytest.raises(TooLate):
        take_back("riverside", id_, DANA, PASS_AT)
    assert (message(id_).status, balance()) == (Status.SENT, 98)


def test_a_reminder_that_goes_by_itself_is_not_taken_back(clinic: Clinic) -> None:
    (row,) = the_log().values()
    with pytest.raises(TooLate):
        take_back("riverside", row.id, DANA, PASS_AT)
    assert message(row.id).status is Status.QUEUED


def test_what_may_have_gone_before_is_in_doubt_again_and_stays_paid(clinic: Clinic) -> None:
    row = becomes(Status.UNKNOWN)
    again(row, at=NIGHT, confirmed=True)
    take_back("riverside", row.id, DANA, NIGHT)
    assert (message(row.id).status, message(row.id).charged, balance()) == (Status.UNKNOWN, 1, 99)
    assert events(message(row.id))[-1][1:] == ("taken-back-by-staff", "Dana")


def test_a_stranger_takes_nothing_back(clinic: Clinic) -> None:
    id_ = write(at=NIGHT)
    with pytest.raises(MayNotSend):
        take_back("riverside", id_, practitioner(clinic, 999), NIGHT)
    take_back("riverside", id_, practitioner(clinic), NIGHT)
    for other in (999, id_):
        with pytest.raises((NoSuchMessage, TooLate)):
            take_back("riverside", other, DANA, NIGHT)


def test_of_two_presses_at_once_one_gives_the_credits_back(clinic: Clinic, app: Flask) -> None:
    id_ = write(at=NIGHT)
    done = at_once(app, *(lambda: take_back("riverside", id_, DANA, NIGHT) for _ in range(2)))
    assert sorted(type(one).__name__ for one in done) == ["NoneType", "TooLate"]
    assert balance() == 99


def test_taken_back_while_it_is_sent_it_goes_or_does_not(clinic: Clinic, app: Flask, line: Line) -> None:
    id_ = write()
    at_once(app, lambda: take_back("riverside", id_, DANA, PASS_AT), lambda: line.send([id_]))
    went = len(line.taken)
    assert message(id_).status is (Status.SENT if went else Status.CANCELLED)
    assert balance() == 98 + (not went)
