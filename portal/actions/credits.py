"""A practice's credits: the balance, the ledger, a top-up."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.actions.alarms import weigh_credits_again
from portal.actions.who import COMMAND_LINE, Who, note_change
from portal.errors import describe
from portal.store.changes import CREDITS, Subject
from portal.store.credits import CreditEntry, EntryKind

log = logging.getLogger(__name__)

MOST_AT_ONCE = 1_000_000
_HIGHEST_BALANCE = 1_000_000_000
_LONGEST_REFERENCE = 200
_TWICE = timedelta(minutes=2)


class CreditsRefused(ValueError):
    """The top-up cannot be taken; the text says why. `field`: of a form, where it is to be mended."""

    def __init__(self, says: str, field: str = "amount") -> None:
        super().__init__(says)
        self.field = field


class OnlyTheSysadminGrants(PermissionError):
    """Where one host serves several practices, none of them makes credits for itself."""

    def __init__(self) -> None:
        super().__init__("Credits of this practice are added by the system administrator only: ask for a top-up.")


@dataclass(frozen=True, slots=True)
class Ledger:
    """`entries`: the newest first."""

    balance: int
    entries: Sequence[CreditEntry]


def may_top_up(practice_id: str) -> bool:
    """Whether the practice's owner may: where the host serves no other. The sysadmin always may."""
    with store.reading(practice_id) as session:
        return store.frame.get_frame(session, practice_id).is_alone


def top_up_own(practice_id: str, amount: int, reference: str, now: datetime, who: Who) -> int:
    """As `top_up`, by somebody of the practice. Raises OnlyTheSysadminGrants, too."""
    if not may_top_up(practice_id):
        raise OnlyTheSysadminGrants
    return top_up(practice_id, amount, reference, now, who)


def top_up(practice_id: str, amount: int, reference: str, now: datetime, who: Who = COMMAND_LINE) -> int:
    """By the sysadmin, or on the command line. Returns the new balance. The same by the same person within two
    minutes is a button pressed twice, and added once. Raises CreditsRefused, NoSuchPractice."""
    balance = _add(practice_id, amount, reference, now, who)
    try:
        weigh_credits_again(practice_id, now)
    except Exception as error:  # it is topped up, and the next look at the alarms weighs it
        log.warning("The alarm of the credits was not weighed again: %s", describe(error))
    return balance


def _add(practice_id: str, amount: int, reference: str, now: datetime, who: Who) -> int:
    if not 1 <= amount <= MOST_AT_ONCE:
        raise CreditsRefused(f"A top-up is a whole number from 1 to {MOST_AT_ONCE:,}.")
    if len(reference) > _LONGEST_REFERENCE or not reference.isprintable():
        raise CreditsRefused(f"The reference is one line of at most {_LONGEST_REFERENCE} characters.", "reference")
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        if _is_pressed_twice(session, amount, reference, now, who):
            return practice.credits
        if practice.credits + amount > _HIGHEST_BALANCE:
            raise CreditsRefused(f"The balance would be above {_HIGHEST_BALANCE:,}.")
        entry = {"practice_id": practice_id, "at": now, "kind": EntryKind.TOP_UP, "amount": amount}
        store.credits.record_entries(session, [entry | {"message_id": None, "reference": reference}])
        before = practice.credits
        session.refresh(practice)
        after = practice.credits
        note_change(session, who, now, Subject.PRACTICE, None, CREDITS, str(before), str(after), reference)
        return after


def _is_pressed_twice(session: Session, amount: int, reference: str, now: datetime, who: Who) -> bool:
    last = store.changes.last_change(session, Subject.PRACTICE, None, CREDITS)
    if who.user_id is None or last is None or last.user_id != who.user_id or now - last.at > _TWICE:
        return False
    return int(last.after) - int(last.before) == amount and last.note == reference


def ledger(practice_id: str, most: int | None, before: int | None = None) -> Ledger:
    """The newest entries, of those with an id below `before`; all of them where `most` is None.

    Raises NoSuchPractice.
    """
    with store.reading(practice_id) as session:
        balance = store.practices.get_practice(session, practice_id).credits
        return Ledger(balance, store.credits.list_entries(session, most, before))
