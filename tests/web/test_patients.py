"""The list of patients with its search, and what one patient's page shows, on both databases."""

import re
from datetime import date
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from portal import store
from portal.actions.remind import run_pass
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference
from portal.core.roles import Role
from portal.store.database import db
from portal.store.patients import OptOutSource, Patient
from tests.builders import MOBILES, PASS_AT, Clinic, a_number, a_patient, an_appointment

from .conftest import sign_in, visitor
from .patients import HTMX, Case, found, in_one_line, names, next_page

HOSTILE = "<script>alert(1)</script>{{ 7*7 }}"


@pytest.fixture
def forms(app: Flask) -> None:
    """Forms are taken without their token."""
    app.config["WTF_CSRF_ENABLED"] = False


# --- the list -----------------------------------------------------------------------------------------------


def test_an_empty_list_says_where_patients_come_from(client: FlaskClient) -> None:
    Clinic()
    page = in_one_line(client.get("/patients").text)
    assert "No patients yet. They come with an import" in page


def test_the_list_shows_the_newest_first_or_by_last_name(client: FlaskClient) -> None:
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        for first, last in (("Åsa", "Ek"), ("Ben", "Adams"), ("Cy", "ågren"), ("Di", "Zhao")):
            a_patient(session, first, first_name=first, last_name=last)
    assert found(client) == ["Di Zhao", "Cy ågren", "Ben Adams", "Åsa Ek"]
    assert found(client, order="name") == ["Ben Adams", "Cy ågren", "Åsa Ek", "Di Zhao"]
    assert found(client, order="nonsense") == found(client)


def test_a_line_shows_the_number_that_is_texted_or_what_is_lacking(client: FlaskClient) -> None:
    clinic = Clinic()
    born = date(1980, 5, 4)
    with store.transaction(clinic.id) as session:
        a_patient(session, "a", first_name="Ada", date_of_birth=born, preference=Preference.EMAIL)
        home = a_patient(session, "b", first_name="Bea", mobile=None, archived=True)
        a_number(session, home, MOBILES[1], PhoneType.HOME)
        a_patient(session, "c", first_name="Cy", mobile=None)
    page = in_one_line(client.get("/patients").text)
    assert "Ada Nguyen 4 May 1980 0491 570 006 Email" in page
    assert "Bea Nguyen no mobile that can be texted: 0491 570 110 (Home) the practice's default · archived" in page
    assert "Cy Nguyen no number the practice's default" in page


@pytest.mark.parametrize("order", ["newest", "name"])
def test_the_list_is_paged_by_50_and_nobody_is_shown_twice(client: FlaskClient, order: str) -> None:
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        for number in range(120):
            a_patient(session, str(number), mobile=None, first_name=f"P{number:03}", last_name=f"N{number % 7}")
    shown: list[str] = []
    path: str | None = f"/patients?order={order}"
    for expected in (50, 50, 20):
        assert path
        page = client.get(path).text
        assert len(names(page)) == expected
        shown += names(page)
        path = next_page(page)
    assert path is None
    assert len(set(shown)) == 120
    key = (lambda name: name.split()[::-1]) if order == "name" else (lambda name: name)
    assert shown == sorted(shown, key=key, reverse=order == "newest")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("ngu", ["Łukasz Nguyen", "Mia Nguyen"]),
        ("NGUYEN mi", ["Mia Nguyen"]),
        ("mi ngu", ["Mia Nguyen"]),
        ("lukasz", ["Łukasz Nguyen"]),
        ("guyen", []),
        ("smith", ["Anne Marie Smith-O'Brien"]),
        ("marie", ["Anne Marie Smith-O'Brien"]),
        ("o'brien", ["Anne Marie Smith-O'Brien"]),
        ("smith-o", ["Anne Marie Smith-O'Brien"]),
        ("anne obrien", ["Anne Marie Smith-O'Brien"]),
        ("ngu smith", []),
        ("0491 570 006", ["Mia Nguyen"]),
        ("+61491570006", ["Mia Nguyen"]),
        ("(0491) 570-006", ["Mia Nguyen"]),
        ("0061 491 570 006", ["Mia Nguyen"]),
        ("006", ["Mia Nguyen"]),
        ("570110", ["Łukasz Nguyen"]),
        ("06", []),
        ("5701 7", ["Anne Marie Smith-O'Brien"]),
        ("04/05/1980", ["Mia Nguyen"]),
        ("4.5.80", ["Mia Nguyen"]),
        ("1980-05-04", ["Mia Nguyen"]),
        ("4 May 1980", ["Mia Nguyen"]),
        ("May 4, 1980", ["Mia Nguyen"]),
        ("1980", ["Łukasz Nguyen", "Mia Nguyen"]),
        ("05/04/1980", []),
        ("p-2", ["Łukasz Nguyen"]),
        ("%", ["Anne Marie Smith-O'Brien", "Łukasz Nguyen", "Mia Nguyen"]),
        ('"', ["Anne Marie Smith-O'Brien", "Łukasz Nguyen", "Mia Nguyen"]),
        ("mia\x00", ["Mia Nguyen"]),
        ("mia' OR 1=1 --", []),
        ("ngu* AND mia", []),
        ("x" * 5000, []),
        ("٣٤٥", []),
    ],
)
def test_the_search_finds_names_numbers_and_birth_dates(client: FlaskClient, asked: str, expected: list[str]) -> None:
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        a_patient(session, "p-1", date_of_birth=date(1980, 5, 4))
        a_patient(session, "p-2", first_name="Łukasz", mobile=MOBILES[1], date_of_birth=date(1980, 12, 31))
        a_patient(session, "p-3", first_name="Anne Marie", last_name="Smith-O'Brien", mobile="0491 570 17")
    assert found(client, q=asked) == expected


