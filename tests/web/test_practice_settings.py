"""The practice's own settings in the browser: said before they change, refused beside the field, kept from others."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from portal import store
from portal.actions.remind import run_pass
from portal.core.reminders import Preference
from portal.core.roles import Role
from portal.store.database import db
from portal.store.practices import Business, Practice, Practitioner
from tests.builders import PASS_AT, ZONE, Clinic, a_business, a_practice

from .conftest import sign_in, visitor
from .patients import in_one_line
from .test_today import counted_queries

HX = {"HX-Request": "true"}
TIMES, DEFAULT, SENDER = "/settings/sms/reminder-times", "/settings/sms/default-preference", "/settings/sms/sender"
COUNTRIES, NAME, CREDITS = "/settings/sms/countries", "/settings/sms/name", "/settings/sms/credits"
BUSINESS, PRACTITIONER = "/settings/businesses/1", "/settings/practitioners/1"
PATHS = (
    "/settings/sms",
    "/settings/businesses",
    "/settings/businesses/new",
    BUSINESS,
    "/settings/practitioners",
    PRACTITIONER,
)
POSTS = (TIMES, DEFAULT, SENDER, COUNTRIES, NAME, "/settings/businesses/new", BUSINESS, PATHS[4], PRACTITIONER)
with_and_without_scripts = pytest.mark.parametrize("headers", [HX, {}], ids=["scripts", "no scripts"])


@pytest.fixture(autouse=True)
def _without_tokens(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False


@pytest.fixture
def clinic(client: FlaskClient) -> Clinic:
    clinic = Clinic()
    for number in range(3):
        clinic.book(f"{number}", starts=f"2031-05-{8 + number:02} 09:30")
    return clinic


def the(model: Any, id_: Any = 1) -> Any:
    with store.reading("riverside") as session:
        return session.get_one(model, id_)


def practice() -> Practice:
    return the(Practice, "riverside")


def asked(client: FlaskClient, path: str, row: str, headers: dict[str, str], **fields: str) -> tuple[str, str]:
    """What is said before it is saved, and what a tick confirms."""
    answer = client.post(path, data={"row": row} | fields, headers=headers)
    assert answer.status_code == 422
    assert ("<html" in answer.text) is not bool(headers)
    assert "Nothing is changed yet" in answer.text
    confirms = re.search(r'name="confirm" value="([^"]*)"', answer.text[answer.text.index('class="effects"') :])
    assert confirms
    return in_one_line(answer.text), confirms[1]


def save(client: FlaskClient, path: str, row: str, headers: dict[str, str], **fields: str) -> str:
    """The page after it."""
    answer = client.post(path, data={"row": row} | fields, headers=headers)
    if not headers:
        assert answer.status_code == 303, in_one_line(answer.text)
        answer = client.get(answer.location)
    assert answer.status_code == 200, in_one_line(answer.text)
    return in_one_line(answer.text)


@with_and_without_scripts
def test_when_reminders_go_is_changed_only_as_it_was_read(
    client: FlaskClient, clinic: Clinic, headers: dict[str, str]
) -> None:
    says, confirms = asked(client, TIMES, "reminder-times", headers, window_start="10", lead_days="2")
    assert "1 reminder for the appointments of Thursday 8 May will not go by themselves" in says
    # Ticked, and then chosen otherwise: what that does was not read yet.
    asked(client, TIMES, "reminder-times", headers, window_start="10", lead_days="3", confirm=confirms)
    assert practice().lead_days == 1
    page = save(client, TIMES, "reminder-times", headers, window_start="10", lead_days="2", confirm=confirms)
    assert "Done. Reminders go 10am to 11am, retries until 3pm, 2 days ahead." in page
    assert "Changed by Dana Owner, today, 10:05am." in page
    assert practice().lead_days == 2
    refused = client.post(
        TIMES, data={"row": "reminder-times", "window_start": "3", "lead_days": "1"}, headers=headers
    )
    assert refused.status_code == 422
    assert "Choose an hour from 6am to 3pm." in refused.text
    assert re.search(
        r'name="window_start" aria-invalid="true" aria-describedby="reminder-times-problem"', refused.text
    )


@with_and_without_scripts
def test_the_default_says_whom_it_changes(client: FlaskClient, clinic: Clinic, headers: dict[str, str]) -> None:
    assert "3 patients have no wish of their own" in in_one_line(client.get("/settings/sms").text)
    says, confirms = asked(client, DEFAULT, "default-preference", headers, preference="SMS & Email")
    assert "It changes what 3 patients get, who have no wish of their own; 3 with appointments" in says
    assert confirms == "SMS &amp; Email"
    page = save(client, DEFAULT, "default-preference", headers, preference="SMS & Email", confirm="SMS & Email")
    assert "Done. Patients without a wish of their own get: SMS & Email." in page
    assert practice().default_preference is Preference.SMS_AND_EMAIL
    assert client.post(DEFAULT, data={"preference": "Fax"}, headers=headers).status_code == 422


@with_and_without_scripts
def test_the_sender_is_refused_or_asked_about(client: FlaskClient, clinic: Clinic, headers: dict[str, str]) -> None:
    refused = client.post(SENDER, data={"row": "sender", "sender": "<Riverside Clinic>"}, headers=headers)
    assert refused.status_code == 422
    assert "&#34;&lt;Riverside Clinic&gt;&#34; cannot be the sender: it must be" in refused.text
    assert 'value="&lt;Riverside Clinic&gt;" aria-invalid="true"' in refused.text
    says, confirms = asked(client, SENDER, "sender", headers, sender="0491 570 006")
    assert "Every text that has not gone yet comes from +61491570006" in says
    page = save(client, SENDER, "sender", headers, sender="0491 570 006", confirm=confirms)
    assert "Done. Texts come from 0491 570 006." in page
    assert practice().sender == "+61491570006"


def test_a_sender_that_cannot_be_in_the_country_is_said_on_the_page(client: FlaskClient, clinic: Clinic) -> None:
    clinic.change(clinic.practice, country="US")
    page = in_one_line(client.get("/settings/sms").text)
    assert "The United States takes no texts from a name. Use a number that your provider rents out to you" in page
    assert "It must be a number that your provider has registered for texts in the United States" in page


def test_a_name_that_must_be_registered_is_not_simply_well(client: FlaskClient, clinic: Clinic) -> None:
    clinic.change(clinic.practice, country="SG", sender="Riverside")
    assert "allowed, if registered" in client.get("/settings/sms").text
    clinic.change(clinic.practice, country="GB")
    assert "allowed, if registered" not in client.get("/settings/sms").text


@with_and_without_scripts
def test_countries_are_added_and_taken_away(client: FlaskClient, clinic: Clinic, headers: dict[str, str]) -> None:
    page = save(client, COUNTRIES, "countries", headers, sends_to="yes", country="GB")
    assert "Done. Texts go to numbers of Australia and the United Kingdom." in page
    says, confirms = asked(client, COUNTRIES, "countries", headers, sends_to="no", country="GB")
    assert "0 patients with a mobile number of the United Kingdom would get no text there any more." in says
    save(client, COUNTRIES, "countries", headers, sends_to="no", country="GB", confirm=confirms)
    assert practice().countries == {"AU"}
    assert client.post(COUNTRIES, data={"country": "XX", "sends_to": "yes"}, headers=headers).status_code == 422


@with_and_without_scripts
def test_the_practice_is_called_otherwise(client: FlaskClient, clinic: Clinic, headers: dict[str, str]) -> None:
    assert client.post(NAME, data={"row": "practice-name", "name": " "}, headers=headers).status_code == 422
    page = save(client, NAME, "practice-name", headers, name="<b>River</b>")
    assert "Done. The practice is called <b>River</b>." in page
    assert page.count("<b>River</b>") >= 2  # and in the heading of every page
    assert practice().name == "<b>River</b>"
    assert "<b>River" not in client.get("/settings/sms").text


def test_what_a_credit_is_and_who_adds_them(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    page = in_one_line(client.get("/settings/sms").text)
    assert "One credit pays for one part of a text. A part holds 160 letters, or 70" in page
    assert "Credits to add" in page
    a_practice("northgate")
    page = in_one_line(client.get("/settings/sms").text)
    assert "Credits of this practice are added by the system administrator. To top up, ask them." in page
    assert "Credits to add" not in page
    for headers in (HX, {}):
        answer = client.post(CREDITS, data={"amount": "5", "row": "credits"}, headers=headers)
        assert answer.status_code == 403
        assert "added by the system administrator only: ask for a top-up" in in_one_line(answer.text)
    assert practice().credits == 100


@with_and_without_scripts
def test_a_business_is_added_and_changed(client: FlaskClient, clinic: Clinic, headers: dict[str, str]) -> None:
    empty = client.post("/settings/businesses/new", data={"row": "details"}, headers=headers)
    assert empty.status_code == 422
    assert "The business needs a name." in empty.text
    fields = {"name": "South", "timezone": "Australia/Perth", "contact_number": "08 5550 1111"}
    answer = client.post("/settings/businesses/new", data={"row": "details"} | fields, headers=headers)
    own = answer.headers["HX-Redirect"] if headers else answer.location
    assert own == "/settings/businesses/2?row=added"
    page = in_one_line(client.get(own).text)
    assert "Done. Appointments can be made there, and their reminders are on." in page
    assert "Added by Dana Owner, today, 8:05am." in page
    assert "South" in client.get("/settings/businesses").text

    fields = {"name": "North", "timezone": "Australia/Perth", "contact_number": ""}
    says, confirms = asked(client, BUSINESS, "details", headers, **fields)
    assert "3 appointments to come keep their times as in the diary: 9:30am stays 9:30am, now of Perth." in says
    page = save(client, BUSINESS, "details", headers, **fields, confirm=confirms)
    assert "Done. The details are saved." in page
    assert (the(Business).name, the(Business).timezone) == ("North", "Australia/Perth")
    refused = client.post(BUSINESS, data=fields | {"row": "details", "contact_number": "none"}, headers=headers)
    assert refused.status_code == 422
    assert 'value="none" aria-invalid="true"' in refused.text


@with_and_without_scripts
def test_a_practitioner_is_added_and_renamed(client: FlaskClient, clinic: Clinic, headers: dict[str, str]) -> None:
    refused = client.post(PATHS[4], data={"row": "add", "first_name": "Mary"}, headers=headers)
    assert refused.status_code == 422
    assert "A practitioner has a last name" in refused.text
    assert 'value="Mary"' in refused.text
    fields = {"title": "Ms", "first_name": "Mary", "last_name": "Abel"}
    answer = client.post(PATHS[4], data={"row": "add"} | fields, headers=headers)
    assert (answer.headers["HX-Redirect"] if headers else answer.location) == "/settings/practitioners/2?row=added"
    page = save(client, PRACTITIONER, "name", headers, title="", first_name="Helen", last_name="O'Marsh")
    assert "Done." in page
    assert "Changed by Dana Owner, today, 10:05am." in page
    assert the(Practitioner).full_name == "Helen O'Marsh"
    listed = in_one_line(client.get(PATHS[4]).text)
    assert listed.index("Ms Mary Abel") < listed.index("Helen O'Marsh")


def test_a_practitioner_is_not_added_twice(client: FlaskClient, clinic: Clinic) -> None:
    fields = {"row": "add", "title": "Ms", "first_name": "Mary", "last_name": "Abel"}
    assert client.post(PATHS[4], data=fields).status_code == 303
    refused = client.post(PATHS[4], data=fields | {"last_name": " Abel "})
    assert refused.status_code == 422
    assert "There is a practitioner called Ms Mary Abel already" in refused.text
    assert in_one_line(client.get(PATHS[4]).text).count("Ms Mary Abel") == 1
    assert client.post(PATHS[4], data=fields | {"first_name": "Mary B."}).status_code == 303


@pytest.mark.parametrize("role", [Role.RECEPTION, Role.PRACTITIONER])
def test_only_the_owner_opens_and_changes_them(app: Flask, at_pass_time: None, role: Role) -> None:
    Clinic()
    client = sign_in(visitor(app), role)
    for path in PATHS:
        assert client.get(path).status_code == 403, path
    for path in POSTS:
        assert client.post(path, data={"name": "X", "last_name": "X"}).status_code == 403, path
    assert (practice().name, the(Business).name) == ("Riverside", "North Clinic")


def test_rows_of_another_practice_are_not_there(app: Flask, at_pass_time: None) -> None:
    Clinic()
    Clinic("northgate")
    outsider = sign_in(visitor(app), practice_id="northgate")
    fields = {"name": "X", "timezone": ZONE, "confirm": ZONE, "last_name": "X"}
    for path in (BUSINESS, PRACTITIONER):
        assert outsider.get(path).status_code == 404
        assert outsider.post(path, data=fields).status_code == 404
    assert the(Business).name == "North Clinic"
    assert the(Practitioner).last_name == "Marsh"


@pytest.mark.parametrize("path", PATHS)
def test_each_page_takes_at_most_8_queries(client: FlaskClient, clinic: Clinic, path: str) -> None:
    with store.transaction(clinic.id) as session:
        for number in range(5):
            a_business(session, external_id=f"x{number}", name=f"Business {number}")
    client.get(path)  # what is asked once, when the portal starts
    with counted_queries() as seen:
        assert client.get(path).status_code == 200
    assert len(seen) <= 8, seen


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_patients_without_a_wish_are_counted_by_an_index(client: FlaskClient, clinic: Clinic) -> None:
    statements: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    with store.reading(clinic.id) as session:
        days = (PASS_AT.date(), PASS_AT.date() + timedelta(days=7))
        store.reminders.count_reach(session, clinic.id, {clinic.business.id: days})
    event.remove(db.engine, "before_cursor_execute", note)
    ((statement, parameters),) = [one for one in statements if one[0].startswith("SELECT")]
    with db.engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert any("COVERING INDEX ix_patients_preference" in row for row in plan), plan
    assert not [row for row in plan if re.match(r"SCAN (patients|appointments|messages)", row)], plan


@with_and_without_scripts
def test_hours_and_share_are_shown_with_who_and_when(
    client: FlaskClient, clinic: Clinic, headers: dict[str, str]
) -> None:
    for path, row, fields in (
        ("/settings/sms/hours", "hours", {"begin": "9", "end": "18"}),
        ("/settings/sms/alarm-share", "alarm-share", {"share": "30"}),
    ):
        page = save(client, path, row, headers, **fields)
        assert "Changed by Dana Owner, today, 10:05am. Done." in page
    for path, row, field in (
        ("/settings/sms/hours", "hours", "begin"),
        ("/settings/sms/alarm-share", "alarm-share", "share"),
    ):
        assert client.post(path, data={"row": row, field: "x"}, headers=headers).status_code == 422


def test_where_credits_are_lacking_it_says_who_adds_them(client: FlaskClient, clinic: Clinic) -> None:
    clinic = Clinic("lakeside", credits=0)
    clinic.book("poor")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    owner = sign_in(visitor(client.application), practice_id="lakeside")
    page = owner.get("/appointments/4").text
    assert "Credits are added by the system administrator: ask them for a top-up." in page
    assert CREDITS not in page
