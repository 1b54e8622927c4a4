"""Staff send a message again, in its own row, where nobody can get it twice by that."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from sqlalchemy.orm import Session

from portal import store
from portal.actions.queue_text import PAUSE, SENT_WITHIN, ToQueue, hours_begin_at, queue_texts, say_wait, say_when
from portal.actions.recipient import Obstacle, find_recipient, obstacles
from portal.actions.remind import fingerprint
from portal.actions.replies import mark_answered_again
from portal.actions.show_message import NoSuchMessage
from portal.actions.take_back import may_take_back
from portal.actions.write import (
    CannotGo,
    MayNotSend,
    Writer,
    begins_before_it_goes,
    list_textable,
    refuse_others_patients,
    say_it_went,
)
from portal.core.again import SENT_AGAIN_BY_STAFF, TAKEN, in_doubt
from portal.core.diagnosis import ON_ITS_WAY
from portal.core.phrases import NEAR, called, moment
from portal.core.reasons import Reason
from portal.core.reminders import Decision, decide
from portal.core.roles import Permission
from portal.core.states import Kind, Status
from portal.core.text import count_parts, values
from portal.core.timing import has_come, local
from portal.core.wording import Words, reasons_in_short
from portal.store.facts import MessageState, Reminder, in_turn
from portal.store.messages import Message
from portal.store.practices import Practice
from portal.store.texts import Text
from portal.store.worklist import state_of

MOST_AT_ONCE = 300
MOST_WAITING = 3
ONCE_ACCOUNT_IS_WELL = "once the provider takes our account again"
_SPEAKS_OF_NOW = timedelta(hours=1)  # what staff wrote; after that they read it anew
_LAST = datetime.max.replace(tzinfo=UTC)


class Changed(ValueError):
    """It stands otherwise than the page showed it."""

    def __init__(self) -> None:
        super().__init__("It has changed since you opened the page. Look again.")


class Resendable(Protocol):
    """A row of the log (`store.communications.Entry`) or of the worklist (`store.worklist.Row`)."""

    @property
    def message(self) -> Message: ...
    @property
    def first_name(self) -> str | None: ...
    @property
    def starts_at(self) -> datetime | None: ...  # of its appointment, as the next two
    @property
    def cancelled_at(self) -> datetime | None: ...
    @property
    def is_of_former_time(self) -> bool: ...
    @property
    def timezone(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Again:
    """`how`: `same-row` by `send_again`; `composer`: by `open_composer` with this message's id, or where there is an
    `appointment_id` with that. `says`: why not, or what to think of first; may be empty. `state`: how the message
    stands, which the form hands over. `is_own_text`: staff wrote it, and spoke of then. `goes_at`: when it goes, by
    the clocks of the patient's business; None: once the pause is over."""

    how: Literal["same-row", "composer", "no"]
    says: str
    needs_confirmation: bool
    state: str
    appointment_id: int | None = None
    is_own_text: bool = False
    goes_at: datetime | None = None

    @property
    def is_safe(self) -> bool:
        """One click may do it, for many at once: nobody has to read it first."""
        return self.how == "same-row" and not self.needs_confirmation and not self.is_own_text


def may_send_again(one: Resendable, practice: Practice, now: datetime, *, is_account_refused: bool = False) -> Again:
    """By what became of it; whether a reason stands in the way now is asked when it is sent. `is_account_refused`: by
    the provider, so that nothing goes out."""
    message, name, state = one.message, called(one.first_name), state_of(one.message)
    zone = one.timezone or "UTC"
    soonest = now + PAUSE
    goes_at = hours_begin_at(practice, zone, soonest)
    if message.kind not in (Kind.REMINDER, Kind.MANUAL) or message.patient_id is None:
        return Again("no", "", False, state)
    if message.status in ON_ITS_WAY:
        return Again("no", _on_its_way(message, zone, now, is_account_refused), False, state)
    if message.status in TAKEN:
        return Again("composer", say_it_went(message, name, zone, now), False, state)
    if message.appointment_id is not None:
        if one.is_of_former_time:
            return Again("no", "The appointment was moved: its new time has a reminder of its own.", False, state)
        if has_come(one.cancelled_at, now):
            return Again("no", "The appointment is cancelled.", False, state)
        if has_come(one.starts_at, soonest):
            return Again("no", "The appointment has begun: it is too late for its reminder.", False, state)
        if goes_at and has_come(one.starts_at, goes_at):
            return Again("no", begins_before_it_goes(goes_at, name, now).says, False, state)
    if message.status is Status.UNKNOWN:
        return Again("same-row", in_doubt(name), True, state, goes_at=goes_at)
    if Reason.NO_TEMPLATE in message.reasons:
        return Again("composer", "It has no template: write the text.", False, state, message.appointment_id)
    says, is_own_text = "", message.body is not None and (message.own_words or message.kind is Kind.MANUAL)
    if is_own_text and _stopped_at(message) + _SPEAKS_OF_NOW <= now:
        when = moment(local(message.created_at, zone), local(now, zone).date())
        says = f"It was written {when}: see first whether its words still hold."
        return Again("composer", says, False, state, message.appointment_id, is_own_text)
    if Reason.PROVIDER_REFUSED in message.reasons:
        says = "The provider refused it, and does so again unless the number or the text is another by now."
    elif wish := [one for one in message.reasons if one in (Reason.PREFERS_NONE, Reason.PREFERS_EMAIL)]:
        says = f"{reasons_in_short(wish)}: send it only if {name} agrees."
    return Again("same-row", says, False, state, is_own_text=is_own_text, goes_at=goes_at)


