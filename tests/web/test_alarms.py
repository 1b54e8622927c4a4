"""Alarms where people look: Today, the host's page, `/readyz`; and what a practice and a person set about them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import create_app, store
from portal.actions.alarms import keep_watch
from portal.config import ConfigError, Settings, load_settings
from portal.core.alarms import OVER_AFTER
from portal.core.roles import Role
from portal.core.watching import QueueSeen
from portal.doctor import examine_host
from portal.store.changes import Change
from tests.builders import PASS_AT, Clinic, a_user

from .conftest import sign_in, visitor

HX = {"HX-Request": "true"}
AWAY = QueueSeen(problem="Redis does not answer")
TOKEN = "a-long-random-word"


@pytest.fixture(autouse=True)
def _without_tokens(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False


def a_poor_clinic(id: str = "riverside") -> Clinic:
    """Whose credits do not last."""
    clinic = Clinic(id, credits=0)
    clinic.book("a", starts="2031-05-09 09:30")
    return clinic


def changes() -> list[tuple[str, str, str]]:
    with store.reading("riverside") as session:
        return [(one.field, one.before, one.after) for one in session.scalars(select(Change).order_by(Change.id))]


def test_today_says_what_stands_and_leads_to_what_mends_it(client: FlaskClient, app: Flask) -> None:
    a_poor_clinic()
    keep_watch(AWAY, True, PASS_AT + timedelta(hours=7))
    page = client.get("/").text
    assert "Credits run out with the next reminders." in page
    assert '<a class="more" href="/settings/sms">Top up</a>' in page
    assert "<strong>No text goes out at the moment.</strong>" in page
    assert "A part of the portal has stopped." in page
    assert "Your administrator sees this too, and mends it." in page
    reception = sign_in(visitor(app), Role.RECEPTION).get("/").text
    assert "Credits run out with the next reminders." in reception
    assert '<a class="more" href="/settings/sms">Top up</a>' not in reception
    assert "The practice's owner can top up." in reception
    keep_watch(QueueSeen(), True, PASS_AT + timedelta(hours=7) + OVER_AFTER)
    assert "A part of the portal has stopped." not in client.get("/").text


def test_an_alarm_of_the_credits_says_the_new_balance_at_once_or_is_gone(client: FlaskClient) -> None:
    a_poor_clinic()
    keep_watch(QueueSeen(), True, PASS_AT + timedelta(hours=7))
    assert "Credits run out with the next reminders." in client.get("/").text
    client.post("/settings/sms/credits", data={"amount": "5"})
    assert "Credits run out" not in client.get("/").text


def test_where_only_the_sysadmin_grants_an_owner_reads_whom_to_ask(app: Flask, client: FlaskClient) -> None:
    a_poor_clinic()
    Clinic("northgate")
    keep_watch(QueueSeen(), True, PASS_AT + timedelta(hours=7))
    for path in ("/", "/today/credits"):
        page = client.get(path).text
        assert "Credits are added by the system administrator: ask them for a top-up." in page, path
        assert ">Top up<" not in page, path


def test_another_practices_alarm_is_not_shown(client: FlaskClient, app: Flask) -> None:
    Clinic("riverside")
    a_poor_clinic("northgate")
    keep_watch(QueueSeen(), True, PASS_AT + timedelta(hours=7))
    assert "Credits run out" not in client.get("/").text
    assert "Credits run out" in sign_in(visitor(app), practice_id="northgate").get("/").text


def test_the_sysadmin_sees_those_of_the_host_and_of_every_practice(app: Flask, at_pass_time: None) -> None:
    a_poor_clinic("northgate")
    with store.everything(write=True) as session:
        session.add(a_user(Role.SYSADMIN, None))
    keep_watch(AWAY, True, PASS_AT)
    page = sign_in(visitor(app), Role.SYSADMIN, None).get("/host").text
    assert "Northgate" in page and "Credits run out with the next reminders" in page
    assert "The host" in page and "Nothing runs: Redis is away" in page


def test_a_monitor_learns_the_codes_and_with_the_token_the_detail(
    app: Flask, settings: Settings, at_pass_time: None
) -> None:
    a_poor_clinic()
    keep_watch(AWAY, True, PASS_AT)
    app.extensions["portal.settings"] = replace(settings, metrics_token=TOKEN)
    answer = visitor(app).get("/readyz").json
    assert answer["alarms"] == ["credits-run-out", "redis-away"]
    assert "detail" not in answer
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    alarms = visitor(app).get("/readyz", headers=bearer).json["detail"]["alarms"]
    assert [(one["code"], one["practice"]) for one in alarms] == [
        ("redis-away", None),
        ("credits-run-out", "riverside"),
    ]
    assert alarms[1]["says"].startswith("Credits run out with the next reminders. 0 left")
    assert 'portal_alarms{code="redis-away"} 1.0' in visitor(app).get("/metrics", headers=bearer).text


# --- what is set ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [HX, {}], ids=["scripts", "no scripts"])
def test_the_hours_of_texts_by_staff_are_set_and_noted(client: FlaskClient, headers: dict[str, str]) -> None:
    Clinic()
    assert "between <strong>8am</strong> and <strong>9pm</strong>" in client.get("/settings/sms").text
    answer = client.post("/settings/sms/hours", data={"begin": "9", "end": "18", "row": "hours"}, headers=headers)
    assert answer.status_code == (200 if headers else 303)
    assert "between <strong>9am</strong> and <strong>6pm</strong>" in client.get("/settings/sms").text
    client.post("/settings/sms/hours", data={"begin": "0", "end": "24", "row": "hours"}, headers=headers)
    assert changes() == [
        ("text_hours", "8am to 9pm", "9am to 6pm"),
        ("text_hours", "9am to 6pm", "midnight to midnight"),
    ]


@pytest.mark.parametrize(("begin", "end"), [("13", "21"), ("8", "12"), ("", ""), ("-1", "21"), ("8", "25")])
def test_hours_that_leave_no_day_are_refused(client: FlaskClient, begin: str, end: str) -> None:
    Clinic()
    answer = client.post("/settings/sms/hours", data={"begin": begin, "end": end, "row": "hours"})
    assert answer.status_code == 422
    assert "Choose a first hour until noon, and a last one after it." in answer.text
    assert changes() == []


def test_the_share_that_is_an_alarm_is_set_and_noted(client: FlaskClient) -> None:
    Clinic()
    for share in ("0", "101", "", "9999", "-5", "5.5"):
        answer = client.post("/settings/sms/alarm-share", data={"share": share, "row": "alarm-share"})
        assert (answer.status_code, "Choose a whole number from 1 to 100." in answer.text) == (422, True), share
    client.post("/settings/sms/alarm-share", data={"share": "5", "row": "alarm-share"})
    assert changes() == [("alarm_share", "20%", "5%")]


def test_everybody_chooses_the_days_line_for_themselves(client: FlaskClient, app: Flask) -> None:
    Clinic()
    assert "The portal cannot send mail yet" in client.get("/account").text
    for fields, wanted, names in (
        ({"wanted": "yes", "names": "yes"}, True, True),
        ({"wanted": "yes"}, True, False),
        ({"names": "yes"}, False, False),
    ):
        assert client.post("/account/daily-line", data=fields).status_code == 303
        with store.everything() as session:
            user = store.staff.find_by(session, "email", "owner@riverside.example")
            other = store.staff.find_by(session, "email", "reception@riverside.example")
            assert user and other
            assert (user.wants_daily_line, user.wants_names) == (wanted, names)
            assert not other.wants_daily_line
    assert changes() == [
        ("the day's line by mail", "off", "with names"),
        ("the day's line by mail", "with names", "in numbers"),
        ("the day's line by mail", "in numbers", "off"),
    ]


def test_addresses_that_are_none_stop_the_program_and_are_not_repeated() -> None:
    assert load_settings({"PORTAL_ALARM_URLS": " json://a/b  mailtos://u:p@c.example "}).alarm_urls == (
        "json://a/b",
        "mailtos://u:p@c.example",
    )
    with pytest.raises(ConfigError, match="PORTAL_ALARM_URLS: number 2 is not an address") as refused:
        load_settings({"PORTAL_ALARM_URLS": "json://a/b secret-word"})
    assert "secret-word" not in str(refused.value)


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        ((), "PORTAL_ALARM_URLS is not set"),
        (("json://127.0.0.1:9/a", "nonsense://hidden"), "Apprise cannot use number 2"),
        (("json://127.0.0.1:9/a",), "1 service of Apprise will be told"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_doctor_looks_at_them(settings: Settings, urls: tuple[str, ...], says: str) -> None:
    settings = replace(settings, alarm_urls=urls)
    app = create_app(settings)
    with app.app_context():
        found = [one for one in examine_host(settings, QueueSeen(), PASS_AT) if one.about == "alarms"]
        store.database.db.engine.dispose()
    assert [says in one.says for one in found] == [True]
    assert "hidden" not in str(found)
