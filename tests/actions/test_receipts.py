"""Reports of the provider, worked on: by our reference or its id, before and after our own record."""

import json
from datetime import timedelta
from itertools import permutations
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions.patients import add_number, remove_number
from portal.actions.receipts import KEPT_FOR, WAIT_FOR_MESSAGE, forget_old_events, work_on_events
from portal.actions.remind import run_pass
from portal.actions.sweep import WAIT_FOR_RECEIPT, sweep
from portal.actions.who import Who
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.sms.answers import Accepted, InDoubt, Outcome, Refused
from portal.store.host import ACCOUNT_REPORTED
from portal.store.messages import Message
from portal.store.patients import OptOut, OptOutSource, PhoneRow
from portal.store.provider_events import EventKind, ProviderEvent
from tests.actions.test_remind import balance, events, the_log
from tests.builders import MOBILES, PASS_AT, Clinic
from tests.reported import a_receipt, of, report, work

LATER = PASS_AT + timedelta(minutes=2)


class Answering:
    """In the provider's place: gives the answer it was made with, and meanwhile does something."""

    def __init__(self, answer: Outcome, meanwhile: Any = None) -> None:
        self.answer, self.meanwhile = answer, meanwhile

    def prepare(self, outgoing: Any) -> Any:
        return outgoing

    def send(self, prepared: Any, ttl_seconds: float) -> Outcome:
        if self.meanwhile:
            self.meanwhile(prepared)
        return self.answer


class Slots:
    delays = (0.0,)
    retry_in = 0.0


class NoLimit:
    def reserve(self, most: int) -> Slots:
        return Slots()

    def slow_down(self, seconds: float) -> None: ...


def send(ids: Any, answer: Outcome, meanwhile: Any = None) -> None:
    from portal.actions.deliver import deliver

    deliver(
        "riverside",
        list(ids),
        sender=Answering(answer, meanwhile),
        limiter=NoLimit(),
        now=lambda: PASS_AT,
        stop_requested=lambda: False,
        threads=1,
    )


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    clinic = Clinic()
    clinic.book("a")
    return clinic


def sent(clinic: Clinic, answer: Outcome | None = None) -> Message:
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result
    send(result.message_ids, answer or Accepted("uuid-1"))
    return the_log()["a"]


def number() -> PhoneRow:
    with store.reading("riverside") as session:
        return session.scalars(select(PhoneRow)).one()


def opt_outs() -> list[OptOut]:
    with store.reading("riverside") as session:
        return list(session.scalars(select(OptOut)))


def event_of(uuid: str = "uuid-1") -> list[ProviderEvent]:
    with store.everything() as session:
        return list(session.scalars(select(ProviderEvent).where(ProviderEvent.uuid == uuid)))


def steps(message: Message) -> list[tuple[str, str]]:
    return [(event, detail) for _, event, detail in events(message)]


# --- what it becomes ------------------------------------------------------------------------------------------


def test_delivered(clinic: Clinic) -> None:
    message = sent(clinic)
    report(of(message, "delivered", LATER, parts=1, price="0.0512"), LATER)
    assert work(LATER) == 1
    message = the_log()["a"]
    assert (message.status, message.provider_code, message.charged) == (Status.DELIVERED, None, 1)
    assert (message.billed_parts, message.billed_price, message.billed_currency) == (1, 51_200, "EUR")
    assert events(message)[-1] == (LATER, "delivered", "delivered;")
    assert work(LATER + timedelta(hours=3)) == 0
    assert [(one.outcome, one.practice_id) for one in event_of()] == [("applied", "riverside")]


def test_not_delivered_keeps_its_credits_and_says_why(clinic: Clinic) -> None:
    message = sent(clinic)
    report(of(message, "undeliverable", LATER, "1180"), LATER)
    work(LATER)
    message = the_log()["a"]
    assert (message.status, message.provider_code, message.charged, balance()) == (Status.UNDELIVERED, "1180", 1, 99)
    assert message.reasons == ()
    assert number().out_of_service is None


