"""Reception texts one patient: it goes by the workers once the pause is over, as the page tells by itself; taken back
within it, it does not. Those who were to hand it to the workers may be gone."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from portal import clock
from portal.actions.queue_text import PAUSE
from portal.core.roles import Role
from portal.core.states import Status
from tests.builders import Clinic
from tests.processes import wait_until

from .stack import PRACTICE, Stack, at, on_sqlite
from .visit import MODES, Mode, Visit, sit_down, visiting

pytestmark = pytest.mark.browser

BEGAN_AT = at("10:30")
# On a slow machine, with a browser beside the workers. Were it left to the sweep, it would mostly take longer.
LATE = timedelta(seconds=15)


@pytest.fixture(scope="module")
def stack(short_tmp: Path, sqlite_template: Path) -> Iterator[Stack]:
    """The clocks of the pages and of the workers agree."""
    with on_sqlite(short_tmp, sqlite_template) as stack:
        clock.start_at(BEGAN_AT)
        Clinic(PRACTICE, name="Riverside Physiotherapy").book("mia")
        began = time.monotonic()
        stack.start_workers(BEGAN_AT)
        clock.start_at(BEGAN_AT + timedelta(seconds=time.monotonic() - began))
        yield stack


def press_send(visit: Visit, text: str) -> int:
    """The id of the message."""
    page = visit.page
    page.goto("/patients/1/text")
    page.get_by_label("Your text").fill(text)
    page.get_by_role("button", name="Send to Mia").click()
    expect(page).to_have_url(re.compile(r"/communications/\d+$"))
    return int(page.url.rpartition("/")[2])


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_it_goes_after_a_pause_in_which_it_can_be_taken_back(browser: Browser, stack: Stack, mode: Mode) -> None:
    before = stack.taken
    with visiting(browser, stack.url, "taken-back", mode) as visit:
        page = visit.page
        sit_down(visit, stack, Role.RECEPTION)
        regretted = press_send(visit, "Your results are fine, Ben.")
        expect(page.locator("#again")).to_have_text(
            re.compile(r"It goes in \d+ seconds?: until then you can take it back\.")
        )
        visit.step("it-goes-in-seconds")
        page.get_by_role("button", name="Take it back").click()
        expect(page.locator("#lead")).to_contain_text("was withdrawn before it was sent")
        page.get_by_role("link", name="Change it first").click()
        expect(page.get_by_label("Your text")).to_have_value("Your results are fine, Ben.")

        pressed_at = clock.now()
        went = press_send(visit, "Your results are fine, Mia.")
        if not mode.scripts:
            wait_until(stack.host.is_idle)
            page.get_by_role("link", name="Look whether it went").click()
        # By itself, where there are scripts.
        expect(page.locator("#lead")).to_contain_text("Mia Nguyen was texted today at")
        visit.step("it-went")
        (taken,) = stack.texts_of(went, before)
        assert taken.text == "Your results are fine, Mia."
        assert PAUSE <= clock.now() - pressed_at <= PAUSE + LATE + timedelta(seconds=0 if mode.scripts else 5)
        page.goto(f"/communications/{regretted}")
        expect(page.locator("#lead")).to_contain_text("was withdrawn before it was sent")
    assert stack.host.count(Status.QUEUED) == 0
    assert stack.taken == before + 1


def test_where_nobody_handed_it_to_the_workers_it_goes_all_the_same(browser: Browser, stack: Stack) -> None:
    """The web server ended in between, or Redis was emptied: the next sweep finds the row."""
    before = stack.taken
    with visiting(browser, stack.url, "taken-back", MODES["no scripts"]) as visit:
        sit_down(visit, stack, Role.RECEPTION)
        id_ = press_send(visit, "Please call us.")
        stack.host.queue.connection.delete("portal:later")
    wait_until(lambda: stack.texts_of(id_, before), seconds=180)
    wait_until(stack.host.is_idle)
    assert stack.taken == before + 1
