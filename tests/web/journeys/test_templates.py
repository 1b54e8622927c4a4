"""A practice rehearses and sends itself a test text; live, its owner edits a template, and puts the old one back."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from portal import clock, store
from portal.actions.credits import top_up
from portal.actions.sending import switch_sending
from portal.core.reminders import Sending
from portal.core.roles import Role
from portal.store.messages import Message
from portal.store.practices import SmsTemplate
from tests.processes import wait_until

from .stack import PRACTICE, Stack, at, on_sqlite
from .visit import MODES, Mode, Visit, sit_down, visiting

pytestmark = pytest.mark.browser

NEW = "Dear {{Patient.FirstName}}, we expect you on {{Appointment.Date}} at {{Appointment.StartTime}}."


@pytest.fixture
def stack(short_tmp: Path, sqlite_template: Path) -> Iterator[Stack]:
    with on_sqlite(short_tmp, sqlite_template) as stack:
        stack.import_practice(at("09:00"))
        top_up(PRACTICE, 5_000, "for the journey", at("09:00"))
        switch_sending(PRACTICE, Sending.REHEARSAL, at("09:05"))
        stack.start_workers(at("09:10"))
        yield stack


def the_template() -> SmsTemplate:
    """That of most reminders."""
    with store.reading(PRACTICE) as session:
        return next(one for one in store.practices.list_templates(session) if one.name == "Edge")


def pass_at(stack: Stack, when: datetime) -> list[str]:
    """The texts that went, by workers whose clock starts then."""
    taken = stack.taken
    stack.host.stop_workers()
    stack.start_workers(when)
    stack.next_pass(when)
    return [one.text for one in stack.host.simulator.messages_since(taken)]


def open_template(visit: Visit, name: str) -> None:
    page = visit.page
    page.goto("/settings/templates")
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    page.wait_for_load_state()


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_template_is_tried_edited_and_put_back(browser: Browser, stack: Stack, mode: Mode) -> None:
    template = the_template()
    clock.start_at(at("09:10"))
    with visiting(browser, stack.url, "templates", mode) as visit:
        page = visit.page
        sit_down(visit, stack, Role.OWNER)
        open_template(visit, template.name)
        text = page.get_by_label("What the reminder says")
        text.fill(NEW)
        page.get_by_label("To a mobile number").fill("0491 570 157")
        visit.look("rehearsing", page.get_by_label("To a mobile number"))
        page.get_by_role("button", name="Send the test text").click()
        expect(page.locator("#test-sent")).to_contain_text("on its way to 0491 570 157")
        wait_until(lambda: bool(stack.host.simulator.messages), seconds=60)
        (arrived,) = stack.host.simulator.messages
        assert (arrived.to, arrived.text.startswith("Dear Dana, we expect you on ")) == ("61491570157", True)
        visit.step("test-text")

        page.get_by_role("button", name="Change this template").click()
        expect(page.locator("#saved")).to_contain_text("Done.")
        visit.look("changed")
        page.goto("about:blank")
        switch_sending(PRACTICE, Sending.ON, at("09:30"))
        said = pass_at(stack, at("10:00"))
        assert len([one for one in said if "we expect you on" in one]) > 5
        assert not [one for one in said if "street door code" in one]

        sit_down(visit, stack, Role.OWNER)
        open_template(visit, template.name)
        page.get_by_role("button", name="Put the text from before back").click()
        expect(page.locator("#saved")).to_contain_text("Done.")
        visit.look("put-back", page.locator(".change").first)
        page.goto("about:blank")
        said = pass_at(stack, at("10:00", day=8))
        assert [one for one in said if "street door code" in one]
        assert not [one for one in said if "we expect you on" in one]
    assert the_template().body == template.body
    with store.reading(PRACTICE) as session:
        kinds = set(session.scalars(select(Message.kind)))
    assert kinds == {"reminder", "test"}
