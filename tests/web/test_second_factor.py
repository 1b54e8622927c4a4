"""The second step: set up, asked for, used once, and what helps when the phone is lost."""

import html
import re
import time
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import clock, store
from portal.store.changes import Subject
from tests.builders import a_practice
from tests.web.conftest import form_token, submit, visitor
from tests.web.people import PASSWORD, give_password, look_up, signed_in_by_hand

OWNER = "owner@riverside.example"
SETUP = "/account/second-factor"


@pytest.fixture
def client(app: Flask, at_pass_time: None) -> FlaskClient:
    a_practice()
    give_password(app)
    return signed_in_by_hand(app, OWNER)


def code(app: Flask, secret: str, steps_from_now: int = 0) -> str:
    """What the phone shows, in that many half minutes from now."""
    factory = app.extensions["security"].totp_factory._totp
    return factory.from_source(secret).generate(time=time.time() + 30 * steps_from_now).token


def set_up(app: Flask, client: FlaskClient) -> str:
    """Scan the picture, type the code; returns the secret."""
    scanned = submit(client, SETUP, setup="authenticator")
    key = re.search(r'<code class="key">([^<]+)</code>', scanned.text)
    action = re.search(r'<form action="(/account/second-factor/[^"]+)"', scanned.text)
    assert key and action
    secret = app.extensions["security"].totp_factory._totp(key=key[1].replace("-", ""), format="base32").to_json()
    fields = {"csrf_token": form_token(scanned.text), "code": code(app, secret, -1)}
    answer = client.post(html.unescape(action[1]), data=fields)
    assert (answer.status_code, answer.location) == (302, "/account"), answer.text
    return secret


def after_the_password(app: Flask) -> FlaskClient:
    client = visitor(app)
    answer = submit(client, "/sign-in", email=OWNER, password=PASSWORD)
    assert answer.location.startswith("/sign-in/code")
    return client


def test_the_picture_is_in_the_page_itself_and_the_key_beside_it(client: FlaskClient) -> None:
    page = submit(client, SETUP, setup="authenticator")
    picture = re.search(r'<img class="qr" src="(data:image/svg\+xml;base64,[^"]+)"[^>]*alt="[^"]{20,}"', page.text)
    assert picture
    assert page.headers["Cache-Control"] == "no-store"
    assert 'autocomplete="one-time-code"' in page.text


def test_after_a_slip_in_the_first_code_the_same_picture_is_there(app: Flask, client: FlaskClient) -> None:
    picture, key = re.compile(r'src="(data:[^"]+)"'), re.compile(r'class="key">([^<]+)<')
    scanned = submit(client, SETUP, setup="authenticator")
    action = re.search(r'<form action="(/account/second-factor/[^"]+)"', scanned.text)
    assert action
    fields = {"csrf_token": form_token(scanned.text), "code": "000000"}
    again = client.post(html.unescape(action[1]), data=fields)
    assert again.status_code == 422
    assert picture.findall(again.text) == picture.findall(scanned.text)
    assert key.findall(again.text) == key.findall(scanned.text)
    assert "was used before" in again.text and 'aria-invalid="true"' in again.text
    assert look_up(OWNER).tf_primary_method is None
    secret = app.extensions["security"].totp_factory._totp(
        key=key.findall(scanned.text)[0].replace("-", ""), format="base32"
    )
    right = client.post(html.unescape(action[1]), data=fields | {"code": code(app, secret.to_json())})
    assert right.location == "/account"
    another = client.post("/account/second-factor/of-another", data=fields)
    assert another.status_code == 302


def test_once_set_up_the_password_alone_does_not_do(app: Flask, client: FlaskClient) -> None:
    secret = set_up(app, client)
    assert "On: you are asked for a code" in client.get("/account").text
    kept = look_up(OWNER).tf_totp_secret
    assert kept and "enckey" in kept  # encrypted
    another = after_the_password(app)
    assert another.get("/account").status_code == 303
    assert another.get("/communications").status_code == 303
    answer = submit(another, "/sign-in/code", code=code(app, secret))
    assert (answer.status_code, answer.location) == (302, "/")
    assert another.get("/account").status_code == 200


def test_the_wanted_page_is_kept_over_the_second_step(app: Flask, client: FlaskClient) -> None:
    secret = set_up(app, client)
    another = visitor(app)
    answer = submit(another, "/sign-in?next=/account?a%3Db", email=OWNER, password=PASSWORD)
    action = re.search(r'<form action="(/sign-in/code[^"]*)"', another.get(answer.location).text)
    assert action
    answer = submit(another, html.unescape(action[1]), code=code(app, secret))
    assert answer.location == "/account?a=b"


