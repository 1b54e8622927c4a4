"""What became of a text, as reception meets it: in doubt, and not delivered, in a real browser."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from portal import clock
from portal.actions.remind import run_pass
from portal.actions.settle import SETTLE_AFTER, ask
from portal.sms.answers import Accepted, InDoubt
from tests.actions.test_receipts import send
from tests.actions.test_remind import the_log
from tests.builders import MOBILES, PASS_AT, Clinic
from tests.reported import of, report, work
from tests.web.browsing import WIDTHS, Open, assert_accessible, assert_fits, take_picture

pytestmark = pytest.mark.browser

NOW = PASS_AT + SETTLE_AFTER + timedelta(minutes=2)


class Nothing:
    """Records that hold nothing."""

    def list_receipts(self, start: datetime, end: datetime) -> Iterable[Mapping[str, Any]]:
        return ()

    def list_replies(self, start: datetime, end: datetime) -> Iterable[Mapping[str, Any]]:
        return ()


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def clinic(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """Mia's text is in doubt, Jack's number is dead."""
    monkeypatch.setattr(clock, "_offset", timedelta())
    clock.start_at(NOW)
    settings = app.extensions["portal.settings"]
    app.extensions["portal.settings"] = replace(settings, vonage_base_url="http://127.0.0.1:9")
    clinic = Clinic()
    clinic.book("mia", patient={"first_name": "Mia", "last_name": "Nguyen", "mobile": MOBILES[0]})
    clinic.book("jack", patient={"first_name": "Jack", "last_name": "Okafor", "mobile": MOBILES[1]})
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result
    log = the_log()
    send([log["mia"].id], InDoubt("read-timeout"))
    send([log["jack"].id], Accepted("uuid-1"))
    report(of(the_log()["jack"], "undeliverable", NOW - timedelta(minutes=5), "1190"), NOW)
    work(NOW)
    ask(PASS_AT + SETTLE_AFTER, Nothing())
    return clinic


def look(page: Page, name: str, width: str) -> None:
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert_accessible(page)
    assert_fits(page)
    take_picture(page, name, width)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_message_in_doubt_is_looked_at_and_left(open_page: Open, width: str) -> None:
    page = open_page("/", WIDTHS[width])
    row = page.locator("#worklist tbody tr", has_text="Mia Nguyen")
    expect(row).to_contain_text("In doubt")
    expect(row).to_contain_text("The provider has no record of it")
    row.get_by_role("link", name="Mia Nguyen").click()
    expect(page.locator("p.lead").first).to_contain_text(
        "We do not know whether Mia Nguyen got the text about the appointment tomorrow, 9:30am: "
        "the provider has no record of it."
    )
    expect(page.locator(".timeline")).to_contain_text("Asked: the provider has no record of it")
    look(page, "message-no-record", width)
    page.get_by_role("button", name="Leave it").click()
    expect(page.locator("#worklist-said")).to_have_text("Marked as dealt with.")
    page.locator("#worklist-done summary").click()
    page.locator("#worklist-done").get_by_role("link", name="Mia Nguyen").click()
    expect(page.locator("#left")).to_contain_text("Left as it is by Dana")
    expect(page.get_by_role("button", name="Leave it")).to_have_count(0)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_dead_number_is_told_and_mended_in_place(open_page: Open, width: str) -> None:
    page = open_page("/", WIDTHS[width])
    row = page.locator("#worklist tbody tr", has_text="Jack Okafor")
    expect(row).to_contain_text("This number is not in service")
    row.get_by_role("link", name="Jack Okafor").click()
    expect(page.locator("p.lead").first).to_contain_text(
        "it was not delivered: this number is not in service. Ask the patient for a new number."
    )
    check = page.locator(".checks li.crossed", has_text="Mobile number")
    expect(check).to_contain_text("0491 570 110 is not in service: so the phone company said today.")
    look(page, "message-not-delivered", width)
    check.get_by_label("Mobile number", exact=True).first.fill(MOBILES[2])
    check.get_by_role("button", name="Correct the number").click()
    expect(page.locator(".checks li", has_text="Mobile number").first).to_contain_text(f"{MOBILES[2]} can be texted")
