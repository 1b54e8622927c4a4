"""Messages to very many: written in parts by processes that are killed; nobody is texted twice or left out."""

import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import store
from portal.actions.broadcasts import AT_ONCE, list_unrecorded, record_more, take_back
from portal.config import Settings
from portal.core.broadcasts import State, Whom
from portal.core.states import Status
from portal.store.broadcasts import BroadcastRecipient
from portal.store.credits import CreditEntry
from portal.store.messages import Message
from portal.store.patients import Patient, PhoneRow
from tests.builders import PASS_AT, Clinic, an_appointment
from tests.hosts import running
from tests.processes import ROOT, environment_of, wait_until

from .broadcasting import DANA, THURSDAY, credits, press, shown

MANY = 2 * AT_ONCE + 300
EVERYBODY = Whom()
TEXT = "We move to Elm Street, {{Patient.FirstName}}."
WITHOUT = 10  # of them, a number


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    clinic = Clinic(credits=2 * MANY)
    with store.transaction(clinic.id) as session:
        add_patients(session)
    return clinic


def add_patients(session: Session) -> list[Patient]:
    patients = [
        Patient(external_id=str(i), first_name=f"P{i}", last_name="Many", email="", archived=False)
        for i in range(MANY)
    ]
    session.add_all(patients)
    session.flush()
    for i, one in enumerate(patients[WITHOUT:]):
        row = PhoneRow(patient_id=one.id, position=0, type="Mobile", from_export=True)
        row.retype(f"04{91000000 + i:08}", "AU")
        session.add(row)
    return patients


def recorded() -> int:
    with store.reading("riverside") as session:
        return session.scalar(select(func.count()).select_from(BroadcastRecipient)) or 0


def assert_everybody_once(clinic: Clinic, broadcast_id: int) -> None:
    with store.reading(clinic.id) as session:
        of = session.scalars(select(BroadcastRecipient.patient_id)).all()
        texts = session.scalars(select(Message.patient_id).where(Message.own_words)).all()
        left = session.scalar(select(func.sum(CreditEntry.amount)))
    assert len(of) == len(set(of)) == MANY
    assert len(texts) == len(set(texts)) == MANY - WITHOUT
    assert credits() == left == 2 * MANY - (MANY - WITHOUT)
    after = shown(broadcast_id)
    assert (after.row.broadcast.reached, after.row.broadcast.left_out) == (MANY - WITHOUT, WITHOUT)
    assert (after.row.state, after.by_status) == (State.WAITING, {Status.QUEUED: MANY - WITHOUT})


def test_whoever_is_killed_in_the_midst_of_it_is_followed_by_another(
    clinic: Clinic, app: Flask, settings: Settings
) -> None:
    sent = press(text=TEXT, whom=EVERYBODY)
    assert not sent.is_recorded
    assert recorded() == AT_ONCE
    assert shown(sent.broadcast_id).row.state is State.PREPARED
    job = f"from portal.jobs import record_broadcast; record_broadcast({clinic.id!r}, {sent.broadcast_id})"
    settings = replace(settings, vonage_base_url="http://127.0.0.1:9")
    process = subprocess.Popen(
        [sys.executable, "-c", job],
        cwd=ROOT,
        env=environment_of(settings, PORTAL_TEST_CLOCK=PASS_AT.isoformat()),
    )
    wait_until(lambda: recorded() > AT_ONCE or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert AT_ONCE < recorded() <= MANY

    # Redis lost the job with its worker: the sweep sees it.
    if shown(sent.broadcast_id).row.state is State.PREPARED:
        assert list_unrecorded(PASS_AT) == []
        assert list_unrecorded(PASS_AT + timedelta(minutes=6)) == [(clinic.id, sent.broadcast_id)]
    while not record_more(clinic.id, sent.broadcast_id, PASS_AT).is_done:
        pass
    assert record_more(clinic.id, sent.broadcast_id, PASS_AT).is_done  # once more, by a second worker
    assert list_unrecorded(PASS_AT + timedelta(minutes=6)) == []
    assert_everybody_once(clinic, sent.broadcast_id)


def test_a_day_of_very_many_is_written_in_parts_too(clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        for one in session.scalars(select(Patient).order_by(Patient.id)).all():
            own = {"business": clinic.business, "practitioner": clinic.practitioner, "type": clinic.type}
            an_appointment(session, one.external_id, patient=one, **own)
    sent = press(text=TEXT, whom=THURSDAY)
    assert recorded() == AT_ONCE
    while not record_more(clinic.id, sent.broadcast_id, PASS_AT).is_done:
        pass
    assert_everybody_once(clinic, sent.broadcast_id)


def test_taken_back_while_it_is_written_it_goes_to_nobody_else(clinic: Clinic) -> None:
    sent = press(text=TEXT, whom=EVERYBODY)
    assert take_back(clinic.id, sent.broadcast_id, DANA, PASS_AT)
    assert record_more(clinic.id, sent.broadcast_id, PASS_AT).is_done
    assert recorded() == AT_ONCE
    assert shown(sent.broadcast_id).by_status == {Status.CANCELLED: AT_ONCE - WITHOUT}
    assert credits() == 2 * MANY


def test_written_after_its_time_it_is_handed_over_at_once(clinic: Clinic) -> None:
    sent = press(text=TEXT, whom=EVERYBODY)
    late = PASS_AT + timedelta(minutes=3)
    assert len(record_more(clinic.id, sent.broadcast_id, late).due) == AT_ONCE


def test_the_workers_take_up_what_the_page_has_begun_and_send_it(settings: Settings) -> None:
    with running(settings) as host:
        clinic = Clinic(credits=2 * MANY)
        with store.transaction(clinic.id) as session:
            add_patients(session)
        sent = press(text=TEXT, whom=EVERYBODY)
        # Nobody enqueued the rest, as where Redis is away: they sweep as they start.
        host.start_workers(1, PORTAL_TEST_CLOCK=(PASS_AT + timedelta(minutes=6)).isoformat())
        wait_until(lambda: shown(sent.broadcast_id).row.broadcast.recorded_at is not None and host.is_idle(), 300)
        taken = [one.to for one in host.simulator.messages]
        assert len(taken) == len(set(taken)) == MANY - WITHOUT
        after = shown(sent.broadcast_id)
        assert (after.row.state, after.by_status) == (State.DONE, {Status.SENT: MANY - WITHOUT})
