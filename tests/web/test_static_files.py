"""What the browser loads besides the pages."""

import gzip
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Request

from portal.core.roles import Role
from portal.demo.accounts import ACCOUNTS
from tests.web.conftest import Site, sign_in_browser, visitor

STATIC = Path(__file__).parents[2] / "static"
FIRST_LOAD = 100_000  # bytes


@pytest.mark.parametrize("name", ["portal.css", "pages.css", "portal.js"])
def test_scripts_and_styles_are_compressed_and_checked_again(app: Flask, name: str) -> None:
    client, path = visitor(app), f"/static/{name}"
    with client.get(path, headers={"Accept-Encoding": "gzip, br"}) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.data) == (STATIC / name).read_bytes()
    with client.get(path, headers={"Accept-Encoding": "identity"}) as plain:
        assert "Content-Encoding" not in plain.headers
        assert plain.data == (STATIC / name).read_bytes()
    with client.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]}) as again:
        assert again.status_code == 304


def test_a_page_is_not_compressed(app: Flask) -> None:
    page = visitor(app).get("/login?next=x", headers={"Accept-Encoding": "gzip"}, follow_redirects=True)
    assert page.status_code == 200
    assert "Content-Encoding" not in page.headers


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/", "/communications", "/patients"])
def test_a_first_load_is_small(browser: Browser, site: Site, path: str) -> None:
    loaded: list[Request] = []
    context = browser.new_context(base_url=site.url)
    sign_in_browser(context, site.demo.app, site.url, ACCOUNTS[Role.OWNER][1])
    page = context.new_page()
    page.on("requestfinished", lambda request: loaded.append(request))
    page.goto(path, wait_until="networkidle")
    sizes = {request.url: request.sizes() for request in loaded}
    context.close()
    assert len(sizes) >= 4
    assert sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes.values()) < FIRST_LOAD, sizes
