"""Texts that staff send, in a real browser: written by mouse, by keyboard, without scripts; and what they become."""

import re
from datetime import timedelta
from typing import Any, Literal

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from portal import clock, store
from portal.actions.patients import record_opt_out
from portal.actions.remind import run_pass
from portal.actions.who import Who
from portal.core.reasons import Reason
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.messages import Message
from portal.store.patients import Patient
from tests.builders import MOBILES, PASS_AT, Clinic, a_template
from tests.web.browsing import SCREENS, WIDTHS, Open, assert_accessible, assert_fits, assert_touchable, take_picture

from .test_worklist import becomes

pytestmark = pytest.mark.browser

DANA = Who(1, "Dana Owner")
HOSTILE = "<script>alert(1)</script><b>1</b>\n=1+1 مرحبا بك 🙂 " + "x" * 200


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def usual_role() -> Role:
    return Role.RECEPTION


@pytest.fixture
def clinic(app: Flask, enqueued: list[int], monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """After the day's reminders. Message 1 was refused, 2 was delivered, 3 is in doubt, 4 is on its way, 5 came too
    late, 6 has no number; patient 7 was booked too late, and 8 opted out."""
    app.config["WTF_CSRF_ENABLED"] = True
    clinic = Clinic(name="Riverside Physiotherapy", credits=140)
    names = ["Ada Silva", "Noah Okafor", "Mia Nguyen", "Ken Tanaka", "Zoë Müller", "Leila Haddad"]
    booked = []
    for i, name in enumerate(names):
        first, last = name.split()
        who: dict[str, Any] = {"first_name": first, "last_name": last, "mobile": MOBILES[i] if i < 5 else None}
        booked.append(clinic.book(str(i), starts=f"2031-05-08 {9 + i:02}:30", patient=who))
    with store.transaction(clinic.id) as session:
        body = "Hello {{Patient.FirstName}}, {{Practitioner.FullNameWithTitle}} is running late today. Please come at"
        a_template(session, external_id="2", name="Running late", body=body)
    for hour in range(6):
        at = PASS_AT + timedelta(hours=hour)
        run_pass(clinic.id, at, at)
    becomes(clinic, booked[0], Status.FAILED, Reason.PROVIDER_REFUSED, attempts=1, provider_code="1170")
    sent = {"sent_at": PASS_AT, "attempts": 1, "provider_id": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"}
    becomes(clinic, booked[1], Status.DELIVERED, **sent)
    becomes(clinic, booked[2], Status.UNKNOWN, attempts=1)
    becomes(clinic, booked[4], Status.EXPIRED, Reason.DEADLINE_PASSED)
    late = PASS_AT + timedelta(hours=6)
    clinic.book("late", starts="2031-05-08 16:00", booked_at=late, patient={"first_name": "Aroha"})
    out = clinic.book("out", starts="2031-05-20 16:00", patient={"first_name": "Tom", "mobile": MOBILES[5]})
    record_opt_out(clinic.id, out.patient_id, note="at the desk", who=DANA, now=PASS_AT)
    monkeypatch.setattr(clock, "_offset", timedelta())
    clock.start_at(PASS_AT + timedelta(hours=7))
    return clinic


PAGES = {
    "text": "/patients/3/text?message=3",
    "text-own": "/patients/2/text",
    "text-now": "/patients/7/text?appointment=7",
    "text-hindered": "/patients/8/text",
    "message-failed": "/communications/1",
    "message-delivered": "/communications/2",
    "message-in-doubt": "/communications/3",
    "message-on-its-way": "/communications/4",
    "worklist": "/today/worklist",
}
# Of the others there are pictures like it.
PICTURES = {"text", "text-now", "text-hindered", "message-in-doubt", "worklist"}


def check(page: Page, name: str, width: int) -> None:
    assert_accessible(page, name)
    assert_fits(page, name)
    inputs = "main form input:not([type=checkbox], [type=radio], [type=hidden])"
    others = "main select, main button, main summary, main textarea, main .fix, label.confirm, fieldset label"
    touched = f"{inputs}, {others}"
    assert_touchable(page.locator(touched))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits(open_page: Open, width: str, scheme: Literal["light", "dark"]) -> None:
    for name, path in PAGES.items():
        page = open_page(path, WIDTHS[width], scheme)
        for summary in page.locator("main details:not([open]) > summary:visible").all():
            if summary.get_attribute("id") in ("copy-open", "all-again-open"):
                summary.click()
        check(page, name, WIDTHS[width])
        if scheme == "light" and name in PICTURES:
            take_picture(page, name, width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_the_patients_page_it_is_written_in_place_and_sent(
    open_page: Open, clinic: Clinic, width: str, scheme: Literal["light", "dark"]
) -> None:
    page = open_page("/patients/2", WIDTHS[width], scheme)
    page.get_by_role("button", name="Send SMS message").click()
    text = page.get_by_label("Your text")
    expect(text).to_be_focused()
    expect(page.locator("h1")).to_have_count(1)
    page.get_by_label("Begin from a template").select_option(label="Running late")
    page.get_by_role("button", name="Begin from it").click()
    expect(text).to_have_value("Hello Noah, Dr Helen Marsh is running late today. Please come at")
    text.press("End")
    text.press_sequentially(" 10:15. " + "Sorry for the wait. " * 5, delay=1)
    expect(page.locator("#cost")).to_contain_text("2 credits of the ")
    expect(text).to_be_focused()
    text.press_sequentially("ç", delay=1)
    expect(page.locator("#cost")).to_contain_text("“ç” makes it dearer: 3 credits instead of 2.")
    expect(page.locator(".bubble")).to_contain_text("Please come at 10:15.")
    check(page, "in place", WIDTHS[width])
    if scheme == "light":
        page.screenshot(path=SCREENS / f"text-in-place-{width}.png", full_page=True)
    page.get_by_role("button", name="Send to Noah").click()
    expect(page).to_have_url(re.compile(r"/communications/\d+$"))
    expect(page.locator("#lead")).to_contain_text("Noah Okafor will be texted")
    expect(page.locator("#text ~ p")).to_contain_text("Written by Dana Reception")


def test_what_is_mended_on_the_same_page_stands_in_its_way_no_longer(open_page: Open, clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        session.get_one(Patient, 2).archived = True
    page = open_page("/patients/2")
    page.get_by_role("button", name="Send SMS message").click()
    page.get_by_label("Your text").fill("Please call us.")
    expect(page.locator("#obstacles")).to_contain_text("Noah is archived")
    page.locator("#restore-open").click()
    page.locator("#restore-note").fill("He called")
    page.get_by_label("Noah may be contacted again").check()
    page.get_by_role("button", name="Restore Noah's record").click()
    expect(page.locator("#obstacles")).to_have_count(0)
    expect(page.get_by_label("Your text")).to_have_value("Please call us.")
    expect(page.locator("#done")).to_be_focused()
    page.get_by_role("button", name="Send to Noah").click()
    expect(page.locator("#lead")).to_contain_text("Noah Okafor will be texted")


def test_what_was_written_comes_back_after_a_template(open_page: Open) -> None:
    page = open_page("/patients/2")
    page.get_by_role("button", name="Send SMS message").click()
    text = page.get_by_label("Your text")
    text.fill("My own words")
    page.get_by_label("Begin from a template").select_option(label="Short")
    page.get_by_role("button", name="Begin from it").click()
    expect(text).to_have_value(re.compile("^Hi Noah, see you"))
    page.get_by_role("button", name="Put my text back").click()
    expect(text).to_have_value("My own words")
    expect(page.get_by_role("button", name="Put my text back")).to_have_count(0)


def test_what_is_being_written_outlasts_a_change_of_contact_details(open_page: Open) -> None:
    page = open_page("/patients/2")
    page.get_by_role("button", name="Send SMS message").click()
    text = page.get_by_label("Your text")
    text.fill("My own words")
    page.get_by_role("button", name="Send SMS message").click()
    expect(text).to_be_focused()
    expect(text).to_have_value("My own words")
    page.get_by_text("Add a number", exact=True).click()
    form = page.locator("#form-add-number")
    form.get_by_label("Type").select_option("Home")
    form.get_by_label("Number").fill("02 5550 1234")
    expect(page.locator("#add-number-check")).to_contain_text("is a landline")
    form.get_by_role("button", name="Add this number").click()
    expect(page.locator("#done")).to_contain_text("Added")
    expect(text).to_have_value("My own words")
    page.get_by_role("button", name="Send to Noah").click()
    expect(page.locator("#lead")).to_contain_text("Noah Okafor will be texted")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_what_cannot_go_keeps_what_was_typed(open_page: Open, scripts: bool) -> None:
    page = open_page("/patients/8/text", scripts=scripts)
    text = page.get_by_label("Your text")
    text.fill("Hello Tom")
    page.get_by_role("button", name="Send to Tom").click()
    expect(page.locator("#obstacles")).to_contain_text("It was not sent. What you wrote is still here.")
    expect(page.locator("#obstacles")).to_contain_text("Tom asked for no texts.")
    expect(page.locator("#obstacles")).to_be_focused()
    expect(text).to_have_value("Hello Tom")
    text.fill("")
    page.goto("/patients/2/text")
    page.get_by_role("button", name="Send to Noah").click()
    expect(page.locator("#text-problem")).to_contain_text("It was not sent.")
    expect(page.get_by_label("Your text")).to_be_focused()


def test_without_scripts_it_is_filled_weighed_and_sent(open_page: Open) -> None:
    page = open_page("/patients/2", scripts=False)
    page.get_by_role("button", name="Send SMS message").click()
    page.get_by_label("Begin from a template").select_option(label="Short")
    page.get_by_role("button", name="Begin from it").click()
    text = page.get_by_label("Your text")
    expect(text).to_have_value(re.compile("^Hi Noah, see you"))
    text.fill("ç" * 80)
    page.get_by_role("button", name="Show what it costs").click()
    expect(page.locator("#cost")).to_contain_text("“ç” makes it dearer: 2 credits instead of 1.")
    page.get_by_role("button", name="Send to Noah").click()
    expect(page.locator("#lead")).to_contain_text("Noah Okafor will be texted")


def test_the_keyboard_alone_texts_who_was_booked_too_late(open_page: Open, clinic: Clinic) -> None:
    page = open_page("/")
    press_until(page, "Text Aroha Nguyen now")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your text")).to_be_focused()
    expect(page.get_by_label("Your text")).to_have_value("Hi Aroha, see you 08/05/2031 4:00pm.")
    press_until(page, "Send to Aroha")
    page.keyboard.press("Enter")
    expect(page.locator("#lead")).to_contain_text("Aroha Nguyen will be texted about the appointment tomorrow, 4pm")


def press_until(page: Page, label: str) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == label:
            return
    raise AssertionError(f"{label} is not reached by Tab")


def test_a_hostile_text_is_text_everywhere(open_page: Open) -> None:
    for width in WIDTHS.values():
        page = open_page("/patients/2/text", width)
        page.get_by_label("Your text").fill(HOSTILE)
        expect(page.locator(".bubble")).to_contain_text("<script>alert(1)</script>")
        assert_fits(page)
        page.get_by_role("button", name="Send to Noah").click()
        page.wait_for_url("**/communications/*")  # loaded, with its style
        expect(page.locator(".text")).to_contain_text("<b>1</b>")
        assert_fits(page)
        expect(page.locator(".text script, .text b")).to_have_count(0)
        page.get_by_text("Copy for support").click()
        page.get_by_label("Include the number and the text").check()
        expect(page.locator("#for-support")).to_have_value(re.compile("<script>alert"))


# --- the message's page -------------------------------------------------------------------------------------


def test_it_renews_itself_until_it_is_sent_and_says_so(open_page: Open, clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        for event in store.messages.list_events(session, [4])[4]:
            event.at = clock.now()
    page = open_page("/communications/4")
    lead = page.get_by_role("status").first
    expect(lead).to_contain_text("Scheduled")
    page.get_by_text("Copy for support").click()
    page.get_by_label("Include the number and the text").check()
    page.get_by_label("What support needs").focus()
    lead.evaluate("one => { window.lead = one }")
    for status, word in ((Status.SENDING, "Sending"), (Status.SENT, "Sent")):
        with store.transaction(clinic.id) as session:
            message = session.get_one(Message, 4)
            message.status = status
            message.sent_at = clock.now() if status is Status.SENT else None
        expect(lead).to_contain_text(word, timeout=8000)
    assert page.evaluate("window.lead === document.getElementById('lead')")  # a live region must stay to be heard
    expect(page.get_by_label("What support needs")).to_be_focused()
    expect(page.get_by_label("Include the number and the text")).to_be_checked()
    expect(page.locator("#for-support")).to_have_value(re.compile("To: "))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert asked == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_one_for_a_set_time_says_until_when_it_waits_and_is_taken_back(
    open_page: Open, width: str, scheme: Literal["light", "dark"]
) -> None:
    page = open_page("/patients/2/text", WIDTHS[width], scheme)
    page.get_by_label("Your text").fill("The gym is yours on Friday at ten.")
    page.get_by_text("Send it later, or as marketing").click()
    page.get_by_label("When (now, if left empty)").fill("2031-05-09T09:00")
    page.get_by_role("button", name="Send to Noah").click()
    waits = page.locator("#again")
    expect(waits).to_have_text("It goes at 9am on Friday 9 May: until then you can take it back.")
    check(page, "message-waits", WIDTHS[width])
    if scheme == "light":
        take_picture(page, "message-waits", width)
    page.go_back()
    expect(page.locator("#waiting")).to_contain_text(
        "A text to Noah has not gone yet. It goes at 9am on Friday 9 May"
    )
    check(page, "text-waiting", WIDTHS[width])
    if scheme == "light":
        take_picture(page, "text-waiting", width)
    page.locator("#waiting").get_by_role("link", name="Look at it").click()
    page.get_by_role("button", name="Take it back").click()
    expect(page.locator("#lead")).to_contain_text("was withdrawn before it was sent")
    expect(page.locator("#lead")).to_be_focused()
    check(page, "taken back", WIDTHS[width])
    page.get_by_role("button", name="Send it now").click()
    expect(waits).to_contain_text(re.compile(r"It goes in \d+ seconds?: until then you can take it back\."))
    expect(waits).to_have_text("It is on its way.")  # by itself; there is no worker


def test_a_failed_one_goes_again_by_one_click_and_the_focus_is_on_what_became_of_it(open_page: Open) -> None:
    page = open_page("/communications/1")
    page.get_by_role("button", name="Send again").click()
    expect(page.locator("#lead")).to_contain_text("Ada Silva will be texted")
    expect(page.locator("#lead")).to_be_focused()
    expect(page.locator("h1")).to_have_count(1)


def test_after_a_mend_the_whole_page_tells_what_holds_now(open_page: Open) -> None:
    page = open_page("/communications/6")
    expect(page.locator("#again")).to_have_class("mend quieter")
    form = page.locator("#message form.mend").filter(has=page.locator("input[name=number]"))
    form.locator("input[name=number]").fill("0491 570 158")
    form.get_by_role("button").click()
    expect(page.locator(".result")).to_be_focused()
    expect(page.locator("#again")).to_have_class("mend")
    expect(page.locator("h1")).to_have_count(1)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_in_doubt_the_browser_asks_for_the_tick(open_page: Open, scripts: bool) -> None:
    page = open_page("/communications/3", scripts=scripts)
    page.get_by_role("button", name="Send again").click()
    expect(page.locator("#lead")).to_contain_text("In doubt")
    page.get_by_label("Mia may get it twice, and that is all right").check()
    page.get_by_role("button", name="Send again").click()
    expect(page.locator("#lead")).to_contain_text("Mia Nguyen will be texted")


def test_what_support_needs_is_copied(open_page: Open) -> None:
    page = open_page("/communications/2")
    page.get_by_text("Copy for support").click()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator("#copied")).to_have_text("Copied.")
    field = page.get_by_label("What support needs")
    told = field.input_value()
    assert "Message: 2" in told
    assert "Noah" not in told
    page.get_by_label("Include the number and the text").check()
    expect(field).to_have_value(re.compile("Text: Hi Noah"))
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator("#copied")).to_have_text("Copied.")


def test_without_scripts_support_is_told_by_hand(open_page: Open) -> None:
    page = open_page("/communications/2", scripts=False)
    page.get_by_text("Copy for support").click()
    expect(page.get_by_role("button", name="Copy", exact=True)).to_have_count(0)
    page.get_by_label("Include the number and the text").check()
    page.get_by_role("button", name="Show it so").click()
    expect(page.get_by_label("What support needs")).to_have_value(re.compile("Text: Hi Noah"))


# --- the worklist -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_all_that_are_safe_go_again_after_being_asked(open_page: Open, scripts: bool) -> None:
    page = open_page("/today/worklist", scripts=scripts)
    page.get_by_text("Send all again …").click()
    expect(page.locator("#all-again")).to_contain_text("3 texts go")
    page.get_by_role("button", name="Send these 3 again").click()
    said = page.locator("#worklist-said")
    expect(said).to_contain_text(
        "Done. 2 texts go again in 10 seconds. Not sent: Leila Haddad: No mobile number on file."
    )
    expect(said).to_be_focused()
    expect(page.locator("#worklist tbody tr")).to_have_count(2)


def test_one_of_the_worklist_goes_again_in_place(open_page: Open) -> None:
    page = open_page("/")
    page.get_by_role("button", name=re.compile("Send again.*Zoë Müller")).click()
    expect(page.locator("#worklist-said")).to_contain_text(re.compile(r"Done\. It goes again in \d+ seconds?\."))
    expect(page.locator("#worklist")).not_to_contain_text("Zoë")
    expect(page.locator("h1")).to_have_count(1)
    page.get_by_role("link", name="Look at it, or take it back").click()
    page.get_by_role("button", name="Take it back").click()
    expect(page.locator("#lead")).to_contain_text("The text to Zoë Müller")
    expect(page.locator("#lead")).to_contain_text("was withdrawn before it was sent.")