@pytest.mark.parametrize("code", ["1050", "1170", "1190", "1280"])
def test_a_dead_number_is_marked_until_it_is_changed(clinic: Clinic, code: str) -> None:
    message = sent(clinic)
    report(of(message, "undeliverable", LATER, code), LATER)
    work(LATER)
    assert (number().out_of_service, number().out_of_service_at) == (message.to, LATER)
    clinic.book("b", patient={"mobile": MOBILES[0]})
    clinic.book("c", patient={"mobile": MOBILES[1]})
    run_pass(clinic.id, PASS_AT + timedelta(hours=1), PASS_AT + timedelta(hours=1))
    assert the_log()["b"].status is Status.QUEUED  # the mark is of the row: a number typed anew may be tried
    with store.transaction(clinic.id) as session:
        row = session.scalars(select(PhoneRow).where(PhoneRow.out_of_service.is_not(None))).one()
        assert row.as_number().is_out_of_service
        row.retype(MOBILES[2], "AU")
        assert not row.as_number().is_out_of_service
        row.retype(MOBILES[0], "AU")
        assert not row.as_number().is_out_of_service


def test_a_dead_number_stops_the_next_text_and_a_text_that_arrives_lifts_it(clinic: Clinic) -> None:
    message = sent(clinic)
    report(of(message, "undeliverable", LATER, "1190"), LATER)
    work(LATER)
    with store.transaction(clinic.id) as session:
        patient = store.patients.find_patient(session, "a")
        assert patient
        from tests.builders import an_appointment

        own = {"business": clinic.business, "practitioner": clinic.practitioner, "type": clinic.type}
        an_appointment(session, "again", patient=patient, starts="2031-05-08 15:00", **own)
    at = PASS_AT + timedelta(hours=1)
    run_pass(clinic.id, at, at)
    assert (the_log()["again"].status, the_log()["again"].reasons) == (
        Status.NOT_SENT,
        (Reason.NUMBER_NOT_IN_SERVICE,),
    )
    report(of(message, "delivered", LATER), LATER)
    work(LATER)
    assert number().out_of_service is None
    run_pass(clinic.id, at + timedelta(hours=1), at + timedelta(hours=1))
    assert the_log()["again"].status is Status.QUEUED


def test_staff_lift_the_mark_by_putting_the_number_back(clinic: Clinic) -> None:
    message = sent(clinic)
    report(of(message, "undeliverable", LATER, "1190"), LATER)
    work(LATER)
    row, who = number(), Who(1, "Dana")
    remove_number(clinic.id, row.patient_id, row.id, who=who, now=LATER)
    add_number(clinic.id, row.patient_id, "Mobile", MOBILES[0], who=who, now=LATER)
    assert (number().id, number().out_of_service) == (row.id, None)


def test_an_opt_out_at_the_phone_company_is_recorded_once_as_its_own(clinic: Clinic) -> None:
    message = sent(clinic)
    for minute in (1, 2):
        report(of(message, "undeliverable", LATER + timedelta(minutes=minute), "1240"), LATER)
        work(LATER + timedelta(minutes=5))
    assert [(one.source, one.e164, one.lifted_at) for one in opt_outs()] == [(OptOutSource.CARRIER, message.to, None)]


def test_a_late_report_of_it_does_not_undo_what_the_patient_has_lifted_since(clinic: Clinic) -> None:
    message = sent(clinic)
    report(of(message, "undeliverable", LATER, "1240"), LATER)
    work(LATER)
    lifted = LATER + timedelta(minutes=5)
    clinic.change(opt_outs()[0], lifted_at=lifted)  # by START
    report(of(message, "rejected", LATER, "1240"), lifted)
    work(lifted)
    assert [one.lifted_at for one in opt_outs()] == [lifted]
    report(of(message, "rejected", lifted + timedelta(minutes=1), "1240"), lifted + timedelta(hours=1))
    work(lifted + timedelta(hours=1))
    assert [one.lifted_at for one in opt_outs()] == [lifted, None]


def test_so_is_one_that_the_provider_answers_with(clinic: Clinic) -> None:
    message = sent(clinic, Refused("1240", "Illegal Number"))
    assert message.status is Status.FAILED
    assert [(one.source, one.e164) for one in opt_outs()] == [(OptOutSource.CARRIER, message.to)]


def test_a_fault_of_our_account_is_the_administrators(clinic: Clinic) -> None:
    message = sent(clinic)
    report(of(message, "rejected", LATER, "1070"), LATER)
    work(LATER)
    assert the_log()["a"].status is Status.UNDELIVERED
    assert (number().out_of_service, opt_outs()) == (None, [])

    def noted() -> dict[str, Any] | None:
        with store.everything() as session:
            return store.host.find_state(session, ACCOUNT_REPORTED)

    assert noted() == {"code": "1070", "since": LATER.isoformat(), "at": LATER.isoformat()}
    report(of(message, "delivered", LATER), LATER)  # older than what was noted, or of the same moment
    work(LATER)
    assert noted()
    report(of(message, "delivered", LATER + timedelta(minutes=1)), LATER + timedelta(minutes=1))
    work(LATER + timedelta(minutes=1))
    assert noted() is None


