"""When reminders go, and whether they ran when they should have: by the clocks of each business."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from portal.core.diagnosis import DueDay
from portal.core.numbers import LineKind, PhoneNumber, PhoneType
from portal.core.phrases import day
from portal.core.timing import (
    PassHour,
    appointment_date,
    day_passes,
    due_date,
    local,
    pass_hour,
    passes_ended_at,
    resolve_near,
)

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_LAST_SECOND = timedelta(seconds=1)
_LATEST = 21  # o'clock: no reminder is sent later on its day
UPDATED_LATELY = timedelta(hours=26)  # a nightly update that is late by two hours


@dataclass(frozen=True, slots=True)
class BusinessClock:
    """A business's time, and the hours that passes have handled there, of late: each with the pass's instant."""

    id: int
    name: str
    timezone: str
    watched_since: datetime | None
    ran: Mapping[PassHour, datetime]

    def due_day(self, starts_on: date, lead_days: int, window_start: int, now: datetime) -> DueDay:
        due_on = due_date(starts_on, lead_days)
        ran = {hour.hour: at for hour, at in self.ran.items() if hour.local_date == due_on}
        return DueDay(starts_on, lead_days, self.timezone, window_start, ran, self.watched_since, now)


@dataclass(frozen=True, slots=True)
class NextPass:
    """`day`: of the appointments that it takes up. `is_retry`: an earlier one has been at them. `until`: the end of
    its hour, where it is due now."""

    clock: BusinessClock
    day: date
    at: datetime
    is_retry: bool
    until: datetime | None


def next_pass(clock: BusinessClock, lead_days: int, window_start: int, now: datetime) -> NextPass | None:
    """None where the clocks skip every hour of both days."""
    today = local(now, clock.timezone).date()
    for due_on in (today, today + _DAY):
        starts_on = appointment_date(due_on, lead_days)
        due = clock.due_day(starts_on, lead_days, window_start, now)
        at = due.next_pass_at(now, None)
        if at is not None:
            until = local(now, clock.timezone).replace(minute=0, second=0, microsecond=0) + _HOUR
            return NextPass(clock, starts_on, at, bool(due.ran), until if at <= now else None)
    return None


@dataclass(frozen=True, slots=True)
class Missed:
    """A pass that should have run at `due_at`. `last_ran_at`: the day's last one before it. `make_up_at`: the instant
    that a pass run by hand stands for; None where the day is over."""

    clock: BusinessClock
    due_at: datetime
    last_ran_at: datetime | None
    make_up_at: datetime | None


def missed(clock: BusinessClock, window_start: int, now: datetime) -> Missed | None:
    """The last pass hour that ended without a pass and that no later pass has covered. An hour that still runs is
    waited for; of earlier days only one without any pass counts, until the next day's first hour is over."""
    if clock.watched_since is None:
        return None
    today = local(now, clock.timezone).date()
    ended = _ended(clock, today, window_start, now)
    if not ended:
        yesterday = today - _DAY
        ended = _ended(clock, yesterday, window_start, now)
        if not ended or any(hour.local_date == yesterday for hour in clock.ran):
            return None
        return Missed(clock, ended[0], None, None)
    hours = {hour.hour: at for hour, at in clock.ran.items() if hour.local_date == today}
    last = ended[-1]
    if any(hour >= local(last, clock.timezone).hour for hour in hours):
        return None
    due_at = next(begin for begin in ended if local(begin, clock.timezone).hour > max(hours, default=-1))
    make_up_at = None
    if pass_hour(now, clock.timezone, window_start):
        make_up_at = now
    elif local(now, clock.timezone).hour < _LATEST:
        make_up_at = last + _HOUR - _LAST_SECOND
    return Missed(clock, due_at, max(hours.values(), default=None), make_up_at)


def _ended(clock: BusinessClock, due_on: date, window_start: int, now: datetime) -> list[datetime]:
    """The pass hours of that day, by their beginnings, that are over and began while the business was watched."""
    ends = passes_ended_at(due_on, clock.timezone, window_start)
    begins = day_passes(due_on, clock.timezone, window_start)
    since = clock.watched_since
    return [at for at in begins if min(at + _HOUR, ends) <= now and since is not None and at >= since]


def day_begins(of: date, zone_name: str | None) -> datetime:
    """Its first instant by the clocks of the zone."""
    wall = datetime.combine(of, time())
    midnight = wall.replace(tzinfo=UTC)
    return resolve_near(wall, zone_name, midnight) if zone_name else midnight


def date_heading(of: date, today: date) -> str:
    """Tomorrow, Friday 9 May; Monday 12 May."""
    near, full = day(of, today), day(of, None).rpartition(" ")[0]
    return f"{near[:1].upper()}{near[1:]}, {full}" if near.islower() else near


def place_of_zone(zone_name: str) -> str:
    """Of Australia/Lord_Howe: Lord Howe."""
    return zone_name.rpartition("/")[2].replace("_", " ")


def countdown(left: timedelta) -> str:
    """in 1 h 12 min; in 3 days; in less than a minute."""
    minutes = int(left.total_seconds() // 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"in {hours // 24} days"
    said = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return f"in {' '.join(filter(None, said))}" if any(said) else "in less than a minute"


def ago(passed: timedelta) -> str:
    """2 days ago; 27 hours ago."""
    hours = int(passed.total_seconds() // 3600)
    return f"{hours // 24} days ago" if hours >= 48 else f"{hours} hours ago" if hours != 1 else "an hour ago"


def number_to_file(numbers: Iterable[PhoneNumber], countries: Collection[str]) -> str | None:
    """The first number that is a mobile beyond doubt, and filed as something else: E.164. What may be a landline is
    left to a person's eye."""
    for number in numbers:
        if number.type is not PhoneType.MOBILE and number.kind is LineKind.MOBILE and number.region in countries:
            return number.e164
    return None


# --- how long the credits last ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Need:
    """What a day's reminders take. `runs_out_at`: the pass in which the first finds no credits left, at `timezone`.
    `is_part`: there are more appointments than were counted."""

    day: date  # on which the reminders go
    timezone: str
    credits: int
    reminders: int
    runs_out_at: datetime | None
    is_part: bool = False


def needs(sends: Iterable[tuple[datetime, str, int, bool]], cut_from: date | None) -> Sequence[Need]:
    """From (pass, zone, parts, does it find its credits) of each reminder, by day. What goes on `cut_from` or later
    was not counted to its end."""
    days: dict[date, list[tuple[datetime, str, int, bool]]] = {}
    for send in sends:
        days.setdefault(local(send[0], send[1]).date(), []).append(send)
    found = []
    for on, of_day in sorted(days.items()):
        first = min(of_day, key=lambda send: (send[3], send[0]))  # without credits, if any is
        found.append(
            Need(
                on,
                first[1],
                sum(parts for _, _, parts, _ in of_day),
                len(of_day),
                None if first[3] else first[0],
                cut_from is not None and on >= cut_from,
            )
        )
    return found
