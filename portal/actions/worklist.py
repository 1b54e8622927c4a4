"""What did not reach a patient and no pass will try again: looked at by a person, one by one, until none is left."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.actions.ahead import read_times
from portal.actions.show_message import NoSuchMessage
from portal.actions.who import Who, note_change
from portal.core.ahead import BusinessClock
from portal.core.diagnosis import DueDay
from portal.core.reasons import Reason
from portal.core.reminders import Sending
from portal.core.replies import Meaning
from portal.core.states import RETRIED_BY_PASS, Status
from portal.store.changes import Subject
from portal.store.inbox import Row as Declined
from portal.store.messages import Message
from portal.store.practices import Practice
from portal.store.worklist import DealtWith, Row, state_of

# A long weekend; and as long as a reminder goes ahead of its appointment.
_DAYS = 4
_MOST = 300
MOST_SHOWN = 50
_STOPPED = (Status.FAILED, Status.UNDELIVERED, Status.UNKNOWN, Status.EXPIRED, Status.NOT_SENT)
# And a reminder that was withdrawn although its appointment stands: taken back, or before it was un-cancelled.
_LISTED = (*_STOPPED, Status.CANCELLED)
# What staff can mend, of what was decided. A wish is respected, and what the practice switched off is no mishap.
_MENDABLE = frozenset(
    {
        Reason.NO_TEMPLATE,
        Reason.NO_MOBILE_NUMBER,
        Reason.INVALID_MOBILE_NUMBER,
        Reason.NUMBER_NOT_IN_SERVICE,
        Reason.NO_CREDITS,
        Reason.NO_PASS_RAN,
        Reason.DEADLINE_PASSED,
        Reason.PROVIDER_REFUSED,
    }
)
DECLINES = tuple(meaning for meaning in Meaning if meaning.declines)
_DEALT_WITH = "worklist"
_OPEN, _DONE = "to deal with", "dealt with"
_HOLDS_NO_MORE = "undone"


@dataclass(frozen=True, slots=True)
class Worklist:
    """`declined`: unread replies of patients who cannot come, the newest first. `open`: soonest appointment first.
    `done`: what is dealt with, the newest mark first."""

    declined: Sequence[Declined]
    open: Sequence[Row]
    done: Sequence[Row]
    counts: Mapping[Status, int]

    @property
    def shown(self) -> Sequence[Row]:
        return self.open[:MOST_SHOWN]


def look_at_worklist(practice: Practice, now: datetime) -> Worklist:
    """Of appointments ahead, of texts by staff and of replies. In four queries; where they are very many, those in
    doubt are among them."""
    since = now - timedelta(days=max(_DAYS, practice.lead_days + 1))
    with store.reading(practice.id) as session:
        clocks = {clock.id: clock for clock in read_times(session, practice).clocks}
        rows = store.worklist.list_stopped(session, _LISTED, since, now, _MOST)
        declined = store.inbox.list_unread_meaning(session, DECLINES, MOST_SHOWN)
    days = _DueDays(practice, clocks, now)
    stands = [row for row in rows if _is_mishap(row, practice) and not _is_tried_again(row, days)]
    open_ = [row for row in stands if not row.is_dealt_with]
    done = [row for row in stands if row.is_dealt_with]
    open_.sort(key=lambda row: (row.starts_at is None, row.starts_at or now, row.message.id))
    done.sort(key=lambda row: row.mark.at if row.mark else now, reverse=True)
    return Worklist(declined, open_, done[:MOST_SHOWN], Counter(row.message.status for row in open_))


def _is_mishap(row: Row, practice: Practice) -> bool:
    message = row.message
    if _was_paused(message, practice):
        return True
    # Whoever of the staff wrote it takes it to have gone.
    is_news = message.status is not Status.NOT_SENT or message.written_by is not None
    return is_news or _MENDABLE.issuperset(message.reasons)


def _was_paused(message: Message, practice: Practice) -> bool:
    """Held back by a pause that is over; while it lasts, what it holds back has a page of its own."""
    was_live = (
        practice.live_since is not None and message.pass_at is not None and message.pass_at >= practice.live_since
    )
    is_only_that = (_MENDABLE | {Reason.SENDING_OFF}).issuperset(message.reasons)
    return practice.sending is Sending.ON and was_live and is_only_that


class _DueDays:
    """Each business's days, of which a worklist names few, and each many times."""

    def __init__(self, practice: Practice, clocks: Mapping[int, BusinessClock], now: datetime) -> None:
        self._practice, self._clocks, self._now = practice, clocks, now
        self._days: dict[tuple[int, date], DueDay] = {}

    def find(self, business_id: int | None, starts_on: date) -> DueDay | None:
        clock = self._clocks.get(business_id or 0)
        if clock is None:
            return None
        if (clock.id, starts_on) not in self._days:
            lead_days, window_start = self._practice.lead_days, self._practice.window_start
            self._days[clock.id, starts_on] = clock.due_day(starts_on, lead_days, window_start, self._now)
        return self._days[clock.id, starts_on]


