"""Put texts of staff into the queue: their rows, their credits, and who did it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.who import Who
from portal.core.phrases import plain
from portal.core.reminders import Decision
from portal.core.states import Status
from portal.core.timing import texting_at
from portal.store.practices import Practice


@dataclass(frozen=True, slots=True)
class ToQueue:
    """`row`: the id of the message that goes again, or what a new one holds from its first writing on. `charged`:
    what is taken for it already. `own_words`: somebody of the staff wrote the text. `was_in_doubt`: so far it is.
    `goes_at`: not before; None: now."""

    row: int | Mapping[str, Any]
    patient_id: int
    decision: Decision
    deadline_at: datetime
    charged: int
    own_words: bool
    was_in_doubt: bool = False
    goes_at: datetime | None = None


def hours_begin_at(practice: Practice, zone: str, now: datetime) -> datetime | None:
    """When the practice's hours for texts by staff next begin in that zone; None within them: a text goes now."""
    at = texting_at(now, zone, practice.texts_from, practice.texts_until)
    return at if at > now else None


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
    ids = [_write(session, practice, text, who, now, of_form) for text in texts]
    store.messages.record_events(
        session,
        [
            {"practice_id": practice.id, "message_id": id_, "at": now, "event": event, "detail": plain(who.name)}
            for id_ in ids
        ],
    )
    amounts = {id_: text.charged - (text.decision.parts or 0) for id_, text in zip(ids, texts, strict=True)}
    store.credits.record_of_messages(session, practice.id, amounts, now)
    return ids


def _write(
    session: Session, practice: Practice, text: ToQueue, who: Who, now: datetime, of_form: Mapping[str, str]
) -> int:
    decision = text.decision
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
        "next_at": text.goes_at or now,
        "enqueued_at": None if text.goes_at and text.goes_at > now else now,
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
    if not isinstance(text.row, int):
        return store.messages.record_text(session, {**text.row, **values, **of_form})
    row = {"id": text.row, "practice_id": practice.id, **values, **of_form}
    store.messages.update_messages(session, [row], sent_by=text.deadline_at)
    return text.row
