"""A message that will not go: its state and reasons, its credits back, an event that says so."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.core.again import STILL_IN_DOUBT, TAKEN_BACK_BY_STAFF
from portal.core.phrases import plain
from portal.core.reasons import Reason
from portal.core.states import Status


@dataclass(frozen=True, slots=True)
class Stop:
    message_id: int
    status: Status
    reasons: tuple[Reason, ...]
    charged: int  # what was taken for it
    code: str | None = None  # the provider's, or ours for a message that we know it would refuse
    refused: str | None = None  # the fingerprint that is not to be sent again
    keeps_text: bool = False  # what staff wrote: they may want to send it again
    was_in_doubt: bool = False  # staff had sent it again: the patient may have it, so it stands and is paid as before
    taken_back_by: str = ""  # whom of the staff

    @property
    def given_back(self) -> int:
        return 0 if self.was_in_doubt else self.charged

    @property
    def columns(self) -> dict[str, Any]:
        """What the row holds from now on."""
        same = {"next_at": None, "enqueued_at": None, "provider_code": self.code, "refused": self.refused}
        if self.was_in_doubt:
            return same | {"status": Status.UNKNOWN, "reasons": ()}
        return same | {"status": self.status, "reasons": self.reasons, "charged": 0, "claim": None} | self._emptied

    @property
    def event(self) -> str:
        if self.taken_back_by:
            return TAKEN_BACK_BY_STAFF
        return STILL_IN_DOUBT if self.was_in_doubt else self.status.value

    @property
    def detail(self) -> str:
        return plain(self.taken_back_by) or ";".join(self.reasons)

    @property
    def _emptied(self) -> dict[str, None]:
        """A decision not to send leaves no number and no text in the row; a later pass fills in the new ones."""
        if self.status is not Status.NOT_SENT:
            return {}
        return {"to_number": None, "segments": None} | ({} if self.keeps_text else {"body": None})


def stops_of(queued: Iterable[tuple[int, int, bool]], status: Status, reason: Reason) -> list[Stop]:
    """`queued`: (id, credits taken, was it in doubt before), as `store.messages` lists it."""
    return [Stop(id_, status, (reason,), charged, was_in_doubt=was_in_doubt) for id_, charged, was_in_doubt in queued]


def stop_messages(session: Session, practice_id: str, stops: Sequence[Stop], now: datetime) -> None:
    """The caller holds the practice's lock and has seen that each change is legal."""
    rows: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for stop in stops:
        columns = stop.columns
        rows.setdefault(tuple(columns), []).append({"id": stop.message_id, "practice_id": practice_id} | columns)
    for alike in rows.values():
        store.messages.update_messages(session, alike)
    store.messages.record_events(
        session,
        [
            {
                "practice_id": practice_id,
                "message_id": stop.message_id,
                "at": now,
                "event": stop.event,
                "detail": stop.detail,
            }
            for stop in stops
        ],
    )
    give_back(session, practice_id, {stop.message_id: stop.given_back for stop in stops}, now)


def give_back(session: Session, practice_id: str, charged: Mapping[int, int], now: datetime) -> None:
    """Return to the balance what was taken for each message."""
    store.credits.record_of_messages(session, practice_id, charged, now)


def withdraw(session: Session, practice_id: str, appointment_ids: Collection[int], now: datetime) -> int:
    """Withdraw what is still queued for appointments that were cancelled or moved; returns how many.

    A message that is being sent is left: the worker asked before it sent. The caller holds the practice's lock.
    """
    stops = stops_of(store.messages.list_queued_of(session, appointment_ids), Status.CANCELLED, Reason.WITHDRAWN)
    stop_messages(session, practice_id, stops, now)
    return len(stops)
