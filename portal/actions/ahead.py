"""The passes to come, decided as they will decide: the next reminder day, and how long the credits last."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.actions.remind import Outcome, decide_in_turn
from portal.core.ahead import BusinessClock, Need, needs
from portal.core.diagnosis import DueDay
from portal.core.reasons import Reason
from portal.core.reminders import Sending
from portal.core.states import RETRIED_BY_PASS
from portal.core.timing import PASSES_A_DAY, appointment_date, local
from portal.store.facts import Reminder
from portal.store.practices import Business, Practice
from portal.store.today import LastPass

FORECAST_DAYS = 7
# In one read of the facts: three queries. A clinic with more appointments in a week is told so.
MOST = 2000
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Times:
    """The practice's businesses with their clocks, what the last pass did, when its appointments were last updated,
    when staff last sent themselves a test text, and whether a run of the script has ever seen the practice."""

    businesses: Sequence[Business]
    clocks: Sequence[BusinessClock]
    last_pass: LastPass | None
    updated_at: datetime | None
    tested_at: datetime | None
    has_run: bool


def read_times(session: Session, practice: Practice) -> Times:
    """In two queries. Where no run of the script has seen any business, the practice is watched from its beginning:
    that cron was never set up must not stay unseen."""
    businesses, updated_at, tested_at = store.today.list_businesses(session)
    zones = {business.timezone for business in businesses}
    # Today's and yesterday's passes of every zone, and some to spare.
    hours, last_pass = store.today.list_hours(session, 3 * PASSES_A_DAY * max(1, len(zones)))
    has_run = any(one.watched_since for one in businesses)
    clocks = [
        BusinessClock(
            one.id,
            one.name,
            one.timezone,
            one.watched_since if has_run else practice.created_at,
            hours.get(one.id, {}),
        )
        for one in businesses
    ]
    return Times(businesses, clocks, last_pass, updated_at, tested_at, has_run)


@dataclass(frozen=True, slots=True)
class Placed:
    """`pass_at`: when a pass will decide on it; None: none will, and `unmet` says why where none did. `outcome`: what
    that pass will decide."""

    reminder: Reminder
    pass_at: datetime | None
    unmet: Reason | None
    outcome: Outcome | None = None


def place(
    practice: Practice, clocks: Iterable[BusinessClock], reminders: Iterable[Reminder], now: datetime
) -> list[Placed]:
    """Each with the pass that will take it up and what that will decide, credits running down from pass to pass as
    they will then; in the order of the passes, and last those that no pass will take up. While the practice rehearses
    or has paused, as if it sent: who would be texted."""
    by_id = {clock.id: clock for clock in clocks}
    days: dict[tuple[int, date], tuple[DueDay, datetime | None]] = {}
    coming: list[tuple[datetime, Reminder]] = []
    settled: list[Placed] = []
    for reminder in reminders:
        if reminder.facts.sending is not Sending.ON:
            reminder = replace(reminder, facts=replace(reminder.facts, sending=Sending.ON))
        starts_on = reminder.facts.details.starts_local.date()
        key = reminder.business_id, starts_on
        if key not in days:
            due = by_id[reminder.business_id].due_day(starts_on, practice.lead_days, practice.window_start, now)
            days[key] = due, due.next_pass_at(now, None)
        due, pass_at = days[key]
        if pass_at and (reminder.booked_at > pass_at or reminder.cancelled_at):
            pass_at = due.next_pass_at(reminder.booked_at, reminder.cancelled_at)
        if reminder.message and reminder.message.status not in RETRIED_BY_PASS:
            pass_at = None
        if pass_at:
            coming.append((pass_at, reminder))
        else:
            unmet = None if reminder.message else unmet_of(reminder, due)
            settled.append(Placed(reminder, None, unmet))
    coming.sort(key=lambda one: (one[0], one[1].starts_at, one[1].external_id))
    outcomes = decide_in_turn(practice, (reminder for _, reminder in coming))
    return [
        Placed(reminder, at, None, outcome) for (at, reminder), outcome in zip(coming, outcomes, strict=True)
    ] + settled


def unmet_of(reminder: Reminder, due: DueDay) -> Reason:
    """Why no pass met it. What another system has reminded, none had to."""
    unmet = due.unmet(reminder.booked_at, reminder.cancelled_at)
    was_elsewhere = reminder.facts.was_reminded_elsewhere and reminder.cancelled_at is None
    return Reason.REMINDED_ELSEWHERE if was_elsewhere else unmet


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the reminders of the days to come take, from the balance as it is now. `today`: by the first business."""

    credits: int
    today: date
    has_zones: bool
    days: Sequence[Need]

    @property
    def runs_out(self) -> Need | None:
        return next((need for need in self.days if need.runs_out_at), None)

    @property
    def needed_until(self) -> int:
        """With the day on which they run out."""
        out = self.runs_out
        return sum(need.credits for need in self.days if out and need.day <= out.day)

    @property
    def total(self) -> int:
        return sum(need.credits for need in self.days)

    @property
    def is_part(self) -> bool:
        return any(need.is_part for need in self.days)


@dataclass(frozen=True, slots=True)
class Week:
    """The reminders that go on the days to come, placed. `today`: by the first business. `cut_from`: the day on which
    they go from which on not all were looked at."""

    times: Times
    today: date
    placed: Sequence[Placed]
    cut_from: date | None


def place_week(practice: Practice, now: datetime, days: int = FORECAST_DAYS) -> Week | None:
    """From today on; None for a practice without a business. In six queries, for at most `MOST` appointments."""
    with store.reading(practice.id) as session:
        times = read_times(session, practice)
        clocks = times.clocks
        if not clocks:
            return None
        todays = [local(now, clock.timezone).date() for clock in clocks]
        first = appointment_date(min(todays), practice.lead_days)
        last = appointment_date(max(todays), practice.lead_days) + (days - 1) * _DAY
        ids = [clock.id for clock in clocks]
        found = store.facts.list_to_decide(session, practice, ids, first, last, MOST + 1)
    cut_from = None
    if len(found) > MOST:
        cut_from = appointment_date(found[MOST].facts.details.starts_local.date(), -practice.lead_days)
        found = found[:MOST]
    return Week(times, todays[0], place(practice, clocks, found, now), cut_from)


def forecast(practice: Practice, now: datetime, days: int = FORECAST_DAYS) -> Forecast | None:
    """Of the reminders that go on so many days, from today on; None for a practice without a business. In six
    queries, for at most `MOST` appointments."""
    week = place_week(practice, now, days)
    return forecast_of(practice, week) if week else None


def forecast_of(practice: Practice, week: Week) -> Forecast:
    sends = [
        (one.pass_at, one.reminder.timezone, one.outcome.decision.parts, Reason.NO_CREDITS not in one.outcome.reasons)
        for one in week.placed
        if one.pass_at
        and one.outcome
        and one.outcome.decision.parts
        and one.outcome.reasons in ((), (Reason.NO_CREDITS,))
    ]
    has_zones = len({clock.timezone for clock in week.times.clocks}) > 1
    return Forecast(practice.credits, week.today, has_zones, needs(sends, week.cut_from))
