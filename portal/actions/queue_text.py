"""Put texts of staff into the queue: their rows, their credits, and who did it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.who import Who
from portal.core.again import PUT_OFF
from portal.core.phrases import coming, plain, time_and_day
from portal.core.reminders import Decision
from portal.core.states import Status
from portal.core.timing import local, texting_at
from portal.store.messages import Message
from portal.store.practices import Practice

# Before a text to one patient goes: who sees at once what is wrong with it can still take it back.
PAUSE = timedelta(seconds=10)
# A text speaks of now: staff learn on the worklist that it did not go, and decide anew.
SENT_WITHIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ToQueue:
    """`row`: the id of the message that goes again, or what a new one holds from its first writing on. `patient_id`:
    None of a test text. `charged`: what is taken for it already. `own_words`: somebody of the staff wrote the text.
    `was_in_doubt`: so far it is. `goes_at`: not before, by the clocks of the patient's business; None: once the
    pause is over."""

    row: int | Mapping[str, Any]
    patient_id: int | None
    decision: Decision
    deadline_at: datetime
    charged: int
    own_words: bool
    was_in_doubt: bool = False
    goes_at: datetime | None = None


def hours_begin_at(practice: Practice, zone: str, then: datetime) -> datetime | None:
    """When the practice's hours for texts by staff next begin, by that zone's clocks; None where it is within them
    then."""
    at = texting_at(then, zone, practice.texts_from, practice.texts_until)
    return local(at, zone) if at > then else None


def waits_until(message: Message, zone: str, now: datetime) -> datetime | None:
    """When a message that is queued goes, by that zone's clocks; None where it goes now, or is not queued."""
    if message.status is not Status.QUEUED or message.next_at is None or message.next_at <= now:
        return None
    return local(message.next_at, zone)


def say_when(goes_at: datetime | None, now: datetime) -> str:
    """8am tomorrow; empty where it goes now."""
    return time_and_day(goes_at, now.astimezone(goes_at.tzinfo).date()) if goes_at else ""


def say_wait(message: Message, zone: str, now: datetime) -> str:
    """in 8 seconds; at 8am tomorrow; empty where it goes now, or is not queued."""
    goes_at = waits_until(message, zone, now)
    return coming(goes_at, now) if goes_at else ""


def queue_texts(
    session: Session,
    practice: Practice,
    texts: Sequence[ToQueue],
    who: Who,
    event: str,
    now: datetime,
    *,
    form_key: str | None = None,
) -> list[int]:
    """Returns their ids, in order; the caller enqueues them. The practice is locked, and each was decided to go.

    One whose time is to come may be enqueued too: it is not sent before, and then the sweep enqueues it."""
    of_form = {} if form_key is None else {"form_key": form_key}
    store.worklist.delete_marks(session, [text.row for text in texts if isinstance(text.row, int)])
    ids = _write(session, practice, texts, [_values(practice, text, who, now) | of_form for text in texts])
    events: list[dict[str, Any]] = []
    for id_, text in zip(ids, texts, strict=True):
        own = {"practice_id": practice.id, "message_id": id_, "at": now}
        events.append(own | {"event": event, "detail": plain(who.name)})
        if text.goes_at and text.goes_at > now:
            events.append(own | _waits(text.goes_at))
    store.messages.record_events(session, events)
    amounts = {id_: text.charged - (text.decision.parts or 0) for id_, text in zip(ids, texts, strict=True)}
    store.credits.record_of_messages(session, practice.id, amounts, now)
    return ids


def _waits(until: datetime) -> dict[str, str]:
    """`until`: by the clocks of the patient's business."""
    return {"event": PUT_OFF, "detail": until.replace(tzinfo=None).isoformat(timespec="minutes")}


@dataclass(frozen=True, slots=True)
class Later:
    """A text that staff queued, and that could not go before the practice's hours for texts were over."""

    message_id: int
    goes_at: datetime  # by the clocks of the patient's business
    deadline_at: datetime


def put_off(session: Session, practice_id: str, texts: Sequence[Later], now: datetime) -> None:
    """They wait for their hours, as they would if they were sent now. The practice is locked."""
    columns = [
        {"id": one.message_id, "next_at": one.goes_at, "enqueued_at": None, "deadline_at": one.deadline_at}
        for one in texts
    ]
    store.messages.update_messages(session, [{"practice_id": practice_id} | row for row in columns])
    store.messages.record_events(
        session,
        [
            {"practice_id": practice_id, "message_id": one.message_id, "at": now} | _waits(one.goes_at)
            for one in texts
        ],
    )


def _write(
    session: Session, practice: Practice, texts: Sequence[ToQueue], values: Sequence[Mapping[str, Any]]
) -> list[int]:
    new = [{**text.row, **row} for text, row in zip(texts, values, strict=True) if not isinstance(text.row, int)]
    latest = max((text.deadline_at for text in texts), default=None)
    ids = iter(store.messages.record_texts(session, new, latest))
    written = []
    for text, row in zip(texts, values, strict=True):
        if isinstance(text.row, int):
            again = {"id": text.row, "practice_id": practice.id, **row}
            store.messages.update_messages(session, [again], sent_by=text.deadline_at)
            written.append(text.row)
        else:
            written.append(next(ids))
    return written


def _values(practice: Practice, text: ToQueue, who: Who, now: datetime) -> dict[str, Any]:
    decision, goes_at = text.decision, text.goes_at or now + PAUSE
    values = {
        "status": Status.QUEUED,
        "reasons": (),
        "patient_id": text.patient_id,
        "sender": practice.sender,
        "to_number": decision.to,
        "body": decision.text,
        "segments": decision.parts,
        "charged": decision.parts,
        "deadline_at": text.deadline_at,
        "next_at": goes_at,
        "enqueued_at": None if goes_at > now else now,
        "claim": None,
        "sent_at": None,
        "provider_id": None,
        "provider_code": None,
        "written_by": who.name,
        "written_by_id": who.user_id,
        "own_words": text.own_words,
        "was_in_doubt": text.was_in_doubt,
    }
    if not text.was_in_doubt:  # since then it is
        values["claimed_at"] = None
    return values
