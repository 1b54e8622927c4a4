"""The sweeps: what time alone changes, and what Redis may have lost. By the machine's clock."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from portal import store
from portal.actions.account import account_probed, probe_is_due
from portal.actions.stop import Stop, stop_messages
from portal.core.reasons import Reason
from portal.core.states import Status

# Above the longest send: a worker that was killed may have left a request that is still alive.
LEASE = timedelta(seconds=180)
WAIT_FOR_RECEIPT = timedelta(hours=72)
# A row that is in a job is enqueued again only when that job must have been lost.
ENQUEUED_FOR = timedelta(seconds=120)
AT_ONCE = 10_000


def sweep(now: datetime) -> int:
    """Settle what is past its time; returns how many messages changed."""
    return _doubt_lost_attempts(now) + _expire(now) + _give_up_on_receipts(now)


def _doubt_lost_attempts(now: datetime) -> int:
    """An attempt with no answer recorded: the provider may have the message. It is never queued again."""
    lost = store.messages.find_stale(Status.SENDING, store.messages.Message.claimed_at, now - LEASE, AT_ONCE)
    return sum(_move(practice_id, ids, Status.SENDING, Status.UNKNOWN, "no-answer", now) for practice_id, ids in lost)


def _give_up_on_receipts(now: datetime) -> int:
    silent = store.messages.find_stale(Status.SENT, store.messages.Message.sent_at, now - WAIT_FOR_RECEIPT, AT_ONCE)
    return sum(
        _move(practice_id, ids, Status.SENT, Status.UNCONFIRMED, "no-receipt", now) for practice_id, ids in silent
    )


def _move(practice_id: str, ids: list[int], old: Status, new: Status, detail: str, now: datetime) -> int:
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        ids = store.messages.keep_those_in(session, ids, old)
        store.messages.update_messages(
            session, [{"id": id_, "practice_id": practice_id, "status": new} for id_ in ids]
        )
        store.messages.record_events(
            session,
            [
                {
                    "practice_id": practice_id,
                    "message_id": id_,
                    "at": now,
                    "event": new.value,
                    "detail": detail,
                }
                for id_ in ids
            ],
        )
    return len(ids)


def _expire(now: datetime) -> int:
    late = store.messages.find_stale(Status.QUEUED, store.messages.Message.deadline_at, now, AT_ONCE)
    expired = 0
    for practice_id, ids in late:
        with store.transaction(practice_id) as session:
            store.practices.lock_practice(session, practice_id)
            stops = [
                Stop(id_, Status.EXPIRED, (Reason.DEADLINE_PASSED,), charged)
                for id_, charged in store.messages.list_queued(session, ids)
            ]
            stop_messages(session, practice_id, stops, now)
            expired += len(stops)
    return expired


def take_due(now: datetime, most: int = AT_ONCE) -> Iterator[tuple[str, list[int], bool]]:
    """(practice, message ids, is it a probe) of queued messages that are due and in no job that we know of.

    Marks them as enqueued: the caller enqueues them. While the provider refuses our account there is at most
    one, a probe, when one is due.
    """
    with store.everything(write=True) as session:
        probe = probe_is_due(session, now)
        if probe is False:
            return
        due = store.messages.list_unenqueued(session, now, now - ENQUEUED_FOR, 1 if probe else most)
        store.messages.mark_enqueued(session, [id_ for _, id_ in due], now)
        if probe and due:
            account_probed(session, now)
    by_practice: dict[str, list[int]] = {}
    for practice_id, id_ in due:
        by_practice.setdefault(practice_id, []).append(id_)
    for practice_id, ids in by_practice.items():
        yield practice_id, ids, bool(probe)
