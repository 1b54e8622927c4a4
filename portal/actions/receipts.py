"""Work on what the provider reported: each report to its message, whatever order they come in and however often."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.core.receipts import (
    ALSO_REPORTED,
    EARLIER_ATTEMPT,
    Fault,
    Receipt,
    Reported,
    Standing,
    Unreadable,
    apply,
    cause,
    detail,
    may_be_reported,
    parse_receipt,
)
from portal.core.states import Status
from portal.errors import describe
from portal.store.host import ACCOUNT_REPORTED
from portal.store.provider_events import EventKind, Outcome, ProviderEvent
from portal.store.standing import Standing as Row

AT_ONCE = 500
# A report may be here before our own record of the message is; one that nobody knows after so long is another's.
FIRST_PAUSE, LONGEST_PAUSE, WAIT_FOR_MESSAGE = timedelta(seconds=5), timedelta(minutes=10), timedelta(hours=1)
KEPT_FOR = timedelta(days=30)

TakeReply = Callable[[Mapping[str, Any], datetime], Any]
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Worked:
    """`events`: how many were looked at. `replies`: what `take_reply` made of each that was new."""

    events: int = 0
    replies: list[Any] = field(default_factory=list)


def work_on_events(now: datetime, take_reply: TakeReply, most: int = AT_ONCE) -> Worked:
    """Of what waits, the first so many. May run twice, or twice at once."""
    with store.everything() as session:
        events = store.provider_events.list_to_do(session, now, most)
    worked = Worked(len(events))
    _work_on_receipts([event for event in events if event.kind is EventKind.STATUS], now)
    for event in events:
        if event.kind is EventKind.INBOUND:
            reply = _work_on_reply(event, take_reply, now)
            if reply is not None:
                worked.replies.append(reply)
    return worked


def is_any_to_do(now: datetime) -> bool:
    with store.everything() as session:
        return store.provider_events.is_any_to_do(session, now)


def forget_old_events(now: datetime) -> int:
    """They hold numbers and texts, and have done their work."""
    with store.everything(write=True) as session:
        return store.provider_events.forget(session, now - KEPT_FOR)


def _work_on_reply(event: ProviderEvent, take_reply: TakeReply, now: datetime) -> Any:
    """One that fails is tried again later, and keeps no other from being taken."""
    try:
        reply = take_reply(json.loads(event.body), now)
    except store.Unavailable:
        raise
    except Exception as error:
        log.error("A reply could not be taken, and is tried again: %s", describe(error))
        with store.everything(write=True) as session:
            store.provider_events.postpone(session, event.id, now + _pause(event))
        return None
    outcome = Outcome.UNMATCHED if reply is None else Outcome.APPLIED
    with store.everything(write=True) as session:
        store.provider_events.finish(session, [event.id], outcome, getattr(reply, "practice_id", None))
    return reply


def _pause(event: ProviderEvent) -> timedelta:
    return min(FIRST_PAUSE * 2 ** min(event.tries, 20), LONGEST_PAUSE)


# --- receipts -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Report:
    event: ProviderEvent
    receipt: Receipt


def _work_on_receipts(events: Sequence[ProviderEvent], now: datetime) -> None:
    reports, unreadable = [], []
    for event in events:
        try:
            reports.append(_Report(event, parse_receipt(json.loads(event.body))))
        except Unreadable:
            unreadable.append(event.id)
    with store.everything() as session:
        practices = store.standing.find_practices(
            session,
            {one.receipt.message_id for one in reports if one.receipt.message_id is not None},
            {one.receipt.uuid for one in reports},
        )
    unmatched = []
    by_practice: dict[str, list[tuple[int, _Report]]] = {}
    for report in reports:
        found = practices.by_id.get(report.receipt.message_id or 0) or practices.by_uuid.get(report.receipt.uuid)
        if found is None:
            unmatched.append(report)
        else:
            by_practice.setdefault(found.practice_id, []).append((found.id, report))
    for practice_id, of_messages in by_practice.items():
        with store.transaction(practice_id) as session:
            store.practices.lock_practice(session, practice_id)
            unmatched += _Application(session, practice_id, now).apply(of_messages)
    if unreadable or unmatched:
        with store.everything(write=True) as session:
            store.provider_events.finish(session, unreadable, Outcome.UNREADABLE)
            _leave(session, [report.event for report in unmatched], now)


def _leave(session: Session, events: Sequence[ProviderEvent], now: datetime) -> None:
    old = [event.id for event in events if now - event.received_at >= WAIT_FOR_MESSAGE]
    store.provider_events.finish(session, old, Outcome.UNMATCHED)
    for event in events:
        if event.id not in old:
            store.provider_events.postpone(session, event.id, now + _pause(event))


class _Application:
    """The reports on one practice's messages, under its lock."""

    def __init__(self, session: Session, practice_id: str, now: datetime) -> None:
        self.session, self.practice_id, self.now = session, practice_id, now
        self.rows: dict[int, Row] = {}
        self.changed: set[int] = set()
        self.events: list[dict[str, Any]] = []
        self.out_of_service: dict[str, bool] = {}  # E.164: what was learned last
        self.opted_out: dict[str, datetime] = {}  # E.164: when that was said
        self.account_codes: list[str] = []
        self.delivered_at: datetime | None = None

    def apply(self, of_messages: Sequence[tuple[int, _Report]]) -> list[_Report]:
        """Returns those that turn out to be of another's message."""
        fresh = store.provider_events.keep_to_do(self.session, [report.event.id for _, report in of_messages])
        of_messages = [(id_, report) for id_, report in of_messages if report.event.id in fresh]
        self.rows = store.standing.list_standing(self.session, {id_ for id_, _ in of_messages})
        applied: list[_Report] = []
        strange: list[_Report] = []
        for id_, report in of_messages:
            is_ours = id_ in self.rows and self._apply(self.rows[id_], report.receipt)
            (applied if is_ours else strange).append(report)
        self._write()
        ids = [report.event.id for report in applied]
        store.provider_events.finish(self.session, ids, Outcome.APPLIED, self.practice_id)
        return strange

    def _apply(self, row: Row, receipt: Receipt) -> bool:
        """False where the report is about something else."""
        is_of_this_attempt = row.claim == receipt.claim if receipt.claim else row.provider_id == receipt.uuid
        if not is_of_this_attempt and (receipt.claim is None or receipt.to != row.to):
            return False  # another installation counts its messages, too
        self._learn(row, receipt)
        if is_of_this_attempt:
            self._move(row, receipt)
        elif _settles(row, receipt):
            status = Status.UNKNOWN if row.status is Status.QUEUED else row.status
            self._move(replace(row, status=status, claim=row.claim or receipt.claim), receipt)
        elif receipt.status is not Reported.SUBMITTED:
            self._note(row, receipt, EARLIER_ATTEMPT)
        return True

    def _move(self, row: Row, receipt: Receipt) -> None:
        before = Standing(row.status, (row.code or "") if row.status in _WITH_CODE else "")
        after = apply(before, receipt)
        billed = row.with_bill(receipt.parts, receipt.price, receipt.currency)
        if not may_be_reported(row.status) or (after == before and billed == row):
            if receipt.status is not Reported.SUBMITTED and not _says(receipt, after):
                self._note(row, receipt, ALSO_REPORTED)
            return
        self.rows[row.id] = replace(
            billed,
            status=after.status,
            code=after.code or None if after != before else row.code,
            provider_id=row.provider_id or receipt.uuid,
            sent_at=row.sent_at or _within(receipt.at, row.created_at, self.now),
        )
        self.changed.add(row.id)
        if after != before:
            self._note(row, receipt, after.status.value)

    def _learn(self, row: Row, receipt: Receipt) -> None:
        """What it says of the number, or of our account, beyond the message."""
        if row.to is None or receipt.status is Reported.SUBMITTED:
            return
        if receipt.status is Reported.DELIVERED:
            self.out_of_service[row.to] = False
            self.delivered_at = max(self.delivered_at or receipt.at, receipt.at)
            return
        match cause(receipt.code).fault:
            case Fault.OPT_OUT:
                self.opted_out[row.to] = max(self.opted_out.get(row.to, receipt.at), receipt.at)
            case Fault.NUMBER if row.status is not Status.DELIVERED:
                self.out_of_service[row.to] = True
            case Fault.ACCOUNT:
                self.account_codes.append(receipt.code)

    def _note(self, row: Row, receipt: Receipt, event: str) -> None:
        at = _within(receipt.at, row.created_at, self.now)
        self.events.append(
            {
                "practice_id": self.practice_id,
                "message_id": row.id,
                "at": at,
                "event": event,
                "detail": detail(receipt),
            }
        )

    def _write(self) -> None:
        store.messages.update_messages(
            self.session,
            [
                {
                    "id": row.id,
                    "practice_id": self.practice_id,
                    "status": row.status,
                    "reasons": (),
                    "claim": row.claim,
                    "provider_code": row.code,
                    "provider_id": row.provider_id,
                    "sent_at": row.sent_at,
                    "next_at": None,
                    "billed_parts": row.billed_parts,
                    "billed_price": row.billed_price,
                    "billed_currency": row.billed_currency,
                }
                for row in (self.rows[id_] for id_ in sorted(self.changed))
            ],
        )
        store.messages.record_events(self.session, self.events)
        dead = {number for number, is_dead in self.out_of_service.items() if is_dead}
        store.patients.mark_out_of_service(self.session, dead, self.now)
        store.patients.lift_out_of_service(self.session, self.out_of_service.keys() - dead)
        store.patients.record_carrier_opt_outs(self.session, self.opted_out, self.now)
        if self.account_codes:
            _note_account_fault(self.session, self.account_codes[-1], self.now)
        elif self.delivered_at:
            _account_delivers(self.session, self.delivered_at, self.now)


