"""The practice's main switch."""

from datetime import datetime

from portal import store
from portal.core.reminders import Sending


def switch_sending(practice_id: str, sending: Sending, now: datetime) -> Sending:
    """Returns what it was before. Workers ask again before each message, so a pause holds back what is queued.

    Raises NoSuchPractice.
    """
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        before = practice.sending
        if before is not sending:
            practice.sending = sending
            practice.sending_changed_at = now
            session.flush()
    return before
