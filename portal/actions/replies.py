"""What staff do with replies: read them, say whose one is, and set how the portal answers by itself."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.actions.inbound import act_on_appointment, take_back
from portal.actions.who import Who, note_change
from portal.core import answers
from portal.core.accounts import find_address
from portal.core.replies import Meaning
from portal.store.changes import Subject
from portal.store.inbox import Row
from portal.store.practices import Business, Practice
from portal.store.replies import Candidate, Reply, ReplySettings

MOST_SHOWN = 100
_READ_LATELY = timedelta(days=7)
_WHOSE = "patient"


class NoSuchReply(store.NotThere):
    def __init__(self, message_id: int) -> None:
        super().__init__(f"There is no reply {message_id}.")


class NoSuchOptOut(store.NotThere):
    def __init__(self) -> None:
        super().__init__("There is no such opt-out.")


class NotTheirs(ValueError):
    """The patient does not have the number, or no more."""

    def __init__(self) -> None:
        super().__init__("That patient does not have this number any more. Look again.")


@dataclass(frozen=True, slots=True)
class Asked:
    """A reply and the patients who have its number, the likeliest first."""

    row: Row
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Inbox:
    """Unread replies, the newest first: `whose`: several patients have the number, or one has it by now; `unknown`:
    nobody has it. `read`: those of the last days. `unread`: how many there are, also of those not shown."""

    whose: tuple[Asked, ...]
    waiting: tuple[Row, ...]
    unknown: tuple[Row, ...]
    read: tuple[Row, ...]
    unread: int

    @property
    def is_more(self) -> bool:
        return self.unread > MOST_SHOWN

    @property
    def is_empty(self) -> bool:
        return not (self.whose or self.waiting or self.unknown)


def look_at_inbox(practice_id: str, now: datetime) -> Inbox:
    """In three queries, for the newest so many."""
    with store.reading(practice_id) as session:
        unread = store.inbox.list_unread(session, MOST_SHOWN)
        count = store.inbox.count_unread(session) if len(unread) == MOST_SHOWN else len(unread)
        read = store.inbox.list_read_since(session, now - _READ_LATELY, MOST_SHOWN)
        nobodys = [row for row in unread if row.patient is None]
        candidates = store.replies.list_candidates(session, {row.reply.number for row in nobodys}) if nobodys else {}
    return Inbox(
        tuple(Asked(row, tuple(candidates[row.reply.number])) for row in nobodys if row.reply.number in candidates),
        tuple(row for row in unread if row.patient is not None),
        tuple(row for row in nobodys if row.reply.number not in candidates),
        tuple(read),
        count,
    )


def show_reply(practice_id: str, message_id: int) -> Asked:
    """Raises NoSuchReply."""
    with store.reading(practice_id) as session:
        row = store.inbox.find_reply(session, message_id)
        if row is None:
            raise NoSuchReply(message_id)
        candidates = store.replies.list_candidates(session, [row.reply.number])
    return Asked(row, tuple(candidates.get(row.reply.number, ())))


def find_reply_of(practice_id: str, opt_out_id: int) -> int | None:
    """The message that made the opt-out; None where it was recorded otherwise. Raises NoSuchOptOut."""
    with store.reading(practice_id) as session:
        is_there, message_id = store.inbox.find_message_of(session, opt_out_id)
    if not is_there:
        raise NoSuchOptOut
    return message_id


# --- whose it is, and whether it is read ----------------------------------------------------------------------


def give_to(practice_id: str, message_id: int, patient_id: int, who: Who, now: datetime) -> None:
    """It is that patient's; a yes then confirms the patient's appointment. Said otherwise later, that is undone.

    Raises NoSuchReply, NotTheirs.
    """
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        row = _get(session, message_id)
        reply, message = row.reply, row.message
        if message.patient_id == patient_id:
            return
        theirs = store.replies.list_candidates(session, [reply.number]).get(reply.number, [])
        found = next((one for one in theirs if one.patient.id == patient_id), None)
        if found is None:
            raise NotTheirs
        take_back(session, reply)
        message.patient_id = patient_id
        session.flush()
        store.messages.index_messages(session, [message_id])
        did = act_on_appointment(session, reply, patient_id)
        own = {"practice_id": practice.id, "message_id": message_id, "at": now}
        store.messages.record_events(
            session,
            [own | {"event": "given-to", "detail": who.name}, *(own | {"event": one, "detail": ""} for one in did)],
        )
        before = row.patient.external_id if row.patient else ""
        note_change(session, who, now, Subject.MESSAGE, message_id, _WHOSE, before, found.patient.external_id)
        if reply.meaning is Meaning.CONFIRM and "confirmed" in did:
            _mark(reply, who, now)


def mark_read(practice_id: str, message_id: int, who: Who, now: datetime) -> None:
    """Raises NoSuchReply."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        reply = _get(session, message_id).reply
        if reply.read_at is None:
            _mark(reply, who, now)


