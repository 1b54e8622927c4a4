"""The alarm of the Today page, with the act that sends what was missed; appointments too late and of long ago."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import clock, store
from portal.actions.remind import run_pass
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.imports import ImportRun
from portal.store.messages import Message
from tests.builders import PASS_AT, Clinic

from .conftest import sign_in, visitor
from .test_today import DAY, HOUR, come_back, read, set_clock


@pytest.fixture(autouse=True)
def no_tokens(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False


def watched_clinic() -> Clinic:
    clinic = Clinic()
    clinic.change(clinic.business, watched_since=PASS_AT - 3 * DAY)
    return clinic


def test_an_hour_that_still_runs_is_waited_for(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic()
    clinic.change(clinic.business, watched_since=PASS_AT - HOUR)
    clinic.book("1")
    set_clock(monkeypatch, PASS_AT + timedelta(minutes=59))
    assert "did not run" not in read(client)


def test_no_pass_is_an_alarm_and_one_act_sends_what_it_missed(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueued = []
    app.extensions["portal.enqueue_sends"] = lambda practice, ids: enqueued.append((practice, list(ids)))
    clinic = watched_clinic()
    clinic.book("1")
    clinic.book("2", patient={"mobile": None})
    set_clock(monkeypatch, PASS_AT + timedelta(hours=1, minutes=10))
    page = read(client)
    assert "The reminders due today at 10am did not run." in page
    assert "Send what was missed" in page
    answer = client.post("/today/make-up")
    assert (answer.status_code, answer.location) == (303, "/")
    page = read(client)
    assert "Done. Of 2 appointments 1 will be texted now." in page
    assert "did not run" not in page
    with store.reading(clinic.id) as session:
        queued = [row.id for row in session.query(Message).filter_by(status=Status.QUEUED)]
        (change,) = store.changes.list_changes(session, store.changes.Subject.PRACTICE, None)
    assert enqueued == [(clinic.id, queued)]
    assert (change.by, change.field) == ("Dana Owner", "missed reminders")
    client.post("/today/make-up")
    assert "Nothing is missing any more" in read(client)
    assert len(enqueued) == 1


def test_after_the_days_hours_it_is_made_up_until_nine(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.extensions["portal.enqueue_sends"] = lambda practice, ids: None
    clinic = watched_clinic()
    clinic.book("1")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clinic.book("2")
    set_clock(monkeypatch, PASS_AT + 8 * HOUR)
    page = read(client)
    assert "The reminders due today at 11am did not run. The last ones ran today at 10am." in page
    client.post("/today/make-up")
    assert "Done. Of 1 appointment 1 will be texted now." in read(client)
    come_back(client, monkeypatch, PASS_AT + DAY + 12 * HOUR)
    page = read(client)
    assert "did not run" in page
    assert "Send what was missed" not in page


def test_a_day_without_any_pass_is_an_alarm_the_next_morning(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched_clinic().book("1")
    set_clock(monkeypatch, PASS_AT + DAY - 2 * HOUR)
    page = read(client)
    assert "The reminders due yesterday at 10am did not run. None went that day." in page
    assert "Booked too late for their reminders" in page
    assert "the reminders did not run" in page


def test_that_the_script_never_ran_is_an_alarm(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    Clinic(created_at=PASS_AT - DAY).book("1")
    set_clock(monkeypatch, PASS_AT + 2 * HOUR)
    page = read(client)
    assert "Reminders have never run here, and nothing goes by itself." in page
    assert "Send what was missed" in page


def test_only_who_may_send_makes_up(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    watched_clinic().book("1")
    set_clock(monkeypatch, PASS_AT + 2 * HOUR)
    practitioner = sign_in(visitor(app), Role.PRACTITIONER)
    assert "Send what was missed" not in read(practitioner)
    assert practitioner.post("/today/make-up").status_code == 403
    assert "Send what was missed" in read(sign_in(visitor(app), Role.RECEPTION))


# --- booked too late, appointments of long ago ------------------------------------------------------------


def test_booked_after_the_last_pass_is_listed_to_be_texted(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = Clinic()
    clinic.book("early")
    for hour in range(6):
        run_pass(clinic.id, PASS_AT + hour * HOUR, PASS_AT + hour * HOUR)
    late = PASS_AT + timedelta(hours=6, minutes=20)
    clinic.book("late", booked_at=late, patient={"first_name": "Late"})
    clinic.book("gone", booked_at=late, cancelled_at=late, patient={"first_name": "Gone"})
    set_clock(monkeypatch, late + timedelta(minutes=1))
    page = read(client)
    section = page[page.index("Booked too late for their reminders") :]
    assert "Late Nguyen tomorrow, 9:30am" in section
    assert "Text Late Nguyen now" in section
    assert "Mia" not in section and "Gone" not in section
    come_back(client, monkeypatch, PASS_AT + DAY)
    assert "Booked too late" not in read(client)


@pytest.mark.parametrize(
    ("hours", "says"),
    [(2, None), (25, None), (27, "Appointments were last updated yesterday at 7:05am, 27 hours ago.")],
)
def test_appointments_of_long_ago_are_a_warning(client: FlaskClient, hours: int, says: str | None) -> None:
    clinic = Clinic()
    at = clock.now() - hours * HOUR
    with store.transaction(clinic.id) as session:
        for days in (3, 0):
            session.add(ImportRun(at=at - days * DAY, counts={}, conflicts=[], seconds=1.0))
            session.flush()
    with store.transaction(Clinic("northgate").id) as session:
        session.add(ImportRun(at=clock.now(), counts={}, conflicts=[], seconds=1.0))
    page = read(client)
    assert ("Appointments were last updated" in page) is (says is not None)
    if says:
        assert says in page
    else:
        assert "Appointments were updated" in page


def test_appointments_that_were_never_imported_are_a_warning(client: FlaskClient) -> None:
    Clinic()
    assert "Appointments have never been imported." in read(client)
