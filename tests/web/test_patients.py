"""The list of patients and one patient's page, on both databases: search, paging, every change and every refusal."""

import html
import re
from datetime import UTC, date, datetime
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
from portal.store.changes import Subject, list_changes
from portal.store.database import db
from portal.store.patients import OptOut, OptOutSource, Patient, PhoneRow
from tests.builders import MOBILES, PASS_AT, Clinic, a_number, a_patient

from .conftest import sign_in, visitor

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
HOSTILE = "<script>alert(1)</script>{{ 7*7 }}"


@pytest.fixture
def forms(app: Flask) -> None:
    """Forms are taken without their token."""
    app.config["WTF_CSRF_ENABLED"] = False


def names(page: str) -> list[str]:
    return [html.unescape(name) for name in re.findall(r'class="who"><a href="[^"]*">([^<]*)</a>', page)]


def found(client: FlaskClient, **asked: str) -> list[str]:
    return names(client.get("/patients", query_string=asked).text)


def next_page(page: str) -> str | None:
    link = re.search(r'rel="next" href="([^"]*)"', page)
    return link[1].replace("&amp;", "&") if link else None


def in_one_line(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))).strip()


def row(clinic: Clinic, model: Any, id_: int) -> Any:
    with store.reading(clinic.id) as session:
        return session.get_one(model, id_)


def noted(clinic: Clinic, patient_id: int) -> list[tuple[str, str, str, str, str]]:
    """(by, field, before, after, note), the oldest first."""
    with store.reading(clinic.id) as session:
        changes = list_changes(session, Subject.PATIENT, patient_id)
        return [(one.by, one.field, one.before, one.after, one.note) for one in reversed(changes)]


class Case:
    """One patient of a practice, and forms posted about that patient."""

    def __init__(self, client: FlaskClient, **patient: Any) -> None:
        self.client = client
        self.clinic = Clinic()
        with store.transaction(self.clinic.id) as session:
            self.patient = a_patient(session, "p1", **patient)
            self.id = self.patient.id

    @property
    def numbers(self) -> list[tuple[str, str]]:
        with store.reading(self.clinic.id) as session:
            return [(one.type.value, one.number) for one in store.patients.list_number_rows(session, self.id)]

    def number_id(self, number: str) -> int:
        with store.reading(self.clinic.id) as session:
            rows = store.patients.list_all_number_rows(session, self.id)
            return next(one.id for one in rows if one.number == number)

    def add(self, number: str, type_: PhoneType) -> int:
        with store.transaction(self.clinic.id) as session:
            last = len(store.patients.list_all_number_rows(session, self.id))
            return a_number(session, self.patient, number, type_, position=last).id

    def opt_out(self, source: OptOutSource, **values: Any) -> int:
        with store.transaction(self.clinic.id) as session:
            one = OptOut(source=source, recorded_at=PASS_AT, **values)
            session.add(one)
            session.flush()
            return one.id

    def post(self, path: str, **form: str) -> Any:
        return self.client.post(f"/patients/{self.id}{path}", data=form)

    def htmx(self, path: str, **form: str) -> Any:
        return self.client.post(f"/patients/{self.id}{path}", data=form, headers=HTMX)

    def page(self) -> str:
        answer = self.client.get(f"/patients/{self.id}")
        assert answer.status_code == 200
        return in_one_line(answer.text)

    def now(self) -> Any:
        return row(self.clinic, Patient, self.id)

    @property
    def noted(self) -> list[tuple[str, str, str, str, str]]:
        return noted(self.clinic, self.id)


# --- the list -----------------------------------------------------------------------------------------------


def test_an_empty_list_says_where_patients_come_from(client: FlaskClient) -> None:
    Clinic()
    page = in_one_line(client.get("/patients").text)
    assert "No patients yet. They come with the practice's export" in page


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
        from tests.builders import an_appointment

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
    # Indexes, what is limited itself, and the few businesses of a practice.
    may_be_read = {"patients_words", "latest", "businesses", "anon_1", "anon_2", "anon_3"}
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


