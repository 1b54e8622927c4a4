"""Reception's morning: whom yesterday's reminders did not reach is on Today, and by nine nobody is."""

import csv
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from portal import clock, store
from portal.core.numbers import parse_number
from portal.core.reasons import Reason
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.messages import Message
from tests.processes import wait_until

from .stack import PRACTICE, RIVERSIDE, Stack, at, on_sqlite
from .visit import MODES, Mode, Visit, chance, sit_down, visiting

pytestmark = pytest.mark.browser

MORNING = at("08:05", day=8)  # texts by staff may go since eight, and the first appointments are at nine
GOES_AGAIN = re.compile(r"Done\. It goes again in \d+ seconds?\.")


@dataclass(frozen=True)
class Morning:
    """Ids of the messages to deal with."""

    stack: Stack
    kept: Path
    filed_wrong: int
    impossible: int
    refused: tuple[int, int]
    in_doubt: int


@pytest.fixture(scope="module")
def morning(short_tmp: Path, sqlite_template: Path) -> Iterator[Morning]:
    """The provider refused two of four reminders, and of one it is not known whether it took it."""
    with on_sqlite(short_tmp, sqlite_template) as stack:
        stack.import_practice(at("09:00"), a_quiet_day(stack.host.settings.data_dir / "export"))
        stack.host.simulator.plan([{"times": 2, "status": 422, "code": "1170"}, {"times": 1, "fault": "drop"}])
        stack.ran(at("10:00"))
        stack.host.simulator.plan([])
        stack.ran(at("15:00"))
        stack.start_workers(MORNING)
        first, second = list_messages(Status.FAILED, Reason.PROVIDER_REFUSED)
        yield Morning(
            stack,
            stack.keep(),
            *list_messages(Status.NOT_SENT, Reason.NO_MOBILE_NUMBER),
            *list_messages(Status.NOT_SENT, Reason.INVALID_MOBILE_NUMBER),
            refused=(first, second),
            in_doubt=list_messages(Status.UNKNOWN)[0],
        )


def a_quiet_day(folder: Path) -> Path:
    """Riverside's export with six appointments: four that go, and two with a number that is in the way."""
    shutil.copytree(RIVERSIDE, folder)
    booked = read(folder, "appointments.csv")
    outcomes = {row["appointment_id"]: row for row in read(folder, "expected.csv")}
    later = [row for row in booked if row["id"] in outcomes and row["starts_at"][11:13] >= "09"]
    in_the_east = [row for row in later if row["business_id"] in ("1", "2")]
    numbers = read(folder, "phone_numbers.csv")
    mobiles = {row["patient_id"] for row in numbers if parse_number(row["number"], "AU").can_text}

    def of(reasons: str) -> list[dict[str, str]]:
        early = (row for row in in_the_east if row["booked_at"] < "2031-05-07" and not row["cancelled_at"])
        return [row for row in early if outcomes[row["id"]]["reasons"] == reasons]

    draw = chance("morning")
    chosen = [
        *draw.sample([row for row in of("") if outcomes[row["id"]]["segments"] == "1"], 4),
        draw.choice([row for row in of("no-mobile-number") if row["patient_id"] in mobiles]),
        draw.choice(of("invalid-mobile-number")),
    ]
    with (folder / "appointments.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, booked[0].keys())
        writer.writeheader()
        writer.writerows(chosen)
    return folder


def read(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def list_messages(status: Status, *reasons: Reason) -> list[int]:
    with store.reading(PRACTICE) as session:
        messages = session.scalars(select(Message).where(Message.status == status).order_by(Message.id))
        return [message.id for message in messages if message.reasons == reasons]


def open_worklist(visit: Visit) -> None:
    """A part of Today; without scripts it is a link away."""
    page = visit.page
    page.goto("/")
    if not visit.mode.scripts:
        page.get_by_role("link", name="What did not reach a patient").click()
    expect(page.locator("#worklist-said")).to_be_attached()


def say(visit: Visit, message_id: int, button: str, answer: str | re.Pattern[str]) -> None:
    """Press a row's button; the row goes."""
    row = visit.page.locator(f"#work-{message_id}")
    row.get_by_role("button", name=button).click()
    expect(visit.page.locator("#worklist-said")).to_have_text(answer)
    expect(row).to_have_count(0)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_the_worklist_to_zero(browser: Browser, morning: Morning, mode: Mode) -> None:
    stack = morning.stack
    stack.put_back(morning.kept)
    clock.start_at(MORNING)  # behind the workers' clock: what is queued is due there
    before = stack.taken
    with visiting(browser, stack.url, "morning", mode) as visit:
        page = visit.page
        sit_down(visit, stack, Role.RECEPTION)
        open_worklist(visit)
        expect(page.locator("#worklist tbody tr")).to_have_count(5)
        visit.step("worklist", page.locator("#worklist-heading"))

        page.locator(f"#mend-{morning.filed_wrong}").click()
        page.get_by_role("button", name="File it as Mobile").first.click()
        expect(page.locator(".result")).to_contain_text("Done.")
        visit.step("mended", page.locator(".result"))
        open_worklist(visit)
        say(visit, morning.filed_wrong, "Send again", GOES_AGAIN)
        say(visit, morning.refused[0], "Send again", GOES_AGAIN)
        visit.step("sent-again", page.locator("#worklist-heading"))
        say(visit, morning.refused[1], "Dealt with", "Marked as dealt with.")

        page.locator(f"#work-{morning.in_doubt}").get_by_role("link", name="Send again").click()
        page.get_by_label("may get it twice, and that is all right").check()
        visit.step("in-doubt", page.locator("#again"))
        page.get_by_role("button", name="Send again").click()
        if not mode.scripts:
            wait_until(stack.host.is_idle)
            page.reload()
        expect(page.locator("#lead")).to_contain_text("Sent")  # by itself, where there are scripts
        visit.step("sent")

        open_worklist(visit)
        say(visit, morning.impossible, "Dealt with", "Marked as dealt with.")
        expect(page.locator("#worklist")).to_contain_text("All dealt with.")
        visit.step("nothing-left", page.locator("#worklist-heading"))
    wait_until(stack.host.is_idle)
    for message_id in (morning.filed_wrong, morning.refused[0], morning.in_doubt):
        assert len(stack.texts_of(message_id, before)) == 1
    assert stack.taken == before + 3
