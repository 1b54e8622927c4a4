"""The sysadmin's pages of practices: add one, invite its owner, grant credits, pause; nothing of any patient."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import store
from portal.actions.add_practice import id_of
from portal.actions.remind import run_pass
from portal.core.reminders import Preference, Sending
from portal.core.roles import Role
from portal.store.changes import Subject, list_changes
from portal.store.practices import Practice
from tests.builders import MOBILES, PASS_AT, Clinic, a_practice, a_user

from .conftest import sign_in, submit, visitor
from .people import PASSWORD, look_up
from .test_today import counted_queries, text_of

NEW, ONE = "/host/practices/new", "/host/practice"
TYPED = {"practice": "Harbour & Ōtaki Physio", "country": "NZ", "timezone": "Pacific/Auckland", "sender": "Harbour"}


@pytest.fixture
def client(app: Flask, at_pass_time: None) -> FlaskClient:
    """The sysadmin is signed in; forms need no tokens."""
    app.config["WTF_CSRF_ENABLED"] = False
    with store.everything(write=True) as session:
        session.add(a_user(Role.SYSADMIN, None))
    return sign_in(visitor(app), Role.SYSADMIN, None)


def the(practice_id: str) -> Practice:
    with store.reading(practice_id) as session:
        return store.practices.get_practice(session, practice_id)


def noted(practice_id: str) -> list[tuple[str, str, str, str, str]]:
    with store.reading(practice_id) as session:
        changes = list_changes(session, Subject.PRACTICE, None)
    return [(one.by, one.field, one.before, one.after, one.note) for one in reversed(changes)]


def read(client: FlaskClient, practice_id: str) -> str:
    return text_of(client.get(ONE, query_string={"id": practice_id}))


def test_a_practice_is_added_and_rehearses(client: FlaskClient) -> None:
    answer = client.post(NEW, data=TYPED)
    assert (answer.status_code, answer.location) == (303, f"{ONE}?id=harbour-otaki-physio&did=added")
    practice = the("harbour-otaki-physio")
    assert (practice.name, practice.country, practice.sender) == ("Harbour & Ōtaki Physio", "NZ", "Harbour")
    assert (practice.sending, practice.credits, practice.live_since) == (Sending.REHEARSAL, 0, None)
    assert practice.default_preference is Preference.SMS
    with store.reading(practice.id) as session:
        (business,) = store.practices.list_businesses(session)
    assert (business.name, business.timezone) == (practice.name, "Pacific/Auckland")
    page = text_of(client.get(answer.location))
    assert "Done. It is added, and rehearses." in page and "Nobody can sign in for it yet." in page
    assert "Harbour &amp; Ōtaki Physio" in client.get("/host").text


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"practice": " "}, "practice", "Type the practice&#39;s name."),
        ({"id": "a b"}, "id", "It must be 1 to 64 printable characters without spaces."),
        ({"id": "x" * 65}, "id", "It must be 1 to 64 printable characters"),
        ({"id": "riverside"}, "id", "There is a practice of that id already."),
        ({"country": "Atlantis"}, "country", "Not a country"),
        ({"timezone": "Mars/Olympus"}, "timezone", "Choose a time zone of the list."),
        ({"sender": ""}, "sender", "Type what texts come from"),
        ({"sender": "far too long a name"}, "sender", "It must be a phone number, or at most 11 letters"),
        ({"sender": "+61491570006"}, "sender", "This number is another practice&#39;s"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    client: FlaskClient, fields: dict[str, str], field: str, says: str
) -> None:
    a_practice("riverside", sender="+61491570006")
    answer = client.post(NEW, data=TYPED | fields)
    assert answer.status_code == 422
    assert says in answer.text and f'id="{field}-error"' in answer.text
    with store.everything() as session:
        assert [one.id for one in store.practices.list_practices(session)] == ["riverside"]


@pytest.mark.parametrize(
    ("name", "id_"), [("Ünï  Cliniç!", "uni-clinic"), ("医院", "practice"), ("x" * 99, "x" * 64)]
)
def test_an_id_is_made_of_the_name(name: str, id_: str) -> None:
    assert id_of(name) == id_


def test_its_owner_is_invited_by_a_link_that_is_shown_once(app: Flask, client: FlaskClient) -> None:
    client.post(NEW, data=TYPED | {"id": "a/ß?&"})
    answer = client.post(f"{ONE}/invite", data={"id": "a/ß?&", "name": "", "email": "robin@clinic.example"})
    assert answer.status_code == 422 and 'id="name-problem"' in answer.text
    answer = client.post(f"{ONE}/invite", data={"id": "a/ß?&", "name": "Robin Park", "email": "robin@clinic.example"})
    assert answer.status_code == 303
    page = client.get(answer.location).text
    assert "A link for Robin Park" in page
    link = page.partition("/join/")[2].partition('"')[0]
    assert client.get(answer.location).status_code == 303  # only now
    assert "Robin Park · robin@clinic.example · ◔ invited, no password yet" in read(client, "a/ß?&")
    app.config["WTF_CSRF_ENABLED"] = True
    submit(visitor(app), f"/join/{link}", name="Robin Park", password=PASSWORD, again=PASSWORD)
    robin = look_up("robin@clinic.example")
    assert (robin.role, robin.practice_id) == (Role.OWNER, "a/ß?&")


def test_credits_are_granted_with_a_reference_and_noted(client: FlaskClient) -> None:
    a_practice("riverside", credits=5)
    for amount in ("", "0", "-1", "1.5", "9" * 30):
        answer = client.post(f"{ONE}/credits", data={"id": "riverside", "amount": amount})
        assert answer.status_code == 422 and 'id="amount-problem"' in answer.text
    answer = client.post(f"{ONE}/credits", data={"id": "riverside", "amount": "1,500", "reference": "invoice 7"})
    assert answer.status_code == 303
    assert "Done. The balance is 1,505 credits. Credits to add" in text_of(client.get(answer.location))
    assert "Done." not in read(client, "riverside")
    assert noted("riverside") == [("Dana Sysadmin", "credits", "5", "1505", "invoice 7")]
    assert "from 5 to 1505 (invoice 7)" in read(client, "riverside")


def test_one_practice_is_paused_and_its_staff_read_why(app: Flask, client: FlaskClient) -> None:
    Clinic("riverside")
    Clinic("northgate")
    answer = client.post(f"{ONE}/pause", data={"id": "riverside", "why": "the carrier asks"})
    assert "Done. It is paused: nothing is sent for it." in text_of(client.get(answer.location))
    assert (the("riverside").sending, the("northgate").sending) == (Sending.PAUSED, Sending.ON)
    staff = text_of(sign_in(visitor(app)).get("/"))
    assert "All sending is paused by Dana Sysadmin, today at 10:05am: “the carrier asks”" in staff
    answer = client.post(f"{ONE}/resume", data={"id": "riverside"})
    assert answer.status_code == 422 and "Tick that patients are really to be texted." in answer.text
    answer = client.post(f"{ONE}/resume", data={"id": "riverside", "confirm": "yes"})
    assert "Done. The pause is over: it sends again." in text_of(client.get(answer.location))
    assert the("riverside").sending is Sending.ON


def test_the_sysadmin_does_not_go_live_for_a_practice(client: FlaskClient) -> None:
    a_practice("riverside", sending=Sending.REHEARSAL)
    assert client.post(f"{ONE}/resume", data={"id": "riverside", "confirm": "yes"}).status_code == 422
    assert client.post(f"{ONE}/pause", data={"id": "riverside"}).status_code == 422
    assert the("riverside").sending is Sending.REHEARSAL
    assert "Nothing is sent until its owner goes live." in read(client, "riverside")


def test_nothing_of_a_patient_is_on_these_pages(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Wilhelmina", "last_name": "Quux", "mobile": MOBILES[1]})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    for path in ("/host", f"{ONE}?id=riverside", NEW):
        page = client.get(path).text
        for word in ("Wilhelmina", "Quux", MOBILES[1], "491570110", "see you 08/05"):
            assert word not in page, (path, word)


def test_the_list_says_when_passes_ran_and_appointments_were_updated(client: FlaskClient) -> None:
    clinic = Clinic()
    run_pass(clinic.id, PASS_AT - timedelta(hours=0), PASS_AT)
    a_practice("spare")
    page = text_of(client.get("/host"))
    assert "Riverside riverside on 100 5 minutes ago never 1 0 0" in page
    assert "Spare spare on 100 none never 0 0 0" in page


def test_the_providers_balance_is_asked_only_when_wanted(app: Flask, client: FlaskClient) -> None:
    asked: list[Any] = []
    app.extensions["portal.provider_balance"] = lambda: asked.append(1) or "12.34 euros are left."
    client.get("/host")
    assert asked == []
    assert "12.34 euros are left." in text_of(client.get("/host/balance"))
    assert "<html" not in client.get("/host/balance", headers={"HX-Request": "true"}).text


def test_without_credentials_there_is_nothing_to_ask_with(client: FlaskClient) -> None:
    assert "There are no credentials to ask with." in text_of(client.get("/host/balance"))


@pytest.mark.parametrize("role", [Role.OWNER, Role.RECEPTION, Role.PRACTITIONER])
def test_nobody_of_a_practice_gets_there(app: Flask, client: FlaskClient, role: Role) -> None:
    a_practice("riverside")
    person = sign_in(visitor(app), role)
    for path in (NEW, f"{ONE}?id=riverside", "/host/balance", f"{ONE}/link"):
        assert person.get(path).status_code == 403
    for path in (NEW, f"{ONE}/credits", f"{ONE}/invite", f"{ONE}/pause", f"{ONE}/resume"):
        assert person.post(path, data={"id": "riverside", "amount": "5"}).status_code == 403
    assert the("riverside").credits == 100


def test_no_such_practice_is_said_so(client: FlaskClient) -> None:
    assert client.get(f"{ONE}?id=nowhere").status_code == client.get(ONE).status_code == 404
    assert client.get(f"{ONE}?id=%00").status_code == 404
    for path in ("credits", "invite", "pause", "resume"):
        for id_ in ("nowhere", "\0"):
            assert client.post(f"{ONE}/{path}", data={"id": id_, "amount": "5", "confirm": "y"}).status_code == 404


def test_a_button_pressed_twice_grants_once_and_another_amount_is_another_grant(client: FlaskClient) -> None:
    a_practice("riverside")
    for amount, reference in (("5", "a"), ("5", "a"), ("5", "b"), ("7", "b")):
        form = {"id": "riverside", "amount": amount, "reference": reference}
        assert client.post(f"{ONE}/credits", data=form).status_code == 303
    assert the("riverside").credits == 117


def test_a_name_of_letters_that_cannot_be_seen_is_refused_and_nothing_is_made(client: FlaskClient) -> None:
    form = {
        "practice": "\u2060\u2060",
        "country": "AU",
        "timezone": "Australia/Sydney",
        "sender": "Clinic",
        "id": "x",
    }
    answer = client.post(NEW, data=form)
    assert answer.status_code == 422
    assert "Type the practice&#39;s name." in answer.text
    assert client.get(f"{ONE}?id=x").status_code == 404


@pytest.mark.parametrize("path", [NEW, f"{ONE}?id=riverside", "/host/balance"])
def test_a_page_takes_at_most_8_queries(client: FlaskClient, path: str) -> None:
    a_practice("riverside")
    client.post(f"{ONE}/credits", data={"id": "riverside", "amount": "5"})
    client.get(path)
    with counted_queries() as seen:
        assert client.get(path).status_code == 200
    assert len(seen) <= 8, seen
