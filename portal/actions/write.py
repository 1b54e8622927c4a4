"""A text that staff write: what stands in its way, what it costs, and its place in the queue."""

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.queue_text import PAUSE, SENT_WITHIN, ToQueue, hours_begin_at, queue_texts, say_when
from portal.actions.recipient import Obstacle, Recipient, find_recipient, obstacles
from portal.actions.remind import identity
from portal.actions.replies import mark_answered
from portal.actions.show_message import NoSuchMessage
from portal.actions.who import Who
from portal.actions.worklist import mark_replaced
from portal.core.again import QUEUED_BY_STAFF, TAKEN, in_doubt, went_already
from portal.core.broadcasts import NotThen, read_time
from portal.core.diagnosis import ON_ITS_WAY
from portal.core.phrases import called, counted, listed, moment
from portal.core.reminders import Preference, decide
from portal.core.roles import Permission
from portal.core.states import Direction, Kind, Status
from portal.core.text import measure
from portal.core.timing import has_come, local
from portal.core.typed_text import in_braces, problem_with, tidy
from portal.core.wording import Words
from portal.store.facts import Found, usable_template
from portal.store.inbox import Row
from portal.store.messages import Message

MOST_UNREAD = 5
_FORM_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass(frozen=True, slots=True)
class Writer:
    """Who sends a text, and what they may. `practitioner_id`: whose own patients they may text, where that is all."""

    who: Who
    permissions: Collection[Permission]
    practitioner_id: int | None = None


class MayNotSend(Exception):
    """Not this person, not to this patient. The text says who may."""

    def __init__(self) -> None:
        super().__init__("You may text the patients of your own appointments. Reception may text every patient.")


class CannotGo(ValueError):
    """Nothing was recorded. The text says why in short, `explained` says more and where to mend it."""

    def __init__(self, explained: tuple[Obstacle, ...]) -> None:
        super().__init__("; ".join(obstacle.words.heading for obstacle in explained))
        self.explained = explained


class TextProblem(ValueError):
    """The text itself is to be changed. The message says how."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a text costs: `parts` are its credits. `units` are septets or UTF-16 units; so many as `left_in_part`
    still fit without another part. `dearest`: the first character that makes it UCS-2. `credits`: the balance."""

    parts: int
    encoding: str  # GSM-7 or UCS-2
    units: int
    dearest: str | None
    credits: int
    left_in_part: int

    @property
    def costs(self) -> str:
        return counted(self.parts, "credit")


@dataclass(frozen=True, slots=True)
class Visit:
    """The appointment whose details fill the placeholders."""

    appointment_id: int
    starts_local: datetime
    timezone: str
    business: str
    appointment_type: str


@dataclass(frozen=True, slots=True)
class Composer:
    """A text about to be sent. `to`: the number that would be texted, E.164; None where there is none. `template_id`:
    the one that filled the text. `stands_in_the_way`: as it is now. `warning`: what to think of first, or empty.
    `is_reminder`: it becomes the reminder of `visit`, at the time that the appointment's `revision` gives. `when`: as
    typed, and `goes`: 8am tomorrow; empty where it goes at once. `unread`: the newest of what the patient wrote, the
    newest first."""

    patient_id: int
    patient: str  # the full name
    first_name: str
    to: str | None
    country: str
    sender: str
    text: str
    templates: tuple[tuple[int, str], ...]  # (id, name) of those that can be used
    template_id: int | None
    visit: Visit | None
    weighed: Weighed
    stands_in_the_way: tuple[Obstacle, ...]
    warning: str
    form_key: str
    is_reminder: bool
    revision: int | None  # None: of no appointment that was asked for
    when: str
    goes: str
    is_marketing: bool
    unread: tuple[Row, ...]


def is_form_key(key: str) -> bool:
    """Whether a form has one, so that it writes once however often it is sent."""
    return _FORM_KEY.fullmatch(key) is not None


def may_text(practice_id: str, patient_id: int, writer: Writer) -> bool:
    """Whether this person may text this patient at all."""
    if Permission.SEND in writer.permissions:
        return True
    with store.reading(practice_id) as session:
        return bool(list_textable(session, [patient_id], writer))


