"""Somebody of the practice at a desk or with a phone, and a picture of each step."""

import os
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from portal.core.phrases import plain
from portal.core.roles import Role
from tests.web.browsing import SCREENS, Browsing, assert_accessible, assert_fits, browsing
from tests.web.conftest import sign_in_browser

from .stack import PRACTICE, Stack

# Who is drawn, and so what the pictures show. A run that is told the seed writes them into docs/screens.
ASKED_SEED = os.environ.get("PORTAL_JOURNEY_SEED")
SEED = int(ASKED_SEED) if ASKED_SEED else random.randrange(2**32)


class Mode(NamedTuple):
    width: int
    scripts: bool


MODES = {"390": Mode(390, True), "1280": Mode(1280, True), "no scripts": Mode(1280, False)}
PICTURED = MODES["390"]
PICTURED_ALONE = {PICTURED: ""}


def chance(*about: object) -> random.Random:
    """The same draw for the same seed, whatever was drawn before."""
    print(f"PORTAL_JOURNEY_SEED={SEED} draws the same")
    return random.Random(" ".join(map(str, (SEED, *about))))


@dataclass
class Visit:
    """`name`: of the journey, and so of its pictures."""

    name: str
    mode: Mode
    windows: Browsing
    context: BrowserContext
    page: Page
    steps: list[str] = field(default_factory=list)

    def look(self, what: str, at: Locator | None = None) -> None:
        """A step whose page is accessible in light and dark, and fits; and a picture of the wide one, too."""
        if self.mode.scripts:  # or the checks could not run
            for scheme in ("dark", "light"):
                self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                assert_accessible(self.page, (what, scheme))
        assert_fits(self.page, what)
        self.step(what, at, {PICTURED: "", MODES["1280"]: "-1280"})

    def step(self, what: str, at: Locator | None = None, pictured: Mapping[Mode, str] = PICTURED_ALONE) -> None:
        """A picture, with `at` in its middle; else of the page's beginning. `pictured`: with what after its name."""
        self.steps.append(what)
        if ASKED_SEED and self.mode in pictured:
            if at:
                at.evaluate("one => one.scrollIntoView({block: 'center'})")
            else:
                self.page.evaluate("scrollTo(0, 0)")
            picture = SCREENS / "journeys" / f"{self.name}-{len(self.steps)}-{what}{pictured[self.mode]}.png"
            self.page.screenshot(path=picture, caret="initial")  # to hide it, Playwright would add a style: refused


@contextmanager
def visiting(browser: Browser, url: str, name: str, mode: Mode) -> Iterator[Visit]:
    """What a page complains about fails the test."""
    with browsing(browser) as windows:
        context = windows.window(url, mode.width, scripts=mode.scripts)
        yield Visit(name, mode, windows, context, windows.page(context))


def find_on_today(visit: Visit, appointment_id: int) -> bool:
    """Among those of the same cause, and open it. False where they are too many for the list."""
    page = visit.page
    line = page.locator(f"#line-{appointment_id}")
    if not line.count():
        return False
    group = page.locator("#plan details", has=line)
    visit.step("today", group)
    if group.get_attribute("open") is None:
        group.locator("summary").click()
    line.click()
    return True


def find_by_search(visit: Visit, message_id: int, name: str) -> None:
    """By the name that somebody on the phone says; and open it."""
    page = visit.page
    page.get_by_role("link", name="Communications", exact=True).click()
    page.wait_for_load_state()  # its scripts, too, are there
    page.get_by_label("Name, text, number").fill(name)
    if not visit.mode.scripts:
        page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile("[?&]q="))
    row = page.locator(f'#rows a[href="/communications/{message_id}"]')
    expect(row).to_contain_text(plain(name))
    visit.step("search", row)
    row.click()


def assert_sent(visit: Visit, stack: Stack, role: Role, message_id: int, hour: int) -> None:
    """Somebody looks again: the message's page says that it went within that hour, by the clocks of its business."""
    sit_down(visit, stack, role)
    page = visit.page
    page.goto(f"/communications/{message_id}")
    expect(page.locator("main .outcome").first).to_contain_text("Sent")
    expect(page.locator("main")).to_contain_text(re.compile(rf"was texted today at {hour % 12 or 12}(:\d\d)?[ap]m"))
    visit.step("sent")


def sit_down(visit: Visit, stack: Stack, role: Role) -> None:
    """Sign in, without the sign-in page, and be on Today."""
    sign_in_browser(visit.context, stack.host.app, stack.url, f"{role}@{PRACTICE}.example")
    visit.page.goto("/")
