"""What staff write to a patient answers what the patient wrote."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions.replies import look_at_inbox, mark_read, mark_unread
from portal.actions.resend import send_again
from portal.actions.take_back import take_back
from portal.actions.worklist import look_at_worklist
from portal.actions.write import TextProblem, open_composer
from portal.store.appointments import Appointment
from portal.store.worklist import state_of
from tests.builders import Clinic

from .by_staff import DANA, message, patient, write
from .replies import LATER, comes_in, remind, reply_of

MINUTE = timedelta(minutes=1)
BEN = "+61491570110"


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    """Mia was reminded, Ben was not yet."""
    clinic = Clinic(sender="+61480000099")
    remind(clinic, "a")
    clinic.book("ben", patient={"mobile": BEN, "first_name": "Ben"}, booked_at=LATER)
    return clinic


def test_a_text_to_the_patient_answers_what_the_patient_wrote_and_nobody_elses(clinic: Clinic) -> None:
    answered = [comes_in("Where are you?"), comes_in("Is parking free?")]
    bens = comes_in("Is parking free?", number=BEN)
    write(at=LATER, answers=[*shown(), bens.message_id])
    for taken in answered:
        assert (reply_of(taken).read_at, reply_of(taken).read_by) == (LATER, "Dana")
    assert reply_of(bens).read_at is None
    assert look_at_inbox(clinic.id, LATER).unread == 1


def shown() -> list[int]:
    """On the form for a text to Mia."""
    return [row.message.id for row in open_composer("riverside", patient().id, DANA, LATER).unread]


def test_what_came_after_the_form_was_opened_and_who_cannot_come_stay_unread(clinic: Clinic) -> None:
    declined = comes_in("can't make it")
    seen = shown()
    came_later = comes_in("Is parking free?")
    write(at=LATER, answers=seen)
    write(at=LATER)
    assert (seen, reply_of(declined).read_at, reply_of(came_later).read_at) == ([declined.message_id], None, None)
    with store.reading(clinic.id) as session:
        practice = store.practices.get_practice(session, clinic.id)
    assert [row.message.id for row in look_at_worklist(practice, LATER).declined] == [declined.message_id]


def test_taken_back_it_answers_nothing(clinic: Clinic) -> None:
    before, answered = comes_in("Where are you?"), comes_in("Is parking free?")
    mark_read(clinic.id, before.message_id, DANA.who, LATER - MINUTE)
    id_ = write(at=LATER, answers=shown())
    assert look_at_inbox(clinic.id, LATER).unread == 0
    take_back(clinic.id, id_, DANA, LATER)
    assert reply_of(answered).read_at is None
    assert reply_of(before).read_at == LATER - MINUTE


def test_taken_back_and_sent_after_all_it_answers_again(clinic: Clinic) -> None:
    """Or a colleague would answer a second time; but not what somebody has marked as unread since."""
    answered, unread_since = comes_in("Where are you?"), comes_in("Is parking free?")
    id_ = write(at=LATER, answers=shown())
    came_later = comes_in("Hello?", LATER + MINUTE)
    for at in (LATER, LATER + MINUTE):  # however often
        take_back(clinic.id, id_, DANA, at)
        assert reply_of(answered).read_at is None
        send_again(clinic.id, id_, state_of(message(id_)), confirmed=False, writer=DANA, now=at)
        assert (reply_of(answered).read_at, reply_of(answered).read_by) == (LATER, "Dana")
    take_back(clinic.id, id_, DANA, LATER + MINUTE)
    mark_unread(clinic.id, unread_since.message_id)
    send_again(clinic.id, id_, state_of(message(id_)), confirmed=False, writer=DANA, now=LATER + MINUTE)
    assert [reply_of(one).read_at for one in (answered, unread_since, came_later)] == [LATER, None, None]


def test_a_form_that_is_refused_or_comes_twice_answers_nothing(clinic: Clinic) -> None:
    write(at=LATER, form_key="the-first-form")
    taken = comes_in("Is parking free?")
    write(at=LATER, form_key="the-first-form", answers=[taken.message_id])
    with pytest.raises(TextProblem):
        write("", at=LATER, answers=[taken.message_id])
    assert reply_of(taken).read_at is None


def test_a_reminder_by_hand_answers_nothing(clinic: Clinic) -> None:
    taken = comes_in("Is parking free?", number=BEN)
    with store.reading(clinic.id) as session:
        visit = session.scalars(select(Appointment).where(Appointment.external_id == "ben")).one()
    write("See you at 9:30.", "ben", at=LATER, appointment_id=visit.id, answers=[taken.message_id])
    assert reply_of(taken).read_at is None