def list_textable(session: Session, patient_ids: Collection[int], writer: Writer) -> set[int]:
    """Those of the patients whom this person may text."""
    if Permission.SEND in writer.permissions:
        return set(patient_ids)
    if Permission.SEND_TO_OWN not in writer.permissions or writer.practitioner_id is None:
        return set()
    return store.texts.list_own_patients(session, writer.practitioner_id, patient_ids)


def refuse_others_patients(session: Session, patient_id: int, writer: Writer) -> None:
    """Raises MayNotSend."""
    if not list_textable(session, [patient_id], writer):
        raise MayNotSend


def weigh(practice_id: str, text: str) -> Weighed:
    """As it would be sent. Any text can be weighed, also one that is too long. Raises NoSuchPractice."""
    with store.reading(practice_id) as session:
        return weigh_text(text, store.practices.get_practice(session, practice_id).credits)


def weigh_text(text: str, credits: int) -> Weighed:
    return weigh_exactly(tidy(text), credits)


def weigh_exactly(text: str, credits: int) -> Weighed:
    """To the letter."""
    measured = measure(text)
    return Weighed(
        measured.parts, measured.encoding, measured.units, measured.dearest, credits, left_in_part=measured.left
    )


# --- the composer -------------------------------------------------------------------------------------------


def open_composer(
    practice_id: str,
    patient_id: int,
    writer: Writer,
    now: datetime,
    *,
    template_id: int | None = None,
    message_id: int | None = None,
    appointment_id: int | None = None,
    text: str | None = None,
    revision: int | None = None,
    when: str = "",
    is_marketing: bool = False,
) -> Composer:
    """`template_id`: filled anew. `message_id`: the same text once more. `appointment_id`: its reminder, now.
    `text`: what was typed already; it goes before the others. `revision`: the appointment's, as the page showed it.
    `when`, `is_marketing`: see `send_text`.

    Raises MayNotSend, NoSuchPatient, NoSuchMessage, NoSuchAppointment.
    """
    with store.reading(practice_id) as session:
        refuse_others_patients(session, patient_id, writer)
        recipient = find_recipient(session, patient_id, now, appointment_id)
        again = _find_sent(session, patient_id, message_id) if message_id is not None else None
        templates = {
            row.id: (row.name, template)
            for row in store.practices.list_templates(session)
            if (template := usable_template(row.body, row.problem))
        }
        reminder = recipient.visit if appointment_id is not None else None
        if reminder and template_id is None and again is None and not _own_text(reminder):
            template_id = reminder.type.reminder_template_id
        chosen = templates.get(template_id or 0)
        filled, left = recipient.fill(chosen[1]) if chosen else ("", ())
        if text is None:
            text = filled or (again and again.body) or (reminder and _own_text(reminder)) or ""
        went = reminder.message if reminder and reminder.message and reminder.message.status in TAKEN else None
        is_reminder = reminder is not None and went is None
        practice, weighed = recipient.practice, weigh_text(text, recipient.practice.credits)
        try:
            goes_at = _goes_at(recipient, "" if is_reminder else when, now)
        except NotThen:  # which is said once it is to be sent
            goes_at = _goes_at(recipient, "", now)
        in_the_way = _in_the_way_of_its_reminder(reminder, revision, goes_at, now) if reminder and is_reminder else ()
        # What is written in the place of marketing needs the patient's consent as well.
        is_marketing = is_marketing or (again is not None and again.is_marketing)
        facts = replace(recipient.facts, is_marketing=is_marketing)
        reasons = decide(facts, practice.credits, tidy(text)).reasons
        in_the_way += obstacles(session, recipient, reasons, weighed.parts, now)
        answers = not (is_reminder or in_the_way)  # what cannot go answers nothing
        unread = store.inbox.list_unread_of(session, patient_id, MOST_UNREAD) if answers else ()
    patient = recipient.patient
    return Composer(
        patient_id=patient_id,
        patient=patient.full_name,
        first_name=patient.first_name,
        to=recipient.to,
        country=practice.country,
        sender=practice.sender,
        text=text,
        templates=tuple((id_, name) for id_, (name, _) in templates.items()),
        template_id=template_id if chosen else None,
        visit=_visit(recipient.visit) if recipient.visit else None,
        weighed=weighed,
        stands_in_the_way=in_the_way,
        warning=_warning(recipient, went or again, [name for name in left if name in text], now),
        form_key=secrets.token_urlsafe(16),
        is_reminder=is_reminder,
        revision=reminder.appointment.revision if reminder else None,
        when=when,
        goes=say_when(goes_at, now),
        is_marketing=is_marketing,
        unread=tuple(unread),
    )