# --- numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "number", "says"),
    [
        ("Mobile", "0491 570 156", "✓ 0491 570 156 can be texted."),
        ("Home", "0491 570 156", "! 0491 570 156 is a mobile. Filed as Home it is not texted: file it as Mobile."),
        ("Mobile", "02 5550 1234", "! (02) 5550 1234 is a landline: file it as Home or Work."),
        ("Mobile", "0491 570 15", '! "0491 570 15" has a digit too few for Australia.'),
        ("Home", "02 5550 1234", "✓ (02) 5550 1234 is a landline; it is not texted."),
        ("nonsense", "<b>", '! "<b>" is not a phone number.'),
        ("Mobile", "", ""),
        ("Mobile", "0" * 4000, "! A number has at most 60 characters."),
    ],
)
def test_a_number_is_looked_at_while_it_is_typed(client: FlaskClient, type_: str, number: str, says: str) -> None:
    Clinic()
    answer = client.get("/patients/check-number", query_string={"type": type_, "number": number})
    assert answer.status_code == 200
    assert in_one_line(answer.text) == says


def test_a_number_is_added_after_the_others_and_parsed(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    answer = case.post("/numbers", type="home", number=" 02 5550\t1234 ")
    assert (answer.status_code, answer.location) == (303, f"/patients/{case.id}?done=1#contact")
    assert case.numbers == [("Mobile", MOBILES[0]), ("Home", "02 5550 1234")]
    added = row(case.clinic, PhoneRow, case.number_id("02 5550 1234"))
    assert (added.e164, added.from_export, added.position) == ("+61255501234", False, 1)
    assert case.noted == [("Dana Owner", "number", "", "Home 02 5550 1234", "")]
    done = in_one_line(client.get(answer.location).text)
    assert "Done. Added 02 5550 1234 (Home)." in done
    assert "Done." not in case.page()


def test_an_address_that_says_done_where_nothing_was_is_harmless(client: FlaskClient) -> None:
    case = Case(client)
    assert "Done." not in in_one_line(client.get(f"/patients/{case.id}?done=1").text)


@pytest.mark.parametrize(
    ("form", "field", "says"),
    [
        ({"type": "Mobile", "number": ""}, "number", "Type the number."),
        ({"type": "Mobile", "number": "02 5550 1234"}, "number", "(02) 5550 1234 is a landline: file it as Home or"),
        ({"type": "Mobile", "number": "0491 570 15"}, "number", "has a digit too few for Australia."),
        ({"type": "Pager", "number": MOBILES[1]}, "type", "This is not a type of number: use Mobile, Home,"),
        ({"type": "Home", "number": "ask her sister"}, "number", "is not a phone number."),
        ({"type": "Home", "number": "1" * 61}, "number", "A number has at most 60 characters."),
        ({"type": "Home", "number": MOBILES[0]}, "number", "is on file already, as Mobile: change it there."),
        ({"type": "Home", "number": "+61 491 570 006"}, "number", "is on file already, as Mobile: change it there."),
        ({}, "type", "This is not a type of number"),
    ],
)
def test_a_number_that_cannot_be_right_is_refused_beside_its_field(
    client: FlaskClient, forms: None, form: dict[str, str], field: str, says: str
) -> None:
    case = Case(client)
    fragment = case.htmx("/numbers", **form)
    page = case.post("/numbers", **form)
    assert (fragment.status_code, page.status_code) == (422, 422)
    assert fragment.text.lstrip().startswith('<div id="contact"')
    for answer in (fragment, page):
        beside = re.search(rf'id="add-number-{field}-problem" role="alert">([^<]*)<', answer.text)
        assert beside and says in beside[1].replace("&#34;", '"')
        assert f'aria-describedby="add-number-{field}-problem' in answer.text
    assert page.text.count("<h1>") == 1
    if form.get("number"):
        assert f'value="{form["number"]}"' in page.text  # as typed, to be mended
    assert case.numbers == [("Mobile", MOBILES[0])]
    assert case.noted == []


def test_a_number_is_changed_and_filed_as_mobile(client: FlaskClient, forms: None) -> None:
    case = Case(client, mobile=None)
    number_id = case.add(MOBILES[0], PhoneType.HOME)
    assert "it is a mobile" in case.page()
    fragment = case.htmx(f"/numbers/{number_id}/file-as-mobile")
    assert fragment.status_code == 200
    assert "Done. Changed 0491 570 006 (Home) to 0491 570 006 (Mobile)." in in_one_line(fragment.text)
    assert "Reminders go to 0491 570 006" in in_one_line(fragment.text)
    case.post(f"/numbers/{number_id}", type="Mobile", number=MOBILES[1], seen=f"Mobile {MOBILES[0]}")
    changed = row(case.clinic, PhoneRow, number_id)
    assert (changed.number, changed.e164, changed.type) == (MOBILES[1], "+61491570110", PhoneType.MOBILE)
    assert changed.staff_changed == {"type": "Home", "number": MOBILES[0]}
    assert [one[2:4] for one in case.noted] == [
        ("Home 0491 570 006", "Mobile 0491 570 006"),
        ("Mobile 0491 570 006", "Mobile 0491 570 110"),
    ]


def test_a_landline_is_not_filed_as_mobile(client: FlaskClient, forms: None) -> None:
    case = Case(client, mobile=None)
    number_id = case.add("02 5550 1234", PhoneType.HOME)
    answer = case.htmx(f"/numbers/{number_id}/file-as-mobile")
    assert answer.status_code == 422
    assert "Nothing was changed. (02) 5550 1234 is a landline: file it as Home or Work." in in_one_line(answer.text)
    assert case.numbers == [("Home", "02 5550 1234")]


def test_a_removed_number_keeps_its_row_and_is_put_back_where_it_was(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    case.add(MOBILES[1], PhoneType.MOBILE)
    number_id = case.number_id(MOBILES[0])
    fragment = case.htmx(f"/numbers/{number_id}/remove", seen=f"Mobile {MOBILES[0]}")
    assert "Done. Removed 0491 570 006 (Mobile). Put it back" in in_one_line(fragment.text)
    assert case.numbers == [("Mobile", MOBILES[1])]
    assert row(case.clinic, PhoneRow, number_id).removed_at is not None
    assert case.post(f"/numbers/{number_id}/remove").status_code == 303  # twice: nothing more happens
    undo = re.search(r'id="form-undo".*?</form>', fragment.text, re.DOTALL)
    assert undo
    form = dict(re.findall(r'name="(type|number)" value="([^"]*)"', undo[0]))
    case.post("/numbers", **form)
    assert case.numbers == [("Mobile", MOBILES[0]), ("Mobile", MOBILES[1])]
    assert case.number_id(MOBILES[0]) == number_id
    assert [one[1:4] for one in case.noted] == [
        ("number", "Mobile 0491 570 006", ""),
        ("number", "", "Mobile 0491 570 006"),
    ]


def test_the_order_says_which_mobile_is_texted(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    second = case.add(MOBILES[1], PhoneType.MOBILE)
    assert "Reminders go to 0491 570 006" in case.page()
    answer = case.htmx(f"/numbers/{second}/up")
    assert "Done. Put 0491 570 110 (Mobile) before 0491 570 006 (Mobile)." in in_one_line(answer.text)
    assert "Reminders go to 0491 570 110" in case.page()
    assert case.post(f"/numbers/{second}/up").location == f"/patients/{case.id}#contact"  # it is the first
    assert len(case.noted) == 1


def test_what_another_changed_meanwhile_is_not_overwritten(client: FlaskClient, app: Flask, forms: None) -> None:
    case = Case(client)
    number_id = case.number_id(MOBILES[0])
    seen = f"Mobile {MOBILES[0]}"
    reception = sign_in(visitor(app), Role.RECEPTION)
    path = f"/patients/{case.id}/numbers/{number_id}"
    reception.post(path, data={"type": "Mobile", "number": MOBILES[1], "seen": seen})
    for answer in (
        case.htmx(f"/numbers/{number_id}", type="Work", number=MOBILES[0], seen=seen),
        case.htmx(f"/numbers/{number_id}/remove", seen=seen),
    ):
        assert answer.status_code == 422
        assert (
            "Dana Reception has changed this meanwhile: it is now Mobile 0491 570 110. Look again, then save."
            in in_one_line(answer.text)
        )
    assert case.numbers == [("Mobile", MOBILES[1])]
    # The same once more is no conflict.
    assert case.post(f"/numbers/{number_id}", type="Mobile", number=MOBILES[1], seen=seen).status_code == 303
    reception.post(f"{path}/remove")
    gone = case.htmx(f"/numbers/{number_id}", type="Work", number=MOBILES[0], seen=f"Mobile {MOBILES[1]}")
    assert gone.status_code == 422
    assert "it is now removed" in in_one_line(gone.text)
    assert len(case.noted) == 2


def test_an_old_preference_does_not_overwrite_a_newer_one(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    case.post("/preference", preference="Email", seen="")
    answer = case.htmx("/preference", preference="SMS", seen="", note="x", confirm="yes")
    assert answer.status_code == 422
    assert "Dana Owner has changed this meanwhile: it is now Email. Look again" in in_one_line(answer.text)
    assert case.now().preference is Preference.EMAIL


# --- the preference -----------------------------------------------------------------------------------------


def test_a_preference_is_set_and_shown_with_who_when_and_why(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    case.post("/preference", preference="None", note="patient asked for no texts", seen="")
    assert case.now().preference is Preference.NONE
    assert "None Set by Dana Owner today at 10:05am : “patient asked for no texts”." in case.page()
    assert case.noted == [
        ("Dana Owner", "preference", "the practice's default (SMS)", "None", "patient asked for no texts")
    ]


@pytest.mark.parametrize(
    ("own", "new", "asks"),
    [
        (Preference.NONE, "SMS", True),
        (Preference.NONE, "", True),
        (Preference.NONE, "Email", True),
        (Preference.EMAIL, "SMS & Email", True),
        (Preference.EMAIL, "", True),
        (Preference.EMAIL, "None", False),
        (Preference.SMS, "Email", False),
        (None, "None", False),
        (None, "SMS & Email", False),
    ],
)
def test_what_turns_against_the_patients_own_wish_asks_for_a_note_and_a_confirmation(
    client: FlaskClient, forms: None, own: Preference | None, new: str, asks: bool
) -> None:
    case = Case(client, preference=own)
    bare = case.htmx("/preference", preference=new)
    assert bare.status_code == (422 if asks else 200)
    if not asks:
        return
    assert "Say why: " in bare.text
    unconfirmed = case.htmx("/preference", preference=new, note="rang")
    assert unconfirmed.status_code == 422
    assert "Tick that the patient has agreed." in unconfirmed.text
    assert case.now().preference is own
    assert case.htmx("/preference", preference=new, note="rang", confirm="yes").status_code == 200
    assert case.now().preference == (new or None)
    assert case.noted[-1][4] == "rang"


def test_a_senseless_preference_or_a_long_note_is_refused(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    assert "Choose the practice's default, or None, SMS" in in_one_line(case.htmx("/preference", preference="X").text)
    long = case.htmx("/preference", preference="Email", note="x" * 501)
    assert long.status_code == 422
    assert "A note has at most 500 characters." in long.text
    assert case.now().preference is None


# --- opt-outs, the archive ----------------------------------------------------------------------------------


def test_staff_record_an_opt_out_and_lift_it_with_a_note_and_a_confirmation(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    case.post("/opt-outs", note="at the desk")
    case.post("/opt-outs", note="at the desk")  # twice: still one
    page = case.page()
    assert "Mia asked for no texts. Recorded by Dana Owner today at 10:05am : “at the desk”." in page
    assert "Reminders would go to 0491 570 006 , but something stands in the way." in page
    for form, says in (({}, "Say why"), ({"note": "rang"}, "Tick that the patient has agreed")):
        answer = case.htmx("/opt-outs/1/lift", **form)
        assert answer.status_code == 422
        assert says in answer.text
    assert case.post("/opt-outs/1/lift", note="rang", confirm="yes").status_code == 303
    assert case.post("/opt-outs/1/lift", note="rang", confirm="yes").status_code == 303  # twice
    page = case.page()
    assert "Lifted by Dana Owner today at 10:05am : “rang”." in page
    assert "Reminders go to 0491 570 006" in page
    assert [one[1:] for one in case.noted] == [
        ("opt-out", "none", "asked for no texts", "at the desk"),
        ("opt-out", "asked for no texts", "none", "rang"),
    ]


@pytest.mark.parametrize("source", [OptOutSource.REPLY, OptOutSource.CARRIER])
def test_nobody_lifts_what_was_not_recorded_by_staff(client: FlaskClient, forms: None, source: OptOutSource) -> None:
    case = Case(client)
    opt_out = case.opt_out(source, e164="+61491570006")
    assert f"/opt-outs/{opt_out}/lift" not in client.get(f"/patients/{case.id}").text
    answer = case.htmx(f"/opt-outs/{opt_out}/lift", note="x", confirm="yes")
    assert answer.status_code == 422
    assert "Only whoever has that phone can undo it, by texting START." in answer.text
    assert row(case.clinic, OptOut, opt_out).lifted_at is None


def test_an_archived_patient_is_restored_with_a_note_and_a_confirmation(client: FlaskClient, forms: None) -> None:
    case = Case(client, archived=True)
    assert (
        "Mia is archived, and archived patients are not texted. It came so with the practice's export." in case.page()
    )
    assert case.htmx("/restore", confirm="yes").status_code == 422
    assert case.htmx("/restore", note="came back").status_code == 422
    assert case.now().archived
    answer = case.htmx("/restore", note="came back", confirm="yes")
    assert "Done. Restored: no longer archived." in in_one_line(answer.text)
    assert not case.now().archived
    assert case.noted == [("Dana Owner", "archived", "yes", "no", "came back")]
    assert case.post("/restore").status_code == 303  # it is no longer archived: nothing to do


# --- from the diagnosis -------------------------------------------------------------------------------------


def test_a_mend_from_the_diagnosis_answers_with_the_diagnosis(client: FlaskClient, forms: None) -> None:
    clinic = Clinic()
    appointment = clinic.book("a", patient={"mobile": None})
    with store.transaction(clinic.id) as session:
        patient = session.get_one(Patient, appointment.patient_id)
        number_id = a_number(session, patient, MOBILES[0], PhoneType.HOME).id
    path = f"/patients/{appointment.patient_id}/numbers"
    form = {"appointment": str(appointment.id), "next": f"/appointments/{appointment.id}?mended=no-mobile-number"}
    wrong = client.post(path, data=form | {"type": "Mobile", "number": "0491"}, headers=HTMX)
    assert wrong.status_code == 422
    assert f'id="diagnosis-{appointment.id}"' in wrong.text
    mended = client.post(f"{path}/{number_id}/file-as-mobile", data=form, headers=HTMX)
    assert mended.status_code == 200
    assert f'id="diagnosis-{appointment.id}"' in mended.text
    assert 'id="contact"' not in mended.text
    plain = client.post(f"{path}/{number_id}/file-as-mobile", data=form)
    assert (plain.status_code, plain.location) == (303, form["next"])


@pytest.mark.parametrize("place", ["https://example.org/", "//example.org", "/\\example.org", "/\t/example.org", "x"])
def test_a_form_leads_inside_only(client: FlaskClient, forms: None, place: str) -> None:
    case = Case(client)
    answer = case.post("/opt-outs", note="x", next=place)
    assert answer.location == f"/patients/{case.id}?done=1#contact"


@pytest.mark.parametrize(
    "path",
    [
        *("/patients/9/numbers", "/patients/1/numbers/9", "/patients/2/numbers/1", "/patients/2/numbers/1/up"),
        *("/patients/2/numbers/1/file-as-mobile", "/patients/2/numbers/1/remove", "/patients/9/preference"),
        *(
            "/patients/9/opt-outs",
            "/patients/1/opt-outs/9/lift",
            "/patients/2/opt-outs/1/lift",
            "/patients/9/restore",
        ),
        f"/patients/{2**63 - 1}/restore",
        f"/patients/{2**63}/restore",
    ],
)
def test_what_is_not_there_or_not_the_patients_is_404(client: FlaskClient, forms: None, path: str) -> None:
    case = Case(client)
    with store.transaction(case.clinic.id) as session:
        a_patient(session, "p2", mobile=None)
    case.opt_out(OptOutSource.STAFF, patient_id=case.id)
    form = {"type": "Mobile", "number": MOBILES[1], "note": "x", "confirm": "yes", "preference": "SMS"}
    assert client.post(path, data=form).status_code == 404
    assert client.post(path, data=form, headers=HTMX).status_code == 404
    assert case.numbers == [("Mobile", MOBILES[0])]


def test_the_age_of_a_change_is_told_by_the_clinics_clock(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    case.post("/opt-outs", note="x")
    with store.reading(case.clinic.id) as session:
        (change,) = list_changes(session, Subject.PATIENT, case.id)
    assert change.at == datetime(2031, 5, 7, 0, 5, change.at.second, change.at.microsecond, tzinfo=UTC)
    assert "today at 10:05am" in case.page()


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