@pytest.mark.parametrize("typed", ["000000", "", "abcdef", "1" * 5000, "<script>"])
def test_another_code_is_refused(app: Flask, client: FlaskClient, typed: str) -> None:
    set_up(app, client)
    another = after_the_password(app)
    answer = submit(another, "/sign-in/code", code=typed)
    assert answer.status_code == 200
    assert 'aria-invalid="true"' in answer.text
    assert another.get("/account").status_code == 303


def test_a_code_is_good_for_one_sign_in(app: Flask, client: FlaskClient) -> None:
    secret = set_up(app, client)
    seen = code(app, secret)
    assert submit(after_the_password(app), "/sign-in/code", code=seen).status_code == 302
    again = submit(after_the_password(app), "/sign-in/code", code=seen)
    assert "was used before" in html.unescape(again.text)


def test_an_old_code_is_too_old(app: Flask, client: FlaskClient) -> None:
    secret = set_up(app, client)
    answer = submit(after_the_password(app), "/sign-in/code", code=code(app, secret, -4))
    assert answer.status_code == 200


def test_the_second_step_cannot_be_had_without_the_first(app: Flask, client: FlaskClient) -> None:
    set_up(app, client)
    for path in ("/sign-in/code", "/sign-in/recovery-code", SETUP):
        answer = visitor(app).get(path)
        assert (answer.status_code, answer.location) == (302, "/sign-in"), path


def make_codes(client: FlaskClient) -> list[str]:
    page = submit(client, "/account/recovery-codes", generate_new_codes="yes")
    return re.findall(r"<li><code>([^<]+)</code></li>", page.text)


def test_a_recovery_code_stands_in_for_the_phone_once(app: Flask, client: FlaskClient) -> None:
    set_up(app, client)
    codes = make_codes(client)
    assert len(set(codes)) == 8
    kept = look_up(OWNER).mf_recovery_codes
    assert kept and not set(kept) & set(codes)  # encrypted
    answer = submit(after_the_password(app), "/sign-in/recovery-code", code=codes[3])
    assert (answer.status_code, answer.location) == (302, "/")
    assert "7 recovery codes left" in client.get("/account").text
    again = submit(after_the_password(app), "/sign-in/recovery-code", code=codes[3])
    assert "not one of yours" in again.text
    assert "not one of yours" in submit(after_the_password(app), "/sign-in/recovery-code", code="x" * 500).text


def test_recovery_codes_are_shown_only_when_asked_for(app: Flask, client: FlaskClient) -> None:
    codes = make_codes(client)
    assert codes[0] not in client.get("/account/recovery-codes").text
    assert codes[0] in client.get("/account/recovery-codes?show_codes=yes").text
    assert not set(codes) & set(make_codes(client))  # new ones end the old


def test_switching_it_off_is_noted_and_asks_no_more(app: Flask, client: FlaskClient) -> None:
    set_up(app, client)
    assert submit(client, SETUP, setup="disable").location == "/account"
    signed_in_by_hand(app, OWNER)
    owner_id = look_up(OWNER).id
    with store.reading("riverside") as session:
        changes = store.changes.list_changes(session, Subject.STAFF, owner_id)
    assert [(change.field, change.before, change.after) for change in changes] == [
        ("second factor", "on", "off"),
        ("second factor", "off", "on"),
    ]


@pytest.mark.parametrize("path", [SETUP, "/account/recovery-codes", "/settings/staff"])
def test_what_opens_the_account_asks_for_the_password_again_after_a_while(
    app: Flask, client: FlaskClient, path: str
) -> None:
    make_old(client)
    answer: Any = client.get(path)
    assert answer.status_code in (302, 303)
    assert answer.location == f"/account/verify?next={path}".replace("next=/", "next=/")
    assert client.get("/account").status_code == 200
    page = client.get(answer.location)
    assert "asks for your password once more" in page.text
    wrong = client.post(answer.location, data={"csrf_token": form_token(page.text), "password": "wrong"})
    assert "not your password" in wrong.text
    assert client.get(path).status_code in (302, 303)
    right = client.post(answer.location, data={"csrf_token": form_token(page.text), "password": PASSWORD})
    assert right.location == path
    assert client.get(path).status_code == 200


def make_old(client: FlaskClient) -> None:
    """As if the password had been typed an hour ago."""
    with client.session_transaction() as session:
        session["fs_paa"] = time.time() - 3600
        session.pop("fs_gexp", None)
        session["seen_at"] = clock.now().timestamp()


def test_a_form_of_a_sensitive_page_changes_nothing_without_a_fresh_password(client: FlaskClient) -> None:
    token = form_token(client.get("/settings/staff").text)
    make_old(client)
    answer = client.post(
        "/settings/staff/1/off", data={"csrf_token": token}, headers={"Referer": "http://localhost/settings/staff/1"}
    )
    assert (answer.status_code, answer.location) == (303, "/account/verify?next=/settings/staff/1")
    assert look_up(OWNER).active
