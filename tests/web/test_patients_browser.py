"""Patients in a real browser: found while typing, mended by mouse, by keyboard and without scripts."""

import re
from datetime import date
from typing import Literal

import pytest
from flask import Flask
from playwright.sync_api import expect

from portal import store
from portal.actions.patients import record_opt_out, set_preference
from portal.actions.remind import run_pass
from portal.actions.who import Who
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference
from portal.core.roles import Role
from portal.store.patients import OptOut, OptOutSource, Patient
from tests.builders import MOBILES, PASS_AT, Clinic, a_number, a_patient

from .browsing import SCREENS, WIDTHS, Open, assert_accessible, assert_fits, assert_touchable, take_picture

pytestmark = pytest.mark.browser

DANA = Who(1, "Dana Owner")


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def usual_role() -> Role:
    return Role.RECEPTION


@pytest.fixture
def clinic(app: Flask, at_pass_time: None) -> Clinic:
    """Mia has a mobile filed as Home, Noah has every wish and hindrance, Ada is texted."""
    clinic = Clinic(name="Riverside Physiotherapy")
    mia = clinic.book("a", patient={"mobile": None, "date_of_birth": date(1980, 5, 4)})
    noah = {"first_name": "Noah", "last_name": "Okafor", "preference": Preference.EMAIL, "archived": True}
    every = clinic.book("b", starts="2031-05-08 10:00", patient=noah | {"mobile": "0491 570 15"})
    clinic.book("c", starts="2031-05-08 11:30", patient={"first_name": "Ada", "last_name": "Silva"})
    with store.transaction(clinic.id) as session:
        patient = session.get_one(Patient, mia.patient_id)
        a_number(session, patient, "02 5550 1234", PhoneType.WORK)
        a_number(session, patient, MOBILES[2], PhoneType.HOME, position=1)
        a_number(session, session.get_one(Patient, every.patient_id), MOBILES[1], PhoneType.MOBILE, position=1)
        session.add(OptOut(source=OptOutSource.REPLY, e164="+61491570110", recorded_at=PASS_AT))
        for number in range(4, 70):
            a_patient(session, str(number), first_name=f"P{number}", last_name="Berg", mobile=None)
    changing = {"who": DANA, "now": PASS_AT}
    set_preference(clinic.id, every.patient_id, "None", note="asked for no texts", **changing)
    record_opt_out(clinic.id, every.patient_id, note="at the desk", **changing)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    return clinic


