"""From an empty installation to the first reminder in the browser alone; and reception's pause."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from portal import store
from portal.core.reasons import Reason
from portal.core.roles import Role
from portal.core.states import Status
from portal.sms.simulator import Simulator
from portal.store.messages import Message
from tests.processes import wait_until
from tests.web.people import PASSWORD

from .installation import Installation
from .stack import PRACTICE, at, on_sqlite
from .test_first_run import EMAIL, file_the_mobiles, leave
from .visit import MODES, Mode, Visit, sit_down, visiting

pytestmark = pytest.mark.browser

OWN_PHONE = "+61491570006"


def name_the_practice(visit: Visit, code: str) -> None:
    page = visit.page
    page.get_by_label("Code").fill(code)
    page.get_by_label("Your part").select_option(label="Owner of a new practice")
    page.get_by_label("Name of the practice").fill("Riverside")
    page.get_by_label("Country").select_option(label="Australia")
    page.get_by_label("Clocks of its first business").select_option("Australia/Sydney")
    page.get_by_label("Texts come from").fill("Riverside")
    page.get_by_label("Your name").fill("Dana Lim")
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The password once more").fill(PASSWORD)
    visit.step("set-up")
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("alert").first).to_contain_text("You are rehearsing")


def top_up(page: Page) -> None:
    page.goto("/settings/sms")
    page.get_by_label("Credits to add").fill("1000")
    page.get_by_role("button", name="Top up").click()
    expect(page.locator("main")).to_contain_text("The balance is 1,000 credits.")


def import_the_export(visit: Visit, installation: Installation, folder: Path) -> None:
    """The worker is at it twice: it checks, and it imports."""
    page, zipped = visit.page, shutil.make_archive(str(folder), "zip", folder)
    page.goto("/settings/import")
    page.get_by_label("File, at most").set_input_files(zipped)
    page.get_by_role("button", name="Upload and check").click()
    expect(page.locator("#lead")).to_contain_text("Nothing is changed yet")
    installation.run(at("09:20"), "worker.py", "--burst", "-n", "1")
    page.reload()
    expect(page.locator("#lead")).to_contain_text("Checked; nothing is changed yet.")
    page.get_by_role("button", name="Import it").click()
    installation.run(at("09:21"), "worker.py", "--burst", "-n", "1")
    page.reload()
    expect(page.locator("#lead")).to_contain_text("Imported")
    visit.step("imported")


def text_oneself(visit: Visit, installation: Installation, provider: Simulator) -> None:
    page = visit.page
    page.get_by_role("link", name="Send one to yourself").click()
    page.locator("article.setting h2 a").first.click()
    expect(page.get_by_role("button", name="Send the test text")).to_be_visible()
    page.wait_for_load_state()  # its scripts, too, are there
    page.get_by_label("To a mobile number that you can look at").fill(OWN_PHONE)
    page.get_by_role("button", name="Send the test text").click()
    expect(page.locator("main")).to_contain_text("The test text is on its way")
    visit.step("test-text")
    installation.run(at("09:30"), "worker.py", "--burst", "-n", "1")
    assert [one.to for one in provider.messages] == [OWN_PHONE.removeprefix("+")]


def line_of(page: Page, label: str) -> str:
    named = page.locator(".label", has_text=re.compile(f"^{label}"))
    return page.locator(".ready > li", has=named).inner_text()


def go_live(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("I have read what is marked above").check()
    page.get_by_label("Yes, text the patients of Riverside").check()
    visit.look("go-live", page.get_by_role("button", name="Go live"))
    page.get_by_role("button", name="Go live").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are live")


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_from_nothing_to_live_in_the_browser_alone(
    browser: Browser, installation: Installation, provider: Simulator, export: Path, mode: Mode
) -> None:
    with visiting(browser, installation.url, "to-live", mode) as visit:
        page = visit.page
        installation.run(at("09:00"), "-m", "portal", "init")
        with installation.terminal(at("09:10")) as printed:
            wait_until(lambda: "type this code:" in printed.read_text())
            page.goto("/")
            expect(page.get_by_role("heading", level=1)).to_have_text("Set up the portal")
            name_the_practice(visit, printed.read_text().partition("type this code:")[2].split()[0])
            page.get_by_role("alert").get_by_role("link", name="Go live").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Go live")
            assert "There are no appointments yet." in line_of(page, "Appointments")
            visit.step("what-lacks")
            top_up(page)
            import_the_export(visit, installation, export)
            file_the_mobiles(visit)
            page.goto("/going-live")
            assert "Last updated today." in line_of(page, "Appointments")
            text_oneself(visit, installation, provider)
            page.goto("/going-live")
            assert "One went to a phone of yours today." in line_of(page, "Test text")
            page.get_by_role("link", name="Tomorrow, Thursday 8 May").click()
            expect(page.get_by_role("heading", name="would be texted").first).to_be_visible()
            visit.step("the-day")
            page.get_by_role("link", name="← Go live").click()
            go_live(visit)
            leave(page)

        assert "1 practice due" in installation.run(at("10:00"), "-m", "portal", "enqueue")
        assert "Nothing remains." in installation.run(at("10:00"), "worker.py", "--burst", "-n", "1")
        reminders = provider.messages[1:]
        assert len(reminders) > 20
        assert all(one.to != OWN_PHONE for one in reminders)


# --- the pause --------------------------------------------------------------------------------------------------


def status_of(message_id: int) -> tuple[Status, tuple[Reason, ...]]:
    with store.reading(PRACTICE) as session:
        message = session.get_one(Message, message_id)
        return message.status, message.reasons


def a_held_back_message() -> int:
    with store.reading(PRACTICE) as session:
        found = session.query(Message.id, Message.reasons).filter(Message.status == Status.NOT_SENT).all()
    return next(id_ for id_, reasons in found if reasons == (Reason.SENDING_OFF,))


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_reception_pauses_sees_what_is_held_back_and_resumes(
    browser: Browser, short_tmp: Path, sqlite_template: Path, mode: Mode
) -> None:
    with on_sqlite(short_tmp, sqlite_template) as stack, visiting(browser, stack.url, "pause", mode) as visit:
        stack.import_practice(at("09:40"))
        stack.start_workers(at("09:45"))
        page = visit.page
        sit_down(visit, stack, Role.RECEPTION)
        page.get_by_label("Why, for whoever looks next").fill("The template names the wrong clinic")
        page.get_by_role("button", name="Pause all sending").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("What is held back")
        expect(page.get_by_role("alert").first).to_contain_text("“The template names the wrong clinic”")
        stack.next_pass(at("10:00"))
        assert stack.taken == 0
        message_id = a_held_back_message()

        sit_down(visit, stack, Role.RECEPTION)
        page.get_by_role("link", name="See what is held back, and switch on").click()
        expect(page.locator("#goes")).to_contain_text(re.compile(r"\d+ reminders go, once sending is on again"))
        visit.look("held-back")
        page.get_by_label("Yes, text the patients of").check()
        page.get_by_role("button", name="Switch on for the whole practice").click()
        expect(page.get_by_role("status").first).to_contain_text("Sending is on again.")
        visit.step("on-again")
        stack.next_pass(at("11:00"))
        assert status_of(message_id) == (Status.SENT, ())
        assert len(stack.texts_of(message_id)) == 1
        leave(page)