def _find_sent(session: Session, patient_id: int, message_id: int) -> Message:
    message = store.messages.find_message(session, message_id)
    if message is None or message.patient_id != patient_id or message.direction is Direction.INBOUND:
        raise NoSuchMessage(message_id)
    return message


def _goes_at(recipient: Recipient, when: str, now: datetime) -> datetime | None:
    """By the clocks of the patient's business; None for once the pause is over. Raises NotThen."""
    asked, earliest = read_time(when, recipient.zone, now), now + PAUSE
    at = max(asked or earliest, earliest)
    later = hours_begin_at(recipient.practice, recipient.zone, at)
    return later or (local(at, recipient.zone) if asked else None)


def _own_text(visit: Found) -> str | None:
    """What staff wrote to the patient as its reminder before."""
    message = visit.message
    return message.body if message and message.own_words and message.patient_id == visit.patient.id else None


def _visit(found: Found) -> Visit:
    appointment = found.appointment
    return Visit(appointment.id, appointment.starts_wall, appointment.timezone, found.business.name, found.type.name)


def _warning(recipient: Recipient, went: Message | None, left: list[str], now: datetime) -> str:
    name, said = called(recipient.patient.first_name), []
    if went and went.status in TAKEN:
        said.append(say_it_went(went, name, recipient.zone, now))
    if recipient.facts.preference is Preference.NONE:
        said.append(f"{name} wants no reminders; a text that you write goes all the same.")
    if left:
        what = listed([in_braces(placeholder) for placeholder in left])
        said.append(f"{name} has no appointment ahead: write out what is to stand for {what}.")
    return " ".join(said)


def say_it_went(message: Message, name: str, zone: str, now: datetime) -> str:
    """Of one that the provider took: when, by the clocks there, and what to think of before it goes once more."""
    when = moment(local(message.sent_at or message.created_at, zone), local(now, zone).date())
    return went_already(message.status, name, when)


def begins_before_it_goes(goes_at: datetime, name: str, now: datetime) -> Words:
    """The appointment has begun before the practice's hours for texts do."""
    says = f"It would go at {say_when(goes_at, now)}, and the appointment has begun by then: call {name}."
    return Words("No text goes at this hour", says, "See the hours for texts", "/settings/sms")


def _in_the_way_of_its_reminder(
    visit: Found, seen: int | None, goes_at: datetime | None, now: datetime
) -> tuple[Obstacle, ...]:
    """Where the appointment is over, at another time than was `seen`, or begun when the text goes; or its reminder
    not in staff's hands."""
    appointment, message = visit.appointment, visit.message
    name, zone = called(visit.patient.first_name), appointment.timezone
    anew = ("Write another text", f"/patients/{visit.patient.id}/text")
    if has_come(appointment.cancelled_at, now):
        said = Words("The appointment is cancelled", "Nobody is reminded of it.", *anew)
    elif appointment.starts_at <= now + PAUSE:  # or has when the text goes
        said = Words("The appointment has begun", "It is too late for its reminder.", *anew)
    elif seen is not None and seen != appointment.revision:
        moved_to = moment(appointment.starts_wall, local(now, zone).date())
        said = Words(
            f"The appointment was moved to {moved_to} since you opened the page",
            "Look at the text again: it may name the former time.",
        )
    elif message and message.status in ON_ITS_WAY:
        said = Words("Its reminder is on its way", "It is sent by itself.", "Show it", _place(message))
    elif message and message.status is Status.UNKNOWN:
        said = Words("Its reminder is in doubt", in_doubt(name), "Send it again from there", _place(message))
    elif message and message.status in TAKEN:
        went = say_it_went(message, name, zone, now)
        said = Words("Its reminder went already", went, "Show it", _place(message))
    elif goes_at is not None and appointment.starts_at <= goes_at:
        said = begins_before_it_goes(goes_at, name, now)
    else:
        return ()
    return (Obstacle(said),)


