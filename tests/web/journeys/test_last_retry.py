"""Credits have run out, and somebody sees it a minute before the day's last pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from portal import clock, store
from portal.core.phrases import plain
from portal.core.reasons import Reason
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.appointments import Appointment
from portal.store.messages import Message
from portal.store.patients import Patient

from .stack import PRACTICE, Stack, at, on_sqlite
from .visit import MODES, Mode, assert_sent, chance, find_by_search, find_on_today, sit_down, visiting

pytestmark = pytest.mark.browser

LAST_AT = at("15:00")


@dataclass(frozen=True)
class Day:
    stack: Stack
    kept: Path


@pytest.fixture(scope="module")
def day(short_tmp: Path, sqlite_template: Path) -> Iterator[Day]:
    """Every pass of the east but the last one ran."""
    with on_sqlite(short_tmp, sqlite_template) as stack:
        stack.import_practice(at("09:00"))
        for hour in range(10, 15):
            stack.ran(at(f"{hour}:00"))
        stack.start_workers(LAST_AT)
        yield Day(stack, stack.keep())


def list_without_credits() -> list[tuple[Message, Appointment, Patient]]:
    """At the businesses whose last pass it is: Perth's come later."""
    with store.reading(PRACTICE) as session:
        rows = session.execute(
            select(Message, Appointment, Patient)
            .join(Appointment, Appointment.id == Message.appointment_id)
            .join(Patient, Patient.id == Message.patient_id)
            .where(Message.status == Status.FAILED, Appointment.timezone != "Australia/Perth")
            .order_by(Message.id)
        )
        return [(one, two, three) for one, two, three in rows if one.reasons == (Reason.NO_CREDITS,)]


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_top_up_a_minute_before_the_last_retry_sends_them_all(browser: Browser, day: Day, mode: Mode) -> None:
    stack = day.stack
    stack.put_back(day.kept)
    without = list_without_credits()
    assert len(without) > 20
    message, appointment, patient = chance("last retry", mode).choice(without)
    before = stack.taken
    clock.start_at(at("14:58"))
    with visiting(browser, stack.url, "last-retry", mode) as visit:
        page = visit.page
        sit_down(visit, stack, Role.OWNER)
        expect(page.locator("#plan")).to_contain_text("the next try is today at 3pm")
        if not find_on_today(visit, appointment.id):
            find_by_search(visit, message.id, patient.full_name)
        expect(page.locator(".crossed")).to_contain_text("Topped up before 3pm today it still goes.")
        clock.start_at(at("14:59"))
        page.get_by_label("Credits to add").fill("500")
        page.get_by_label("Reference").fill("invoice 1042")
        visit.step("top-up", page.locator(".crossed"))
        page.get_by_role("button", name="Top up").click()
        result = page.locator(".result")
        expect(result).to_have_text(f"Done. {plain(patient.first_name)}'s reminder goes at 3pm today.")
        visit.step("mended", result)

        stack.next_pass(LAST_AT)
        assert_sent(visit, stack, Role.OWNER, message.id, 15)
    assert list_without_credits() == []
    assert [len(stack.texts_of(one.id, before)) for one, _, _ in without] == [1] * len(without)
