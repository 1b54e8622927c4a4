"""Templates in a real browser: written by pressing, previewed while typing, put back; with and without scripts."""

import re
from typing import Literal

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from portal import store
from portal.store.practices import SmsTemplate
from tests.builders import Clinic, a_template, a_type
from tests.web.browsing import WIDTHS, Open, assert_accessible, assert_fits, take_picture

pytestmark = pytest.mark.browser

LIST, PAGE, TYPES = "/settings/templates", "/settings/templates/1", "/settings/appointment-types"
HOSTILE = "{{Patient.FirstName}} <script>alert(1)</script> {% raw %} مرحبا 🙂 " + "x" * 200


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def clinic(app: Flask, enqueued: list[int], at_pass_time: None) -> Clinic:
    """Three appointments; a template that is used, a draft, and a type without any."""
    app.config["WTF_CSRF_ENABLED"] = True
    clinic = Clinic(name="Riverside Physiotherapy", credits=140)
    for number, name in enumerate(("Mia", "Noah", "Zoë")):
        clinic.book(str(number), starts=f"2031-05-{8 + number:02} 09:30", patient={"first_name": name})
    with store.transaction(clinic.id) as session:
        problem = "{{Patient.Nick}} is not a placeholder: did you mean {{Patient.LastName}}?"
        a_template(session, external_id="2", name="Draft", body="Hi {{Patient.Nick}}", problem=problem)
        a_type(session, None, external_id="2", name="Dry needling")
    return clinic


def picture(page: Page, name: str, width: str, scheme: str) -> None:
    page.mouse.move(0, 0)  # what was pressed is judged as it stands, not as it lights up
    page.evaluate("document.activeElement.blur()")
    assert_accessible(page, (name, width, scheme))
    assert_fits(page, name)
    if scheme == "light":
        take_picture(page, name, width, caret="initial")


def body() -> str:
    with store.reading("riverside") as session:
        return session.get_one(SmsTemplate, 1).body


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_template_is_written_tried_and_put_back(
    open_page: Open, clinic: Clinic, width: str, scheme: Literal["light", "dark"]
) -> None:
    page = open_page(LIST, WIDTHS[width], scheme)
    expect(page.locator("main")).to_contain_text("A draft that cannot be used")
    picture(page, "templates", width, scheme)
    page.get_by_role("link", name="Short").click()
    bubble, text = page.locator(".bubble"), page.get_by_label("What the reminder says")
    expect(bubble).to_have_text("Hi Mia, see you 08/05/2031 9:30am.")
    page.wait_for_load_state()  # its scripts, too, are there
    former = text.input_value()
    text.fill("Dear , see you soon. Your Initial consultation, ça va?")
    text.evaluate("one => one.setSelectionRange(5, 5)")
    page.get_by_role("button", name="Patient.FullName").click()
    expect(text).to_have_value("Dear {{Patient.FullName}}, see you soon. Your Initial consultation, ça va?")
    expect(bubble).to_have_text("Dear Mia Nguyen, see you soon. Your Initial consultation, ça va?")
    expect(page.locator(".gives-away")).to_contain_text("whoever holds the phone can read")
    page.get_by_label("Shown with the appointment of").select_option(
        label="Zoë Nguyen, Saturday 10 May, 9:30am, Initial consultation"
    )
    expect(bubble).to_contain_text("Dear Zoë Nguyen")
    page.get_by_label("To a mobile number").fill("0491 570 157")
    picture(page, "template", width, scheme)
    page.get_by_role("button", name="Send the test text").click()
    expect(page.locator("#test-sent")).to_contain_text("on its way to 0491 570 157")
    expect(text).to_have_value(re.compile("^Dear"))
    page.get_by_role("button", name="Change this template").click()
    expect(page.locator("#saved")).to_contain_text("Done. 3 reminders in the next 7 days use it.")
    expect(page.locator(".change")).to_contain_text("Dana Owner, today, 10:")
    picture(page, "template-changed", width, scheme)
    written = text.input_value()
    text.fill("Hi {{Patient.Frstname}}")
    page.get_by_role("button", name="Change this template").click()
    expect(page.locator("#text-problem")).to_contain_text("did you mean")
    expect(page.locator("#saved")).to_have_count(0)  # nor does it still say that it is done
    text.fill(written)
    page.get_by_role("button", name="Put the text from before back").click()
    expect(page.locator(".change")).to_have_count(2)
    expect(text).to_have_value(former)
    assert body() == former


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_type_gets_a_template_that_is_written_in_place(
    open_page: Open, clinic: Clinic, width: str, scheme: Literal["light", "dark"]
) -> None:
    page = open_page(TYPES, WIDTHS[width], scheme)
    page.wait_for_load_state()
    for place in ("#write-1", "#write-2"):
        page.locator(place).click()
        expect(page.locator(place.replace("write", "editor"))).to_be_visible()
    place = page.locator("#editor-1")
    place.get_by_label("Its name").fill("For needles")
    place.get_by_label("What the reminder says").fill("Hi {{Patient.Frstname}}")
    expect(place.locator(".preview .problem")).to_contain_text("did you mean {{Patient.FirstName}}?")
    picture(page, "types-writing", width, scheme)
    place.get_by_role("button", name="Use it for Initial consultation").click()
    expect(place.locator("#text-problem-1")).to_contain_text("did you mean")
    place.get_by_label("What the reminder says").fill("Hi ")
    place.get_by_role("button", name="Patient.FirstName").click()
    expect(place.locator(".bubble")).to_have_text("Hi Mia")
    place.get_by_role("button", name="Use it for Initial consultation").click()
    expect(page.locator("main")).to_contain_text("Appointment reminder SMS: For needles")
    page.get_by_label("Name", exact=True).last.fill("Massage")
    page.get_by_role("button", name="Add this type").click()
    expect(page.get_by_role("heading", name="Massage")).to_be_visible()
    picture(page, "types", width, scheme)


@pytest.mark.parametrize("width", WIDTHS)
def test_without_scripts(open_page: Open, clinic: Clinic, width: str) -> None:
    page = open_page(f"{TYPES}", WIDTHS[width], scripts=False)
    page.locator("#write-2").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("For Dry needling")
    page.get_by_label("Its name").fill("For needles")
    page.get_by_role("button", name="Begin from it").click()
    expect(page.get_by_label("What the reminder says")).to_have_value(re.compile("^Hi {{Patient.FirstName}}"))
    expect(page.locator("#placeholders code").first).to_have_text("{{Patient.FirstName}}")
    page.get_by_label("What the reminder says").fill(HOSTILE)
    page.get_by_role("button", name="Show how it reads").click()
    expect(page.locator(".bubble")).to_have_text(HOSTILE.replace("{{Patient.FirstName}}", "Mia"))
    assert_fits(page)
    page.get_by_label("To a mobile number").fill("02 5550 1234")
    page.get_by_role("button", name="Send the test text").click()
    expect(page.locator("#number-problem")).to_contain_text("is a landline")
    page.get_by_role("button", name="Use it for Dry needling").click()
    expect(page.locator("#type-2")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Appointment reminder SMS: For needles")
