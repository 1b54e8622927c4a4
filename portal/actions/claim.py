"""Claim queued messages for sending, asking once more whether they may go."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from portal import store
from portal.actions.broadcast_family import part
from portal.actions.queue_text import SENT_WITHIN, Later, hours_begin_at, put_off
from portal.actions.remind import fingerprint
from portal.actions.stop import Stop, stop_messages, stops_of
from portal.core.broadcasts import deadline
from portal.core.reasons import Reason
from portal.core.receipts import reference
from portal.core.reminders import Decision, decide
from portal.core.states import Status
from portal.core.timing import has_come
from portal.sms.answers import Refused
from portal.sms.gateway import Outgoing
from portal.store.facts import MessageState, Reminder
from portal.store.practices import Practice
from portal.store.replies import Answer
from portal.store.test_texts import TestText
from portal.store.texts import Text

_Queued = Reminder | Text | Answer | TestText


@dataclass(frozen=True, slots=True)
class Attempt:
    """One message in our hands, to be sent once. `claim` fences its answer."""

    message_id: int
    claim: str
    prepared: Any  # the SDK's message
    ttl_seconds: float
    attempts: int
    charged: int
    refused: str  # what to remember if the provider refuses it
    was_in_doubt: bool


class Preparer(Protocol):
    def prepare(self, outgoing: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message that may go, and what of its row has to change for it."""

    attempt: Attempt
    decision: Decision
    was: MessageState
    sender: str
    patient_id: int | None


def claim(
    session: Session,
    practice: Practice,
    credits: int,
    message_ids: Sequence[int],
    preparer: Preparer,
    now: datetime,
    *,
    is_probe: bool = False,
) -> list[Attempt] | None:
    """Claim those that are queued, due and may go; stop those that may not. The practice is locked;
    `credits` is its balance.

    None where the provider refuses our account, so that nothing is to be claimed.
    """
    if not message_ids:
        return []
    if store.host.find_state(session, store.host.ACCOUNT_REFUSED) and not is_probe:
        return None
    reminders = store.facts.list_of_messages(session, practice, message_ids)
    others = set(message_ids) - reminders.keys()
    texts = store.texts.list_of_messages(session, practice, others)
    answers = store.replies.list_answers(session, practice, others)
    tests = store.test_texts.list_of_messages(session, practice, others)
    token = secrets.token_hex(6)
    queued = store.messages.list_queued(session, others - texts.keys() - answers.keys() - tests.keys())
    stops = stops_of(queued, Status.CANCELLED, Reason.WITHDRAWN)
    to_send: list[_Queued] = [
        *answers.values(),
        *tests.values(),
        *texts.values(),
        *sorted(reminders.values(), key=store.facts.in_turn),
    ]
    ready: list[_Ready] = []
    waiting: list[Later] = []
    parted: list[int] = []  # of a message to many, not the text of all whom it was for any more
    for one in to_send:
        message = one.message
        assert message is not None
        if message.status is not Status.QUEUED or message.next_at is None or message.next_at > now:
            continue
        answer = _after_hours(one, message, practice, now) or _ask_again(
            one, message, practice, credits, token, preparer, now
        )
        if isinstance(answer, Later):
            waiting.append(answer)
        elif isinstance(answer, Stop):
            credits += answer.given_back
            stops.append(answer)
        else:
            credits += message.charged - answer.attempt.charged
            ready.append(answer)
        if isinstance(one, Text) and one.is_to_many and _is_not_theirs_any_more(answer, message):
            parted.append(message.id)
    stop_messages(session, practice.id, stops, now)
    put_off(session, practice.id, waiting, now)
    _take(session, practice, ready, token, now)
    part(session, practice, parted, credits, now)
    return [one.attempt for one in ready]


def _is_not_theirs_any_more(answer: Later | Stop | _Ready, message: MessageState) -> bool:
    """It stops for a reason of its patient's, or goes to another number than was written to."""
    if isinstance(answer, Stop):
        return answer.status is Status.NOT_SENT
    return isinstance(answer, _Ready) and answer.decision.to != message.to


