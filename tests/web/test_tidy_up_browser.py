"""Tidying up and merging in a real browser: by mouse, by keyboard and without scripts."""

from datetime import date
from typing import Any, Literal

import pytest
from flask import Flask
from playwright.sync_api import expect

from portal import store
from portal.actions.merge_patients import merge
from portal.actions.remind import run_pass
from portal.actions.tidy_numbers import file_numbers
from portal.actions.who import Who
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference
from portal.core.roles import Role
from portal.store.patients import Patient
from tests.builders import MOBILES, PASS_AT, Clinic, a_number, a_patient, a_type, an_appointment

from .browsing import WIDTHS, Open, assert_accessible, assert_fits, assert_touchable, take_picture

pytestmark = pytest.mark.browser

DANA = Who(1, "Dana Owner")
BORN = date(1980, 5, 4)
FIRST = ("Mia", "Noah", "Ada", "Zoë", "Tom", "Ken")
LAST = ("Nguyen", "Okafor", "Silva", "Berg", "Marsh")


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def usual_role() -> Role:
    return Role.RECEPTION


@pytest.fixture
def clinic(app: Flask, at_pass_time: None) -> Clinic:
    """Thirty mobiles filed as Home, some numbers that are none, who cannot be reached, a type without a template, and
    two records of one person, of whom two others were merged already."""
    clinic = Clinic(name="Riverside Physiotherapy")
    for i in range(30):
        name: dict[str, Any] = {"first_name": FIRST[i % 6], "last_name": LAST[i // 6]}
        if i == 4:
            name["preference"] = Preference.EMAIL
        filed(clinic, f"h{i}", f"0491 570 {100 + i}", PhoneType.HOME, **name)
    filed(clinic, "short", "0491 570 15", PhoneType.MOBILE, first_name="Ruth", last_name="Adler")
    filed(clinic, "landline", "02 5550 1234", PhoneType.MOBILE, first_name="Omar", last_name="Haddad")
    clinic.book("nobody", patient={"first_name": "Lena", "last_name": "Vogt", "mobile": None})
    with store.transaction(clinic.id) as session:
        bare = a_type(session, None, external_id="2", name="Dry needling")
        own: dict[str, Any] = {"business": clinic.business, "practitioner": clinic.practitioner, "type": bare}
        an_appointment(session, "bare", patient=a_patient(session, "bare", first_name="Ida"), **own)
    twice: dict[str, Any] = {"first_name": "Elif", "last_name": "Kaya", "date_of_birth": BORN}
    clinic.book("elif", patient=twice | {"mobile": MOBILES[0], "email": "elif@example.org"})
    clinic.book("elif again", patient=twice | {"mobile": MOBILES[1], "preference": Preference.NONE})
    with store.transaction(clinic.id) as session:
        jon = a_patient(session, "jon", first_name="Jon", last_name="Smith", mobile=MOBILES[2])
        john = a_patient(session, "john", first_name="John", last_name="Smith", mobile=MOBILES[2])
        a_patient(session, "johnny", first_name="Johnny", last_name="Smith", mobile=MOBILES[2])
    run_pass(clinic.id, PASS_AT, PASS_AT)
    merge(clinic.id, john.id, jon.id, confirmed=True, who=DANA, now=PASS_AT)
    return clinic


def filed(clinic: Clinic, id_: str, number: str, type_: PhoneType, **patient: Any) -> None:
    booked = clinic.book(id_, patient=patient | {"mobile": None})
    with store.transaction(clinic.id) as session:
        a_number(session, session.get_one(Patient, booked.patient_id), number, type_)


PAGES = {
    "tidy-up": "/tidy-up",
    "tidy-up-mobiles": "/tidy-up/mobiles",
    "tidy-up-numbers": "/tidy-up/numbers",
    "tidy-up-unreachable": "/tidy-up/unreachable",
    "tidy-up-types": "/tidy-up/types",
    "tidy-up-batch": "/tidy-up/batches/1",
    "duplicates": "/tidy-up/duplicates",
    "duplicates-number": "/tidy-up/duplicates?by=number",
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits(
    open_page: Open, clinic: Clinic, width: str, scheme: Literal["light", "dark"]
) -> None:
    file_numbers(clinic.id, {1: "Home 0491 570 100", 2: "Home 0491 570 101"}, DANA, PASS_AT)
    with store.reading(clinic.id) as session:
        [one, other] = [store.patients.find_patient(session, id_) for id_ in ("elif", "elif again")]
        assert one and other
    compare = {"duplicates-compare": f"/tidy-up/duplicates/{one.id}/{other.id}"}
    for name, path in (PAGES | compare).items():
        page = open_page(path, WIDTHS[width], scheme)
        expect(page.locator("h1")).to_be_visible()
        if scheme == "light":
            take_picture(page, name, width, full_page=name == "duplicates-compare")
        assert_accessible(page, name)
        assert_fits(page, name)
        inputs = "main form input:not([type=checkbox], [type=radio], [type=hidden])"
        assert_touchable(page.locator(f"{inputs}, main button, main summary, main .confirm, .pages a"))


def test_one_click_on_a_row_and_undo_by_keyboard(open_page: Open) -> None:
    page = open_page("/tidy-up/mobiles")
    rows = page.locator("#list tbody tr")
    expect(rows).to_have_count(30)
    rows.filter(has_text="Mia Nguyen").get_by_role("button", name="File as Mobile").click()
    done = page.locator("#done")
    expect(done).to_contain_text("1 number filed as Mobile: Mia Nguyen, 0491 570 100 (Mobile).")
    expect(done).to_be_focused()
    expect(rows).to_have_count(29)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".result")).to_contain_text("1 number is as before.")


def test_a_wrong_number_is_refused_beside_its_field_and_then_corrected(open_page: Open) -> None:
    page = open_page("/tidy-up/numbers", 390)
    rows = page.locator("#list tbody tr")
    field = page.get_by_label("Mobile number of Ruth Adler")
    field.fill("0491 570 1")
    rows.filter(has_text="Ruth Adler").get_by_role("button", name="Correct the number").click()
    expect(page.locator("#list .problem")).to_contain_text("too few for Australia")
    expect(field).to_be_focused()
    assert_accessible(page)
    field.fill(MOBILES[3])
    rows.filter(has_text="Ruth Adler").get_by_role("button", name="Correct the number").click()
    expect(page.locator("#done")).to_contain_text("1 number corrected: Ruth Adler")
    rows.filter(has_text="Omar Haddad").get_by_role("button", name="File it as Home").click()
    expect(page.locator("#done")).to_contain_text("Omar Haddad, 02 5550 1234 (Home)")
    expect(page.locator("#list")).to_contain_text("Nothing to mend for the next 30 days.")


@pytest.mark.parametrize("scripts", [True, False])
def test_some_are_ticked_looked_at_and_filed(open_page: Open, scripts: bool) -> None:
    page = open_page("/tidy-up/mobiles", scripts=scripts)
    page.get_by_role("button", name="File those I tick as Mobile").click()
    expect(page.locator("#list .problem")).to_have_text("Choose at least one number first.")
    for name in ("Mia Nguyen", "Ada Silva"):
        page.get_by_label(f"Choose {name}").check()
    page.get_by_role("button", name="File those I tick as Mobile").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Check each, then confirm")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name="File these 2 numbers as Mobile").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 numbers filed as Mobile")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".result")).to_contain_text("2 numbers are as before.")


@pytest.mark.parametrize("scripts", [True, False])
def test_two_records_are_compared_and_merged(open_page: Open, scripts: bool) -> None:
    page = open_page("/tidy-up", scripts=scripts)
    page.get_by_role("link", name="Possible duplicate patients").click()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".compare .differs").first).to_be_visible()
    page.get_by_label("First: Elif Kaya").check()
    page.get_by_label("They are one person.").check()
    page.get_by_role("button", name="Merge the two records").click()
    expect(page.locator("#done")).to_have_text(
        "Done. Merged with the record of Elif Kaya, patient number elif again."
    )
    expect(page.locator("#contact")).to_contain_text("None")
    page.goto("/tidy-up/duplicates")
    expect(page.locator("main")).to_contain_text("Nobody is listed.")
    expect(page.locator("main")).to_contain_text("patient number elif again, into Elif Kaya")
