"""The worklist: what did not reach a patient and no pass will try again, until all is dealt with."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import store
from portal.actions import worklist
from portal.actions.missed import record_missed_days
from portal.actions.remind import run_pass
from portal.core.reasons import Reason
from portal.core.reminders import Preference, Sending
from portal.core.roles import Role
from portal.core.states import Direction, Kind, Status
from portal.store.appointments import Appointment
from portal.store.messages import Message
from portal.store.worklist import DealtWith
from tests.builders import PASS_AT, Clinic

from .conftest import sign_in, visitor
from .test_today import DAY, FRAGMENT, HOUR, come_back, read, set_clock, text_of

AFTER_HOURS = PASS_AT + 7 * HOUR


@pytest.fixture(autouse=True)
def no_tokens(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False


def message_of(clinic: Clinic, appointment: Appointment) -> Message:
    with store.reading(clinic.id) as session:
        found = store.messages.find_reminder(session, appointment.id, appointment.revision)
        assert found
        return found


def becomes(clinic: Clinic, appointment: Appointment, status: Status, *reasons: Reason, **values: Any) -> Message:
    """As if that had become of its reminder."""
    message = message_of(clinic, appointment)
    charged = {} if status in (Status.UNDELIVERED, Status.UNKNOWN) else {"charged": 0}
    clinic.change(message, status=status, reasons=reasons, **charged | values)
    return message


def a_day_that_went_wrong() -> tuple[Clinic, dict[str, Message]]:
    """Each appointment's id says what became of it; the day's passes are over."""
    clinic = Clinic()
    booked = {
        name: clinic.book(name, starts=f"2031-05-08 {hour:02}:00", patient={"first_name": name.title()})
        for hour, name in enumerate(("undelivered", "doubt", "refused", "expired", "sent", "gone"), 9)
    }
    booked["missing"] = clinic.book("missing", patient={"first_name": "Missing", "mobile": None})
    booked["wish"] = clinic.book("wish", patient={"first_name": "Wish", "preference": Preference.NONE})
    for hour in range(6):
        run_pass(clinic.id, PASS_AT + hour * HOUR, PASS_AT + hour * HOUR)
    becomes(clinic, booked["undelivered"], Status.UNDELIVERED)
    becomes(clinic, booked["doubt"], Status.UNKNOWN)
    becomes(clinic, booked["refused"], Status.FAILED, Reason.PROVIDER_REFUSED)
    becomes(clinic, booked["expired"], Status.EXPIRED, Reason.DEADLINE_PASSED)
    becomes(clinic, booked["sent"], Status.SENT)
    becomes(clinic, booked["gone"], Status.UNDELIVERED)
    clinic.change(booked["gone"], cancelled_at=PASS_AT)
    return clinic, {name: message_of(clinic, one) for name, one in booked.items()}


def test_what_did_not_reach_a_patient_is_listed_soonest_first(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_day_that_went_wrong()
    set_clock(monkeypatch, AFTER_HOURS)
    page = read(client, "/today/worklist")
    names = [name for name in page.split() if name in {"Undelivered", "Doubt", "Refused", "Expired", "Missing"}]
    assert list(dict.fromkeys(names)) == ["Undelivered", "Missing", "Doubt", "Refused", "Expired"]
    for absent in ("Sent Nguyen", "Gone Nguyen", "Wish Nguyen"):
        assert absent not in page
    for count in ("1 not delivered", "1 in doubt", "1 failed", "1 too late", "1 not sent"):
        assert count in page
    assert "The provider refused it" in page
    assert "No mobile number on file" in page


def test_what_a_later_pass_tries_again_is_not_on_it(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic(credits=0)
    clinic.book("poor")
    refused = clinic.book("refused", patient={"first_name": "Refused"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    becomes(clinic, refused, Status.FAILED, Reason.PROVIDER_REFUSED)
    page = read(client, "/today/worklist")
    assert "Refused Nguyen" in page
    assert "Mia" not in page
    come_back(client, monkeypatch, PASS_AT + 6 * HOUR)
    assert "Mia" in read(client, "/today/worklist")


def test_a_day_that_no_pass_met_is_on_it(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic()
    clinic.change(clinic.business, watched_since=PASS_AT - 3 * DAY)
    clinic.book("1", starts="2031-05-08 15:00")
    record_missed_days(AFTER_HOURS, AFTER_HOURS)
    set_clock(monkeypatch, PASS_AT + DAY)
    page = read(client, "/today/worklist")
    assert "Mia Nguyen" in page
    assert "The reminders did not run that day" in page


def test_nothing_to_do_is_the_best_screen(client: FlaskClient) -> None:
    Clinic().book("1")
    assert "Nothing: whoever was to be texted lately has been." in read(client, "/today/worklist")


@pytest.mark.parametrize("sending", [Sending.PAUSED, Sending.REHEARSAL])
def test_while_nothing_is_sent_an_empty_list_says_no_more(client: FlaskClient, sending: Sending) -> None:
    Clinic(sending=sending).book("1")
    page = read(client, "/today/worklist")
    assert "has been" not in page
    assert "Nothing yet: nobody is texted until sending is on." in page


def test_dealt_with_says_by_whom_and_can_be_undone(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic, messages = a_day_that_went_wrong()
    set_clock(monkeypatch, AFTER_HOURS)
    doubt = messages["doubt"].id
    answer = client.post(f"/today/worklist/{doubt}/dealt-with")
    assert (answer.status_code, answer.location) == (303, "/today/worklist")
    page = read(client, "/today/worklist")
    assert "Marked as dealt with." in page
    assert "In doubt · dealt with by Dana Owner, today, 5pm" in page
    assert "1 in doubt" not in page
    client.post(f"/today/worklist/{doubt}/dealt-with")  # twice changes nothing
    client.post(f"/today/worklist/{doubt}/take-up-again")
    page = read(client, "/today/worklist")
    assert "It is back on the list." in page
    assert "1 in doubt" in page
    client.post(f"/today/worklist/{doubt}/take-up-again")
    with store.reading(clinic.id) as session:
        changes = store.changes.list_changes(session, store.changes.Subject.MESSAGE, doubt)
    assert [(change.by, change.before, change.after) for change in changes] == [
        ("Dana Owner", "dealt with", "to deal with"),
        ("Dana Owner", "to deal with", "dealt with"),
    ]


def test_a_morning_to_zero(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    _, messages = a_day_that_went_wrong()
    set_clock(monkeypatch, AFTER_HOURS)
    for name in ("undelivered", "doubt", "refused", "expired", "missing"):
        client.post(f"/today/worklist/{messages[name].id}/dealt-with")
    page = read(client, "/today/worklist")
    assert "All dealt with." in page
    assert "5 dealt with" in page


def test_what_becomes_of_it_later_is_news(client: FlaskClient) -> None:
    clinic = Clinic()
    appointment = clinic.book("1")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    message = becomes(clinic, appointment, Status.FAILED, Reason.PROVIDER_REFUSED, attempts=1)
    client.post(f"/today/worklist/{message.id}/dealt-with")
    assert "All dealt with." in read(client, "/today/worklist")
    becomes(clinic, appointment, Status.FAILED, Reason.PROVIDER_REFUSED, pass_at=PASS_AT + HOUR)
    assert "All dealt with." in read(client, "/today/worklist")
    becomes(clinic, appointment, Status.FAILED, Reason.PROVIDER_REFUSED, attempts=2)
    assert "1 failed" in read(client, "/today/worklist")
    client.post(f"/today/worklist/{message.id}/dealt-with")
    with store.reading(clinic.id) as session:
        assert session.query(DealtWith).count() == 1


def test_a_text_of_ones_own_that_failed_is_on_it(client: FlaskClient) -> None:
    clinic = Clinic()
    appointment = clinic.book("1")
    with store.transaction(clinic.id) as session:
        session.add(
            Message(
                direction=Direction.OUTBOUND,
                kind=Kind.MANUAL,
                business_id=clinic.business.id,
                patient_id=appointment.patient_id,
                status=Status.UNDELIVERED,
                reasons=(),
                to="+61491570006",
                body="Running late",
                segments=1,
                created_at=PASS_AT,
            )
        )
    assert "a text of your own" in read(client, "/today/worklist")


def test_another_practice_has_its_own_list(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    _, messages = a_day_that_went_wrong()
    Clinic("northgate")
    set_clock(monkeypatch, AFTER_HOURS)
    outsider = sign_in(visitor(app), practice_id="northgate")
    assert "Nguyen" not in read(outsider, "/today/worklist")
    for act in ("dealt-with", "take-up-again"):
        assert outsider.post(f"/today/worklist/{messages['doubt'].id}/{act}").status_code == 404
        assert outsider.post(f"/today/worklist/{10**18}/{act}").status_code == 404


def test_a_practitioner_reads_it_and_marks_nothing(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, messages = a_day_that_went_wrong()
    set_clock(monkeypatch, AFTER_HOURS)
    practitioner = sign_in(visitor(app), Role.PRACTITIONER)
    page = practitioner.get("/today/worklist").get_data(as_text=True)
    assert "Doubt" in page
    assert "dealt-with" not in page
    assert practitioner.post(f"/today/worklist/{messages['doubt'].id}/dealt-with").status_code == 403


def test_an_act_answers_with_the_list_alone(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    _, messages = a_day_that_went_wrong()
    set_clock(monkeypatch, AFTER_HOURS)
    path = f"/today/worklist/{messages['doubt'].id}/dealt-with"
    answer = client.post(path, headers=FRAGMENT, follow_redirects=True)
    assert "<html" not in answer.get_data(as_text=True)
    assert "Marked as dealt with." in text_of(answer)


def test_it_may_lead_back_inside_only(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("1")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    for to, where in (("/communications/1", "/communications/1"), ("//evil.example", "/today/worklist")):
        answer = client.post("/today/worklist/1/dealt-with", data={"next": to})
        assert answer.location == where


def test_the_rest_is_said_where_the_list_is_long(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic()
    for i in range(53):
        clinic.book(str(i), patient={"mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    set_clock(monkeypatch, PASS_AT + timedelta(hours=6))
    assert "And 3 more, shown once these are dealt with." in read(client, "/today/worklist")


def test_where_they_are_very_many_none_is_hidden_for_good(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worklist, "_MOST", 3)
    _, messages = a_day_that_went_wrong()
    set_clock(monkeypatch, AFTER_HOURS)
    names = ("doubt", "expired", "refused", "undelivered", "missing")
    for at, name in enumerate(names):
        page = read(client, "/today/worklist")
        assert name.title() in page
        assert ("Missing" in page) == (at >= 3)  # a decision waits behind what was tried
        client.post(f"/today/worklist/{messages[name].id}/dealt-with")
    assert "All dealt with." in read(client, "/today/worklist")
