"""A text to one patient, by the pages: in how many seconds it goes, taken back before that, and what stands there
once it is too late."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import clock, store
from portal.actions.account import account_is_well, account_refused
from portal.actions.queue_text import PAUSE
from portal.actions.remind import run_pass
from portal.core.reasons import Reason
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.messages import Message
from tests.actions.by_staff import a_line, patient
from tests.builders import PASS_AT, Clinic

from .conftest import sign_in
from .patients import HTMX, in_one_line
from .test_send_again import again, stands
from .test_texts import field, send, typed

SOON = re.compile(r"It goes in (10|[1-9]) seconds?: until then you can take it back\.")


@pytest.fixture
def clinic(client: FlaskClient, enqueued: list[int]) -> Clinic:
    clinic = Clinic()
    clinic.book("a")
    return clinic


@pytest.fixture
def handed_over(app: Flask) -> list[tuple[list[int], timedelta]]:
    """(message ids, in how long) of what the pages hand to the workers."""
    handed: list[tuple[list[int], timedelta]] = []
    app.extensions["portal.enqueue_sends"] = lambda _practice, ids, at=None: handed.append(
        (list(ids), (at or clock.now()) - clock.now())
    )
    return handed


def stand(clinic: Clinic, message_id: int = 1) -> tuple[Status, int]:
    with store.reading(clinic.id) as session:
        practice = store.practices.get_practice(session, clinic.id)
        return session.get_one(Message, message_id).status, practice.credits


def becomes(clinic: Clinic, status: Status, message_id: int = 1) -> None:
    with store.transaction(clinic.id) as session:
        session.get_one(Message, message_id).status = status


def test_the_page_after_sending_says_in_how_many_seconds_it_goes(
    client: FlaskClient, clinic: Clinic, handed_over: list[tuple[list[int], timedelta]]
) -> None:
    place = send(client, "Please call us.").location
    page = client.get(place).text
    assert SOON.search(page)
    assert page.index('id="again"') < page.index(">Take it back</button>")
    assert 'hx-trigger="every 2s"' in page
    assert f'class="more without-scripts" href="{place}"' in page
    ((ids, within),) = handed_over
    assert ids == [1]
    assert timedelta() < within <= PAUSE


def test_it_says_when_it_went(client: FlaskClient, clinic: Clinic) -> None:
    place = send(client, "Please call us.").location
    clock.start_at(clock.now() + PAUSE)
    assert "It is on its way." in client.get(place, headers=HTMX).text
    with store.transaction(clinic.id) as session:
        message = session.get_one(Message, 1)
        message.status, message.sent_at = Status.SENT, clock.now()
    page = client.get(place, headers=HTMX).text
    assert "Mia Nguyen was texted today at 10:05am: the provider has it." in in_one_line(page)
    assert ("Take it back" in page, "until then" in page) == (False, False)


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["no scripts", "scripts"])
def test_taken_back_it_does_not_go_and_a_second_press_is_told(
    client: FlaskClient, clinic: Clinic, headers: dict[str, str]
) -> None:
    place = send(client, "Please call us.").location
    assert stand(clinic) == (Status.QUEUED, 99)
    answer = client.post(f"{place}/take-back", headers=headers)
    assert (answer.status_code, stand(clinic)) == (303, (Status.CANCELLED, 100))
    page = client.get(answer.location, headers=headers).text
    assert "The text to Mia Nguyen was withdrawn before it was sent." in in_one_line(page)
    assert "Dana Owner took it back today at 10:05am." in page
    twice = client.post(f"{place}/take-back", headers=headers)
    assert (twice.status_code, stand(clinic)) == (422, (Status.CANCELLED, 100))
    assert "<strong>It was withdrawn already, and does not go.</strong>" in twice.text


def waiting(page: str) -> str:
    found = re.search(r'<div id="waiting">.*?</div>', page, flags=re.S)
    return in_one_line(found[0]) if found else ""


def test_who_writes_another_is_shown_what_has_not_gone_yet(
    app: Flask, client: FlaskClient, clinic: Clinic, enqueued: list[int]
) -> None:
    """As who pressed Back for a mistake in it does, or a colleague who does not know of it."""
    clinic.book("b", patient={"first_name": "Noah"})
    composer = "/patients/1/text"
    assert not waiting(client.get(composer).text)
    place = send(client, "Pleese call us.").location
    said = waiting(client.get(composer).text)
    assert said.startswith("A text to Mia has not gone yet. It goes in ")
    assert "Pleese call us." in said
    assert f'href="{place}"' in client.get(composer).text
    assert waiting(sign_in(app.test_client(), Role.RECEPTION).get(composer, headers=HTMX).text)
    assert not waiting(client.get("/patients/2/text").text)
    client.post(f"{place}/take-back")
    assert not waiting(client.get(composer).text)


def test_what_waits_for_the_morning_or_for_the_account_says_so_where_another_is_written(
    client: FlaskClient, clinic: Clinic
) -> None:
    send(client, "First", at="2031-05-08T09:00")
    send(client, "Second")
    account("401")
    said = waiting(client.get("/patients/1/text").text)
    assert said.index("Second") < said.index("Another text to Mia has not gone yet. It goes at 9am tomorrow: until")
    assert said.startswith("A text to Mia has not gone yet. Nothing goes out until the provider takes our account")
    clock.start_at(clock.now() + PAUSE)
    becomes(clinic, Status.SENT, 2)
    said = waiting(client.get("/patients/1/text").text)
    assert ("First" in said, "Second" in said) == (True, False)


@pytest.mark.parametrize(
    ("status", "says"), [(Status.SENDING, "it is being sent at this moment"), (Status.SENT, "it went already")]
)
def test_too_late_is_said_in_words(client: FlaskClient, clinic: Clinic, status: Status, says: str) -> None:
    place = send(client, "Please call us.").location
    becomes(clinic, status)
    answer = client.post(f"{place}/take-back")
    assert answer.status_code == 422
    assert f"<strong>Too late to take it back: {says}.</strong>" in answer.text
    assert stand(clinic) == (status, 99)


def test_stopped_before_it_goes_its_page_says_why_and_keeps_the_words(client: FlaskClient, clinic: Clinic) -> None:
    place = send(client, "Please call us.").location
    clinic.change(patient(), archived=True)
    with a_line() as line:
        line.send([1], at=clock.now() + PAUSE)
        assert line.taken == []
    answer = client.get(place)
    assert (answer.status_code, stand(clinic)) == (200, (Status.NOT_SENT, 100))
    page = in_one_line(answer.text)
    assert "Mia Nguyen was not texted: the patient is archived." in page
    assert "The text Please call us. Written by Dana Owner · no credits taken" in page


def test_what_was_taken_back_goes_now_by_a_button_that_says_so_or_is_changed_first(
    client: FlaskClient, clinic: Clinic
) -> None:
    place = send(client, "See you at the gym.", at="2031-05-09T09:00").location
    page = client.get(place).text
    assert "It goes at 9am on Friday 9 May: until then you can take it back." in page
    assert "on its way" not in page
    page = client.get(client.post(f"{place}/take-back").location).text
    assert ">Send it now</button>" in page
    assert ">Send again</button>" not in page
    (path,) = re.findall(r'href="([^"]+)">Change it first, or set a time<', page)
    composer = client.get(path.replace("&amp;", "&")).text
    assert typed(composer) == "See you at the gym."
    assert 'name="at"' in composer
    page = client.get(again(client, place).location).text
    assert SOON.search(page)


def test_taken_back_at_night_it_does_not_say_now(client: FlaskClient, clinic: Clinic) -> None:
    clock.start_at(PASS_AT + timedelta(hours=12))
    place = send(client, "Please call us.").location
    page = client.get(client.post(f"{place}/take-back").location).text
    assert ">Send again</button>" in page
    assert "It goes at 8am tomorrow" in page


def test_a_reminder_by_hand_that_was_taken_back_is_changed_as_one(client: FlaskClient, clinic: Clinic) -> None:
    path = "/patients/1/text?appointment=1"
    place = send(client, "See you at 9:30.", path, appointment="1").location
    page = client.get(client.post(f"{place}/take-back").location).text
    (path,) = re.findall(r'href="([^"]+)">Change it first<', page)
    composer = client.get(path).text
    assert (typed(composer), field(composer, "appointment")) == ("See you at 9:30.", "1")


def test_the_worklist_leads_to_where_it_is_taken_back(client: FlaskClient, clinic: Clinic) -> None:
    run_pass(clinic.id, PASS_AT, PASS_AT)
    place = stands(clinic, Status.FAILED, Reason.NO_CREDITS)
    clock.start_at(PASS_AT + timedelta(hours=7))  # no pass takes it up any more
    state = field(client.get("/today/worklist").text, "state")
    answer = client.post("/today/worklist/1/send-again", data={"state": state}, headers=HTMX)
    assert re.search(
        rf'Done\. It goes again in \d+ seconds\. <a href="{place}">Look at it, or take it back</a>', answer.text
    )
    assert SOON.search(client.get(place).text)


def account(code: str | None) -> None:
    """The provider refuses it, or takes it again."""
    with store.everything(write=True) as session:
        account_refused(session, code, clock.now()) if code else account_is_well(session, clock.now())


def test_while_the_account_is_refused_it_says_that_it_waits(client: FlaskClient, clinic: Clinic) -> None:
    place = send(client, "Please call us.").location
    account("401")
    waits = "Nothing goes out until the provider takes our account again. It goes then, if that is by 11:05am today."
    page = in_one_line(client.get(place).text)
    assert f"{waits} Until it goes you can take it back." in page
    assert "It goes in" not in page
    clock.start_at(clock.now() + PAUSE)
    page = in_one_line(client.get(place, headers=HTMX).text)
    assert waits in page
    assert "It is on its way." not in page
    account(None)
    assert "It is on its way." in client.get(place, headers=HTMX).text


def test_a_text_for_tomorrow_keeps_its_time_while_the_account_is_refused(client: FlaskClient, clinic: Clinic) -> None:
    answer = send(client, "Please call us.", at="2031-05-08T09:00")
    account("401")
    assert "It goes at 9am tomorrow: until then you can take it back." in in_one_line(
        client.get(answer.location).text
    )


def test_the_worklist_says_that_it_waits_for_the_account(client: FlaskClient, clinic: Clinic) -> None:
    run_pass(clinic.id, PASS_AT, PASS_AT)
    stands(clinic, Status.FAILED, Reason.NO_CREDITS)
    clock.start_at(PASS_AT + timedelta(hours=7))
    account("401")
    state = field(client.get("/today/worklist").text, "state")
    answer = client.post("/today/worklist/1/send-again", data={"state": state}, headers=HTMX)
    assert "Done. It goes again once the provider takes our account again. " in answer.text
