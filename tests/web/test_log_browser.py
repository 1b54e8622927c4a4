"""The log searched, narrowed and taken along in a real browser, with and without scripts."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from portal.core.roles import Role
from portal.demo.accounts import ACCOUNTS
from tests.web.browsing import SCREENS, WIDTHS, Open, assert_accessible, assert_fits, assert_touchable
from tests.web.conftest import Site, sign_in_browser

pytestmark = pytest.mark.browser

NARROWED = "/communications?status=not-sent&reason=no-mobile-number"


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Open]:
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
            accept_downloads=True,
        )
        sign_in_browser(context, site.demo.app, site.url, ACCOUNTS[Role.OWNER][1])
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_narrowed_log_is_accessible_and_fits(
    open_page: Open, width: str, scheme: Literal["light", "dark"]
) -> None:
    for name, path in (("log-narrowed", NARROWED), ("log-nothing", "/communications?q=zebra")):
        page = open_page(path, WIDTHS[width], scheme)
        assert_accessible(page)
        assert_fits(page)
        assert_touchable(page.locator("search input, search select, search summary, search button, nav.pages a"))
        if scheme == "light":
            page.screenshot(path=SCREENS / f"{name}-{width}.png")


def test_filters_narrow_at_once_and_the_address_and_the_focus_are_kept(open_page: Open) -> None:
    page = open_page("/communications")
    rows = page.locator("#rows tbody tr")
    before = rows.count()
    page.get_by_text("More filters").click()
    page.get_by_label("Why not sent").select_option("no-mobile-number")
    expect(page).to_have_url(re.compile(r"\?reason=no-mobile-number$"))
    expect(rows).not_to_have_count(before)
    assert 0 < rows.count() < before
    page.get_by_label("Name, text, number").focus()
    page.keyboard.type("zzz")
    expect(page.locator("#count")).to_contain_text("Nothing was found.")
    expect(page.get_by_label("Name, text, number")).to_be_focused()
    assert parse_qs(urlsplit(page.url).query) == {"q": ["zzz"], "reason": ["no-mobile-number"]}
    page.get_by_role("link", name="Show all messages").click()
    expect(rows).to_have_count(before)
    page.go_back()
    expect(page.get_by_label("Name, text, number")).to_have_value("zzz")
    expect(page.get_by_label("Why not sent")).to_have_value("no-mobile-number")


@pytest.mark.parametrize("scripts", [True, False])
def test_what_is_shown_can_be_taken_along(open_page: Open, scripts: bool) -> None:
    page = open_page(NARROWED, scripts=scripts)
    shown = page.locator("#rows tbody tr").count()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download these as CSV").click()
    assert re.fullmatch(r"communications-[\w-]+\.csv", download.value.suggested_filename)
    text = Path(download.value.path()).read_text("utf-8")
    assert text.startswith("Message,When,")
    assert text.count("No mobile number on file") == shown > 0


def test_everything_is_asked_for_without_scripts(open_page: Open) -> None:
    page = open_page("/communications", scripts=False)
    page.get_by_text("More filters").click()
    page.get_by_label("Why not sent").select_option("no-mobile-number")
    page.get_by_label("Kind").select_option("reminder")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url(re.compile("kind=reminder"))
    assert page.locator("#rows tbody tr").count() > 0
    expect(page.get_by_label("Kind")).to_have_value("reminder")
    for row in page.locator("#rows tbody tr").all():
        expect(row).to_contain_text("No mobile number on file")