def _after_hours(one: _Queued, message: MessageState, practice: Practice, now: datetime) -> Later | Stop | None:
    """Where staff sent it to a patient, and it would go outside the practice's hours for texts: it waited too
    long."""
    deadline_at = message.deadline_at
    if isinstance(one, Answer | TestText) or not message.written_by:
        return None
    if deadline_at is None or has_come(deadline_at, now):
        return None
    goes_at = hours_begin_at(practice, one.timezone, now)
    if goes_at is None:
        return None
    if isinstance(one, Text):  # a reminder goes until its appointment begins
        sent_by = deadline(goes_at, one.timezone, practice.texts_until) if one.is_to_many else goes_at + SENT_WITHIN
        deadline_at = max(deadline_at, sent_by)
    elif deadline_at <= goes_at:  # which staff learn while they can still call
        queued = (message.id, message.charged, message.was_in_doubt)
        return stops_of([queued], Status.EXPIRED, Reason.DEADLINE_PASSED)[0]
    return Later(message.id, goes_at, deadline_at)


def _ask_again(
    one: _Queued,
    message: MessageState,
    practice: Practice,
    credits: int,
    token: str,
    preparer: Preparer,
    now: datetime,
) -> Stop | _Ready:
    """All reasons but `no-credits`, from the rows as they are now; number and text are as they are now too. What
    staff wrote goes as it stands, to whom they wrote it."""

    def stop(status: Status, *reasons: Reason, code: str | None = None, refused: str | None = None) -> Stop:
        keeps_text = isinstance(one, Text | TestText)
        refused = refused or message.refused
        return Stop(message.id, status, reasons, message.charged, code, refused, keeps_text, message.was_in_doubt)

    own_text = message.body if message.written_by or isinstance(one, Text | Answer | TestText) else None
    is_anothers = own_text is not None and message.patient_id != one.patient_id
    if is_anothers or has_come(one.cancelled_at, now):
        return stop(Status.CANCELLED, Reason.WITHDRAWN)
    if has_come(message.deadline_at, now):
        return stop(Status.EXPIRED, Reason.DEADLINE_PASSED)
    # What was taken for it is its own, however low the balance is; a text that grew needs more.
    decision = decide(one.facts, max(message.charged, credits + message.charged), own_text)
    if decision.reasons or decision.parts is None or decision.to is None or decision.text is None:
        return stop(decision.status, *decision.reasons)
    outgoing = Outgoing(message.id, decision.to, practice.sender, decision.text, reference(message.id, token))
    prepared = preparer.prepare(outgoing)
    same_again = fingerprint(decision, practice.sender)
    if isinstance(prepared, Refused):
        return stop(Status.FAILED, Reason.PROVIDER_REFUSED, code=prepared.code, refused=same_again)
    ttl = (message.deadline_at - now).total_seconds() if message.deadline_at else 0.0
    attempt = Attempt(
        message.id,
        token,
        prepared,
        ttl,
        message.attempts + 1,
        decision.parts,
        same_again,
        message.was_in_doubt,
    )
    return _Ready(attempt, decision, message, practice.sender, one.patient_id)


def _take(session: Session, practice: Practice, ready: Sequence[_Ready], token: str, now: datetime) -> None:
    store.messages.mark_sending(session, [one.attempt.message_id for one in ready], token, now)
    changed = [one for one in ready if _differs(one)]
    store.messages.update_messages(
        session,
        [
            {
                "id": one.attempt.message_id,
                "practice_id": practice.id,
                "patient_id": one.patient_id,
                "sender": one.sender,
                "to_number": one.decision.to,
                "body": one.decision.text,
                "segments": one.decision.parts,
                "charged": one.attempt.charged,
            }
            for one in changed
        ],
    )
    amounts = {one.attempt.message_id: one.was.charged - one.attempt.charged for one in changed}
    # What comes back comes first: no entry takes the balance below zero.
    store.credits.record_of_messages(
        session, practice.id, dict(sorted(amounts.items(), key=lambda item: item[1] < 0)), now
    )


def _differs(one: _Ready) -> bool:
    was, decision = one.was, one.decision
    before = (was.patient_id, was.sender, was.to, was.body, was.charged)
    return before != (one.patient_id, one.sender, decision.to, decision.text, one.attempt.charged)
