"""An empty installation: every page leads to the set-up page, which takes the terminal's code."""

import stat
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import store
from portal.actions.first_run import NotEmpty, make_first_user
from portal.config import Settings
from portal.core.roles import Role
from portal.set_up_code import is_set_up_code, set_up_code
from portal.store.practices import Practice
from tests.builders import PASS_AT, a_practice
from tests.web.conftest import submit, visitor
from tests.web.people import PASSWORD, look_up, signed_in_by_hand

EMAIL = "dana@clinic.example"


@pytest.fixture
def practice(app: Flask) -> None:
    """Imported, and without anybody."""
    a_practice()
    with store.everything(write=True) as session:
        for user in store.staff.list_users(session):
            session.delete(user)


@pytest.fixture
def code(settings: Settings) -> str:
    return set_up_code(settings)


def set_up(client: FlaskClient, code: str, **fields: str) -> Any:
    defaults = {"whose": "riverside", "name": "Dana Field", "email": EMAIL, "password": PASSWORD, "again": PASSWORD}
    return submit(client, "/set-up", **{"code": code} | defaults | fields)


@pytest.mark.parametrize("path", ["/", "/communications", "/sign-in", "/settings/staff", "/account", "/nowhere"])
def test_every_page_leads_there(app: Flask, path: str) -> None:
    answer = visitor(app).get(path)
    assert (answer.status_code, answer.location) == (303, "/set-up")


def test_a_monitor_is_answered_all_the_same(app: Flask) -> None:
    assert visitor(app).get("/healthz").status_code == 200


def test_with_the_code_the_first_owner_is_made_and_signed_in(
    app: Flask, settings: Settings, practice: None, code: str
) -> None:
    client = visitor(app)
    assert "Owner of Riverside" in client.get("/set-up").text
    answer = set_up(client, code.upper().replace("-", " "))
    assert (answer.status_code, answer.location) == (303, "/")
    assert client.get("/settings/staff").status_code == 200
    user = look_up(EMAIL)
    assert (user.role, user.practice_id, user.active) == (Role.OWNER, "riverside", True)
    signed_in_by_hand(app, EMAIL)
    with store.reading("riverside") as session:
        assert [change.after for change in store.staff.list_staff_changes(session)] == ["owner, by set-up code"]


def test_afterwards_the_code_and_the_page_are_gone(app: Flask, settings: Settings, practice: None, code: str) -> None:
    client = visitor(app)
    token_page = client.get("/set-up")
    set_up(visitor(app), code)
    assert not (settings.data_dir / "set_up_code").exists()
    assert not is_set_up_code(settings, code)
    assert not is_set_up_code(settings, "")
    assert client.get("/set-up").location == "/sign-in"
    assert token_page.status_code == 200
    app.config["WTF_CSRF_ENABLED"] = False
    again = client.post("/set-up", data={"code": code, "whose": "riverside", "email": "eve@x.example"})
    assert again.status_code == 404


NEW = {
    "whose": " ",
    "practice": "Harbour Physio",
    "country": "AU",
    "timezone": "Australia/Perth",
    "sender": "Harbour",
}


def test_the_owner_of_a_new_practice_names_it(app: Flask, code: str) -> None:
    client = visitor(app)
    assert "Owner of a new practice" in client.get("/set-up").text
    answer = set_up(client, code, **NEW)
    assert (answer.status_code, answer.location) == (303, "/")
    assert (look_up(EMAIL).role, look_up(EMAIL).practice_id) == (Role.OWNER, "harbour-physio")
    with store.reading("harbour-physio") as session:
        (business,) = store.practices.list_businesses(session)
        practice = store.practices.get_practice(session, "harbour-physio")
    assert (practice.name, practice.sending, practice.credits) == ("Harbour Physio", "rehearsal", 0)
    assert (business.name, business.timezone) == ("Harbour Physio", "Australia/Perth")
    assert "You are rehearsing" in client.get("/").text


@pytest.mark.parametrize("lacking", ["practice", "country", "timezone", "sender", "password"])
def test_where_anything_lacks_no_practice_is_left_behind(app: Flask, code: str, lacking: str) -> None:
    answer = set_up(visitor(app), code, **NEW | {lacking: "" if lacking != "password" else "short", "again": "short"})
    assert answer.status_code == 422
    with store.everything() as session:
        assert store.practices.list_practices(session) == []


def test_without_a_practice_it_says_how_to_import_one_and_makes_a_sysadmin(app: Flask, code: str) -> None:
    client = visitor(app)
    assert "portal import DIR" in client.get("/set-up").text
    answer = set_up(client, code, whose="")
    assert (answer.status_code, answer.location) == (303, "/account")
    assert (look_up(EMAIL).role, look_up(EMAIL).practice_id) == (Role.SYSADMIN, None)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"code": "abcd-efgh-jkmn-pqrs"}, "That is not the code"),
        ({"code": ""}, "That is not the code"),
        ({"code": "\u00e9" * 5000}, "That is not the code"),
        ({"whose": "another"}, "Choose a practice"),
        ({"name": ""}, "Type a name"),
        ({"email": "dana"}, "not an email address"),
        ({"password": "password1234", "again": "password1234"}, "easy to guess"),
        ({"again": "another"}, "not the same"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_the_code_stays(
    app: Flask, settings: Settings, practice: None, code: str, fields: dict[str, str], says: str
) -> None:
    client = visitor(app)
    answer = set_up(client, **{"code": code} | fields)
    assert answer.status_code == 422
    assert says in answer.text
    assert PASSWORD not in answer.text
    assert is_set_up_code(settings, code)
    assert set_up(client, code).status_code == 303


def test_without_a_code_nobody_is_let_in(app: Flask, settings: Settings, practice: None) -> None:
    assert not (settings.data_dir / "set_up_code").exists()
    assert set_up(visitor(app), "").status_code == 422


def test_the_code_is_its_owners_only_and_stays_the_same(settings: Settings) -> None:
    code = set_up_code(settings)
    assert set_up_code(settings) == code
    assert stat.S_IMODE((settings.data_dir / "set_up_code").stat().st_mode) == 0o600
    assert len(code) == 19


def test_only_the_first_is_first(app: Flask, practice: None) -> None:
    make_first_user("riverside", "Dana", EMAIL, PASSWORD, str.upper, PASS_AT)
    with pytest.raises(NotEmpty):
        make_first_user(None, "Eve", "eve@x.example", PASSWORD, str.upper, PASS_AT)


def test_a_practice_with_a_hostile_name_is_shown_as_text(app: Flask, practice: None) -> None:
    with store.everything(write=True) as session:
        session.get_one(Practice, "riverside").name = "</select><script>alert(1)</script>"
    page = visitor(app).get("/set-up").text
    assert "<script>" not in page
