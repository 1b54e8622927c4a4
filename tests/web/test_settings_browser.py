"""The practice's settings in a real browser: at both widths, in light and dark, with and without scripts."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from portal import clock, store
from portal.actions.credits import top_up
from portal.actions.remind import run_pass
from portal.core.reminders import Preference
from portal.store.practices import Business, Practice, Practitioner
from tests.builders import PASS_AT, Clinic, a_business, a_practitioner
from tests.web.browsing import WIDTHS, Open, assert_accessible, assert_fits, assert_touchable, take_picture

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]


@pytest.fixture
def clinic(app: Flask, at_pass_time: None) -> Iterator[Clinic]:
    clinic = Clinic(name="Riverside Physiotherapy", also_sends_to="NZ", sender="Riverside")
    for number in range(6):
        clinic.book(f"{number}", starts=f"2031-05-{8 + number // 2:02} 1{number}:30")
    with store.transaction(clinic.id) as session:
        a_business(session, external_id="2", name="South Clinic", timezone="Australia/Perth", sms_reminders=False)
        for number, last_name in enumerate(("Abel", "Ito", "Okafor"), 2):
            a_practitioner(session, external_id=f"{number}", title="Ms", first_name="Mary", last_name=last_name)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    top_up(clinic.id, 500, "invoice 2031-17", PASS_AT + timedelta(minutes=2))
    yield clinic
    clock.start_at(PASS_AT)


def change_times(page: Page) -> None:
    """Asked for, and not yet confirmed."""
    page.get_by_label("Days ahead").select_option("3")
    page.get_by_role("button", name="Change when reminders go").click()
    expect(page.get_by_text("will not go by themselves")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits(
    open_page: Open, clinic: Clinic, width: str, scheme: Literal["light", "dark"]
) -> None:
    for name, path in (
        ("settings-asking", "/settings/sms"),
        ("settings-business-new", "/settings/businesses/new"),
        ("settings-business", "/settings/businesses/1"),
        ("settings-practitioners", "/settings/practitioners"),
        ("settings-practitioner", "/settings/practitioners/1"),
    ):
        page = open_page(path, WIDTHS[width], scheme)
        expect(page.locator("nav.settings-nav [aria-current]")).to_have_count(1)
        if name == "settings-asking":
            change_times(page)
        if name == "settings-business":
            page.get_by_label("Time zone").select_option("Australia/Perth")
            page.get_by_role("button", name="Change the details").click()
            expect(page.get_by_text("9:30am stays 9:30am")).to_be_visible()
        assert_accessible(page, name)
        assert_fits(page, name)
        assert_touchable(page.locator("main input, main select, main button, main summary"))
        if scheme == "light":
            part = "section[aria-labelledby=reminder-times]" if name == "settings-asking" else "h1"
            take_picture(page, name, width, part)
        page.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_what_a_change_does_is_read_first(open_page: Open, clinic: Clinic, scripts: bool) -> None:
    page = open_page("/settings/sms", scripts=scripts)
    change_times(page)
    page.get_by_label("Yes, change when reminders go").check()
    page.get_by_role("button", name="Change when reminders go").click()
    expect(page.get_by_text("Done. Reminders go 10am to 11am, retries until 3pm, 3 days ahead")).to_be_visible()

    page.get_by_text("Rehearse …").click()
    page.get_by_label("Yes, send nothing to the patients").check()
    page.get_by_role("button", name="Rehearse", exact=True).click()
    expect(page.get_by_text("You are rehearsing: everything is decided")).to_be_visible()  # at the top of the page
    page.locator("#name").fill("River Clinic")
    page.get_by_role("button", name="Change the name").click()
    expect(page.locator("header")).to_contain_text("River Clinic")

    page.get_by_label("They get").select_option("Email")
    page.get_by_role("button", name="Change what they get").click()
    expect(page.get_by_text("It changes what 6 patients get")).to_be_visible()
    page.get_by_label("Yes, they get: Email").check()
    page.get_by_role("button", name="Change what they get").click()
    expect(page.get_by_text("Done. Patients without a wish of their own get: Email.")).to_be_visible()
    with store.reading(clinic.id) as session:
        practice = session.get_one(Practice, clinic.id)
        assert (practice.lead_days, practice.default_preference) == (3, Preference.EMAIL)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_business_and_a_practitioner_are_added(open_page: Open, clinic: Clinic, scripts: bool) -> None:
    page = open_page("/settings/businesses", scripts=scripts)
    page.get_by_role("link", name="Add a business").click()
    page.get_by_label("Name, as patients know it").fill("North Clinic")
    page.get_by_label("Time zone").select_option("Australia/Hobart")
    page.get_by_role("button", name="Add the business").click()
    expect(page.get_by_text("There is a business of that name: choose another.")).to_be_visible()
    page.get_by_label("Name, as patients know it").fill("Island Clinic")
    page.get_by_role("button", name="Add the business").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Island Clinic")
    expect(page.get_by_text("Done. Appointments can be made there")).to_be_visible()

    page.get_by_role("link", name="Practitioners").click()
    page.get_by_label("Last name").fill("Zhou")
    page.get_by_role("button", name="Add the practitioner").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Zhou")
    page.get_by_label("First name").fill("Li")
    page.get_by_role("button", name="Change the name").click()
    expect(page.get_by_text("Done. Texts that have not gone yet use this name, too.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Li Zhou")
    with store.reading(clinic.id) as session:
        assert session.get_one(Business, 3).timezone == "Australia/Hobart"
        assert session.get_one(Practitioner, 5).full_name == "Li Zhou"
