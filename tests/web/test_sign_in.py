"""Signing in and out, and what a session is worth."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import clock, create_app, store
from portal.config import Settings
from portal.core.roles import Role
from portal.store.database import db
from portal.web.access import IDLE_SECONDS, UNATTENDED
from tests.builders import a_practice, a_user
from tests.web.conftest import form_token, sign_in, submit, visitor
from tests.web.people import ANOTHER, PASSWORD, give_password, look_up, signed_in_by_hand

OWNER = "owner@riverside.example"
PAGE = "/account"


@pytest.fixture
def riverside(app: Flask, at_pass_time: None) -> None:
    a_practice()
    give_password(app)


def cookie(answer: Any) -> str:
    return next(value for value in answer.headers.getlist("Set-Cookie") if "session=" in value)


def test_the_right_password_leads_to_the_page_that_was_wanted(app: Flask, riverside: None) -> None:
    client = visitor(app)
    to_sign_in = client.get(PAGE)
    assert (to_sign_in.status_code, to_sign_in.location) == (303, "/sign-in?next=/account")
    page = client.get(to_sign_in.location)
    action = re.search(r'<form action="(/sign-in[^"]*)"', page.text)
    assert action
    fields = {"csrf_token": form_token(page.text), "email": " Owner@Riverside.EXAMPLE", "password": PASSWORD}
    answer = client.post(action[1], data=fields)
    assert (answer.status_code, answer.location) == (302, "/account")
    assert "Dana Owner" in client.get(PAGE).text


def test_sign_in_answers_the_same_whether_there_is_such_an_account_or_not(app: Flask, riverside: None) -> None:
    with store.everything(write=True) as session:
        session.add(a_user(Role.RECEPTION, "riverside", email="off@riverside.example", fs_uniquifier="off"))
    give_password(app, Role.PRACTITIONER, active=False)
    answers = {
        submit(visitor(app), "/sign-in", email=email, password=password).text
        for email, password in (
            (OWNER, "not the password"),
            ("nobody@riverside.example", PASSWORD),
            ("off@riverside.example", PASSWORD),  # invited, no password yet
            ("practitioner@riverside.example", PASSWORD),  # switched off
        )
    }
    plain = {re.sub(r'(value=|"X-CSRFToken": )"[^"]*"', "", answer) for answer in answers}
    assert len(plain) == 1
    assert "Email or password is not right." in plain.pop()


@pytest.mark.parametrize(
    "typed", ["", "   ", "<script>alert(1)</script>", "'; DROP TABLE users; --", "x" * 5000, "\x00", "@"]
)
def test_whatever_is_typed_is_refused_in_words(app: Flask, riverside: None, typed: str) -> None:
    answer = submit(visitor(app), "/sign-in", email=typed, password=typed)
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "///evil",
        " //evil",
    ],
)
def test_nobody_is_led_outside(app: Flask, riverside: None, elsewhere: str) -> None:
    client = visitor(app)
    opened = client.get("/sign-in", query_string={"next": elsewhere})
    assert (opened.status_code, opened.location) == (303, "/sign-in")
    fields = {"csrf_token": form_token(client.get("/sign-in").text), "email": OWNER, "password": PASSWORD}
    for where, typed in (({"next": elsewhere}, {}), ({}, {"next": elsewhere})):
        answer = client.post("/sign-in", query_string=where, data=fields | typed)
        assert (answer.status_code, answer.location) == (303, "/sign-in")
    assert client.post("/sign-in", data=fields).location == "/"


def test_what_the_browser_held_before_signing_in_is_gone_after_it(app: Flask, riverside: None) -> None:
    client = visitor(app)
    with client.session_transaction() as session:
        session["planted"] = "by another"
    page = client.get("/sign-in")
    with client.session_transaction() as session:
        token = session["csrf_token"]
    client.post("/sign-in", data={"csrf_token": form_token(page.text), "email": OWNER, "password": PASSWORD})
    with client.session_transaction() as session:
        assert "planted" not in session
        assert session.get("csrf_token") != token
        assert session["_user_id"] == "owner@riverside"


def test_signing_out_needs_the_form_and_ends_the_session(app: Flask, riverside: None) -> None:
    client = signed_in_by_hand(app, OWNER)
    assert client.get("/sign-out").status_code == 405
    assert client.post("/sign-out").status_code == 400
    token = form_token(client.get(PAGE).text)
    assert client.post("/sign-out", data={"csrf_token": token}).location == "/sign-in"
    assert client.get(PAGE).status_code == 303


@pytest.mark.parametrize(
    "path", ["/tf-rescue", "/tf-select", "/fs-static/css/base.css", "/login", "/reset", "/register"]
)
def test_what_we_do_not_use_is_not_there(app: Flask, riverside: None, path: str) -> None:
    assert visitor(app).get(path).status_code == 404
    assert sign_in(visitor(app)).get(path).status_code == 404


def test_sign_in_speaks_pages_only(app: Flask, riverside: None) -> None:
    answer = visitor(app).get("/sign-in", headers={"Accept": "application/json"})
    assert answer.mimetype == "text/html"


# --- a desk that others pass by -----------------------------------------------------------------------------


def test_an_idle_desk_locks_itself(client: FlaskClient, riverside: None) -> None:
    assert client.get(PAGE).status_code == 200
    clock.start_at(clock.now() + timedelta(seconds=IDLE_SECONDS - 5))
    assert client.get(PAGE).status_code == 200  # somebody is there
    clock.start_at(clock.now() + timedelta(seconds=IDLE_SECONDS + 5))
    answer = client.get("/account?from=desk")
    assert (answer.status_code, answer.location) == (303, "/sign-in?next=/account?from%3Ddesk")
    assert client.get(PAGE).status_code == 303


def test_what_one_part_of_a_page_keeps_no_other_part_undoes(client: FlaskClient, riverside: None) -> None:
    """A browser asks for several at once, and the answer that comes last sets the cookie."""
    assert "Set-Cookie" in client.get(PAGE).headers
    clock.start_at(clock.now() + timedelta(seconds=20))
    assert "Set-Cookie" not in client.get(PAGE).headers
    clock.start_at(clock.now() + timedelta(seconds=20))
    assert "Set-Cookie" in client.get(PAGE).headers  # somebody is there


def test_a_page_that_asks_for_news_by_itself_keeps_no_desk_open(client: FlaskClient, riverside: None) -> None:
    assert client.get(PAGE).status_code == 200
    for _ in range(4):
        clock.start_at(clock.now() + timedelta(seconds=IDLE_SECONDS / 3))
        last = client.get(PAGE, headers={UNATTENDED: "yes"})
    assert last.status_code == 303


def test_a_clock_that_was_set_back_keeps_no_desk_open(client: FlaskClient, riverside: None) -> None:
    assert client.get(PAGE).status_code == 200
    clock.start_at(clock.now() - timedelta(days=1))
    assert client.get(PAGE).status_code == 303


def test_a_session_ends_after_twelve_hours_whoever_is_busy(client: FlaskClient, riverside: None) -> None:
    with client.session_transaction() as session:
        session["began_at"] = clock.now().timestamp()
    for _ in range(12 * 6 + 1):
        clock.start_at(clock.now() + timedelta(minutes=10))
        last = client.get(PAGE)
    assert last.status_code == 303


def test_a_fragment_of_a_locked_desk_sends_the_whole_page_to_sign_in(client: FlaskClient, riverside: None) -> None:
    client.get(PAGE)
    clock.start_at(clock.now() + timedelta(seconds=IDLE_SECONDS + 5))
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/communications?q=mia"}
    answer = client.get("/communications?q=mi", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/communications?q%3Dmia"
    assert answer.text == ""


def test_a_form_of_a_locked_desk_leads_to_sign_in_and_changes_nothing(client: FlaskClient, riverside: None) -> None:
    client.get(PAGE)
    clock.start_at(clock.now() + timedelta(seconds=IDLE_SECONDS + 5))
    answer = client.post(PAGE, data={"name": "Eve"}, headers={"Referer": "http://localhost/account"})
    assert (answer.status_code, answer.location) == (303, "/sign-in?next=/account")
    assert look_up(OWNER).name == "Dana Owner"


# --- forms carry a token ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [PAGE, "/account/password", "/account/second-factor", "/settings/staff", "/account/verify"]
)
def test_a_form_without_its_token_is_refused_in_words(client: FlaskClient, riverside: None, path: str) -> None:
    for token in ({}, {"csrf_token": "old"}):
        answer = client.post(path, data={"name": "Eve", **token})
        assert answer.status_code == 400
        assert "open for too long" in answer.text
        assert "<h1>" in answer.text
    assert look_up(OWNER).name == "Dana Owner"


def test_a_fragment_without_its_token_says_so_in_place_of_the_content(client: FlaskClient, riverside: None) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/account?x=1"}
    answer = client.post(PAGE, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["HX-Retarget"] == "#main"
    assert "<html" not in answer.text
    assert 'href="/account?x=1"' in answer.text


def test_a_fragments_token_may_come_by_its_header(client: FlaskClient, riverside: None) -> None:
    token = form_token(client.get(PAGE).text)
    answer = client.post(PAGE, data={"name": "Dana F"}, headers={"HX-Request": "true", "X-CSRFToken": token})
    assert answer.status_code == 303
    assert look_up(OWNER).name == "Dana F"


# --- what ends a session ------------------------------------------------------------------------------------


def test_a_changed_password_signs_out_everywhere_else(app: Flask, riverside: None) -> None:
    here, there = signed_in_by_hand(app, OWNER), signed_in_by_hand(app, OWNER)
    answer = submit(here, "/account/password", password=PASSWORD, new_password=ANOTHER, new_password_confirm=ANOTHER)
    assert answer.location == "/account"
    assert "Your password is changed" in here.get(PAGE).text
    assert there.get(PAGE).status_code == 303
    signed_in_by_hand(app, OWNER, ANOTHER)
    assert "is not right" in submit(visitor(app), "/sign-in", email=OWNER, password=PASSWORD).text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password": "wrong", "new_password": ANOTHER, "new_password_confirm": ANOTHER}, "not your password"),
        ({"password": PASSWORD, "new_password": ANOTHER, "new_password_confirm": "other"}, "not the same"),
        ({"password": PASSWORD, "new_password": PASSWORD, "new_password_confirm": PASSWORD}, "is the old one"),
        ({"password": PASSWORD, "new_password": "short", "new_password_confirm": "short"}, "12 characters"),
        (
            {"password": PASSWORD, "new_password": "Password1234!", "new_password_confirm": "Password1234!"},
            "easy to guess",
        ),
    ],
)
def test_a_new_password_is_refused_beside_its_field(
    app: Flask, riverside: None, fields: dict[str, str], says: str
) -> None:
    client = signed_in_by_hand(app, OWNER)
    answer = submit(client, "/account/password", **fields)
    assert says in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert fields["new_password"] not in answer.text
    assert client.get(PAGE).status_code == 200
    signed_in_by_hand(app, OWNER)


def test_signing_out_everywhere_ends_every_session(app: Flask, riverside: None) -> None:
    here, there = signed_in_by_hand(app, OWNER), signed_in_by_hand(app, OWNER)
    assert submit(here, "/account/sign-out-everywhere", PAGE).location == "/sign-in"
    assert here.get(PAGE).status_code == there.get(PAGE).status_code == 303


def test_who_is_switched_off_is_out_at_once(app: Flask, riverside: None) -> None:
    client = signed_in_by_hand(app, OWNER)
    with store.everything(write=True) as session:
        user = store.staff.find_by(session, "email", OWNER)
        assert user
        user.active = False
    assert client.get(PAGE).status_code == 303


# --- headers, cookies, names --------------------------------------------------------------------------------


@pytest.fixture
def public(settings: Settings, at_pass_time: None) -> Iterator[Flask]:
    """Behind https://reminders.clinic.example."""
    app = create_app(replace(settings, public_url="https://reminders.clinic.example"))
    with app.app_context():
        a_practice()
        give_password(app)
        yield app
        db.engine.dispose()


