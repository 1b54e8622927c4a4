"""What staff send themselves, by the pages: written, weighed, sent once, refused in words, kept from who may not."""

import html
import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import store
from portal.actions.patients import record_opt_out
from portal.actions.who import Who
from portal.core.reminders import Sending
from portal.core.roles import Role
from portal.core.states import Kind, Status
from portal.store.appointments import Appointment
from portal.store.messages import Message
from portal.store.staff import User
from tests.actions.replies import SENDER, comes_in, reply_of
from tests.builders import PASS_AT, Clinic, a_patient, a_practitioner, a_template

from .conftest import sign_in, visitor
from .patients import HTMX, in_one_line
from .test_today import come_back, counted_queries

DANA = Who(1, "Dana Owner")
KEY = "a-form-of-ones-own"  # as the composer makes them
HOSTILE = "<script>alert(1)</script> {{ 7*7 }} =1+1 مرحبا 🙂"


@pytest.fixture
def clinic(client: FlaskClient, enqueued: list[int]) -> Clinic:
    """Mia's appointment, before its reminder."""
    clinic = Clinic()
    clinic.book("a")
    return clinic


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, (name, page)
    return html.unescape(found[1])


def typed(page: str) -> str:
    """What stands in the composer's field."""
    found = re.search(r'<textarea id="text"[^>]*>\n(.*?)</textarea>', page, flags=re.S)
    assert found, page
    return html.unescape(found[1])


def cost(page: str) -> str:
    found = re.search(r'<p id="cost".*?</p>', page, flags=re.S)
    assert found, page
    return in_one_line(found[0])


def send(client: FlaskClient, text: str, path: str = "/patients/1/text", **form: Any) -> Any:
    """As from a composer that was just opened."""
    key = field(client.get(path).text, "form_key")
    return client.post("/patients/1/text", data={"form_key": key, "text": text} | form)


def messages(clinic: Clinic) -> list[Message]:
    with store.reading(clinic.id) as session:
        return list(session.query(Message).order_by(Message.id))


def as_practitioner(app: Flask, clinic: Clinic, practitioner_id: int | None) -> FlaskClient:
    with store.everything(write=True) as session:
        user = store.staff.find_by(session, "fs_uniquifier", f"{Role.PRACTITIONER}@{clinic.id}")
        assert isinstance(user, User)
        user.practitioner_id = practitioner_id
    return sign_in(visitor(app), Role.PRACTITIONER)


# --- the composer -------------------------------------------------------------------------------------------


def test_under_the_number_that_is_texted_a_text_is_begun(client: FlaskClient, clinic: Clinic) -> None:
    page = client.get("/patients/1").text
    assert re.search(r'href="/patients/1/text" hx-get="/patients/1/text"[^>]*>Send SMS message<', page)
    page = client.get("/patients/1/text").text
    said = in_one_line(page)
    assert re.search(r"To 0491 570 006 ?, from Clinic ?\.", said)
    assert "Templates speak of tomorrow, 9:30am, Initial consultation, North Clinic." in said
    assert typed(page) == ""
    assert cost(page) == "Nothing is written yet."
    assert client.get("/patients/1/text", headers=HTMX).text.lstrip().startswith('<section id="composer"')


def test_a_template_fills_it_and_what_was_written_can_be_put_back(client: FlaskClient, clinic: Clinic) -> None:
    page = client.post("/patients/1/text/draft", data={"do": "fill", "template": "1", "text": "Hello\r\nthere"}).text
    assert typed(page) == "Hi Mia, see you 08/05/2031 9:30am."
    assert "The template took the place of what you had written." in page
    assert field(page, "former") == "Hello\nthere"
    form = {"do": "put-back", "former": field(page, "former"), "text": typed(page)}
    assert typed(client.post("/patients/1/text/draft", data=form).text) == "Hello\nthere"


