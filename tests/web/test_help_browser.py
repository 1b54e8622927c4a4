"""Help in the real browser: read at both widths, in light and dark; found by searching, without scripts as well."""

import pytest
from playwright.sync_api import Page, expect

from portal.core.roles import Role
from tests.builders import Clinic

from .browsing import SCREENS, WIDTHS, Open, assert_accessible, assert_fits

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def database() -> str:
    return "sqlite"


@pytest.fixture
def clinic(app: object, at_pass_time: None) -> Clinic:
    return Clinic()


@pytest.fixture
def usual_role() -> Role:
    return Role.RECEPTION


def assert_reads(page: Page) -> None:
    """Nothing is wider than the window, and every picture is there."""
    assert_fits(page)
    for picture in page.locator("article img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("image => image.naturalWidth") > 0


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contents_search_and_pages(open_page: Open, width: int, scheme: str) -> None:
    page = open_page("/patients", width, scheme)
    page.get_by_role("link", name="Help with this page").click()
    expect(page.get_by_role("heading", name="Finding a patient")).to_be_visible()
    assert_accessible(page)
    assert_reads(page)

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Help").click()
    expect(page.get_by_role("heading", name="Help", exact=True)).to_be_visible()
    assert_accessible(page)
    assert_reads(page)
    if scheme == "light":
        page.screenshot(path=SCREENS / f"help-{width}.png")

    page.get_by_label("What are you looking for?").fill("emoji")
    page.get_by_role("button", name="Search Help").click()
    expect(page.get_by_role("status")).to_contain_text("found")
    assert_accessible(page)
    assert_reads(page)
    if scheme == "light":
        page.screenshot(path=SCREENS / f"help-found-{width}.png")
    page.get_by_role("link", name="Credits, and what a text costs").click()
    expect(page.get_by_role("heading", name="What a text costs", exact=True)).to_be_visible()
    assert page.url.endswith("#what-a-text-costs")

    page.goto("/help/sms-not-received")
    expect(page.get_by_role("heading", level=1)).to_have_text("Patients aren't receiving SMS messages")
    assert_accessible(page)
    assert_reads(page)
    if scheme == "light":
        page.screenshot(path=SCREENS / f"help-page-{width}.png", full_page=True)


@pytest.mark.parametrize("name", ["reasons", "sysadmin/install", "sysadmin/alarms", "sysadmin/settings"])
def test_wide_tables_and_commands_fit_a_phone(open_page: Open, name: str) -> None:
    page = open_page(f"/help/{name}", 390)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert_accessible(page)
    assert_reads(page)


def test_without_scripts_it_is_searched_too(open_page: Open) -> None:
    page = open_page("/help", 390, scripts=False)
    page.get_by_label("What are you looking for?").fill("opt out")
    page.get_by_role("button", name="Search Help").click()
    expect(page.get_by_role("link", name="One patient gets no text: mend it")).to_be_visible()