def mark_unread(practice_id: str, message_id: int) -> None:
    """Raises NoSuchReply."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        _unmark(_get(session, message_id).reply)


def mark_answered(session: Session, patient_id: int, message_ids: Collection[int], who: Who, now: datetime) -> None:
    """Whoever texts the patient has read those of the patient's replies that the form showed. Who cannot come is
    left: the appointment is still to be seen to. The practice is locked."""
    for reply in store.inbox.list_unread_among(session, patient_id, message_ids):
        if not reply.meaning.declines:
            _mark(reply, who, now)


def unmark_answered(session: Session, patient_id: int, written_at: datetime) -> None:
    """What a text answered that was written then and is taken back. `read_by` stays: if the text goes after all, it
    tells what it answers. The practice is locked."""
    for reply in store.inbox.list_read_at(session, patient_id, written_at):
        reply.read_at = None


def mark_answered_again(session: Session, patient_id: int, written_at: datetime) -> None:
    """The text that was written then and taken back goes after all: undoes `unmark_answered`, but for what somebody
    has marked since. The practice is locked."""
    for reply in store.inbox.list_opened_again(session, patient_id, written_at):
        reply.read_at = written_at


def _get(session: Session, message_id: int) -> Row:
    row = store.inbox.find_reply(session, message_id)
    if row is None:
        raise NoSuchReply(message_id)
    return row


def _mark(reply: Reply, who: Who, now: datetime) -> None:
    reply.read_at, reply.read_by, reply.read_by_id = now, who.name, who.user_id


def _unmark(reply: Reply) -> None:
    reply.read_at = reply.read_by = reply.read_by_id = None


# --- how the portal answers -------------------------------------------------------------------------------------

FIELDS = ("stop_text", "start_text", "help_text")


@dataclass(frozen=True, slots=True)
class ShownSettings:
    """`standard`: the portal's own words for each of FIELDS."""

    settings: ReplySettings | None
    standard: dict[str, str]


class SettingsRefused(ValueError):
    """`field`: the form's field that is to be mended. The text says how."""

    def __init__(self, field: str, says: str) -> None:
        super().__init__(says)
        self.field = field


def show_settings(practice_id: str) -> ShownSettings:
    """Raises NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        return ShownSettings(store.replies.find_settings(session), _standard(practice, businesses))


def _standard(practice: Practice, businesses: Sequence[Business]) -> dict[str, str]:
    number = businesses[0].contact_number if businesses else ""
    return {field: answers.standard(field.removesuffix("_text"), practice.name, number) for field in FIELDS}


def change_settings(
    practice_id: str, texts: dict[str, str], forward_to: str, in_full: bool, who: Who, now: datetime
) -> None:
    """Empty texts: the portal's own words. Raises SettingsRefused, NoSuchPractice."""
    kept: dict[str, str | None] = {}
    for field in FIELDS:
        text = texts.get(field, "").replace("\r\n", "\n").strip()
        if problem := answers.problem_with(text):
            raise SettingsRefused(field, problem)
        kept[field] = text or None
    address = find_address(forward_to) if forward_to.strip() else None
    if forward_to.strip() and address is None:
        raise SettingsRefused("forward_to", "That is no email address.")
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        standard = _standard(practice, store.practices.list_businesses(session))
        settings = store.replies.find_settings(session)
        if settings is None:
            settings = ReplySettings(in_full=False)
            session.add(settings)
        for field in FIELDS:
            own = None if kept[field] == standard[field] else kept[field]
            _note(session, who, now, field, getattr(settings, field), own)
            setattr(settings, field, own)
        _note(session, who, now, "forward_to", settings.forward_to, address)
        _note(
            session, who, now, "forward_in_full", *(("yes" if one else "no") for one in (settings.in_full, in_full))
        )
        settings.forward_to, settings.in_full = address, in_full
        session.flush()


def _note(session: Session, who: Who, now: datetime, field: str, before: str | None, after: str | None) -> None:
    note_change(session, who, now, Subject.PRACTICE, None, field, before or "", after or "")
