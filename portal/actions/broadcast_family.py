"""A family's one text of a message to many: where it cannot go to all of them any more, the others get their own."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.actions.queue_text import ToQueue, queue_texts
from portal.actions.who import Who
from portal.actions.write import new_text
from portal.core.again import QUEUED_BY_STAFF
from portal.core.reminders import decide
from portal.core.states import Status
from portal.core.timing import local
from portal.store.broadcasts import Shared
from portal.store.practices import Practice

_SOON = timedelta(seconds=1)  # it is in no job yet: the next run of the script enqueues it


def part(session: Session, practice: Practice, message_ids: Collection[int], credits: int, now: datetime) -> None:
    """These texts stop, or go to another number, for what is their own patient's: an opt-out, a new number. Whom they
    were for as well is decided on anew. The practice is locked; `credits`: its balance."""
    for shared in store.broadcasts.list_shared(session, message_ids) if message_ids else ():
        credits -= _part(session, practice, shared, credits, now)


def _part(session: Session, practice: Practice, shared: Shared, credits: int, now: datetime) -> int:
    """Returns the credits that it took."""
    message, broadcast = shared.message, shared.broadcast
    assert message.body is not None and message.deadline_at is not None  # as it was queued
    texts = {message.to: message.id} if message.status is Status.SENDING and message.to else {}  # by number
    zone, taken = store.practices.list_zones(session).get(message.business_id or 0, "UTC"), 0
    for patient_id, facts in store.texts.list_facts(session, practice, shared.patient_ids).items():
        facts = replace(facts, is_marketing=message.is_marketing)
        decision = decide(facts, credits - taken, message.body)
        to = decision.to or ""
        if decision.reasons and decision.reasons == message.reasons:
            continue  # they wait for the same, with it
        if not decision.reasons and to not in texts:
            row = new_text(practice.id, message.business_id, now, is_marketing=message.is_marketing)
            goes_at, until = local(now + _SOON, zone), message.deadline_at
            text = ToQueue(row, patient_id, decision, until, charged=0, own_words=True, goes_at=goes_at)
            who = Who(broadcast.written_by_id, broadcast.written_by)
            (texts[to],) = queue_texts(session, practice, [text], who, QUEUED_BY_STAFF, now)
            taken += decision.parts or 0
        text_id = texts.get(to)
        reasons = () if text_id else decision.reasons
        store.broadcasts.set_text_of(session, broadcast.id, patient_id, text_id, reasons)
    return taken
