"""Today in a real browser: it fits and is accessible, its parts come by themselves, and acts keep the place."""

from datetime import timedelta
from typing import Any, Literal

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from portal import clock, store
from portal.actions.remind import run_pass
from portal.core.numbers import PhoneType
from portal.core.reasons import Reason
from portal.core.reminders import Preference
from portal.core.states import Direction, Kind, Status
from portal.store.imports import ImportRun
from portal.store.messages import Message
from portal.store.patients import Patient
from tests.builders import MOBILES, PASS_AT, Clinic, a_business, a_number, a_patient, a_type, an_appointment

from .browsing import SCREENS, WIDTHS, Open, assert_accessible, assert_fits, assert_touchable, take_picture
from .test_today import DAY, HOUR
from .test_worklist import message_of

pytestmark = pytest.mark.browser

NAMES = (
    "Ada Silva",
    "Noah Okafor",
    "Mia Nguyen",
    "Ken Tanaka",
    "Zoë Müller",
    "Aroha Ngata",
    "Leila Haddad",
    "Tom Field",
)


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def clinic(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """On Wednesday at 8:48am, before the day's first pass: a full Thursday, yesterday's mishaps, weeks behind."""
    monkeypatch.setattr(clock, "_offset", timedelta())
    clinic = Clinic(credits=140, name="Riverside Physiotherapy")
    with store.transaction(clinic.id) as session:
        off = a_business(session, external_id="2", name="South Clinic", sms_reminders=False)
        untold = a_type(session, None, external_id="2", name="Dry needling")
        session.add(ImportRun(at=PASS_AT - 3 * HOUR, counts={}, conflicts=[], seconds=2.0))
    for i in range(47):
        first, last = NAMES[i % 8].split()
        who: dict[str, Any] = {
            "first_name": first,
            "last_name": f"{last}{'' if i < 8 else f'-{NAMES[i // 8].split()[1]}'}",
        }
        how: dict[str, Any] = {}
        if i in (5, 9, 21):
            who["mobile"] = None
        elif i in (12, 30):
            how["type"] = untold
        elif i == 17:
            who["preference"] = Preference.EMAIL
        elif i == 33:
            how["business"] = off
        booked = clinic.book(str(i), starts=f"2031-05-08 {8 + i // 5:02}:{i % 5 * 10:02}", patient=who, **how)
        if i in (5, 9):
            with store.transaction(clinic.id) as session:
                a_number(session, session.get_one(Patient, booked.patient_id), MOBILES[2], PhoneType.HOME)
    yesterday = [clinic.book(f"y{i}", starts=f"2031-05-07 {13 + i}:30", patient=name(i)) for i in range(4)]
    for hour in range(6):
        run_pass(clinic.id, PASS_AT - DAY + hour * HOUR, PASS_AT - DAY + hour * HOUR)
    fates = [(Status.UNDELIVERED, ()), (Status.UNKNOWN, ()), (Status.FAILED, (Reason.PROVIDER_REFUSED,))]
    for appointment, (status, reasons) in zip(yesterday, [*fates, (Status.DELIVERED, ())], strict=True):
        message = message_of(clinic, appointment)
        clinic.change(message, status=status, reasons=reasons, charged=0 if reasons else 1)
    with store.transaction(clinic.id) as session:
        regulars = [a_patient(session, f"regular {i}", **name(i % 8)) for i in range(12)]
    for week in range(5):
        with store.transaction(clinic.id) as session:
            for i in range(60):
                appointment = {"business": clinic.business, "practitioner": clinic.practitioner, "type": clinic.type}
                an_appointment(
                    session,
                    f"w{week}.{i}",
                    **appointment,
                    patient=regulars[i % 12],
                    starts=f"2031-05-{9 + week:02} {8 + i % 10:02}:15",
                )
    history(clinic)
    clock.start_at(PASS_AT - timedelta(minutes=72, seconds=-1))
    return clinic


def name(i: int) -> dict[str, Any]:
    return dict(zip(("first_name", "last_name"), NAMES[i].split(), strict=True))


def history(clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        for ago in range(2, 30):
            at = PASS_AT - ago * DAY
            if at.weekday() > 4:
                continue
            for i in range(34 + ago * 7 % 13):
                status = (
                    Status.UNDELIVERED
                    if (i + ago) % 19 == 0
                    else Status.SENT
                    if ago < 4 and i % 3
                    else Status.DELIVERED
                )
                if i % 11 == 0:
                    status = Status.NOT_SENT
                is_text = status is not Status.NOT_SENT
                session.add(
                    Message(
                        direction=Direction.OUTBOUND,
                        kind=Kind.MANUAL,
                        status=status,
                        reasons=() if is_text else (Reason.OPTED_OUT,),
                        to=MOBILES[0] if is_text else None,
                        body="Hello" if is_text else None,
                        segments=1 if is_text else None,
                        created_at=at if ago > 4 else at - 4 * DAY,
                    )
                )


def wait_for_parts(page: Page) -> None:
    expect(page.locator("#worklist-said")).to_be_attached()
    expect(page.locator("#credits p").first).to_contain_text("need")
    expect(page.locator("#chart svg")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_today_is_accessible_and_fits(open_page: Open, width: str, scheme: Literal["light", "dark"]) -> None:
    page = open_page("/", WIDTHS[width], scheme)
    wait_for_parts(page)
    if scheme == "light":
        take_picture(page, "today", width)
    else:
        page.screenshot(path=SCREENS / f"today-{width}-dark.png", full_page=True)
    for details in page.locator("main details").all():
        details.evaluate("element => element.open = true")
    assert_accessible(page)
    assert_fits(page)
    assert_touchable(page.locator("main button:visible, main a:visible, main summary:visible, header nav a"))


@pytest.mark.parametrize("path", ["/today/worklist", "/today/credits", "/today/chart"])
def test_each_part_is_an_accessible_page_too(open_page: Open, path: str) -> None:
    page = open_page(path, 390)
    assert_accessible(page)


def test_what_is_opened_and_the_focus_stay_when_it_is_renewed(open_page: Open) -> None:
    page = open_page("/")
    wait_for_parts(page)
    opened = page.locator("#plan details").first
    if opened.get_attribute("open") is None:
        opened.locator("summary").click()
    link = opened.get_by_role("link").first
    link.focus()
    page.evaluate("document.querySelector('#plan').setAttribute('data-old', 'yes')")
    with page.expect_response(lambda response: response.url.endswith("/")):
        page.evaluate("htmx.trigger(document.querySelector('#plan'), 'every')")
    page.wait_for_function("!document.querySelector('#plan').hasAttribute('data-old')")
    expect(opened).to_have_attribute("open", "")
    expect(link).to_be_focused()


def test_dealt_with_and_undone_in_place(open_page: Open) -> None:
    page = open_page("/")
    wait_for_parts(page)
    rows = page.locator("#worklist tbody tr")
    before = rows.count()
    assert before > 1
    page.locator("#worklist tbody button").first.click()
    expect(page.locator("#worklist-said")).to_have_text("Marked as dealt with.")
    expect(page.locator("#worklist-said")).to_be_focused()
    expect(rows).to_have_count(before - 1)
    assert page.url.endswith("/")
    page.locator("#worklist-done summary").click()
    page.locator("#worklist-done").get_by_role("button", name="Undo").first.click()
    expect(page.locator("#worklist-said")).to_have_text("It is back on the list.")
    expect(rows).to_have_count(before)


def test_mobiles_are_filed_in_place(open_page: Open) -> None:
    page = open_page("/")
    wait_for_parts(page)
    page.get_by_role("button", name="as Mobile").click()
    expect(page.locator("#plan-said")).to_contain_text("filed as Mobile.")
    expect(page.locator("#plan-said")).to_be_focused()
    expect(page.get_by_role("button", name="as Mobile")).to_have_count(0)
    expect(page.locator("#credits")).to_contain_text("need 162")  # 160 and these two


def test_a_template_is_chosen_in_place(open_page: Open) -> None:
    page = open_page("/")
    wait_for_parts(page)
    page.get_by_role("link", name="Choose a template").click()
    choice = page.get_by_label("Appointment reminder SMS for Dry needling")
    expect(choice).to_be_focused()
    with page.expect_response(lambda response: response.url.endswith("/")):
        page.evaluate("htmx.trigger(document.querySelector('#plan'), 'every')")
    expect(choice).to_be_visible()  # the plan was renewed around it
    choice.select_option("Short")
    page.get_by_role("button", name="Use this template").click()
    expect(page.locator("#plan-said")).to_contain_text("Its reminders use that template")
    expect(page.locator("#plan")).not_to_contain_text("Dry needling”, which")
    assert_accessible(page)


def test_without_scripts_every_part_is_a_link_away(open_page: Open) -> None:
    page = open_page("/", scripts=False)
    page.get_by_role("link", name="What did not reach a patient").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("To deal with")
    rows = page.locator("#worklist tbody tr")
    before = rows.count()
    page.locator("#worklist tbody button").first.click()
    expect(page.locator("#worklist-said")).to_have_text("Marked as dealt with.")
    expect(rows).to_have_count(before - 1)
    page.locator("#worklist-done summary").click()
    page.locator("#worklist-done").get_by_role("button").first.click()
    page.get_by_role("link", name="Today", exact=True).click()
    page.get_by_role("link", name="How long they last").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Credits")


def test_the_navigation_by_keyboard(open_page: Open) -> None:
    page = open_page("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator("header nav a[aria-current]")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Patients", exact=True)).to_be_focused()
