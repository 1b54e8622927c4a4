"""A family's one text, which something of one of them stops or leads elsewhere before it goes."""

from datetime import timedelta

import pytest
from flask import Flask

from portal import store
from portal.actions.patients import record_opt_out
from portal.actions.sending import switch_sending
from portal.actions.sweep import take_due
from portal.core.reasons import Reason
from portal.core.reminders import Sending
from portal.core.states import Status
from portal.store.patients import Patient, PhoneRow
from tests.builders import MOBILES, Clinic

from .broadcasting import DANA, GOES_AT, credits, press, shown, texts
from .by_staff import Line, patient

CLOSED = "We are closed."
FIRST, SECOND = (f"61{number[1:].replace(' ', '')}" for number in MOBILES[:2])  # as the provider has them
NEXT_RUN = GOES_AT + timedelta(minutes=5)


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    """Ada and Ken at one number."""
    clinic = Clinic()
    for name in ("Ada", "Ken"):
        clinic.book(name, patient={"first_name": name, "mobile": MOBILES[0]})
    return clinic


def go(line: Line) -> None:
    """The time has come, and the script runs once more after it."""
    for at in (GOES_AT, NEXT_RUN):
        line.send([id_ for _, ids, _ in take_due(at) for id_ in ids], at)


def takes_another_number(clinic: Clinic, name: str, number: str) -> None:
    patient_id = patient(name).id
    with store.transaction(clinic.id) as session:
        row = session.query(PhoneRow).filter(PhoneRow.patient_id == patient_id).one()
        row.retype(number, "AU")


def test_where_nothing_changes_one_text_reaches_both(clinic: Clinic, line: Line) -> None:
    press(text=CLOSED)
    go(line)
    assert line.taken == [(FIRST, CLOSED)]


def test_who_wants_no_texts_any_more_keeps_it_from_nobody_else(clinic: Clinic, line: Line) -> None:
    sent = press(text=CLOSED)
    record_opt_out(clinic.id, patient("Ada").id, who=DANA, now=GOES_AT)
    go(line)
    assert line.taken == [(FIRST, CLOSED)]
    assert [(one.patient_id, one.status) for one in texts()] == [
        (patient("Ada").id, Status.NOT_SENT),
        (patient("Ken").id, Status.SENT),
    ]
    assert shown(sent.broadcast_id).by_status == {Status.NOT_SENT: 1, Status.SENT: 1}
    assert credits() == 99


def test_who_has_another_number_by_then_is_texted_there_and_the_others_where_they_are(
    clinic: Clinic, line: Line
) -> None:
    sent = press(text=CLOSED)
    takes_another_number(clinic, "Ada", MOBILES[1])
    go(line)
    assert sorted(line.taken) == sorted([(SECOND, CLOSED), (FIRST, CLOSED)])
    assert shown(sent.broadcast_id).by_status == {Status.SENT: 2}
    assert credits() == 98


def test_who_move_to_another_number_together_get_one_text_there(clinic: Clinic, line: Line) -> None:
    sent = press(text=CLOSED)
    for name in ("Ada", "Ken"):
        takes_another_number(clinic, name, MOBILES[1])
    go(line)
    assert line.taken == [(SECOND, CLOSED)]
    assert shown(sent.broadcast_id).by_status == {Status.SENT: 2}
    assert credits() == 99


def test_of_those_who_are_left_each_has_their_own_reason(clinic: Clinic, line: Line) -> None:
    sent = press(text=CLOSED)
    record_opt_out(clinic.id, patient("Ada").id, who=DANA, now=GOES_AT)
    ken = patient("Ken").id
    with store.transaction(clinic.id) as session:
        session.get_one(Patient, ken).archived = True
    go(line)
    assert line.taken == []
    progress = shown(sent.broadcast_id)
    assert progress.by_status == {Status.NOT_SENT: 1}
    with store.reading(clinic.id) as session:
        (left,) = store.broadcasts.list_left_out(session, sent.broadcast_id, 10)
    assert (left.patient.first_name, left.reasons) == ("Ken", (Reason.PATIENT_ARCHIVED,))
    assert credits() == 100


def test_what_stops_all_of_them_leaves_them_together(clinic: Clinic, line: Line) -> None:
    sent = press(text=CLOSED)
    switch_sending(clinic.id, Sending.PAUSED, GOES_AT, DANA)
    go(line)
    assert len(texts()) == 1
    assert shown(sent.broadcast_id).by_status == {Status.NOT_SENT: 2}
