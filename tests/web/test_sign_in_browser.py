"""Signing in and staff in a real browser, on a phone and on a desk, in light and dark, without scripts too."""

import re
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from portal import store
from portal.config import Settings
from portal.core.roles import Role
from portal.set_up_code import set_up_code
from portal.store.staff import User
from tests.builders import Clinic
from tests.web.browsing import (
    WIDTHS,
    Open,
    assert_accessible,
    assert_fits,
    assert_touchable,
    browsing,
    served,
    take_picture,
)
from tests.web.people import PASSWORD, give_password

pytestmark = pytest.mark.browser

OWNER = "owner@riverside.example"


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def clinic(app: Flask, at_pass_time: None) -> Clinic:
    clinic = Clinic(name="Riverside Physiotherapy")
    give_password(app)
    give_password(app, Role.RECEPTION, name="Robin Park", tf_primary_method="authenticator")
    give_password(app, Role.PRACTITIONER, name="Helen Marsh", practitioner_id=clinic.practitioner.id)
    with store.everything(write=True) as session:
        long = "Maximiliana" * 9
        session.add(
            User(
                role=Role.RECEPTION,
                practice_id=clinic.id,
                email=f"{long.lower()}@riverside-physiotherapy.example",
                name=long,
                fs_uniquifier="long",
                created_at=clinic.practice.created_at,
            )
        )
    return clinic


@pytest.fixture
def open_page(browser: Browser, app: Flask, clinic: Clinic) -> Iterator[Open]:
    """Opens a path; what the page complains about fails the test."""
    with served(app) as url, browsing(browser) as windows:

        def open_(path: str, width: int = 1280, scheme: str = "light", *, scripts: bool = True) -> Page:
            page = windows.page(windows.window(url, width, scheme, scripts=scripts))
            page.goto(path)
            return page

        yield open_
        windows.complaints[:] = [said for said in windows.complaints if "410" not in said]  # an ended link is meant


def sign_in(page: Page) -> None:
    page.get_by_label("Email").fill(OWNER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("^(?!.*sign-in)"))


def code_of(app: Flask, page: Page) -> str:
    """What the phone that scanned the page's picture shows."""
    key = page.locator("code.key").inner_text().replace("-", "")
    totp = app.extensions["security"].totp_factory._totp(key=key, format="base32")
    return str(totp.generate(time=time.time()).token)


