"""The host's page and RQ's dashboard in a real browser, beside real workers."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from portal import store
from portal.actions.remind import run_pass
from portal.config import Settings
from portal.core.reminders import Sending
from portal.core.roles import Role
from portal.queue import NAME
from portal.store.passes import MissedDay
from tests.builders import PASS_AT, Clinic, a_practice, a_user
from tests.hosts import Host, running
from tests.web.browsing import SCREENS, WIDTHS, Open, assert_accessible, assert_fits, served, take_picture

from .conftest import sign_in_browser
from .test_rq_dashboard import PLANTED, plant

pytestmark = pytest.mark.browser

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def host(settings: Settings) -> Iterator[Host]:
    """Three practices after a pass, and a few things to mend; no worker yet."""
    with running(settings) as host:
        riverside = Clinic("riverside", name="Riverside Physiotherapy", business={"watched_since": PASS_AT})
        for name in ("a", "b", "c"):
            riverside.book(name)
        a_practice("harbour", name="Harbour Dental " + "with a long name " * 8, sending=Sending.REHEARSAL)
        a_practice("hill", name="Hill Street Clinic", credits=0)
        with store.transaction("riverside") as session:
            missed = {"business_id": riverside.business.id, "local_date": PASS_AT.date(), "found_at": PASS_AT}
            session.add(MissedDay(**missed, appointments=3))
        with store.everything(write=True) as session:
            session.add(a_user(Role.SYSADMIN, None))
        run_pass("riverside", PASS_AT, datetime.now(UTC))
        yield host
        host.app.redis_conn.close()


@pytest.fixture
def url(host: Host) -> Iterator[str]:
    with served(host.app) as url:
        yield url


@pytest.fixture
def open_page(browser: Browser, host: Host, url: str) -> Iterator[Open]:
    """Opens a path as the sysadmin; what the page prints to its console, or a dialogue, fails the test."""
    contexts = []
    complaints: list[str] = []

    def open_(
        path: str,
        width: int = 1280,
        scheme: Literal["light", "dark"] = "light",
        *,
        scripts: bool = True,
        complains: bool = False,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
            base_url=url,
            reduced_motion="reduce",
        )
        contexts.append(context)
        sign_in_browser(context, host.app, url, "sysadmin@host.example")
        page = context.new_page()
        if not complains:
            page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def check(page: Page, width: int) -> None:
    assert_accessible(page)
    assert_fits(page, page.url)


def test_the_pages_are_accessible_and_fit(open_page: Open, host: Host) -> None:
    host.start_workers(2)
    for name, width in WIDTHS.items():
        for scheme in SCHEMES:
            page = open_page("/host", width, scheme)
            expect(page.locator("#verdict")).to_contain_text("to mend")
            check(page, width)
            page.locator("#well summary").click()
            check(page, width)
            if scheme == "light":
                page.screenshot(path=SCREENS / f"host-{name}.png", full_page=True)
            check(open_page("/host/doctor", width, scheme), width)


def test_the_pages_of_practices_are_accessible_and_fit(open_page: Open, host: Host) -> None:
    for width, pixels in WIDTHS.items():
        for scheme in SCHEMES:
            for path, heading, name in (
                ("/host/practices/new", "Add a practice", "host-new"),
                ("/host/practice?id=riverside", "Riverside Physiotherapy", "host-practice"),
            ):
                page = open_page(path, pixels, scheme)
                expect(page.get_by_role("heading", level=1)).to_have_text(heading)
                check(page, pixels)
                if scheme == "light":
                    take_picture(page, name, width)


def test_a_practice_is_added_its_owner_invited_and_the_balance_asked(open_page: Open, host: Host) -> None:
    page = open_page("/host")
    page.get_by_role("link", name="Ask the provider now").click()
    expect(page.locator("#provider-balance")).to_contain_text("euros are left.")
    page.get_by_role("link", name="Add a practice").click()
    page.get_by_label("Name of the practice").fill("Lakeside Dental")
    page.get_by_label("Country").select_option("AU")
    page.get_by_label("Clocks of its first business").select_option("Australia/Hobart")
    page.get_by_label("Texts come from").fill("Lakeside")
    page.get_by_role("button", name="Add the practice").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Lakeside Dental")
    page.get_by_label("Credits to add").fill("250")
    page.get_by_role("button", name="Grant the credits").click()
    expect(page.locator(".balance")).to_have_text("250 credits left")
    page.get_by_label("Name", exact=True).fill("Robin Park")
    page.get_by_label("Email").fill("robin@lakeside.example")
    page.get_by_role("button", name="Invite as owner").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A link for Robin Park")
    check(page, 1280)
    assert "/join/" in page.get_by_label("Link").input_value()


def test_the_dashboards_pages_are_accessible_and_fit(open_page: Open, host: Host) -> None:
    host.start_workers(1)
    [waiting, _] = plant(host.queue.connection, "send 1 of practice riverside: 1 to 1")
    paths = {"": "portal", "0/view/jobs/portal/failed/8/asc/1": "send 1 of", "0/view/workers": "idle"}
    for name, width in WIDTHS.items():
        for path, expected in (paths | {f"0/view/job/{waiting}": "send 1 of"}).items():
            page = open_page(f"/rq/{path}", width)
            expect(page.locator("main")).to_contain_text(expected)
            check(page, width)
            if path == "":
                page.screenshot(path=SCREENS / f"queue-{name}.png")


def test_the_page_refreshes_itself_and_keeps_the_place(open_page: Open, host: Host) -> None:
    page = open_page("/host")
    page.clock.install()
    page.reload()
    page.locator("#well summary").click()
    link = page.get_by_role("link", name="Stop that")
    link.focus()
    with store.transaction("hill") as session:
        store.practices.get_practice(session, "hill").name = "Hill Street, renamed"
    page.clock.run_for(timedelta(seconds=31).total_seconds() * 1000)
    expect(page.locator("#look")).to_contain_text("Hill Street, renamed")
    expect(link).to_be_focused()
    expect(page.locator("#well")).to_have_attribute("open", "")
    link.click()
    expect(page.locator("#look")).not_to_have_attribute("hx-trigger", re.compile("."))


def test_the_page_works_without_scripts(open_page: Open) -> None:
    page = open_page("/host", scripts=False)
    expect(page.locator("#look")).to_contain_text("0 workers alive")
    page.get_by_role("link", name="Check everything").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check of the host")


def test_the_keyboard_reaches_everything(open_page: Open) -> None:
    page = open_page("/host")
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 20)"))
    assert {"Stop that", "Ready?", "Metrics", "Queue"} <= reached


def test_a_planted_script_does_not_run(open_page: Open, host: Host) -> None:
    """Wherever the dashboard shows it: it is there as text, and no page holds what it would have made."""
    ids = plant(host.queue.connection)
    host.queue.connection.hset(
        f"rq:worker:{PLANTED}",
        mapping={
            "hostname": PLANTED,
            "pid": 1,
            "state": "busy",
            "queues": NAME,
            "birth": "2031-05-07T00:00:00.000000Z",
            "last_heartbeat": "2031-05-07T00:00:00.000000Z",
        },
    )
    host.queue.connection.sadd("rq:workers:portal", f"rq:worker:{PLANTED}")
    for path in (
        "0/view/jobs",
        "0/view/jobs/portal/failed/8/asc/1",
        "0/view/workers",
        *(f"0/view/job/{job_id}" for job_id in ids),
    ):
        page = open_page(f"/rq/{path}")
        expect(page.locator("main")).to_contain_text(PLANTED)
        assert page.locator("img").count() == 0
        assert page.locator("main script:not([type])").count() == 0
    page = open_page("/host")
    expect(page.locator("#look")).to_contain_text("<script>alert(1)")
    assert page.locator("img").count() == 0


def test_a_script_that_escaped_all_that_would_still_not_run(open_page: Open) -> None:
    page = open_page("/rq/", complains=True)
    page.evaluate(
        "document.addEventListener('securitypolicyviolation', (event) => document.title = event.violatedDirective)"
    )
    page.evaluate(
        """() => {
          const planted = document.createElement("script");
          planted.textContent = "document.body.id = 'ran'";
          document.body.append(planted);
        }"""
    )
    expect(page).to_have_title("script-src-elem")
    assert page.locator("#ran").count() == 0
