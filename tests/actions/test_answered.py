"""What staff write to a patient answers what the patient wrote."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions.replies import look_at_inbox
from portal.actions.worklist import look_at_worklist
from portal.actions.write import TextProblem
from portal.store.appointments import Appointment
from tests.builders import Clinic

from .by_staff import write
from .replies import LATER, comes_in, remind, reply_of

BEN = "+61491570110"


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    """Mia was reminded, Ben was not yet."""
    clinic = Clinic(sender="+61480000099")
    remind(clinic, "a")
    clinic.book("ben", patient={"mobile": BEN, "first_name": "Ben"}, booked_at=LATER)
    return clinic


def test_a_text_to_the_patient_answers_what_the_patient_wrote_and_nobody_elses(clinic: Clinic) -> None:
    answered = [comes_in("can't make it"), comes_in("Is parking free?")]
    bens = comes_in("Is parking free?", number=BEN)
    write(at=LATER)
    for taken in answered:
        assert (reply_of(taken).read_at, reply_of(taken).read_by) == (LATER, "Dana")
    assert reply_of(bens).read_at is None
    assert look_at_inbox(clinic.id, LATER).unread == 1
    with store.reading(clinic.id) as session:
        practice = store.practices.get_practice(session, clinic.id)
    assert look_at_worklist(practice, LATER).declined == []


def test_a_form_that_is_refused_or_comes_twice_answers_nothing(clinic: Clinic) -> None:
    write(at=LATER, form_key="the-first-form")
    taken = comes_in("Is parking free?")
    write(at=LATER, form_key="the-first-form")
    with pytest.raises(TextProblem):
        write("", at=LATER)
    assert reply_of(taken).read_at is None


def test_a_reminder_by_hand_answers_nothing(clinic: Clinic) -> None:
    taken = comes_in("Is parking free?", number=BEN)
    with store.reading(clinic.id) as session:
        visit = session.scalars(select(Appointment).where(Appointment.external_id == "ben")).one()
    write("See you at 9:30.", "ben", at=LATER, appointment_id=visit.id)
    assert reply_of(taken).read_at is None
