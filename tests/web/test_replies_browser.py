"""Replies in a real browser: a family's phone, STOP and START, a yes and a no, with and without scripts."""

from datetime import timedelta
from typing import Literal

import pytest
from flask import Flask
from playwright.sync_api import expect

from portal.core.roles import Role
from tests.actions.replies import LATER, SENDER, comes_in, find_reply, message, remind
from tests.actions.test_inbound import appointment, is_opted_out
from tests.builders import Clinic

from .browsing import WIDTHS, Open, assert_accessible, assert_fits, take_picture

pytestmark = pytest.mark.browser


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def usual_role() -> Role:
    return Role.RECEPTION


@pytest.fixture
def clinic(app: Flask, at_pass_time: None) -> Clinic:
    """Mia and Ben share a phone; Ada and Noah have theirs."""
    clinic = Clinic(name="Riverside Physiotherapy", sender=SENDER)
    remind(clinic, "a")
    clinic.book("b", starts="2031-05-09 10:00", patient={"first_name": "Ben"})
    clinic.book("c", patient={"first_name": "Ada", "last_name": "Silva", "mobile": "0491 570 110"})
    clinic.book("d", patient={"first_name": "Noah", "last_name": "Okafor", "mobile": "0491 570 156"})
    return clinic


ADA, NOAH, STRANGER = "+61491570110", "+61491570156", "+61491570157"


@pytest.fixture
def replies(clinic: Clinic) -> dict[str, int]:
    """The message of each."""
    texts = {
        "yes": ("Yes, thanks!", "+61491570006"),
        "ada": ("Where can I park? And is Dr Marsh in on Friday?", ADA),
        "noah": ("Sorry, can't make it, my son is sick", NOAH),
        "stop": ("STOP", NOAH),
        "stranger": ("Who is this?", STRANGER),
    }
    return {
        name: comes_in(text, LATER + timedelta(seconds=at), number=number).message_id
        for at, (name, (text, number)) in enumerate(texts.items())
    }


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits(
    open_page: Open, replies: dict[str, int], width: str, scheme: Literal["light", "dark"]
) -> None:
    noah = message(replies["noah"]).patient_id
    pages = {
        "replies": ("/replies", Role.RECEPTION),
        "reply": (f"/replies/{replies['yes']}", Role.RECEPTION),
        "conversation": (f"/patients/{noah}", Role.RECEPTION),
        "worklist-cannot-come": ("/today/worklist", Role.RECEPTION),
        "reply-settings": ("/settings/replies", Role.OWNER),
    }
    for name, (path, role) in pages.items():
        page = open_page(path, WIDTHS[width], scheme, role=role)
        if scheme == "light":
            take_picture(page, name, width)
        assert_accessible(page, name)
        assert_fits(page, name)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_familys_phone_is_settled_with_one_click(open_page: Open, replies: dict[str, int], scripts: bool) -> None:
    page = open_page("/replies", scripts=scripts)
    expect(page.locator("#unread")).to_have_text("4 unread")
    page.get_by_role("button", name="It is Mia's").click()
    expect(page.get_by_role("heading", name="Whose is it?")).to_have_count(0)
    expect(page.locator("#unread")).to_have_text("3 unread")
    assert appointment("a").is_confirmed
    page.goto(f"/patients/{message(replies['yes']).patient_id}")
    expect(page.locator(".visits").first).to_contain_text("Confirmed")


@pytest.mark.parametrize("scripts", [True, False])
def test_a_reply_is_read_and_taken_up_again(open_page: Open, replies: dict[str, int], scripts: bool) -> None:
    page = open_page("/replies", scripts=scripts)
    entry = page.locator(f"#reply-{replies['ada']}")
    entry.get_by_role("button", name="Mark as read").click()
    page.locator("#replies-read > summary").click()
    expect(page.locator("#replies-read")).to_contain_text("Where can I park?")
    assert find_reply(replies["ada"]).read_by == "Dana Reception"
    entry.get_by_role("button", name="Mark as unread").click()
    expect(page.locator("section[aria-labelledby='waiting']")).to_contain_text("Where can I park?")
    expect(page.locator("#unread")).to_have_text("4 unread")


def test_stop_and_start_show_on_the_patient_with_the_reply(open_page: Open, replies: dict[str, int]) -> None:
    page = open_page(f"/patients/{message(replies['stop']).patient_id}")
    expect(page.locator(".opt-outs")).to_contain_text("0491 570 156 replied STOP")
    page.get_by_role("link", name="Show the reply").click()
    expect(page.locator("blockquote")).to_have_text("STOP")
    page.go_back()
    comes_in("start", LATER + timedelta(hours=1), number=NOAH)
    assert not is_opted_out(NOAH)
    page.reload()
    expect(page.locator(".opt-outs .lifted")).to_contain_text("Lifted")


def test_a_no_is_on_the_worklist_until_somebody_dealt_with_it(open_page: Open, replies: dict[str, int]) -> None:
    page = open_page("/")
    declined = page.locator("#declined")
    expect(declined).to_contain_text("my son is sick")
    declined.get_by_role("link", name="Noah Okafor").click()
    expect(page.locator(f"#message-{replies['noah']}")).to_contain_text("Cannot come")
    page.go_back()
    page.locator("#declined").get_by_role("button", name="Dealt with").click()
    expect(page.locator("#worklist")).not_to_contain_text("my son is sick")
    assert find_reply(replies["noah"]).read_at


def test_the_list_renews_itself_without_losing_what_is_open(open_page: Open, replies: dict[str, int]) -> None:
    page = open_page("/replies")
    page.locator(f"#reply-{replies['ada']}").get_by_role("button", name="Mark as read").click()
    page.locator("#replies-read > summary").click()
    comes_in("One more thing", LATER + timedelta(minutes=9), number=ADA)
    page.evaluate("htmx.ajax('GET', '/replies', {target: '#replies', swap: 'outerMorph'})")
    expect(page.locator("#replies")).to_contain_text("One more thing")
    expect(page.locator("#replies-read")).to_have_attribute("open", "")


def test_the_answers_are_changed_by_keyboard(open_page: Open, clinic: Clinic) -> None:
    page = open_page("/settings/replies", role=Role.OWNER)
    page.get_by_label("After STOP").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("You get no more texts from Riverside.")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.type("desk@riverside.example")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_have_text("Saved.")
    expect(page.get_by_label("After STOP")).to_have_value("You get no more texts from Riverside.")