def _on_its_way(message: Message, zone: str, now: datetime, is_account_refused: bool) -> str:
    if is_account_refused and _waits_for_account(message, now):
        latest = local(message.deadline_at, zone) if message.deadline_at else None
        by = f", if that is by {say_when(latest, now)}" if latest else ""
        says = f"Nothing goes out until the provider takes our account again. It goes then{by}."
        return f"{says} Until it goes you can take it back." if may_take_back(message) else says
    waits = say_wait(message, zone, now) if may_take_back(message) else ""
    return f"It goes {waits}: until then you can take it back." if waits else "It is on its way."


def _waits_for_account(message: Message, now: datetime) -> bool:
    """Where the provider refuses it. What waits for a later time has that before it."""
    return message.status is Status.QUEUED and not (message.next_at and message.next_at - now >= NEAR)


def _stopped_at(message: Message) -> datetime:
    """Or before, where that is not known."""
    if message.status is Status.EXPIRED and message.deadline_at is not None:
        return message.deadline_at
    return message.claimed_at or message.created_at


def send_again(practice_id: str, message_id: int, state: str, confirmed: bool, writer: Writer, now: datetime) -> int:
    """Queue it in its row and take the credits; returns its id, which the caller enqueues. A text by staff goes as it
    stands, a reminder as its template is now.

    `confirmed`: that the patient may have got it already. Raises MayNotSend, CannotGo, Changed, NoSuchMessage.
    """
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        entry = store.communications.find_entry(session, message_id)
        if entry is None:
            raise NoSuchMessage(message_id)
        one = _find(session, practice, [message_id]).get(message_id)
        refuse_others_patients(session, one.patient_id if one else entry.message.patient_id or 0, writer)
        again = may_send_again(entry, practice, now)
        if again.state != state:
            raise Changed
        if again.how != "same-row":
            raise CannotGo((Obstacle(Words("It cannot be sent again here", again.says)),))
        if again.needs_confirmation and not confirmed:
            raise CannotGo((Obstacle(Words("Tick that the patient may have got it already", again.says)),))
        if one is None:
            raise Changed
        text = _text(one)
        if text is None:
            raise CannotGo(_in_the_way(session, one, (Reason.NO_TEMPLATE,), "", now))
        decision = decide(one.facts, practice.credits + _state(one).charged, text)
        if decision.reasons:
            raise CannotGo(_in_the_way(session, one, decision.reasons, text, now))
        to_queue = _to_queue(one, decision, again.goes_at, now)
        queue_texts(session, practice, [to_queue], writer.who, SENT_AGAIN_BY_STAFF, now)
        if isinstance(one, Text) and entry.message.form_key:  # one to many answers nothing
            mark_answered_again(session, one.patient_id, entry.message.created_at)
    return message_id


