"""The sweeps: what time alone changes, and what Redis may have lost. By the machine's clock."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from portal import store
from portal.actions.account import account_probed, probe_is_due
from portal.actions.stop import stop_messages, stops_of
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.store.messages import Message

# Above the longest send: a worker that was killed may have left a request that is still alive.
LEASE = timedelta(seconds=180)
WAIT_FOR_RECEIPT = timedelta(hours=72)
# A row that is in a job is enqueued again only when that job must have been lost.
ENQUEUED_FOR = timedelta(seconds=120)
AT_ONCE = 10_000
PROBE_CANDIDATES = 100  # the first of them that may go tries the account


def sweep(now: datetime) -> int:
    """Settle what is past its time; returns how many messages changed."""
    return _doubt_lost_attempts(now) + _expire(now) + _give_up_on_receipts(now)


def _doubt_lost_attempts(now: datetime) -> int:
    """An attempt with no answer recorded: the provider may have the message. It is never queued again."""
    return _move(Status.SENDING, Message.claimed_at, now - LEASE, Status.UNKNOWN, "no-answer", now)


def _give_up_on_receipts(now: datetime) -> int:
    return _move(Status.SENT, Message.sent_at, now - WAIT_FOR_RECEIPT, Status.UNCONFIRMED, "no-receipt", now)


def _move(old: Status, column: Any, before: datetime, new: Status, detail: str, now: datetime) -> int:
    """From one state to another what has been in it since `before`, by the instant in `column`."""
    moved = 0
    for practice_id, ids in store.messages.list_stale(old, column, before, AT_ONCE):
        with store.transaction(practice_id) as session:
            store.practices.lock_practice(session, practice_id)
            # Asked again under the lock: it may have been queued and claimed anew meanwhile.
            ids = store.messages.keep_stale(session, ids, old, column, before)
            store.messages.update_messages(
                session, [{"id": id_, "practice_id": practice_id, "status": new} for id_ in ids]
            )
            event = {"practice_id": practice_id, "at": now, "event": new.value, "detail": detail}
            store.messages.record_events(session, [event | {"message_id": id_} for id_ in ids])
        moved += len(ids)
    return moved


def _expire(now: datetime) -> int:
    late = store.messages.list_stale(Status.QUEUED, Message.deadline_at, now, AT_ONCE)
    expired = 0
    for practice_id, ids in late:
        with store.transaction(practice_id) as session:
            store.practices.lock_practice(session, practice_id)
            stops = stops_of(store.messages.list_queued(session, ids), Status.EXPIRED, Reason.DEADLINE_PASSED)
            stop_messages(session, practice_id, stops, now)
            expired += len(stops)
    return expired


def take_due(now: datetime, most: int = AT_ONCE) -> Iterator[tuple[str, list[int], bool]]:
    """(practice, message ids, is it a probe) of queued messages that are due and in no job that we know of.

    Marks them as enqueued: the caller enqueues them. While the provider refuses our account there is at most
    one job, a probe, when one is due.
    """
    with store.everything(write=True) as session:
        probe = probe_is_due(session, now)
        if probe is False:
            return
        if probe:
            account_probed(session, now)  # before any message is locked, as the workers do it last
        due = store.messages.list_unenqueued(session, now, now - ENQUEUED_FOR, PROBE_CANDIDATES if probe else most)
        if probe:
            due = [one for one in due if one[0] == due[0][0]]  # one job, of which one message tries
        store.messages.mark_enqueued(session, [id_ for _, id_ in due], now)
    by_practice: dict[str, list[int]] = {}
    for practice_id, id_ in due:
        by_practice.setdefault(practice_id, []).append(id_)
    for practice_id, ids in by_practice.items():
        yield practice_id, ids, bool(probe)
