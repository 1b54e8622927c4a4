"""Record what the provider answered to each attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.account import account_is_well, account_refused
from portal.actions.claim import Attempt
from portal.actions.stop import give_back
from portal.core.again import STILL_IN_DOUBT
from portal.core.reasons import Reason
from portal.core.receipts import Fault, cause
from portal.core.states import Status
from portal.sms.answers import Accepted, AccountRefused, InDoubt, NotReached, Outcome, Refused, Throttled
from portal.store.practices import Practice


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Claimed, and not sent after all. `cause`: what the provider answered to another message, if that is why."""

    cause: Throttled | AccountRefused | None


Answer = Outcome | HeldBack

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)


def record(session: Session, practice: Practice, answers: Sequence[tuple[Attempt, Answer]], now: datetime) -> int:
    """Returns the credits given back. The practice is locked. An answer whose message is no longer in this
    attempt's hands changes nothing."""
    if not answers:
        return 0
    held = store.messages.list_claimed(session, [(attempt.message_id, attempt.claim) for attempt, _ in answers])
    rows: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    events: list[dict[str, Any]] = []
    refunds: dict[int, int] = {}
    for attempt, outcome in answers:
        if attempt.message_id not in held:
            continue
        event, detail, columns = _change(attempt, outcome, now)
        own = {"id": attempt.message_id, "practice_id": practice.id}
        rows.setdefault(tuple(columns), []).append(own | columns)
        if event:
            events.append(
                {"practice_id": practice.id, "message_id": attempt.message_id, "at": now}
                | {"event": event, "detail": detail}
            )
        if columns["status"] is Status.FAILED:
            refunds[attempt.message_id] = attempt.charged
    for alike in rows.values():
        store.messages.update_messages(session, alike)
    store.messages.record_events(session, events)
    give_back(session, practice.id, refunds, now)
    _heed_opt_outs(session, [attempt.message_id for attempt, outcome in answers if _is_opted_out(outcome)], now)
    _judge_the_account(session, [outcome for _, outcome in answers], now)
    return sum(refunds.values())


def _change(attempt: Attempt, answer: Answer, now: datetime) -> tuple[str, str, dict[str, Any]]:
    """The event ("": none), its detail, and the columns to set."""
    match answer:
        case HeldBack(cause):
            # It was not tried: it waits as if it had not been claimed, or for what made it wait.
            waits = ("", "", _queued_again(attempt, now))
            event, detail, columns = waits if cause is None else _change(attempt, cause, now)
            return "" if event == "throttled" else event, detail, columns | {"attempts": attempt.attempts - 1}
        case Accepted(provider_id):
            return "sent", "", {"status": Status.SENT, "sent_at": now, "provider_id": provider_id, "next_at": None}
        case NotReached(code):
            pause = min(FIRST_PAUSE * 2 ** min(attempt.attempts - 1, 20), LONGEST_PAUSE)
            return "not-reached", code, _queued_again(attempt, now + pause)
        case Throttled(retry_after):
            return "throttled", "", _queued_again(attempt, now + timedelta(seconds=retry_after))
        case AccountRefused(code):
            columns = _queued_again(attempt, now) | {"reasons": (Reason.PROVIDER_ACCOUNT,), "provider_code": code}
            return Reason.PROVIDER_ACCOUNT.value, code, columns
        case Refused(code, title):
            detail = ";".join((Reason.PROVIDER_REFUSED.value, code, title))
            columns = {"provider_code": code, "refused": attempt.refused, "next_at": None}
            if attempt.was_in_doubt:  # by the attempt before the patient may have it
                return STILL_IN_DOUBT, detail, columns | {"status": Status.UNKNOWN, "claim": None}
            failed = {"status": Status.FAILED, "reasons": (Reason.PROVIDER_REFUSED,), "charged": 0}
            return "failed", detail, columns | failed
        case InDoubt(code):
            return "unknown", code, {"status": Status.UNKNOWN, "provider_code": code, "next_at": None}


def _queued_again(attempt: Attempt, next_at: datetime) -> dict[str, Any]:
    # In no job any more: the sweep enqueues it when it is due.
    queued = {"status": Status.QUEUED, "next_at": next_at, "enqueued_at": None, "claim": None}
    # What is in doubt since an attempt before is still looked up, and stopped it is in doubt again.
    return queued if attempt.was_in_doubt else queued | {"claimed_at": None}


def _is_opted_out(answer: Answer) -> bool:
    return isinstance(answer, Refused) and cause(answer.code).fault is Fault.OPT_OUT


def _heed_opt_outs(session: Session, message_ids: Sequence[int], now: datetime) -> None:
    if message_ids:
        rows = store.standing.list_standing(session, message_ids).values()
        store.patients.record_carrier_opt_outs(session, {row.to: now for row in rows if row.to}, now)


def _judge_the_account(session: Session, outcomes: Sequence[Answer], now: datetime) -> None:
    """Any answer about a message means that the account is well again."""
    for outcome in outcomes:
        if isinstance(outcome, AccountRefused):
            account_refused(session, outcome.code, now)
            return
    if any(isinstance(outcome, Accepted | Refused) for outcome in outcomes):
        account_is_well(session, now)
