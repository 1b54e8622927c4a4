"""Going live and the pause in a real browser: accessible, fitting, and as they look."""

from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from portal import clock, store
from portal.actions.remind import run_pass
from portal.actions.sending import pause
from portal.actions.who import Who
from portal.core.reminders import Preference, Sending
from portal.core.roles import Role
from portal.store.imports import ImportRun
from tests.builders import PASS_AT, Clinic, a_type

from .browsing import WIDTHS, Open, assert_accessible, assert_fits, take_picture

pytestmark = pytest.mark.browser

HOUR = timedelta(hours=1)
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, Scheme] = ("light", "dark")


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def clinic(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """On Wednesday at 10:20am: it rehearses, and most is in order."""
    monkeypatch.setattr(clock, "_offset", timedelta())
    settings = app.extensions["portal.settings"]
    app.extensions["portal.settings"] = replace(settings, vonage_base_url="http://127.0.0.1:1")
    clinic = Clinic(credits=30, name="Riverside Physiotherapy", sending=Sending.REHEARSAL)
    with store.transaction(clinic.id) as session:
        untold = a_type(session, None, external_id="2", name="Dry needling")
        session.add(ImportRun(at=PASS_AT - 3 * HOUR, counts={}, conflicts=[], seconds=2.0))
    clinic.change(clinic.business, watched_since=PASS_AT - timedelta(days=2))
    for day in (8, 9, 12):
        for i in range(9):
            who = {"first_name": f"Ada{i}", "mobile": None if i == 3 else f"0491 570 {100 + i}"}
            who |= {"preference": Preference.EMAIL} if i == 5 else {}
            how = {"type": untold} if i == 7 else {}
            clinic.book(f"{day}-{i}", starts=f"2031-05-{day:02} {9 + i:02}:00", patient=who, **how)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clock.start_at(PASS_AT + timedelta(minutes=20))
    return clinic


def judge(page: Page, name: str, width: str, scheme: str) -> None:
    assert_fits(page, name)
    assert_accessible(page, (name, width, scheme))
    if scheme == "light":
        take_picture(page, name, width, caret="initial")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_of_a_rehearsal(open_page: Open, clinic: Clinic, width: str) -> None:
    for scheme in SCHEMES:
        page = open_page("/going-live", WIDTHS[width], scheme)
        expect(page.get_by_role("heading", level=1)).to_have_text("Go live")
        expect(page.get_by_label("Up to and including")).to_have_value("2031-05-08")
        judge(page, "going-live", width, scheme)
        page.get_by_role("link", name="Tomorrow, Thursday 8 May").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Appointments of Thursday 8 May 2031")
        expect(page.get_by_role("heading", name="6 would be texted")).to_be_visible()
        judge(page, "rehearsed-day", width, scheme)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_going_live_step_by_step(open_page: Open, clinic: Clinic, scripts: bool) -> None:
    page = open_page("/", scripts=scripts)
    page.get_by_role("alert").get_by_role("link", name="Go live").click()
    page.get_by_label("Yes: leave out").check()
    page.get_by_label("I have read what is marked above").check()
    page.get_by_label("Yes, text the patients of").check()
    page.get_by_role("button", name="Go live").click()
    expect(page.get_by_role("status").first).to_contain_text("You are live.")
    expect(page.get_by_role("heading", name="Left out")).to_be_visible()
    if scripts:
        judge(page, "live", "1280", "light")
    page.get_by_label("No: every appointment").check()
    page.get_by_role("button", name="Change what is left out").click()
    expect(page.get_by_role("status").first).to_contain_text("Saved.")
    expect(page.get_by_role("heading", name="Left out")).to_have_count(0)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pause_and_what_it_holds_back(open_page: Open, clinic: Clinic, width: str) -> None:
    clinic.change(clinic.practice, sending=Sending.ON, live_since=PASS_AT - 2 * HOUR)
    for scheme in SCHEMES:
        page = open_page("/", WIDTHS[width], scheme, role=Role.RECEPTION)
        expect(page.get_by_role("button", name="Pause all sending")).to_be_visible()
        assert_accessible(page, scheme)
    page = open_page("/sending", WIDTHS[width], role=Role.RECEPTION)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sending is on")
    judge(page, "sending", width, "dark")
    pause(clinic.id, "The template names the wrong clinic", Who(1, "Dana Reception"), PASS_AT + HOUR / 2)
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    clock.start_at(PASS_AT + HOUR + timedelta(minutes=10))
    for scheme in SCHEMES:
        page = open_page("/sending", WIDTHS[width], scheme, role=Role.RECEPTION)
        expect(page.get_by_role("heading", level=1)).to_have_text("What is held back")
        expect(page.get_by_role("alert").filter(has_text="The template names")).to_be_visible()
        judge(page, "held-back", width, scheme)
