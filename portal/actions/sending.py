"""The practice's main switch."""

from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.who import COMMAND_LINE, Who, note_change
from portal.core.phrases import plain
from portal.core.reminders import Sending
from portal.store.changes import SENDING, Subject
from portal.store.practices import Practice

LONGEST_NOTE = 200
TEXTS_PATIENTS = "Tick that patients are really to be texted."


class NotConfirmed(ValueError):
    """What texts patients, or stops their texts, asks first; the text says for what."""


class NotLive(NotConfirmed):
    """The practice rehearses, or was paused before it went live; the text says who may do what."""


def switch_sending_asking(practice_id: str, sending: Sending, *, confirmed: bool, who: Who, now: datetime) -> Sending:
    """As a form does, which goes live by `going_live` only. Raises NotConfirmed, NotLive, NoSuchPractice."""
    if sending is Sending.ON:
        is_changed = resume(practice_id, confirmed=confirmed, who=who, now=now)
        return Sending.PAUSED if is_changed else Sending.ON
    if not confirmed:
        raise NotConfirmed("Tick that no patient is to be texted.")
    return switch_sending(practice_id, sending, now, who)


def pause(practice_id: str, why: str, who: Who, now: datetime) -> bool:
    """Send nothing to anybody until somebody resumes. `why`: one line, or empty. False where it is paused already,
    and stays so as it was said then. Raises NotLive, NoSuchPractice."""
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        if practice.sending is Sending.REHEARSAL:
            raise NotLive("You are rehearsing: nothing is sent, and there is nothing to pause.")
        return switch(session, practice, Sending.PAUSED, who, now, why)


def resume(practice_id: str, *, confirmed: bool, who: Who, now: datetime) -> bool:
    """End a pause; False where somebody has already. Raises NotConfirmed, NotLive, NoSuchPractice."""
    if not confirmed:
        raise NotConfirmed(TEXTS_PATIENTS)
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        if practice.sending is Sending.ON:
            return False
        if not practice.may_resume:
            raise NotLive("The practice has not gone live: its owner does that under Go live.")
        return switch(session, practice, Sending.ON, who, now)


def switch_sending(practice_id: str, sending: Sending, now: datetime, who: Who = COMMAND_LINE) -> Sending:
    """Returns what it was before. Workers ask again before each message, so a pause holds back what is queued.

    Raises NoSuchPractice.
    """
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        before = practice.sending
        switch(session, practice, sending, who, now)
    return before


def switch(session: Session, practice: Practice, sending: Sending, who: Who, now: datetime, why: str = "") -> bool:
    """False where it is so already. The practice is locked."""
    if practice.sending is sending:
        return False
    why = plain(why, LONGEST_NOTE)
    note_change(session, who, now, Subject.PRACTICE, None, SENDING, practice.sending, sending, why)
    practice.switch(sending, now, who.name, why)
    session.flush()
    return True
