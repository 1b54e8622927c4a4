"""Replies by mail: nothing of the patient unless the practice asked for that; the job that sends them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from portal import jobs, store
from portal.actions.forward import write_letter
from portal.actions.replies import mark_answered
from portal.actions.who import Who
from portal.store.replies import ReplySettings
from tests.actions.replies import LATER, SENDER, comes_in, message, reply_of
from tests.builders import Clinic
from tests.test_mail import Server, address, server

__all__ = ["server"]  # a fixture


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    clinic = Clinic(sender=SENDER)
    clinic.book("a")
    return clinic


def forwarded(in_full: bool) -> None:
    with store.transaction("riverside") as session:
        session.add(ReplySettings(forward_to="desk@riverside.example", in_full=in_full))


def test_without_detail_a_letter_only_says_that_a_reply_has_come(clinic: Clinic) -> None:
    forwarded(in_full=False)
    letter = write_letter(clinic.id, comes_in("My knee hurts").message_id, "https://sms.example/")
    assert letter and letter.to == "desk@riverside.example"
    assert letter.text == "A reply to a text of Riverside has come.\n\nRead it in https://sms.example/replies\n"


def test_with_detail_a_letter_holds_name_number_and_text(clinic: Clinic) -> None:
    forwarded(in_full=True)
    letter = write_letter(clinic.id, comes_in("My knee hurts\n😀").message_id, None)
    assert letter and letter.subject == "A reply has come"
    assert letter.text.startswith("Mia Nguyen (0491 570 006) wrote at 10:30am:\n\nMy knee hurts\n😀\n\n")
    stranger = write_letter(clinic.id, comes_in("Hello?", number="+61491570110").message_id, None)
    assert stranger and stranger.text.startswith("0491 570 110 wrote")


def test_no_letter_is_written_where_the_practice_wants_none(clinic: Clinic) -> None:
    taken = comes_in("My knee hurts")
    assert not taken.is_forwarded
    assert write_letter(clinic.id, taken.message_id, None) is None
    forwarded(in_full=True)
    assert write_letter(clinic.id, 999, None) is None


def test_a_job_mails_the_reply(clinic: Clinic, app: Flask, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    forwarded(in_full=False)
    taken = comes_in("My knee hurts")
    settings = replace(app.extensions["portal.settings"], smtp_url=address(server))
    monkeypatch.setitem(app.extensions, "portal.settings", settings)
    monkeypatch.setattr(jobs, "worker_app", lambda: app)
    jobs.forward_reply(clinic.id, taken.message_id)
    said = "\n".join(server.said)
    assert "rcpt TO:<desk@riverside.example>" in said and "knee" not in said


def test_a_mail_server_that_is_away_fails_no_job(
    clinic: Clinic, app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    forwarded(in_full=True)
    taken = comes_in("My knee hurts")
    settings = replace(app.extensions["portal.settings"], smtp_url="smtp://127.0.0.1:9/?from=a@b.example")
    monkeypatch.setitem(app.extensions, "portal.settings", settings)
    monkeypatch.setattr(jobs, "worker_app", lambda: app)
    jobs.forward_reply(clinic.id, taken.message_id)
    assert "was not mailed" in caplog.text and "knee" not in caplog.text and "Mia" not in caplog.text


def test_whoever_texts_the_patient_has_read_what_the_patient_wrote(clinic: Clinic) -> None:
    mine, theirs = comes_in("Where do I park?"), comes_in("Hello?", number="+61491570110")
    patient_id = message(mine.message_id).patient_id
    assert patient_id
    with store.transaction(clinic.id) as session:
        mark_answered(
            session, patient_id, [mine.message_id, theirs.message_id], Who(7, "Dana"), LATER + timedelta(minutes=5)
        )
    assert (reply_of(mine).read_by, reply_of(theirs).read_at) == ("Dana", None)
