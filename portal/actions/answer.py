"""The portal's own answers: the one text that may follow a STOP, its like for START, and HELP."""

from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.core import answers
from portal.core.reminders import decide
from portal.core.states import Direction, Kind, Status
from portal.store.credits import EntryKind
from portal.store.messages import Message
from portal.store.practices import Practice
from portal.store.replies import Reply

_WHERE_DONE = {"stop": "opted-out", "start": "opt-out-lifted"}


def answer(
    session: Session, practice: Practice, reply: Reply, message: Message, did: list[str], now: datetime
) -> tuple[int, ...]:
    """Queue what a reply is answered with, and take its credits; returns what is to be enqueued. The practice is
    locked. What may not go is recorded with its reasons; `did` is told where too many went already."""
    named = answers.ANSWERED.get(reply.meaning)
    # A second STOP has had its answer; two programs would answer each other without an end.
    if named is None or (named in _WHERE_DONE and _WHERE_DONE[named] not in did):
        return ()
    if store.replies.count_answers(session, reply.number, now - answers.DAY) >= answers.MOST_A_DAY:
        did.append("not-answered")
        return ()
    facts = store.replies.facts_of_number(practice, reply.number, is_opted_out=_is_held_back(session, reply))
    decision = decide(facts, practice.credits, _wording(session, practice, message, named))
    is_queued = decision.status is Status.QUEUED
    row = Message(
        direction=Direction.OUTBOUND,
        kind=Kind.AUTO_REPLY,
        business_id=message.business_id,
        patient_id=message.patient_id,
        status=decision.status,
        reasons=decision.reasons,
        sender=practice.sender,
        to=decision.to,
        body=decision.text,
        segments=decision.parts,
        charged=(decision.parts or 0) if is_queued else 0,
        created_at=now,
        pass_at=now,  # it counts towards the patient's texts of the day
        deadline_at=now + answers.KEPT_FOR,
        next_at=now if is_queued else None,
        enqueued_at=now if is_queued else None,
    )
    session.add(row)
    session.flush()
    reply.answer_id = row.id
    store.messages.index_messages(session, [row.id], are_new=True)
    event = {"practice_id": practice.id, "message_id": row.id, "at": now}
    store.messages.record_events(
        session, [event | {"event": decision.status.value, "detail": ";".join(decision.reasons)}]
    )
    did.append("answered" if is_queued else "answer-held-back")
    if not is_queued:
        return ()
    entry = {"practice_id": practice.id, "at": now, "kind": EntryKind.MESSAGE, "amount": -row.charged}
    store.credits.record_entries(session, [entry | {"message_id": row.id, "reference": ""}])
    return (row.id,)


def _is_held_back(session: Session, reply: Reply) -> bool:
    """An opt-out has one confirmation; no other answer goes to whoever wants no texts."""
    return not reply.meaning.opts_out and bool(store.replies.list_holding(session, reply.number))


def _wording(session: Session, practice: Practice, message: Message, named: str) -> str:
    settings = store.replies.find_settings(session)
    own: str | None = getattr(settings, f"{named}_text", None)
    if own:
        return own
    businesses = store.practices.list_businesses(session)
    ours = [one for one in businesses if one.id == message.business_id] or businesses
    return answers.standard(named, practice.name, ours[0].contact_number if ours else "")
