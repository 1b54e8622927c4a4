"""Alarms on Today, the hours of texts by staff and the day's line, in a real browser."""

from datetime import timedelta
from typing import Literal

import pytest
from flask import Flask
from playwright.sync_api import expect

from portal import clock, store
from portal.actions.alarms import keep_watch
from portal.core.watching import QueueSeen
from portal.store.imports import ImportRun
from tests.builders import PASS_AT, Clinic

from .browsing import WIDTHS, Open, assert_accessible, assert_fits, assert_touchable, take_picture

pytestmark = pytest.mark.browser

HOUR = timedelta(hours=1)


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def clinic(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """At 9am: an hour before reminders for which the credits do not last, and no worker to send them."""
    monkeypatch.setattr(clock, "_offset", timedelta())
    clock.start_at(PASS_AT - HOUR)
    clinic = Clinic(credits=3, name="Riverside Physiotherapy")
    for number in range(9):
        clinic.book(str(number), starts=f"2031-05-08 {9 + number:02}:00")
    with store.transaction(clinic.id) as session:
        session.add(ImportRun(at=PASS_AT - 3 * HOUR, counts={}, conflicts=[], seconds=2.0))
    keep_watch(QueueSeen(2, timedelta(minutes=12)), True, PASS_AT - HOUR)
    return clinic


PARTS = {"text-hours": "section[aria-labelledby=hours]", "account": "h2:text-is('Second step at sign-in')"}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_they_are_accessible_and_fit(open_page: Open, width: str, scheme: Literal["light", "dark"]) -> None:
    for name, path in (("alarms", "/"), ("text-hours", "/settings/sms"), ("account", "/account")):
        page = open_page(path, WIDTHS[width], scheme)
        assert_accessible(page)
        assert_fits(page)
        assert_touchable(page.locator("main button:visible, main select:visible, .alarm a:visible"))
        if scheme == "light":
            take_picture(page, name, width, PARTS.get(name, "h1"), full_page=name != "alarms")


@pytest.mark.parametrize("scripts", [True, False])
def test_from_an_alarm_to_what_mends_it(open_page: Open, scripts: bool) -> None:
    page = open_page("/", scripts=scripts)
    alarms = page.locator("#plan .alarm")
    expect(alarms).to_have_count(2)
    expect(alarms.filter(has_text="No text goes out at the moment.")).to_contain_text("Your administrator sees this")
    poor = alarms.filter(has_text="Credits run out with the next reminders.")
    expect(poor).to_contain_text("3 left; the reminders that go today need 9. Top up before 10am today.")
    poor.get_by_role("link", name="Top up").click()
    page.get_by_label("Credits to add").fill("100")
    page.get_by_role("button", name="Top up").click()
    expect(page.get_by_role("status").filter(has_text="The balance is 103 credits.")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_the_hours_are_changed_in_place(open_page: Open, scripts: bool) -> None:
    page = open_page("/settings/sms", scripts=scripts)
    page.get_by_label("From", exact=True).select_option("9")
    page.get_by_label("Until").select_option("18")
    page.get_by_role("button", name="Change the hours").click()
    expect(page.get_by_role("status").filter(has_text="Texts by staff go from 9am to 6pm.")).to_be_visible()
    expect(page.get_by_label("Until")).to_have_value("18")
    page.get_by_label("Per cent of a day's texts").fill("5")
    page.get_by_role("button", name="Change the share").click()
    expect(page.get_by_role("status").filter(has_text="More than 5%")).to_be_visible()


def test_the_days_line_is_chosen(open_page: Open) -> None:
    page = open_page("/account")
    page.get_by_label("Mail it to me").check()
    page.get_by_role("button", name="Save this").click()
    expect(page.get_by_text("The day's line comes by mail once your administrator has set up mail.")).to_be_visible()
    expect(page.get_by_label("Mail it to me")).to_be_checked()
    expect(page.get_by_label("With the names")).not_to_be_checked()