def test_a_search_is_paged_and_each_is_found_once(client: FlaskClient) -> None:
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        for number in range(60):
            patient = a_patient(session, f"{number}", first_name=f"P{number:02}")
            a_number(session, patient, MOBILES[0], PhoneType.HOME, position=1)
    for asked in ("ngu", "006"):
        first = client.get("/patients", query_string={"q": asked}).text
        path = next_page(first)
        assert path
        rest = names(client.get(path).text)
        assert names(first) + rest == [f"P{number:02} Nguyen" for number in range(59, -1, -1)]
    assert "Nobody was found" in in_one_line(client.get("/patients?q=nobody").text)


def test_a_removed_number_is_not_searched_and_an_added_one_is(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    case.post(f"/numbers/{case.number_id(MOBILES[0])}/remove")
    case.post("/numbers", type="Mobile", number=MOBILES[2])
    assert found(client, q="570006") == []
    assert found(client, q="570156") == ["Mia Nguyen"]


def test_a_senseless_place_in_the_list_is_harmless(client: FlaskClient) -> None:
    case = Case(client)
    for after in ("nix", "99999999999999999999", "-1", "5-\x00", "1" * 400, "²"):
        for order in ("newest", "name"):
            answer = client.get("/patients", query_string={"after": after, "order": order, "q": ""})
            assert answer.status_code == 200
    assert case.id


def test_scripts_get_the_rows_that_the_page_includes(client: FlaskClient) -> None:
    Case(client)
    page = client.get("/patients?q=mia").text
    fragment = client.get("/patients?q=mia", headers=HTMX)
    assert fragment.text.strip() in page
    assert fragment.text.lstrip().startswith('<section id="rows"')


def test_no_patient_of_another_practice_is_found(client: FlaskClient, app: Flask) -> None:
    case = Case(client, date_of_birth=date(1980, 5, 4))
    other = Clinic("riverside-2")
    with store.transaction(other.id) as session:
        a_patient(session, "p1", first_name="Nora", mobile=MOBILES[1])
    outsider = sign_in(visitor(app), practice_id=other.id)
    for asked in ("mia", "ngu", "570006", "1980", "p1", ""):
        assert "Mia Nguyen" not in found(outsider, q=asked)
        assert "Nora Nguyen" not in found(client, q=asked)
    assert found(outsider, q="ngu") == ["Nora Nguyen"]
    assert found(client, q="ngu") == ["Mia Nguyen"]
    assert outsider.get(f"/patients/{case.id}").status_code == 404


# --- the page -----------------------------------------------------------------------------------------------


def test_a_patients_page_shows_all_there_is(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"date_of_birth": date(1980, 5, 4), "email": "mia@example.org"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    page = in_one_line(client.get("/patients/1").text)
    assert "Mia Nguyen Born 4 May 1980 · mia@example.org · Patient number a" in page
    assert "Reminders go to 0491 570 006 ." in page
    assert "The practice's default (SMS)" in page
    assert "tomorrow, 9:30am" in page
    assert "Scheduled" in page
    assert "Hi Mia, see you 08/05/2031 9:30am." in page
    assert "Nothing was changed here" in page
    text = client.get("/patients/1").text
    assert 'href="/appointments/1"' in text
    assert 'href="/communications/1"' in text
    assert 'href="/communications?patient=1"' in text


def test_the_page_says_which_number_is_texted_and_what_stands_in_the_way(client: FlaskClient) -> None:
    case = Case(client, mobile=None, preference=Preference.NONE, archived=True)
    case.add("02 5550 1234", PhoneType.MOBILE)
    case.add(MOBILES[0], PhoneType.HOME)
    case.opt_out(OptOutSource.REPLY, e164="+61491570006")
    page = case.page()
    assert "Mia cannot be texted." in page
    assert "(02) 5550 1234 is a landline" in page
    assert "0491 570 006 is a mobile. Filed as Home it is not texted: file it as Mobile." in page
    assert "Mia's own preference is None" in page
    assert "0491 570 006 replied STOP" in page
    assert "Only whoever has that phone can undo it, by texting START." in page
    assert "Archived patients are not texted." in page
    case.clinic.change(case.patient, preference=None, archived=False)
    case.client.application.config["WTF_CSRF_ENABLED"] = False
    case.post(f"/numbers/{case.number_id(MOBILES[0])}/file-as-mobile")
    assert "Reminders would go to 0491 570 006 , but something stands in the way." in case.page()


def test_only_the_appointments_of_the_patient_are_listed_the_next_first(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("x", patient={"first_name": "Other"}, starts="2031-05-08 08:00")
    first = clinic.book("a")
    with store.transaction(clinic.id) as session:
        patient = session.get_one(Patient, first.patient_id)
        own = {"business": clinic.business, "practitioner": clinic.practitioner, "type": clinic.type}
        for number, starts in enumerate(("2031-05-20 11:00", "2031-05-01 12:00", "2031-04-01 13:00")):
            an_appointment(session, f"b{number}", starts=starts, patient=patient, **own)
        an_appointment(session, "c", starts="2031-05-30 14:00", patient=patient, cancelled_at=PASS_AT, **own)
    page = in_one_line(client.get(f"/patients/{first.patient_id}").text)
    times = ["9:30am", "Tuesday 20 May, 11am", "Friday 30 May, 2pm", "Thursday 1 May, 12pm", "Tuesday 1 April, 1pm"]
    assert [page.index(time) for time in times] == sorted(page.index(time) for time in times)
    assert "8am" not in page
    assert "Cancelled" in page


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "path", ["/patients", "/patients?order=name&after=1-a", "/patients?q=ngu", "/patients?q=1980", "/patients/1"]
)
def test_each_page_takes_at_most_8_queries_and_reads_no_whole_table(
    client: FlaskClient, app: Flask, path: str
) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"date_of_birth": date(1980, 5, 4)})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    statements: list[tuple[str, Any]] = []
    listen = event.listens_for(db.engine, "before_cursor_execute")
    listen(lambda _c, _cursor, statement, parameters, *_: statements.append((statement, parameters)))
    client.get(path)  # what is asked once, when the portal starts
    statements.clear()
    assert client.get(path).status_code == 200
    # Indexes, what is limited itself, the few businesses of a practice, and whether the host has another one.
    may_be_read = {"patients_words", "latest", "businesses", "practices_1", "anon_1", "anon_2", "anon_3", "anon_4"}
    read = [one for one in statements if one[0].lstrip().upper().startswith(("SELECT", "WITH"))]
    assert 0 < len(read) <= 8, [statement for statement, _ in read]
    with db.engine.connect() as connection:
        for statement, parameters in read:
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
                scanned = re.match(r"SCAN (\w+)", row[3])
                assert not scanned or scanned[1] in may_be_read, row


