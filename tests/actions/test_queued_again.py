"""Queued again by staff and stopped: what was in doubt is in doubt, and what stopped stands on the worklist."""

from datetime import datetime, timedelta
from itertools import combinations, permutations
from typing import Any

import pytest
from flask import Flask

from portal import store
from portal.actions.queue_text import PAUSE
from portal.actions.remind import run_pass
from portal.actions.show_message import show_message
from portal.actions.stop import withdraw
from portal.actions.sweep import sweep
from portal.actions.worklist import look_at_worklist, mark_dealt_with
from portal.core.reasons import Reason
from portal.core.receipts import reference
from portal.core.reminders import Sending
from portal.core.roles import MAY, Role
from portal.core.states import Status
from portal.store.messages import Message
from tests.actions.test_remind import balance, events
from tests.actions.test_resend import again, all_again, becomes
from tests.builders import PASS_AT, Clinic
from tests.reported import a_receipt, report, work

from .by_staff import DANA, Line, message, patient, write

HOUR = timedelta(hours=1)
EVENING = PASS_AT + 9 * HOUR
FIRST, SECOND = "0123456789ab", "ba9876543210"  # the attempt that left the doubt, and the next


def doubted(clinic: Clinic) -> Message:
    """In doubt, and queued again by Dana."""
    row = becomes(Status.UNKNOWN, claim=FIRST, claimed_at=PASS_AT)
    again(row, confirmed=True, at=EVENING - PAUSE)
    row = message(row.id)
    assert (row.status, row.was_in_doubt, row.claimed_at) == (Status.QUEUED, True, PASS_AT)
    return row


@pytest.mark.parametrize("what", ["paused", "deadline", "cancelled", "moved", "refused", "number"])
def test_stopped_it_is_in_doubt_as_before_and_nothing_sends_it_by_itself(
    clinic: Clinic, line: Line, what: str
) -> None:
    row = doubted(clinic)
    with store.reading(clinic.id) as session:
        appointment = store.appointments.find_appointment(session, "a")
    assert appointment
    at, why = EVENING, ""
    match what:
        case "paused":
            clinic.change(clinic.practice, sending=Sending.PAUSED)
            why = "sending-off"
        case "deadline":
            at, why = PASS_AT + 24 * HOUR, "deadline-passed"
            sweep(at)
        case "cancelled":
            why = "withdrawn"
            with store.transaction(clinic.id) as session:
                store.practices.lock_practice(session, clinic.id)
                assert withdraw(session, clinic.id, [appointment.id], at) == 1
        case "moved":
            clinic.change(appointment, revision=1, moved_at=PASS_AT)
            why = "withdrawn"
        case "refused":
            line.simulator.plan([{"status": 422, "code": "1170", "times": 1}])
            why = "provider-refused;1170"
        case "number":
            clinic.change(patient(), archived=True)
            why = "patient-archived"
    line.send([row.id], at=at)
    now = message(row.id)
    assert (now.status, now.reasons, now.charged, now.body, now.to) == (Status.UNKNOWN, (), 1, row.body, row.to)
    happened, event, detail = events(now)[-1]
    assert (happened, event, detail[: len(why)]) == (at, "still-in-doubt", why)
    assert balance() == 99
    shown = show_message(clinic.id, row.id, at, MAY[Role.OWNER])
    assert shown.steps[-1].says.startswith("Not sent again: ")
    clinic.change(clinic.practice, sending=Sending.ON)
    clinic.change(patient(), archived=False)
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert all_again(now, at=at).message_ids == ()
    line.send([row.id], at=at)
    assert (message(row.id).status, line.taken) == (Status.UNKNOWN, [])


@pytest.mark.parametrize("answer", [{"status": 429}, {"status": 402}])
def test_not_taken_and_then_stopped_it_is_in_doubt_where_doubts_are_looked_for(
    clinic: Clinic, line: Line, answer: dict[str, Any]
) -> None:
    row = doubted(clinic)
    line.simulator.plan([answer | {"times": 1}])
    line.send([row.id], at=EVENING)
    assert (message(row.id).status, message(row.id).claimed_at) == (Status.QUEUED, EVENING)
    with store.everything() as session:
        assert [one.id for one in store.standing.list_queued_again(session, PASS_AT, EVENING, 9)] == [row.id]
    sweep(PASS_AT + 24 * HOUR)
    assert message(row.id).status is Status.UNKNOWN
    with store.everything() as session:
        assert [one.id for one in store.standing.list_unknown(session, PASS_AT, EVENING, 9)] == [row.id]
        assert store.alarms.list_doubts(session, PASS_AT)


def test_once_it_is_sent_there_is_no_doubt(clinic: Clinic, line: Line) -> None:
    row = doubted(clinic)
    line.send([row.id], at=EVENING)
    assert (message(row.id).status, balance()) == (Status.SENT, 99)


def test_in_doubt_again_after_a_stop_its_credits_are_not_anothers(app: Flask, line: Line) -> None:
    clinic = Clinic(credits=1)
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    row = doubted(clinic)
    clinic.change(patient(), archived=True)
    line.send([row.id], at=EVENING)
    assert (message(row.id).status, balance()) == (Status.UNKNOWN, 0)


# --- what the provider reports of the attempt before --------------------------------------------------------------


def reported(row: Message, status: str, code: str | None = None, *, at: datetime = EVENING, **more: Any) -> Message:
    """Of the attempt that left the doubt."""
    assert row.to
    ours = {"ref": reference(row.id, FIRST), "to": row.to[1:], "uuid": "uuid-1"}
    report(a_receipt(status, at, code=code, **ours | more), at)
    work(at)
    return message(row.id)


