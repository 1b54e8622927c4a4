"""Texts that come in, as the provider reports them."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from portal import store
from portal.actions.inbound import Taken, take_reply
from portal.actions.remind import run_pass
from portal.core.states import Status
from portal.store.messages import Message
from portal.store.replies import Reply
from tests.builders import PASS_AT, Clinic

SENDER = "+61480000099"
MIA = "+61491570006"
LATER = PASS_AT + timedelta(minutes=30)
_uuids = count()


def an_event(text: str, at: datetime = LATER, *, number: str = MIA, **values: Any) -> dict[str, Any]:
    """As the inbound webhook brings it."""
    defaults = {
        "message_uuid": f"aaaaaaaa-0000-4000-8000-{next(_uuids):012}",
        "to": SENDER[1:],
        "from": number.removeprefix("+"),
        "text": text,
        "timestamp": at.isoformat().replace("+00:00", "Z"),
        "channel": "sms",
        "message_type": "text",
        "sms": {"num_messages": "1"},
    }
    return defaults | values


def comes_in(text: str, at: datetime = LATER, *, number: str = MIA, **values: Any) -> Taken:
    taken = take_reply(an_event(text, at, number=number, **values), max(at, LATER))
    assert taken
    return taken


def reply_of(taken: Taken) -> Reply:
    return find_reply(taken.message_id, taken.practice_id)


def find_reply(message_id: int, practice_id: str = "riverside") -> Reply:
    with store.reading(practice_id) as session:
        found = store.inbox.find_reply(session, message_id)
    assert found
    return found.reply


def message(message_id: int, practice_id: str = "riverside") -> Message:
    with store.reading(practice_id) as session:
        found = store.messages.find_message(session, message_id)
    assert found
    return found


def remind(clinic: Clinic, *ids: str, **values: Any) -> None:
    """Book each, and let the reminders go; they are sent."""
    for id_ in ids:
        clinic.book(id_, **values)
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result and result.queued
    for message_id in result.message_ids:
        clinic.change(message(message_id, clinic.id), status=Status.SENT, sent_at=PASS_AT, next_at=None)
