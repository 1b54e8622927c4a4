"""Help in the portal: pages, pictures, search, and the link to it on every page."""

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import store
from portal.core.roles import Role
from portal.web.access import ANYONE, access_of
from portal.web.help import ABOUT, NEEDS_NONE
from portal.web.help_pages import Library, read_library
from tests.builders import Clinic, a_user
from tests.processes import ROOT

from .conftest import sign_in, visitor
from .test_diagnosis import count_queries


@pytest.fixture(scope="module")
def library() -> Library:
    return read_library(ROOT / "docs")


@pytest.fixture
def clinic(app: Flask, at_pass_time: None) -> Clinic:
    return Clinic()


def test_every_page_of_the_portal_has_its_help_or_is_named_as_needing_none(app: Flask, library: Library) -> None:
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or access_of(app, rule.endpoint) == ANYONE:
            continue
        needs_none = not {rule.endpoint, rule.endpoint.partition(".")[0]}.isdisjoint(NEEDS_NONE)
        assert (rule.endpoint in ABOUT) != needs_none, rule.endpoint
    endpoints = {*app.view_functions}
    for named in {*ABOUT, *NEEDS_NONE}:
        assert named in endpoints or named in app.blueprints, f"{named} is no page of the portal any more"
    assert {*ABOUT.values()} <= {*library.pages}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "today"),
        ("/patients", "find-a-patient"),
        ("/settings/businesses", "businesses"),
        ("/account", "sign-in"),
    ],
)
def test_a_page_leads_to_its_help(client: FlaskClient, clinic: Clinic, path: str, name: str) -> None:
    page = client.get(path).text
    assert f'<a href="/help/{name}">Help with this page</a>' in page
    assert '<a href="/help">Help</a>' in page
    assert client.get(f"/help/{name}").status_code == 200


@pytest.mark.parametrize("role", list(Role))
def test_who_is_signed_in_reads_every_page(app: Flask, clinic: Clinic, library: Library, role: Role) -> None:
    if role is Role.SYSADMIN:
        with store.everything(write=True) as session:
            session.add(a_user(role, None))
    client = sign_in(visitor(app), role, None if role is Role.SYSADMIN else "riverside")
    contents = client.get("/help").text
    for name, page in library.pages.items():
        assert f'href="/help/{name}"' in contents, name
        shown = client.get(f"/help/{name}")
        assert shown.status_code == 200
        assert ("For the system administrator" in shown.text) is page.is_for_sysadmin


def test_links_and_pictures_within_the_pages_are_there(client: FlaskClient, clinic: Clinic, library: Library) -> None:
    for name in library.pages:
        page = client.get(f"/help/{name}").text
        for place in set(re.findall(r'(?:href|src|srcset)="(/help[^"]*)"', page)):
            path, _, heading = place.partition("#")
            answer = client.get(path)
            assert answer.status_code == 200, (name, place)
            if path.startswith("/help/pictures/"):
                assert answer.mimetype == "image/png"
                assert answer.data.startswith(b"\x89PNG")
            elif heading:
                assert f'id="{heading}"' in answer.text, (name, place)


@pytest.mark.parametrize(
    "path",
    [
        "/help/nothing",
        "/help/today.md",
        "/help/index",
        "/help/sysadmin/index",
        "/help/../README",
        "/help/..%2F..%2FREADME",
        "/help/%2e%2e/%2e%2e/README",
        "/help/sysadmin/../../decisions/0001-the-row-is-the-record",
        "/help/decisions/0001-the-row-is-the-record",
        "/help//etc/passwd",
        "/help/pictures/../../pyproject.toml",
        "/help/pictures/..%2F..%2Fpyproject.toml",
        "/help/pictures/%2e%2e%2fsysadmin%2finstall.md",
        "/help/pictures//etc/passwd",
        "/help/pictures/nothing.png",
        "/help/pictures/queue-1280.png",  # one that no page shows
        "/help/" + "a" * 5000,
        "/help/%00",
    ],
)
def test_nothing_else_of_the_disk_is_served(client: FlaskClient, clinic: Clinic, path: str) -> None:
    assert client.get(path).status_code in (301, 308, 404)
    assert client.get(path, follow_redirects=True).status_code == 404


