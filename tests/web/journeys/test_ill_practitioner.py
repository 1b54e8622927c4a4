"""Dr Marsh is ill on Thursday: reception tells everybody who was to see her, and who is to be rung up instead."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from portal import clock, store
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.messages import Message
from tests.processes import wait_until
from tests.web.browsing import assert_accessible, assert_fits

from .stack import PRACTICE, Stack, at, on_sqlite
from .visit import MODES, Mode, Visit, sit_down, visiting

pytestmark = pytest.mark.browser

MORNING = at("11:00")  # in Perth, too, texts go by then
TEXT = "Dear {{Patient.FirstName}}, Dr Marsh is ill: we will ring you about {{Appointment.StartTime}} tomorrow."


@dataclass(frozen=True)
class Morning:
    stack: Stack
    kept: Path


@pytest.fixture(scope="module")
def morning(short_tmp: Path, sqlite_template: Path) -> Iterator[Morning]:
    with on_sqlite(short_tmp, sqlite_template) as stack:
        stack.import_practice(MORNING)
        stack.top_up(500, MORNING)
        yield Morning(stack, stack.keep())


def write(visit: Visit, text: str, *, is_pictured: bool = True) -> None:
    """From the day's appointments to the check of a message to Dr Marsh's patients."""
    page = visit.page
    page.goto("/appointments?day=2031-05-08")
    page.get_by_role("link", name="Text everybody on this day").click()
    day = page.get_by_role("region", name="Everybody with an appointment")
    day.get_by_label("Practitioner").select_option(label="Dr Helen Marsh")
    check(visit)
    if is_pictured:
        visit.step("whom")
    day.get_by_role("button", name="Write the text").click()
    expect(page.locator("main")).to_contain_text("with Dr Helen Marsh")
    page.wait_for_load_state()  # its scripts, too, are there
    page.get_by_label("Your text").fill(text)
    page.get_by_label("Care").check()
    if visit.mode.scripts:
        expect(page.locator(".bubble")).not_to_contain_text("{{")  # as the first of them reads it
    check(visit)
    if is_pictured:
        visit.step("text")
    page.get_by_role("button", name="Check whom it reaches").click()


def check(visit: Visit) -> None:
    """In dark and in light everybody can read and use it."""
    if not visit.mode.scripts:
        return
    schemes: tuple[Literal["dark", "light"], ...] = ("dark", "light")
    for scheme in schemes:
        visit.page.emulate_media(color_scheme=scheme)
        assert_accessible(visit.page)
    assert_fits(visit.page)


def texts_waiting() -> list[int]:
    with store.reading(PRACTICE) as session:
        waiting = select(Message.id).where(Message.own_words, Message.status == Status.QUEUED)
        return list(session.scalars(waiting))


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_everybody_is_told_or_known_to_be_rung_up(browser: Browser, morning: Morning, mode: Mode) -> None:
    stack = morning.stack
    stack.put_back(morning.kept)
    clock.start_at(MORNING)
    before = stack.taken
    with visiting(browser, stack.url, "ill-practitioner", mode) as visit:
        page = visit.page
        sit_down(visit, stack, Role.RECEPTION)

        write(visit, "Dr Marsh is well.")
        page.get_by_role("button", name=re.compile("^Send to")).click()
        expect(page.locator("#lead")).to_contain_text("Waiting. It goes today at 11:0")
        page.get_by_role("button", name="Take it back").click()
        expect(page.locator("#lead")).to_contain_text("Taken back. Dana Reception took it back")
        assert texts_waiting() == []
        visit.step("taken-back")

        write(visit, TEXT, is_pictured=False)
        expect(page.locator("#left-out")).to_contain_text("will not be reached")
        expect(page.locator("main")).to_contain_text("No mobile number on file")
        check(visit)
        visit.step("check")
        reached = re.findall(r"\d+", page.get_by_role("button", name=re.compile("^Send to")).inner_text())[0]
        page.get_by_role("button", name=re.compile("^Send to")).click()
        expect(page.locator("#lead")).to_contain_text("Waiting.")
        check(visit)
        visit.step("waiting")
        texts = len(texts_waiting())
        assert stack.taken == before

        # Their clock is ahead of the pages': what waits for two minutes is due there.
        stack.start_workers(MORNING + timedelta(minutes=10))
        wait_until(lambda: not texts_waiting() and stack.host.is_idle())
        if not mode.scripts:
            page.reload()
        expect(page.locator("#lead")).to_contain_text("Done.")  # by itself, where there are scripts
        expect(page.locator(".tally")).to_contain_text(f"Sent {reached}")
        check(visit)
        visit.step("sent")
        page.goto("/broadcasts")
        expect(page.locator("tbody tr")).to_have_count(2)
        check(visit)
        visit.step("list")
    stack.host.stop_workers()
    assert stack.taken == before + texts
