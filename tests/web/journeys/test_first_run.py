"""From an empty installation to the first text, every program a process of its own, as the administrator runs it."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from portal.sms.simulator import Simulator
from tests.processes import wait_until
from tests.web.people import PASSWORD

from .installation import Installation
from .stack import at
from .visit import MODES, Mode, Visit, visiting

pytestmark = pytest.mark.browser

EMAIL = "dana@riverside.example"


def make_the_first_account(visit: Visit, code: str) -> None:
    page = visit.page
    page.get_by_label("Code").fill(code)
    page.get_by_label("Your part").select_option(label="Owner of Riverside")
    page.get_by_label("Your name").fill("Dana Lim")
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The password once more").fill(PASSWORD)
    visit.step("set-up")
    page.get_by_role("button", name="Set up").click()


def go_live(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Go live").click()
    page.get_by_label("I have read what is marked above").check()
    page.get_by_label("Yes, text the patients of Riverside").check()
    visit.step("go-live")
    page.get_by_role("button", name="Go live").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are live")


def file_the_mobiles(visit: Visit) -> None:
    """What the export has as something else, all at once."""
    page = visit.page
    page.get_by_role("link", name="Today", exact=True).click()
    button = page.get_by_role("button", name=re.compile("File these .* as Mobile"))
    visit.step("mend", button)
    button.click()
    expect(page.locator("#plan-said")).to_contain_text("filed as Mobile.")


def leave(page: Page) -> None:
    """Nobody looks while the server is down."""
    page.wait_for_load_state()
    page.goto("about:blank")


def sign_in(page: Page) -> None:
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_from_nothing_to_the_first_text(
    browser: Browser, installation: Installation, provider: Simulator, export: Path, mode: Mode
) -> None:
    with visiting(browser, installation.url, "first-run", mode) as visit:
        page = visit.page
        installation.run(at("09:00"), "-m", "portal", "init")
        with installation.terminal(at("09:10")) as printed:
            page.goto("/")
            expect(page.get_by_role("heading", level=1)).to_have_text("Set up the portal")
            expect(page.locator("main")).to_contain_text("No practice is here yet.")
            visit.step("empty")
            assert "It is new." in installation.run(at("09:12"), "-m", "portal", "import", str(export))
            wait_until(lambda: "type this code:" in printed.read_text())
            page.reload()
            make_the_first_account(visit, printed.read_text().partition("type this code:")[2].split()[0])
            expect(page.get_by_role("alert").first).to_contain_text("You are rehearsing")
            visit.step("today")
            go_live(visit)
            file_the_mobiles(visit)
            leave(page)

        assert "1 practice due" in installation.run(at("10:00"), "-m", "portal", "enqueue")
        assert "Nothing remains." in installation.run(at("10:00"), "worker.py", "--burst", "-n", "1")
        texts = provider.messages
        assert len(texts) > 20
        assert len({str(one.client_ref).split(".")[0] for one in texts}) == len(texts)

        with installation.terminal(at("10:02")):
            page.goto("/")
            sign_in(page)
            expect(page.locator("#plan")).to_contain_text(
                f"Reminders last ran today at 10am Sydney time: {len(texts)} handed over for sending"
            )
            visit.step("after-the-pass")
            page.get_by_role("link", name="Communications", exact=True).click()
            page.wait_for_load_state()
            page.get_by_label("Outcome").select_option("sent")
            if not mode.scripts:
                page.get_by_role("button", name="Search").click()
            expect(page.locator("#rows tbody tr")).to_have_count(len(texts))
            page.locator("#rows tbody tr").first.get_by_role("link").click()
            expect(page.locator("main .outcome").first).to_contain_text("Sent")
            expect(page.locator("main")).to_contain_text("was texted today at 10am")
            assert page.locator("blockquote.text").inner_text() in [one.text for one in texts]
            visit.step("sent")
            leave(page)