def test_ones_own_text_outlasts_templates_costs_and_refusals(client: FlaskClient, clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        a_template(session, external_id="2", name="Late", body="We are late")
    clinic.change(clinic.practice, sending=Sending.PAUSED)

    def goes_on(page: str, path: str = "/draft", **form: str) -> str:
        names = ("form_key", "former", "filled")
        kept = {name: field(page, name) for name in names if f'name="{name}"' in page}
        return client.post(f"/patients/1/text{path}", data=kept | {"text": typed(page)} | form).text

    page = goes_on(client.get("/patients/1/text").text, do="fill", template="1", text="My own")
    for path, form in (
        ("/draft", {"do": "fill", "template": "2"}),
        ("/draft", {"do": "show"}),
        ("", {}),
        ("", {"text": " "}),
        ("/draft", {"do": "show"}),
    ):
        page = goes_on(page, path, **form)
        assert field(page, "former") == "My own", (path, form)
    assert typed(goes_on(page, do="put-back")) == "My own"
    page = goes_on(page, do="fill", template="1", text="We are late. Sorry")  # what a template said was edited
    assert field(page, "former") == "We are late. Sorry"
    assert typed(goes_on(page, do="put-back")) == "We are late. Sorry"


def test_its_cost_is_shown_with_the_character_that_makes_it_dearer(client: FlaskClient, clinic: Clinic) -> None:
    def weighed(text: str) -> str:
        return cost(client.post("/texts/weigh", data={"text": text}, headers=HTMX).text)

    assert weighed("Hello") == "1 credit of the 100 left. 155 more characters before it costs another."
    assert weighed("é" * 161) == "2 credits of the 100 left. 145 more characters before it costs another."
    less = "With “ç” in it less fits: 69 more characters before it costs another."
    assert weighed("ç") == f"1 credit of the 100 left. {less}"
    dearer = "makes it dearer: 2 credits instead of 1."
    assert weighed("ç" * 80) == f"2 credits of the 100 left. “ç” {dearer}"
    assert weighed("x" * 80 + "\u00a0y") == f"2 credits of the 100 left. A no-break space {dearer}"
    assert weighed("x" * 5000) == "Too long: 33 parts, and 10 are the most."
    assert weighed(" \r\n") == "Nothing is written yet."


def test_it_is_shown_as_the_patient_will_see_it(client: FlaskClient, clinic: Clinic) -> None:
    page = client.post("/texts/weigh", data={"text": HOSTILE}, headers=HTMX).text
    assert f'<p class="bubble" dir="auto">{html.escape(HOSTILE, quote=False)}</p>' in page
    assert '<p class="from">Clinic</p>' in page


def test_without_scripts_the_same_form_shows_its_cost(client: FlaskClient, clinic: Clinic) -> None:
    page = client.post("/patients/1/text/draft", data={"do": "show", "text": "Hello", "form_key": KEY}).text
    assert typed(page) == "Hello"
    assert cost(page).startswith("1 credit of the 100 left.")
    assert field(page, "form_key") == KEY
    assert "<html" in page


# --- sending ------------------------------------------------------------------------------------------------


def test_it_is_sent_once_and_leads_to_the_message(client: FlaskClient, clinic: Clinic, enqueued: list[int]) -> None:
    key = field(client.get("/patients/1/text").text, "form_key")
    form = {"form_key": key, "text": "We open at ten.\r\nRing us."}
    answers = [client.post("/patients/1/text", data=form) for _ in range(2)]
    (message,) = messages(clinic)
    assert [(one.status_code, one.location) for one in answers] == [(303, f"/communications/{message.id}")] * 2
    assert (message.kind, message.status, message.body) == (Kind.MANUAL, Status.QUEUED, "We open at ten.\nRing us.")
    assert message.id in enqueued
    page = client.get(answers[0].location).text
    assert "Written by Dana Owner" in in_one_line(page)
    assert "Mia Nguyen will be texted" in in_one_line(page)


def test_with_scripts_the_browser_goes_to_the_message(client: FlaskClient, clinic: Clinic) -> None:
    key = field(client.get("/patients/1/text").text, "form_key")
    answer = client.post("/patients/1/text", data={"form_key": key, "text": "Hello"}, headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/communications/1")


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_may_not_go_is_not_recorded_and_stays_written(
    client: FlaskClient, clinic: Clinic, enqueued: list[int], headers: dict[str, str]
) -> None:
    clinic.change(clinic.practice, sending=Sending.PAUSED)
    record_opt_out(clinic.id, 1, note="at the desk", who=DANA, now=PASS_AT)
    form = {"form_key": KEY, "text": "Hello"}
    answer = client.post("/patients/1/text", data=form, headers=headers)
    assert answer.status_code == 422
    assert ("<html" in answer.text) is not headers
    said = in_one_line(answer.text)
    assert "It was not sent. What you wrote is still here." in said
    assert "Sending is off for the whole practice." in said
    assert "Mia asked for no texts." in said
    assert 'href="/sending"' in answer.text
    assert 'href="/patients/1"' in answer.text
    assert (typed(answer.text), field(answer.text, "form_key")) == ("Hello", KEY)
    assert messages(clinic) == []
    assert enqueued == []


def test_what_stands_in_the_way_is_said_before_anything_is_written(client: FlaskClient, clinic: Clinic) -> None:
    record_opt_out(clinic.id, 1, note="at the desk", who=DANA, now=PASS_AT)
    said = in_one_line(client.get("/patients/1/text").text)
    assert "As things stand, no text can go to Mia." in said
    assert "Mia asked for no texts." in said


@pytest.mark.parametrize("text", ["", " \r\n ", "x" * 5000, "a\0b", "a\x07b", "See you {{Appointment.Date}}"])
def test_a_text_that_cannot_be_sent_is_refused_beside_its_field(
    client: FlaskClient, clinic: Clinic, text: str
) -> None:
    answer = send(client, text)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert "It was not sent." in answer.text
    assert messages(clinic) == []


def test_what_is_left_out_of_a_template_is_said(client: FlaskClient, clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        a_patient(session, "b", first_name="Ada")
    page = client.post("/patients/2/text/draft", data={"do": "fill", "template": "1"}).text
    assert typed(page).startswith("Hi Ada, see you {{Appointment.DateShort}}")
    assert 'class="wish warning"' in page
    answer = client.post("/patients/2/text", data={"form_key": KEY, "text": typed(page)})
    assert answer.status_code == 422
    assert messages(clinic) == []


def test_a_hostile_text_is_harmless_wherever_it_is_shown(
    client: FlaskClient, clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        where = send(client, HOSTILE.replace("{{ 7*7 }}", "")).location
        for path in (where, f"{where}?with=text", "/patients/1", "/communications", "/patients/1/text?message=1"):
            page = client.get(path).text
            assert "<script>alert" not in page, path
    assert "alert(1)" in client.get(where).text
    assert "alert" not in caplog.text
    assert "مرحبا" not in caplog.text


# --- who may ------------------------------------------------------------------------------------------------


def test_a_practitioner_texts_own_patients_and_others_in_no_way(
    app: Flask, client: FlaskClient, clinic: Clinic
) -> None:
    with store.transaction(clinic.id) as session:
        other = a_practitioner(session, external_id="2", first_name="Ivo")
    clinic.book("b", practitioner=other)
    helen = as_practitioner(app, clinic, clinic.practitioner.id)
    assert "Send SMS message" in helen.get("/patients/1").text
    assert send(helen, "Hello").status_code == 303
    assert "Send SMS message" not in helen.get("/patients/2").text
    for answer in (
        helen.get("/patients/2/text"),
        helen.post("/patients/2/text", data={"form_key": KEY, "text": "Hello"}),
        helen.post("/patients/2/text/draft", data={"do": "fill", "template": "1"}),
    ):
        assert answer.status_code == 403
        assert "You may text the patients of your own appointments." in in_one_line(answer.text)
    answer = helen.get("/patients/2/text", headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (403, "#main")
    assert len(messages(clinic)) == 1


def test_a_practitioner_without_appointments_texts_nobody(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    nobody = as_practitioner(app, clinic, None)
    assert nobody.get("/patients/1/text").status_code == 403
    assert nobody.get("/patients/1").status_code == 200


def test_what_stands_in_the_way_leads_only_to_where_the_reader_may_mend_it(
    app: Flask, client: FlaskClient, clinic: Clinic
) -> None:
    clinic.change(clinic.practice, sending=Sending.REHEARSAL, live_since=None)
    reception = sign_in(visitor(app), Role.RECEPTION)
    form = {"form_key": KEY, "text": "Hello"}
    for answer in (
        reception.get("/patients/1/text"),
        reception.post("/patients/1/text", data=form),
        reception.post("/patients/1/text", data=form, headers=HTMX),
    ):
        assert "/settings" not in answer.text
        assert in_one_line(answer.text).count("Dana Owner can mend this.") == 1
    answer = client.post("/patients/1/text", data=form, headers=HTMX)
    assert 'href="/going-live"' in answer.text
    assert "can mend this" not in answer.text
    with counted_queries() as seen:
        reception.get("/patients/1/text")
    assert len(seen) <= 8, "\n".join(seen)


def test_another_practices_patient_or_message_is_not_there(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    assert send(client, "Hello").status_code == 303
    Clinic("northgate").book("n")
    outsider = sign_in(visitor(app), practice_id="northgate")
    for path in ("/patients/1/text", "/patients/2/text?message=1", "/patients/2/text?appointment=1"):
        assert outsider.get(path).status_code == 404, path
    assert outsider.post("/patients/1/text", data={"form_key": KEY, "text": "Hi"}).status_code == 404
    form = {"form_key": KEY, "text": "Hi", "appointment": "1"}
    assert outsider.post("/patients/2/text", data=form).status_code == 404


def test_ids_without_sense_are_not_there(client: FlaskClient, clinic: Clinic) -> None:
    for path in ("/patients/99/text", f"/patients/1/text?message={10**30}", "/patients/1/text?appointment=-4"):
        assert client.get(path).status_code == 404, path
    assert client.get("/patients/1/text?appointment=nix&message=nix").status_code == 200


# --- a reminder, now ----------------------------------------------------------------------------------------


def test_who_was_booked_too_late_is_texted_from_today(
    client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch, enqueued: list[int]
) -> None:
    come_back(client, monkeypatch, PASS_AT + timedelta(hours=7))
    late = clinic.book("late", booked_at=PASS_AT + timedelta(hours=6), patient={"first_name": "Ada"})
    page = client.get("/").text
    path = f"/patients/{late.patient_id}/text?appointment={late.id}"
    assert path in html.unescape(page)
    assert path in html.unescape(client.get(f"/appointments/{late.id}").text)
    composer = client.get(path).text
    assert "It is the reminder for tomorrow, 9:30am" in in_one_line(composer)
    assert typed(composer) == "Hi Ada, see you 08/05/2031 9:30am."
    form = {name: field(composer, name) for name in ("form_key", "appointment")}
    answer = client.post(f"/patients/{late.patient_id}/text", data=form | {"text": typed(composer)})
    (message,) = messages(clinic)
    assert (answer.status_code, answer.location) == (303, f"/communications/{message.id}")
    assert (message.kind, message.appointment_id, message.status) == (Kind.REMINDER, late.id, Status.QUEUED)
    assert path not in html.unescape(client.get("/").text)


@pytest.fixture
def late(client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> Appointment:
    """Ada was booked after the day's reminders."""
    come_back(client, monkeypatch, PASS_AT + timedelta(hours=7))
    return clinic.book("late", booked_at=PASS_AT + timedelta(hours=6), patient={"first_name": "Ada"})


REMINDER = ("form_key", "appointment", "revision")


def test_after_a_refusal_it_is_still_that_appointments_reminder(
    client: FlaskClient, clinic: Clinic, late: Appointment
) -> None:
    path = f"/patients/{late.patient_id}/text"
    form = {name: field(client.get(f"{path}?appointment={late.id}").text, name) for name in REMINDER}
    for text in ("", "See you {{Appointment.Date}}"):
        page = client.post(path, data=form | {"text": text}).text
        assert {name: field(page, name) for name in REMINDER} == form
    page = client.post(f"{path}/draft", data=form | {"text": "Hello", "do": "show"}).text
    assert {name: field(page, name) for name in REMINDER} == form
    assert client.post(path, data=form | {"text": "Hello"}).status_code == 303
    (message,) = messages(clinic)
    for status in (Status.QUEUED, Status.SENT):  # which another window cannot send as a text of its own
        clinic.change(message, status=status)
        answer = client.post(path, data=form | {"text": "Hello", "form_key": KEY})
        assert answer.status_code == 422
        assert field(answer.text, "appointment") == str(late.id)
    assert len(messages(clinic)) == 1


def test_a_reminder_of_a_former_time_is_looked_at_again(
    client: FlaskClient, clinic: Clinic, late: Appointment
) -> None:
    path = f"/patients/{late.patient_id}/text"
    form = {name: field(client.get(f"{path}?appointment={late.id}").text, name) for name in REMINDER}
    clinic.change(late, revision=late.revision + 1, starts_wall=late.starts_wall + timedelta(hours=1))
    page = client.post(path, data=form | {"text": ""}).text
    assert field(page, "revision") == form["revision"]
    answer = client.post(path, data=form | {"text": "See you at half past nine"})
    assert answer.status_code == 422
    assert "It was not sent. What you wrote is still here." in in_one_line(answer.text)
    assert "was moved to" in in_one_line(answer.text)
    assert typed(answer.text) == "See you at half past nine"
    assert messages(clinic) == []
    form = {name: field(answer.text, name) for name in REMINDER}  # looked at, it goes
    assert client.post(path, data=form | {"text": "See you at half past ten"}).status_code == 303


def test_the_form_shows_what_the_patient_wrote_and_answers_that(client: FlaskClient, clinic: Clinic) -> None:
    clinic.change(clinic.practice, sender=SENDER)
    taken = comes_in(HOSTILE, PASS_AT)
    page = client.get("/patients/1/text").text
    assert "they-wrote" in page and "<script>alert" not in page
    assert reply_of(taken).read_at is None
    send(client, "Hello", answers=["x", "-1", field(page, "answers")])
    assert reply_of(taken).read_by == "Dana Owner"
    assert "they-wrote" not in client.get("/patients/1/text").text


# --- the pages are quick ------------------------------------------------------------------------------------


def test_each_page_takes_at_most_8_queries(client: FlaskClient, clinic: Clinic) -> None:
    send(client, "Hello")
    clinic.change(clinic.practice, sender=SENDER)
    comes_in("Where do I park?", PASS_AT)
    for path in ("/patients/1", "/patients/1/text", "/patients/1/text?message=1", "/communications/1"):
        client.get(path)
        with counted_queries() as seen:
            assert client.get(path).status_code == 200
        assert len(seen) <= 8, (path, "\n".join(seen))