def when_it_goes(practice_id: str, message_id: int, now: datetime, *, is_account_refused: bool = False) -> str:
    """Of one that staff have sent: in 10 seconds; at 8am tomorrow; empty where it goes now, or went."""
    with store.reading(practice_id) as session:
        entry = store.communications.find_entry(session, message_id)
    if entry is None:
        return ""
    if is_account_refused and _waits_for_account(entry.message, now):
        return ONCE_ACCOUNT_IS_WELL
    return say_wait(entry.message, entry.timezone or "UTC", now)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A text of staff that has not gone yet. `says`: when it goes, and that it can be taken back until then."""

    message_id: int
    text: str
    says: str


def list_waiting(
    practice_id: str, patient_id: int, now: datetime, *, is_account_refused: bool = False
) -> list[Waiting]:
    """For who writes to the patient: what a colleague has just sent, or they themselves before they pressed Back. The
    newest first, `MOST_WAITING` of them."""
    with store.reading(practice_id) as session:
        found = store.texts.list_waiting(session, patient_id, MOST_WAITING)
    return [
        Waiting(message.id, message.body or "", _on_its_way(message, zone, now, is_account_refused))
        for message, zone in found
    ]


@dataclass(frozen=True, slots=True)
class Resent:
    """`message_ids`: queued, to be enqueued. `on_their_way`: so many went, or go, by another press. `left`:
    (patient's name, why not) of the others. `later`: 8am tomorrow, of each that waits longer than the pause."""

    message_ids: tuple[int, ...]
    left: tuple[tuple[str, str], ...]
    on_their_way: int = 0
    later: tuple[str, ...] = ()


def send_all_again(practice_id: str, messages: Sequence[tuple[int, str]], writer: Writer, now: datetime) -> Resent:
    """Those of the (message id, state) that are safe, by their appointments' starts, as far as the credits go; the
    first MOST_AT_ONCE of them. Raises MayNotSend where the person may send none at all.

    Of a reminder every rule is asked, not only those of staff's own texts: with many at once nobody weighs each
    patient's wish.
    """
    if not {Permission.SEND, Permission.SEND_TO_OWN} & set(writer.permissions):
        raise MayNotSend
    states = dict(messages[:MOST_AT_ONCE])
    to_queue: list[ToQueue] = []
    left: list[tuple[str, str]] = []
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        entries = {entry.message.id: entry for entry in store.communications.list_by_id(session, states)}
        found = _find(session, practice, list(states))
        textable = list_textable(session, {one.patient_id for one in found.values()}, writer)
        credits, on_their_way = practice.credits, 0
        for id_ in sorted(entries, key=lambda id_: _turn(found.get(id_), id_)):
            entry, one = entries[id_], found.get(id_)
            if entry.message.status in ON_ITS_WAY | TAKEN:
                on_their_way += 1
                continue
            again = may_send_again(entry, practice, now)
            why = _why_left(again, states[id_])
            if one is None or why:
                left.append((entry.full_name, why or "It has no text any more"))
                continue
            decision = _decide_among_many(one, credits)
            why = _why_not(one, decision, practice) if one.patient_id in textable else "You may not text this patient"
            if why:
                left.append((entry.full_name, why))
                continue
            credits += _state(one).charged - (decision.parts or 0)
            to_queue.append(_to_queue(one, decision, again.goes_at, now))
        ids = queue_texts(session, practice, to_queue, writer.who, SENT_AGAIN_BY_STAFF, now)
    left += [("", "It is no longer there") for id_ in states if id_ not in entries]
    later = [say_when(one.goes_at, now) for one in to_queue if one.goes_at]
    return Resent(tuple(ids), tuple(left), on_their_way, tuple(later))


def _find(session: Session, practice: Practice, message_ids: Collection[int]) -> dict[int, Reminder | Text]:
    reminders = store.facts.list_of_messages(session, practice, list(message_ids))
    texts = store.texts.list_of_messages(session, practice, set(message_ids) - reminders.keys())
    return {**reminders, **texts}


def _state(one: Reminder | Text) -> MessageState:
    assert one.message is not None  # it was found by its message
    return one.message


def _own_text(one: Reminder | Text) -> str | None:
    """What staff wrote to this patient; None where it is filled from the template."""
    state = _state(one)
    is_own = isinstance(one, Text) or (state.own_words and state.patient_id == one.patient_id)
    return state.body if is_own else None


def _text(one: Reminder | Text) -> str | None:
    own, template = _own_text(one), one.facts.template
    if own is None and template is not None:
        return template.fill(values(one.facts.details))
    return own


def _to_queue(one: Reminder | Text, decision: Decision, goes_at: datetime | None, now: datetime) -> ToQueue:
    state = _state(one)
    return ToQueue(
        state.id,
        one.patient_id,
        decision,
        one.starts_at if isinstance(one, Reminder) else (goes_at or now) + SENT_WITHIN,
        state.charged,
        own_words=_own_text(one) is not None,
        was_in_doubt=state.status is Status.UNKNOWN,
        goes_at=goes_at,
    )


def _in_the_way(
    session: Session, one: Reminder | Text, reasons: Sequence[Reason], text: str, now: datetime
) -> tuple[Obstacle, ...]:
    appointment_id = one.appointment_id if isinstance(one, Reminder) else None
    recipient = find_recipient(session, one.patient_id, now, appointment_id)
    return obstacles(session, recipient, reasons, count_parts(text), now)


# --- many at once -------------------------------------------------------------------------------------------


def _turn(one: Reminder | Text | None, id_: int) -> tuple[bool, datetime, str, int]:
    if isinstance(one, Reminder):
        return (False, *in_turn(one), id_)
    return True, _LAST, "", id_


def _decide_among_many(one: Reminder | Text, credits: int) -> Decision:
    return decide(one.facts, credits + _state(one).charged, _own_text(one))


def _why_left(again: Again, seen: str) -> str:
    if again.state != seen:
        return "It has changed meanwhile"
    if again.is_own_text:
        return again.says or "Staff wrote it: read it before it goes again"
    return "" if again.is_safe else again.says or "It cannot be sent again"


def _why_not(one: Reminder | Text, decision: Decision, practice: Practice) -> str:
    if not decision.reasons and _state(one).refused == fingerprint(decision, practice.sender):
        return "The provider refused it as it is"
    return reasons_in_short(decision.reasons)