def test_the_cookie_is_for_this_browser_tab_and_site_only(app: Flask, riverside: None) -> None:
    kept = cookie(visitor(app).get("/sign-in"))
    assert kept.startswith("session=")
    assert "HttpOnly" in kept and "SameSite=Lax" in kept and "Path=/" in kept
    assert "Domain" not in kept and "Expires" not in kept and "Max-Age" not in kept


def test_over_https_the_cookie_is_secure_and_the_browser_is_told_to_stay(public: Flask) -> None:
    answer = visitor(public).get("/sign-in", base_url="https://reminders.clinic.example")
    kept = cookie(answer)
    assert kept.startswith("__Host-session=")
    assert "Secure" in kept and "HttpOnly" in kept and "SameSite=Lax" in kept and "Path=/" in kept
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")


def test_without_https_nothing_is_promised(app: Flask, riverside: None) -> None:
    assert "Strict-Transport-Security" not in visitor(app).get("/sign-in").headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:443", "reminders.clinic.example.evil.example", "1.2.3.4"]
)
def test_another_name_than_the_portals_is_refused(public: Flask, host: str) -> None:
    answer = visitor(public).get("/sign-in", headers={"Host": host})
    assert answer.status_code == 421
    assert "sign-in" not in answer.text.lower().replace("portal", "")


@pytest.mark.parametrize(
    "host", ["reminders.clinic.example", "REMINDERS.clinic.example", "reminders.clinic.example:443"]
)
def test_the_portals_own_name_is_answered(public: Flask, host: str) -> None:
    assert visitor(public).get("/sign-in", headers={"Host": host}).status_code == 200


def test_no_page_of_signing_in_holds_script_or_style(app: Flask, riverside: None) -> None:
    client = signed_in_by_hand(app, OWNER)
    paths = [PAGE, "/account/password", "/account/second-factor", "/account/recovery-codes", "/account/verify"]
    for path in [*paths, "/settings/staff", "/settings/staff/1"]:
        page = client.get(path)
        assert page.status_code == 200, path
        assert "<style" not in page.text and " style=" not in page.text, path
        assert not re.search(r"<script(?![^>]*\bsrc=)", page.text), path
        assert "fs-static" not in page.text and "/static/" in page.text, path
