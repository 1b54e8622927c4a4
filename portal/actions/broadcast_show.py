"""Messages to many as their pages show them: the list, and one with its progress and whom it does not reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from portal import store
from portal.actions.broadcast_recipients import Named, Place, Unreached, tell
from portal.actions.broadcasts import NoSuchBroadcast
from portal.core.broadcasts import State, state_of, whom_in_words
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.core.timing import local
from portal.store.broadcasts import Broadcast, LeftOut, Listed

# As they come about.
_ORDER = (
    Status.QUEUED,
    Status.SENDING,
    Status.SENT,
    Status.DELIVERED,
    Status.UNDELIVERED,
    Status.UNCONFIRMED,
    Status.UNKNOWN,
    Status.FAILED,
    Status.NOT_SENT,
    Status.EXPIRED,
    Status.CANCELLED,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One of the list. `zone`: whose clocks to show."""

    broadcast: Broadcast
    whom: str
    state: State
    zone: str


@dataclass(frozen=True, slots=True)
class Page:
    """The newest first; `older`: the id to go on from, None at the end."""

    rows: list[Row]
    older: int | None


def list_broadcasts(practice_id: str, now: datetime, most: int, before: int | None = None) -> Page:
    """Raises NoSuchPractice."""
    with store.reading(practice_id) as session:
        place = Place(*store.practices.get_with_businesses(session, practice_id))
        found = store.broadcasts.list_broadcasts(session, now, most + 1, before)
    rows = [_row(place, one, now) for one in found[:most]]
    return Page(rows, rows[-1].broadcast.id if len(found) > most else None)


def _row(place: Place, listed: Listed, now: datetime) -> Row:
    broadcast, of = listed.broadcast, place.of(listed.broadcast.whom)
    business = of.name if broadcast.business_id is not None else ""
    today = local(now, of.timezone).date()
    in_words = whom_in_words(broadcast.whom, today, business, listed.practitioner, listed.appointment_type)
    state = state_of(
        broadcast.goes_at,
        is_recorded=broadcast.recorded_at is not None,
        is_taken_back=broadcast.taken_back_at is not None,
        is_under_way=listed.is_under_way,
        now=now,
    )
    return Row(broadcast, in_words, state, of.timezone)


@dataclass(frozen=True, slots=True)
class Shown:
    """`by_status`: how many patients, in the order in which it comes about; `by_reason`: of those not reached, by the
    first of their reasons. `credits`: taken and not given back. `further`: where the next of the unreached begin,
    None at the end."""

    row: Row
    today: date
    by_status: Mapping[Status, int]
    by_reason: Mapping[Reason, int]
    credits: int
    unreached: tuple[Unreached, ...]
    further: int | None

    @property
    def may_be_taken_back(self) -> bool:
        return self.row.state in (State.PREPARED, State.WAITING, State.GOING)

    @property
    def waiting(self) -> int:
        return self.by_status.get(Status.QUEUED, 0)

    @property
    def is_renewed(self) -> bool:
        """It changes by itself, soon."""
        on_its_way = self.by_status.keys() & {Status.QUEUED, Status.SENDING, Status.SENT}
        return self.row.state in (State.PREPARED, State.WAITING, State.GOING) or bool(on_its_way)


def show_broadcast(practice_id: str, broadcast_id: int, now: datetime, most: int, after: int = 0) -> Shown:
    """`after`: where the unreached begin. Raises NoSuchBroadcast, NoSuchPractice."""
    with store.reading(practice_id) as session:
        place = Place(*store.practices.get_with_businesses(session, practice_id))
        listed = store.broadcasts.find_listed(session, broadcast_id, now)
        if listed is None:
            raise NoSuchBroadcast
        progress = store.broadcasts.count_progress(session, broadcast_id)
        left_out = store.broadcasts.list_left_out(session, broadcast_id, most + 1, after)
        numbers = store.patients.list_numbers(session, [one.patient.id for one in left_out])
    row = _row(place, listed, now)
    today = local(now, row.zone).date()
    unreached = tuple(
        tell(place, _named(one), numbers.get(one.patient.id, ()), one.reasons, today) for one in left_out[:most]
    )
    by_reason: dict[Reason, int] = {}
    for reasons, count in progress.by_reasons.items():
        by_reason[reasons[0]] = by_reason.get(reasons[0], 0) + count
    return Shown(
        row,
        today,
        {status: progress.by_status[status] for status in _ORDER if status in progress.by_status},
        {reason: by_reason[reason] for reason in Reason if reason in by_reason},
        progress.credits,
        unreached,
        left_out[most - 1].id if len(left_out) > most else None,
    )


def _named(one: LeftOut) -> Named:
    return Named(one.patient.id, one.patient.first_name, one.patient.last_name)
