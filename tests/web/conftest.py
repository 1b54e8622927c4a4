"""The pages, by a client in the process and by a real browser."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import make_server

from portal import clock
from portal.core.roles import Role
from tests.builders import PASS_AT
from tests.played_demo import PlayedDemo, played_demo


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
        session["_user_id"] = f"{role}@{practice_id or 'host'}"
        session["_fresh"] = True
        session["fs_cc"] = "set"
        session["fs_paa"] = clock.now().timestamp()
    return client


@pytest.fixture
def client(app: Flask, at_pass_time: None) -> FlaskClient:
    """The owner of the builders' practice is signed in."""
    return sign_in(visitor(app))


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
        server = make_server("127.0.0.1", 0, demo.app, threaded=True)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Site(f"http://127.0.0.1:{server.server_port}", demo)
        server.shutdown()
        thread.join()
        server.server_close()
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
