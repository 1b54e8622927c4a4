"""Appointment types by the page: added, renamed, and given a template that is written in place."""

import html

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import store
from portal.core.roles import Role
from portal.store.changes import Change
from portal.store.practices import AppointmentType, SmsTemplate
from tests.builders import Clinic, a_practice, a_type

from .conftest import sign_in, visitor
from .patients import HTMX, in_one_line

PAGE, TYPE = "/settings/appointment-types", "/settings/appointment-types/1"
WRITTEN = {"name": "For needles", "text": "Hi {{Patient.FirstName}}"}


@pytest.fixture
def clinic(client: FlaskClient, enqueued: list[int]) -> Clinic:
    clinic = Clinic()
    clinic.book("a")
    return clinic


def types() -> list[AppointmentType]:
    with store.reading("riverside") as session:
        return list(session.scalars(select(AppointmentType).order_by(AppointmentType.id)))


def changes() -> list[tuple[str, str, str]]:
    with store.reading("riverside") as session:
        found = session.scalars(select(Change).where(Change.subject == "appointment-type").order_by(Change.id))
        return [(one.field, one.before, one.after) for one in found]


@pytest.mark.parametrize("headers", [HTMX, {}], ids=["scripts", "no scripts"])
def test_a_type_is_added_and_renamed(client: FlaskClient, clinic: Clinic, headers: dict[str, str]) -> None:
    new = {"row": "new", "name": " Dry  needling ", "minutes": "45", "template": "1"}
    answer = client.post(PAGE, data=new, headers=headers)
    assert answer.status_code == (200 if headers else 303)
    page = in_one_line(answer.text if headers else client.get(answer.location).text)
    assert "Dry needling 45 minutes" in page and "Done. It is added." in page
    answer = client.post(f"{PAGE}/2", data={"row": "2", "name": "Needles", "minutes": "1"}, headers=headers)
    assert answer.status_code == (200 if headers else 303)
    (_, added) = types()
    assert (added.name, added.duration_minutes, added.reminder_template_id) == ("Needles", 1, 1)
    assert changes() == [
        ("name", "", "Dry needling"),
        ("reminder_template", "None", "Short"),
        ("name", "Dry needling", "Needles"),
        ("duration", "45 minutes", "1 minute"),
    ]
    assert types()[0].staff_changed is None
    client.post(TYPE, data={"name": "First visit", "minutes": "30"})
    assert types()[0].staff_changed == {"name": "Initial consultation"}  # an import leaves it to the staff


