"""The host's page for the sysadmin, and what a monitor asks, on both databases."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, select, text

from portal import clock, create_app, store
from portal.actions.account import account_refused
from portal.actions.health import look
from portal.actions.remind import run_pass
from portal.config import Settings
from portal.core.reminders import Sending
from portal.core.roles import Role
from portal.core.states import Status
from portal.core.watching import Database, Passes, QueueSeen, is_ready, readiness
from portal.embedded import redis_pid, stop_redis
from portal.queue import Queue, connect
from portal.sms.simulator import Simulator
from portal.store.database import db
from portal.store.messages import Message
from portal.store.passes import MissedDay
from tests.builders import PASS_AT, Clinic, a_practice, a_user
from tests.hosts import running

from .conftest import sign_in, visitor

SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
TOKEN = "monitor-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
HOSTILE = "<script>alert(1)</script>" + "x" * 5_000


@pytest.fixture
def settings(settings: Settings) -> Iterator[Settings]:
    yield replace(settings, metrics_token=TOKEN)
    stop_redis(settings)


@pytest.fixture
def app(app: Flask, at_pass_time: None) -> Iterator[Flask]:
    with store.everything(write=True) as session:
        session.add(a_user(Role.SYSADMIN, None))
    yield app
    close(app)


def close(app: Flask) -> None:
    app.redis_conn.close()
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """The sysadmin is signed in."""
    return sign_in(visitor(app), Role.SYSADMIN, None)


@pytest.fixture
def clinic() -> Clinic:
    """After its pass: Ada's reminder waits, Bea's is in doubt, and a day was missed."""
    clinic = Clinic(business={"watched_since": PASS_AT - timedelta(hours=1)})
    clinic.book("a", patient={"first_name": "Ada"})
    clinic.book("b", patient={"first_name": "Bea"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.transaction(clinic.id) as session:
        message = session.scalars(select(Message).order_by(Message.id.desc())).first()
        assert message
        message.status = Status.UNKNOWN
        missed = {"business_id": clinic.business.id, "local_date": PASS_AT.date(), "found_at": PASS_AT}
        session.add(MissedDay(**missed, appointments=3))
    return clinic


def said(page: str) -> str:
    """The page's words."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def figures(answer: Any) -> dict[str, float]:
    """Each figure by its name, with its label's value where it has one."""
    return {
        ".".join([sample.name, *sample.labels.values()]).removeprefix("portal_"): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


# --- the page -----------------------------------------------------------------------------------------------


def test_the_page_of_an_empty_host_says_what_to_do_next(client: FlaskClient) -> None:
    page = said(client.get("/host").text)
    assert "No pass yet. They come once a practice is imported ( portal import DIR )" in page
    assert "No practice yet: import one with portal import DIR" in page
    assert "The embedded Redis does not run, so no worker does." in page
    assert "things to mend" in page


def test_the_page_shows_what_matters_and_nothing_of_patients(
    client: FlaskClient, clinic: Clinic, settings: Settings
) -> None:
    a_practice("harbour", credits=0, name=HOSTILE, sending=Sending.REHEARSAL)
    with connect(settings) as connection:
        Queue(connection).enqueue_sends(clinic.id, [1, 2])
    with store.everything(write=True) as session:
        account_refused(session, "http-402", PASS_AT)
    answer = client.get("/host")
    page = said(answer.text)
    assert "Queue 1 job waiting, the oldest for" in page
    assert "Workers 0 workers alive" in page
    assert "Messages due 1 message, the oldest due for 5 minutes" in page
    assert "Messages in doubt 1 message" in page
    assert "refuses our account (http-402): all sending waits" in page
    assert "Last pass 5 minutes ago" in page
    assert "riverside 1 2031-05-07 3" in page  # the missed day
    assert "riverside today, 12am UTC 2 2 0 0" in page  # the pass
    # The practice: credits, last pass, last update, businesses, queued, in doubt.
    assert "Riverside riverside on 98 5 minutes ago never 1 1 1" in page
    assert "harbour rehearsal 0 none never 0 0 0" in page
    assert "none runs To mend it: portal up, or portal worker" in page
    for personal in ("Ada", "Bea", "Nguyen", "491570", "0491 570", "Hi "):
        assert personal not in answer.text, personal
    assert "<script>alert" not in answer.text
    assert "x" * 100 not in answer.text


def test_the_page_refreshes_itself_until_it_is_told_not_to(client: FlaskClient, clinic: Clinic) -> None:
    page = client.get("/host").text
    assert 'hx-get="/host" hx-trigger="every 30s" hx-swap="outerMorph"' in page
    assert '"X-Unattended": "1"' in page  # or a desk would never be locked
    assert "hx-trigger" not in client.get("/host?refresh=off").text
    fragment = client.get("/host", headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert fragment.lstrip().startswith('<div id="look"')
    assert "<html" not in fragment


def test_practices_come_a_page_at_a_time(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.web.host.PRACTICES", 2)
    for name in ("c", "a", "b"):
        a_practice(name)
    first = client.get("/host").text
    assert "More practices" in first
    assert 'href="/host?after=b"' in first
    second = client.get("/host?after=b").text
    assert "More practices" not in second
    assert said(second).count("on 100 none never 0 0 0") == 1
    assert "No practice after that one" in said(client.get("/host?after=zz").text)


def test_the_page_costs_the_same_whatever_there_is(client: FlaskClient, clinic: Clinic) -> None:
    def statements(path: str) -> int:
        seen: list[str] = []

        def note(*args: Any) -> None:
            seen.append(args[2])

        event.listen(db.engine, "before_cursor_execute", note)
        client.get(path)
        event.remove(db.engine, "before_cursor_execute", note)
        return len([one for one in seen if one.lstrip().startswith("SELECT")])

    statements("/host")  # what is looked at once
    before = statements("/host")
    for number in range(12):
        a_practice(f"p{number}")
        clinic.book(f"more{number}")
    run_pass(clinic.id, PASS_AT + timedelta(hours=1), PASS_AT + timedelta(hours=1))
    assert statements("/host") == before <= 8


def test_the_check_asks_the_provider_too(app: Flask, settings: Settings, clinic: Clinic) -> None:
    with Simulator() as provider:
        app = create_app(replace(settings, vonage_base_url=provider.url))
        page = said(sign_in(visitor(app), Role.SYSADMIN, None).get("/host/doctor").text)
        close(app)
    assert "the credentials work, 100.00 euros are left" in page
    assert "The same as portal doctor" in page


def test_nobody_else_sees_the_pages(app: Flask, clinic: Clinic) -> None:
    for path in ("/host", "/host/doctor", "/rq"):
        assert visitor(app).get(path).location.startswith("/sign-in")
        for role in set(Role) - {Role.SYSADMIN}:
            assert sign_in(visitor(app), role).get(path).status_code == 403, (role, path)


# --- what a monitor asks ------------------------------------------------------------------------------------


def test_everyone_learns_codes_and_no_more(app: Flask, clinic: Clinic) -> None:
    for visitor_ in (visitor(app), sign_in(visitor(app))):
        answer = visitor_.get("/readyz")
        assert answer.status_code == 503
        assert answer.json == {
            "ready": False,
            "database": "ok",
            "redis": "unavailable",
            "workers": "unknown",
            "last_pass": "ok",
            "alarms": [],
        }


def test_the_sysadmin_and_the_token_learn_the_detail(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    for detail in (
        client.get("/readyz").json["detail"],
        visitor(app).get("/readyz", headers=BEARER).json["detail"],
    ):
        assert detail["redis"] == "The embedded Redis does not run, so no worker does."
        assert (detail["messages_due"], detail["messages_in_doubt"], detail["missed_days"]) == (1, 1, 1)
        assert detail["oldest_due_seconds"] == pytest.approx(300, abs=60)
        assert detail["last_pass_at"] == "2031-05-07T00:00:00+00:00"
        assert {finding["level"] for finding in detail["findings"]} == {"ok", "note", "mend"}
        assert "Ada" not in str(detail)


@pytest.mark.parametrize(
    "authorization",
    ["Bearer wrong", "Bearer ", "Bearer", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff", ""],
)
@SQLITE
def test_without_the_token_there_are_no_figures(app: Flask, authorization: str) -> None:
    a_practice()
    headers = {"Authorization": authorization}
    for visitor_ in (visitor(app), sign_in(visitor(app)), sign_in(visitor(app), Role.RECEPTION)):
        answer = visitor_.get("/metrics", headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
        assert "portal_" not in answer.text
        assert "detail" not in visitor_.get("/readyz", headers=headers).json


@SQLITE
@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Bearer None"])
def test_where_no_token_is_set_none_opens(app: Flask, settings: Settings, given: str) -> None:
    app = create_app(replace(settings, metrics_token=None))
    assert visitor(app).get("/metrics", headers={"Authorization": given}).status_code == 401
    close(app)


def test_metrics_tell_what_is(app: Flask, client: FlaskClient, clinic: Clinic, settings: Settings) -> None:
    a_practice("harbour", credits=-3, sending=Sending.REHEARSAL)
    a_practice("spent", credits=0)
    with connect(settings) as connection:
        Queue(connection).enqueue_sends(clinic.id, [1, 2])
    with store.everything(write=True) as session:
        account_refused(session, "http-402", PASS_AT)
    by_token, by_role = visitor(app).get("/metrics", headers=BEARER), client.get("/metrics")
    assert by_token.content_type.startswith("text/plain; version=")
    told = figures(by_token)
    assert told.keys() == figures(by_role).keys()
    assert told["messages_oldest_due_seconds"] == pytest.approx(300, abs=60)
    assert told["queue_oldest_seconds"] < 60
    assert told["last_pass_timestamp_seconds"] == PASS_AT.timestamp()
    expected = {
        "ready": 0,
        "database_up": 1,
        "redis_up": 1,
        "can_send": 0,
        "queue_length": 1,
        "workers_alive": 0,
        "workers_lost": 0,
        "messages_due": 1,
        "messages_in_doubt": 1,
        "messages_recent.queued": 1,
        "messages_recent.unknown": 1,
        "messages_recent.delivered": 0,
        "account_refused": 1,
        "late_businesses": 0,
        "missed_days": 1,
        "missed_appointments": 3,
        "practices.on": 2,
        "practices.rehearsal": 1,
        "practices_without_credits": 1,
        "practices_below_zero": 1,
    }
    assert {name: told[name] for name in expected} == expected
    assert "riverside" not in by_token.text


@SQLITE
def test_two_looks_at_once_do_not_mix(app: Flask, clinic: Clinic) -> None:
    """Each has a registry of its own."""
    first = figures(visitor(app).get("/metrics", headers=BEARER))
    assert figures(visitor(app).get("/metrics", headers=BEARER)).keys() == first.keys()


@SQLITE
def test_only_recent_messages_are_counted(app: Flask, clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        for message in session.scalars(select(Message)):
            message.created_at = PASS_AT - timedelta(days=2)
    told = figures(visitor(app).get("/metrics", headers=BEARER))
    assert sum(value for name, value in told.items() if name.startswith("messages_recent")) == 0


def test_a_database_of_another_version_is_told_by_its_code(app: Flask, clinic: Clinic) -> None:
    def set_revision(revision: str) -> None:
        with db.engine.begin() as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))

    current = store.revision.find_revision()
    assert current
    set_revision("0000")
    try:
        answer = visitor(app).get("/readyz", headers=BEARER)
        assert (answer.status_code, answer.json["database"], answer.json["last_pass"]) == (
            503,
            "other-version",
            "unknown",
        )
        told = figures(visitor(app).get("/metrics", headers=BEARER))
        assert told["database_up"] == 0
        assert "messages_due" not in told  # left out, not nought
    finally:
        set_revision(current)


@SQLITE
def test_a_database_that_is_away_is_told_by_its_code(app: Flask, settings: Settings) -> None:
    app = create_app(replace(settings, database_url="postgresql+psycopg://portal:hidden@127.0.0.1:1/portal"))
    answer = visitor(app).get("/readyz", headers=BEARER)
    assert (answer.status_code, answer.json["database"]) == (503, "unavailable")
    assert "hidden" not in answer.text
    told = visitor(app).get("/metrics", headers=BEARER)
    assert (told.status_code, figures(told)["database_up"]) == (200, 0)
    assert visitor(app).get("/healthz").text == "ok\n"
    close(app)


def test_a_look_starts_no_redis(app: Flask, client: FlaskClient, settings: Settings) -> None:
    for path in ("/host", "/readyz", "/metrics", "/host/doctor", "/rq/"):
        client.get(path)
    assert redis_pid(settings) is None
    assert figures(client.get("/metrics"))["redis_up"] == 0


def test_a_host_with_workers_is_ready(settings: Settings) -> None:
    with running(settings) as host:
        clinic = Clinic(business={"watched_since": PASS_AT - timedelta(hours=1)})
        clinic.book("a")
        with store.everything(write=True) as session:
            session.add(a_user(Role.SYSADMIN, None))
        host.start_workers(2)
        host.pass_at(PASS_AT)
        client = sign_in(visitor(host.app), Role.SYSADMIN, None)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json["ready"]) == (200, True)
        told = figures(client.get("/metrics"))
        assert (told["workers_alive"], told["ready"], told["queue_length"], told["can_send"]) == (2, 1, 0, 1)
        assert told["messages_recent.sent"] == 1
        page = said(client.get("/host").text)
        assert "2 workers alive" in page
        assert len(re.findall(r"(?:idle|busy|started) \d+ seconds? ago", page)) == 2
        long_ago = (datetime.now(UTC) - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        host.stop_workers()
        for name in ("gone",):
            host.queue.connection.hset(
                f"rq:worker:{name}",
                mapping={"hostname": "h", "pid": 1, "state": "busy", "last_heartbeat": long_ago},
            )
            host.queue.connection.sadd("rq:workers:portal", f"rq:worker:{name}")
        page = said(client.get("/host").text)
        assert "0 workers alive, 1 lost without signing off" in page
        assert client.get("/readyz").json["workers"] == "none"
        close(host.app)


# --- the state of passes ------------------------------------------------------------------------------------


@SQLITE
def test_a_missed_hour_is_told_until_a_later_pass_met_the_business(app: Flask) -> None:
    clinic = Clinic(business={"watched_since": PASS_AT - timedelta(hours=2)})
    hour = timedelta(hours=1)
    assert look(PASS_AT).state_of_passes is Passes.NONE_YET
    late = look(PASS_AT + hour)
    assert (late.unhandled_hours, late.late_businesses, late.state_of_passes) == (1, 1, Passes.MISSED)
    run_pass(clinic.id, PASS_AT + hour, PASS_AT + hour)
    met = look(PASS_AT + hour + timedelta(minutes=1))
    assert (met.unhandled_hours, met.late_businesses, met.state_of_passes) == (1, 0, Passes.OK)
    assert look(PASS_AT + 2 * hour).state_of_passes is Passes.OK
    assert look(PASS_AT + 3 * hour).state_of_passes is Passes.MISSED
    assert look(PASS_AT + 5 * hour).unhandled_hours == 4


@pytest.mark.parametrize("zone", ["Australia/Adelaide", "Asia/Kathmandu", "America/New_York"])
@SQLITE
def test_hours_end_by_the_clock_of_the_business(app: Flask, zone: str) -> None:
    clinic = Clinic(business={"watched_since": PASS_AT - timedelta(days=2), "timezone": zone})
    now = PASS_AT + timedelta(minutes=20)
    assert look(now).unhandled_hours == 6
    for hours_ago in range(30):
        at = now - timedelta(hours=hours_ago)
        run_pass(clinic.id, at, at)
    assert (look(now).unhandled_hours, look(now).late_businesses) == (0, 0)


def test_readiness_is_by_codes() -> None:
    well = QueueSeen(workers=())
    assert readiness(Database.OK, well, Passes.OK)["workers"] == "none"
    assert not is_ready(readiness(Database.OK, well, Passes.OK))
    assert is_ready({"database": "ok", "redis": "ok", "workers": "ok", "last_pass": "none-yet"})
    assert not is_ready({"database": "ok", "redis": "ok", "workers": "ok", "last_pass": "missed"})
    away = readiness(Database.UNAVAILABLE, QueueSeen(problem="away"), Passes.UNKNOWN)
    assert (away["redis"], away["workers"]) == ("unavailable", "unknown")


def test_the_clock_is_the_portals(client: FlaskClient) -> None:
    assert f"{clock.now():%H:%M}" in said(client.get("/host").text)
