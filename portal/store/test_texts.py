"""Texts that staff send to themselves, to see that they arrive, and how."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, select, text
from sqlalchemy.orm import Session

from portal.core.reminders import Facts
from portal.core.states import Kind
from portal.store.facts import MESSAGE_STATE, MessageState
from portal.store.messages import BUT_REMINDERS, Message
from portal.store.patients import list_opt_outs
from portal.store.practices import Practice
from portal.store.replies import facts_of_number


@dataclass(frozen=True, slots=True)
class TestText:
    """One on its way, with what decides on it: of the number only, for it is nobody's whom the portal knows."""

    __test__ = False  # no test of pytest's

    facts: Facts
    message: MessageState

    @property
    def patient_id(self) -> None:
        return None

    @property
    def cancelled_at(self) -> None:
        """As of a reminder's appointment."""
        return None


def facts_of(practice: Practice, number: str, *, is_opted_out: bool) -> Facts:
    """`number`: in E.164, or as it was typed."""
    return replace(facts_of_number(practice, number, is_opted_out=is_opted_out), is_test=True)


def find_facts(session: Session, practice: Practice, number: str) -> Facts:
    """`number`: in E.164."""
    _, opted_out = list_opt_outs(session, (), {number})
    return facts_of(practice, number, is_opted_out=number in opted_out)


def list_of_messages(session: Session, practice: Practice, message_ids: Collection[int]) -> dict[int, TestText]:
    """By message id, of those that have a number."""
    if not message_ids:
        return {}
    rows = session.execute(
        select(*MESSAGE_STATE)
        .where(Message.id.in_(message_ids), Message.kind == Kind.TEST, Message.to.is_not(None))
        .order_by(Message.id)
    ).all()
    states = [MessageState(*state) for (*state,) in rows]
    _, opted_out = list_opt_outs(session, (), {state.to for state in states if state.to})
    return {
        state.id: TestText(facts_of(practice, state.to or "", is_opted_out=state.to in opted_out), state)
        for state in states
    }


def find_last_number(session: Session, user_id: int | None) -> str | None:
    """To which that person sent a test text last, in E.164."""
    return None if user_id is None else session.scalar(_LAST_NUMBER, {"user": user_id})


_LAST_NUMBER = (
    select(Message.to)
    .where(
        Message.kind == Kind.TEST,
        text(f"messages.{BUT_REMINDERS}"),
        Message.written_by_id == bindparam("user"),
        Message.to.is_not(None),
    )
    .order_by(Message.id.desc())
    .limit(1)
)