def _settles(row: Row, receipt: Receipt) -> bool:
    """Whether a report of the attempt before staff sent it again tells how it stands: that it was delivered always
    does; anything else, while no attempt since may have been taken. So it is not sent again, or goes on."""
    if not row.was_in_doubt:
        return False
    return receipt.status is Reported.DELIVERED or (row.status is Status.UNKNOWN and row.claim is None)


_WITH_CODE = frozenset({Status.UNDELIVERED, Status.UNCONFIRMED})


def _says(receipt: Receipt, standing: Standing) -> bool:
    """Whether the report is what the message's state says already."""
    return apply(Standing(Status.SENDING), receipt) == standing


def _within(at: datetime, earliest: datetime, latest: datetime) -> datetime:
    """The provider's time, where its clock and ours agree on the order of things; else ours."""
    return at if earliest <= at <= latest else latest


def _note_account_fault(session: Session, code: str, now: datetime) -> None:
    """For the administrator: texts are not delivered for a fault of the account, not of any patient."""
    noted = store.host.find_state(session, ACCOUNT_REPORTED)
    since = noted["since"] if noted and noted["code"] == code else now.isoformat()
    state = {"code": code, "since": since, "at": now.isoformat()}
    store.host.record_state(session, ACCOUNT_REPORTED, state, now)


def _account_delivers(session: Session, at: datetime, now: datetime) -> None:
    noted = store.host.find_state(session, ACCOUNT_REPORTED)
    if noted and datetime.fromisoformat(noted["at"]) < at:
        store.host.record_state(session, ACCOUNT_REPORTED, None, now)