@pytest.mark.parametrize("role", list(Role))
def test_who_only_reads_is_offered_no_form(client: FlaskClient, app: Flask, role: Role) -> None:
    case = Case(client)
    someone = sign_in(visitor(app), role)
    page = someone.get(f"/patients/{case.id}").text
    forms = re.findall(r'action="(/patients/[^"]*)"', page)
    assert bool(forms) is (role in (Role.OWNER, Role.RECEPTION))
    app.config["WTF_CSRF_ENABLED"] = False
    answer = someone.post(f"/patients/{case.id}/numbers", data={"type": "Mobile", "number": MOBILES[1]})
    expected = {Role.OWNER: 303, Role.RECEPTION: 303, Role.PRACTITIONER: 403}
    if role in expected:
        assert answer.status_code == expected[role]


def test_a_form_without_its_token_is_refused(client: FlaskClient) -> None:
    case = Case(client)
    assert case.post("/numbers", type="Mobile", number=MOBILES[1]).status_code == 400
    assert case.htmx("/numbers", type="Mobile", number=MOBILES[1]).status_code == 400
    assert case.numbers == [("Mobile", MOBILES[0])]


def test_hostile_names_notes_and_numbers_are_shown_as_text(client: FlaskClient, forms: None) -> None:
    case = Case(client, first_name=HOSTILE, last_name="\u202eevil" + "x" * 5000, email=HOSTILE)
    case.post("/preference", preference="Email", note=f"{HOSTILE}\x00\nline")
    case.post("/opt-outs", note=HOSTILE)
    case.post("/numbers", type="Other", number="<i>0491</i>")
    for path in (f"/patients/{case.id}", "/patients", f"/patients?q={HOSTILE}"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "&lt;script&gt;" in answer.text
        assert "<script>alert" not in answer.text
        assert "<i>" not in answer.text
        assert "x" * 200 not in answer.text
        assert "\u202e" not in answer.text
        assert "\x00" not in answer.text
    assert "49" in client.get(f"/patients/{case.id}").text


def test_the_log_shows_the_messages_with_one_patient_only(client: FlaskClient) -> None:
    clinic = Clinic()
    mia = clinic.book("a")
    clinic.book("b", patient={"first_name": "Noah"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    page = client.get("/communications", query_string={"patient": mia.patient_id}).text
    assert names(page) == ["Mia Nguyen"]
    assert "Only messages with Mia Nguyen . Show all messages" in in_one_line(page)
    assert f'<input type="hidden" name="patient" value="{mia.patient_id}">' in page
    assert names(client.get("/communications?patient=9").text) == []
    for patient in ("nix", str(2**70)):
        assert client.get("/communications", query_string={"patient": patient}).status_code == 200
