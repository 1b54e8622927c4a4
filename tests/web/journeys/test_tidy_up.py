"""Tidying up: thirty mobiles that an export has under Home are filed at once, and put back; one is filed for good,
and that patient is really texted by the workers at the next pass."""

import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from portal import clock, store
from portal.core.numbers import LineKind, PhoneType, parse_number
from portal.core.reasons import Reason
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.messages import Message
from portal.store.patients import Patient, PhoneRow

from .stack import PRACTICE, RIVERSIDE, Stack, at, on_sqlite
from .visit import MODES, Mode, chance, sit_down, visiting

pytestmark = pytest.mark.browser

RAN_AT, LOOKED_AT, NEXT_AT = at("12:00"), at("12:05"), at("13:00")
THIRTY = 30


@dataclass(frozen=True)
class Untidy:
    stack: Stack
    kept: Path


@pytest.fixture(scope="module")
def untidy(short_tmp: Path, sqlite_template: Path) -> Iterator[Untidy]:
    """After the day's first pass, which could not text them."""
    with on_sqlite(short_tmp, sqlite_template) as stack:
        stack.import_practice(at("09:00"), filed_as_home(stack.host.settings.data_dir / "export"))
        stack.top_up(5000, at("09:30"))
        stack.ran(RAN_AT)
        stack.start_workers(NEXT_AT)
        yield Untidy(stack, stack.keep())


def filed_as_home(folder: Path) -> Path:
    """The practice's export, in which so many patients with appointments have their only mobiles under Home."""
    shutil.copytree(RIVERSIDE, folder)
    with (folder / "appointments.csv").open(encoding="utf-8-sig", newline="") as stream:
        coming = [row["patient_id"] for row in csv.DictReader(stream)]
    path = folder / "phone_numbers.csv"
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    mobiles = {row["patient_id"] for row in rows if parse_number(row["number"], "AU").kind is LineKind.MOBILE}
    chosen = [id_ for id_ in dict.fromkeys(coming) if id_ in mobiles][:60]
    for row in rows:
        if row["patient_id"] in chosen:
            row["type"] = PhoneType.HOME
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def types_of(number_ids: list[int]) -> set[PhoneType]:
    with store.reading(PRACTICE) as session:
        return set(session.scalars(select(PhoneRow.type).where(PhoneRow.id.in_(number_ids))))


def draw(mode: Mode) -> tuple[int, str, int]:
    """(number, patient's name, message) of one whose reminder lacks nothing but a number filed as Mobile."""
    with store.reading(PRACTICE) as session:
        rows = session.execute(
            select(PhoneRow, Patient, Message)
            .join(Patient, Patient.id == PhoneRow.patient_id)
            .join(Message, Message.patient_id == Patient.id)
            .where(PhoneRow.type == PhoneType.HOME, PhoneRow.kind == LineKind.MOBILE)
            .where(PhoneRow.e164.startswith("+61"))  # the practice sends to no other country
            .where(Message.status == Status.NOT_SENT)
            .order_by(PhoneRow.position.desc(), PhoneRow.id.desc())
        ).all()
        # Whoever has two such numbers is listed with the first.
        alone = {row[2].id: row for row in rows if row[2].reasons == (Reason.NO_MOBILE_NUMBER,)}
        number, patient, message = chance("tidy-up", mode).choice(list(alone.values()))
        return number.id, patient.full_name, message.id


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_thirty_are_filed_and_put_back_and_who_is_filed_is_texted(
    browser: Browser, untidy: Untidy, mode: Mode
) -> None:
    stack = untidy.stack
    stack.put_back(untidy.kept)
    clock.start_at(LOOKED_AT)
    number_id, name, message_id = draw(mode)
    before = stack.taken
    with visiting(browser, stack.url, "tidy-up", mode) as visit:
        page = visit.page
        sit_down(visit, stack, Role.RECEPTION)
        page.get_by_role("link", name="Tidy up", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Tidy up")
        visit.look("overview")
        page.get_by_role("link", name="Mobiles filed as something else").click()
        expect(page.locator("#list tbody tr").nth(THIRTY)).to_be_visible()
        ticks = page.locator("#list input[type=checkbox]")
        for place in range(THIRTY):
            ticks.nth(place).check()
        chosen = [int(tick.get_attribute("value") or 0) for tick in ticks.all()[:THIRTY]]
        visit.step("ticked")
        page.get_by_role("button", name="File those I tick as Mobile").click()
        expect(page.locator("#confirm")).to_have_text(f"File these {THIRTY} numbers as Mobile")
        assert PhoneType.MOBILE not in types_of(chosen)
        visit.look("checked")
        page.locator("#confirm").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(f"{THIRTY} numbers filed as Mobile")
        assert types_of(chosen) == {PhoneType.MOBILE}
        visit.look("filed")
        page.get_by_role("button", name="Undo").click()
        expect(page.locator(".result")).to_contain_text(f"{THIRTY} numbers are as before.")
        assert PhoneType.MOBILE not in types_of(chosen)
        visit.look("undone")

        page.goto("/tidy-up/mobiles")
        button = page.locator(f"#file-{number_id}")
        while not button.count():
            before_it = page.url
            page.get_by_role("link", name="More patients").click()
            expect(page).not_to_have_url(before_it)
            page.wait_for_load_state()
        button.click()
        expect(page.locator("#done")).to_contain_text("1 number filed as Mobile")
        visit.step("one")
        stack.next_pass(NEXT_AT)
        with store.reading(PRACTICE) as session:
            message = store.messages.find_message(session, message_id)
            assert message and message.status in (Status.SENT, Status.DELIVERED), (name, message)
        assert len(stack.texts_of(message_id, before)) == 1
        sit_down(visit, stack, Role.RECEPTION)
        page.goto(f"/communications/{message_id}")
        expect(page.locator("main .outcome").first).to_contain_text("Sent")
        visit.step("sent")
