"""The practice's main switch."""

from datetime import datetime

from portal import store
from portal.actions.who import COMMAND_LINE, Who, note_change
from portal.core.reminders import Sending
from portal.store.changes import SENDING, Subject


class NotConfirmed(ValueError):
    """What texts patients, or stops their texts, asks first; the text says for what."""


def switch_sending_asking(practice_id: str, sending: Sending, *, confirmed: bool, who: Who, now: datetime) -> Sending:
    """As a form does. Raises NotConfirmed, NoSuchPractice."""
    if not confirmed:
        says = "patients are really to be texted" if sending is Sending.ON else "no patient is to be texted"
        raise NotConfirmed(f"Tick that {says}.")
    return switch_sending(practice_id, sending, now, who)


def switch_sending(practice_id: str, sending: Sending, now: datetime, who: Who = COMMAND_LINE) -> Sending:
    """Returns what it was before. Workers ask again before each message, so a pause holds back what is queued.

    Raises NoSuchPractice.
    """
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        before = practice.sending
        if before is not sending:
            practice.sending = sending
            practice.sending_changed_at = now
            note_change(session, who, now, Subject.PRACTICE, None, SENDING, before, sending)
            session.flush()
    return before
