"""Staff take back a text of theirs that has not gone yet."""

from datetime import datetime

from portal import store
from portal.actions.replies import unmark_answered
from portal.actions.show_message import NoSuchMessage
from portal.actions.stop import Stop, stop_messages
from portal.actions.worklist import open_again
from portal.actions.write import Writer, refuse_others_patients
from portal.core.again import TAKEN
from portal.core.reasons import Reason
from portal.core.states import Kind, Status
from portal.store.messages import Message


class TooLate(ValueError):
    """It does not wait; the text says why not."""

    def __init__(self, message: Message) -> None:
        super().__init__(_why_not(message))


def _why_not(message: Message) -> str:
    match message.status:
        case Status.CANCELLED:
            return "It was withdrawn already, and does not go."
        case Status.SENDING:
            return "Too late to take it back: it is being sent at this moment."
        case status if status in TAKEN:
            return "Too late to take it back: it went already."
        case Status.QUEUED:
            return "It was not taken back: it is a reminder, and goes by itself."
    return "It was not taken back: it does not wait any more."


def may_take_back(message: Message) -> bool:
    return message.status is Status.QUEUED and message.written_by is not None


def take_back(practice_id: str, message_id: int, writer: Writer, now: datetime) -> None:
    """Withdraw it; its credits come back. What it answered is unread again, what it stood in the place of is to be
    dealt with again. What the patient may have from an attempt before is in doubt again, and stays paid.

    Raises MayNotSend, NoSuchMessage, TooLate.
    """
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        message = store.messages.find_message(session, message_id)
        if message is None:
            raise NoSuchMessage(message_id)
        refuse_others_patients(session, message.patient_id or 0, writer)
        if not may_take_back(message):
            raise TooLate(message)
        stop = Stop(
            message.id,
            Status.CANCELLED,
            (Reason.WITHDRAWN,),
            message.charged,
            refused=message.refused,
            taken_back_by=writer.who.name,
            was_in_doubt=message.was_in_doubt,
        )
        stop_messages(session, practice_id, [stop], now)
        if message.kind is Kind.MANUAL and message.patient_id is not None:
            unmark_answered(session, message.patient_id, message.created_at)
            open_again(session, message.patient_id, message.created_at, writer.who, now)
