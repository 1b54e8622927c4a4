"""What each pass did: the proof that cron runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from portal import store

_STEP = 500


@dataclass(frozen=True, slots=True)
class PassRecord:
    """`businesses`: the export's ids of those whose hours it handled. `considered`: appointments decided."""

    practice: str
    businesses: tuple[str, ...]
    at: datetime
    considered: int
    queued: int
    not_sent: int
    failed: int
    seconds: float


def stream_passes(practice_id: str | None, most: int | None) -> Iterator[PassRecord]:
    """The newest first; of every practice of the host where none is named. No transaction is open while the
    caller holds one."""
    left, before = most, None
    while left is None or left > 0:
        wanted = _STEP if left is None else min(_STEP, left)
        with store.reading(practice_id) if practice_id else store.everything() as session:
            rows = store.passes.list_passes(session, wanted, before)
            businesses = store.passes.list_businesses_of(session, [row.id for row in rows])
        for row in rows:
            yield PassRecord(
                row.practice_id,
                tuple(businesses.get(row.id, ())),
                row.at,
                row.considered,
                row.queued,
                row.not_sent,
                row.failed,
                round(row.seconds, 3),
            )
        if len(rows) < wanted:
            return
        before = rows[-1].id
        left = None if left is None else left - len(rows)