def test_after_72_hours_a_late_receipt_still_counts(clinic: Clinic) -> None:
    message = sent(clinic)
    at = PASS_AT + WAIT_FOR_RECEIPT
    sweep(at)
    assert the_log()["a"].status is Status.UNCONFIRMED
    report(of(message, "delivered", LATER), at)
    work(at)
    assert the_log()["a"].status is Status.DELIVERED


# --- whose it is ----------------------------------------------------------------------------------------------


def test_a_receipt_before_our_own_record(clinic: Clinic, app: Flask) -> None:
    """It is worked on while the request is still open: our own answer then changes nothing."""

    def meanwhile(outgoing: Any) -> None:
        body = a_receipt("delivered", PASS_AT, uuid="uuid-1", ref=outgoing.client_ref, to=outgoing.to[1:])
        with app.app_context():
            report(body, PASS_AT)
            work(PASS_AT)

    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result
    send(result.message_ids, Accepted("uuid-1"), meanwhile)
    message = the_log()["a"]
    assert (message.status, message.provider_id, message.sent_at) == (Status.DELIVERED, "uuid-1", PASS_AT)
    assert [event for event, _ in steps(message)] == ["queued", "delivered"]


def test_a_message_in_doubt_is_settled(clinic: Clinic) -> None:
    message = sent(clinic, InDoubt("read-timeout"))
    assert (message.status, message.provider_code) == (Status.UNKNOWN, "read-timeout")
    report(of(message, "submitted", LATER, uuid="uuid-9"), LATER)
    work(LATER)
    message = the_log()["a"]
    assert (message.status, message.provider_id, message.provider_code) == (Status.SENT, "uuid-9", None)
    assert (message.sent_at, message.charged) == (LATER, 1)


def test_without_our_reference_it_is_found_by_the_providers_id(clinic: Clinic) -> None:
    sent(clinic)
    report(a_receipt("delivered", LATER, uuid="uuid-1"), LATER)
    work(LATER)
    assert the_log()["a"].status is Status.DELIVERED


def test_one_that_comes_before_its_message_waits_for_it(clinic: Clinic) -> None:
    report(a_receipt("delivered", PASS_AT, uuid="uuid-1"), PASS_AT)
    assert work(PASS_AT) == 1
    assert work(PASS_AT) == 0  # not at once again
    sent(clinic)
    work(PASS_AT + timedelta(seconds=10))
    assert the_log()["a"].status is Status.DELIVERED


def test_what_nobody_knows_is_kept_and_left(clinic: Clinic) -> None:
    message = sent(clinic)
    strangers = [
        a_receipt("delivered", LATER, uuid="strange-1"),
        a_receipt("delivered", LATER, uuid="strange-2", ref="999999.0a"),
        a_receipt("delivered", LATER, uuid="strange-3", ref=f"{message.id}.0a", to="61491570999"),
        a_receipt("delivered", LATER, uuid="strange-4", ref="99999999999999999.0a"),
    ]
    for body in strangers:
        report(body, LATER)
    for minutes in (0, 1, 5, 15, 30, 59, 61, 75):
        work(LATER + timedelta(minutes=minutes))
    found = [event_of(f"strange-{n}")[0] for n in (1, 2, 3, 4)]
    assert [(one.outcome, one.next_at) for one in found] == [("unmatched", None)] * 4
    assert all(one.tries < 10 for one in found)
    assert the_log()["a"].status is Status.SENT
    assert timedelta(minutes=75) > WAIT_FOR_MESSAGE


def test_another_practices_message_is_its_own(clinic: Clinic, app: Flask) -> None:
    ours = sent(clinic)
    other = Clinic("northgate")
    other.book("a")
    run_pass(other.id, PASS_AT, PASS_AT)
    report(of(ours, "delivered", LATER), LATER)
    work(LATER)
    with store.reading(other.id) as session:
        assert session.scalars(select(Message.status)).one() is Status.QUEUED


def test_what_cannot_be_read_is_left(clinic: Clinic) -> None:
    report(a_receipt("read", LATER, uuid="uuid-1"), LATER)
    work(LATER)
    assert [(one.outcome, one.next_at) for one in event_of()] == [("unreadable", None)]


