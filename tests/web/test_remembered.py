"""What takes long to work out is worked out once, and anew as soon as anything was done."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock, store
from portal.actions import credits
from portal.actions.businesses import switch_business
from portal.actions.remind import run_pass
from portal.actions.who import COMMAND_LINE
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.imports import ImportRun
from portal.store.messages import Message, MessageEvent
from portal.store.patients import OptOut, OptOutSource
from portal.web import remembered
from tests.builders import MOBILES, PASS_AT, Clinic, a_patient, an_appointment

from .conftest import sign_in, visitor
from .test_today import come_back, counted_queries, read, set_clock

CREDITS = "/today/credits"


def queries(client: FlaskClient, path: str) -> int:
    with counted_queries() as seen:
        assert client.get(path).status_code == 200
    return len(seen)


@pytest.fixture
def clinic(monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """With one reminder to come, of one part."""
    clinic = Clinic(credits=100)
    book(clinic, 0)
    set_clock(monkeypatch, PASS_AT - timedelta(hours=1))
    return clinic


def book(clinic: Clinic, number: int) -> None:
    with store.transaction(clinic.id) as session:
        person = a_patient(session, f"p{number}", mobile=MOBILES[number])
        whose = {"practitioner": clinic.practitioner, "type": clinic.type, "patient": person}
        starts = f"2031-05-08 {9 + number:02}:00"
        an_appointment(session, f"a{number}", business=clinic.business, starts=starts, **whose)


def leave(clinic: Clinic, row: ImportRun | OptOut) -> None:
    with store.transaction(clinic.id) as session:
        session.add(row)
        session.flush()


@pytest.mark.parametrize("path", ["/", CREDITS, "/going-live", "/going-live/days", "/settings/sms"])
def test_the_second_look_asks_less(client: FlaskClient, clinic: Clinic, path: str) -> None:
    first = queries(client, path)
    assert queries(client, path) <= first - 2


def test_what_staff_did_is_seen_at_once(client: FlaskClient, clinic: Clinic) -> None:
    assert "100 credits left; the reminders of the next 7 days need 1." in read(client, CREDITS)
    credits.top_up(clinic.id, 50, "INV-7", clock.now(), COMMAND_LINE)
    assert "150 credits left" in read(client, CREDITS)
    switch_business(clinic.id, clinic.business.id, False, confirmed=True, who=COMMAND_LINE, now=clock.now())
    assert "No reminder of the next 7 days needs any." in read(client, CREDITS)


def test_so_is_what_a_pass_did(client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    read(client, CREDITS)
    come_back(client, monkeypatch, PASS_AT)
    read(client, CREDITS)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert "99 credits left. No reminder of the next 7 days needs any." in read(client, CREDITS)


def test_so_is_what_became_of_a_text(client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    come_back(client, monkeypatch, PASS_AT)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert "is being texted" in read(client)
    with store.transaction(clinic.id) as session:
        message = session.scalars(select(Message)).one()
        message.status = Status.SENT
        session.add(MessageEvent(message_id=message.id, at=PASS_AT, event=Status.SENT))
        session.flush()
    assert "was texted" in read(client)


def test_so_is_an_import(client: FlaskClient, clinic: Clinic) -> None:
    read(client, CREDITS)
    book(clinic, 1)
    leave(clinic, ImportRun(at=clock.now(), counts={}, conflicts=[], seconds=1.0))
    assert "the reminders of the next 7 days need 2." in read(client, CREDITS)


def test_so_is_a_stop(client: FlaskClient, clinic: Clinic) -> None:
    read(client, CREDITS)
    leave(clinic, OptOut(e164="+61491570006", source=OptOutSource.REPLY, recorded_at=clock.now()))
    assert "No reminder of the next 7 days needs any." in read(client, CREDITS)


def test_what_leaves_no_row_is_seen_in_five_minutes(
    client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(client, CREDITS)
    book(clinic, 1)
    assert "need 1." in read(client, CREDITS)
    moment = remembered.time.monotonic()
    monkeypatch.setattr(remembered.time, "monotonic", lambda: moment + remembered.KEPT_FOR)
    assert "need 2." in read(client, CREDITS)


def test_and_when_a_pass_may_have_fallen_due(
    client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(client, CREDITS)
    book(clinic, 1)
    come_back(client, monkeypatch, clock.now() + timedelta(minutes=15))
    assert "need 2." in read(client, CREDITS)


def test_nothing_of_another_practice_is_seen(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    read(client, CREDITS)
    Clinic("elsewhere", credits=100)
    theirs = read(sign_in(visitor(app), Role.OWNER, "elsewhere"), CREDITS)
    assert "No reminder of the next 7 days needs any." in theirs


def test_not_all_is_kept(client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_MOST", 1)
    read(client, CREDITS)
    kept = queries(client, CREDITS)
    read(client, "/settings/sms")
    assert queries(client, CREDITS) > kept
