"""Each cause of a text that never came: somebody is drawn, found, mended on the spot, and really texted by the
workers at the next pass."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from portal import clock, store
from portal.config import Settings
from portal.core.phrases import clock_time, plain
from portal.core.reasons import Reason
from portal.core.roles import Role
from portal.core.states import Status
from portal.core.timing import local
from portal.sms.simulator.provider import Taken
from portal.store.appointments import Appointment
from portal.store.messages import Message
from portal.store.patients import Patient

from .stack import MINUTE, PRACTICE, Stack, at, is_of, on_sqlite, standing
from .visit import MODES, Mode, assert_sent, chance, find_by_search, find_on_today, sit_down, visiting

pytestmark = pytest.mark.browser

RAN_AT, LOOKED_AT, NEXT_AT = at("12:00"), at("12:05"), at("13:00")  # the first passes in Perth, the third in Sydney


@dataclass(frozen=True)
class Day:
    """The database after the pass, with the export's credits and with plenty. `texts`: what the provider took then,
    with plenty."""

    stack: Stack
    short: Path
    plenty: Path
    texts: list[Taken]


@pytest.fixture(scope="module")
def day(short_tmp: Path, sqlite_template: Path) -> Iterator[Day]:
    with on_sqlite(short_tmp, sqlite_template) as stack:
        stack.import_practice(at("09:00"))
        new = stack.keep()
        stack.ran(RAN_AT)
        short = stack.keep()
        stack.put_back(new)
        stack.top_up(5000, at("09:30"))
        before = stack.taken
        stack.ran(RAN_AT)
        stack.start_workers(NEXT_AT)
        yield Day(stack, short, stack.keep(), stack.host.simulator.messages_since(before))


@dataclass(frozen=True)
class Drawn:
    """A patient whose reminder stands for one cause alone; ids are rows'."""

    message_id: int
    appointment_id: int
    first_name: str
    full_name: str
    zone: str

    @property
    def goes_at(self) -> datetime:
        """The next pass, by the clocks of the business."""
        return local(NEXT_AT, self.zone)


def draw(name: str, mode: Mode, status: Status, *causes: Reason) -> Drawn:
    """Of those whose only cause is one of these; of all that stand so where there is none."""
    with store.reading(PRACTICE) as session:
        rows = session.execute(
            select(Message, Appointment, Patient)
            .join(Appointment, Appointment.id == Message.appointment_id)
            .join(Patient, Patient.id == Message.patient_id)
            .where(Message.status == status)
            .order_by(Message.id)
        ).all()
        alone = [row for row in rows if row[0].reasons in ([(one,) for one in causes] or [()])]
        message, appointment, patient = chance(name, mode).choice(alone)
        return Drawn(message.id, appointment.id, patient.first_name, patient.full_name, appointment.timezone)


def mend_by_top_up(page: Page, drawn: Drawn) -> None:
    page.get_by_label("Credits to add").fill("500")
    page.get_by_label("Reference").fill("invoice 1042")
    page.get_by_role("button", name="Top up").click()


def mend_by_switching_on(page: Page, drawn: Drawn) -> None:
    page.get_by_role("button", name="Switch on for Riverside Annexe").click()


def mend_by_template(page: Page, drawn: Drawn) -> None:
    page.get_by_label("Appointment reminder SMS for").select_option(label="Standard")
    page.get_by_role("button", name="Use this template").click()


def mend_by_number(page: Page, drawn: Drawn) -> None:
    """What is on file is filed as Mobile where it is one; else the patient says a number."""
    crossed = page.locator(".crossed")
    one_click = crossed.get_by_role("button", name="File it as Mobile")
    if one_click.count():
        one_click.click()
        return
    crossed.get_by_label("Mobile number").fill("0491 570 156")
    crossed.get_by_role("button", name="Add as Mobile").click()


def mend_by_preference(page: Page, drawn: Drawn) -> None:
    """A wish: only with the patient's word, and a note."""
    place = page.locator("details", has=page.get_by_text("Change preference …", exact=True))
    place.locator("summary").click()
    place.get_by_label("Why, for whoever looks next").fill("rang, and asked to be texted")
    place.get_by_label("has agreed to be texted").check()
    place.get_by_role("button", name="Change preference").click()