# --- twice, in any order, at once -----------------------------------------------------------------------------


def test_each_is_kept_once(clinic: Clinic) -> None:
    message = sent(clinic)
    body = of(message, "delivered", LATER)
    assert [report(body, LATER) for _ in range(3)] == [True, False, False]
    assert report(body | {"usage": {}}, LATER)  # not the same
    assert report(body, LATER, EventKind.INBOUND)
    assert len(event_of()) == 3


REPORTS = (("submitted", None), ("undeliverable", "1170"), ("rejected", "1180"), ("delivered", None))


@pytest.mark.parametrize("subset", [(0, 1, 2), (1, 2), (0, 3), (1, 3), (0, 1, 2, 3)])
def test_any_order_of_receipts_leaves_the_same_rows(clinic: Clinic, subset: tuple[int, ...]) -> None:
    clinic_message = sent(clinic)
    outcomes = set()
    for turn, order in enumerate(permutations(subset)):
        with store.transaction(clinic.id) as session:  # as if nothing had come yet
            message = session.get_one(Message, clinic_message.id)
            message.status, message.provider_code, message.billed_parts = Status.SENT, None, None
            session.scalars(select(PhoneRow)).one().out_of_service = None
        for one in order:
            at = LATER + timedelta(seconds=one, minutes=turn)
            report(of(clinic_message, REPORTS[one][0], at, REPORTS[one][1], parts=1 + one), at)
            work(at)
        found = the_log()["a"]
        outcomes.add((found.status, found.provider_code, found.billed_parts, number().out_of_service))
    assert len(outcomes) == 1, outcomes


def test_a_job_that_runs_twice_at_once_does_it_once(clinic: Clinic, app: Flask) -> None:
    message = sent(clinic)
    for minute in range(5):
        report(of(message, "undeliverable", LATER + timedelta(minutes=minute), "1180"), LATER)
    report(of(message, "delivered", LATER), LATER)

    def job() -> None:
        with app.app_context():
            work(LATER + timedelta(minutes=5))

    threads = [Thread(target=job) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert the_log()["a"].status is Status.DELIVERED
    names = [event for event, _ in steps(the_log()["a"])]
    assert names == ["queued", "sent", "undelivered", "delivered"]


# --- replies --------------------------------------------------------------------------------------------------


@pytest.fixture
def a_reply() -> dict[str, Any]:
    return {
        "message_uuid": "r-1",
        "timestamp": "2031-05-07T00:00:00Z",
        "from": "61491570006",
        "to": "614",
        "text": "Y",
    }


def test_a_reply_is_handed_on(clinic: Clinic, a_reply: dict[str, Any]) -> None:
    report(a_reply, PASS_AT, EventKind.INBOUND)
    taken: list[Any] = []

    def take(event: Any, now: Any) -> Any:
        taken.append(dict(event))
        return clinic.practice  # anything with what it was made into

    worked = work_on_events(PASS_AT, take)
    assert (taken, len(worked.replies)) == ([a_reply], 1)
    assert work_on_events(PASS_AT, take).events == 0


def test_a_reply_that_cannot_be_taken_is_tried_again_and_stops_nothing(
    clinic: Clinic, a_reply: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    message = sent(clinic)
    report(a_reply, PASS_AT, EventKind.INBOUND)
    report(of(message, "delivered", LATER), LATER)

    def fails(event: Any, now: Any) -> None:
        raise ValueError(event["text"] + " of a patient")

    assert work_on_events(LATER, fails).events == 2
    assert the_log()["a"].status is Status.DELIVERED
    assert "of a patient" not in caplog.text and "A reply could not be taken" in caplog.text
    taken: list[Any] = []
    work_on_events(LATER + timedelta(minutes=1), lambda event, now: taken.append(event))
    assert len(taken) == 1


# --- what is kept ---------------------------------------------------------------------------------------------


def test_what_the_provider_sent_is_forgotten_after_a_month(clinic: Clinic) -> None:
    message = sent(clinic)
    report(of(message, "delivered", LATER), LATER)
    work(LATER)
    assert json.loads(event_of()[0].body)["to"] == "61491570006"
    assert forget_old_events(LATER + KEPT_FOR) == 0
    assert forget_old_events(LATER + KEPT_FOR + timedelta(seconds=1)) == 1
    assert event_of() == []
    assert the_log()["a"].status is Status.DELIVERED
