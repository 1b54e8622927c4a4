"""A message that will not go: its state and reasons, its credits back, an event that says so."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.store.credits import EntryKind


@dataclass(frozen=True, slots=True)
class Stop:
    message_id: int
    status: Status
    reasons: tuple[Reason, ...]
    charged: int  # what was taken for it, and now comes back
    code: str | None = None  # the provider's, or ours for a message that we know it would refuse
    refused: str | None = None  # the fingerprint that is not to be sent again
    keeps_text: bool = False  # what staff wrote: they may want to send it again

    @property
    def emptied(self) -> dict[str, None]:
        """A decision not to send leaves no number and no text in the row; a later pass fills in the new ones."""
        if self.status is not Status.NOT_SENT:
            return {}
        return {"to_number": None, "segments": None} | ({} if self.keeps_text else {"body": None})


def stop_messages(session: Session, practice_id: str, stops: Sequence[Stop], now: datetime) -> None:
    """The caller holds the practice's lock and has seen that each change is legal."""
    for emptied in {tuple(stop.emptied) for stop in stops}:
        store.messages.update_messages(
            session,
            [
                {
                    "id": stop.message_id,
                    "practice_id": practice_id,
                    "status": stop.status,
                    "reasons": stop.reasons,
                    "charged": 0,
                    "next_at": None,
                    "enqueued_at": None,
                    "claim": None,
                    "provider_code": stop.code,
                    "refused": stop.refused,
                }
                | stop.emptied
                for stop in stops
                if tuple(stop.emptied) == emptied
            ],
        )
    store.messages.record_events(
        session,
        [
            {
                "practice_id": practice_id,
                "message_id": stop.message_id,
                "at": now,
                "event": stop.status.value,
                "detail": ";".join(stop.reasons),
            }
            for stop in stops
        ],
    )
    give_back(session, practice_id, {stop.message_id: stop.charged for stop in stops}, now)


def give_back(session: Session, practice_id: str, charged: dict[int, int], now: datetime) -> None:
    """Return to the balance what was taken for each message."""
    store.credits.record_entries(
        session,
        [
            {
                "practice_id": practice_id,
                "at": now,
                "kind": EntryKind.REFUND,
                "amount": amount,
                "message_id": message_id,
                "reference": "",
            }
            for message_id, amount in charged.items()
            if amount
        ],
    )


def withdraw(session: Session, practice_id: str, appointment_ids: Collection[int], now: datetime) -> int:
    """Withdraw what is still queued for appointments that were cancelled or moved; returns how many.

    A message that is being sent is left: the worker asked before it sent. The caller holds the practice's lock.
    """
    queued = store.messages.list_queued_of(session, appointment_ids)
    stop_messages(
        session,
        practice_id,
        [Stop(id_, Status.CANCELLED, (Reason.WITHDRAWN,), charged) for id_, charged in queued],
        now,
    )
    return len(queued)
