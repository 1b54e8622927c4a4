"""The forms that add, move, cancel and un-cancel an appointment, and that add a patient; on both databases."""

import re
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock, store
from portal.actions.booking import state_of
from portal.actions.remind import run_pass
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.appointments import Appointment
from portal.store.patients import Patient
from tests.builders import MOBILES, PASS_AT, Clinic, a_business, a_patient

from .conftest import form_token, sign_in, visitor
from .patients import HTMX, Case, in_one_line, noted
from .test_diagnosis import count_queries

WITHDRAWN = "The text that waits is withdrawn, and 1 credit comes back."


@pytest.fixture
def clinic(client: FlaskClient) -> Clinic:
    clinic = Clinic()
    clinic.book("a", patient={"date_of_birth": date(1980, 5, 4)})
    return clinic


def filled(clinic: Clinic, **values: Any) -> dict[str, str]:
    own = {"business": clinic.business.id, "practitioner": clinic.practitioner.id, "type": clinic.type.id}
    return {name: str(value) for name, value in (own | {"day": "2031-05-08", "time": "09:30"} | values).items()}


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, (name, page)
    return unescape(found[1])


def send(client: FlaskClient, path: str, at: str, form: dict[str, str], **options: Any) -> Any:
    page = client.get(at)
    assert page.status_code == 200
    return client.post(path, data={"csrf_token": form_token(page.text), **form}, **options)


def save(client: FlaskClient, path: str, form: dict[str, str], at: str | None = None, kept: str = "form_id") -> Any:
    """Without scripts: the form is answered with what it does, and sent again by its second button."""
    page = client.get(at or path)
    token = {"csrf_token": form_token(page.text), kept: hidden(page.text, kept)}
    checked = client.post(path, data=token | form)
    assert checked.status_code == 200
    return client.post(path, data=token | form | {"effect": hidden(checked.text, "effect"), "do": "save"})


def appointment(id_: int = 1) -> Appointment:
    with store.reading("riverside") as session:
        return session.get_one(Appointment, id_)


# --- adding -------------------------------------------------------------------------------------------------


def test_from_the_day_to_the_patient_to_the_appointment(client: FlaskClient, clinic: Clinic) -> None:
    day = client.get("/appointments?day=2031-05-09").text
    assert 'href="/appointments/new?day=2031-05-09"' in day
    whose = "/appointments/new?day=2031-05-09"
    assert "Whose is it?" in client.get(whose).text
    found = send(client, "/appointments/new/patient", whose, {"q": "ngu", "day": "2031-05-09"})
    assert "born 4 May 1980 · 0491 570 006" in in_one_line(found.text)
    form = "/appointments/new?patient=1&day=2031-05-09"
    assert form in unescape(found.text)
    page = client.get(form).text
    assert 'value="2031-05-09"' in page
    assert '<option value="1">North Clinic' in page  # there is no other
    answer = save(client, "/appointments/new", filled(clinic, patient=1, day="2031-05-09", time="14:00"), form)
    assert (answer.status_code, answer.location) == (303, "/appointments/2?done=added")
    page = in_one_line(client.get(answer.location).text)
    assert "Done. It is added." in page
    assert "Friday 9 May, 2pm" in page
    assert "Added for Friday 9 May 2031, 2pm, North Clinic by Dana Owner today at 10:05am ." in page
    assert "Number in the export" not in page


def test_the_form_says_what_it_does_before_it_saves(client: FlaskClient, clinic: Clinic) -> None:
    at = "/appointments/new?patient=1"
    page = send(client, "/appointments/new", at, filled(clinic, patient=1, time="14:00", do="check"))
    assert page.status_code == 200
    assert "tomorrow, 2pm to 2:30pm, North Clinic (Sydney time) Mia is reminded today before 11am." in in_one_line(
        page.text
    )
    assert "Add the appointment</button>" in page.text
    # Saving without having read it, or for another time than was read, shows it first.
    for form in ({}, {"effect": hidden(page.text, "effect"), "day": "2031-05-20"}):
        answer = send(client, "/appointments/new", at, filled(clinic, patient=1) | {"do": "save"} | form)
        assert answer.status_code == 422
        assert "It was not saved. What saving does has changed since it was shown." in in_one_line(answer.text)
        assert hidden(answer.text, "effect")
    assert client.get("/appointments/2").status_code == 404