def _is_tried_again(row: Row, days: _DueDays) -> bool:
    """A pass will decide anew; what the provider refused goes then only if somebody has mended it."""
    message = row.message
    if message.status not in RETRIED_BY_PASS or row.starts_wall is None or row.booked_at is None:
        return False
    if message.rule is None or Reason.PROVIDER_REFUSED in message.reasons:
        return False
    due = days.find(message.business_id, row.starts_wall.date())
    return due is not None and due.next_pass_at(max(row.booked_at, row.moved_at or row.booked_at), None) is not None


def mark_dealt_with(practice_id: str, message_id: int, who: Who, now: datetime) -> None:
    """Raises NoSuchMessage."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        message = store.messages.find_message(session, message_id)
        if message is None:
            raise NoSuchMessage(message_id)
        _mark(session, message, who, now)


def mark_replaced(session: Session, message_id: int, patient_id: int, who: Who, now: datetime) -> None:
    """Another text went in its place, or in that of what it had replaced before it was taken back. Anything but a
    message to this patient that stopped is left. The practice is locked."""
    message = store.messages.find_message(session, message_id)
    if message is None or message.patient_id != patient_id:
        return
    if message.status in _STOPPED:
        _mark(session, message, who, now)
    elif message.status is Status.CANCELLED:
        for _, replaced in store.worklist.list_marks_of(session, patient_id, message.created_at):
            _mark(session, replaced, who, now)


def open_again(session: Session, patient_id: int, written_at: datetime, who: Who, now: datetime) -> None:
    """What a text stood in the place of that was written then and is taken back. The mark stays, and holds no more:
    by its instant the next text finds what it replaces. The practice is locked."""
    for mark, message in store.worklist.list_marks_of(session, patient_id, written_at):
        if mark.state == state_of(message):
            mark.state = _HOLDS_NO_MORE
            note_change(session, who, now, Subject.MESSAGE, message.id, _DEALT_WITH, _DONE, _OPEN)


def _mark(session: Session, message: Message, who: Who, now: datetime) -> None:
    mark = store.worklist.find_mark(session, message.id)
    state = state_of(message)
    if mark and mark.state == state:
        return
    if mark:
        mark.state, mark.at, mark.user_id, mark.by = state, now, who.user_id, who.name
    else:
        session.add(DealtWith(message_id=message.id, state=state, at=now, user_id=who.user_id, by=who.name))
    note_change(session, who, now, Subject.MESSAGE, message.id, _DEALT_WITH, _OPEN, _DONE)


def take_up_again(practice_id: str, message_id: int, who: Who, now: datetime) -> None:
    """Undo the mark. Raises NoSuchMessage."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        if store.messages.find_message(session, message_id) is None:
            raise NoSuchMessage(message_id)
        if mark := store.worklist.find_mark(session, message_id):
            session.delete(mark)
            note_change(session, who, now, Subject.MESSAGE, message_id, _DEALT_WITH, _DONE, _OPEN)
