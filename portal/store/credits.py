"""The ledger of credits. A practice's balance is the sum of its entries; the database itself keeps it so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DDL, CheckConstraint, Index, Integer, Text, bindparam, event, insert, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.store.database import Model, PracticeOwned, belongs_to, row_id, table_of
from portal.store.messages import BILLED_OTHERWISE, Message
from portal.store.types import RowId, UtcDateTime, words


class EntryKind(StrEnum):
    OPENING = "opening"  # the balance a first import brings
    TOP_UP = "top-up"
    CORRECTION = "correction"
    MESSAGE = "message"  # taken for a message
    REFUND = "refund"  # given back for a message that did not go


class CreditEntry(PracticeOwned, Model):
    """`amount` is signed. An entry is never changed or deleted (a trigger refuses)."""

    __tablename__ = "credit_entries"

    id: Mapped[int] = row_id()
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[EntryKind] = mapped_column(words(EntryKind))
    amount: Mapped[int]
    message_id: Mapped[int | None] = mapped_column(RowId)
    reference: Mapped[str] = mapped_column(Text, default="")

    __table_args__ = (
        belongs_to("message_id", "messages"),
        CheckConstraint(
            "(kind = 'message' AND amount < 0 AND message_id IS NOT NULL)"
            " OR (kind = 'refund' AND amount > 0 AND message_id IS NOT NULL)"
            " OR (kind = 'top-up' AND amount > 0)"
            " OR kind IN ('opening', 'correction')",
            name="sign",
        ),
        Index("ix_credit_entries_ledger", "practice_id", "id"),
        Index("ix_credit_entries_message", "practice_id", "message_id"),
    )


# Each entry moves the balance with it; no message takes the balance below zero, whoever races; history stands.
TRIGGERS: Mapping[str, tuple[str, ...]] = {
    "sqlite": (
        """
CREATE TRIGGER credit_entries_move_balance AFTER INSERT ON credit_entries BEGIN
  UPDATE practices SET credits = credits + NEW.amount WHERE id = NEW.practice_id;
  SELECT RAISE(ABORT, 'a message would take the balance below zero')
    FROM practices WHERE id = NEW.practice_id AND NEW.kind = 'message' AND credits < 0;
END""",
        """
CREATE TRIGGER credit_entries_stand_update BEFORE UPDATE ON credit_entries BEGIN
  SELECT RAISE(ABORT, 'the ledger is never changed');
END""",
        """
CREATE TRIGGER credit_entries_stand_delete BEFORE DELETE ON credit_entries BEGIN
  SELECT RAISE(ABORT, 'the ledger is never changed');
END""",
    ),
    "postgresql": (
        """
CREATE FUNCTION credit_entries_move_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE balance integer;
BEGIN
  UPDATE practices SET credits = credits + NEW.amount WHERE id = NEW.practice_id RETURNING credits INTO balance;
  IF NEW.kind = 'message' AND balance < 0 THEN
    RAISE EXCEPTION 'a message would take the balance below zero' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$""",
        """
CREATE TRIGGER credit_entries_move_balance AFTER INSERT ON credit_entries
  FOR EACH ROW EXECUTE FUNCTION credit_entries_move_balance()""",
        """
CREATE FUNCTION credit_entries_stand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is never changed' USING ERRCODE = 'check_violation';
END $$""",
        """
CREATE TRIGGER credit_entries_stand BEFORE UPDATE OR DELETE ON credit_entries
  FOR EACH ROW EXECUTE FUNCTION credit_entries_stand()""",
    ),
}

for _dialect, _statements in TRIGGERS.items():
    for _statement in _statements:
        event.listen(
            table_of(CreditEntry),
            "after_create",
            DDL(_statement.replace("%", "%%")).execute_if(dialect=_dialect),
        )


def record_entries(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of practice_id, at, kind, amount, message_id, reference."""
    if rows:
        session.execute(insert(table_of(CreditEntry)), rows)


@dataclass(frozen=True, slots=True)
class Billed:
    """A message for which the provider bills other parts than we took credits for. `price`: in millionths."""

    message_id: int
    charged: int
    parts: int | None
    price: int | None
    currency: str | None
    sent_at: datetime | None


def list_billed_otherwise(session: Session, most: int) -> list[Billed]:
    """What was sent last comes first."""
    return [Billed(*row) for row in session.execute(_BILLED, {"most": most})]


_BILLED = (
    select(
        Message.id,
        Message.charged,
        Message.billed_parts,
        Message.billed_price,
        Message.billed_currency,
        Message.sent_at,
    )
    .where(text(BILLED_OTHERWISE))
    .order_by(Message.sent_at.desc(), Message.id.desc())
    .limit(bindparam("most", type_=Integer))
)


def record_of_messages(session: Session, practice_id: str, amounts: Mapping[int, int], now: datetime) -> None:
    """What is taken for each message (by id; below nothing) or comes back, in this order; no entry for nothing."""
    record_entries(
        session,
        [
            {
                "practice_id": practice_id,
                "at": now,
                "kind": EntryKind.MESSAGE if amount < 0 else EntryKind.REFUND,
                "amount": amount,
                "message_id": message_id,
                "reference": "",
            }
            for message_id, amount in amounts.items()
            if amount
        ],
    )


def list_entries(session: Session, most: int | None, before: int | None = None) -> Sequence[CreditEntry]:
    """The newest first, of those with an id below `before`; all where `most` is None."""
    found = select(CreditEntry).order_by(CreditEntry.id.desc()).limit(most)
    return session.scalars(found if before is None else found.where(CreditEntry.id < before)).all()