def test_that_the_patient_has_one_at_that_time_is_said_and_not_refused(client: FlaskClient, clinic: Clinic) -> None:
    clinic.book("b", patient={"first_name": "Ben"}, starts="2031-05-08 14:00")
    at, path, says = (
        "/appointments/new?patient=1",
        "/appointments/new",
        "Mia has an appointment at that time already.",
    )
    for time, is_said in (("09:30", True), ("14:00", False)):
        page = send(client, path, at, filled(clinic, patient=1, time=time, do="check"))
        assert (says in page.text) is is_said
        answer = save(client, path, filled(clinic, patient=1, time=time), at)
        assert answer.status_code == 303
    moved = "/appointments/1/move"
    for time, is_said in (("14:00", True), ("15:00", False)):
        page = send(client, moved, moved, filled(clinic, time=time, do="check"))
        assert (says in page.text) is is_said
    clinic.change(appointment(4), cancelled_at=PASS_AT)
    assert says not in send(client, moved, moved, filled(clinic, time="14:00", do="check")).text


def test_what_a_form_says_anew_after_it_was_saved_is_refused_once_and_then_added(
    client: FlaskClient, clinic: Clinic
) -> None:
    at, path = "/appointments/new?patient=1", "/appointments/new"
    page = client.get(at).text
    first = {"csrf_token": form_token(page), "form_id": hidden(page, "form_id")} | filled(clinic, patient=1)
    first |= {"effect": hidden(client.post(path, data=first).text, "effect"), "do": "save"}
    assert client.post(path, data=first).location == "/appointments/2?done=added"  # an answer that is lost
    other = first | {"time": "14:00"}
    answer = client.post(path, data=other)
    assert answer.status_code == 422
    assert "It was not saved. This form has added one already: Thursday 8 May 2031, 9:30am." in answer.text
    again = other | {name: hidden(answer.text, name) for name in ("form_id", "effect")}
    assert client.post(path, data=again).location == "/appointments/3?done=added"
    assert f"{appointment(3).starts_wall:%H:%M}" == "14:00"


def test_while_it_is_filled_in_the_effect_alone_is_answered(client: FlaskClient, clinic: Clinic) -> None:
    at, path = "/appointments/new?patient=1", "/appointments/new/effect"
    answer = send(client, path, at, filled(clinic, patient=1, time=""), headers=HTMX)
    assert answer.status_code == 200
    assert in_one_line(answer.text) == "Type the time, as 9:30am or 09:30. See what it does to the reminder"
    answer = send(client, path, at, filled(clinic, patient=1), headers=HTMX)
    assert "Mia is reminded today before 11am." in answer.text
    assert "<main" not in answer.text
    answer = send(client, "/appointments/1/move/effect", "/appointments/1/move", filled(clinic), headers=HTMX)
    assert "Change what is to be another" in answer.text


