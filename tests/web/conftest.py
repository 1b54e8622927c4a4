"""The pages, by a client in the process and by a real browser."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from portal import clock, store
from portal.core.roles import Role
from tests.builders import PASS_AT, Clinic
from tests.played_demo import PlayedDemo, played_demo
from tests.web.browsing import Open, browsing, served

# For a wrong page, not for a slow machine.
expect.set_options(timeout=30_000)


@pytest.fixture
def at_pass_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The portal's clock shows the builders' time."""
    monkeypatch.setattr(clock, "_offset", timedelta())
    clock.start_at(PASS_AT + timedelta(minutes=5))


class Client(FlaskClient):
    """Each request has a context of its own, although the tests hold one: nothing of the last user is left."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        with self.application.app_context():
            return super().open(*args, **kwargs)


def visitor(app: Flask) -> FlaskClient:
    """Who is not signed in."""
    app.test_client_class = Client
    return app.test_client()


def sign_in(client: FlaskClient, role: Role = Role.OWNER, practice_id: str | None = "riverside") -> FlaskClient:
    """As the builders' user of that role, who may come into being later."""
    with client.session_transaction() as session:
        session.update(_signed_in(f"{role}@{practice_id or 'host'}"))
    return client


def _signed_in(uniquifier: str) -> dict[str, Any]:
    """What the session of somebody holds who has just typed their password."""
    return {"_user_id": uniquifier, "_fresh": True, "fs_cc": "set", "fs_paa": time.time()}


def sign_in_browser(context: BrowserContext, app: Flask, url: str, email: str) -> None:
    """As whoever has that address, without the sign-in page: by a cookie of the app's own making."""
    with app.app_context(), store.everything() as session:
        user = store.staff.find_by(session, "email", email)
    assert user, email
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer
    cookie = serializer.dumps(_signed_in(user.fs_uniquifier))
    context.add_cookies([{"name": app.config["SESSION_COOKIE_NAME"], "value": cookie, "url": url, "httpOnly": True}])


def form_token(page: str) -> str:
    """The token that the page's forms hold."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, page
    return found[1]


def submit(client: FlaskClient, path: str, at: str | None = None, **fields: str) -> Any:
    """Open the page `at` and send its form to `path`, as a browser does."""
    page = client.get(at or path)
    assert page.status_code == 200, (page.status_code, page.location)
    return client.post(path, data={"csrf_token": form_token(page.text), **fields})


@pytest.fixture
def client(app: Flask, at_pass_time: None) -> FlaskClient:
    """The owner of the builders' practice is signed in."""
    return sign_in(visitor(app))


@pytest.fixture
def enqueued(app: Flask) -> list[int]:
    """The messages that are handed to the workers by forms, which need no tokens here."""
    app.config["WTF_CSRF_ENABLED"] = False
    ids: list[int] = []
    app.extensions["portal.enqueue_sends"] = lambda _practice, message_ids, _at=None: ids.extend(message_ids)
    return ids


@dataclass(frozen=True)
class Site:
    url: str
    demo: PlayedDemo


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The demo practice's pages, served."""
    with played_demo() as demo:
        shift = clock._offset
        clock.start_at(demo.now + timedelta(minutes=2))
        with served(demo.app) as url:
            yield Site(url, demo)
        clock._offset = shift


def find_chromium() -> str | None:
    names = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium, without any connection but to the pages."""
    path = find_chromium()
    if path is None:
        lacking = "there is no Chromium: the pages were not tried in a browser (e.g. apt-get install chromium)"
        if os.environ.get("PORTAL_TESTS_MAY_SKIP") == "no":
            pytest.fail(lacking)
        pytest.skip(lacking)
    arguments = [
        *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync"),
    ]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def usual_role() -> Role:
    """As whom `open_page` opens a page, unless it is told."""
    return Role.OWNER


@pytest.fixture
def open_page(browser: Browser, app: Flask, clinic: Clinic, usual_role: Role) -> Iterator[Open]:
    """Opens a path as somebody of the module's clinic; what the page complains about fails the test."""
    with served(app) as url, browsing(browser) as windows:

        def open_(
            path: str,
            width: int = 1280,
            scheme: Literal["light", "dark"] = "light",
            *,
            role: Role = usual_role,
            scripts: bool = True,
        ) -> Page:
            context = windows.window(url, width, scheme, scripts=scripts)
            sign_in_browser(context, app, url, f"{role}@{clinic.id}.example")
            page = windows.page(context)
            page.goto(path)
            return page

        yield open_
