"""The Today page: who will be reached and who will not, with what mends it; the alarm; the worklist; the credits."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from portal import clock, store
from portal.actions import today
from portal.actions.remind import run_pass
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference, Sending
from portal.core.roles import Role
from portal.store.database import db
from portal.store.patients import PhoneRow
from portal.web.access import UNATTENDED
from tests.builders import (
    MOBILES,
    PASS_AT,
    Clinic,
    a_business,
    a_number,
    a_patient,
    a_practice,
    a_template,
    a_type,
    a_user,
    an_appointment,
)

from .conftest import sign_in, visitor

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FRAGMENT = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture(autouse=True)
def no_tokens(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False


def set_clock(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    monkeypatch.setattr(clock, "_offset", timedelta())
    clock.start_at(at)


def come_back(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    """Hours later, signed in anew."""
    set_clock(monkeypatch, at)
    with client.session_transaction() as session:
        session.pop("seen_at", None)
        session.pop("began_at", None)


def text_of(answer: Any) -> str:
    """What a person reads, in one line."""
    assert answer.status_code == 200, answer.status_code
    page = re.sub(r"<(script|style|head)\b.*?</\1>", " ", answer.get_data(as_text=True), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def read(client: FlaskClient, path: str = "/") -> str:
    return text_of(client.get(path))


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")):
            seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield seen
    event.remove(db.engine, "before_cursor_execute", note)


def test_an_empty_practice_is_told_what_to_do_first(app: Flask, client: FlaskClient) -> None:
    a_practice()
    page = read(client)
    assert "There is no business yet" in page
    assert "Import the practice's export" in page
    for part in ("worklist", "credits", "chart"):
        assert client.get(f"/today/{part}").status_code == 200


def test_before_the_first_pass_everyone_is_counted(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic()
    for i in range(3):
        clinic.book(str(i))
    set_clock(monkeypatch, PASS_AT - 72 * timedelta(minutes=1))
    page = read(client)
    assert "Tomorrow, Thursday 8 May" in page
    assert "reminders go today at 10am (in 1 h 11 min)" in page
    assert "All 3 patients with appointments tomorrow will be texted." in page
    assert "Reminders have not run yet." in page


def test_after_the_pass_it_says_who_was_texted_and_when_the_next_try_is(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = Clinic()
    clinic.book("1")
    clinic.book("2", patient={"mobile": None, "first_name": "Noah"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    page = read(client)
    assert "the next try is today at 11am (in 54 min)" in page
    assert "1 is being texted" in page
    assert "1 will not, unless mended" in page
    assert "1 has no number filed as Mobile" in page
    assert "Noah Nguyen" in page
    assert "Reminders last ran today at 10am: 1 handed over for sending, 1 not sent, 0 failed." in page


def test_whoever_has_two_appointments_is_one_patient_already_texted(client: FlaskClient) -> None:
    clinic = Clinic()
    first = clinic.book("1")
    with store.reading(clinic.id) as session:
        twice = session.get_one(store.patients.Patient, first.patient_id)
    with store.transaction(clinic.id) as session:
        own = {"business": clinic.business, "practitioner": clinic.practitioner, "type": clinic.type}
        an_appointment(session, "2", patient=twice, starts="2031-05-08 15:00", **own)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clinic.book("3", booked_at=PASS_AT + timedelta(minutes=1))
    assert "are texted: 1 already, 1 with the next reminders" in read(client)


def a_clinic_with_every_cause() -> Clinic:
    clinic = Clinic(credits=2)
    with store.transaction(clinic.id) as session:
        off = a_business(session, external_id="off", name="South Clinic", sms_reminders=False)
        bare = a_type(session, None, external_id="bare", name="Dry needling")
        filed = a_patient(session, "filed", mobile=None, first_name="Filed")
        a_number(session, filed, MOBILES[1], PhoneType.HOME)
        landline = a_patient(session, "landline", mobile=None, first_name="Landline")
        a_number(session, landline, "02 5550 1234", PhoneType.HOME)
    clinic.book("fine")
    clinic.book("off", business=off)
    clinic.book("bare", type=bare)
    for person in (filed, landline):
        with store.transaction(clinic.id) as session:
            an_appointment(
                session,
                f"of {person.external_id}",
                business=clinic.business,
                practitioner=clinic.practitioner,
                type=clinic.type,
                patient=person,
            )
    clinic.book("wrong", patient={"mobile": "0491 570 15"})
    clinic.book("email", patient={"preference": Preference.EMAIL})
    clinic.book("none", patient={"preference": Preference.NONE})
    clinic.book("archived", patient={"archived": True})
    clinic.book("poor", starts="2031-05-08 15:00", patient={"first_name": "P" * 150})
    clinic.book("second", starts="2031-05-08 14:00", patient={"preference": Preference.SMS})
    return clinic


def test_each_cause_is_a_group_with_its_fix_in_place(client: FlaskClient) -> None:
    a_clinic_with_every_cause()
    page = read(client)
    assert "2 will be texted" in page
    assert "6 will not, unless mended" in page
    assert "1 at South Clinic, which sends no reminders" in page
    assert "Switch on for South Clinic" in page
    assert "1 for “Dry needling”, which has no SMS template" in page
    assert "2 have no number filed as Mobile" in page
    assert "Filed Nguyen has 0491 570 110, a mobile filed as something else." in page
    assert "File it as Mobile" in page
    assert "1 has a mobile number that cannot be right" in page
    assert "1 finds no credits left" in page
    assert "3 will not, as on their record" in page
    assert "1 prefers email" in page and "1 wants no reminders" in page and "1 is archived" in page


def test_wishes_are_never_mended_in_bulk(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("email", patient={"preference": Preference.EMAIL})
    clinic.book("archived", patient={"archived": True})
    page = client.get("/").get_data(as_text=True)
    plan = page[page.index('id="plan"') : page.index('id="worklist"')]
    assert "<form" not in plan
    assert "<button" not in plan


def test_filing_as_mobile_mends_those_listed_and_leaves_a_note(client: FlaskClient) -> None:
    clinic = a_clinic_with_every_cause()
    page = client.get("/").get_data(as_text=True)
    listed = re.findall(r'name="patient" value="(\d+)"', page)
    assert len(listed) == 1
    answer = client.post("/today/file-as-mobile", data={"patient": listed})
    assert (answer.status_code, answer.location) == (303, "/")
    page = read(client)
    assert "Done. 1 number filed as Mobile." in page
    assert "1 has no number filed as Mobile" in page
    with store.reading(clinic.id) as session:
        changes = store.changes.list_changes(session, store.changes.Subject.PATIENT, int(listed[0]))
        assert [(change.by, change.after) for change in changes] == [("Dana Owner", "Mobile 0491 570 110")]
        row = session.query(PhoneRow).filter_by(patient_id=int(listed[0])).one()
        assert (row.type, "type" in (row.staff_changed or {})) == (PhoneType.MOBILE, True)


def test_what_an_act_did_is_in_its_own_answer(client: FlaskClient) -> None:
    """Not in the cookie, which the answer of another part of the page may overtake."""
    a_clinic_with_every_cause()
    done = client.post("/today/file-as-mobile", data={}, headers=FRAGMENT)
    assert "They are filed already." in text_of(done) and "<html" not in done.text
    assert "They are filed already." not in client.get("/", headers=FRAGMENT).text


def test_filing_as_mobile_touches_no_landline_and_no_other_practice(client: FlaskClient) -> None:
    clinic = a_clinic_with_every_cause()
    other = Clinic("northgate")
    with store.transaction(other.id) as session:
        theirs = a_patient(session, "theirs", mobile=None)
        a_number(session, theirs, MOBILES[2], PhoneType.HOME)
    with store.reading(clinic.id) as session:
        patients = [row.id for row in session.query(store.patients.Patient)]
    before = [number_types(clinic.id), number_types(other.id)]
    client.post("/today/file-as-mobile", data={"patient": [theirs.id, 0, -1, 10**18, 10**30, "x"]})
    assert [number_types(clinic.id), number_types(other.id)] == before
    client.post("/today/file-as-mobile", data={"patient": patients})
    assert number_types(other.id) == before[1]
    changed = set(number_types(clinic.id)) - set(before[0])
    assert changed == {(PhoneType.MOBILE, MOBILES[1])}


def test_a_business_is_switched_on_in_place(app: Flask, client: FlaskClient) -> None:
    clinic = a_clinic_with_every_cause()
    page = client.get("/").get_data(as_text=True)
    path = re.findall(r'action="(/today/businesses/\d+/switch-on)"', page)[0]
    reception = sign_in(visitor(app), Role.RECEPTION)
    assert "Switch on for" not in read(reception)
    assert "The practice's owner can switch them on." in read(reception)
    assert reception.post(path).status_code == 403
    assert client.post(path).location == "/"
    page = read(client)
    assert "Done. It sends reminders from the next ones on." in page
    assert "South Clinic, which" not in page
    with store.reading(clinic.id) as session:
        changes = store.changes.list_changes(session, store.changes.Subject.BUSINESS, int(path.split("/")[3]))
    assert [(change.by, change.before, change.after) for change in changes] == [("Dana Owner", "Off", "On")]


def test_a_template_is_chosen_in_place(client: FlaskClient) -> None:
    clinic = a_clinic_with_every_cause()
    with store.transaction(clinic.id) as session:
        draft = a_template(session, external_id="d", name="Draft", problem="unknown placeholder")
    page = client.get("/").get_data(as_text=True)
    path = re.findall(r'href="(/today/template-of/\d+)"', page)[0]
    choice = client.get(path, headers=FRAGMENT).get_data(as_text=True)
    assert "Short" in choice
    assert "Draft" not in choice
    assert "Appointment reminder SMS for Dry needling" in read(client, path)
    for wrong in ("", "x", str(draft.id), str(10**30), "-1"):
        answer = client.post(path, data={"template": wrong})
        assert answer.status_code == 422
        assert 'role="alert">' in answer.get_data(as_text=True)
    assert client.post(path, data={"template": clinic.template.id}).location == "/"
    page = read(client)
    assert "Done. Its reminders use that template from the next ones on." in page
    assert "which has no SMS template" not in page


def number_types(practice_id: str) -> list[tuple[PhoneType, str]]:
    with store.reading(practice_id) as session:
        return [(row.type, row.number) for row in session.query(PhoneRow).order_by(PhoneRow.id)]


def test_where_zones_differ_each_says_its_own_time(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        perth = a_business(session, external_id="p", name="Perth Clinic", timezone="Australia/Perth")
        auckland = a_business(session, external_id="a", name="Auckland Clinic", timezone="Pacific/Auckland")
    clinic.book("s")
    clinic.book("p", business=perth)
    clinic.book("a", business=auckland)
    set_clock(monkeypatch, PASS_AT + timedelta(hours=5, minutes=30))  # 3:30pm in Sydney, 5:30pm in Auckland
    for hour in range(-2, 6):
        run_pass(clinic.id, PASS_AT + hour * HOUR, PASS_AT + hour * HOUR)
    page = read(client)
    assert "Tomorrow, Thursday 8 May" in page
    assert "Perth Clinic: the next try is today at 2pm Perth time (in 29 min)" in page
    assert "Friday 9 May" in page
    assert "North Clinic: reminders go tomorrow at 10am Sydney time" in page
    assert "Auckland Clinic: reminders go tomorrow at 10am Auckland time" in page


def test_hostile_names_are_harmless(client: FlaskClient) -> None:
    name = "<script>alert(1)</script>\u202e"
    clinic = Clinic(business={"name": name, "sms_reminders": False})
    clinic.book("1", patient={"first_name": name, "last_name": "x" * 5000})
    clinic.book("2", patient={"first_name": name, "last_name": "y" * 5000, "mobile": None})
    clinic.change(clinic.type, name=name)
    clinic.change(clinic.practice, name=name)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    for path in ("/", "/today/worklist", "/today/credits", "/today/chart"):
        page = client.get(path).get_data(as_text=True)
        assert "<script>alert" not in page
        assert "\u202e" not in page
        assert "x" * 100 not in page


def test_while_rehearsing_it_says_who_would_be_texted(app: Flask, client: FlaskClient) -> None:
    clinic = Clinic(sending=Sending.REHEARSAL)
    clinic.book("1")
    clinic.book("2", patient={"mobile": None})
    page = read(client)
    assert "You are rehearsing" in page
    assert "1 would be texted" in page
    assert "1 would not, unless mended" in page
    assert 'href="/going-live"' in client.get("/").get_data(as_text=True)
    reception = read(sign_in(visitor(app), Role.RECEPTION))
    assert "The practice's owner can go live." in reception
    clinic.change(clinic.practice, sending=Sending.PAUSED)
    assert "All sending is paused" in read(client)


# --- roles, queries, the frame ----------------------------------------------------------------------------


def test_the_sysadmin_is_led_to_the_host(app: Flask, client: FlaskClient) -> None:
    with store.everything(write=True) as session:
        session.add(a_user(Role.SYSADMIN, None))
    answer = sign_in(visitor(app), Role.SYSADMIN, None).get("/")
    assert (answer.status_code, answer.location) == (303, "/host")


def test_the_navigation_marks_the_page_and_shows_what_the_role_may(app: Flask, client: FlaskClient) -> None:
    Clinic()
    page = client.get("/").get_data(as_text=True)
    assert re.findall(r'<a href="([^"]+)" aria-current="page">', page) == ["/"]
    assert 'href="/settings/sms"' in page
    practitioner = sign_in(visitor(app), Role.PRACTITIONER).get("/").get_data(as_text=True)
    assert "/settings/" not in practitioner
    assert 'href="/host"' not in page


@pytest.mark.parametrize("path", ["/", "/today/worklist", "/today/credits", "/today/chart"])
def test_at_most_eight_queries(client: FlaskClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = a_clinic_with_every_cause()
    with store.transaction(clinic.id) as session:
        a_business(session, external_id="p", name="Perth Clinic", timezone="Australia/Perth")
    client.get(path)
    with counted_queries() as before:
        client.get(path)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    for i in range(20):
        clinic.book(f"more {i}")
    set_clock(monkeypatch, PASS_AT + timedelta(hours=6, minutes=30))
    with counted_queries() as seen:
        client.get(path)
    assert len(seen) <= 8, "\n".join(seen)
    assert len(before) <= 8, "\n".join(before)


def test_a_form_without_its_token_is_refused(app: Flask, client: FlaskClient) -> None:
    Clinic()
    app.config["WTF_CSRF_ENABLED"] = True
    for path in ("/today/make-up", "/today/file-as-mobile", "/today/worklist/1/dealt-with"):
        assert client.post(path).status_code == 400


def test_a_fragment_is_the_part_alone(client: FlaskClient) -> None:
    Clinic().book("1")
    for path, id_ in (("/", "plan"), ("/today/worklist", "worklist"), ("/today/chart", "chart")):
        fragment = client.get(path, headers=FRAGMENT).get_data(as_text=True)
        assert f'id="{id_}"' in fragment
        assert "<html" not in fragment


def test_what_renews_itself_says_that_nobody_need_be_there(client: FlaskClient) -> None:
    Clinic().book("1")
    for path in ("/", "/today/worklist", "/today/credits", "/today/chart"):
        fragment = client.get(path, headers=FRAGMENT).get_data(as_text=True)
        assert 'hx-trigger="every' in fragment
        assert UNATTENDED in fragment


def test_more_appointments_than_are_looked_at_is_said(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(today, "MOST", 3)
    clinic = Clinic()
    for i in range(4):
        clinic.book(str(i))
    assert "There are more appointments than are looked at here at once" in read(client)
