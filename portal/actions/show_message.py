"""One message: what happened to it, step by step, and why."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.diagnose import build_case, with_message
from portal.core import wording
from portal.core.diagnosis import Diagnosis, Explained, examine, explain, what_happened
from portal.core.phrases import day_and_time, moment
from portal.core.timing import local
from portal.core.wording import Context
from portal.store.appointments import Appointment
from portal.store.communications import Entry
from portal.store.messages import MessageEvent
from portal.store.practices import Practice


class NoSuchMessage(LookupError):
    def __init__(self, message_id: int) -> None:
        super().__init__(f"There is no message {message_id}.")


@dataclass(frozen=True, slots=True)
class Step:
    at: datetime
    says: str


@dataclass(frozen=True, slots=True)
class Shown:
    """`diagnosis`: what holds now; None where the message is of a time to which the appointment is no longer, or
    of no appointment."""

    entry: Entry
    country: str
    sentence: str
    steps: tuple[Step, ...]
    explained: tuple[Explained, ...]
    diagnosis: Diagnosis | None


def show_message(practice_id: str, message_id: int, now: datetime) -> Shown:
    """Raises NoSuchMessage, NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice = store.practices.get_practice(session, practice_id)
        entry = store.communications.find_entry(session, message_id)
        if entry is None:
            raise NoSuchMessage(message_id)
        message = entry.message
        events = store.messages.list_events(session, [message_id]).get(message_id, [])
        diagnosis, context = None, Context(first_name=entry.first_name or "", patient_id=entry.patient or "")
        if message.appointment_id is not None:
            diagnosis, context = _of_an_appointment(session, practice, message.appointment_id, entry, events, now)
    return Shown(
        entry=entry,
        country=practice.country,
        sentence=_sentence(entry, now),
        steps=tuple(Step(event.at, wording.event(event.event, event.detail)) for event in events),
        explained=diagnosis.explained if diagnosis else explain(message.reasons, context, ()),
        diagnosis=diagnosis,
    )


def _of_an_appointment(
    session: Session, practice: Practice, appointment_id: int, entry: Entry, events: list[MessageEvent], now: datetime
) -> tuple[Diagnosis | None, Context]:
    row = session.get_one(Appointment, appointment_id)
    message = entry.message
    if message.revision == row.revision:
        case = build_case(session, practice, row, message, events, now)
        return examine(case, now), case.context
    newer = store.messages.find_reminder(session, row.id, row.revision)
    context = Context(
        today=local(now, row.timezone).date(),
        first_name=entry.first_name or "",
        patient_id=entry.patient or "",
        moved_to=row.starts_wall,
        newer_message=newer.id if newer else None,
    )
    return None, with_message(context, message, events, row.timezone)


def _sentence(entry: Entry, now: datetime) -> str:
    message, zone = entry.message, entry.timezone
    at = message.sent_at or message.pass_at or message.created_at
    today = (local(now, zone) if zone else now).date()
    visit = day_and_time(entry.starts_wall, today) if entry.starts_wall else ""
    return what_happened(
        message.status,
        entry.full_name,
        "at its former time" if entry.is_of_former_time else visit,
        moment(local(at, zone) if zone else at, today),
        message.reasons,
    )
