"""Patients ring to move or cancel, before their reminders and after them: whoever is to come is texted of the time
that holds, once for each time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from portal import clock, store
from portal.core.phrases import plain
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.appointments import Appointment
from portal.store.messages import Message
from portal.store.patients import Patient

from .stack import PRACTICE, Stack, at, on_sqlite
from .visit import MODES, Mode, Visit, chance, sit_down, visiting

pytestmark = pytest.mark.browser

RAN_AT, NEXT_AT = at("10:00"), at("11:00")


@dataclass(frozen=True)
class Person:
    """Who is texted at the first pass, if nothing is changed."""

    appointment_id: int
    first_name: str
    full_name: str

    def text_of(self, stack: Stack, revision: int, after: int) -> list[str]:
        """What went out of the reminder for that revision."""
        with store.reading(PRACTICE) as session:
            message = store.messages.find_reminder(session, self.appointment_id, revision)
        return [one.text for one in stack.texts_of(message.id, after)] if message else []


@dataclass(frozen=True)
class Day:
    stack: Stack
    kept: Path
    people: tuple[Person, ...]


@pytest.fixture(scope="module")
def day(short_tmp: Path, sqlite_template: Path) -> Iterator[Day]:
    """Before the first pass; and who is reached by it."""
    with on_sqlite(short_tmp, sqlite_template) as stack:
        stack.import_practice(at("09:00"))
        stack.top_up(5000, at("09:10"))
        kept = stack.keep()
        stack.ran(RAN_AT)
        people = tuple(list_texted())
        stack.start_workers(NEXT_AT)
        yield Day(stack, kept, people)


def list_texted() -> Iterator[Person]:
    """Those with one appointment, whose text names its time."""
    with store.reading(PRACTICE) as session:
        rows = session.execute(
            select(Message, Appointment, Patient)
            .join(Appointment, Appointment.id == Message.appointment_id)
            .join(Patient, Patient.id == Message.patient_id)
            .where(Message.status == Status.SENT, Appointment.timezone == "Australia/Sydney")
            .order_by(Message.id)
        ).all()
    patients = [patient.id for _, _, patient in rows]
    for message, appointment, patient in rows:
        wall = appointment.starts_wall
        time = f"{wall.hour % 12 or 12}:{wall:%M}{'am' if wall.hour < 12 else 'pm'}"
        if time in (message.body or "") and patients.count(patient.id) == 1 and patient.first_name:
            yield Person(appointment.id, plain(patient.first_name), plain(patient.full_name))


def open_appointment(visit: Visit, person: Person) -> None:
    visit.page.goto(f"/appointments/{person.appointment_id}")
    expect(visit.page.get_by_role("heading", level=1)).to_contain_text(person.full_name)


def move(visit: Visit, person: Person, time: str, *says: str) -> None:
    open_appointment(visit, person)
    page = visit.page
    page.get_by_role("button", name="Move or change …").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Move the appointment")
    page.wait_for_load_state()  # its scripts, too, are there
    page.get_by_label("Time").fill(time)
    if not visit.mode.scripts:
        page.get_by_role("button", name="See what it does to the reminder").click()
    for sentence in says:
        expect(page.locator("#effect")).to_contain_text(sentence)
    visit.look("move", page.locator("#effect"))
    page.get_by_role("button", name="Save the change").click()
    expect(page.locator("main .result").first).to_have_text("Done. It is changed.")


def stand(visit: Visit, person: Person, name: str, *says: str) -> None:
    """`name`: Cancel, or Un-cancel."""
    open_appointment(visit, person)
    page = visit.page
    page.get_by_role("button", name=f"{name} …", exact=True).click()
    page.wait_for_load_state()
    for sentence in says:
        expect(page.locator("#booking")).to_contain_text(sentence)
    visit.look(name.lower(), page.locator("#booking"))
    page.get_by_role("button", name=f"{name} the appointment").click()
    expect(page.locator("main .result").first).to_contain_text(f"Done. It is {name.lower()}led.")


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_moved_cancelled_and_un_cancelled_before_and_after_the_reminder(
    browser: Browser, day: Day, mode: Mode
) -> None:
    stack = day.stack
    stack.put_back(day.kept)
    moves, away, back, late = chance("changed appointments", mode).sample(day.people, 4)
    clock.start_at(at("09:40"))
    before = stack.taken
    with visiting(browser, stack.url, "changed-appointments", mode) as visit:
        sit_down(visit, stack, Role.RECEPTION)
        move(visit, moves, "16:45", f"{moves.first_name} is reminded today at 10am.")
        stand(visit, away, "Cancel", "No reminder goes.")
        stand(visit, back, "Cancel", "No reminder goes.")
        stand(visit, back, "Un-cancel", f"{back.first_name} is reminded today at 10am.")

        stack.ran(RAN_AT)
        (text,) = moves.text_of(stack, 1, before)
        assert "4:45pm" in text
        assert away.text_of(stack, 0, before) == []
        assert len(back.text_of(stack, 0, before)) == len(late.text_of(stack, 0, before)) == 1

        clock.start_at(at("10:20"))
        sit_down(visit, stack, Role.RECEPTION)
        texted = "has been texted the old time, today at 10:01am."
        move(visit, moves, "17:15", f"{moves.first_name} {texted}", "A new reminder goes today at 11am.")
        stand(visit, late, "Cancel", f"{late.first_name} has been reminded of it, today at 10:01am.", "text or ring")
        stand(visit, back, "Cancel", "has been reminded of it")
        stand(visit, back, "Un-cancel", "No other goes.")
        stand(visit, away, "Un-cancel", f"{away.first_name} is reminded today at 11am.")

        stack.next_pass(NEXT_AT)
        (text,) = moves.text_of(stack, 2, before)
        assert "5:15pm" in text
        assert len(moves.text_of(stack, 1, before)) == 1
        assert len(away.text_of(stack, 0, before)) == 1
        assert len(back.text_of(stack, 0, before)) == len(late.text_of(stack, 0, before)) == 1

        sit_down(visit, stack, Role.RECEPTION)
        open_appointment(visit, moves)
        page = visit.page
        expect(page.get_by_role("heading", name="What staff changed")).to_be_visible()
        expect(page.locator(".changes li")).to_have_count(2)
        expect(page.locator("main .outcome").first).to_contain_text("Sent")
        visit.look("moved-and-sent")
