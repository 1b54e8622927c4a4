"""The pass: decide on every reminder that is due and take the credits, all in one transaction."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.core.reasons import Reason
from portal.core.reminders import Decision, decide
from portal.core.states import Direction, Kind, Status
from portal.core.timing import PassHour, appointment_date, deadline, pass_hour, quiet_from
from portal.store.facts import Reminder
from portal.store.messages import DAY_BEFORE
from portal.store.passes import Pass
from portal.store.practices import Practice


@dataclass(frozen=True, slots=True)
class PassResult:
    """What a pass did; `message_ids` are to be enqueued, now that it is committed."""

    considered: int
    queued: int
    not_sent: int
    failed: int
    message_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    reminder: Reminder
    decision: Decision
    status: Status
    reasons: tuple[Reason, ...]


def run_pass(practice_id: str, at: datetime, now: datetime, *, enqueues: bool = True) -> PassResult | None:
    """One pass of a practice over those of its businesses that are due at the instant `at`.

    `now` is the machine's clock; `enqueues`: whether the caller enqueues what is queued. None where other passes
    have handled their hours already, or the day is over.
    """
    started = time.perf_counter()
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        pass_ = Pass(practice_id=practice_id, at=at, started_at=now)
        hours = _claim_hours(session, practice, pass_)
        if not hours:
            session.rollback()
            return None
        days = [
            (business_id, appointment_date(hour.local_date, practice.lead_days))
            for business_id, hour in hours.items()
        ]
        outcomes = list(decide_in_turn(practice, store.facts.list_due(session, practice, days, at)))
        ids = _record(session, practice, outcomes, at, now, now if enqueues else None)
        statuses = [outcome.status for outcome in outcomes]
        pass_.considered = len(outcomes)
        pass_.queued = statuses.count(Status.QUEUED)
        pass_.not_sent = statuses.count(Status.NOT_SENT)
        pass_.failed = statuses.count(Status.FAILED)
        pass_.seconds = time.perf_counter() - started
    return PassResult(pass_.considered, pass_.queued, pass_.not_sent, pass_.failed, tuple(ids))


def _claim_hours(session: Session, practice: Practice, pass_: Pass) -> dict[int, PassHour]:
    """For each business that is due, its hour; claimed for this pass, if no other had it."""
    hours = {
        business.id: hour
        for business in store.practices.list_businesses(session)
        if (hour := pass_hour(pass_.at, business.timezone, practice.window_start))
        # Nothing that it queued would be sent any more: the day is accounted for as one without a pass.
        and pass_.started_at < quiet_from(pass_.at, business.timezone)
    }
    if not hours:
        return {}
    session.add(pass_)
    session.flush()
    return store.passes.claim_hours(session, pass_, hours)


def decide_in_turn(practice: Practice, due: Iterable[Reminder], credits: int | None = None) -> Iterator[Outcome]:
    """Credits go in the order of `due`; a message that does not fit fails, and the next that fits still goes. So do
    the texts that a patient may get in a day.

    `credits`: other than the practice's balance, where some are spoken for.
    """
    credits = practice.credits if credits is None else credits
    queued: Counter[tuple[int, date]] = Counter()
    for reminder in due:
        facts = reminder.facts
        days = reminder.patient_id, facts.details.starts_local.date()
        if queued[days]:
            facts = replace(facts, texts_that_day=facts.texts_that_day + queued[days])
        decision = decide(facts, credits)
        status, reasons = decision.status, decision.reasons
        if status is Status.QUEUED:
            refused = reminder.message and reminder.message.refused
            if refused and refused == fingerprint(decision, practice.sender):
                status, reasons = Status.FAILED, (Reason.PROVIDER_REFUSED,)
            else:
                credits -= decision.parts or 0
                queued[days] += 1
        yield Outcome(reminder, decision, status, reasons)


def fingerprint(decision: Decision, sender: str) -> str:
    """What the provider refused, so that the same is not sent again; nothing can be read from it."""
    return sha256("\0".join((decision.to or "", sender, decision.text or "")).encode()).hexdigest()


def _record(
    session: Session,
    practice: Practice,
    outcomes: Sequence[Outcome],
    at: datetime,
    now: datetime,
    enqueued_at: datetime | None,
) -> list[int]:
    """Write each outcome's row, event and ledger entry; returns the ids of those queued, in order."""
    fresh = [outcome for outcome in outcomes if outcome.reminder.message is None]
    ids = store.messages.record_reminders(
        session,
        [
            _new(practice, outcome.reminder, now) | _decided(practice, outcome, at, now, enqueued_at)
            for outcome in fresh
        ],
    )
    again = [(outcome.reminder.message.id, outcome) for outcome in outcomes if outcome.reminder.message]
    store.messages.update_messages(
        session,
        [
            {"id": message_id, "practice_id": practice.id} | _decided(practice, outcome, at, now, enqueued_at)
            for message_id, outcome in again
        ],
    )
    ids |= {outcome.reminder.appointment_id: message_id for message_id, outcome in again}

    recorded = [(ids[o.reminder.appointment_id], o) for o in outcomes if o.reminder.appointment_id in ids]
    store.messages.record_events(
        session,
        [
            {
                "practice_id": practice.id,
                "message_id": message_id,
                "at": at,
                "event": outcome.status.value,
                "detail": ";".join(outcome.reasons),
            }
            for message_id, outcome in recorded
        ],
    )
    taken = {
        message_id: -(outcome.decision.parts or 0)
        for message_id, outcome in recorded
        if outcome.status is Status.QUEUED
    }
    store.credits.record_of_messages(session, practice.id, taken, now)
    return list(taken)


def identity(
    practice_id: str, business_id: int, patient_id: int, appointment_id: int, revision: int, now: datetime
) -> dict[str, Any]:
    """What a reminder's row holds from its first writing on."""
    return {
        "practice_id": practice_id,
        "direction": Direction.OUTBOUND,
        "kind": Kind.REMINDER,
        "business_id": business_id,
        "patient_id": patient_id,
        "appointment_id": appointment_id,
        "revision": revision,
        "rule": DAY_BEFORE,
        "created_at": now,
        "attempts": 0,
    }


def _new(practice: Practice, reminder: Reminder, now: datetime) -> dict[str, Any]:
    return identity(
        practice.id,
        reminder.business_id,
        reminder.patient_id,
        reminder.appointment_id,
        reminder.revision,
        now,
    )


def _decided(
    practice: Practice, outcome: Outcome, at: datetime, now: datetime, enqueued_at: datetime | None
) -> dict[str, Any]:
    reminder, decision = outcome.reminder, outcome.decision
    queued = outcome.status is Status.QUEUED
    return {
        "status": outcome.status,
        "reasons": outcome.reasons,
        "patient_id": reminder.patient_id,
        "sender": practice.sender if decision.to else None,
        "to_number": decision.to,
        "body": decision.text,
        "segments": decision.parts,
        "charged": decision.parts if queued else 0,
        "pass_at": at,
        "deadline_at": deadline(reminder.starts_at, at, reminder.timezone),
        "next_at": now if queued else None,
        "enqueued_at": enqueued_at if queued else None,
        "claim": None,
        "claimed_at": None,
        # Whoever of the staff had sent it before: it is the practice's reminder again.
        "written_by": None,
        "written_by_id": None,
        "own_words": False,
    }
