"""Replies in the pages: whose one is, what waits, how the portal answers; on both databases."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from portal import store
from portal.actions.inbound import take_reply
from portal.core.phrases import clock_time
from portal.core.roles import Role
from portal.core.timing import local
from portal.store.database import db
from portal.store.replies import ReplySettings
from tests.actions.replies import LATER, MIA, SENDER, an_event, comes_in, find_reply, message, remind
from tests.actions.test_inbound import appointment
from tests.builders import Clinic

from .conftest import sign_in, submit, visitor


@pytest.fixture
def clinic(app: Flask, at_pass_time: None) -> Clinic:
    clinic = Clinic(sender=SENDER)
    remind(clinic, "a")
    return clinic


@pytest.fixture
def client(app: Flask, clinic: Clinic) -> FlaskClient:
    return sign_in(visitor(app), Role.RECEPTION)


def patient_id(external_id: str = "a") -> int:
    with store.reading("riverside") as session:
        patient = store.patients.find_patient(session, external_id)
    assert patient
    return patient.id


def test_every_page_counts_the_unread_replies(client: FlaskClient) -> None:
    assert 'class="unread"' not in client.get("/").text
    comes_in("Where do I park?")
    comes_in("And when?")
    for path in ("/", "/patients", "/communications", "/replies"):
        assert '<span id="unread" class="unread">2<span class="hidden"> unread</span></span>' in client.get(path).text


def test_a_reply_waits_until_somebody_has_read_it(client: FlaskClient) -> None:
    taken = comes_in("Where do I park?")
    page = client.get("/replies").text
    assert "Waiting for you" in page and "Where do I park?" in page
    assert submit(client, f"/replies/{taken.message_id}/read", at="/replies").location == "/replies"
    assert find_reply(taken.message_id).read_by == "Dana Reception"
    page = client.get("/replies").text
    assert "Nothing waits to be read." in page and "Read by Dana Reception" in page
    submit(client, f"/replies/{taken.message_id}/unread", at="/replies")
    assert find_reply(taken.message_id).read_at is None


def test_a_familys_phone_is_asked_about_with_the_likeliest_first(client: FlaskClient, clinic: Clinic) -> None:
    clinic.book("b", patient={"first_name": "Ben"})
    taken = comes_in("Yes")
    page = client.get("/replies").text
    assert page.index("It is Mia&#39;s") < page.index("It is Ben&#39;s")
    submit(client, f"/replies/{taken.message_id}/patient", at="/replies", patient=str(patient_id()))
    assert message(taken.message_id).patient_id == patient_id()
    assert appointment().is_confirmed
    assert find_reply(taken.message_id).read_by == "Dana Reception"


def test_a_choice_is_changed_and_what_it_did_is_undone(client: FlaskClient, clinic: Clinic) -> None:
    clinic.book("b", patient={"first_name": "Ben"})
    taken = comes_in("Yes")
    here = f"/replies/{taken.message_id}"
    submit(client, f"{here}/patient", at=here, patient=str(patient_id("a")))
    submit(client, f"{here}/patient", at=here, patient=str(patient_id("b")))
    assert message(taken.message_id).patient_id == patient_id("b")
    assert not appointment().is_confirmed


def test_a_reply_is_given_to_nobody_without_its_number(client: FlaskClient, clinic: Clinic) -> None:
    clinic.book("b", patient={"mobile": "0491 570 110"})
    taken = comes_in("Yes")
    here = f"/replies/{taken.message_id}"
    for given in (str(patient_id("b")), "999999", "x", "", str(2**70)):
        answer = submit(client, f"{here}/patient", at=here, patient=given)
        assert answer.status_code == 422 and "does not have this number any more" in answer.text, given
    assert message(taken.message_id).patient_id == patient_id("a")


def test_an_unknown_number_has_a_place_of_its_own(client: FlaskClient, clinic: Clinic) -> None:
    comes_in("Hello?", number="+61491570110")
    page = client.get("/replies").text
    assert "Unknown numbers" in page and "0491 570 110" in page
    clinic.book("b", patient={"first_name": "Ben", "mobile": "0491 570 110"})
    assert "It is Ben&#39;s" in client.get("/replies").text


def test_its_time_is_told_by_the_practices_clocks_wherever_it_stands(client: FlaskClient) -> None:
    taken = comes_in("Hello?", number="+61491570110")
    with store.reading("riverside") as session:
        entry = store.communications.find_entry(session, taken.message_id)
    assert entry and (entry.business, entry.timezone) == (None, "Australia/Sydney")
    there = local(LATER, "Australia/Sydney")
    assert f"today, {clock_time(there)}" in client.get("/replies").text
    page = client.get("/communications?kind=reply").text
    assert f"today, {clock_time(there)}" in page
    assert f"today at {clock_time(there)}" in client.get(f"/communications/{taken.message_id}").text
    line = client.get("/communications/export.csv?kind=reply").text.splitlines()[1]
    assert f"{there:%Y-%m-%d %H:%M},Australia/Sydney" in line


def test_the_conversation_stands_in_order_with_what_was_read_from_it(client: FlaskClient) -> None:
    comes_in("Yes")
    comes_in("<b>Sorry</b>, I can't come", LATER + timedelta(minutes=5))
    page = client.get(f"/patients/{patient_id()}").text
    said = page[page.index('id="messages"') :]
    assert said.index("Hi Mia") < said.index("Mia wrote") < said.index("&lt;b&gt;Sorry")
    assert "Cannot come" in said and said.count("Not read yet") == 1


def test_the_page_of_the_patient_shows_the_reply_that_opted_out(client: FlaskClient) -> None:
    taken = comes_in("stop please")
    page = client.get(f"/patients/{patient_id()}").text
    assert f'href="/communications/{taken.message_id}">Show the reply' in page
    shown = client.get(f"/communications/{taken.message_id}").text
    assert "stop please" in shown and "no text goes to this number any more" in shown
    opt_out = find_reply(taken.message_id).opt_out_id
    assert client.get(f"/replies/of-opt-out/{opt_out}").location == f"/communications/{taken.message_id}"


def test_a_no_stands_first_on_the_worklist_until_it_is_dealt_with(client: FlaskClient) -> None:
    taken = comes_in("Sorry, can't make it")
    page = client.get("/today/worklist").text
    assert page.index("Cannot come") < page.index("Sorry, can&#39;t make it")
    assert "tomorrow, 9:30am" in page
    answer = submit(client, f"/replies/{taken.message_id}/read", at="/today/worklist", next="/today/worklist")
    assert answer.location == "/today/worklist"
    assert "Cannot come" not in client.get("/today/worklist").text


def test_a_confirmed_appointment_says_so(client: FlaskClient) -> None:
    comes_in("Yes")
    assert "Confirmed" in client.get(f"/patients/{patient_id()}").text
    assert "confirmed" in client.get(f"/appointments/{appointment().id}").text


def test_a_practitioner_reads_and_leaves_the_rest_to_reception(app: Flask, clinic: Clinic) -> None:
    taken = comes_in("Where do I park?")
    page = sign_in(visitor(app), Role.PRACTITIONER).get("/replies").text
    assert "Where do I park?" in page and "Mark as read" not in page
    app.config["WTF_CSRF_ENABLED"] = False
    for act in ("read", "unread", "patient"):
        answer = sign_in(visitor(app), Role.PRACTITIONER).post(f"/replies/{taken.message_id}/{act}")
        assert answer.status_code == 403


def test_the_pages_of_another_practice_show_no_reply(app: Flask, clinic: Clinic) -> None:
    Clinic("northgate")
    taken = comes_in("Where do I park?")
    outsider = sign_in(visitor(app), practice_id="northgate")
    assert "park" not in outsider.get("/replies").text
    assert outsider.get(f"/replies/{taken.message_id}").status_code == 404


# --- settings -------------------------------------------------------------------------------------------------


@pytest.fixture
def owner(app: Flask, clinic: Clinic) -> FlaskClient:
    return sign_in(visitor(app))


def settings() -> ReplySettings | None:
    with store.reading("riverside") as session:
        return store.replies.find_settings(session)


TEXTS = {"stop_text": "", "start_text": "", "help_text": ""}


def test_a_practice_changes_its_answers_and_where_replies_are_mailed(owner: FlaskClient) -> None:
    assert "you will get no more texts from us" in owner.get("/settings/replies").text
    given = TEXTS | {"stop_text": "Adiós: no más mensajes.", "in_full": "yes"}
    given["forward_to"] = " Desk@Riverside.example "
    assert submit(owner, "/settings/replies", **given).status_code == 303
    kept = settings()
    assert kept and (kept.stop_text, kept.start_text) == ("Adiós: no más mensajes.", None)
    assert (kept.forward_to, kept.in_full) == ("desk@riverside.example", True)
    page = owner.get("/settings/replies?saved=1").text
    assert "Adiós" in page and "Saved." in page
    submit(owner, "/settings/replies", **TEXTS)
    kept = settings()
    assert kept and (kept.stop_text, kept.forward_to, kept.in_full) == (None, None, False)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"stop_text": "Hi {{Patient.FirstName}}"}, "nothing is filled in"),
        ({"help_text": "x" * 500}, "It is as long as 4 texts"),
        ({"start_text": "a\0b"}, "cannot be sent"),
        ({"forward_to": "nobody"}, "no email address"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(owner: FlaskClient, given: dict[str, str], says: str) -> None:
    answer = submit(owner, "/settings/replies", **TEXTS | given)
    assert answer.status_code == 422 and says in answer.text
    assert settings() is None


def test_a_replayed_report_changes_nothing(client: FlaskClient) -> None:
    event = an_event("Where do I park?", number=MIA)
    assert take_reply(event, LATER) and take_reply(event, LATER) is None
    assert client.get("/replies").text.count("Where do I park?") == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("path", ["/replies", "/replies/2", "/settings/replies", "/today/worklist"])
def test_each_page_takes_at_most_8_queries(client: FlaskClient, app: Flask, path: str) -> None:
    clinic_of = {"/settings/replies": Role.OWNER}
    someone = sign_in(client, clinic_of.get(path, Role.RECEPTION))
    for at, text in enumerate(("Can't make it", "Where do I park?", "Hello?")):
        comes_in(text, LATER + timedelta(minutes=at), number=MIA if at < 2 else "+61491570110")
    someone.get(path)  # what is asked once, when the portal starts
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    assert someone.get(path).status_code == 200
    event.remove(db.engine, "before_cursor_execute", note)
    read = [one for one in statements if one.lstrip().upper().startswith(("SELECT", "WITH"))]
    assert 0 < len(read) <= 8, read
