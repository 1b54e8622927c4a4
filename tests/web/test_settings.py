"""The settings that stop reminders: turned off only when asked, undone as easily, and each change noted."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import store
from portal.actions.credits import MOST_AT_ONCE, top_up
from portal.actions.remind import run_pass
from portal.actions.sending import switch_sending
from portal.core.reminders import Sending
from portal.core.roles import Role
from portal.store.changes import Change
from portal.store.messages import Message
from portal.store.practices import AppointmentType, Business
from tests.builders import PASS_AT, Clinic, a_practice, a_template

from .conftest import sign_in, visitor

HX = {"HX-Request": "true"}
BUSINESS, TYPE = "/settings/businesses/1/reminders", "/settings/appointment-types/1/template"
SENDING, CREDITS = "/settings/sms/sending", "/settings/sms/credits"


@pytest.fixture(autouse=True)
def _without_tokens(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False


def changes(clinic: Clinic) -> list[tuple[str, str, str, str, str]]:
    with store.reading(clinic.id) as session:
        found = session.scalars(select(Change).order_by(Change.id))
        return [(one.by, one.field, one.before, one.after, one.note) for one in found]


def the(clinic: Clinic, model: Any) -> Any:
    with store.reading(clinic.id) as session:
        return session.scalars(select(model)).first()


def balance(clinic: Clinic) -> int:
    with store.reading(clinic.id) as session:
        return store.practices.get_practice(session, clinic.id).credits


@pytest.fixture
def clinic(client: FlaskClient) -> Clinic:
    clinic = Clinic()
    for number in range(3):
        clinic.book(f"{number}", starts=f"2031-05-{8 + number:02} 09:30")
    clinic.book("cancelled", cancelled_at=PASS_AT)
    clinic.book("far", starts="2031-05-15 09:30")
    return clinic


@pytest.mark.parametrize("headers", [HX, {}], ids=["scripts", "no scripts"])
def test_a_business_is_switched_off_only_when_asked_and_on_again_at_once(
    client: FlaskClient, clinic: Clinic, headers: dict[str, str]
) -> None:
    assert "It would stop up to 3 reminders in the next 7 days" in client.get("/settings/businesses").text
    asked = client.post(BUSINESS, data={"reminders": "off", "row": "1"}, headers=headers)
    assert asked.status_code == 422
    assert "Tick that its patients are to get no reminders." in asked.text
    assert the(clinic, Business).sms_reminders

    for word, fields in (("off", {"confirm": "yes"}), ("on", {})):
        answer = client.post(BUSINESS, data={"reminders": word, "row": "1"} | fields, headers=headers)
        if not headers:
            assert (answer.status_code, answer.location) == (303, "/settings/businesses?row=1")
            answer = client.get(answer.location)
        assert answer.status_code == 200
        assert ("<html" in answer.text) is not bool(headers)
        assert f"Switched {word} by Dana Owner, today, 10:05am." in answer.text
        assert "<strong>Done.</strong> 3 reminders in the next 7 days" in answer.text
        assert the(clinic, Business).sms_reminders is (word == "on")
    client.post(BUSINESS, data={"reminders": "on"})  # nothing changes, nothing is noted
    assert changes(clinic) == [
        ("Dana Owner", "sms_reminders", "On", "Off", ""),
        ("Dana Owner", "sms_reminders", "Off", "On", ""),
    ]
    assert the(clinic, Business).staff_changed == {"sms_reminders": True}  # an import leaves it to the staff


@pytest.mark.parametrize("headers", [HX, {}], ids=["scripts", "no scripts"])
def test_a_type_gets_another_template_or_none(client: FlaskClient, clinic: Clinic, headers: dict[str, str]) -> None:
    with store.transaction(clinic.id) as session:
        other = a_template(session, external_id="2", name="Longer")
        draft = a_template(session, external_id="3", name="Draft", problem="{{ Nonsense }} is unknown.")
    refused = [
        ({"template": str(draft.id)}, "a draft that cannot be used"),
        ({"template": "99"}, "not there any more"),
        ({"template": ""}, "Choose a template."),
        ({"template": "x"}, "Choose a template."),
        ({"template": "9" * 30}, "Choose a template."),
        ({"template": "none"}, "Tick that these appointments are to get no reminders."),
    ]
    for fields, says in refused:
        answer = client.post(TYPE, data={"row": "1"} | fields, headers=headers)
        assert answer.status_code == 422, fields
        assert says in answer.text
    assert "Draft" not in client.get("/settings/appointment-types").text

    for fields in ({"template": str(other.id)}, {"template": "none", "confirm": "yes"}, {"template": str(other.id)}):
        answer = client.post(TYPE, data={"row": "1"} | fields, headers=headers)
        assert answer.status_code == (200 if headers else 303)
    page = client.get("/settings/appointment-types").text
    assert "Appointment reminder SMS: Longer" in page
    assert "Chosen by Dana Owner, today, 10:05am." in page
    assert [one[1:4] for one in changes(clinic)] == [
        ("reminder_template", "Short", "Longer"),
        ("reminder_template", "Longer", "None"),
        ("reminder_template", "None", "Longer"),
    ]
    assert the(clinic, AppointmentType).reminder_template_id == other.id


def test_a_draft_says_why_it_cannot_be_used(client: FlaskClient, clinic: Clinic) -> None:
    clinic.change(clinic.template, problem="{{ Nonsense }} is unknown.")
    page = client.get("/settings/appointment-types").text
    assert "It is a draft that cannot be used: {{ Nonsense }} is unknown." in page
    assert "There is no template that can be used." in page


@pytest.mark.parametrize("headers", [HX, {}], ids=["scripts", "no scripts"])
def test_the_main_switch_asks_both_ways(client: FlaskClient, clinic: Clinic, headers: dict[str, str]) -> None:
    assert "It would stop up to 3 reminders in the next 7 days" in client.get("/settings/sms").text
    for wanted in ("paused", "on", "rehearsal"):
        asked = client.post(SENDING, data={"sending": wanted, "row": "sending"}, headers=headers)
        assert asked.status_code == 422
        assert "Tick that " in asked.text
        fields = {"sending": wanted, "confirm": "yes", "row": "sending"}
        assert client.post(SENDING, data=fields, headers=headers).status_code == (200 if headers else 303)
    assert client.post(SENDING, data={"sending": "x", "confirm": "yes"}, headers=headers).status_code == 422
    assert [one[1:4] for one in changes(clinic)] == [
        ("sending", "on", "paused"),
        ("sending", "paused", "on"),
        ("sending", "on", "rehearsal"),
    ]
    page = client.get("/settings/sms").text
    assert "Set to rehearsal by Dana Owner, today, 10:05am." in page
    assert "Go live …" in page


@pytest.mark.parametrize("headers", [HX, {}], ids=["scripts", "no scripts"])
def test_a_top_up_has_its_reference_and_whose_it_is(
    client: FlaskClient, clinic: Clinic, headers: dict[str, str]
) -> None:
    for amount in ("", "0", "-5", "x", "1.5", "9" * 40, str(MOST_AT_ONCE + 1), "²"):
        answer = client.post(CREDITS, data={"amount": amount, "row": "credits"}, headers=headers)
        assert answer.status_code == 422, amount
        assert "A top-up is a whole number from 1 to 1,000,000." in answer.text
    answer = client.post(CREDITS, data={"amount": "5", "reference": "r" * 201, "row": "credits"}, headers=headers)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert balance(clinic) == 100

    fields = {"amount": "1,500", "reference": "invoice <7>", "row": "credits"}
    answer = client.post(CREDITS, data=fields, headers=headers)
    page = answer.text if headers else client.get(answer.location).text
    assert "The balance is 1,600 credits." in page
    assert "Top-up: invoice &lt;7&gt;" in page
    assert "+1,500" in page
    assert page.count("Dana Owner") >= 1
    assert changes(clinic) == [("Dana Owner", "credits", "100", "1600", "invoice <7>")]


def test_a_change_on_the_command_line_is_an_administrators(client: FlaskClient, clinic: Clinic) -> None:
    top_up(clinic.id, 50, "by hand", PASS_AT)
    switch_sending(clinic.id, Sending.PAUSED, PASS_AT)
    page = " ".join(client.get("/settings/sms").text.split())
    assert "Paused by an administrator, today, 10am." in page
    assert '<td role="cell" data-label="By">an administrator</td>' in page
    assert "Paused by an administrator today." in client.get("/appointments/1").text


def test_the_ledger_is_paged(client: FlaskClient) -> None:
    clinic = Clinic(credits=1)
    for number in range(60):
        client.post(CREDITS, data={"amount": "1", "reference": f"number {number}"})
    page = client.get("/settings/sms").text
    assert page.count("Top-up: number") == 50
    older = client.get("/settings/sms?before=12").text
    assert older.count("Top-up: number") == 10
    assert "Opening balance" in older
    assert balance(clinic) == 61


def test_rows_of_another_practice_are_not_changed(app: Flask, at_pass_time: None) -> None:
    mine, theirs = Clinic(), Clinic("northgate")
    outsider = sign_in(visitor(app), practice_id="northgate")
    assert outsider.post(BUSINESS, data={"reminders": "off", "confirm": "yes"}).status_code == 404
    assert outsider.post(TYPE, data={"template": "none", "confirm": "yes"}).status_code == 404
    own_type = f"/settings/appointment-types/{theirs.type.id}/template"
    assert outsider.post(own_type, data={"template": str(mine.template.id)}).status_code == 422
    assert the(mine, Business).sms_reminders
    assert changes(mine) == changes(theirs) == []


@pytest.mark.parametrize("role", [Role.RECEPTION, Role.PRACTITIONER])
def test_only_the_owner_changes_settings(app: Flask, at_pass_time: None, role: Role) -> None:
    clinic = Clinic(sending=Sending.PAUSED)
    client = sign_in(visitor(app), role)
    for path in ("/settings/sms", "/settings/businesses", "/settings/appointment-types"):
        assert client.get(path).status_code == 403
    for path in (BUSINESS, TYPE, SENDING, CREDITS):
        assert client.post(path, data={"amount": "5", "sending": "on", "confirm": "yes"}).status_code == 403
    assert changes(clinic) == []


def test_an_empty_practice_is_told_what_to_do(client: FlaskClient) -> None:
    a_practice(credits=0)
    assert "There is no business yet. Add one here" in client.get("/settings/businesses").text
    assert "There is no practitioner yet. Add one here" in client.get("/settings/practitioners").text
    assert "There must be credits before the first reminders go." in client.get("/settings/sms").text


def test_what_the_provider_bills_otherwise_is_listed_beside_the_ledger(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a")
    clinic.book("b")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert "Billed otherwise" not in client.get("/settings/sms").text
    with store.transaction(clinic.id) as session:
        for id_, parts in ((1, 2), (2, 1)):
            message = session.get_one(Message, id_)
            message.billed_parts, message.billed_price, message.billed_currency = parts, 51_200 * parts, "EUR"
    page = client.get("/settings/sms").text
    listed = page[page.index("Billed otherwise") : page.index("What was added and taken")]
    assert "Message 1</a>" in listed and "0.1024 EUR" in listed
    assert "Message 2</a>" not in listed