def _place(message: Message) -> str:
    return f"/communications/{message.id}"


# --- sending ------------------------------------------------------------------------------------------------


def send_text(
    practice_id: str,
    patient_id: int,
    text: str,
    form_key: str,
    writer: Writer,
    now: datetime,
    *,
    appointment_id: int | None = None,
    revision: int | None = None,
    in_place_of: int | None = None,
    answers: Collection[int] = (),
    when: str = "",
    is_marketing: bool = False,
) -> int:
    """Queue it and take its credits; returns the message's id, which the caller enqueues. A form sent twice writes
    once and returns the same id.

    `appointment_id`: as that appointment's reminder, in its row; `revision`: as the page showed it (None: it was not
    looked at). `in_place_of`: a message that did not reach the patient; it is dealt with by this. `answers`: the
    patient's messages that the page showed. `when`: it is to go, as `core.broadcasts.read_time` takes it; a
    reminder goes once the pause is over. `is_marketing`: it needs the patient's consent.

    Raises MayNotSend, CannotGo, TextProblem, NotThen, NoSuchPatient, NoSuchAppointment.
    """
    text = tidy(text)
    problem = problem_with(text)
    if not is_form_key(form_key):
        problem = "The form came without its number: open it anew, and write the text there."
    if problem:
        raise TextProblem(problem)
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        refuse_others_patients(session, patient_id, writer)
        recipient = find_recipient(session, patient_id, now, appointment_id)
        if written := store.texts.find_by_form(session, form_key):
            return _same_again(written, patient_id, text)
        reminder = recipient.visit if appointment_id is not None else None
        goes_at = _goes_at(recipient, "" if reminder else when, now)
        in_the_way = _in_the_way_of_its_reminder(reminder, revision, goes_at, now) if reminder else ()
        former = store.messages.find_message(session, in_place_of) if in_place_of is not None else None
        is_marketing = is_marketing or (former is not None and former.is_marketing)
        decision = decide(replace(recipient.facts, is_marketing=is_marketing), practice.credits, text)
        in_the_way += obstacles(session, recipient, decision.reasons, measure(text).parts, now)
        if in_the_way:
            raise CannotGo(in_the_way)
        if reminder is None:
            row: int | dict[str, object] = new_text(
                practice_id, recipient.business_id, now, is_marketing=is_marketing
            )
            deadline_at = (goes_at or now) + SENT_WITHIN
        else:
            row = reminder.message.id if reminder.message else _new_reminder(reminder, now)
            deadline_at = reminder.appointment.starts_at
        to_queue = ToQueue(row, patient_id, decision, deadline_at, charged=0, own_words=True, goes_at=goes_at)
        ids = queue_texts(session, practice, [to_queue], writer.who, QUEUED_BY_STAFF, now, form_key=form_key)
        if reminder is None:  # which answers nothing
            mark_answered(session, patient_id, answers, writer.who, now)
        if in_place_of is not None:
            mark_replaced(session, in_place_of, patient_id, writer.who, now)
    return ids[0]


def _same_again(written: Message, patient_id: int, text: str) -> int:
    """What the form has sent. Raises CannotGo where it comes back with something else."""
    if written.patient_id == patient_id and written.body in (None, text):
        return written.id
    says = "It went with other words. To send these too, copy them into a new text."
    raise CannotGo((Obstacle(Words("This form was sent already", says, "Show what was sent", _place(written))),))


def new_text(practice_id: str, business_id: int | None, now: datetime, *, is_marketing: bool) -> dict[str, object]:
    """What the row of a text by staff holds from its first writing on."""
    return {
        "practice_id": practice_id,
        "direction": Direction.OUTBOUND,
        "kind": Kind.MANUAL,
        "business_id": business_id,
        "is_marketing": is_marketing,
        "created_at": now,
        "attempts": 0,
    }


def _new_reminder(visit: Found, now: datetime) -> dict[str, object]:
    one = visit.reminder
    return identity(visit.practice.id, one.business_id, one.patient_id, one.appointment_id, one.revision, now)
