"""A day's appointments, each with what became of its reminder, or what will."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from portal import store
from portal.actions.remind import decide_in_turn
from portal.core.diagnosis import DueDay
from portal.core.reasons import Reason
from portal.core.states import RETRIED_BY_PASS, Status
from portal.core.timing import due_date, has_come, local
from portal.store.facts import Reminder
from portal.store.practices import Business, Practice


@dataclass(frozen=True, slots=True)
class Line:
    """`status`, `recorded`: of its reminder's row, None and empty where it has none. `goes_at`: the pass that takes
    it up next, by the business's clocks; then `stops` is what would stop it there, as things are now."""

    reminder: Reminder
    business: str
    status: Status | None
    recorded: tuple[Reason, ...]
    goes_at: datetime | None
    stops: tuple[Reason, ...]
    is_cancelled: bool

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why it does not go: as it is now where it is tried again, else as it was recorded."""
        return self.stops if self.goes_at else self.recorded

    @property
    def patient(self) -> str:
        return self.reminder.facts.details.patient


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a day's next page begins, and the credits that the appointments before it leave."""

    starts_at: datetime
    id: int
    credits: int


@dataclass(frozen=True, slots=True)
class Day:
    """`businesses`: (id, name) of all. `today`: where the first of those shown is. `has_several_zones`: those shown
    do not all have the same clocks."""

    day: date
    today: date
    businesses: tuple[tuple[int, str], ...]
    has_several_zones: bool
    lines: tuple[Line, ...]
    after: Cursor | None


def list_day(
    practice_id: str, day: date | None, now: datetime, most: int, *, business_id: int | None, after: Cursor | None
) -> Day:
    """Of one business, or of all. `day`: None for that on which the reminders of today are about.

    Raises NoSuchPractice.
    """
    with store.reading(practice_id) as session:
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        shown = {one.id: one for one in businesses if business_id in (None, one.id)}
        zone = next(iter(shown.values())).timezone if shown else "UTC"
        today = local(now, zone).date()
        day = day or today + timedelta(days=practice.lead_days)
        begins = (after.starts_at, after.id) if after else None
        page = store.facts.list_page_of_day(session, practice, list(shown), day, begins, most + 1)
        ran = store.diagnosis.list_pass_times_of(session, list(shown), due_date(day, practice.lead_days))
    due = {
        id_: DueDay(
            day, practice.lead_days, one.timezone, practice.window_start, ran.get(id_, {}), one.watched_since, now
        )
        for id_, one in shown.items()
    }
    left = after.credits if after else practice.credits
    lines, left = _decide(practice, page[:most], shown, due, left)
    cursor = Cursor(page[most - 1].starts_at, page[most - 1].appointment_id, left) if len(page) > most else None
    names = tuple((one.id, one.name) for one in businesses)
    has_several_zones = len({one.timezone for one in shown.values()}) > 1
    return Day(day, today, names, has_several_zones, lines, cursor)


def _decide(
    practice: Practice,
    page: Sequence[Reminder],
    businesses: Mapping[int, Business],
    due: Mapping[int, DueDay],
    credits: int,
) -> tuple[tuple[Line, ...], int]:
    """As the passes will, one after the other; and the credits that are left then."""
    next_at = {one.appointment_id: _next_pass(one, due[one.business_id]) for one in page}
    to_come = [one for one in page if next_at[one.appointment_id]]
    outcomes = {one.reminder.appointment_id: one for one in decide_in_turn(practice, to_come, credits)}
    for one in outcomes.values():
        credits -= (one.decision.parts or 0) if one.status is Status.QUEUED else 0

    def lines() -> Iterator[Line]:
        for one in page:
            at, outcome = next_at[one.appointment_id], outcomes.get(one.appointment_id)
            message = one.message
            of_day = due[one.business_id]
            unmet = () if message or at else (of_day.unmet(one.booked_at, one.cancelled_at),)
            yield Line(
                reminder=one,
                business=businesses[one.business_id].name,
                status=message.status if message else None,
                recorded=message.reasons if message else unmet,
                goes_at=local(at, one.timezone) if at else None,
                stops=outcome.reasons if outcome else (),
                is_cancelled=has_come(one.cancelled_at, of_day.now),
            )

    return tuple(lines()), credits


def _next_pass(reminder: Reminder, due: DueDay) -> datetime | None:
    may_try = reminder.message is None or reminder.message.status in RETRIED_BY_PASS
    return due.next_pass_at(reminder.booked_at, reminder.cancelled_at) if may_try else None
