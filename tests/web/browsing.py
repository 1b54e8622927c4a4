"""Pages opened in the real browser: at two widths, in light and dark, with and without scripts."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from threading import Thread
from typing import Any

import waitress
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, FloatRect, Locator, Page, Request
from waitress.wasyncore import close_all

DOCS = Path(__file__).parent.parent.parent / "docs"
SCREENS = DOCS / "screens"
WIDTHS = {"390": 390, "1280": 1280}
_EDGE = 12
# A name that is there to burst a table is not for readers.
_TOP_WITHOUT_LONG_NAMES = """display => {
    scrollTo(0, 0);
    for (const row of document.querySelectorAll("tr"))
        if (row.textContent.includes("Maximiliana")) row.style.display = display;
}"""
# 44 pixels, but for what is lost in rounding. A box to tick is as large as its label, which is what is touched.
_TOO_LOW = """ones => ones.filter(
    one => one.getClientRects().length > 0 && one.getBoundingClientRect().height < 43.9
        && !(one.matches("[type=checkbox], [type=radio]") && one.closest("label"))
).map(one => one.outerHTML)"""
HIGHEST_PART = {"390": 700, "1280": 780}  # as Help shows it without a cut

Open = Callable[..., Page]

# A form that is refused is answered 422, and its answer takes the focus from what was pressed.
EXPECTED = ("the server responded with a status of 422", "Autofocus processing was blocked")


def assert_accessible(page: Page, about: object = "") -> None:
    """Once the page and its style sheets are there: what is half loaded has the wrong colours."""
    page.wait_for_load_state()
    found = Axe().run(page)
    assert found.violations_count == 0, (about, found.generate_report())


def assert_fits(page: Page, about: object = "") -> None:
    """Nothing is wider than the window, once the style sheets are there."""
    page.wait_for_load_state()
    assert page.viewport_size
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], about


def assert_touchable(controls: Locator, about: object = "") -> None:
    """Each of them that is shown is high enough for a finger."""
    assert controls.evaluate_all(_TOO_LOW) == [], about


@cache
def shown_in_help() -> frozenset[str]:
    """The names of the pictures of which Help shows a part."""
    pages = (path.read_text("utf-8") for folder in ("help", "sysadmin") for path in (DOCS / folder).glob("*.md"))
    return frozenset(name for page in pages for name in re.findall(r"screens/([\w-]+)-part-1280\.png", page))


def take_picture(page: Page, name: str, width: str, part: str = "h1", *, full_page: bool = True, **how: Any) -> None:
    """Of the page; and, where Help shows it, of the part that it is about: the page from that heading on, or all of
    that element. `how`: as Playwright takes it."""
    page.screenshot(path=SCREENS / f"{name}-{width}.png", full_page=full_page, **how)
    if name not in shown_in_help():
        return
    page.evaluate(_TOP_WITHOUT_LONG_NAMES, "none")
    shown, main = page.locator(part).first.bounding_box(), page.locator("main").bounding_box()
    assert shown and main, (name, part)
    end = main if part.startswith("h") else shown
    left, top = max(main["x"] - _EDGE, 0), shown["y"] - _EDGE / 2
    clip: FloatRect = {
        "x": left,
        "y": top,
        "width": min(main["width"] + 2 * _EDGE, WIDTHS[width]),
        "height": min(end["y"] + end["height"] + _EDGE - top, HIGHEST_PART[width]),
    }
    page.screenshot(path=SCREENS / f"{name}-part-{width}.png", full_page=True, clip=clip, **how)
    page.evaluate(_TOP_WITHOUT_LONG_NAMES, "")


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The address at which the pages answer, by the web server that `portal web` has."""
    sockets: dict[int, Any] = {}
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=8, ident=None, map=sockets)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.trigger.pull_trigger(partial(close_all, sockets))  # without one it ends
        thread.join()
        server.task_dispatcher.shutdown()


class Browsing:
    """Windows of the browser, and what their pages complained about."""

    def __init__(self, browser: Browser, stack: ExitStack) -> None:
        self._browser, self._stack = browser, stack
        self.complaints: list[str] = []

    def window(self, url: str, width: int = 1280, scheme: Any = "light", *, scripts: bool = True) -> BrowserContext:
        """One with cookies of its own, closed with the test."""
        context = self._browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
            base_url=url,
            reduced_motion="reduce",
        )
        self._stack.callback(context.close)
        return context

    def page(self, context: BrowserContext) -> Page:
        page = context.new_page()
        page.on("console", lambda message: self._complain(f"{message.text} on {page.url}"))
        page.on("pageerror", lambda error: self._complain(f"{error} on {page.url}"))
        page.on("requestfailed", self._has_failed)
        return page

    def _has_failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left meanwhile
            self._complain(f"{request.failure}: {request.url}")

    def _complain(self, text: str) -> None:
        if not any(part in text for part in EXPECTED):
            self.complaints.append(text)


@contextmanager
def browsing(browser: Browser) -> Iterator[Browsing]:
    """What a page prints to its console, or fails to load, fails the test."""
    with ExitStack() as stack:
        windows = Browsing(browser, stack)
        yield windows
    assert windows.complaints == [], windows.complaints