PAGES = {
    "patients": "/patients",
    "patients-found": "/patients?q=n",
    "patients-nobody": "/patients?q=nobody",
    "patient": "/patients/1",
    "patient-everything": "/patients/2",
    "patient-well": "/patients/3",
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits(open_page: Open, width: str, scheme: Literal["light", "dark"]) -> None:
    for name, path in PAGES.items():
        page = open_page(path, WIDTHS[width], scheme)
        if scheme == "light" and name != "patients-nobody":
            take_picture(page, name, width, full_page=name != "patients")
        for summary in page.locator("#contact details > summary").all():
            if summary.locator("xpath=..").get_attribute("open") is None:
                summary.click()
        assert_accessible(page)
        assert_fits(page, name)
        if name == "patient-everything":
            page.screenshot(path=SCREENS / f"patient-forms-{scheme}-{width}.png", full_page=True)
        inputs = "main form input:not([type=checkbox], [type=hidden])"
        touched = f"{inputs}, main select, main button, main summary, .pages a"
        assert_touchable(page.locator(touched))


def test_typing_finds_a_patient_and_the_address_keeps_the_search(open_page: Open) -> None:
    page = open_page("/patients")
    rows = page.locator("#rows tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_label("Name, phone number or birth date").press_sequentially("okaf", delay=20)
    expect(rows).to_have_count(1)
    expect(page.get_by_label("Name, phone number or birth date")).to_be_focused()
    expect(page.get_by_role("status")).to_contain_text("1 patient, newest first")
    expect(page).to_have_url(re.compile("q=okaf"))
    page.reload()
    expect(rows).to_have_count(1)
    assert page.locator("h1").count() == 1
    rows.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Noah Okafor")


def test_the_list_goes_on_by_name_without_scripts(open_page: Open) -> None:
    page = open_page("/patients", scripts=False)
    page.get_by_label("Order").select_option("name")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#rows tbody tr").first).to_contain_text("P10 Berg")
    page.get_by_role("link", name="More patients").click()
    expect(page.locator("#rows tbody tr")).to_have_count(19)
    expect(page.locator("#rows tbody tr").last).to_contain_text("Ada Silva")


def test_a_number_is_filed_as_mobile_in_one_click_and_focus_is_kept(open_page: Open) -> None:
    page = open_page("/patients/1")
    expect(page.locator("#contact")).to_contain_text("Mia cannot be texted.")
    page.get_by_role("button", name="File as Mobile").click()
    done = page.locator("#done")
    expect(done).to_have_text("Done. Changed 0491 570 156 (Home) to 0491 570 156 (Mobile).")
    expect(done).to_be_focused()
    expect(page.locator("#contact .lead")).to_contain_text("Reminders go to 0491 570 156.")
    assert page.locator("h1").count() == 1


def test_a_number_is_looked_at_while_it_is_typed(open_page: Open) -> None:
    page = open_page("/patients/3")
    page.get_by_text("Add a number").click()
    number = page.locator("#add-number-number")
    said = page.locator("#add-number-check")
    number.press_sequentially("02 5550 1234", delay=10)
    expect(said).to_contain_text("(02) 5550 1234 is a landline: file it as Home or Work.")
    page.locator("#add-number-type").select_option("Home")
    expect(said).to_contain_text("(02) 5550 1234 is a landline; it is not texted.")
    number.fill("0491 570 15")
    expect(said).to_contain_text('"0491 570 15" has a digit too few for Australia.')
    page.locator("#add-number-type").select_option("Mobile")
    page.get_by_role("button", name="Add this number").click()
    expect(number).to_be_focused()
    expect(page.locator("#add-number-number-problem")).to_contain_text("has a digit too few")
    number.fill("0491 570 157")
    page.get_by_role("button", name="Add this number").click()
    expect(page.locator(".numbers")).to_contain_text("0491 570 157")


def test_a_number_is_removed_and_put_back_by_keyboard(open_page: Open) -> None:
    page = open_page("/patients/3")
    page.get_by_role("button", name="Remove 0491 570 006").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#done")).to_be_focused()
    expect(page.locator("#numbers ~ p").first).to_contain_text("No number is on file.")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Put it back")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#contact .lead")).to_contain_text("Reminders go to 0491 570 006.")


@pytest.mark.parametrize("scripts", [True, False])
def test_every_wish_is_asked_about_before_it_is_changed(open_page: Open, scripts: bool) -> None:
    page = open_page("/patients/2", scripts=scripts)
    contact = page.locator("#contact")
    expect(contact).to_contain_text("Set by Dana Owner today at 10am: “asked for no texts”.")
    expect(contact).to_contain_text("Noah asked for no texts. Recorded by Dana Owner today at 10am: “at the desk”.")
    expect(contact).to_contain_text("0491 570 110 replied STOP")
    page.locator("#change-preference").click()
    page.get_by_label("From now on, Noah is reminded by").select_option("SMS")
    form = page.locator("#form-preference")
    form.get_by_label("Why").fill("rang us")
    form.get_by_role("button", name="Change preference").click()
    expect(page.locator("#preference-confirm-problem")).to_have_text("Tick that the patient has agreed.")
    form.get_by_label("has agreed").check()
    form.get_by_role("button", name="Change preference").click()
    expect(page.locator("#done")).to_have_text("Done. Preference set to SMS.")
    expect(page.get_by_role("heading", level=1)).to_contain_text("archived")
    for key, opens, does, says in (
        ("lift-2", "#lift-2-open", "Lift the opt-out", "Done. Opt-out lifted."),
        ("restore", "#restore-open", "Restore Noah's record", "Done. Restored: no longer archived."),
    ):
        page.locator(opens).click()
        form = page.locator(f"#form-{key}")
        form.get_by_label("Why").fill("rang us")
        form.get_by_role("checkbox").check()
        form.get_by_role("button", name=does).click()
        expect(page.locator("#done")).to_have_text(says)
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("archived")
    expect(page.locator("#contact .checks .crossed")).to_have_count(1)  # the number's own STOP stays
    expect(page.locator("#changes ~ .timeline li")).to_have_count(5)


def test_who_only_reads_sees_all_and_no_button(open_page: Open) -> None:
    page = open_page("/patients/2", role=Role.PRACTITIONER)
    expect(page.locator("#contact")).to_contain_text("Reminders would go to 0491 570 110, but something")
    assert page.locator("main button, main form").count() == 0