def test_an_outsider_is_sent_to_sign_in(app: Flask, clinic: Clinic) -> None:
    for path in ("/help", "/help/today", "/help/pictures/today-1280.png", "/help/nothing", "/help?q=credits"):
        answer = visitor(app).get(path)
        assert (answer.status_code, answer.location.startswith("/sign-in")) == (303, True), path


def test_a_search_shows_the_sentence_and_leads_to_its_heading(client: FlaskClient, clinic: Clinic) -> None:
    page = client.get("/help?q=emoji").text
    assert '<a href="/help/credits#what-a-text-costs">Credits, and what a text costs</a>' in page
    assert "<mark>emoji</mark>" in page
    assert "No page has these words" in client.get("/help?q=zanzibar").text
    assert "none has all of them" in client.get("/help?q=emoji+zanzibar").text


FIRST = {
    "sms-not-received": (
        "no sms",
        "why no sms",
        "not receiving",
        "patient not receiving sms",
        "nobody gets texts",
        "reminders not sent",
        "not delivered",
    ),
    "no-text": ("patient didn't get the text", "opt out", "opted out", "wrong number", "archived", "prefers email"),
    "replies": ("stop", "reply", "yes", "confirm"),
    "credits": ("top up", "buy credits", "credits", "invoice", "emoji", "price of a text", "how much"),
    "today": ("who gets texts", "who will be texted"),
    "practitioners": ("add doctor", "new doctor"),
    "practice": ("change time", "change reminder time", "sender name", "abroad"),
    "find-a-patient": ("two phones", "find a patient", "change number"),
    "add-a-patient": ("how do I add a patient", "new patient"),
    "appointments": ("cancel appointment", "reschedule", "move appointment", "book an appointment"),
    "templates": ("change the template", "edit reminder text", "test text", "placeholder"),
    "sign-in": ("forgot password", "phone lost", "log in", "2fa", "second step", "sign out"),
    "staff": ("new receptionist", "invite colleague", "add user", "somebody leaves"),
    "pausing": ("pause", "stop all texts"),
    "send-again": ("send again", "resend", "in doubt"),
    "write-a-text": ("send text", "write a text"),
    "duplicates": ("duplicate", "merge two records"),
    "message-to-many": ("send to everyone", "bulk sms", "dr marsh ill"),
    "hours": ("hours", "when do texts go"),
    "going-live": ("go live",),
    "import": ("import", "upload file"),
    "import-folder": ("import zip", "zip folder"),
    "businesses": ("time zone", "switch off reminders", "new clinic"),
    "tidy-up": ("undo",),
    "worklist": ("dealt with",),
    "reasons": ("every reason",),
    "communications": ("unconfirmed", "find a text"),
    "sysadmin/install": ("systemd",),
    "sysadmin/backup": ("backup",),
}


@pytest.mark.parametrize(("typed", "name"), [(typed, name) for name, asked in FIRST.items() for typed in asked])
def test_what_people_ask_is_found_first(library: Library, typed: str, name: str) -> None:
    assert library.index.search(typed).found[0].page.name == name


def test_what_is_typed_is_shown_as_text(client: FlaskClient, clinic: Clinic) -> None:
    page = client.get("/help?q=<script>alert(1)</script>+credits").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_raw_html_of_a_page_is_text_and_a_strange_link_is_none(tmp_path: Path) -> None:
    for folder in ("help", "sysadmin", "screens"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "index.md").write_text("# Contents")
    told = "# One\n\n<script>x</script> [a](javascript:x) [out](../../etc/a.md) [in](two.md#there) ![gone](x.png)"
    (tmp_path / "help" / "one.md").write_text(told)
    (tmp_path / "help" / "two.md").write_text("# Two\n\n## There\n\nHere.")
    text = read_library(tmp_path).pages["one"].text
    assert "&lt;script&gt;" in text
    assert "javascript:x)" in text
    assert re.findall(r'(?:href|src)="([^"]*)"', text) == ["/help/two#there"]


@pytest.mark.parametrize("path", ["/help", "/help?q=credits", "/help/today", "/help/pictures/today-1280.png"])
def test_each_page_takes_at_most_8_queries(client: FlaskClient, clinic: Clinic, path: str) -> None:
    assert count_queries(client, path) <= 8