def test_delivered_it_is_not_sent_again_and_nothing_is_taken_or_given_back(clinic: Clinic, line: Line) -> None:
    row = reported(doubted(clinic), "delivered")
    assert (row.status, row.charged, row.provider_id, row.next_at) == (Status.DELIVERED, 1, "uuid-1", None)
    assert events(row)[-1] == (EVENING, "delivered", "delivered;")
    line.send([row.id], at=EVENING)
    assert (line.taken, message(row.id).status, balance()) == ([], Status.DELIVERED, 99)
    row = reported(row, "undeliverable", "1180")  # of the same attempt, late
    assert (row.status, row.provider_code) == (Status.DELIVERED, None)


def test_delivered_while_the_account_is_refused_it_waits_no_more(clinic: Clinic) -> None:
    row = doubted(clinic)
    clinic.change(row, reasons=(Reason.PROVIDER_ACCOUNT,), provider_code="1070")
    row = reported(row, "delivered")
    assert (row.status, row.reasons, row.provider_code) == (Status.DELIVERED, (), None)


@pytest.mark.parametrize(("status", "code"), [("undeliverable", "1180"), ("rejected", None), ("submitted", None)])
def test_reported_otherwise_it_goes_on(clinic: Clinic, line: Line, status: str, code: str | None) -> None:
    row = reported(doubted(clinic), status, code)
    assert (row.status, row.provider_id) == (Status.QUEUED, None)
    told = [event for _, event, _ in events(row)].count("earlier-attempt")
    assert told == (status != "submitted")
    line.send([row.id], at=EVENING)
    assert (len(line.taken), message(row.id).status, balance()) == (1, Status.SENT, 99)


def test_delivered_to_another_number_it_goes_on(clinic: Clinic) -> None:
    row = reported(doubted(clinic), "delivered", to="61491570110")
    assert (row.status, len(events(row))) == (Status.QUEUED, 2)


@pytest.mark.parametrize(
    ("status", "code", "becomes_"),
    [
        ("submitted", None, Status.SENT),
        ("delivered", None, Status.DELIVERED),
        ("undeliverable", "1180", Status.UNDELIVERED),
        ("rejected", "1490", Status.UNCONFIRMED),
    ],
)
@pytest.mark.parametrize("stopped_by", ["the deadline", "the provider"])
def test_stopped_before_the_doubt_is_settled_as_if_it_had_not_been_queued(
    clinic: Clinic, line: Line, stopped_by: str, status: str, code: str | None, becomes_: Status
) -> None:
    row = doubted(clinic)
    if stopped_by == "the provider":
        line.simulator.plan([{"status": 422, "code": "1170", "times": 1}])
        line.send([row.id], at=EVENING)
    sweep(PASS_AT + 24 * HOUR)
    assert message(row.id).status is Status.UNKNOWN
    row = reported(row, status, code)
    assert (row.status, row.provider_code, row.charged) == (becomes_, code, 1)
    row = reported(row, "delivered", at=EVENING + HOUR)  # from now on it is its own
    assert row.status is Status.DELIVERED


REPORTS = (
    (FIRST, "submitted", None),
    (FIRST, "undeliverable", "1180"),
    (FIRST, "delivered", None),
    (SECOND, "submitted", None),
    (SECOND, "undeliverable", "1170"),
    (SECOND, "rejected", "1490"),
)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.UNKNOWN, Status.SENDING, Status.SENT])
@pytest.mark.parametrize("size", [2, 3])
def test_any_order_of_what_is_said_of_either_attempt_ends_alike(clinic: Clinic, status: Status, size: int) -> None:
    row = doubted(clinic)
    claim = None if status is Status.QUEUED else SECOND
    said = [one for one in REPORTS if claim or one[0] == FIRST]
    turn = 0
    for subset in combinations(said, min(size, len(said))):
        outcomes = set()
        for order in permutations(subset):
            turn += 1
            clinic.change(row, status=status, claim=claim, provider_id=None, provider_code=None, sent_at=None)
            for attempt, what, code in order:
                at = EVENING + timedelta(minutes=turn)
                reported(row, what, code, at=at, ref=reference(row.id, attempt), uuid=f"uuid-{attempt}")
            outcomes.add((message(row.id).status, message(row.id).provider_code))
        assert len(outcomes) == 1, (subset, outcomes)


# --- the worklist -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_reminder", [True, False])
def test_queued_again_days_later_and_stopped_it_stands_on_the_worklist_anew(
    app: Flask, line: Line, is_reminder: bool
) -> None:
    clinic = Clinic()
    appointment = clinic.book("a", starts="2031-06-08 09:30")
    id_ = write(appointment_id=appointment.id) if is_reminder else write()
    line.simulator.plan([{"status": 503, "times": 1}])
    line.send([id_])
    assert message(id_).status is Status.UNKNOWN
    mark_dealt_with(clinic.id, id_, DANA.who, PASS_AT)
    later = PASS_AT + 10 * 24 * HOUR
    again(message(id_), at=later, confirmed=True)
    clinic.change(patient(), archived=True)
    line.send([id_], at=later + PAUSE)
    assert message(id_).status is Status.UNKNOWN
    listed = look_at_worklist(clinic.practice, later)
    assert ([row.message.id for row in listed.open], listed.done) == ([id_], [])


def test_what_stopped_long_ago_is_no_news(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    id_ = write()
    sweep(PASS_AT + HOUR)
    days = [1, 3, 5]
    listed = [look_at_worklist(clinic.practice, PASS_AT + day * 24 * HOUR).open for day in days]
    assert [[row.message.id for row in rows] for rows in listed] == [[id_], [id_], []]
