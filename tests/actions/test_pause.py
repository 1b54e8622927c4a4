"""A text to one patient waits a few seconds before it goes, in which it can be taken back."""

from datetime import datetime, timedelta

import pytest
from flask import Flask

from portal import store
from portal.actions.queue_text import PAUSE
from portal.actions.remind import run_pass
from portal.actions.show_message import show_message
from portal.actions.sweep import take_due
from portal.actions.take_back import TooLate, take_back
from portal.actions.worklist import look_at_worklist
from portal.actions.write import CannotGo
from portal.core.phrases import coming
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.core.timing import local
from portal.store.messages import Message
from tests.actions.test_remind import balance
from tests.builders import PASS_AT, Clinic

from .by_staff import DANA, Line, message, write
from .test_resend import EVENING, again, all_again, asked, becomes

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
OVER = PASS_AT + PAUSE
FRIDAY_9AM = "2031-05-09T09:00"


def due(at: datetime) -> list[int]:
    """What a sweep enqueues."""
    return [id_ for _, ids, _ in take_due(at) for id_ in ids]


def why_too_late(message_id: int) -> str:
    with pytest.raises(TooLate) as refused:
        take_back("riverside", message_id, DANA, OVER)
    return str(refused.value)


def test_it_goes_once_the_pause_is_over_and_not_before(clinic: Clinic, line: Line) -> None:
    id_ = write()
    assert (message(id_).status, message(id_).next_at, message(id_).enqueued_at) == (Status.QUEUED, OVER, None)
    line.send([id_], at=OVER - SECOND)
    assert line.taken == []
    line.send([id_], at=OVER)
    assert len(line.taken) == 1


def test_where_whoever_was_to_enqueue_it_is_gone_the_sweep_does(clinic: Clinic, line: Line) -> None:
    id_ = write()
    assert id_ not in due(OVER - SECOND)
    assert due(OVER) == [id_]


def test_a_reminder_by_hand_and_what_is_sent_again_wait_too(clinic: Clinic, line: Line) -> None:
    visit = clinic.book("b")
    assert message(write(to="b", appointment_id=visit.id)).next_at == OVER
    row = becomes(Status.FAILED, Reason.NO_CREDITS)
    again(row)
    assert (message(row.id).next_at, message(row.id).enqueued_at) == (EVENING + PAUSE, None)
    row = becomes(Status.FAILED, Reason.NO_CREDITS)
    all_again(row, at=EVENING + HOUR)
    assert message(row.id).next_at == EVENING + HOUR + PAUSE


def test_what_is_taken_back_in_it_does_not_go_and_gives_its_credits_back(clinic: Clinic, line: Line) -> None:
    before = balance()
    id_ = write()
    take_back(clinic.id, id_, DANA, OVER - SECOND)
    line.send([id_])
    assert (line.taken, due(OVER), message(id_).status, balance()) == ([], [], Status.CANCELLED, before)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (Status.SENDING, "Too late to take it back: it is being sent at this moment."),
        (Status.SENT, "Too late to take it back: it went already."),
        (Status.DELIVERED, "Too late to take it back: it went already."),
        (Status.CANCELLED, "It was withdrawn already, and does not go."),
        (Status.EXPIRED, "It was not taken back: it does not wait any more."),
    ],
)
def test_too_late_or_twice_is_said_in_words(clinic: Clinic, status: Status, says: str) -> None:
    id_, before = write(), balance()
    with store.transaction(clinic.id) as session:
        row = session.get_one(Message, id_)
        row.status = status
        if status in (Status.CANCELLED, Status.EXPIRED):
            row.reasons, row.charged = (Reason.WITHDRAWN,), 0
    assert why_too_late(id_) == says
    assert balance() == before


def test_a_reminder_taken_back_that_no_pass_takes_up_again_is_to_be_dealt_with(clinic: Clinic, line: Line) -> None:
    row = becomes(Status.FAILED, Reason.NO_CREDITS)
    assert open_ones(EVENING) == [row.id]
    again(row)
    assert open_ones(EVENING) == []
    take_back(clinic.id, row.id, DANA, EVENING)
    assert open_ones(EVENING) == [row.id]


