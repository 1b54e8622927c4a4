"""A message to many: written down with its texts, which then wait in the queue as every other, and taken back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.actions.broadcast_recipients import (
    NOBODY,
    Decided,
    Draft,
    DraftProblem,
    Place,
    decide_all,
    list_addressees,
    place_of,
    read_draft,
)
from portal.actions.queue_text import ToQueue, queue_texts
from portal.actions.stop import Stop, stop_messages
from portal.actions.who import Who
from portal.actions.write import is_form_key, new_text
from portal.core.again import QUEUED_BY_STAFF
from portal.core.broadcasts import Purpose, deadline, goes_at
from portal.core.numbers import number_to_text
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.core.text import compile_template
from portal.core.timing import local, texting_at
from portal.core.typed_text import tidy
from portal.store.broadcast_people import Addressee
from portal.store.broadcasts import Broadcast

_LOST_AFTER = timedelta(minutes=5)
_MOST_LOST = 20
AT_ONCE = 500  # patients in one transaction: nobody waits long for the practice's lock


class NoSuchBroadcast(store.NotThere):
    def __init__(self) -> None:
        super().__init__("There is no such message to many.")


@dataclass(frozen=True, slots=True)
class Sent:
    """`is_recorded`: every patient was decided on; else the caller enqueues the rest of the work."""

    broadcast_id: int
    is_recorded: bool


def send(practice_id: str, draft: Draft, form_key: str, who: Who, now: datetime) -> Sent:
    """Write it down, decide on each patient as things are now, queue the texts and take their credits. They wait for
    their time. A form sent twice writes once.

    Raises DraftProblem, NoSuchPractice.
    """
    if not is_form_key(form_key):
        raise DraftProblem("text", "The form came without its number: look at it once more, then send it.")
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        if written := store.broadcasts.find_by_form(session, form_key):
            return Sent(written.id, written.recorded_at is not None)
        place = place_of(practice, store.practices.list_businesses(session))
        read = read_draft(place, draft, now)
        whom, zone = draft.whom, place.of(draft.whom).timezone
        if not store.broadcast_people.count(session, whom, now):
            raise DraftProblem("whom", NOBODY)
        broadcast = Broadcast(
            body=tidy(draft.text),
            purpose=read.purpose,
            day=whom.day,
            with_cancelled=whom.with_cancelled,
            seen_since=whom.seen_since,
            business_id=whom.business_id,
            practitioner_id=whom.practitioner_id,
            appointment_type_id=whom.appointment_type_id,
            goes_at=goes_at(read.at, zone, practice.texts_from, practice.texts_until, now),
            form_key=form_key,
            written_at=now,
            written_by=who.name,
            written_by_id=who.user_id,
            reached=0,
            left_out=0,
        )
        session.add(broadcast)
        session.flush()
        _record_some(session, place, broadcast, now)
        return Sent(broadcast.id, broadcast.recorded_at is not None)


@dataclass(frozen=True, slots=True)
class Recorded:
    """`due`: the ids of texts whose time has come already, which the caller enqueues."""

    is_done: bool
    due: Sequence[int]


def record_more(practice_id: str, broadcast_id: int, now: datetime) -> Recorded:
    """Decide on the next so many patients of one that is for very many. Whoever is killed in the midst of it, or does
    it twice, leaves nobody out and texts nobody twice. Raises NoSuchBroadcast, NoSuchPractice."""
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        broadcast = store.broadcasts.find_broadcast(session, broadcast_id)
        if broadcast is None:
            raise NoSuchBroadcast
        if broadcast.recorded_at is not None or broadcast.taken_back_at is not None:
            return Recorded(True, ())
        place = place_of(practice, store.practices.list_businesses(session))
        due = _record_some(session, place, broadcast, now)
        return Recorded(broadcast.recorded_at is not None, due)


def _record_some(session: Session, place: Place, broadcast: Broadcast, now: datetime) -> list[int]:
    """Sets `recorded_at` once nobody is left. The practice is locked."""
    found = _next_addressees(session, place, broadcast, now)
    some = found[:AT_ONCE]
    practice = place.practice
    numbers = {number_to_text(one.facts.numbers, one.facts.countries) for one in some}
    gone = store.broadcasts.list_texts(session, broadcast.id, {number for number in numbers if number})
    decided = list(decide_all(compile_template(broadcast.body), broadcast.purpose, some, practice.credits, gone))
    going = [one for one in decided if one.is_reached and not one.is_shared]
    texts = [_to_queue(place, broadcast, one, now) for one in going]
    who = Who(broadcast.written_by_id, broadcast.written_by)
    ids = queue_texts(session, practice, texts, who, QUEUED_BY_STAFF, now)
    for id_, one in zip(ids, going, strict=True):
        gone[one.decision.to or "", one.decision.text or ""] = id_
    store.broadcasts.record_recipients(session, [_row(practice.id, broadcast.id, one, gone) for one in decided])
    broadcast.reached += sum(one.is_reached for one in decided)
    broadcast.left_out += sum(not one.is_reached for one in decided)
    if len(found) == len(some):
        broadcast.recorded_at = now
    session.flush()
    return [id_ for id_, text in zip(ids, texts, strict=True) if text.goes_at is None or text.goes_at <= now]


def _next_addressees(session: Session, place: Place, broadcast: Broadcast, now: datetime) -> list[Addressee]:
    """Those who are not decided on yet, one more than are taken at once where there are more."""
    whom = broadcast.whom
    if whom.day is None:
        after = store.broadcasts.last_recorded(session, broadcast.id)
        return list_addressees(session, place, whom, now, after, AT_ONCE + 1)
    recorded = store.broadcasts.list_recorded(session, broadcast.id)
    return [one for one in list_addressees(session, place, whom, now) if one.patient_id not in recorded]


def _to_queue(place: Place, broadcast: Broadcast, one: Decided, now: datetime) -> ToQueue:
    """By the clocks of where the patient is seen."""
    practice, zone = place.practice, one.addressee.timezone
    at = texting_at(max(broadcast.goes_at, now), zone, practice.texts_from, practice.texts_until)
    return ToQueue(
        new_text(practice.id, one.addressee.business_id, now, is_marketing=broadcast.purpose is Purpose.MARKETING),
        one.addressee.patient_id,
        one.decision,
        deadline(at, zone, practice.texts_until),
        charged=0,
        own_words=True,
        goes_at=local(at, zone),
    )


def _row(practice_id: str, broadcast_id: int, one: Decided, ids: dict[tuple[str, str], int]) -> dict[str, object]:
    decision = one.decision
    return {
        "practice_id": practice_id,
        "broadcast_id": broadcast_id,
        "patient_id": one.addressee.patient_id,
        "message_id": ids[decision.to or "", decision.text or ""] if one.is_reached else None,
        "reasons": () if one.is_reached else decision.reasons,
    }


def take_back(practice_id: str, broadcast_id: int, who: Who, now: datetime) -> bool:
    """Stop every text of it that still waits; their credits come back. What went has gone. False where nothing waits
    any more. Raises NoSuchBroadcast."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        broadcast = store.broadcasts.find_broadcast(session, broadcast_id)
        if broadcast is None:
            raise NoSuchBroadcast
        if broadcast.taken_back_at is not None:
            return True
        queued = store.broadcasts.list_queued(session, broadcast_id)
        if broadcast.recorded_at is not None and not queued:
            return False
        stops = [
            Stop(
                id_,
                Status.CANCELLED,
                (Reason.WITHDRAWN,),
                charged,
                was_in_doubt=was_in_doubt,
                taken_back_by=who.name,
            )
            for id_, charged, was_in_doubt in queued
        ]
        stop_messages(session, practice_id, stops, now)
        broadcast.taken_back_at, broadcast.taken_back_by = now, who.name
        session.flush()
        return True


def list_unrecorded(now: datetime) -> list[tuple[str, int]]:
    """(practice, id) of those to very many that no job works on any more, as far as we know."""
    return store.broadcasts.list_unrecorded(now - _LOST_AFTER, _MOST_LOST)
