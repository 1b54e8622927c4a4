"""Why no SMS: each cause is found, mended in its place, and the next pass sends. On both databases."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from portal import store
from portal.actions.remind import run_pass
from portal.core.numbers import PhoneType
from portal.core.reasons import Reason
from portal.core.reminders import Preference, Sending
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.changes import Change, Subject
from portal.store.database import db
from portal.store.messages import Message
from portal.store.patients import OptOut, OptOutSource
from portal.store.practices import Business
from tests.builders import MOBILES, PASS_AT, Clinic, a_business, a_number

from .conftest import sign_in, visitor

HOUR = timedelta(hours=1)
HX = {"HX-Request": "true"}
CONSENT = {"note": "asked on the phone", "confirm": "yes"}


@dataclass
class Form:
    """A mending form of the page, as a browser would send it."""

    action: str
    fields: dict[str, str]


def forms(page: str) -> list[Form]:
    found = []
    for action, inside in re.findall(r'<form class="mend[^>]*action="([^"]*)"[^>]*>(.*?)</form>', page, re.DOTALL):
        fields = {}
        for tag in re.findall(r"<input[^>]*>", inside):
            attributes = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
            if attributes.get("type") in ("radio", "checkbox") and " checked" not in tag:
                continue
            fields[attributes["name"]] = unescape(attributes.get("value", ""))
        found.append(Form(unescape(action), fields))
    return found


def the_form(page: str, ending: str) -> Form:
    (form,) = [form for form in forms(page) if form.action.endswith(ending)]
    return form


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def status_of(clinic: Clinic) -> tuple[Status, tuple[Reason, ...]]:
    with store.reading(clinic.id) as session:
        message = session.scalars(select(Message)).one()
        return message.status, message.reasons


@dataclass(frozen=True)
class Cause:
    """`make` brings a clinic into it; the form that ends in `form`, with `typed`, mends it."""

    code: Reason
    make: Callable[[], Clinic]
    form: str
    typed: dict[str, str]
    says: str
    noted: tuple[Subject, str] | None


def _refiled() -> Clinic:
    clinic = Clinic()
    appointment = clinic.book("a", patient={"mobile": None})
    with store.transaction(clinic.id) as session:
        patient = session.get_one(store.patients.Patient, appointment.patient_id)
        a_number(session, patient, MOBILES[2], PhoneType.HOME)
    return clinic


def _booked(patient: dict[str, Any] | None = None, **clinic: Any) -> Callable[[], Clinic]:
    def make() -> Clinic:
        made = Clinic(**clinic)
        made.book("a", patient=patient)
        return made

    return make


def _without_template() -> Clinic:
    clinic = _booked()()
    clinic.change(clinic.type, reminder_template_id=None)
    return clinic


def _opted_out(**values: Any) -> Callable[[], Clinic]:
    def make() -> Clinic:
        clinic = Clinic(sender="+61480000001")
        appointment = clinic.book("a")
        whose = {} if "e164" in values else {"patient_id": appointment.patient_id}
        with store.transaction(clinic.id) as session:
            session.add(OptOut(recorded_at=PASS_AT - HOUR, **whose | values))
        return clinic

    return make


CAUSES = [
    Cause(
        Reason.SENDING_OFF,
        _booked(sending=Sending.PAUSED),
        "/sending/resume",
        {"confirm": "yes"},
        "Paused.",
        (Subject.PRACTICE, "sending"),
    ),
    Cause(
        Reason.BUSINESS_REMINDERS_OFF,
        _booked(business={"sms_reminders": False}),
        "/reminders",
        {},
        "North Clinic sends no appointment reminders.",
        (Subject.BUSINESS, "sms_reminders"),
    ),
    Cause(
        Reason.NO_TEMPLATE,
        _without_template,
        "/template",
        {"template": "1"},
        "has Appointment reminder SMS set to None.",
        (Subject.APPOINTMENT_TYPE, "reminder_template"),
    ),
    Cause(
        Reason.NO_MOBILE_NUMBER,
        _refiled,
        "/file-as-mobile",
        {},
        "Mia has 0491 570 156, filed as Home: it is a mobile.",
        (Subject.PATIENT, "number"),
    ),
    Cause(
        Reason.NO_MOBILE_NUMBER,
        _booked({"mobile": None}),
        "/numbers",
        {"number": MOBILES[1]},
        "Mia has no phone number.",
        (Subject.PATIENT, "number"),
    ),
    Cause(
        Reason.INVALID_MOBILE_NUMBER,
        _booked({"mobile": "0491 570 15"}),
        "/numbers/1",
        {"number": MOBILES[2]},
        "has a digit too few for Australia.",
        (Subject.PATIENT, "number"),
    ),
    Cause(
        Reason.PREFERS_EMAIL,
        _booked({"preference": Preference.EMAIL}),
        "/preference",
        {"preference": "SMS & Email"} | CONSENT,
        "Mia's own preference is Email.",
        (Subject.PATIENT, "preference"),
    ),
    Cause(
        Reason.PREFERS_NONE,
        _booked(default_preference=Preference.NONE),
        "/preference",
        {"preference": "SMS"} | CONSENT,
        "the practice's default is None.",
        (Subject.PATIENT, "preference"),
    ),
    Cause(
        Reason.OPTED_OUT,
        _opted_out(source=OptOutSource.STAFF),
        "/lift",
        CONSENT,
        "Recorded today at 9am.",
        (Subject.PATIENT, "opt-out"),
    ),
    Cause(
        Reason.PATIENT_ARCHIVED,
        _booked({"archived": True}),
        "/restore",
        CONSENT,
        "Archived patients are not texted.",
        (Subject.PATIENT, "archived"),
    ),
    Cause(
        Reason.NO_CREDITS,
        _booked(credits=0),
        "/settings/sms/credits",
        {"amount": "500", "reference": "invoice 7"},
        "This message needs 1 credit; 0 are left.",
        (Subject.PRACTICE, "credits"),
    ),
]


@pytest.fixture(autouse=True)
def _without_tokens(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: f"{cause.code}-{cause.form.strip('/')}".replace("/", "-"))
@pytest.mark.parametrize("with_scripts", [True, False], ids=["scripts", "no scripts"])
def test_each_cause_is_found_and_mended_in_its_place_and_then_sent(
    client: FlaskClient, cause: Cause, with_scripts: bool
) -> None:
    clinic = cause.make()
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert status_of(clinic)[1] == (cause.code,)
    page = client.get("/appointments/1").text
    assert cause.says in text_of(page)
    assert page.count('class="crossed"') == 1

    form = the_form(page, cause.form)
    answer = client.post(form.action, data=form.fields | cause.typed, headers=HX if with_scripts else {})
    if with_scripts:
        assert answer.status_code == 200, answer.text
        assert "<html" not in answer.text
    else:
        assert (answer.status_code, answer.location) == (303, f"/appointments/1?mended={cause.code}")
        answer = client.get(answer.location)
    assert 'class="crossed"' not in answer.text
    assert "Done. Mia's reminder goes at 11am today." in text_of(answer.text)
    assert "No longer so." in text_of(answer.text)
    assert "by Dana Owner today at 10:05am." in text_of(answer.text)
    if cause.noted:
        with store.reading(clinic.id) as session:
            change = session.scalars(select(Change)).one()
        assert (change.subject, change.field) == cause.noted
        assert change.note == cause.typed.get("note", cause.typed.get("reference", ""))

    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert status_of(clinic) == (Status.QUEUED, ())


def test_while_rehearsing_it_leads_to_going_live(client: FlaskClient) -> None:
    clinic = _booked(sending=Sending.REHEARSAL)()
    run_pass(clinic.id, PASS_AT, PASS_AT)
    page = client.get("/appointments/1").text
    assert "You are rehearsing" in text_of(page)
    assert '<a href="/going-live">Go live …</a>' in page
    assert "/sending/resume" not in page


def test_a_message_mends_in_the_same_way_and_leads_back_to_itself(client: FlaskClient) -> None:
    clinic = _refiled()
    run_pass(clinic.id, PASS_AT, PASS_AT)
    form = the_form(client.get("/communications/1").text, "/file-as-mobile")
    answer = client.post(form.action, data=form.fields)
    assert answer.location == "/communications/1?mended=no-mobile-number"
    assert "Done. Mia's reminder goes at 11am today." in text_of(client.get(answer.location).text)
    with_scripts = client.post(form.action, data=form.fields, headers=HX).text
    assert 'value="/communications/1?mended=' in with_scripts or "<form" not in with_scripts


# --- wishes, refusals, roles --------------------------------------------------------------------------------


WISHES = [cause for cause in CAUSES if "confirm" in cause.typed and cause.code is not Reason.SENDING_OFF]


@pytest.mark.parametrize("lacking", ["note", "confirm"])
@pytest.mark.parametrize("cause", [cause for cause in WISHES if "default" not in cause.says], ids=lambda c: c.code)
def test_what_may_be_the_patients_wish_asks_for_a_note_and_the_patients_word(
    client: FlaskClient, cause: Cause, lacking: str
) -> None:
    clinic = cause.make()
    run_pass(clinic.id, PASS_AT, PASS_AT)
    page = client.get("/appointments/1").text
    assert "Ask before you" in text_of(page) or "ask before you" in text_of(page)
    form = the_form(page, cause.form)
    typed = {name: value for name, value in cause.typed.items() if name != lacking}
    answer = client.post(form.action, data=form.fields | typed, headers=HX)
    assert answer.status_code == 422
    assert 'id="diagnosis-1"' in answer.text
    assert 'class="problem"' in answer.text
    assert "Done." not in answer.text
    assert '<details class="mend-more" open>' in answer.text
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert status_of(clinic)[1] == (cause.code,)


def test_who_set_a_preference_when_and_why_is_said_before_it_can_be_changed(client: FlaskClient) -> None:
    clinic = Clinic()
    appointment = clinic.book("a", patient={"preference": Preference.EMAIL})
    with store.transaction(clinic.id) as session:
        session.add(
            Change(
                at=PASS_AT - 4 * 24 * HOUR,
                user_id=2,
                by="Dana Reception",
                subject=Subject.PATIENT,
                subject_id=appointment.patient_id,
                field="preference",
                before="SMS",
                after="Email",
                note="asked for email",
            )
        )
    said = text_of(client.get("/appointments/1").text)
    assert 'Set by Dana Reception on Saturday 3 May: "asked for email".' in said
    assert said.index("asked for email") < said.index("Change preference")


def test_a_number_that_cannot_be_right_is_said_beside_its_field(client: FlaskClient) -> None:
    _booked({"mobile": "0491 570 15"})()
    form = the_form(client.get("/appointments/1").text, "/numbers/1")
    answer = client.post(form.action, data=form.fields | {"number": "0491 570"}, headers=HX)
    assert answer.status_code == 422
    assert 'value="0491 570"' in answer.text
    assert 'aria-invalid="true" autofocus' in answer.text


@pytest.mark.parametrize("source", [OptOutSource.REPLY, OptOutSource.CARRIER])
def test_an_opt_out_that_staff_did_not_record_cannot_be_lifted_here(
    client: FlaskClient, source: OptOutSource
) -> None:
    _opted_out(source=source, e164="+61491570006")()
    page = client.get("/appointments/1").text
    assert "Nobody at the practice can lift it" in text_of(page)
    assert "texts START" in text_of(page) and "to 0480 000 001" in text_of(page)
    assert forms(page) == []
    assert client.post("/patients/1/opt-outs/1/lift", data=CONSENT, headers=HX).status_code in (404, 422)


def test_what_still_stands_in_the_way_is_said_after_a_mend(client: FlaskClient) -> None:
    clinic = Clinic(credits=0)
    clinic.book("a", patient={"archived": True})
    form = the_form(client.get("/appointments/1").text, "/settings/sms/credits")
    said = text_of(client.post(form.action, data=form.fields | {"amount": "5"}, headers=HX).text)
    assert "Done. Still in the way: Mia is archived." in said


ROLES = [
    (Role.RECEPTION, "/settings/sms/credits", False),
    (Role.RECEPTION, "/restore", True),
    (Role.PRACTITIONER, "/settings/sms/credits", False),
    (Role.PRACTITIONER, "/restore", False),
]


@pytest.mark.parametrize(("role", "form", "may"), ROLES)
def test_who_may_not_mend_it_sees_who_can(app: Flask, at_pass_time: None, role: Role, form: str, may: bool) -> None:
    clinic = Clinic(credits=0)
    clinic.book("a", patient={"archived": True})
    client = sign_in(visitor(app), role)
    page = client.get("/appointments/1").text
    assert any(one.action.endswith(form) for one in forms(page)) is may
    assert "Dana Owner can mend this." in text_of(page)
    if role is Role.PRACTITIONER:
        assert "Dana Owner or Dana Reception can mend this." in text_of(page)


def test_a_form_without_its_token_is_refused(app: Flask, client: FlaskClient) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    clinic = _booked(business={"sms_reminders": False})()
    page = client.get("/appointments/1").text
    form = the_form(page, "/reminders")
    fields = {name: value for name, value in form.fields.items() if name != "csrf_token"}
    assert client.post(form.action, data=fields).status_code == 400
    with store.reading(clinic.id) as session:
        assert not session.scalars(select(Business)).one().sms_reminders
    assert client.post(form.action, data=form.fields).status_code == 303


def test_another_practices_appointment_is_not_there_also_for_a_form(app: Flask, at_pass_time: None) -> None:
    _booked()()
    Clinic("northgate")
    outsider = sign_in(visitor(app), practice_id="northgate")
    assert outsider.get("/appointments/1").status_code == 404
    fields = {"reminders": "on", "appointment": "1", "mended": "business-reminders-off"}
    answer = outsider.post("/settings/businesses/2/reminders", data=fields, headers=HX)
    assert answer.status_code == 404
    for appointment in ("x", "-1", "9" * 30):
        answer = outsider.post(
            "/settings/businesses/2/reminders", data=fields | {"appointment": appointment}, headers=HX
        )
        assert answer.status_code == 404


@pytest.mark.parametrize("next_", ["https://example.org/", "//example.org", "/\\example.org", "javascript:alert(1)"])
def test_a_form_leads_inside_only(client: FlaskClient, next_: str) -> None:
    _booked(business={"sms_reminders": False})()
    answer = client.post("/settings/businesses/1/reminders", data={"reminders": "on", "next": next_})
    assert answer.location == "/settings/businesses"


# --- the past ---------------------------------------------------------------------------------------------


def test_what_was_sent_says_what_to_tell_support(client: FlaskClient) -> None:
    clinic = _booked()()
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.transaction(clinic.id) as session:
        message = session.scalars(select(Message)).one()
        message.status, message.provider_id, message.sent_at = Status.SENT, "abc-123", PASS_AT
    said = text_of(client.get("/appointments/1").text)
    assert "Message number 1 Provider's id abc-123" in said
    assert "0491 570 006 is still their number" in said


def test_the_past_is_told_as_it_was_recorded(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = _refiled()
    run_pass(clinic.id, PASS_AT, PASS_AT)
    form = the_form(client.get("/appointments/1").text, "/file-as-mobile")
    client.post(form.action, data=form.fields)
    said = text_of(client.get("/appointments/1").text)
    assert "Today at 10am, not sent: No mobile number on file" in said
    assert "0491 570 156 is filed as Mobile. Changed by Dana Owner today at 10:05am." in said


# --- hostile input, and how much is asked of the database ---------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "x" * 5000,
    "\u202eآدم\u202c",
    "{{ 7*7 }}",
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_harmless(client: FlaskClient, name: str) -> None:
    clinic = Clinic(credits=0, sending=Sending.REHEARSAL, business={"name": name, "sms_reminders": False})
    clinic.change(clinic.template, name=name)
    clinic.change(clinic.type, name=name, reminder_template_id=None)
    person = {"first_name": name, "last_name": name, "mobile": name[:200], "preference": Preference.EMAIL}
    appointment = clinic.book("a", patient=person)
    with store.transaction(clinic.id) as session:
        session.add(OptOut(source=OptOutSource.STAFF, patient_id=appointment.patient_id, recorded_at=PASS_AT - HOUR))
    run_pass(clinic.id, PASS_AT, PASS_AT)
    for path in (
        "/appointments/1",
        "/appointments",
        "/settings/businesses",
        "/settings/appointment-types",
        "/settings/sms",
    ):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert "x" * 600 not in re.sub(r' value="[^"]*"', "", answer.text)  # a form holds it whole


def count_queries(client: FlaskClient, path: str) -> int:
    asked: list[str] = []

    def note(*arguments: Any) -> None:
        if not arguments[2].startswith(("SAVEPOINT", "PRAGMA", "BEGIN")):
            asked.append(arguments[2])

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert client.get(path).status_code == 200
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return len(asked)


@pytest.mark.parametrize("role", [Role.OWNER, Role.RECEPTION, Role.PRACTITIONER])
def test_a_page_asks_the_database_at_most_8_times(app: Flask, at_pass_time: None, role: Role) -> None:
    clinic = Clinic(credits=0, sending=Sending.PAUSED, business={"sms_reminders": False})
    clinic.change(clinic.type, reminder_template_id=None)
    with store.transaction(clinic.id) as session:
        second = a_business(session, external_id="2", name="South Clinic")
    for number in range(60):
        own = {"business": second} if number % 2 else {}
        clinic.book(f"{number:02}", patient={"mobile": "0491 570 15", "preference": Preference.EMAIL}, **own)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    client = sign_in(visitor(app), role)
    paths = ["/appointments/1", "/communications/1", "/appointments", "/appointments?business=2"]
    if role is Role.OWNER:
        paths += ["/settings/businesses", "/settings/appointment-types", "/settings/sms"]
    client.get("/appointments")  # what is asked once in a process's life has been asked
    asked = {path: count_queries(client, path) for path in paths}
    assert max(asked.values()) <= 8, asked
