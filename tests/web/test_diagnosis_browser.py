"""The diagnosis and the settings in a real browser: mended by hand, by keyboard, and without scripts."""

from typing import Literal

import pytest
from flask import Flask
from playwright.sync_api import expect

from portal import store
from portal.actions.remind import run_pass
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference
from portal.core.states import Status
from portal.store.patients import OptOut, OptOutSource, Patient
from tests.builders import MOBILES, PASS_AT, Clinic, a_business, a_number, a_type

from .browsing import SCREENS, WIDTHS, Open, assert_accessible, assert_fits, assert_touchable, take_picture

pytestmark = pytest.mark.browser


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def clinic(app: Flask, at_pass_time: None) -> Clinic:
    """After a pass: one patient is filed wrong, one has every hindrance, one was texted, one lacks credits."""
    clinic = Clinic(credits=3, name="Riverside Physiotherapy")
    with store.transaction(clinic.id) as session:
        off = a_business(session, external_id="2", name="South Clinic", sms_reminders=False)
        untold = a_type(session, None, external_id="2", name="Dry needling")
    mia = clinic.book("a", patient={"mobile": None})
    noah = {"first_name": "Noah", "last_name": "Okafor", "mobile": "0491 570 15", "preference": Preference.EMAIL}
    every = clinic.book("b", starts="2031-05-08 10:00", business=off, type=untold, patient=noah | {"archived": True})
    clinic.book("c", starts="2031-05-08 11:30", patient={"first_name": "Ada", "last_name": "Silva"})
    clinic.book("d", starts="2031-05-08 12:00", patient={"first_name": "Ken", "mobile": MOBILES[1]})
    clinic.book("e", starts="2031-05-08 14:00", patient={"first_name": "Maximiliana" * 15, "last_name": "Berg"})
    with store.transaction(clinic.id) as session:
        a_number(session, session.get_one(Patient, mia.patient_id), MOBILES[2], PhoneType.HOME)
        session.add(OptOut(source=OptOutSource.STAFF, patient_id=every.patient_id, recorded_at=PASS_AT))
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.transaction(clinic.id) as session:
        sent = store.messages.find_reminder(session, 3, 0)
        assert sent
        sent.status, sent.provider_id, sent.sent_at = Status.DELIVERED, "aaaaaaaa-bbbb-4ccc-8ddd-eeee", PASS_AT
    return clinic


PAGES = {
    "appointments": "/appointments",
    "diagnosis": "/appointments/1",
    "diagnosis-everything": "/appointments/2",
    "diagnosis-sent": "/appointments/3",
    "diagnosis-no-credits": "/appointments/5",
    "settings-businesses": "/settings/businesses",
    "settings-appointment-types": "/settings/appointment-types",
    "settings-sms": "/settings/sms",
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits(open_page: Open, width: str, scheme: Literal["light", "dark"]) -> None:
    for name, path in PAGES.items():
        page = open_page(path, WIDTHS[width], scheme)
        if scheme == "light":
            take_picture(page, name, width, "section[aria-labelledby=credits]" if name == "settings-sms" else "h1")
        for details in page.locator("details").all():
            details.locator("summary").click()
        assert_accessible(page, name)
        assert_fits(page, name)
        assert_touchable(page.locator("main button:visible, .mend input:visible, summary:visible"))


@pytest.mark.parametrize("width", WIDTHS)
def test_one_click_files_the_number_and_the_same_place_says_what_holds(open_page: Open, width: str) -> None:
    page = open_page("/appointments", WIDTHS[width])
    page.get_by_role("link", name="Mia Nguyen").click()
    page.get_by_role("button", name="File it as Mobile").click()
    said = page.get_by_text("Done. Mia's reminder goes at 11am today.")
    expect(said).to_be_visible()
    expect(said).to_be_focused()  # what the keyboard was on is gone; the answer has it now
    expect(page.locator("h1")).to_have_count(1)
    expect(page.locator(".crossed")).to_have_count(0)
    page.screenshot(path=SCREENS / f"diagnosis-mended-{width}.png", full_page=True)


def test_the_keyboard_alone_mends(open_page: Open) -> None:
    page = open_page("/appointments/1")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == "File it as Mobile":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_text("Done. Mia's reminder goes at 11am today.")).to_be_focused()


def test_a_wrong_number_is_said_beside_its_field_which_has_the_focus(open_page: Open) -> None:
    page = open_page("/appointments/2")
    field = page.get_by_label("Mobile number").first
    field.fill("0491 570")
    page.get_by_role("button", name="Correct the number").click()
    expect(page.locator(".problem")).to_contain_text("too few")
    expect(page.get_by_label("Mobile number").first).to_be_focused()
    expect(page.get_by_label("Mobile number").first).to_have_value("0491 570")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_every_hindrance_is_mended_one_after_the_other(open_page: Open, clinic: Clinic, scripts: bool) -> None:
    page = open_page("/appointments/2", scripts=scripts)
    expect(page.locator(".crossed")).to_have_count(6)

    def mended(still: int) -> None:
        expect(page.locator(".crossed")).to_have_count(still)
        expect(page.locator(".result")).to_contain_text("Done.")

    page.get_by_role("button", name="Switch on for South Clinic (1 reminder in the next 7 days)").click()
    mended(5)
    page.get_by_label("Appointment reminder SMS for Dry needling").select_option(label="Short")
    page.get_by_role("button", name="Use this template").click()
    mended(4)
    page.get_by_label("Mobile number").first.fill(MOBILES[3])
    page.get_by_role("button", name="Correct the number").click()
    mended(3)
    for summary, button in (
        ("Change preference …", "Change preference"),
        ("Lift the opt-out …", "Lift the opt-out"),
        ("Restore the record …", "Restore Noah's record"),
    ):
        place = page.locator("details", has=page.get_by_text(summary, exact=True))
        place.locator("summary").click()
        place.get_by_label("Why, for whoever looks next").fill("asked on the phone")
        place.get_by_label("has agreed to be texted").check()
        place.get_by_role("button", name=button).click()
        expect(place).to_have_count(0)
    expect(page.get_by_text("Done. Noah's reminder goes at 11am today.")).to_be_visible()


def test_turning_off_asks_first_and_can_be_undone(open_page: Open) -> None:
    page = open_page("/settings/businesses")
    place = page.locator("article", has=page.get_by_role("heading", name="North Clinic"))
    place.get_by_text("Switch off …").click()
    expect(place).to_contain_text("It would stop up to 2 reminders in the next 7 days")
    place.get_by_role("button", name="Switch off for North Clinic").click()  # unticked: the browser asks
    expect(place.get_by_text("Off", exact=True)).to_have_count(0)
    place.get_by_label("Yes, patients of North Clinic get no reminders").check()
    place.get_by_role("button", name="Switch off for North Clinic").click()
    expect(place.locator(".result")).to_be_focused()
    expect(place).to_contain_text("Switched off by Dana Owner")
    place.get_by_role("button", name="Switch on for North Clinic").click()
    expect(place).to_contain_text("Switched on by Dana Owner")
