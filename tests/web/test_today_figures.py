"""How long the credits last, and the last 30 days by outcome."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient

from portal import store
from portal.actions import ahead
from portal.actions.remind import run_pass
from portal.core.reminders import Preference, Sending
from portal.core.states import Direction, Kind, Status
from portal.store.messages import Message
from tests.builders import MOBILES, PASS_AT, Clinic, a_business, a_patient, an_appointment

from .test_today import DAY, HOUR, come_back, read, set_clock


def book_a_week(clinic: Clinic, per_day: int, days: int = 7) -> None:
    """So many appointments on each day from Thursday 8 May on, each of one part."""
    with store.transaction(clinic.id) as session:
        person = a_patient(session, "all", mobile=MOBILES[0])
        for day in range(days):
            for i in range(per_day):
                an_appointment(
                    session,
                    f"{day}.{i}",
                    business=clinic.business,
                    practitioner=clinic.practitioner,
                    type=clinic.type,
                    patient=person,
                    starts=f"2031-05-{8 + day:02} {9 + i % 8:02}:00",
                )


def test_enough_for_the_week_says_so(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic(credits=100)
    book_a_week(clinic, 3)
    set_clock(monkeypatch, PASS_AT - HOUR)
    page = read(client, "/today/credits")
    assert "100 credits left; the reminders of the next 7 days need 21." in page
    assert "Today, Wednesday 7 May 3 3" in page
    assert "Tuesday 13 May" in page
    assert "Wednesday 14 May" not in page


def test_it_says_when_they_run_out(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic(credits=7)
    book_a_week(clinic, 3)
    set_clock(monkeypatch, PASS_AT - HOUR)
    page = read(client, "/today/credits")
    assert "7 credits; the reminders until Friday 9 May need 9: you run out on Friday 9 May at 10am." in page


def test_where_none_is_left_no_reminder_goes(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    book_a_week(Clinic(credits=0), 3)
    set_clock(monkeypatch, PASS_AT - HOUR)
    page = read(client, "/today/credits")
    assert "No credit is left; today needs 3: no reminder goes before a top-up." in page


def test_it_says_so_of_the_next_day(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic(credits=2)
    book_a_week(clinic, 3)
    set_clock(monkeypatch, PASS_AT - HOUR)
    assert "2 credits; today needs 3: you run out today at 10am." in read(client, "/today/credits")


def test_only_what_would_go_is_counted(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic(credits=10)
    clinic.book("1")
    clinic.book("2", patient={"preference": Preference.NONE})
    clinic.book("3", patient={"mobile": None})
    clinic.book("4", cancelled_at=PASS_AT - DAY)
    clinic.book("long", patient={"first_name": "M" * 150})
    set_clock(monkeypatch, PASS_AT - HOUR)
    assert "10 credits left; the reminders of the next 7 days need 3." in read(client, "/today/credits")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    come_back(client, monkeypatch, PASS_AT + timedelta(minutes=10))
    assert "7 credits left. No reminder of the next 7 days needs any." in read(client, "/today/credits")


def test_while_rehearsing_it_is_what_sending_would_need(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    book_a_week(Clinic(credits=10, sending=Sending.REHEARSAL), 1)
    set_clock(monkeypatch, PASS_AT - HOUR)
    assert "need 7, once you send." in read(client, "/today/credits")


def test_more_than_can_be_counted_is_said(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "MOST", 10)
    book_a_week(Clinic(credits=100), 4)
    set_clock(monkeypatch, PASS_AT - HOUR)
    page = read(client, "/today/credits")
    assert "the reminders of the next 7 days need more than 10." in page
    assert "Friday 9 May more than 2 more than 2" in page


def test_zones_are_counted_by_their_own_days(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic(credits=1)
    with store.transaction(clinic.id) as session:
        perth = a_business(session, external_id="p", name="Perth Clinic", timezone="Australia/Perth")
    clinic.book("sydney", starts="2031-05-08 17:00")
    clinic.book("perth", business=perth, starts="2031-05-08 08:00")
    set_clock(monkeypatch, PASS_AT - HOUR)
    assert "you run out today at 10am Perth time" in read(client, "/today/credits")
    assert "1 credit; today needs 2" in read(client, "/today/credits")


# --- the chart --------------------------------------------------------------------------------------------


def a_message(clinic: Clinic, at: datetime, status: Status, **values: object) -> None:
    is_text = status not in (Status.NOT_SENT, Status.FAILED)
    defaults: dict[str, object] = {
        "direction": Direction.OUTBOUND,
        "kind": Kind.MANUAL,
        "status": status,
        "reasons": () if is_text else (store.messages.Reason.NO_CREDITS,),
        "to": "+61491570006",
        "body": "Hello",
        "segments": 1,
        "created_at": at,
    }
    with store.transaction(clinic.id) as session:
        session.add(Message(**defaults | values))


def test_each_message_is_counted_on_the_clinics_own_day(client: FlaskClient) -> None:
    clinic = Clinic()
    midnight = datetime(2031, 5, 6, 14, 0, tzinfo=UTC)  # where 7 May begins in Sydney
    a_message(clinic, midnight, Status.DELIVERED)
    a_message(clinic, midnight - timedelta(seconds=1), Status.DELIVERED)
    a_message(clinic, midnight - timedelta(seconds=2), Status.FAILED)
    a_message(clinic, midnight - 29 * DAY, Status.SENT)
    a_message(clinic, midnight - 29 * DAY - timedelta(seconds=1), Status.SENT)
    a_message(clinic, midnight, Status.RECEIVED, direction=Direction.INBOUND, kind=Kind.REPLY)
    other = Clinic("northgate")
    a_message(other, midnight, Status.UNDELIVERED)
    page = read(client, "/today/chart")
    assert "Delivered 2" in page
    assert "✓ Sent 1" in page
    assert "Failed or not delivered 1" in page
    assert "Today, Wednesday 7 May 1 0 0 0" in page
    assert "Yesterday, Tuesday 6 May 1 0 0 1" in page
    assert "Tuesday 8 April 0 1 0 0" in page


def test_the_drawing_has_a_block_for_each_outcome_and_no_inline_style(client: FlaskClient) -> None:
    clinic = Clinic()
    for _ in range(40):
        a_message(clinic, PASS_AT, Status.DELIVERED)
    a_message(clinic, PASS_AT, Status.UNDELIVERED)
    page = client.get("/today/chart").get_data(as_text=True)
    svg = page[page.index("<svg") : page.index("</svg>")]
    blocks = re.findall(r'<rect class="fill (\w+)" x="638" y="(\d+)" width="16" height="(\d+)"', svg)
    assert [colour for colour, *_ in blocks] == ["green", "red"]
    assert all(int(height) >= 2 for *_, height in blocks)
    assert all(int(y) >= 0 for _, y, _ in blocks)
    assert "style=" not in page


def test_a_practice_without_a_message_is_told_so(client: FlaskClient) -> None:
    Clinic()
    assert "No message yet. This fills with the first reminders." in read(client, "/today/chart")
