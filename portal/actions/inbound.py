"""A text that came in: whose it is, what it means, and what that changes at once.

The provider may report it twice, late, or after a newer one: each is taken once, and what holds in the end goes by
when they were sent, not by the order in which they came.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.answer import answer
from portal.core.numbers import parse_number
from portal.core.replies import Meaning, read
from portal.core.states import Direction, Kind, Status
from portal.core.text import count_parts
from portal.store.messages import Message
from portal.store.patients import OptOut, OptOutSource
from portal.store.practices import Practice
from portal.store.replies import Reply

LONGEST_TEXT = 5_000  # characters; more than any phone sends
PORTAL = "the portal"
# Vonage reports for a day and more; an instant further off is not to be believed.
_LATEST_REPORT = timedelta(days=3)
_DIGITS = re.compile(r"\+?([1-9]\d{6,14})")
_CANNOT_BE_KEPT = re.compile("[\x00\ud800-\udfff]")
_BACK = (Meaning.START,)
_OUT = (Meaning.STOP, Meaning.CANCEL)
_DECLINES = (Meaning.DECLINE, Meaning.CANCEL)


@dataclass(frozen=True, slots=True)
class Taken:
    """`message_id`: the reply's row in the log. `to_send`: answers that are queued, to be enqueued by the caller.
    `is_forwarded`: the practice wants it by mail; the caller enqueues that too."""

    practice_id: str
    message_id: int
    to_send: tuple[int, ...]
    is_forwarded: bool


@dataclass(frozen=True, slots=True)
class _Came:
    provider_id: str
    number: str  # E.164, or as the provider names it
    to: str
    text: str
    at: datetime
    parts: int


def take_reply(event: Mapping[str, Any], now: datetime) -> Taken | None:
    """Record a text that the provider reports: `message_uuid, to, from, text, timestamp, sms{num_messages}`.

    May run twice, and in any order with others: None where it is recorded already, where no practice has the number
    that it came to, or where the event names no sender.
    """
    came = _read_event(event, now)
    if came is None:
        return None
    with store.everything() as session:
        practice_id = store.replies.find_practice_id(session, came.to, came.number)
        is_ours = store.replies.is_a_sender(session, came.number)
    if practice_id is None:
        return None
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        if store.replies.is_taken(session, came.provider_id):
            return None
        reply, message = _record(session, came)
        store.patients.lift_out_of_service(session, [came.number])
        did = _act_on_number(session, reply)
        did += act_on_appointment(session, reply, message.patient_id)
        to_send = () if is_ours else answer(session, practice, reply, message, did, now)
        if _leaves_nothing_to_do(reply, message, did):
            reply.read_at, reply.read_by = now, PORTAL
        _note(session, practice, message, did, reply.at)
        settings = store.replies.find_settings(session)
        session.flush()
    return Taken(practice_id, message.id, to_send, bool(settings and settings.forward_to))


def _read_event(event: Mapping[str, Any], now: datetime) -> _Came | None:
    provider_id, number, to = (_line(event.get(name)) for name in ("message_uuid", "from", "to"))
    if not (provider_id and number and to):
        return None
    text = event.get("text")
    text = _CANNOT_BE_KEPT.sub("\ufffd", text)[:LONGEST_TEXT] if isinstance(text, str) else ""
    sms = event.get("sms")
    parts = sms.get("num_messages") if isinstance(sms, Mapping) else None
    is_counted = isinstance(parts, str | int) and str(parts).isdecimal() and 0 < int(parts) < 100
    return _Came(
        provider_id,
        _as_number(number),
        _as_number(to),
        text,
        _instant(event.get("timestamp"), now),
        int(parts) if is_counted and parts is not None else count_parts(text),
    )


def _line(value: Any) -> str:
    return _CANNOT_BE_KEPT.sub("", value).strip()[:100] if isinstance(value, str) else ""


def _as_number(named: str) -> str:
    """E.164 where it is a number: the provider leaves out the plus sign. A short code or a name stays as it is."""
    digits = _DIGITS.fullmatch(named)
    return (parse_number(f"+{digits[1]}", "").e164 or f"+{digits[1]}") if digits else named


def _instant(timestamp: Any, now: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(timestamp)
    except (TypeError, ValueError):
        return now
    at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    return at if now - _LATEST_REPORT <= at <= now else now


def _record(session: Session, came: _Came) -> tuple[Reply, Message]:
    """Where several patients have the number, or none, staff say whose it is."""
    candidates = store.replies.list_candidates(session, [came.number]).get(came.number, [])
    likeliest = candidates[0] if candidates else None
    message = Message(
        direction=Direction.INBOUND,
        kind=Kind.REPLY,
        business_id=likeliest.message.business_id if likeliest and likeliest.message else None,
        patient_id=likeliest.patient.id if likeliest and len(candidates) == 1 else None,
        status=Status.RECEIVED,
        reasons=(),
        sender=came.number,
        to=came.to,
        body=came.text,
        segments=came.parts,
        created_at=came.at,
        provider_id=came.provider_id,
    )
    session.add(message)
    session.flush()
    store.messages.index_messages(session, [message.id], are_new=True)
    reply = Reply(message_id=message.id, number=came.number, meaning=read(came.text), at=came.at)
    session.add(reply)
    session.flush()
    return reply, message


# --- what it changes ------------------------------------------------------------------------------------------


def _act_on_number(session: Session, reply: Reply) -> list[str]:
    """Opt-outs bind the number, whoever has it. At one instant a stop outweighs a start. Returns what was done."""
    holding = store.replies.list_holding(session, reply.number)
    if reply.meaning.opts_out:
        if store.replies.has_later(session, reply.number, _BACK, reply.at):
            return ["start-came-later"]
        known = [one for one in holding if one.source is OptOutSource.REPLY]
        if known:
            known[0].recorded_at = max(known[0].recorded_at, reply.at)
            return ["opted-out-already"]
        opt_out = OptOut(source=OptOutSource.REPLY, e164=reply.number, recorded_at=reply.at)
        session.add(opt_out)
        session.flush()
        reply.opt_out_id = opt_out.id
        return ["opted-out"]
    if reply.meaning is Meaning.START:
        lifted = [one for one in holding if one.recorded_at < reply.at]
        for one in lifted:
            one.lifted_at = reply.at
        session.flush()
        return ["opt-out-lifted"] if lifted else ["no-opt-out"]
    return []


def act_on_appointment(session: Session, reply: Reply, patient_id: int | None) -> list[str]:
    """A yes confirms, a no takes that back, whichever was sent later; a yes to a later text of staff's own is for
    them to read. Nothing is ever cancelled by a reply. Returns what was done."""
    if patient_id is None or not (reply.meaning.declines or reply.meaning is Meaning.CONFIRM):
        return []
    appointment = store.replies.find_reminded(session, patient_id, reply.number, reply.at)
    if appointment is None:
        return ["no-appointment"]
    is_yes = reply.meaning is Meaning.CONFIRM
    if is_yes and store.replies.has_staff_texted_since(session, appointment, reply.number, reply.at):
        return ["answers-staff"]
    reply.appointment_id, reply.revision = appointment.id, appointment.revision
    if reply.meaning.declines:
        if appointment.confirmed_at is not None and appointment.confirmed_at <= reply.at:
            appointment.confirmed_at = appointment.confirmed_revision = None
        return ["declined"]
    if store.replies.has_later_about(session, appointment.id, _DECLINES, reply.at):
        return ["declined-later"]
    former = appointment.confirmed_at if appointment.confirmed_revision == appointment.revision else None
    appointment.confirmed_at, appointment.confirmed_revision = max(former or reply.at, reply.at), appointment.revision
    return ["confirmed"]


def take_back(session: Session, reply: Reply) -> None:
    """What a reply did for an appointment, where it is another patient's after all."""
    if reply.appointment_id is None:
        return
    appointment = session.get_one(store.appointments.Appointment, reply.appointment_id)
    if reply.meaning is Meaning.CONFIRM and appointment.confirmed_at == reply.at:
        appointment.confirmed_at = appointment.confirmed_revision = None
    reply.appointment_id = reply.revision = None


def _leaves_nothing_to_do(reply: Reply, message: Message, did: list[str]) -> bool:
    """Whose it is is known, and all that it asks for is done."""
    if message.patient_id is None or reply.meaning is Meaning.CANCEL:
        return False
    return not {"opted-out", "opted-out-already", "start-came-later", "opt-out-lifted", "confirmed"}.isdisjoint(did)


def _note(session: Session, practice: Practice, message: Message, did: list[str], at: datetime) -> None:
    """In the message's timeline."""
    events = [Status.RECEIVED.value, *did]
    own = {"practice_id": practice.id, "message_id": message.id, "at": at, "detail": ""}
    store.messages.record_events(session, [own | {"event": event} for event in events])
