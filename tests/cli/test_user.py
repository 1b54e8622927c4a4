"""`portal user`: who signs in to the pages."""

from urllib.parse import urlsplit

import pytest

from portal import create_app, store
from portal.config import Settings, load_settings
from portal.core.roles import Role
from portal.store.database import db
from tests.builders import Clinic
from tests.cli.conftest import Portal
from tests.web.conftest import submit, visitor
from tests.web.people import PASSWORD

EMAIL = "robin@clinic.example"


@pytest.fixture(autouse=True)
def clinic(settings: Settings) -> None:
    app = create_app(settings)
    with app.app_context():
        Clinic()
        db.engine.dispose()


def join(settings: Settings, link: str, password: str = PASSWORD) -> int:
    app = create_app(settings)
    with app.app_context():
        path = urlsplit(link).path
        client = visitor(app)
        page = client.get(path)
        if page.status_code == 200:
            status = submit(client, path, name="Robin", password=password, again=password).status_code
        else:
            status = page.status_code
        db.engine.dispose()
    return int(status)


def test_add_prints_a_link_that_lets_its_owner_in(portal: Portal, settings: Settings) -> None:
    added = portal("user", "add", EMAIL, "--role", "reception", "--json").json
    assert added["link"].startswith("http://127.0.0.1:8080/join/")
    assert (added["email"], added["name"]) == (EMAIL, "robin")
    assert added["until"].endswith("Z")
    assert join(settings, added["link"]) == 303
    assert join(settings, added["link"]) == 410
    found = [one for one in portal("user", "list", "--json").json if one["email"] == EMAIL]
    assert found[0] | {"joined_at": None} == {
        "email": EMAIL,
        "name": "Robin",
        "practice": "riverside",
        "role": "reception",
        "active": True,
        "joined_at": None,
        "second_factor": False,
    }
    assert found[0]["joined_at"]


def test_the_link_is_of_the_public_address(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_PUBLIC_URL", "https://reminders.clinic.example/")
    out = portal("user", "add", EMAIL).out
    assert "Hand this link to robin. It works once, for 7 days:" in out
    assert "https://reminders.clinic.example/join/" in out
    assert load_settings({"PORTAL_PUBLIC_URL": "https://x.example/"}).public_url == "https://x.example"


def test_the_port_is_of_the_link(portal: Portal) -> None:
    assert "http://127.0.0.1:9000/join/" in portal("user", "add", EMAIL, "--port", "9000").out


def test_a_practitioner_is_linked_by_the_exports_id(portal: Portal, settings: Settings) -> None:
    assert portal("user", "add", EMAIL, "--role", "practitioner").code == 1
    unknown = portal("user", "add", EMAIL, "--role", "practitioner", "--practitioner", "77")
    assert (unknown.code, unknown.out) == (1, "")
    assert "There is no practitioner of that id." in unknown.err
    assert portal("user", "add", EMAIL, "--role", "practitioner", "--practitioner", "1").code == 0


def test_a_sysadmin_belongs_to_no_practice(portal: Portal) -> None:
    assert portal("user", "add", EMAIL, "--role", "sysadmin", "--practice", "riverside").code == 2
    assert portal("user", "add", EMAIL, "--role", "sysadmin", "--name", "Sam").code == 0
    first = portal("user", "list", "--json").json[0]
    assert (first["name"], first["role"], first["practice"]) == ("Sam", "sysadmin", None)
    assert portal("user", "off", EMAIL).out == "Sam is switched off, and signed out everywhere.\n"
    assert portal("user", "on", EMAIL, "--json").json["active"] is True


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["add", "nonsense"], 1, "not an email address"),
        (["add", "Owner@Riverside.Example"], 1, "signs in with this address already"),
        (["add", EMAIL, "--role", "king"], 2, "king"),
        (["add", EMAIL, "--practice", "nowhere"], 2, "nowhere"),
        (["link", EMAIL], 1, "Nobody signs in with that address."),
        (["off", EMAIL], 1, "Nobody signs in with that address."),
        (["off", "owner@riverside.example"], 1, "the last owner who can sign in"),
        ([], 2, "Usage"),
    ],
)
def test_what_cannot_be_is_refused_in_words(portal: Portal, arguments: list[str], code: int, says: str) -> None:
    result = portal("user", *arguments)
    assert result.code == code
    assert says in result.err + result.out


def test_a_new_link_ends_the_old_password_and_is_noted(portal: Portal, settings: Settings) -> None:
    link = portal("user", "add", EMAIL, "--role", "reception", "--json").json["link"]
    join(settings, link)
    portal("user", "off", EMAIL)
    assert portal("user", "link", EMAIL).code == 1  # switched off
    portal("user", "on", EMAIL)
    new = portal("user", "link", EMAIL, "--json").json["link"]
    listed = portal("user", "list").out
    assert "not yet: has a link" in listed
    assert join(settings, new, "violet anchor on grass") == 303
    app = create_app(settings)
    with app.app_context():
        with store.reading("riverside") as session:
            changes = [(change.by, change.field) for change in store.staff.list_staff_changes(session)]
        db.engine.dispose()
    assert changes == [("command line", field) for field in ("sign-in", "access", "access", "invitation")]


def test_list_is_of_one_practice_or_all(portal: Portal) -> None:
    assert {one["role"] for one in portal("user", "list", "--practice", "riverside", "--json").json} == {
        *(Role.OWNER, Role.RECEPTION, Role.PRACTITIONER)
    }
    assert portal("user", "list", "--practice", "nowhere").code == 2
