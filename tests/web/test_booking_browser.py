"""Appointments added, moved, cancelled and un-cancelled in a real browser, by mouse, by keyboard, without scripts."""

from datetime import date
from typing import Literal

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from portal import store
from portal.actions.remind import run_pass
from portal.core.roles import Role
from portal.store.appointments import Appointment
from tests.builders import PASS_AT, Clinic, a_business, a_patient, a_practitioner, a_type

from .browsing import WIDTHS, Open, assert_accessible, assert_fits, assert_touchable, take_picture

pytestmark = pytest.mark.browser


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def usual_role() -> Role:
    return Role.RECEPTION


@pytest.fixture
def clinic(app: Flask, at_pass_time: None) -> Clinic:
    """Mia's text waits, Ada is cancelled, Noah has no appointment; two of everything to choose from."""
    clinic = Clinic(name="Riverside Physiotherapy")
    clinic.book("a", patient={"date_of_birth": date(1980, 5, 4)})
    clinic.book("b", patient={"first_name": "Ada", "last_name": "Silva"}, cancelled_at=PASS_AT)
    with store.transaction(clinic.id) as session:
        a_patient(session, "n", first_name="Noah", last_name="Nguyen", date_of_birth=date(1971, 1, 9))
        a_business(session, external_id="2", name="Perth Clinic", timezone="Australia/Perth")
        a_practitioner(session, external_id="2", first_name="Ana", last_name="Berg")
        a_type(session, clinic.template, external_id="2", name="Follow-up", duration_minutes=20)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    return clinic


def now_there(clinic: Clinic, id_: int) -> Appointment:
    with store.reading(clinic.id) as session:
        return session.get_one(Appointment, id_)


def check(page: Page, name: str, width: str, scheme: str) -> None:
    """It can be used by everybody, fits, and has its picture."""
    assert_accessible(page, name)
    assert_fits(page, name)
    inputs = "main form input:not([type=checkbox], [type=radio], [type=hidden])"
    assert_touchable(page.locator(f"{inputs}, main select, main button, main .people a, main a.more"))
    if scheme == "light":
        take_picture(page, name, width)


def fill(page: Page, day: str, time: str) -> None:
    page.get_by_label("Day").fill(day)
    page.get_by_label("Time").fill(time)
    page.get_by_label("Appointment type").select_option(label="Follow-up")
    page.get_by_label("Practitioner").select_option(label="Dr Ana Berg")
    page.get_by_label("Business").select_option(label="North Clinic")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_page_is_accessible_and_fits(open_page: Open, width: str, scheme: Literal["light", "dark"]) -> None:
    page = open_page("/appointments/new?day=2031-05-09", WIDTHS[width], scheme)
    page.get_by_label("Name, phone number or birth date").press_sequentially("nguyen")
    expect(page.locator("#found .people li")).to_have_count(2)
    check(page, "appointment-whose", width, scheme)
    page.get_by_role("link", name="Noah Nguyen").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("for Noah Nguyen")
    page.wait_for_load_state()
    fill(page, "2031-05-09", "14:00")
    expect(page.locator("#effect")).to_contain_text("Noah is reminded tomorrow at 10am.")
    check(page, "appointment-new", width, scheme)

    page.goto("/appointments/1/move")
    page.get_by_label("Time").fill("15:00")
    expect(page.locator("#effect")).to_contain_text("The text that waits is withdrawn, and 1 credit comes back.")
    check(page, "appointment-move", width, scheme)
    page.get_by_label("Day").fill("2031-04-06")
    page.get_by_label("Time").fill("02:30")
    expect(page.locator("#effect")).to_contain_text("this time comes twice")
    check(page, "appointment-twice", width, scheme)
    page.goto("/appointments/1/cancel")
    check(page, "appointment-cancel", width, scheme)
    page.get_by_role("button", name="Cancel the appointment").click()
    expect(page.get_by_role("status").first).to_contain_text("Done. It is cancelled.")
    expect(page.get_by_role("heading", name="What staff changed")).to_be_visible()
    check(page, "appointment-cancelled", width, scheme)
    page.goto("/patients/new")
    page.get_by_label("First name").fill("Mia")
    page.get_by_label("Last name").fill("Nguyen")
    page.get_by_label("Date of birth").fill("1980-05-04")
    page.get_by_label("Mobile number").press_sequentially("0491 570 156")
    expect(page.locator("#new-check")).to_have_text("✓ 0491 570 156 can be texted.")
    page.get_by_role("button", name="Add the patient").click()
    expect(page.locator("#alike")).to_contain_text("This may be somebody who is there already.")
    check(page, "patient-new", width, scheme)


