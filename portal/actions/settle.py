"""Ask the provider's records: for texts in doubt, for receipts that never came, and where no webhook reaches us."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from sqlalchemy.orm import Session

from portal import store
from portal.actions.webhooks import keep_event
from portal.core.receipts import NO_RECORD, Unreadable, parse_receipt
from portal.core.states import Status
from portal.sms.reports import ReportsError
from portal.store.host import POLLED_REPLIES, STALE_WEBHOOK
from portal.store.provider_events import EventKind, EventSource
from portal.store.standing import Asked

# How soon a record appears is not documented: before that, that there is none proves nothing.
SETTLE_AFTER = timedelta(minutes=30)
POLL_AFTER = timedelta(seconds=30)
# Where webhooks arrive, a receipt that has not come by then may have been lost on its way.
MISSED_AFTER = timedelta(hours=6)
DOUBT_FOR = timedelta(days=7)  # asked about no longer
RECEIPTS_FOR = timedelta(hours=72)
# The longer ago it went, the seldomer news is to be expected.
SHORTEST_PAUSE, SHARE_OF_AGE = timedelta(minutes=1), 4
BEFORE, AFTER = timedelta(minutes=10), timedelta(minutes=30)  # how far the provider's time may be from ours
APART, LONGEST = timedelta(minutes=20), timedelta(hours=20)
REPLIES_EVERY, REPLIES_AGAIN, REPLIES_AT_FIRST = timedelta(minutes=2), timedelta(hours=1), timedelta(hours=24)
# Where receipts come by webhook: that no reply has may only mean that nobody has answered.
REPLIES_BESIDE_WEBHOOKS = timedelta(minutes=10)
CATCH_UP = timedelta(days=1)  # after a webhook that came too late to be taken
AT_ONCE = 50_000
MOST_FAILURES = 3
_IN_DOUBT = frozenset({Status.UNKNOWN, Status.QUEUED})  # queued: by staff, again


class Records(Protocol):
    """The provider's, as `sms.reports.Reports` reads them."""

    def list_receipts(self, start: datetime, end: datetime) -> Iterable[Mapping[str, Any]]: ...
    def list_replies(self, start: datetime, end: datetime) -> Iterable[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Way:
    """How reports reach us. `receipt_at`, `reply_at`: when the last came by webhook; the provider has an address for
    each. `is_late`: lately one came too late to be taken. Then, and where none came, we ask."""

    receipt_at: datetime | None
    reply_at: datetime | None
    is_late: bool

    @property
    def asks_for_receipts(self) -> bool:
        return self.receipt_at is None or self.is_late

    @property
    def asks_for_replies(self) -> bool:
        return self.reply_at is None or self.is_late


def find_way(session: Session, now: datetime) -> Way:
    receipt_at = store.provider_events.last_received(session, EventSource.WEBHOOK, EventKind.STATUS)
    reply_at = store.provider_events.last_received(session, EventSource.WEBHOOK, EventKind.INBOUND)
    stale = store.host.find_state(session, STALE_WEBHOOK)
    is_late = stale is not None and now - datetime.fromisoformat(stale["at"]) < CATCH_UP
    return Way(receipt_at, reply_at, is_late)


def is_due(now: datetime) -> bool:
    """Whether there is anything to ask."""
    with store.everything() as session:
        way = find_way(session, now)
        return bool(_due(session, way, now)) or _replies_from(session, way, now) is not None


def ask(now: datetime, records: Records) -> int:
    """Keep what came in and what the records say anew of our texts; returns how many. A job then works on it.

    A question that fails keeps the others from being asked only where several did: then the provider is away. Raises
    the last ReportsError; what was kept stays.
    """
    with store.everything() as session:
        way = find_way(session, now)
        due = _due(session, way, now)
        replies_from = _replies_from(session, way, now)
    questions: list[Callable[[], int]] = []
    if replies_from is not None:  # one may be a STOP
        questions.append(partial(_ask_for_replies, replies_from, records, now))
    # The newest first: what fails again and again is the oldest one day.
    questions += [partial(_ask_about, together, records, now) for together in reversed(list(_windows(due)))]
    kept, failures = 0, []
    for question in questions:
        try:
            kept += question()
        except ReportsError as error:
            failures.append(error)
        if len(failures) == MOST_FAILURES:
            break
    if failures:
        raise failures[-1]
    return kept


def _due(session: Session, way: Way, now: datetime) -> list[Asked]:
    doubtful = store.standing.list_unknown(session, now - DOUBT_FOR, now - SETTLE_AFTER, AT_ONCE)
    after = POLL_AFTER if way.asks_for_receipts else MISSED_AFTER
    again = store.standing.list_queued_again(session, now - DOUBT_FOR, now - SETTLE_AFTER, AT_ONCE)
    without = store.standing.list_without_receipt(session, now - RECEIPTS_FOR, now - after, AT_ONCE)
    return sorted((one for one in [*doubtful, *again, *without] if _is_time(one, now)), key=lambda one: one.since)


def _is_time(one: Asked, now: datetime) -> bool:
    return one.asked_at is None or now - one.asked_at >= max(SHORTEST_PAUSE, (now - one.since) / SHARE_OF_AGE)


def _windows(due: Sequence[Asked]) -> Iterator[list[Asked]]:
    """Those that went at about the same time are asked about together."""
    together: list[Asked] = []
    for one in due:
        if together and (one.since - together[-1].since > APART or one.since - together[0].since > LONGEST):
            yield together
            together = []
        together.append(one)
    if together:
        yield together


def _ask_about(together: Sequence[Asked], records: Records, now: datetime) -> int:
    by_claim = {(one.id, one.claim): one for one in together}
    by_uuid = {one.provider_id: one for one in together if one.provider_id}
    # Of an attempt before; with the number, for another portal counts its messages, too.
    by_number = {(one.id, one.to): one for one in together}
    kept, found = 0, set()
    start, end = min(one.first for one in together) - BEFORE, min(together[-1].since + AFTER, now)
    for body in records.list_receipts(start, end):
        try:
            receipt = parse_receipt(body)
        except Unreadable:
            continue
        one = by_claim.get((receipt.message_id, receipt.claim)) or by_uuid.get(receipt.uuid)  # type: ignore[arg-type]
        one = one or by_number.get((receipt.message_id, receipt.to))  # type: ignore[arg-type]
        if one is None:
            continue
        found.add(one.id)
        if one.status is Status.UNKNOWN or body.get("status") != "submitted":
            kept += _keep(EventKind.STATUS, body, now)
    _note_asked(together, found, now)
    return kept


def _note_asked(together: Sequence[Asked], found: set[int], now: datetime) -> None:
    by_practice: dict[str, list[Asked]] = {}
    for one in together:
        by_practice.setdefault(one.practice_id, []).append(one)
    for practice_id, asked in by_practice.items():
        with store.transaction(practice_id) as session:
            store.practices.lock_practice(session, practice_id)
            store.messages.update_messages(
                session, [{"id": one.id, "practice_id": practice_id, "asked_at": now} for one in asked]
            )
            standing = store.standing.list_standing(session, [one.id for one in asked])
            doubtful = {id_ for id_, row in standing.items() if row.status in _IN_DOUBT}
            event = {"practice_id": practice_id, "at": now, "event": NO_RECORD, "detail": ""}
            store.messages.record_events(
                session,
                [
                    event | {"message_id": one.id}
                    for one in asked
                    if one.id in doubtful and one.id not in found and one.asked_at is None
                ],
            )


def _replies_from(session: Session, way: Way, now: datetime) -> datetime | None:
    """From when on replies are to be asked for; None: it is too soon, or they come by webhook."""
    if not way.asks_for_replies:
        return None
    polled = store.host.find_state(session, POLLED_REPLIES)
    if polled is None:
        return now - REPLIES_AT_FIRST
    until = datetime.fromisoformat(polled["until"])
    every = REPLIES_EVERY if way.asks_for_receipts else REPLIES_BESIDE_WEBHOOKS
    return until - REPLIES_AGAIN if now - until >= every else None


def _ask_for_replies(start: datetime, records: Records, now: datetime) -> int:
    kept = sum(_keep(EventKind.INBOUND, body, now) for body in records.list_replies(start, now))
    with store.everything(write=True) as session:
        store.host.record_state(session, POLLED_REPLIES, {"until": now.isoformat()}, now)
    return kept


def _keep(kind: EventKind, body: Mapping[str, Any], now: datetime) -> bool:
    try:
        return keep_event(kind, EventSource.RECORDS, body, json.dumps(body, sort_keys=True), now)
    except Unreadable:
        return False
