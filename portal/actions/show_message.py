"""One message: what happened to it, step by step, and why."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.diagnose import with_message
from portal.actions.explain import Explanation, explain_found
from portal.actions.queue_text import say_when, waits_until
from portal.actions.recipient import Recipient, context_of, find_person
from portal.core import wording
from portal.core.again import BY_STAFF
from portal.core.diagnosis import Explained, checks, explain, what_happened
from portal.core.phrases import NEAR, day_and_time, moment
from portal.core.reasons import Reason
from portal.core.receipts import NO_RECORD
from portal.core.reminders import NOT_ASKED_OF_STAFF
from portal.core.roles import Permission
from portal.core.states import Kind, Status
from portal.core.timing import local
from portal.core.wording import Context
from portal.store.appointments import Appointment
from portal.store.communications import Entry
from portal.store.facts import Found
from portal.store.messages import Message, MessageEvent
from portal.store.worklist import DealtWith, state_of


class NoSuchMessage(store.NotThere):
    def __init__(self, message_id: int) -> None:
        super().__init__(f"There is no message {message_id}.")


@dataclass(frozen=True, slots=True)
class Step:
    """`code`: the event and its detail as they are kept, for support."""

    at: datetime
    says: str
    code: str


@dataclass(frozen=True, slots=True)
class Shown:
    """`explanation`: why, what holds now and what mends it; None where the message is of a time to which the
    appointment is no longer, or of no appointment. Then `explained` says why, as it was recorded. `left`: who said to
    leave it as it is, where it is in doubt."""

    entry: Entry
    country: str
    sentence: str
    steps: tuple[Step, ...]
    explained: tuple[Explained, ...]
    explanation: Explanation | None
    left: DealtWith | None


def show_message(practice_id: str, message_id: int, now: datetime, allowed: Collection[Permission]) -> Shown:
    """`allowed`: what the reader may do. Raises NoSuchMessage, NoSuchPractice."""
    with store.reading(practice_id) as session:
        found = store.facts.find(session, Message.id == message_id)
        if found is not None:
            explanation = explain_found(session, found, now, allowed)
            left = _find_left(session, _entry(found).message)
            return _shown(_entry(found), found.practice.country, explanation.events, (), explanation, left, now)
        entry = store.communications.find_entry(session, message_id)
        if entry is None:
            raise NoSuchMessage(message_id)
        events = store.messages.list_events(session, [message_id]).get(message_id, [])
        message = entry.message
        if message.appointment_id is None and message.patient_id is not None:
            recipient = find_person(session, message.patient_id, now)
            practice, explained = recipient.practice, _explain_text(session, entry, recipient, events, now)
        else:
            practice = store.practices.get_practice(session, practice_id)
            explained = explain(message.reasons, _of_a_former_time(session, entry, events, now), ())
        left = _find_left(session, message)
    return _shown(entry, practice.country, events, explained, None, left, now)


def _find_left(session: Session, message: Message) -> DealtWith | None:
    if message.status is not Status.UNKNOWN:
        return None
    mark = store.worklist.find_mark(session, message.id)
    return mark if mark and mark.state == state_of(message) else None


def _shown(
    entry: Entry,
    country: str,
    events: Sequence[MessageEvent],
    explained: tuple[Explained, ...],
    explanation: Explanation | None,
    left: DealtWith | None,
    now: datetime,
) -> Shown:
    steps = tuple(Step(event.at, wording.event(event.event, event.detail), _code(event)) for event in events)
    return Shown(entry, country, _sentence(entry, events, now), steps, explained, explanation, left)


def _code(event: MessageEvent) -> str:
    return event.event if event.event in BY_STAFF else f"{event.event} {event.detail}".rstrip()


def _entry(found: Found) -> Entry:
    appointment, patient = found.appointment, found.patient
    assert found.message is not None
    return Entry(
        message=found.message,
        appointment=appointment.external_id,
        appointment_revision=appointment.revision,
        starts_wall=appointment.starts_wall,
        starts_at=appointment.starts_at,
        cancelled_at=appointment.cancelled_at,
        patient=patient.external_id,
        first_name=patient.first_name,
        last_name=patient.last_name,
        business=found.business.name,
        timezone=appointment.timezone,
    )


def _explain_text(
    session: Session, entry: Entry, recipient: Recipient, events: Sequence[MessageEvent], now: datetime
) -> tuple[Explained, ...]:
    """Of no appointment: what holds of the patient and the practice now."""
    message = entry.message
    if not message.reasons:
        return ()
    recipient = replace(recipient, zone=entry.timezone or "UTC")
    context = with_message(context_of(session, recipient, message.segments, now), message, events, recipient.zone)
    asked = checks(recipient.facts, recipient.practice.credits, context)
    of_texts = [one for one in asked if one.code not in NOT_ASKED_OF_STAFF | {Reason.NO_CREDITS}]
    return explain(message.reasons, context, of_texts)


def _of_a_former_time(session: Session, entry: Entry, events: Sequence[MessageEvent], now: datetime) -> Context:
    message = entry.message
    context = Context(first_name=entry.first_name or "", patient_id=str(message.patient_id or ""))
    if message.appointment_id is None:
        return context
    row = session.get_one(Appointment, message.appointment_id)
    newer = store.messages.find_reminder(session, row.id, row.revision)
    context = replace(
        context,
        today=local(now, row.timezone).date(),
        moved_to=row.starts_wall,
        newer_message=newer.id if newer else None,
    )
    return with_message(context, message, events, row.timezone)


def _sentence(entry: Entry, events: Sequence[MessageEvent], now: datetime) -> str:
    message, zone = entry.message, entry.timezone
    at = message.sent_at or message.pass_at or message.created_at
    today = (local(now, zone) if zone else now).date()
    goes_at = waits_until(message, zone or "UTC", now)
    visit = day_and_time(entry.starts_wall, today) if entry.starts_wall else ""
    return what_happened(
        message.status,
        (message.written_by or "") if message.kind is Kind.TEST else entry.full_name,
        "at its former time" if entry.is_of_former_time else visit,
        moment(local(at, zone) if zone else at, today),
        message.reasons,
        message.provider_code or "",
        has_no_record=any(event.event == NO_RECORD for event in events),
        # Seconds are told elsewhere: this is read out each time it changes.
        goes=say_when(goes_at, now) if goes_at and goes_at - now >= NEAR else "",
    )