REFUSED = {
    "no name": ({"name": " "}, "Give the appointment type a name."),
    "odd name": ({"name": "a\0b"}, "cannot be shown"),
    "long name": ({"name": "x" * 101}, "at most 100 characters"),
    "taken name": ({"name": "massage"}, "There is another appointment type of that name"),
    "no minutes": ({"minutes": ""}, "a whole number from 1 to 1,440"),
    "minutes of none": ({"minutes": "0"}, "a whole number from 1 to 1,440"),
    "too long": ({"minutes": "1441"}, "a whole number from 1 to 1,440"),
    "no number": ({"minutes": "²"}, "a whole number from 1 to 1,440"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_saved_is_refused_in_words(client: FlaskClient, clinic: Clinic, case: str) -> None:
    fields, says = REFUSED[case]
    with store.transaction(clinic.id) as session:
        a_type(session, None, external_id="2", name="Massage")
    for path, row in ((PAGE, "new"), (TYPE, "1")):
        for headers in (HTMX, {}):
            answer = client.post(path, data={"row": row, "name": "New", "minutes": "30"} | fields, headers=headers)
            assert answer.status_code == 422
            assert says in html.unescape(answer.text) and 'aria-invalid="true"' in answer.text
    answer = client.post(PAGE, data={"row": "new", "name": "New", "minutes": "30", "template": "99"})
    assert answer.status_code == 422 and "not there any more" in answer.text
    assert [one.name for one in types()] == ["Initial consultation", "Massage"] and changes() == []


@pytest.mark.parametrize("headers", [HTMX, {}], ids=["scripts", "no scripts"])
def test_a_template_is_written_in_place_and_used_at_once(
    client: FlaskClient, clinic: Clinic, headers: dict[str, str]
) -> None:
    with store.transaction(clinic.id) as session:
        type_ = a_type(session, None, external_id="2", name="Dry needling")
    write = f"/settings/templates/new?type={type_.id}"
    assert f'href="{write}"' in client.get(PAGE).text
    form = client.get(f"{write}&place=here", headers=headers).text
    assert ("<html" in form) is not bool(headers)
    assert ('id="text-2"' in form) is bool(headers)  # of which a page may have several
    assert "Use it for Dry needling" in form
    typed = {"type": str(type_.id), "place": "here"} | WRITTEN
    refused = client.post("/settings/templates", data=typed | {"text": "{{ 7*7 }}"}, headers=headers)
    assert refused.status_code == 422 and "is not a placeholder" in refused.text
    answer = client.post("/settings/templates", data=typed, headers=headers)
    where = answer.headers["HX-Redirect"] if headers else answer.location
    assert (answer.status_code, where) == (204 if headers else 303, f"{PAGE}?row={type_.id}")
    assert "Appointment reminder SMS: For needles" in client.get(where).text
    used = types()[1].reminder_template_id
    with store.reading(clinic.id) as session:
        assert session.get_one(SmsTemplate, used).body == WRITTEN["text"]
    assert changes() == [("reminder_template", "None", "For needles")]


def test_the_diagnosis_leads_to_writing_one_and_back(client: FlaskClient, clinic: Clinic) -> None:
    clinic.change(clinic.type, reminder_template_id=None)
    page = html.unescape(client.get("/appointments/1").text)
    write = "/settings/templates/new?type=1&next=/appointments/1?mended%3Dno-template"
    assert write in page
    assert 'name="next" value="/appointments/1?mended=no-template"' in client.get(write).text
    typed = {"type": "1", "next": "/appointments/1?mended=no-template"} | WRITTEN
    answer = client.post("/settings/templates", data=typed)
    assert (answer.status_code, answer.location) == (303, "/appointments/1?mended=no-template")
    assert "Done. Mia's reminder goes" in in_one_line(client.get(answer.location).text)
    elsewhere = client.post("/settings/templates", data=typed | {"name": "Other", "next": "//evil.example"})
    assert elsewhere.location == f"{PAGE}?row=1"


def test_many_types_come_in_pages_and_each_form_leads_back_to_its_own(client: FlaskClient, clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        for number in range(2, 62):
            a_type(session, None, external_id=str(number), name=f"Type {number:02}")
    assert client.get(PAGE).text.count("<article") == 50
    last = client.post(f"{PAGE}/61/template", data={"row": "61", "template": "1"}, headers=HTMX)
    assert last.text.count("<article") == 11 and "use this template." in last.text


def test_a_new_practice_adds_its_first_type(client: FlaskClient, enqueued: list[int]) -> None:
    a_practice()
    assert "There is no appointment type yet. Add them here" in client.get(PAGE).text
    assert client.post(PAGE, data={"row": "new", "name": "Visit", "minutes": "20"}).status_code == 303


@pytest.mark.parametrize("role", [Role.RECEPTION, Role.PRACTITIONER])
def test_only_the_owner_changes_types(app: Flask, clinic: Clinic, role: Role) -> None:
    client = sign_in(visitor(app), role)
    for path in (PAGE, TYPE):
        assert client.post(path, data={"name": "New", "minutes": "30"}).status_code == 403
    outsider = sign_in(visitor(app), practice_id="northgate")
    Clinic("northgate")
    assert outsider.post(TYPE, data={"name": "New", "minutes": "30"}).status_code == 404
    assert types()[0].name == "Initial consultation"
