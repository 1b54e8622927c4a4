"""Messages to many in a real browser: every step at both widths, in light and dark, and while scripts renew it."""

import re
from typing import Literal

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from portal import clock, store
from portal.core.broadcasts import Whom
from portal.core.roles import Role
from portal.core.states import Status
from tests.actions.broadcasting import a_day, press, texts
from tests.builders import Clinic, a_template
from tests.web.browsing import WIDTHS, Open, take_picture

from .test_texts_browser import HOSTILE, check

pytestmark = pytest.mark.browser

ILL = "Hi {{Patient.FirstName}}, Dr Marsh is ill: we will ring you about {{Appointment.StartTime}} tomorrow."


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def usual_role() -> Role:
    return Role.RECEPTION


@pytest.fixture
def clinic(app: Flask, at_pass_time: None) -> Clinic:
    clinic = Clinic(name="Riverside Physiotherapy")
    a_day(clinic)
    with store.transaction(clinic.id) as session:
        body = "Hello {{Patient.FirstName}}, {{Practitioner.FullNameWithTitle}} is running late today."
        a_template(session, external_id="2", name="Running late", body=body)
    return clinic


def picture(page: Page, name: str, width: str, scheme: str) -> None:
    check(page, name, WIDTHS[width])
    if scheme == "light":
        take_picture(page, name, width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_step_is_accessible_and_fits(open_page: Open, width: str, scheme: Literal["light", "dark"]) -> None:
    page = open_page("/appointments?day=2031-05-08", WIDTHS[width], scheme)
    page.get_by_role("link", name="Text everybody on this day").click()
    picture(page, "to-many-whom", width, scheme)
    page.get_by_role("region", name="Everybody with").get_by_role("button", name="Write the text").click()
    page.get_by_label("Begin from a template").select_option(label="Running late")
    page.get_by_role("button", name="Begin from it").click()
    text = page.get_by_label("Your text")
    expect(text).to_have_value(re.compile("^Hello {{Patient.FirstName}}"))
    page.wait_for_load_state()  # its scripts, too, are there
    text.fill(ILL)
    expect(page.locator(".bubble")).to_have_text("Hi Mia, Dr Marsh is ill: we will ring you about 9:30am tomorrow.")
    page.get_by_label("Care").check()
    page.locator("#placeholders-open").click()
    picture(page, "to-many-text", width, scheme)
    page.get_by_role("button", name="Check whom it reaches").click()
    page.evaluate("document.querySelectorAll('main details').forEach(one => one.open = true)")
    expect(page.locator("main")).to_contain_text("2 patients will be texted, 3 will not.")
    picture(page, "to-many-check", width, scheme)
    page.get_by_role("button", name="Send to 2 patients").click()
    expect(page.locator("#lead")).to_contain_text("Waiting. It goes today at 10:0")
    picture(page, "to-many-waiting", width, scheme)
    page.get_by_role("link", name="Messages to many").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Messages to many")
    picture(page, "to-many-list", width, scheme)


def test_what_is_to_be_mended_opens_beside_and_the_text_stays(open_page: Open) -> None:
    page = open_page("/broadcasts/write?of=day&day=2031-05-08")
    page.get_by_label("Your text").fill(ILL)
    page.get_by_label("Care").check()
    page.get_by_role("button", name="Check whom it reaches").click()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="File it as Mobile").or_(
            page.get_by_role("button", name="File it as Mobile")
        ).click()
    opened.value.get_by_role("button", name="File as Mobile").click()
    expect(opened.value.locator("#done")).to_contain_text("Done.")
    page.get_by_role("button", name="Check again").click()
    expect(page.locator("main")).to_contain_text("3 patients will be texted, 2 will not.")
    page.get_by_role("button", name="Change the text").click()
    expect(page.get_by_label("Your text")).to_have_value(ILL)


def test_its_page_follows_what_becomes_of_it_and_leads_to_the_texts(open_page: Open, clinic: Clinic) -> None:
    sent = press(now=clock.now())
    page = open_page(f"/broadcasts/{sent.broadcast_id}")
    expect(page.locator("#progress")).to_contain_text("Scheduled 2")
    first = texts()[0]
    clinic.change(first, status=Status.DELIVERED, sent_at=clock.now(), next_at=None)
    expect(page.locator("#progress")).to_contain_text("Delivered 1")
    page.get_by_role("button", name="Take it back").click()
    expect(page.locator("#lead")).to_contain_text("Taken back. Dana Reception took it back")
    expect(page.locator("#progress")).to_contain_text("Withdrawn 1")
    page.get_by_role("link", name="Delivered 1").click()
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    expect(page.locator("main")).to_contain_text("Only texts of one message to many")
    page.locator("#rows tbody a").click()
    page.get_by_role("link", name="a message to many").click()
    expect(page).to_have_url(re.compile(rf"/broadcasts/{sent.broadcast_id}$"))


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_words_stay_words(open_page: Open, clinic: Clinic, width: str) -> None:
    sent = press(text=HOSTILE.replace("\n", " "), whom=Whom(), now=clock.now())
    for path in (f"/broadcasts/{sent.broadcast_id}", "/broadcasts"):
        check(open_page(path, WIDTHS[width]), path, WIDTHS[width])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_consent_to_marketing_on_the_patients_page(
    open_page: Open, width: str, scheme: Literal["light", "dark"]
) -> None:
    page = open_page("/patients/1", WIDTHS[width], scheme)
    page.locator("#consent-open").click()
    page.get_by_label("How: a form signed").fill("Form signed at the desk")
    check(page, "consent", WIDTHS[width])
    page.get_by_role("button", name="Record the consent").click()
    expect(page.locator("#done")).to_contain_text("Done. Consent to marketing given on Wednesday 7 May 2031.")
    expect(page.locator("main")).to_contain_text("Mia agreed to it on 7 May 2031: “Form signed at the desk”.")
    page.locator("#withdraw-consent-open").click()
    check(page, "consent given", WIDTHS[width])
