"""Connections drop as reminders go: what the provider's records settle is settled, and of the rest nobody knows.
Staff send one again, and leave the other."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from portal import clock
from portal.actions.receipts import work_on_events
from portal.actions.settle import SETTLE_AFTER, ask
from portal.core.roles import Role
from portal.core.states import Status
from portal.sms.gateway import Account
from portal.sms.reports import Reports
from tests.processes import wait_until

from .stack import MINUTE, Stack, at, on_sqlite
from .test_morning import a_quiet_day, list_messages, open_worklist
from .visit import MODES, Mode, sit_down, visiting

pytestmark = pytest.mark.browser

RAN_AT = at("10:00")
LOOKED_AT = RAN_AT + SETTLE_AFTER + 5 * MINUTE


@dataclass(frozen=True)
class Day:
    """`again`, `left`: the messages that nobody knows of."""

    stack: Stack
    kept: Path
    again: int
    left: int


@pytest.fixture(scope="module")
def day(short_tmp: Path, sqlite_template: Path) -> Iterator[Day]:
    with on_sqlite(short_tmp, sqlite_template) as stack:
        stack.import_practice(at("09:00"), a_quiet_day(stack.host.settings.data_dir / "export"))
        simulator = stack.host.simulator
        simulator.options = replace(simulator.options, now=lambda: RAN_AT + MINUTE)
        taken = {"times": 1, "fault": "drop", "taken": True, "receipts": [], "ends": "delivered"}
        simulator.plan([taken, {"times": 2, "fault": "drop"}])
        stack.ran(RAN_AT)
        assert len(list_messages(Status.UNKNOWN)) == 3
        with closing(Reports(Account(base_url=simulator.url))) as records:
            ask(LOOKED_AT, records)
            assert work_on_events(LOOKED_AT, lambda event, now: None).events
        assert len(list_messages(Status.DELIVERED)) == 1
        simulator.plan([])
        stack.start_workers(LOOKED_AT)
        again, left = list_messages(Status.UNKNOWN)
        yield Day(stack, stack.keep(), again, left)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_one_is_sent_again_and_one_is_left(browser: Browser, day: Day, mode: Mode) -> None:
    stack = day.stack
    stack.put_back(day.kept)
    clock.start_at(LOOKED_AT)  # behind the workers' clock: what is queued is due there
    before = stack.taken
    with visiting(browser, stack.url, "in-doubt", mode) as visit:
        page = visit.page
        sit_down(visit, stack, Role.RECEPTION)
        open_worklist(visit)
        for message_id in (day.again, day.left):
            row = page.locator(f"#work-{message_id}")
            expect(row).to_contain_text("In doubt")
            expect(row).to_contain_text("The provider has no record of it")
        visit.look("worklist", page.locator("#worklist-heading"))

        page.locator(f"#work-{day.again}").get_by_role("link", name="Send again").click()
        expect(page.locator("#lead")).to_contain_text("We do not know whether")
        expect(page.locator("#lead")).to_contain_text("the provider has no record of it.")
        page.get_by_label("may get it twice, and that is all right").check()
        visit.look("known-to-nobody", page.locator("#again"))
        page.get_by_role("button", name="Send again").click()
        if not mode.scripts:
            wait_until(stack.host.is_idle)
            page.reload()
        expect(page.locator("#lead")).to_contain_text("Sent")  # by itself, where there are scripts
        visit.look("sent")

        open_worklist(visit)
        expect(page.locator(f"#work-{day.again}")).to_have_count(0)
        page.locator(f"#work-{day.left} .who a").click()
        page.get_by_role("button", name="Leave it").click()
        expect(page.locator("#worklist-said")).to_have_text("Marked as dealt with.")
        expect(page.locator(f"#work-{day.left}")).to_have_count(0)
        page.locator("#worklist-done summary").click()
        visit.look("left", page.locator("#worklist-done"))
        page.locator(f"#done-who-{day.left}").click()
        expect(page.locator("#left")).to_contain_text("Left as it is by Dana Reception")
        expect(page.locator("#lead")).to_contain_text("In doubt")
    wait_until(stack.host.is_idle)
    assert [len(stack.texts_of(one, before)) for one in (day.again, day.left)] == [1, 0]
    assert stack.taken == before + 1
