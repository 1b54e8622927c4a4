"""Patients write back, the provider reports it, and reception sees what came of it: a family's phone, a yes, a no,
a STOP and a START."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from portal import clock, store
from portal.config import load_settings
from portal.core.roles import Role
from portal.core.states import Kind
from portal.sms.simulator import SIGNATURE_SECRET
from portal.store.messages import Message
from portal.store.patients import Patient
from tests.builders import Clinic
from tests.processes import wait_until

from .stack import MINUTE, PRACTICE, Stack, at, data_directory, standing
from .test_morning import open_worklist
from .visit import MODES, Mode, Visit, sit_down, visiting

pytestmark = pytest.mark.browser

RAN_AT = at("10:00")
LOOKED_AT = at("10:30")
SENDER = "+61480000099"
FAMILY, ADA, NOAH = "61491570006", "61491570110", "61491570156"


@dataclass(frozen=True)
class Day:
    """`patients`: ids by first name."""

    stack: Stack
    kept: Path
    patients: dict[str, int]


@pytest.fixture(scope="module")
def day(short_tmp: Path, sqlite_template: Path) -> Iterator[Day]:
    """Mia, whose appointment is tomorrow, and Ben share a phone; Ada and Noah have theirs. The reminders went."""
    folder = data_directory(short_tmp, sqlite_template)
    settings = load_settings({"PORTAL_DATA_DIR": str(folder), "PORTAL_SECRET_KEY": "for tests"})
    with standing(replace(settings, vonage_signature_secrets=(SIGNATURE_SECRET,))) as stack:
        clock.start_at(RAN_AT)
        clinic = Clinic(PRACTICE, name="Riverside Physiotherapy", sender=SENDER)
        clinic.book("mia")
        clinic.book("ben", starts="2031-05-09 10:00", patient={"first_name": "Ben"})
        clinic.book("ada", patient={"first_name": "Ada", "last_name": "Silva", "mobile": "0491 570 110"})
        clinic.book("noah", patient={"first_name": "Noah", "last_name": "Okafor", "mobile": "0491 570 156"})
        simulator = stack.host.simulator
        webhook_url = f"{stack.url}/webhooks/vonage/status"
        simulator.options = replace(simulator.options, webhook_url=webhook_url, receipts=True, now=clock.now)
        stack.ran(RAN_AT)
        assert stack.taken == 3
        stack.start_workers(LOOKED_AT + MINUTE)
        with store.reading(PRACTICE) as session:
            patients = {one.first_name: one.id for one in session.scalars(select(Patient))}
        assert simulator.errands.wait_until_done(60)
        wait_until(stack.host.is_idle)
        yield Day(stack, stack.keep(), patients)


def comes_in(stack: Stack, number: str, text: str) -> None:
    """The provider takes it from a phone and reports it; the workers have done with it, and with the answer."""
    before = count_replies()
    assert stack.host.simulator.reply(number, SENDER, text) == 200
    wait_until(lambda: count_replies() > before and stack.host.is_idle())


def count_replies() -> int:
    with store.reading(PRACTICE) as session:
        return len(session.scalars(select(Message.id).where(Message.kind == Kind.REPLY)).all())


def open_patient(visit: Visit, day: Day, name: str) -> None:
    visit.page.goto(f"/patients/{day.patients[name]}")
    expect(visit.page.get_by_role("heading", level=1)).to_contain_text(name)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_what_patients_write_is_where_reception_looks(browser: Browser, day: Day, mode: Mode) -> None:
    stack = day.stack
    stack.put_back(day.kept)
    clock.start_at(LOOKED_AT)  # behind the workers' clock: what is queued is due there
    with visiting(browser, stack.url, "replies", mode) as visit:
        sit_down(visit, stack, Role.RECEPTION)
        _a_familys_phone(visit, day)
        _a_yes(visit, day)
        _a_no(visit, day)
        _stop_and_start(visit, day)


def _a_familys_phone(visit: Visit, day: Day) -> None:
    """Whoever was texted from it is the likeliest, and staff say whose it is."""
    page = visit.page
    comes_in(day.stack, FAMILY, "Yes, thanks!")
    page.goto("/")
    expect(page.locator("#unread")).to_have_text("1 unread")
    page.get_by_role("link", name="Replies").click()
    expect(page.get_by_role("heading", name="Whose is it?")).to_be_visible()
    asked = page.locator(".candidates > li")
    expect(asked).to_have_count(2)
    expect(asked.first).to_contain_text("Mia Nguyen")
    expect(asked.last).to_contain_text("Ben Nguyen")
    visit.look("whose-is-it")
    page.get_by_role("button", name="It is Mia's").click()
    expect(page.get_by_role("heading", name="Whose is it?")).to_have_count(0)
    expect(page.locator("#unread")).not_to_contain_text("1")
    open_patient(visit, day, "Mia")
    expect(page.locator(".visits").first).to_contain_text("Confirmed")
    visit.look("confirmed", page.locator("#messages"))
    open_patient(visit, day, "Ben")
    expect(page.locator(".visits").first).not_to_contain_text("Confirmed")


def _a_yes(visit: Visit, day: Day) -> None:
    """It marks the appointment, and waits for nobody."""
    comes_in(day.stack, ADA, "👍")
    open_patient(visit, day, "Ada")
    expect(visit.page.locator(".visits").first).to_contain_text("Confirmed")
    expect(visit.page.locator("#unread")).not_to_contain_text("1")


def _a_no(visit: Visit, day: Day) -> None:
    """It cancels nothing, and stands at the top of the worklist until somebody dealt with it."""
    page = visit.page
    comes_in(day.stack, NOAH, "Sorry, can't make it, my son is sick")
    open_worklist(visit)
    declined = page.locator("#declined li")
    expect(declined).to_have_count(1)
    expect(declined).to_contain_text("Noah Okafor")
    expect(declined).to_contain_text("my son is sick")
    visit.look("cannot-come", page.locator("#worklist-heading"))
    declined.get_by_role("link", name="Noah Okafor").click()
    expect(page.locator(".visits").first).not_to_contain_text("Cancelled")
    expect(page.locator(".opt-outs li")).to_have_count(0)
    open_worklist(visit)
    page.locator("#declined").get_by_role("button", name="Dealt with").click()
    expect(page.locator("#worklist")).not_to_contain_text("my son is sick")


def _stop_and_start(visit: Visit, day: Day) -> None:
    """It binds the number: each patient who has it shows the reply. It has one answer each way."""
    page, stack = visit.page, day.stack
    before = stack.taken
    comes_in(stack, FAMILY, "Stop!")
    for name in ("Ben", "Mia"):
        open_patient(visit, day, name)
        expect(page.locator(".opt-outs")).to_contain_text("0491 570 006 replied STOP")
    visit.look("stopped", page.locator("#opt-outs"))
    page.get_by_role("link", name="Show the reply").click()
    expect(page.locator("blockquote")).to_have_text("Stop!")
    visit.look("the-stop-itself")
    comes_in(stack, FAMILY, "STOP")
    time.sleep(1)  # the provider tells whole seconds, and in one second STOP outweighs START
    comes_in(stack, FAMILY, "START")
    for name in ("Ben", "Mia"):
        open_patient(visit, day, name)
        expect(page.locator(".opt-outs .lifted").first).to_contain_text("Lifted")
        expect(page.locator(".opt-outs li:not(.lifted)")).to_have_count(0)
    visit.look("started-again", page.locator("#opt-outs"))
    said = [one.text for one in stack.host.simulator.messages_since(before)]
    assert [text.partition(": ")[2][:20] for text in said] == ["you will get no more", "you will get our tex"]