def test_while_it_is_typed_the_effect_follows(open_page: Open, clinic: Clinic) -> None:
    """And what was picked of two times that look alike stays picked."""
    page = open_page("/appointments/1/move")
    page.wait_for_load_state()
    effect = page.locator("#effect")
    expect(effect).to_contain_text("Change what is to be another")
    page.get_by_label("Day").fill("2031-04-06")
    page.get_by_label("Time").fill("02:30")
    page.get_by_label("The second, after").check()
    expect(effect).to_contain_text("It begins in the past, so no reminder goes.")
    expect(page.get_by_label("The second, after")).to_be_checked()
    page.get_by_label("Day").fill("2031-10-05")
    expect(effect).to_contain_text("past this time: it never comes")
    page.get_by_label("Day").fill("2031-10-06")
    expect(effect).to_contain_text("Mia is reminded on Sunday 5 October at 10am.")
    page.get_by_role("button", name="Save the change").click()
    expect(page.get_by_role("status").first).to_have_text("Done. It is changed.")
    assert f"{now_there(clinic, 1).starts_wall:%m-%d %H:%M}" == "10-06 02:30"


def test_who_was_slower_keeps_what_was_typed(open_page: Open, clinic: Clinic) -> None:
    page, other = open_page("/appointments/1/move"), open_page("/appointments/1/cancel", role=Role.OWNER)
    page.wait_for_load_state()
    page.get_by_label("Time").fill("15:00")
    expect(page.locator("#effect")).to_contain_text("is withdrawn")
    other.get_by_role("button", name="Cancel the appointment").click()
    expect(other.get_by_role("status").first).to_contain_text("Done. It is cancelled.")
    page.get_by_role("button", name="Save the change").click()
    problem = page.locator("#booking").get_by_role("alert")
    expect(problem).to_have_text("It was not saved. It is cancelled: un-cancel it first, then move it.")
    expect(problem).to_be_focused()
    expect(page.get_by_label("Time")).to_have_value("15:00")
    expect(page.locator("#booking")).to_contain_text("Cancelled by Dana Owner")
    assert now_there(clinic, 1).revision == 0


@pytest.mark.parametrize("scripts", [True, False])
def test_by_keyboard_and_without_scripts_a_new_patient_gets_an_appointment(
    open_page: Open, clinic: Clinic, scripts: bool
) -> None:
    page = open_page("/appointments?day=2031-05-09", scripts=scripts)
    page.get_by_role("link", name="Add an appointment").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Whose is it?")
    page.wait_for_load_state()
    search = page.get_by_label("Name, phone number or birth date")
    expect(search).to_be_focused()
    search.press_sequentially("Zoe")
    search.press("Enter")
    expect(page.locator("#found")).to_contain_text("Nobody was found.")
    page.get_by_role("link", name="Add a patient who is not there yet").press("Enter")
    page.get_by_label("First name").fill("Zoe")
    page.get_by_label("Mobile number").fill("0491 570 157")
    page.get_by_label("Mobile number").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("for Zoe")
    page.wait_for_load_state()
    expect(page.get_by_label("Day")).to_have_value("2031-05-09")
    fill(page, "2031-05-09", "14:00")
    if not scripts:
        page.get_by_label("Time").press("Enter")
    expect(page.locator("#effect")).to_contain_text("Zoe is reminded tomorrow at 10am.")
    page.get_by_role("button", name="Add the appointment").press("Enter")
    expect(page.get_by_role("status").first).to_have_text("Done. It is added.")
    added = now_there(clinic, 3)
    assert f"{added.starts_wall:%d %H:%M}-{added.ends_wall:%H:%M}" == "09 14:00-14:20"
