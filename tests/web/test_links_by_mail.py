"""With a mail server set: invitations and new passwords go by mail, their links from the public address."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from portal import create_app
from portal.config import Settings
from portal.mail import MailFailed
from portal.store.database import db
from portal.web import hand_over
from portal.web import sign_in as web_sign_in
from tests.builders import Clinic
from tests.processes import wait_until
from tests.web.conftest import sign_in, submit, visitor
from tests.web.people import ANOTHER, PASSWORD, give_password, signed_in_by_hand

PUBLIC = "https://reminders.clinic.example"
OWNER = "owner@riverside.example"

Letters = list[tuple[str, str, str]]


@pytest.fixture
def app(settings: Settings, at_pass_time: None) -> Iterator[Flask]:
    app = create_app(replace(settings, smtp_url="smtp://127.0.0.1:1?from=a@b.example", public_url=PUBLIC))
    app.config.update(SESSION_COOKIE_SECURE=False, SESSION_COOKIE_NAME="session")  # the client speaks plain http
    with app.app_context():
        Clinic()
        give_password(app)
        yield app
        db.engine.dispose()


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> Letters:
    sent: Letters = []

    def send(url: str, to: str, subject: str, text: str) -> None:
        sent.append((to, subject, text))

    monkeypatch.setattr(hand_over, "send_mail", send)
    monkeypatch.setattr(web_sign_in, "send_mail", send)
    return sent


def path_in(text: str) -> str:
    found = re.search(rf"{PUBLIC}(/\S+)", text)
    assert found, text
    return found[1]


def test_an_invitation_goes_by_mail_and_is_not_shown(app: Flask, letters: Letters) -> None:
    owner = sign_in(visitor(app))
    fields = {"name": "Robin", "email": "robin@clinic.example", "role": "reception"}
    answer = submit(owner, "/settings/staff", **fields)
    assert answer.location == "/settings/staff"
    page = owner.get(answer.location).text
    assert "Robin has been sent a link" in page
    assert "/join/" not in page
    ((to, subject, text),) = letters
    assert (to, subject) == ("robin@clinic.example", "Your way in to the SMS reminders of Riverside")
    joined = submit(visitor(app), path_in(text), name="Robin", password=PASSWORD, again=PASSWORD)
    assert joined.status_code == 303


def test_where_mail_fails_the_inviter_gets_the_link(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> None:
        raise MailFailed("The mail server did not take it.")

    monkeypatch.setattr(hand_over, "send_mail", fail)
    owner = sign_in(visitor(app))
    fields = {"name": "Robin", "email": "robin@clinic.example", "role": "reception"}
    page = owner.get(submit(owner, "/settings/staff", **fields).location).text
    assert "The mail server did not take it. Hand the link over yourself." in page
    assert f"{PUBLIC}/join/" in page


def test_a_forgotten_password_is_replaced_by_a_link_that_works_once(app: Flask, letters: Letters) -> None:
    before = signed_in_by_hand(app, OWNER)
    assert "Forgot your password?" in visitor(app).get("/sign-in").text
    client = visitor(app)
    asked = submit(client, "/new-password", email=OWNER)
    wait_until(lambda: bool(letters))
    ((to, _, text),) = letters
    assert to == OWNER
    link = path_in(text)
    weak = submit(client, link, password="Password1234!", password_confirm="Password1234!")
    assert "easy to guess" in weak.text
    done = submit(client, link, password=ANOTHER, password_confirm=ANOTHER)
    assert done.status_code == 302
    assert before.get("/account").status_code == 303  # signed out everywhere
    signed_in_by_hand(app, OWNER, ANOTHER)
    assert visitor(app).get(link).status_code == 302  # used
    assert asked.status_code in (200, 302)


def test_a_forgotten_password_tells_nobody_who_has_an_account(app: Flask, letters: Letters) -> None:
    answers = []
    for email in (OWNER, "nobody@riverside.example"):
        client = visitor(app)
        answer = submit(client, "/new-password", email=email)
        page = client.get(answer.location) if answer.location else answer
        answers.append((answer.status_code, re.sub(r'(value=|"X-CSRFToken": )"[^"]*"', "", page.text)))
    assert answers[0] == answers[1]
    assert "a link to a new password is on its way" in answers[0][1]


def test_the_second_step_is_asked_for_after_a_new_password_too(app: Flask, letters: Letters) -> None:
    secret = app.extensions["security"].totp_factory.generate_totp_secret()
    give_password(app, tf_primary_method="authenticator", tf_totp_secret=secret)
    client = visitor(app)
    submit(client, "/new-password", email=OWNER)
    wait_until(lambda: bool(letters))
    submit(client, path_in(letters[0][2]), password=ANOTHER, password_confirm=ANOTHER)
    assert client.get("/account").status_code == 303
    answer = submit(visitor(app), "/sign-in", email=OWNER, password=ANOTHER)
    assert answer.location.startswith("/sign-in/code")
