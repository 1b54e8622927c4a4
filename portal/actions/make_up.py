"""The reminders that no pass has sent when one should have, sent by a person's word."""

from dataclasses import dataclass
from datetime import datetime

from portal import store
from portal.actions.ahead import read_times
from portal.actions.remind import PassResult, run_pass
from portal.actions.today import find_missed
from portal.actions.who import Who, note_change
from portal.store.changes import Subject


@dataclass(frozen=True, slots=True)
class MadeUp:
    """What the passes did together; `message_ids` are to be enqueued."""

    considered: int
    queued: int
    message_ids: tuple[int, ...]


def make_up(practice_id: str, who: Who, now: datetime) -> MadeUp | None:
    """Run the pass of each hour that was missed today: of the hour that runs, or where the day's hours are over, of
    the last of them. Until 9 PM, when a reminder of that day may still be sent. None where nothing is missed.

    Where cron comes to it at the same moment, either has the hour and nobody is texted twice.
    """
    with store.reading(practice_id) as session:
        practice = store.practices.get_practice(session, practice_id)
        missed = find_missed(read_times(session, practice).clocks, practice, now)
    instants = sorted({one.make_up_at for one in missed if one.make_up_at})
    done: list[tuple[datetime, PassResult]] = []
    for at in instants:
        if result := run_pass(practice_id, at, now):
            done.append((at, result))
    if not done:
        return None
    with store.transaction(practice_id) as session:
        for at, result in done:
            note_change(
                session,
                who,
                now,
                Subject.PRACTICE,
                None,
                "missed reminders",
                "",
                f"{result.queued} for {at.isoformat()}",
            )
    return MadeUp(
        sum(result.considered for _, result in done),
        sum(result.queued for _, result in done),
        tuple(id_ for _, result in done for id_ in result.message_ids),
    )
