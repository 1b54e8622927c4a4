"""Outside the practice's hours for texts, by the pages: when it goes is said before and after, and it can be taken
back."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from portal import clock, store
from portal.actions.remind import run_pass
from portal.core.reasons import Reason
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.messages import Message
from tests.builders import PASS_AT, Clinic

from .conftest import sign_in, visitor
from .patients import in_one_line
from .test_send_again import again, stands
from .test_texts import send

GOES = "It goes at 8am tomorrow: outside your hours for texts it waits, and can be taken back."
WAITS = "Mia Nguyen will be texted: it is scheduled for 8am tomorrow."


@pytest.fixture
def clinic(client: FlaskClient, enqueued: list[int]) -> Clinic:
    """Mia's reminder is queued; by now it is night."""
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clock.start_at(PASS_AT + timedelta(hours=12))
    return clinic


def stand(clinic: Clinic, message_id: int) -> tuple[Status, int]:
    """How the message is, and what is left of the credits."""
    with store.reading(clinic.id) as session:
        practice = store.practices.get_practice(session, clinic.id)
        return session.get_one(Message, message_id).status, practice.credits


def test_the_composer_and_the_message_say_when_it_goes(client: FlaskClient, clinic: Clinic) -> None:
    assert GOES in client.get("/patients/1/text").text
    answer = send(client, "Please call us.")
    assert answer.status_code == 303
    page = client.get(answer.location).text
    assert WAITS in in_one_line(page)
    assert "It waits until 8am on Thursday 8 May 2031" in page


def test_within_the_hours_nothing_is_said(client: FlaskClient, clinic: Clinic) -> None:
    clock.start_at(PASS_AT)
    assert 'id="goes"' not in client.get("/patients/1/text").text


def test_it_is_taken_back_by_one_press_and_the_second_says_that_it_is(client: FlaskClient, clinic: Clinic) -> None:
    place = send(client, "Please call us.").location
    assert "Take it back" in client.get(place).text
    answer = client.post(f"{place}/take-back")
    assert (answer.status_code, stand(clinic, 2)) == (303, (Status.CANCELLED, 99))
    page = client.get(answer.location).text
    assert "Take it back" not in page
    assert "Dana Owner took it back today at 10pm." in page
    assert client.post(f"{place}/take-back").status_code == 422
    assert "<strong>It was withdrawn already, and does not go.</strong>" in client.post(f"{place}/take-back").text
    assert stand(clinic, 2) == (Status.CANCELLED, 99)


def test_a_reminder_that_goes_by_itself_has_no_such_button(client: FlaskClient, clinic: Clinic) -> None:
    assert "Take it back" not in client.get("/communications/1").text
    assert client.post("/communications/1/take-back").status_code == 422
    assert client.post("/communications/99/take-back").status_code == 404
    assert stand(clinic, 1) == (Status.QUEUED, 99)


def test_who_may_not_text_takes_nothing_back(client: FlaskClient, clinic: Clinic) -> None:
    place = send(client, "Please call us.").location
    practitioner = sign_in(visitor(client.application), Role.PRACTITIONER)
    assert "Take it back" not in practitioner.get(place).text
    assert practitioner.post(f"{place}/take-back").status_code == 403
    assert stand(clinic, 2)[0] is Status.QUEUED


def test_what_is_sent_again_says_so_before_and_after(client: FlaskClient, clinic: Clinic) -> None:
    place = stands(clinic, Status.FAILED, Reason.NO_CREDITS)
    assert GOES in client.get(place).text
    page = client.get(again(client, place).location).text
    assert "it is scheduled for 8am tomorrow." in page
    assert "It goes at 8am tomorrow." in page  # the checks, too


def test_the_worklist_says_so_before_and_after(client: FlaskClient, clinic: Clinic) -> None:
    stands(clinic, Status.FAILED, Reason.NO_CREDITS)
    page = client.get("/today/worklist").text
    state = page.split('name="state" value="')[1].split('"')[0]
    answer = client.post("/today/worklist/1/send-again", data={"state": state})
    assert "Done. It goes again at 8am tomorrow." in client.get(answer.location).text


def test_all_at_once_say_so_before_and_after(client: FlaskClient, clinic: Clinic) -> None:
    for external_id in ("b", "c"):
        clinic.book(external_id)
    run_pass(clinic.id, PASS_AT + timedelta(hours=1), PASS_AT + timedelta(hours=1))
    with store.transaction(clinic.id) as session:
        for id_ in (2, 3):
            row = session.get_one(Message, id_)
            row.status, row.reasons, row.charged = Status.FAILED, (Reason.NO_CREDITS,), 0
    page = client.get("/today/worklist").text
    assert "It is outside your hours for texts: they go at 8am tomorrow." in page
    form = {"message": [2, 3], "state": ["failed;no-credits;0"] * 2}
    answer = client.post("/today/worklist/send-again", data=form)
    assert "Done. 2 texts go again at 8am tomorrow." in client.get(answer.location).text
