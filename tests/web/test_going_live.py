"""The pages of going live, of its days, and of the pause: what they say, to whom, and in how many queries."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import clock, store
from portal.actions.queue_text import PAUSE
from portal.actions.remind import run_pass
from portal.core.reminders import Sending
from portal.core.roles import Role
from portal.store.practices import Practice
from tests.actions.by_staff import a_line, write
from tests.builders import PASS_AT, Clinic, a_business, a_practice

from .conftest import sign_in, visitor
from .test_today import come_back, counted_queries, read, text_of

HOUR = timedelta(hours=1)
LIVE = "/going-live"
TICKED = {"confirm": "yes", "accept": "yes"}


@pytest.fixture(autouse=True)
def can_send(app: Flask, client: FlaskClient) -> None:
    """With credentials; forms need no tokens."""
    app.config["WTF_CSRF_ENABLED"] = False
    settings = app.extensions["portal.settings"]
    app.extensions["portal.settings"] = replace(settings, vonage_api_key="key", vonage_api_secret="secret")


def the(clinic: Clinic) -> Practice:
    with store.reading(clinic.id) as session:
        return store.practices.get_practice(session, clinic.id)


@pytest.fixture
def clinic() -> Clinic:
    clinic = Clinic(sending=Sending.REHEARSAL)
    clinic.book("a")
    clinic.book("b", patient={"mobile": None})
    clinic.book("c", starts="2031-05-09 09:30")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    return clinic


def test_every_page_leads_the_owner_of_a_rehearsal_to_going_live(client: FlaskClient, clinic: Clinic) -> None:
    assert f'<a href="{LIVE}">Go live</a>' in client.get("/").text
    page = read(client, LIVE)
    assert "You are rehearsing: each day is decided as if it were real, and nothing is sent." in page
    assert "Of 3 patients with reminders in the next 7 days, 2 would be texted." in page
    assert "Tomorrow, Thursday 8 May 1 1" in page


def test_where_only_the_sysadmin_grants_the_list_says_whom_to_ask(client: FlaskClient, clinic: Clinic) -> None:
    clinic.change(clinic.practice, credits=0)
    assert '<a href="/settings/sms">Top up</a>' in client.get(LIVE).text
    Clinic("northgate")
    page = client.get(LIVE).text
    assert "Credits are added by the system administrator: ask them for a top-up." in page
    assert ">Top up<" not in page


@pytest.mark.parametrize("lacking", ["confirm", "accept"])
def test_it_goes_live_only_with_each_tick(client: FlaskClient, clinic: Clinic, lacking: str) -> None:
    answer = client.post(LIVE, data={name: "yes" for name in TICKED if name != lacking})
    assert answer.status_code == 422
    assert 'id="go-problem"' in answer.text and 'aria-describedby="go-problem"' in answer.text
    assert the(clinic).sending is Sending.REHEARSAL


def test_it_goes_live_and_leaves_out_what_was_reminded(client: FlaskClient, clinic: Clinic) -> None:
    assert 'value="2031-05-08"' in client.get(LIVE).text  # those whose reminders have begun
    for typed in ("", "soon", "2031-05-01"):
        answer = client.post(LIVE, data=TICKED | {"reminded": "elsewhere", "until": typed})
        assert answer.status_code == 422
        assert 'id="until-problem"' in answer.text
    answer = client.post(LIVE, data=TICKED | {"reminded": "elsewhere", "until": "2031-05-08"})
    assert (answer.status_code, answer.location) == (303, LIVE)
    page = read(client, LIVE)
    assert "You are live. Reminders go from the next hour for reminders on." in page
    assert "Appointments up to tomorrow get no reminder from here" in page
    assert "You are rehearsing" not in read(client)
    today = read(client)
    assert "2 were reminded by another system" in today
    appointment = read(client, "/appointments/1")
    assert "Dana Owner left out appointments up to tomorrow when going live." in appointment
    assert "Text Mia now" in appointment

    client.post(f"{LIVE}/left-out", data={"reminded": "nowhere"})
    assert the(clinic).left_out is None
    assert client.post(f"{LIVE}/left-out", data={"reminded": "elsewhere", "until": "x"}).status_code == 422
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert 'href="/communications/1"' not in client.get("/communications?reason=reminded-elsewhere").text


def test_the_log_and_the_message_say_that_another_system_has_reminded(client: FlaskClient, clinic: Clinic) -> None:
    client.post(LIVE, data=TICKED | {"reminded": "elsewhere", "until": "2031-05-08"})
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert "Another system has reminded" in read(client, "/communications?reason=reminded-elsewhere")
    page = read(client, "/communications/1")
    assert "Another system has reminded" in page and "Text Mia now" in page


def test_without_credentials_nobody_goes_live(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    settings = app.extensions["portal.settings"]
    app.extensions["portal.settings"] = replace(settings, vonage_api_key=None, vonage_api_secret=None)
    page = read(client, LIVE)
    assert "There is no account with the provider yet." in page
    assert "Once nothing above is crossed" in page
    answer = client.post(LIVE, data=TICKED)
    assert answer.status_code == 422 and "no account with the provider" in answer.text
    assert the(clinic).sending is Sending.REHEARSAL


def test_the_main_switch_of_the_settings_is_no_way_around(client: FlaskClient, clinic: Clinic) -> None:
    answer = client.post("/settings/sms/sending", data={"sending": "on", "confirm": "yes"})
    assert answer.status_code == 422
    assert the(clinic).sending is Sending.REHEARSAL
    assert 'href="/going-live"' in client.get("/settings/sms").text


def test_a_day_is_shown_ahead_and_as_it_was_played(
    client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = read(client, f"{LIVE}/days?day=2031-05-08")
    assert "Appointments of Thursday 8 May 2031 Their reminders go today." in page
    assert "1 would be texted" in page and "1 would not, unless mended" in page
    come_back(client, monkeypatch, PASS_AT + timedelta(days=1))
    played = read(client, f"{LIVE}/days?day=2031-05-08")
    assert "Played yesterday: this is what was recorded then." in played
    assert "1 would have been texted" in played and "1 would not" in played
    empty = read(client, f"{LIVE}/days?day=2031-05-07")
    assert "Their reminders were due on Tuesday 6 May, and nothing was recorded." in empty
    for day in ("2099-01-01", "x", "2031-02-30"):
        assert client.get(f"{LIVE}/days?day={day}").status_code == 404


# --- the pause --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.OWNER, Role.RECEPTION])
def test_one_click_pauses_and_every_page_says_who_when_and_why(app: Flask, client: FlaskClient, role: Role) -> None:
    clinic = Clinic()
    clinic.book("a")
    person = sign_in(visitor(app), role)
    assert "Pause all sending" in read(person)
    answer = person.post("/sending/pause", data={"why": "wrong <b>template</b>"})
    assert (answer.status_code, answer.location) == (303, "/sending")
    said = f"All sending is paused by Dana {role.title()}, today at 10:05am: “wrong <b>template</b>”"
    for path in ("/", "/patients", "/communications", "/sending"):
        assert said in read(person, path), path
    assert "Pause all sending" not in read(person)
    person.post("/sending/pause", data={"why": "once more"})
    assert the(clinic).sending_note == "wrong <b>template</b>"


def test_what_is_held_back_is_seen_and_goes_in_the_next_hour(app: Flask, client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a")
    reception = sign_in(visitor(app), Role.RECEPTION)
    reception.post("/sending/pause", data={"why": ""})
    assert "No reminder has been held back yet." in read(reception, "/sending")
    run_pass(clinic.id, PASS_AT + timedelta(minutes=30), PASS_AT + timedelta(minutes=30))
    page = read(reception, "/sending")
    assert "1 reminder goes, once sending is on again Today at 11am, if sending is on by then" in page
    refused = reception.post("/sending/resume")
    assert refused.status_code == 422 and "Tick that patients are really to be texted." in refused.text
    answer = reception.post("/sending/resume", data={"confirm": "yes"})
    assert (answer.status_code, answer.location) == (303, "/sending")
    assert "Sending is on again. 1 reminder held back will go at the next hour of their day." in read(
        reception, "/sending"
    )
    assert the(clinic).sending is Sending.ON


def test_texts_by_staff_that_were_held_back_are_shown_and_found_again(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a")
    write("Please call us.")
    client.post("/sending/pause", data={"why": ""})
    with a_line() as line:
        line.send([1], at=clock.now() + PAUSE)
    assert "They do not go by themselves: once sending is on again" in read(client, "/sending")
    client.post("/sending/resume", data={"confirm": "yes"})
    assert "1 text by staff does not go without you: see To deal with, on Today." in read(client, "/sending")
    assert "a text of your own" in read(client, "/today/worklist")


def test_what_came_too_late_is_for_staff_to_deal_with(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic()
    clinic.book("a")
    client.post("/sending/pause", data={"why": ""})
    run_pass(clinic.id, PASS_AT + timedelta(minutes=30), PASS_AT + timedelta(minutes=30))
    come_back(client, monkeypatch, PASS_AT + 7 * HOUR)
    assert "1 reminder has missed the last hour of its day" in read(client, "/sending")
    client.post("/sending/resume", data={"confirm": "yes"})
    assert "1 reminder came too late for that: see To deal with, on Today." in read(client, "/sending")
    assert "Mia Nguyen" in read(client, "/today/worklist")


def test_since_when_it_is_live_is_a_sentence_of_its_own(client: FlaskClient) -> None:
    Clinic()
    assert re.search(r"Since [^.]*\. Reminders go at their hours\.", read(client, LIVE))


def test_reception_does_not_go_live(app: Flask, clinic: Clinic) -> None:
    reception = sign_in(visitor(app), Role.RECEPTION)
    assert "The practice's owner can go live." in read(reception)
    assert reception.get(LIVE).status_code == reception.post(LIVE, data=TICKED).status_code == 403
    assert reception.post("/sending/resume", data={"confirm": "yes"}).status_code == 422
    reception.post("/sending/pause", data={"why": "x"})
    assert "nothing is sent, and there is nothing to pause" in read(reception, "/sending")
    assert the(clinic).sending is Sending.REHEARSAL
    practitioner = sign_in(visitor(app), Role.PRACTITIONER)
    assert practitioner.post("/sending/pause").status_code == practitioner.get("/sending").status_code == 403


def test_a_reader_of_a_paused_practice_learns_who_can_mend_it(app: Flask, client: FlaskClient) -> None:
    Clinic(sending=Sending.PAUSED)
    assert "Reception or the practice's owner can switch it on." in read(sign_in(visitor(app), Role.PRACTITIONER))


def test_nothing_of_another_practice_is_counted_or_changed(app: Flask, clinic: Clinic) -> None:
    other = Clinic("northgate")
    outsider = sign_in(visitor(app), practice_id="northgate")
    assert "Nobody has an appointment whose reminder goes" in read(outsider, LIVE)
    outsider.post("/sending/pause", data={"why": ""})
    assert the(other).sending is Sending.PAUSED
    assert the(clinic).sending is Sending.REHEARSAL


def test_a_practice_with_nothing_in_it_is_told_where_to_begin(client: FlaskClient) -> None:
    a_practice(credits=0, sending=Sending.REHEARSAL)
    page = read(client, LIVE)
    assert "There is no business yet" in page and "There are no appointments yet." in page
    assert client.get(f"{LIVE}/days").status_code == 404


@pytest.mark.parametrize("path", [LIVE, f"{LIVE}/days?day=2031-05-08", "/sending", "/"])
@pytest.mark.parametrize("sending", [Sending.REHEARSAL, Sending.PAUSED, Sending.ON])
def test_each_page_takes_at_most_8_queries(client: FlaskClient, path: str, sending: Sending) -> None:
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        second = a_business(session, external_id="2", name="South Clinic", timezone="Australia/Perth")
    for number in range(60):
        own = {"business": second} if number % 2 else {}
        clinic.book(f"{number:02}", patient={"mobile": "0491 570 15"} if number % 3 else {}, **own)
    clinic.change(clinic.practice, sending=sending, sending_changed_at=PASS_AT - HOUR)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    client.get(path)
    with counted_queries() as seen:
        assert text_of(client.get(path))
    assert len(seen) <= 8, seen
