"""The pages in a real browser, on a phone and on a desk, in light and dark, with and without scripts."""

import re
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from portal.actions.browse_log import stream
from portal.core.roles import Role
from portal.demo.accounts import ACCOUNTS
from portal.demo.practice import PRACTICE
from tests.web.browsing import WIDTHS, Open, assert_accessible, assert_fits, assert_touchable, take_picture
from tests.web.conftest import Site, sign_in_browser

pytestmark = pytest.mark.browser


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Open]:
    """Opens a path; what the page prints to its console, or fails to load, fails the test."""
    contexts = []
    complaints: list[str] = []

    def open_(
        path: str, width: int = 1280, scheme: Literal["light", "dark"] = "light", *, scripts: bool = True
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
            base_url=site.url,
            reduced_motion="reduce",
        )
        contexts.append(context)
        sign_in_browser(context, site.demo.app, site.url, ACCOUNTS[Role.OWNER][1])
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.goto(path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def paths(site: Site) -> dict[str, str]:
    """The pages to look at, by the name of their picture."""
    with site.demo.app.app_context():
        log = list(stream(PRACTICE))
    not_sent = next(m["id"] for m in log if m["reasons"] == ["no-mobile-number"])
    sent = next(m["id"] for m in log if m["status"] == "sent")
    refused = next(m["id"] for m in log if "provider-refused" in m["reasons"])
    moved = next(m["id"] for m in log if "withdrawn" in m["reasons"] and m["appointment"] == "5028")
    return {
        "communications": "/communications",
        "message-not-sent": f"/communications/{not_sent}",
        "message-sent": f"/communications/{sent}",
        "message-refused": f"/communications/{refused}",
        "message-moved": f"/communications/{moved}",
    }


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits(
    open_page: Open, paths: dict[str, str], width: str, scheme: Literal["light", "dark"]
) -> None:
    for name, path in paths.items():
        page = open_page(path, WIDTHS[width], scheme)
        assert_accessible(page)
        assert_fits(page, name)
        if scheme == "light":
            take_picture(page, name, width, full_page=name != "communications")


def test_typing_narrows_the_log_and_the_address_keeps_it(open_page: Open) -> None:
    page = open_page("/communications")
    rows = page.locator("#rows tbody tr")
    before = rows.count()
    page.get_by_label("Name, text, number").press_sequentially("okaf", delay=20)
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Grace Okafor")
    assert before > 30
    expect(page).to_have_url(re.compile(r"q=okaf"))
    page.reload()
    expect(rows).to_have_count(1)
    assert page.locator("h1").count() == 1  # the fragment only was swapped


def test_choosing_an_outcome_narrows_the_log(open_page: Open) -> None:
    page = open_page("/communications")
    page.get_by_label("Outcome").select_option("unknown")
    rows = page.locator("#rows tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("In doubt")


def test_the_search_works_without_scripts(open_page: Open) -> None:
    page = open_page("/communications", scripts=False)
    page.get_by_label("Name, text, number").fill("okaf")
    page.get_by_role("button", name="Search").click()
    rows = page.locator("#rows tbody tr")
    expect(rows).to_have_count(1)
    rows.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Grace Okafor")


def test_the_keyboard_reaches_the_content_first(open_page: Open) -> None:
    page = open_page("/communications")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page's content")).to_be_focused()


@pytest.mark.parametrize("width", WIDTHS)
def test_what_can_be_touched_is_large_enough(open_page: Open, width: str) -> None:
    page = open_page("/communications", WIDTHS[width])
    assert_touchable(page.locator("form input:visible, form select:visible, form button, header nav a, nav.pages a"))
