"""Tidying up: who is listed and why, mended on the row and thirty at once, and undone, on both databases."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import store
from portal.actions.patients import change_number, remove_number
from portal.actions.who import Who
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference
from portal.core.roles import Role
from portal.store.patients import OptOut, OptOutSource, Patient, PhoneRow
from portal.store.tidying import TidiedNumber, Tidying
from tests.builders import MOBILES, PASS_AT, Clinic, a_number, a_patient, a_type, an_appointment

from .conftest import sign_in, visitor
from .patients import HTMX, in_one_line, names, next_page, noted, row
from .test_today import counted_queries

SOMEONE = Who(9, "Kim")


@pytest.fixture
def forms(app: Flask) -> None:
    """Forms are taken without their token."""
    app.config["WTF_CSRF_ENABLED"] = False


@pytest.fixture
def clinic(client: FlaskClient, forms: None) -> Clinic:
    return Clinic()


def a_person(
    clinic: Clinic, id_: str, *numbers: tuple[PhoneType, str], visits: int = 1, starts: int = 8, **patient: Any
) -> int:
    """With so many appointments, one a day."""
    names: dict[str, Any] = {"first_name": f"P{id_}", "last_name": "Berg"}
    with store.transaction(clinic.id) as session:
        person = a_patient(session, id_, mobile=None, **names | patient)
        for position, (type_, number) in enumerate(numbers):
            a_number(session, person, number, type_, position)
        own: dict[str, Any] = {"business": clinic.business, "practitioner": clinic.practitioner, "type": clinic.type}
        for visit in range(visits):
            an_appointment(
                session, f"{id_}-{visit}", patient=person, starts=f"2031-05-{starts + visit:02} 09:30", **own
            )
        return person.id


def number_of(patient_id: int) -> PhoneRow:
    with store.reading("riverside") as session:
        return session.scalars(select(PhoneRow).where(PhoneRow.patient_id == patient_id)).one()


def filed(patient_id: int) -> list[tuple[str, str]]:
    with store.reading("riverside") as session:
        return [(one.type.value, one.number) for one in store.patients.list_number_rows(session, patient_id)]


def thirty(clinic: Clinic) -> list[int]:
    """Patients, each with a mobile filed as Home."""
    return [a_person(clinic, str(i), (PhoneType.HOME, f"0491 570 {100 + i}")) for i in range(30)]


def hidden(page: str, name: str) -> list[str]:
    return [html.unescape(value) for value in re.findall(rf'type="hidden" name="{name}" value="([^"]*)"', page)]


# --- who is listed --------------------------------------------------------------------------------------------


def test_each_list_names_who_has_it_those_with_most_appointments_first(client: FlaskClient, clinic: Clinic) -> None:
    a_person(clinic, "once", (PhoneType.HOME, MOBILES[0]))
    a_person(clinic, "thrice", (PhoneType.HOME, "02 5550 1234"), (PhoneType.WORK, MOBILES[1]), visits=3)
    a_person(clinic, "well", (PhoneType.HOME, MOBILES[2]), (PhoneType.MOBILE, MOBILES[3]))
    a_person(clinic, "short", (PhoneType.MOBILE, "0491 570 15"), visits=2)
    a_person(clinic, "landline", (PhoneType.MOBILE, "02 5550 1234"))
    a_person(clinic, "both", (PhoneType.MOBILE, "0491 570 15"), (PhoneType.FAX, MOBILES[4]), starts=9)
    a_person(clinic, "nobody")
    a_person(clinic, "mail", email="mail@example.org")
    a_person(clinic, "call", (PhoneType.HOME, "02 5550 1234"))
    a_person(clinic, "note", (PhoneType.HOME, "ask her sister"))
    a_person(clinic, "gone", (PhoneType.HOME, MOBILES[5]), archived=True)
    assert names(client.get("/tidy-up/mobiles").text) == ["Pthrice Berg", "Ponce Berg", "Pboth Berg"]
    assert names(client.get("/tidy-up/numbers").text) == ["Pshort Berg", "Plandline Berg", "Pboth Berg"]
    assert names(client.get("/tidy-up/unreachable").text) == ["Pnobody Berg", "Pnote Berg"]
    overview = in_one_line(client.get("/tidy-up").text)
    assert "Mobiles filed as something else 3 patients would be texted once it is mended." in overview
    assert "Mobile numbers that are none 3 patients would be texted once it is mended." in overview
    assert "No way to reach them 2 patients would be texted once it is mended." in overview


def test_it_is_said_how_many_would_be_texted_for_wishes_are_not_mended(client: FlaskClient, clinic: Clinic) -> None:
    a_person(clinic, "a", (PhoneType.HOME, MOBILES[0]))
    a_person(clinic, "b", (PhoneType.HOME, MOBILES[1]), preference=Preference.NONE)
    c = a_person(clinic, "c", (PhoneType.HOME, MOBILES[2]))
    with store.transaction(clinic.id) as session:
        session.add(OptOut(source=OptOutSource.REPLY, e164="+61491570110", recorded_at=PASS_AT))
        session.add(OptOut(source=OptOutSource.STAFF, patient_id=c, recorded_at=PASS_AT))
    page = in_one_line(client.get("/tidy-up/mobiles").text)
    assert "3 patients with appointments in the next 30 days, those with most first; 1 of them would be" in page
    assert "3 patients , 1 of whom would be texted once it is mended." in in_one_line(client.get("/tidy-up").text)


def test_appointments_that_are_over_cancelled_or_far_ahead_do_not_count(client: FlaskClient, clinic: Clinic) -> None:
    over = a_person(clinic, "over", (PhoneType.HOME, MOBILES[0]), starts=1)
    cancelled = a_person(clinic, "cancelled", (PhoneType.HOME, MOBILES[1]))
    with store.transaction(clinic.id) as session:
        own: dict[str, Any] = {"business": clinic.business, "practitioner": clinic.practitioner, "type": clinic.type}
        far = a_patient(session, "far", mobile=None, first_name="Far")
        a_number(session, far, MOBILES[2], PhoneType.HOME)
        an_appointment(session, "far", patient=far, starts="2031-06-20 09:30", **own)
        for one in session.scalars(
            select(store.appointments.Appointment).where(store.appointments.Appointment.patient_id == cancelled)
        ):
            one.cancelled_at = PASS_AT
    assert names(client.get("/tidy-up/mobiles").text) == []
    others = client.get("/tidy-up/mobiles?others=1").text
    assert names(others) == ["Far Nguyen", "Pcancelled Berg", "Pover Berg"]
    assert f'href="/patients/{over}"' in others


def test_the_lists_go_on(client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.web.tidy_up.PAGE", 12)
    thirty(clinic)
    with store.transaction(clinic.id) as session:
        for i in range(30):
            a_number(session, a_patient(session, f"o{i}", mobile=None), MOBILES[0], PhoneType.FAX)
    for path in ("/tidy-up/mobiles", "/tidy-up/mobiles?others=1"):
        seen: list[str] = []
        at: str | None = path
        while at:
            page = client.get(at).text
            seen += re.findall(r'id="patient-(\d+)"', page)
            at = next_page(page)
        assert len(seen) == len(set(seen)) == 30


def test_types_without_a_template_lead_to_whoever_can_choose_one(client: FlaskClient, app: Flask) -> None:
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        bare = a_type(session, None, external_id="2", name="Dry needling")
        own: dict[str, Any] = {"business": clinic.business, "practitioner": clinic.practitioner, "type": bare}
        for i in range(2):
            an_appointment(session, str(i), patient=a_patient(session, str(i)), **own)
    page = client.get("/tidy-up/types").text
    assert "Dry needling 2 patients None Choose a template" in in_one_line(page).replace("  ", " ")
    assert "/settings/appointment-types" in page
    assert "1 type : 2 patients get no reminder for that." in in_one_line(client.get("/tidy-up").text)
    reception = sign_in(visitor(app), Role.RECEPTION)
    said = reception.get("/tidy-up/types").text
    assert "The practice's owner can choose a template" in html.unescape(said)
    assert "/settings/appointment-types" not in said


# --- mended on its row ----------------------------------------------------------------------------------------


def test_one_click_files_a_mobile_and_undo_puts_it_back(client: FlaskClient, clinic: Clinic) -> None:
    mia = a_person(clinic, "a", (PhoneType.HOME, MOBILES[0]))
    number = number_of(mia)
    answer = client.post(f"/tidy-up/mobiles/{number.id}", data={"seen": f"Home {MOBILES[0]}"})
    assert (answer.status_code, answer.location) == (303, "/tidy-up/mobiles?done=1")
    page = in_one_line(client.get(answer.location).text)
    assert "Done. 1 number filed as Mobile: Pa Berg, 0491 570 006 (Mobile)" in page.replace(" ,", ",")
    assert filed(mia) == [("Mobile", MOBILES[0])]
    assert client.post("/tidy-up/batches/1/undo").location == "/tidy-up/batches/1"
    assert filed(mia) == [("Home", MOBILES[0])]
    assert [(by, before, after) for by, _, before, after, _ in noted(clinic, mia)] == [
        ("Dana Owner", f"Home {MOBILES[0]}", f"Mobile {MOBILES[0]}"),
        ("Dana Owner", f"Mobile {MOBILES[0]}", f"Home {MOBILES[0]}"),
    ]
    batches = in_one_line(client.get("/tidy-up").text)
    assert "1 number filed as Mobile by Dana Owner, today, 10:05am · undone by Dana Owner, today, 10:05am" in batches
    client.post("/tidy-up/batches/1/undo")  # by two clicks
    assert len(noted(clinic, mia)) == 2


def test_the_row_is_swapped_and_what_changed_meanwhile_is_left(client: FlaskClient, clinic: Clinic) -> None:
    mia = a_person(clinic, "a", (PhoneType.HOME, MOBILES[0]))
    number = number_of(mia)
    stale = client.post(f"/tidy-up/mobiles/{number.id}", data={"seen": f"Home {MOBILES[1]}"}, headers=HTMX)
    assert stale.text.lstrip().startswith('<section id="list"')
    assert filed(mia) == [("Home", MOBILES[0])]
    done = client.post(f"/tidy-up/mobiles/{number.id}", data={"seen": f"Home {MOBILES[0]}"}, headers=HTMX)
    assert done.status_code == 200
    assert "Done. 1 number filed as Mobile" in in_one_line(done.text)
    assert names(done.text) == []


def test_a_number_is_corrected_in_place_and_a_wrong_one_is_refused_beside_it(
    client: FlaskClient, clinic: Clinic
) -> None:
    mia = a_person(clinic, "a", (PhoneType.MOBILE, "0491 570 15"))
    number = number_of(mia)
    path = f"/tidy-up/numbers/{number.id}"
    form = {"type": "Mobile", "seen": "Mobile 0491 570 15"}
    for headers in ({}, HTMX):
        refused = client.post(path, data=form | {"number": "0491 570 1"}, headers=headers)
        assert refused.status_code == 422
        assert f'id="number-{number.id}-problem" role="alert"' in refused.text
        assert "digits too few for Australia" in html.unescape(refused.text)
        assert 'value="0491 570 1"' in refused.text
    assert client.post(path, data=form | {"number": MOBILES[0]}).status_code == 303
    assert filed(mia) == [("Mobile", MOBILES[0])]
    client.post("/tidy-up/batches/1/undo")
    assert filed(mia) == [("Mobile", "0491 570 15")]  # as wrong as it was
    again = row(clinic, PhoneRow, number.id)
    assert (again.e164, again.kind) == (None, "not-a-number")


def test_a_landline_is_filed_as_home(client: FlaskClient, clinic: Clinic) -> None:
    mia = a_person(clinic, "a", (PhoneType.MOBILE, "02 5550 1234"))
    assert "File it as Home" in client.get("/tidy-up/numbers").text
    form = {"type": "Home", "number": "02 5550 1234", "seen": "Mobile 02 5550 1234"}
    client.post(f"/tidy-up/numbers/{number_of(mia).id}", data=form)
    assert filed(mia) == [("Home", "02 5550 1234")]


def test_a_mobile_is_added_for_who_cannot_be_reached_and_taken_away_again(
    client: FlaskClient, clinic: Clinic
) -> None:
    mia = a_person(clinic, "a")
    refused = client.post(f"/tidy-up/unreachable/{mia}", data={"number": "02 5550 1234"}, headers=HTMX)
    assert refused.status_code == 422
    assert "is a landline: file it as Home or Work." in refused.text
    client.post(f"/tidy-up/unreachable/{mia}", data={"number": MOBILES[0]})
    assert filed(mia) == [("Mobile", MOBILES[0])]
    client.post("/tidy-up/batches/1/undo")
    assert filed(mia) == []


# --- thirty at once -------------------------------------------------------------------------------------------


def file_thirty(client: FlaskClient, **which: Any) -> Any:
    """Choose, look, confirm; returns the answer."""
    check = client.post("/tidy-up/mobiles/check", data=which)
    assert check.status_code == 200
    return client.post(
        "/tidy-up/mobiles", data={"number": hidden(check.text, "number"), "seen": hidden(check.text, "seen")}
    )


def test_thirty_are_looked_at_filed_and_undone(client: FlaskClient, clinic: Clinic) -> None:
    people = thirty(clinic)
    check = client.post("/tidy-up/mobiles/check", data={"which": "all"})
    said = in_one_line(check.text)
    assert "30 numbers will be filed as Mobile." in said
    for i in range(30):
        assert f"0491 570 {100 + i} (Home) 0491 570 {100 + i} (Mobile)" in said
    assert {filed(one)[0][0] for one in people} == {"Home"}  # nothing is done by looking
    done = file_thirty(client, which="all")
    assert (done.status_code, done.location) == (303, "/tidy-up/batches/1")
    assert {filed(one)[0][0] for one in people} == {"Mobile"}
    shown = in_one_line(client.get("/tidy-up/batches/1").text)
    assert "30 numbers filed as Mobile By Dana Owner, today, 10:05am" in shown
    assert names(client.get("/tidy-up/mobiles").text) == []
    client.post("/tidy-up/batches/1/undo")
    assert {filed(one)[0][0] for one in people} == {"Home"}
    assert "Undone by Dana Owner, today, 10:05am: 30 numbers are as before." in in_one_line(
        client.get("/tidy-up/batches/1").text
    )
    assert len(names(client.get("/tidy-up/mobiles").text)) == 30


def test_undo_leaves_and_names_what_somebody_changed_since(client: FlaskClient, clinic: Clinic) -> None:
    people = thirty(clinic)
    file_thirty(client, which="all")
    how: dict[str, Any] = {"who": SOMEONE, "now": PASS_AT + timedelta(minutes=20)}
    changed = people[:5]
    for one in changed[:3]:
        change_number(clinic.id, one, number_of(one).id, "Mobile", MOBILES[0], **how)
    change_number(clinic.id, changed[3], number_of(changed[3]).id, "Work", filed(changed[3])[0][1], **how)
    remove_number(clinic.id, changed[4], number_of(changed[4]).id, **how)
    client.post("/tidy-up/batches/1/undo")
    page = client.get("/tidy-up/batches/1").text
    said = in_one_line(page)
    assert "25 numbers are as before. Left as they are, for somebody has changed them since:" in said
    left = page.partition('id="left"')[2].partition("</ul>")[0]
    assert re.findall(r"/patients/(\d+)", left) == [str(one) for one in changed]
    assert [filed(one) for one in changed[:3]] == [[("Mobile", MOBILES[0])]] * 3
    assert filed(changed[3])[0][0] == "Work"
    assert filed(changed[4]) == []
    assert {filed(one)[0][0] for one in people[5:]} == {"Home"}


def test_only_those_chosen_are_filed(client: FlaskClient, clinic: Clinic) -> None:
    people = thirty(clinic)
    chosen = [number_of(one).id for one in people[3:6]]
    file_thirty(client, number=chosen, which="chosen")
    assert [one for one in people if filed(one)[0][0] == "Mobile"] == people[3:6]


def test_what_was_mended_between_the_look_and_the_click_is_left(client: FlaskClient, clinic: Clinic) -> None:
    people = thirty(clinic)
    check = client.post("/tidy-up/mobiles/check", data={"which": "all"}).text
    first = number_of(people[0])
    change_number(clinic.id, people[0], first.id, "Home", MOBILES[0], who=SOMEONE, now=PASS_AT)
    done = client.post("/tidy-up/mobiles", data={"number": hidden(check, "number"), "seen": hidden(check, "seen")})
    assert done.location == "/tidy-up/batches/1?left=1"
    assert "1 number was left as it was" in in_one_line(client.get(done.location).text)
    assert filed(people[0]) == [("Home", MOBILES[0])]
    assert {filed(one)[0][0] for one in people[1:]} == {"Mobile"}
    again = client.post("/tidy-up/mobiles", data={"number": hidden(check, "number"), "seen": hidden(check, "seen")})
    assert again.status_code == 422
    assert "Somebody has mended them meanwhile: nothing was changed." in again.text


@pytest.mark.parametrize("path", ["/tidy-up/mobiles/check", "/tidy-up/mobiles"])
@pytest.mark.parametrize("number", [[], ["x", "-1", "0", str(10**30)], ["999"]])
def test_a_choice_of_nothing_is_refused_in_words(
    client: FlaskClient, clinic: Clinic, path: str, number: list[str]
) -> None:
    a_person(clinic, "a", (PhoneType.HOME, MOBILES[0]))
    answer = client.post(path, data={"number": number, "seen": ["Home 1"] * len(number)})
    assert answer.status_code == (200 if number == ["999"] and path.endswith("check") else 422)
    with store.reading(clinic.id) as session:
        assert session.scalars(select(Tidying)).all() == []
        assert session.scalars(select(TidiedNumber)).all() == []


# --- who may, and how much is asked ---------------------------------------------------------------------------


def test_a_practitioner_sees_nothing_of_it(client: FlaskClient, clinic: Clinic, app: Flask) -> None:
    practitioner = sign_in(visitor(app), Role.PRACTITIONER)
    assert practitioner.get("/tidy-up").status_code == 403
    assert "/tidy-up" not in practitioner.get("/patients").text
    assert 'href="/tidy-up"' in client.get("/patients").text


def test_another_practices_numbers_are_not_there(client: FlaskClient, clinic: Clinic, app: Flask) -> None:
    mia = a_person(clinic, "a", (PhoneType.HOME, MOBILES[0]))
    number = number_of(mia)
    Clinic("northgate")
    outsider = sign_in(visitor(app), practice_id="northgate")
    form = {"seen": f"Home {MOBILES[0]}", "number": [str(number.id)], "type": "Mobile"}
    assert names(outsider.get("/tidy-up/mobiles").text) == []
    for path in (f"/tidy-up/mobiles/{number.id}", f"/tidy-up/numbers/{number.id}", f"/tidy-up/unreachable/{mia}"):
        assert outsider.post(path, data=form).status_code == 404
    assert outsider.post("/tidy-up/mobiles", data=form).status_code == 422
    assert "Nothing is left to do" in outsider.post("/tidy-up/mobiles/check", data=form).text
    client.post(f"/tidy-up/mobiles/{number.id}", data=form)
    assert outsider.get("/tidy-up/batches/1").status_code == 404
    assert outsider.post("/tidy-up/batches/1/undo").status_code == 404
    assert row(clinic, Patient, mia).id == mia


@pytest.mark.parametrize(
    "path",
    [
        *("/tidy-up", "/tidy-up/types", "/tidy-up/mobiles?done=1", "/tidy-up/mobiles?others=1&before=99"),
        *("/tidy-up/numbers", "/tidy-up/unreachable", "/tidy-up/batches/1", "/tidy-up/batches/2"),
    ],
)
def test_each_page_takes_at_most_8_queries(client: FlaskClient, clinic: Clinic, path: str) -> None:
    thirty(clinic)
    a_person(clinic, "short", (PhoneType.MOBILE, "0491 570 15"))
    a_person(clinic, "nobody")
    for batch in (1, 2):
        people = client.get("/tidy-up/mobiles").text
        file_thirty(client, number=re.findall(r'name="number" value="(\d+)"', people)[:5], which="chosen")
        if batch == 2:
            client.post("/tidy-up/batches/2/undo")
    client.get(path)
    with counted_queries() as seen:
        assert client.get(path).status_code == 200
    assert len(seen) <= 8, seen