@pytest.mark.parametrize(
    ("field", "values", "says"),
    [
        ("time", {"time": ""}, "Type the time"),
        ("day", {"day": "tomorrow"}, "Choose the day."),
        ("practitioner", {"practitioner": ""}, "Choose the practitioner."),
        ("business", {"business": "9" * 30}, "Choose the business."),
        ("type", {"type": "x"}, "Choose the appointment type."),
        ("time", {"day": "2031-10-05", "time": "02:30"}, "past this time: it never comes"),
        ("which", {"day": "2031-04-06", "time": "02:30"}, "this time comes twice that day. Say which it is."),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_is_wrong_is_said_beside_the_field(
    client: FlaskClient, clinic: Clinic, field: str, values: dict[str, Any], says: str, headers: dict[str, str]
) -> None:
    for path, at in (
        ("/appointments/new", "/appointments/new?patient=1"),
        ("/appointments/1/move", "/appointments/1/move"),
    ):
        answer = send(client, path, at, filled(clinic, patient=1) | values, headers=headers)
        assert answer.status_code == 422
        assert ("<main" in answer.text) is not bool(headers)
        problem = re.search(rf'id="{field}-problem"[^>]*>([^<]*)', answer.text)
        assert problem, answer.text
        assert says in unescape(problem[1])
        for name in ("day", "time"):
            if name in values:
                assert f'value="{values[name]}"' in answer.text  # nothing that was typed is lost


def test_of_a_time_that_comes_twice_the_form_asks_which(client: FlaskClient, clinic: Clinic) -> None:
    form = filled(clinic, patient=1, day="2031-04-06", time="02:30", which="second")
    answer = save(client, "/appointments/new", form, "/appointments/new?patient=1")
    assert answer.status_code == 303
    assert appointment(2).starts_at.hour == 16
    assert 'value="second" checked' in client.get("/appointments/2/move").text


def test_with_scripts_the_browser_is_sent_to_the_appointment(client: FlaskClient, clinic: Clinic) -> None:
    at = "/appointments/new?patient=1"
    form = filled(clinic, patient=1, day="2031-05-09")
    key = hidden(send(client, "/appointments/new", at, form).text, "effect")
    answer = send(client, "/appointments/new", at, form | {"effect": key, "do": "save"}, headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/appointments/2?done=added")


def test_without_what_it_is_made_of_nothing_can_be_added(client: FlaskClient) -> None:
    case = Case(client)
    with store.transaction(case.clinic.id) as session:
        session.delete(session.get_one(type(case.clinic.type), case.clinic.type.id))
    assert "not all of these are there yet" in client.get(f"/appointments/new?patient={case.id}").text


# --- moving and cancelling ----------------------------------------------------------------------------------


def test_moving_says_what_becomes_of_the_text_that_waits(client: FlaskClient, clinic: Clinic) -> None:
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert "Move or change" in client.get("/appointments/1").text
    page = in_one_line(client.get("/appointments/1/move").text)
    assert "It is now tomorrow, 9:30am , Initial consultation, North Clinic." in page
    checked = send(client, "/appointments/1/move", "/appointments/1/move", filled(clinic, time="15:00"))
    assert f"{WITHDRAWN} Mia is reminded today at 11am." in in_one_line(checked.text)
    answer = save(client, "/appointments/1/move", filled(clinic, time="15:00"), kept="seen")
    assert (answer.status_code, answer.location) == (303, "/appointments/1?done=changed")
    page = in_one_line(client.get(answer.location).text)
    assert "Moved from Thursday 8 May 2031, 9:30am to Thursday 8 May 2031, 3pm by Dana Owner today" in page
    assert "Next try: today at 11am." in page


def test_cancelling_and_un_cancelling(client: FlaskClient, clinic: Clinic) -> None:
    run_pass(clinic.id, PASS_AT, PASS_AT)
    page = client.get("/appointments/1/cancel")
    assert WITHDRAWN in in_one_line(page.text)
    form = {"seen": hidden(page.text, "seen"), "effect": hidden(page.text, "effect")}
    answer = send(client, "/appointments/1/cancel", "/appointments/1/cancel", form)
    assert (answer.status_code, answer.location) == (303, "/appointments/1?done=cancelled")
    page = client.get(answer.location)
    assert "Un-cancel …" in page.text
    assert "Move or change" not in page.text
    assert "It is cancelled already." in client.get("/appointments/1/cancel").text
    page = client.get("/appointments/1/un-cancel")
    assert "Mia is reminded today at 11am." in page.text
    form = {"seen": hidden(page.text, "seen"), "effect": hidden(page.text, "effect")}
    answer = send(client, "/appointments/1/un-cancel", "/appointments/1/un-cancel", form, headers=HTMX)
    assert answer.headers["HX-Redirect"] == "/appointments/1?done=un-cancelled"
    assert appointment().cancelled_at is None
    told = in_one_line(client.get("/appointments/1").text)
    assert "Un-cancelled by Dana Owner today at 10:05am . Cancelled by Dana Owner today at 10:05am ." in told


def test_who_was_slower_sees_how_it_stands_now_and_loses_nothing(client: FlaskClient, clinic: Clinic) -> None:
    page = client.get("/appointments/1/move").text
    seen = {"csrf_token": form_token(page), "seen": hidden(page, "seen")}
    mine = filled(clinic, time="15:00")
    key = hidden(client.post("/appointments/1/move", data=seen | mine).text, "effect")
    assert save(client, "/appointments/1/move", filled(clinic, time="11:00"), kept="seen").status_code == 303
    answer = client.post("/appointments/1/move", data=seen | mine | {"effect": key, "do": "save"})
    assert answer.status_code == 422
    shown = in_one_line(answer.text)
    assert "It was not saved. It has been changed since you opened this page." in shown
    assert "It is now tomorrow, 11am" in shown
    assert "Moved from Thursday 8 May 2031, 9:30am to Thursday 8 May 2031, 11am by Dana Owner" in shown
    assert 'name="time" value="15:00"' in answer.text
    again = seen | mine | {name: hidden(answer.text, name) for name in ("seen", "effect")} | {"do": "save"}
    assert client.post("/appointments/1/move", data=again).status_code == 303
    assert (appointment().revision, f"{appointment().starts_wall:%H}") == (2, "15")


def test_what_happened_while_a_form_was_open_is_shown_first(client: FlaskClient, clinic: Clinic) -> None:
    page = client.get("/appointments/1/cancel").text
    form = {name: hidden(page, name) for name in ("seen", "effect", "csrf_token")}
    run_pass(clinic.id, PASS_AT, PASS_AT)
    for headers in ({}, HTMX):
        answer = client.post("/appointments/1/cancel", data=form, headers=headers)
        assert answer.status_code == 422
        assert "What saving does has changed since it was shown." in answer.text
        assert WITHDRAWN in in_one_line(answer.text)
    assert appointment().cancelled_at is None


def test_a_cancelled_one_is_un_cancelled_first(client: FlaskClient, clinic: Clinic) -> None:
    clinic.change(appointment(), cancelled_at=PASS_AT - timedelta(hours=1))
    form = filled(clinic, time="15:00", do="save", seen=state_of(appointment()))
    answer = send(client, "/appointments/1/move", "/appointments/1", form)
    assert answer.status_code == 422
    assert "It is cancelled: un-cancel it first, then move it." in in_one_line(answer.text)


# --- who, and whose -----------------------------------------------------------------------------------------

PAGES = ("/appointments/new?patient=1", "/appointments/1/move", "/appointments/1/cancel", "/appointments/1/un-cancel")


def test_practitioners_read_and_change_nothing(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    for role, status in ((Role.OWNER, 200), (Role.RECEPTION, 200), (Role.PRACTITIONER, 403)):
        somebody = sign_in(visitor(app), role)
        for path in (*PAGES, "/patients/new", "/appointments/new"):
            assert somebody.get(path).status_code == status, (role, path)
        for path in ("/appointments", "/appointments/1", "/patients", "/patients/1"):
            page = somebody.get(path)
            assert page.status_code == 200
            assert ("/new" in page.text or "/move" in page.text) is (status == 200), (role, path)


def test_another_practices_rows_are_not_there(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    other = Clinic("northgate")
    with store.transaction(other.id) as session:
        own = a_patient(session, "own")
    outsider = sign_in(visitor(app), Role.OWNER, "northgate")
    app.config["WTF_CSRF_ENABLED"] = False
    for path in PAGES:
        assert outsider.get(path).status_code == 404, path
        assert outsider.post(path, data=filled(other, patient=1)).status_code == 404, path
    page = outsider.get(f"/appointments/new?patient={own.id}").text
    assert "North Clinic" in page
    for name in ("business", "practitioner", "type"):
        assert page.count(f'<select id="{name}"') == 1
        assert page.count("<option") == 3
    form = filled(clinic, patient=own.id)
    assert outsider.post("/appointments/new", data=form).status_code == 422


def test_each_page_takes_at_most_8_queries(client: FlaskClient, clinic: Clinic) -> None:
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.transaction(clinic.id) as session:
        for number in range(30):
            a_business(session, external_id=f"b{number}", name=f"Business {number}")
    client.get("/appointments")
    for path in (*PAGES, "/patients/new", "/appointments/new", "/appointments/1", "/appointments"):
        assert count_queries(client, path) <= 8, path


# --- adding a patient ---------------------------------------------------------------------------------------

MIA: dict[str, Any] = {"first_name": "Mia", "last_name": "Nguyen", "born": "1980-05-04", "email": "mia@example.org"}


def add(client: FlaskClient, *, headers: dict[str, str] | None = None, **form: Any) -> Any:
    page = client.get("/patients/new").text
    own = {"csrf_token": form_token(page), "form_id": hidden(page, "form_id")}
    return client.post("/patients/new", data=own | form, headers=headers)


def patient(id_: int) -> Patient:
    with store.reading("riverside") as session:
        return session.get_one(Patient, id_)


def test_a_patient_is_added_and_found(client: FlaskClient) -> None:
    clinic = Clinic()
    assert "Add a patient" in client.get("/patients").text
    answer = add(client, **MIA, number="0491 570 156", preference="SMS")
    assert (answer.status_code, answer.location) == (303, "/patients/1")
    page = in_one_line(client.get(answer.location).text)
    assert "Born 4 May 1980 · mia@example.org · Added in the portal" in page
    assert "0491 570 156" in page
    assert "Added in the portal, by Dana Owner" in page
    assert "Mia Nguyen" in client.get("/patients?q=ngu").text
    assert [change[1] for change in noted(clinic, 1)] == ["added"]
    assert patient(1).external_id.startswith("portal-")


def test_a_form_that_comes_twice_adds_one_patient(client: FlaskClient) -> None:
    Clinic()
    page = client.get("/patients/new").text
    form = {"csrf_token": form_token(page), "form_id": hidden(page, "form_id")} | MIA
    assert [client.post("/patients/new", data=form).location for _ in range(2)] == ["/patients/1"] * 2


@pytest.mark.parametrize(
    "typed", [{"first_name": "Ada"}, {"born": ""}, {"number": "0491 570 157"}, {"number": ""}, {"preference": "None"}]
)
def test_another_patient_in_a_form_that_was_saved_is_refused_once_and_then_added(
    client: FlaskClient, typed: dict[str, str]
) -> None:
    Clinic()
    page = client.get("/patients/new").text
    own = {"csrf_token": form_token(page), "form_id": hidden(page, "form_id")}
    first = own | MIA | {"number": "0491 570 156"}
    assert client.post("/patients/new", data=first).location == "/patients/1"  # an answer that is lost
    answer = client.post("/patients/new", data=first | typed)
    assert answer.status_code == 422
    assert "This form has added a patient already." in answer.text
    assert 'href="/patients/1"' in answer.text
    again = first | typed | {"form_id": hidden(answer.text, "form_id"), "confirm": "yes"}
    assert client.post("/patients/new", data=again).location == "/patients/2"


@pytest.mark.parametrize(
    ("field", "values", "says"),
    [
        ("last_name", {"first_name": " ", "last_name": ""}, "Type the name."),
        ("first_name", {"first_name": "x" * 201}, "at most 200 characters"),
        ("born", {"born": "4 May"}, "Type the birth date as a date."),
        ("born", {"born": "2031-05-20"}, "That day is still to come."),
        ("email", {"email": "at home"}, "This is no email address."),
        ("number", {"number": "02 5550 1234"}, "file it as Home or Work"),
        ("preference", {"preference": "Fax"}, "Choose the practice's default"),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_is_wrong_with_a_patient_is_said(
    client: FlaskClient, field: str, values: dict[str, Any], says: str, headers: dict[str, str]
) -> None:
    Clinic()
    answer = add(client, headers=headers, **MIA | values)
    assert answer.status_code == 422
    problem = re.search(rf'id="new-{field}-problem"[^>]*>([^<]*)', answer.text)
    assert problem, answer.text
    assert says in unescape(problem[1])
    assert 'value="Nguyen"' in answer.text or "last_name" in values


@pytest.mark.parametrize(
    ("there", "typed"),
    [
        ({"date_of_birth": date(1980, 5, 4), "mobile": None}, {}),
        ({"mobile": None}, {}),  # whose birth date nobody knows
        ({"date_of_birth": date(1980, 5, 4), "mobile": None}, {"born": "", "first_name": "MIA"}),
        ({"first_name": "Noah", "mobile": MOBILES[1]}, {"number": "+61 491 570 110"}),
    ],
)
def test_who_is_there_already_is_shown_first(
    client: FlaskClient, there: dict[str, Any], typed: dict[str, Any]
) -> None:
    case = Case(client, **there)
    answer = add(client, **MIA | typed)
    assert answer.status_code == 422
    assert "This may be somebody who is there already." in answer.text
    assert f'href="/patients/{case.id}"' in answer.text
    assert add(client, **MIA | typed, confirm="yes").status_code == 303


def test_the_likeliest_is_shown_first_with_what_is_the_same(client: FlaskClient) -> None:
    """However many share the number. And each opens beside the form, which keeps what was typed."""
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        mia = a_patient(session, "mia", mobile=None, date_of_birth=date(1980, 5, 4)).id
        nobody_knows = a_patient(session, "unknown", mobile=MOBILES[1]).id
        family = [a_patient(session, f"f{n}", first_name=f"F{n}", mobile=MOBILES[1]).id for n in range(5)]
    page = add(client, **MIA, number="0491 570 110").text
    alike = page[page.index('id="alike"') :]
    shown = re.findall(r'<a href="/patients/(\d+)" target="_blank">.*?<span class="quiet">(same [^·<]*[^·< ])', alike)
    wanted = [(mia, "same name and birth date"), (nobody_knows, "same name and number")]
    wanted += [(one, "same number") for one in family[:1:-1]]
    assert shown == [(str(id_), same) for id_, same in wanted]


def test_another_birth_date_is_another_person(client: FlaskClient) -> None:
    Case(client, date_of_birth=date(1981, 5, 4))
    assert add(client, **MIA).status_code == 303


def test_from_the_appointment_to_the_new_patient_and_back(client: FlaskClient, clinic: Clinic) -> None:
    page = send(client, "/appointments/new/patient", "/appointments/new", {"q": "nobody", "day": "2031-05-09"}).text
    path = re.search(r'href="(/patients/new[^"]*)"', page)
    assert path
    form = client.get(unescape(path[1])).text
    wanted = hidden(form, "next")
    answer = add(client, **MIA | {"first_name": "Ada"}, next=wanted)
    assert answer.location == "/appointments/new?day=2031-05-09&patient=2"
    assert "for Ada Nguyen" in in_one_line(client.get(answer.location).text)
    answer = add(client, headers=HTMX, **MIA | {"first_name": "Bea"}, next="//elsewhere.example")
    assert answer.headers["HX-Redirect"] == "/patients/3"


def test_a_patient_of_today_is_texted(client: FlaskClient) -> None:
    """From nobody to a reminder that waits, by forms alone."""
    clinic = Clinic()
    add(client, **MIA, number="0491 570 156")
    save(client, "/appointments/new", filled(clinic, patient=1), "/appointments/new?patient=1")
    at = clock.now()
    done = run_pass(clinic.id, at, at)
    assert done is not None
    assert done.queued == 1
    with store.reading(clinic.id) as session:
        (message,) = session.scalars(select(store.messages.Message))
        assert (message.status, message.to) == (Status.QUEUED, "+61491570156")
