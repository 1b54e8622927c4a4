"""Whatever is wrong: words on standard error, the right exit status, and no traceback."""

import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from datetime import datetime, timedelta
from fcntl import ioctl

import pytest
from flask import Flask
from sqlalchemy import select, text

from portal import store
from portal.actions.account import account_refused
from portal.actions.due import watch_new_businesses
from portal.actions.remind import run_pass
from portal.config import CANNOT_SEND, Settings
from portal.core.states import Status
from portal.doctor import Level, examine
from portal.sms.simulator import Simulator
from portal.store.database import db
from portal.store.messages import Message
from portal.store.passes import MissedDay
from tests.builders import PASS_AT, Clinic, a_practice
from tests.cli.conftest import Portal
from tests.processes import ROOT, environment_of

SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@SQLITE
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_SEND_RATE", "fast"),
        ("PORTAL_DATABASE_URL", "mysql://root:secret@db/portal"),
        ("PORTAL_REDIS_URL", "localhost"),
        ("VONAGE_BASE_URL", "http://example.org"),
        ("VONAGE_API_KEY", "without-its-secret"),
        ("PORTAL_TEST_CLOCK", "tomorrow"),
    ],
)
def test_a_wrong_setting_stops_every_command_with_one_line(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    for command in (["log"], ["init"], ["doctor"], ["down"], ["enqueue"]):
        result = portal(*command)
        assert (result.code, result.out) == (1, "")
        assert result.err.count("\n") == 1
        assert name.removeprefix("VONAGE_API_KEY") in result.err or "VONAGE_API_SECRET" in result.err
        assert "secret@" not in result.err


@SQLITE
def test_a_database_that_does_not_answer_is_said_so(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_DATABASE_URL", "postgresql+psycopg://portal:hidden@127.0.0.1:1/portal")
    result = portal("log")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("The database cannot be used: ")
    assert result.err.count("\n") == 1
    assert "hidden" not in result.err


@SQLITE
def test_a_file_that_is_no_database_is_said_so(portal: Portal, settings: Settings) -> None:
    (settings.data_dir / "portal.db").write_bytes(b"something else" * 1000)
    result = portal("log")
    assert (result.code, result.out) == (1, "")
    assert result.err.count("\n") == 1


@SQLITE
def test_a_redis_that_does_not_answer_is_said_so(app: Flask, portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    a_practice()
    monkeypatch.setenv("PORTAL_REDIS_URL", "redis://127.0.0.1:1")
    result = portal("enqueue")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Redis: ")


def test_a_database_of_another_version_is_not_touched(app: Flask, portal: Portal) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'another'"))
    result = portal("log")
    assert (result.code, result.out) == (1, "")
    assert "run `portal init`" in result.err


def test_without_credentials_every_command_about_sending_says_so(
    app: Flask, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VONAGE_BASE_URL")
    clinic = Clinic()
    clinic.book("a")
    for command in (["log"], ["why", "a"], ["preview"], ["passes"], ["sending", "on"], ["enqueue", "--json"]):
        result = portal(*command)
        assert result.code == 0
        assert CANNOT_SEND in result.err
        assert CANNOT_SEND not in result.out


def test_a_refused_account_is_said_with_every_command_about_sending(app: Flask, portal: Portal) -> None:
    a_practice()
    with store.everything(write=True) as session:
        account_refused(session, "http-401", PASS_AT)
    assert "All sending waits: the provider refuses our account (http-401)." in portal("log").err


def test_another_time_is_refused_with_the_real_provider(
    app: Flask, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_practice()
    monkeypatch.delenv("VONAGE_BASE_URL")
    monkeypatch.setenv("VONAGE_API_KEY", "key")
    monkeypatch.setenv("VONAGE_API_SECRET", "secret")
    result = portal("enqueue", "--at", "2031-05-07T10:00:00+10:00")
    assert (result.code, result.out) == (1, "")
    assert "more than an hour off" in result.err
    assert portal("passes", "--json").out == ""


@SQLITE
def test_a_closed_pipe_ends_the_log_quietly(app: Flask, settings: Settings) -> None:
    clinic = Clinic()
    for number in range(300):
        clinic.book(f"{number}")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    command = f'"{sys.executable}" -m portal log --json | head -1'
    environment = environment_of(replace(settings, vonage_base_url="http://127.0.0.1:1"))
    done = subprocess.run(command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


@SQLITE
def test_a_narrow_terminal_is_served_in_colour_and_without_folded_tables(app: Flask, settings: Settings) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    shown = on_a_terminal(settings, 50, "log")
    assert "\x1b[" in shown
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert "patient: Mia Nguyen" in lines
    assert max(len(line) for line in lines) <= 50


def on_a_terminal(settings: Settings, width: int, *command: str) -> str:
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environment = environment_of(settings, TERM="xterm", VONAGE_BASE_URL="http://127.0.0.1:1")
    for name in ("COLUMNS", "NO_COLOR"):
        environment.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "portal", *command], cwd=ROOT, env=environment, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(ours)
    assert process.wait(180) == 0
    return shown.decode()


# --- the doctor ---------------------------------------------------------------------------------------------


def findings(settings: Settings, at: datetime = PASS_AT) -> dict[str, list[tuple[Level, str]]]:
    found: dict[str, list[tuple[Level, str]]] = {}
    for finding in examine(settings, at):
        found.setdefault(finding.about, []).append((finding.level, finding.says))
        assert bool(finding.mend) or finding.level is not Level.MEND
        assert "\n" not in finding.says + finding.mend
    return found


def test_the_doctor_names_what_is_to_mend_and_fails(app: Flask, portal: Portal, settings: Settings) -> None:
    a_practice(credits=0)
    settings.data_dir.chmod(0o700)
    result = portal("doctor")
    assert result.code == 1
    assert "✓ database" in result.out
    assert "✕ Redis" in result.out
    assert "riverside: 0 credits" in result.out
    as_json = portal("doctor", "--json")
    assert (as_json.code, as_json.json["ok"]) == (1, False)
    assert {finding["level"] for finding in as_json.json["findings"]} <= {"ok", "note", "mend"}


def test_the_doctor_finds_a_stand_in_provider_and_its_balance_well(app: Flask, settings: Settings) -> None:
    a_practice()
    with Simulator() as provider:
        found = findings(replace(settings, vonage_base_url=provider.url))
    assert found["provider"][0] == (Level.OK, f"{provider.url}: the credentials work, 100.00 euros are left")
    assert found["practices"] == [
        (Level.OK, "1 practice, 0 businesses"),
        (Level.NOTE, "riverside: no export was imported yet"),
    ]


def test_the_doctor_sees_doubt_missed_days_and_a_refused_account(app: Flask, settings: Settings) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Secret"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.transaction(clinic.id) as session:
        (message,) = session.scalars(select(Message)).all()
        message.status, message.claimed_at = Status.UNKNOWN, PASS_AT
        session.add(
            MissedDay(business_id=clinic.business.id, local_date=PASS_AT.date(), found_at=PASS_AT, appointments=3)
        )
    with store.everything(write=True) as session:
        account_refused(session, "http-402", PASS_AT)
    found = findings(replace(settings, vonage_base_url="http://127.0.0.1:1"))
    assert (Level.NOTE, "1 message in doubt: the provider may have taken it") in found["messages"]
    assert any("3 appointments unmet" in says for level, says in found["passes"] if level is Level.MEND)
    assert any("http-402" in says for level, says in found["provider"] if level is Level.MEND)
    assert "Secret" not in str(found)


def test_the_doctor_sees_hours_without_a_pass(app: Flask, settings: Settings) -> None:
    clinic = Clinic(business={"watched_since": PASS_AT.replace(day=5)})
    run_pass(clinic.id, PASS_AT.replace(day=6), PASS_AT.replace(day=6))
    found = findings(settings)
    assert any("5 reminder hours" in says for level, says in found["passes"] if level is Level.MEND)


def test_the_doctor_is_calm_while_no_pass_can_have_run(app: Flask, settings: Settings) -> None:
    clinic = Clinic(business={"watched_since": None})
    assert findings(settings)["passes"] == [(Level.NOTE, "none has run yet, nor has the schedule")]
    watch_new_businesses(PASS_AT - timedelta(minutes=40))
    for minutes, level, says in (
        (-40, Level.OK, "none was due yet; the first comes in 40 minutes"),
        (1, Level.NOTE, "none has run yet; the first is due now"),
        (60, Level.MEND, "in the last day 1 reminder hour of a business ended without a pass"),
        (20 * 60, Level.MEND, "in the last day 6 reminder hours of a business ended without a pass"),
    ):
        assert findings(settings, PASS_AT + timedelta(minutes=minutes))["passes"] == [(level, says)]
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert findings(settings)["passes"][0][1].startswith("the last ran ")


@SQLITE
def test_the_doctor_sees_what_others_can_read(app: Flask, settings: Settings) -> None:
    (settings.data_dir / "secret_key").write_text("x")
    (settings.data_dir / "secret_key").chmod(0o644)
    assert findings(settings)["data directory"][0][0] is Level.MEND


@SQLITE
def test_the_doctor_sees_a_disk_that_is_nearly_full(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.data_dir.chmod(0o700)
    assert findings(settings)["data directory"][0][0] is Level.OK
    usage = shutil.disk_usage(settings.data_dir)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3 * 2**20))
    [(level, says)] = findings(settings)["data directory"]
    assert level is Level.MEND
    assert "3 MB are left on its disk" in says


@SQLITE
def test_what_cannot_be_written_is_no_trouble_to_portal_down(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.embedded.os.access", lambda *_: False)
    monkeypatch.setattr("portal.embedded._starting", lambda _: pytest.fail("it would write there"))
    result = portal("down")
    assert (result.code, result.out) == (0, "Nothing was running here.\n")


@SQLITE
def test_the_doctor_goes_on_where_the_database_does_not_answer(settings: Settings) -> None:
    found = findings(replace(settings, database_url="postgresql+psycopg://portal@127.0.0.1:1/portal"))
    assert found["database"][0][0] is Level.MEND
    assert found["provider"][0][0] is Level.MEND
