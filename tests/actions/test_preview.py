"""The preview says beforehand what the pass will decide, on both databases."""

from datetime import date, timedelta

import pytest
from flask import Flask

from portal import store
from portal.actions.preview import Line, Preview, preview
from portal.actions.remind import fingerprint, run_pass
from portal.actions.stop import Stop, stop_messages
from portal.core.reasons import Reason
from portal.core.reminders import Decision, Preference, Sending
from portal.core.states import Status
from portal.store.appointments import Appointment
from tests.builders import DAY, PASS_AT, Clinic, a_business, a_patient, a_practice, an_appointment

HOUR = timedelta(hours=1)
BEFORE = PASS_AT - HOUR
LONG = {"first_name": "M" * 150}  # makes two parts


def lines(found: Preview) -> dict[str, Line]:
    return {line.appointment: line for line in found.lines}


def outcomes(found: Preview) -> dict[str, tuple[Status | None, tuple[Reason, ...]]]:
    return {line.appointment: (line.status, line.reasons) for line in found.lines}


def a_mixed_day(credits: int = 3) -> Clinic:
    clinic = Clinic(credits=credits)
    clinic.book("9", starts="2031-05-08 11:00")
    clinic.book("10", starts="2031-05-08 11:00")
    clinic.book("z", starts="2031-05-08 09:00", patient=LONG)
    clinic.book("b", starts="2031-05-08 10:00", patient=LONG)
    clinic.book("none", starts="2031-05-08 08:00", patient={"mobile": None, "preference": Preference.NONE})
    clinic.book("gone", cancelled_at=BEFORE)
    clinic.book("other day", starts="2031-05-09 09:00")
    return clinic


def test_it_says_beforehand_what_the_pass_will_decide_with_the_balance_running_down(app: Flask) -> None:
    clinic = a_mixed_day()
    found = preview(clinic.id, None, BEFORE)
    assert (found.day, found.credits, found.needed) == (DAY, 3, 3)
    assert outcomes(found) == {
        "none": (Status.NOT_SENT, (Reason.NO_MOBILE_NUMBER, Reason.PREFERS_NONE)),
        "z": (Status.QUEUED, ()),
        "b": (Status.FAILED, (Reason.NO_CREDITS,)),
        "10": (Status.QUEUED, ()),
        "9": (Status.FAILED, (Reason.NO_CREDITS,)),
    }
    assert list(outcomes(found)) == ["none", "z", "b", "10", "9"]
    assert {line.pass_at for line in found.lines} == {PASS_AT}
    run_pass(clinic.id, PASS_AT, PASS_AT)
    recorded = preview(clinic.id, DAY, PASS_AT + 6 * HOUR)
    assert outcomes(recorded) == outcomes(found)
    assert {line.pass_at for line in recorded.lines} == {None}


def test_it_changes_nothing(app: Flask) -> None:
    clinic = a_mixed_day()
    first = preview(clinic.id, DAY, BEFORE)
    assert preview(clinic.id, DAY, BEFORE) == first
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result
    assert (result.queued, result.not_sent, result.failed) == (2, 1, 2)


def test_what_is_queued_already_is_shown_as_such_and_takes_nothing_more(app: Flask) -> None:
    clinic = a_mixed_day(credits=4)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    found = preview(clinic.id, DAY, PASS_AT + timedelta(minutes=5))
    assert lines(found)["z"].pass_at is None
    assert lines(found)["z"].status is Status.QUEUED
    assert (found.credits, found.needed) == (0, 0)
    assert lines(found)["10"].pass_at == PASS_AT + HOUR
    assert outcomes(found)["10"] == (Status.FAILED, (Reason.NO_CREDITS,))


def test_a_business_further_west_gets_what_its_neighbour_leaves(app: Flask) -> None:
    clinic = Clinic(credits=1)
    with store.transaction(clinic.id) as session:
        perth = a_business(session, external_id="2", name="Perth", timezone="Australia/Perth")
        patient = a_patient(session, "w")
        own = {"practitioner": clinic.practitioner, "type": clinic.type, "patient": patient}
        an_appointment(session, "w", business=perth, starts="2031-05-08 06:00", **own)
    clinic.book("s", starts="2031-05-08 17:00")
    found = lines(preview(clinic.id, DAY, BEFORE))
    # Perth's patient is seen first, and Sydney's pass is two hours earlier.
    assert (found["s"].status, found["s"].pass_at) == (Status.QUEUED, PASS_AT)
    assert (found["w"].status, found["w"].pass_at) == (Status.FAILED, PASS_AT + 2 * HOUR)


@pytest.mark.parametrize(
    ("hours", "day"),
    [(-1, DAY), (0, DAY), (4, DAY), (5, DAY + timedelta(days=1)), (12, DAY + timedelta(days=1))],
)
def test_the_day_is_that_of_the_next_pass_to_come(app: Flask, hours: int, day: date) -> None:
    clinic = Clinic()
    for hour in range(hours + 1):
        run_pass(clinic.id, PASS_AT + hour * HOUR, PASS_AT)
    assert preview(clinic.id, None, PASS_AT + hours * HOUR).day == day


def test_two_lead_days_look_two_days_ahead(app: Flask) -> None:
    clinic = Clinic(lead_days=2)
    assert preview(clinic.id, None, BEFORE).day == DAY + timedelta(days=1)


def test_a_later_booking_is_decided_by_the_pass_that_first_meets_it(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a", booked_at=PASS_AT + timedelta(minutes=20))
    clinic.book("b", booked_at=PASS_AT + 9 * HOUR)
    found = lines(preview(clinic.id, DAY, BEFORE))
    assert found["a"].pass_at == PASS_AT + HOUR
    assert (found["b"].status, found["b"].reasons, found["b"].pass_at) == (None, (Reason.BOOKED_TOO_LATE,), None)


def test_a_rehearsal_says_of_everyone_what_else_stands_in_the_way(app: Flask) -> None:
    clinic = a_mixed_day()
    clinic.change(clinic.practice, sending=Sending.REHEARSAL)
    found = outcomes(preview(clinic.id, DAY, BEFORE))
    assert found["z"] == (Status.NOT_SENT, (Reason.SENDING_OFF,))
    assert found["none"][1] == (Reason.SENDING_OFF, Reason.NO_MOBILE_NUMBER, Reason.PREFERS_NONE)


def test_what_the_provider_refused_stays_refused(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.transaction(clinic.id) as session:
        row = session.get_one(Appointment, 1)
        message = store.messages.find_reminder(session, row.id, 0)
        assert message
        refused = fingerprint(Decision((), message.to, message.body, 1), "Clinic")
        stop = Stop(message.id, Status.FAILED, (Reason.PROVIDER_REFUSED,), 1, "1170", refused)
        stop_messages(session, clinic.id, [stop], PASS_AT)
    found = preview(clinic.id, DAY, PASS_AT + timedelta(minutes=1))
    assert outcomes(found) == {"a": (Status.FAILED, (Reason.PROVIDER_REFUSED,))}
    assert found.needed == 0


def test_a_practice_without_a_business_has_an_empty_day(app: Flask) -> None:
    a_practice("empty")
    assert preview("empty", None, BEFORE).lines == ()