CAUSES = {
    "no-credits": ((Reason.NO_CREDITS,), Role.OWNER, mend_by_top_up),
    "business-off": ((Reason.BUSINESS_REMINDERS_OFF,), Role.OWNER, mend_by_switching_on),
    "no-template": ((Reason.NO_TEMPLATE,), Role.OWNER, mend_by_template),
    "no-mobile": ((Reason.NO_MOBILE_NUMBER,), Role.RECEPTION, mend_by_number),
    "preference": ((Reason.PREFERS_EMAIL, Reason.PREFERS_NONE), Role.RECEPTION, mend_by_preference),
}


def go_through(browser: Browser, stack: Stack, name: str, mode: Mode) -> None:
    """From the patient who got no text to the text."""
    reasons, role, mend = CAUSES[name]
    status = Status.FAILED if name == "no-credits" else Status.NOT_SENT
    drawn, before = draw(name, mode, status, *reasons), stack.taken
    clock.start_at(LOOKED_AT)
    with visiting(browser, stack.url, name, mode) as visit:
        page = visit.page
        sit_down(visit, stack, role)
        if name == "preference" or not find_on_today(visit, drawn.appointment_id):
            find_by_search(visit, drawn.message_id, drawn.full_name)
        expect(page.get_by_role("heading", level=1)).to_contain_text(plain(drawn.full_name))
        expect(page.locator(".crossed")).to_have_count(1)
        visit.step("why", page.locator(".crossed"))
        mend(page, drawn)
        result = page.locator(".result")
        expect(result).to_have_text(
            f"Done. {plain(drawn.first_name)}'s reminder goes at {clock_time(drawn.goes_at)} today."
        )
        expect(page.locator(".crossed")).to_have_count(0)
        visit.step("mended", result)

        stack.next_pass(NEXT_AT)
        assert_sent(visit, stack, role, drawn.message_id, drawn.goes_at.hour)
    assert len(stack.texts_of(drawn.message_id, before)) == 1
    assert_nobody_was_texted_twice(stack, before)


def assert_nobody_was_texted_twice(stack: Stack, before: int) -> None:
    messages = [str(one.client_ref).split(".")[0] for one in stack.host.simulator.messages_since(before)]
    assert len(messages) == len(set(messages))


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_is_found_and_mended_and_the_text_goes(browser: Browser, day: Day, name: str, mode: Mode) -> None:
    day.stack.put_back(day.short if name == "no-credits" else day.plenty)
    go_through(browser, day.stack, name, mode)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_text_that_did_not_arrive_has_what_support_asks_for(browser: Browser, day: Day, mode: Mode) -> None:
    stack = day.stack
    stack.put_back(day.plenty)
    clock.start_at(LOOKED_AT)
    drawn = draw("not-received", mode, Status.SENT)
    [text] = (one for one in day.texts if is_of(one, drawn.message_id))
    with visiting(browser, stack.url, "not-received", mode) as visit:
        sit_down(visit, stack, Role.RECEPTION)
        find_by_search(visit, drawn.message_id, drawn.full_name)
        page = visit.page
        expect(page.get_by_role("heading", level=1)).to_contain_text(plain(drawn.full_name))
        expect(page.locator("main .outcome").first).to_contain_text("Sent")
        page.get_by_role("link", name="copy what support needs").click()
        page.get_by_text("Copy for support", exact=True).click()
        to_copy = page.get_by_label("What support needs")
        expect(to_copy).to_have_value(
            re.compile(f"Message: {drawn.message_id}\n.*Provider's id: {text.uuid}\n", re.S)
        )
        assert plain(drawn.full_name) not in to_copy.input_value()
        visit.step("for-support", to_copy)


class TestOnPostgresql:
    @pytest.fixture
    def database(self) -> str:
        return "postgresql"

    def test_the_cause_is_found_and_mended_and_the_text_goes(self, browser: Browser, settings: Settings) -> None:
        with standing(settings) as stack:
            stack.import_practice(at("09:00"))
            stack.top_up(5000, at("09:30"))
            stack.ran(RAN_AT)
            stack.start_workers(NEXT_AT + MINUTE / 2)
            go_through(browser, stack, "no-mobile", MODES["390"])