def look_at(page: Page, name: str, width: str, scheme: str) -> None:
    assert_accessible(page, name)
    assert_fits(page, name)
    inputs = "main input:not([type=checkbox]):visible, main label.confirm"  # whose box is as large as its words
    assert_touchable(page.locator(f"{inputs}, main select, main button, main a[role=button]"))
    if scheme == "light":
        take_picture(page, name, width, "h2:text-is('Second step at sign-in')" if name == "account" else "h1")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_of_signing_in_and_staff_is_accessible_and_fits(
    app: Flask, open_page: Open, width: str, scheme: str
) -> None:
    page = open_page("/sign-in", WIDTHS[width], scheme)
    look_at(page, "sign-in", width, scheme)
    page.get_by_label("Email").fill("nobody@riverside.example")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("Email or password is not right.")
    look_at(page, "sign-in-refused", width, scheme)
    sign_in(page)
    for path, name in (
        ("/account", "account"),
        ("/account/password", "change-password"),
        ("/account/verify", "verify"),
        ("/account/recovery-codes", "recovery-codes-hidden"),
        ("/settings/staff", "staff"),
        ("/settings/staff/2", "colleague"),
        ("/join/nonsense", "link-ended"),
    ):
        page.goto(path)
        look_at(page, name, width, scheme)
    page.goto("/account/second-factor")
    look_at(page, "second-step", width, scheme)
    page.get_by_role("button", name="Set it up").click()
    expect(page.locator("img.qr")).to_have_js_property("complete", True)
    assert page.locator("img.qr").evaluate("picture => picture.naturalWidth") > 0
    look_at(page, "second-step-picture", width, scheme)
    page.get_by_label("Code").fill(code_of(app, page))
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_role("status")).to_contain_text("The second step is set up")
    look_at(page, "account-with-second-step", width, scheme)
    page.get_by_role("button", name="Make recovery codes").click()
    page.get_by_role("button", name="Make new codes").click()
    expect(page.locator(".codes li")).to_have_count(8)
    look_at(page, "recovery-codes", width, scheme)
    recovery = page.locator(".codes code").first.inner_text()

    another = open_page("/sign-in", WIDTHS[width], scheme)
    another.get_by_label("Email").fill(OWNER)
    another.get_by_label("Password").fill(PASSWORD)
    another.get_by_role("button", name="Sign in").click()
    expect(another.get_by_role("heading", level=1)).to_have_text("Second step")
    look_at(another, "second-step-asked", width, scheme)
    another.get_by_role("link", name="Use a recovery code").click()
    look_at(another, "recovery-code-asked", width, scheme)
    another.get_by_label("Recovery code").fill(recovery)
    another.get_by_role("button", name="Go on").click()
    expect(another.get_by_role("button", name="Sign out")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scripts", [True, False])
def test_a_colleague_is_invited_and_joins(open_page: Open, width: str, scripts: bool) -> None:
    page = open_page("/settings/staff", WIDTHS[width], scripts=scripts)
    sign_in(page)
    page.get_by_label("Name").fill("Casey Lim")
    page.get_by_label("Email").fill("owner@riverside.example")
    page.get_by_label("Role").select_option("reception")
    page.get_by_role("button", name="Make the invitation").click()
    expect(page.get_by_label("Email")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Name")).to_have_value("Casey Lim")
    if scripts:
        expect(page.get_by_label("Email")).to_be_focused()
        look_at(page, "staff-refused", width, "light")
    page.get_by_label("Email").fill("casey@riverside.example")
    page.get_by_role("button", name="Make the invitation").click()
    link = page.get_by_label("Link").input_value()
    if scripts:
        look_at(page, "staff-link", width, "light")

    casey = open_page(link, WIDTHS[width], scripts=scripts)
    expect(casey.get_by_role("heading", level=1)).to_have_text("Welcome, Casey Lim")
    if scripts:
        look_at(casey, "join", width, "light")
    casey.get_by_label("Password", exact=True).fill(PASSWORD)
    casey.get_by_label("The password once more").fill(PASSWORD)
    casey.get_by_role("button", name="Go on").click()
    expect(casey.get_by_role("heading", level=1)).to_have_text("Your account")
    page.goto("/settings/staff")
    row = page.get_by_role("row").filter(has_text="Casey Lim")
    expect(row).to_contain_text("Reception")
    expect(row).to_contain_text("✓ password")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_run(app: Flask, settings: Settings, open_page: Open, width: str, scheme: str) -> None:
    with app.app_context(), store.everything(write=True) as session:
        for user in store.staff.list_users(session):
            session.delete(user)
    page = open_page("/communications", WIDTHS[width], scheme)
    expect(page.get_by_role("heading", level=1)).to_have_text("Set up the portal")
    look_at(page, "set-up", width, scheme)
    page.get_by_label("Code").fill("not the code")
    page.get_by_label("Your name").fill("Dana Field")
    page.get_by_label("Email").fill("dana@riverside.example")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The password once more").fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_label("Code")).to_be_focused()
    look_at(page, "set-up-refused", width, scheme)
    page.get_by_label("Code").fill(set_up_code(settings))
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The password once more").fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("link", name="Dana Field")).to_be_visible()


def test_the_keyboard_alone_signs_in(open_page: Open) -> None:
    page = open_page("/sign-in?next=/account")
    expect(page.get_by_label("Email")).to_be_focused()
    page.keyboard.type(OWNER)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