def test_a_reminder_taken_back_that_the_next_pass_takes_up_again_is_not(clinic: Clinic, line: Line) -> None:
    visit = clinic.book("b")
    id_ = write(to="b", appointment_id=visit.id)
    take_back(clinic.id, id_, DANA, PASS_AT)
    assert open_ones(PASS_AT) == []
    assert run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert (message(id_).status, message(id_).written_by) == (Status.QUEUED, None)


def test_a_text_of_staffs_own_that_they_took_back_is_nothing_to_deal_with(clinic: Clinic) -> None:
    take_back(clinic.id, write(), DANA, PASS_AT)
    assert open_ones(PASS_AT) == []


def open_ones(at: datetime) -> list[int]:
    """What is to be dealt with."""
    with store.reading("riverside") as session:
        practice = store.practices.get_practice(session, "riverside")
    return [one.message.id for one in look_at_worklist(practice, at).open]


def test_its_page_says_in_how_many_seconds_it_goes(clinic: Clinic) -> None:
    id_ = write()
    assert asked(id_, PASS_AT).says == "It goes in 10 seconds: until then you can take it back."
    assert asked(id_, OVER - SECOND).says == "It goes in 1 second: until then you can take it back."
    assert asked(id_, OVER).says == "It is on its way."
    says = [show_message(clinic.id, id_, at, frozenset()).sentence for at in (PASS_AT, OVER - SECOND, OVER)]
    assert set(says) == {"Mia Nguyen will be texted: it is scheduled."}  # it is read out whenever it changes


def test_of_one_for_a_set_time_it_says_until_when_it_waits(clinic: Clinic) -> None:
    id_ = write(when=FRIDAY_9AM)
    assert asked(id_, PASS_AT).says == "It goes at 9am on Friday 9 May: until then you can take it back."
    assert asked(id_, PASS_AT + 47 * HOUR).says == "It is on its way."


def test_a_reminder_that_goes_by_itself_waits_for_nobody(clinic: Clinic) -> None:
    (row,) = [one for one in _messages() if one.written_by is None]
    assert row.next_at == PASS_AT
    assert why_too_late(row.id) == "It was not taken back: it is a reminder, and goes by itself."


def _messages() -> list[Message]:
    with store.reading("riverside") as session:
        return list(session.query(Message))


def test_a_time_within_the_pause_is_the_pauses_end(clinic: Clinic) -> None:
    id_ = write(at=PASS_AT + 55 * SECOND, when="2031-05-07T10:01")
    assert message(id_).next_at == PASS_AT + 55 * SECOND + PAUSE


def test_the_hours_for_texts_are_those_of_its_going(clinic: Clinic) -> None:
    before_nine = PASS_AT + 11 * HOUR - 5 * SECOND  # in the evening
    assert message(write(at=before_nine)).next_at == PASS_AT + 22 * HOUR
    before_eight = PASS_AT + 22 * HOUR - 5 * SECOND
    assert message(write(at=before_eight)).next_at == before_eight + PAUSE


def test_of_an_appointment_that_begins_within_it_nobody_is_reminded(app: Flask) -> None:
    clinic = Clinic()
    visit = clinic.book("a")
    with pytest.raises(CannotGo, match="The appointment has begun"):
        write(at=visit.starts_at - PAUSE, appointment_id=visit.id)
    assert message(write(at=visit.starts_at - PAUSE - SECOND, appointment_id=visit.id)).deadline_at == visit.starts_at


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(0.01, "in 1 second"), (9.99, "in 10 seconds"), (59, "in 59 seconds"), (60, "at 10:01am today")],
)
def test_what_is_near_is_told_in_seconds(seconds: float, says: str) -> None:
    assert coming(local(PASS_AT + timedelta(seconds=seconds), "Australia/Sydney"), PASS_AT) == says
