"""Zones, wall times, due days, passes and deadlines. Instants are aware; those returned are in UTC."""

import re
import zoneinfo
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

# An empty search path makes zoneinfo read the tzdata package. The host's own files may be years old,
# and two hosts that disagree about a zone's rules would send the same reminder at different hours.
zoneinfo.reset_tzpath(to=())
ZoneInfo.clear_cache()

PASSES_A_DAY = 6
_LOOK_BACK = 14  # days
_YEARS = range(1900, 2201)
_MINUTE = timedelta(minutes=1)


class UnknownZone(ValueError):
    """Not the name of a time zone."""


class TimeError(ValueError):
    """A time that cannot be read, or that the zone's clocks do not show exactly once.

    The message says how to write it and never repeats it: the same text may be a date of birth.
    """


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones() - {"Factory", "localtime"})  # which name no place


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name, letter case included. Raises UnknownZone."""
    # Asked first: ZoneInfo looks for a file of that name, and not every disk minds letter case.
    if name not in _zone_names():
        raise UnknownZone("not a time zone: use a name of the IANA list, e.g. Australia/Sydney.")
    return ZoneInfo(name)


def local(instant: datetime, zone_name: str) -> datetime:
    return instant.astimezone(zone(zone_name))


def has_come(at: datetime | None, now: datetime) -> bool:
    """Not where it lies ahead, as the cancellation of an export may, nor where there is none."""
    return at is not None and at <= now


def check_year(day: date) -> None:
    """Raises TimeError where it cannot be meant."""
    if day.year not in _YEARS:
        raise TimeError(f"the year must lie between {_YEARS[0]} and {_YEARS[-1]}.")


def resolve(wall: datetime, zone_name: str) -> datetime:
    """The one instant at which the zone's clocks show this naive time. Raises TimeError if none or two."""
    found = instants(wall, zone_name)
    if len(found) > 1:
        raise TimeError(
            f"this local time occurs twice in {zone_name}, as the clocks are put back: "
            "write it with its offset, e.g. 2031-05-08T09:30:00+10:00."
        )
    if not found:
        raise TimeError(f"this local time never occurs in {zone_name}: the clocks are put forward past it.")
    return found[0]


def instants(wall: datetime, zone_name: str) -> tuple[datetime, ...]:
    """All at which the zone's clocks show this naive time: one on most days, two, the earlier first, where they are
    put back, none where they are put forward past it. Raises TimeError for a year that cannot be meant."""
    check_year(wall)
    first, second = _readings(wall, zone_name)
    return () if first > second else tuple(sorted({first, second}))


def resolve_near(wall: datetime, zone_name: str, instant: datetime) -> datetime:
    """Read a stored naive wall time anew, after its zone's rules have changed.

    Of two possible instants the one nearer `instant`. A time that the clocks now skip is read with the
    offset before the change, so it falls as long after the change as it stood after its beginning.
    """
    first, second = _readings(wall, zone_name)
    if first < second and abs(second - instant) < abs(first - instant):
        return second
    return first


def _readings(wall: datetime, zone_name: str) -> tuple[datetime, datetime]:
    """With the offset before and after a change of the clocks (PEP 495): the same instant on most days,
    in ascending order where the time occurs twice, in descending order where it never does."""
    there = wall.replace(tzinfo=zone(zone_name))
    return there.replace(fold=0).astimezone(UTC), there.replace(fold=1).astimezone(UTC)


_HOW_TO_WRITE_A_TIME = (
    "not a time that can be read: write 2031-05-08T09:30:00+10:00, or 2031-05-08 09:30 for the business's local time."
)
_HOW_TO_WRITE_A_DATE = "not a date that can be read: write 2031-05-08."
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DATE_ALONE = re.compile(_DATE)
_DATE_AND_TIME = re.compile(rf"{_DATE}[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}})?(Z|[+-][0-9]{{2}}:[0-5][0-9])?")


def parse_time(text: str, zone_name: str | None) -> datetime:
    """Read a time of an import file; one without offset is local to the zone. Raises TimeError.

    Only the ways of writing ISO 8601 that leave no doubt are taken; nothing is guessed.
    """
    text = text.strip()
    # Not fromisoformat alone: it also takes week dates, 20310508T0930 and other rare forms.
    if not _DATE_AND_TIME.fullmatch(text):
        raise TimeError(_HOW_TO_WRITE_A_TIME)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise TimeError(_HOW_TO_WRITE_A_TIME) from None
    if when.tzinfo is None:
        if zone_name is None:
            raise TimeError("this time lacks its offset: write it like 2031-05-08T09:30:00+10:00.")
        return resolve(when, zone_name)
    check_year(when)
    return when.astimezone(UTC)


def parse_date(text: str) -> date:
    """Read an ISO 8601 date, e.g. 2031-05-08. Raises TimeError."""
    text = text.strip()
    if not _DATE_ALONE.fullmatch(text):
        raise TimeError(_HOW_TO_WRITE_A_DATE)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise TimeError(_HOW_TO_WRITE_A_DATE) from None
    check_year(day)
    return day


def due_date(starts_on: date, lead_days: int) -> date:
    """The local date on which the reminder for an appointment of that local date is due."""
    return starts_on - timedelta(days=lead_days)


def appointment_date(due_on: date, lead_days: int) -> date:
    """The local date of the appointments whose reminders are due on that date."""
    return due_on + timedelta(days=lead_days)


def coming_week(now: datetime, zone_name: str, lead_days: int, window_start: int) -> tuple[date, date]:
    """The first and last local date of the appointments whose reminders are due within the next seven days: from
    today on while a pass hour is not over."""
    today = local(now, zone_name).date()
    first = today if now < passes_ended_at(today, zone_name, window_start) else today + timedelta(days=1)
    return appointment_date(first, lead_days), appointment_date(first + timedelta(days=6), lead_days)


@dataclass(frozen=True, slots=True)
class PassHour:
    """One local hour of one local date in which a business gets a pass."""

    local_date: date
    hour: int


def pass_hour(now: datetime, zone_name: str, window_start: int) -> PassHour | None:
    """The local hour that holds `now`, if a business of that zone gets a pass in it."""
    there = local(now, zone_name)
    return PassHour(there.date(), there.hour) if there.hour in _pass_hours(window_start) else None


def day_passes(due_on: date, zone_name: str, window_start: int) -> list[datetime]:
    """The instants at which the day's pass hours begin, without hours that its clocks skip."""
    return list(_day_passes(due_on, zone_name, window_start))


# A page asks it of each of a day's appointments.
@lru_cache(maxsize=1024)
def _day_passes(due_on: date, zone_name: str, window_start: int) -> tuple[datetime, ...]:
    begins = [(hour, _hour_begins(due_on, hour, zone_name)) for hour in _pass_hours(window_start)]
    return tuple(
        begin for hour, begin in begins if pass_hour(begin, zone_name, window_start) == PassHour(due_on, hour)
    )


def passes_ended_at(due_on: date, zone_name: str, window_start: int) -> datetime:
    """The instant at which the day's last pass hour is over."""
    return _hour_begins(due_on, window_start + PASSES_A_DAY, zone_name)


def next_pass_at(
    now: datetime,
    starts_on: date,
    lead_days: int,
    zone_name: str,
    window_start: int,
    handled: Collection[int] = (),
) -> datetime | None:
    """When a pass next takes up an appointment of that local date: `now` itself within a pass hour.

    `handled` are the local hours of its due day that a pass has handled. None: no pass is to come.
    """
    due_on = due_date(starts_on, lead_days)
    current = pass_hour(now, zone_name, window_start)
    if current and current.local_date == due_on and current.hour not in handled:
        return now
    for begin in day_passes(due_on, zone_name, window_start):
        if begin > now and local(begin, zone_name).hour not in handled:
            return begin
    return None


def deadline(starts_at: datetime, queued_at: datetime, zone_name: str) -> datetime:
    """After this instant a reminder is no longer sent: its start, or 9 PM local on the day it was queued."""
    return min(starts_at, quiet_from(queued_at, zone_name)).astimezone(UTC)


def quiet_from(at: datetime, zone_name: str) -> datetime:
    """9 PM local on the day that holds `at`: nobody is texted from then on."""
    return _hour_begins(local(at, zone_name).date(), 21, zone_name)


def texting_at(at: datetime, zone_name: str, texts_from: int, texts_until: int) -> datetime:
    """When a text that staff write at `at` goes: at once within these local hours, else when they next begin."""
    today = local(at, zone_name).date()
    for day in (today, today + timedelta(days=1)):
        begins = _hour_begins(day, texts_from, zone_name)
        ends = _hours_end(day, texts_until, zone_name)
        if at < ends:
            return max(at, begins).astimezone(UTC)
    raise AssertionError("tomorrow's hours are still to come")


def hours_end_at(at: datetime, zone_name: str, texts_until: int) -> datetime:
    """When the hours for texts by staff end on the local day that holds `at`."""
    return _hours_end(local(at, zone_name).date(), texts_until, zone_name)


def _hours_end(day: date, texts_until: int, zone_name: str) -> datetime:
    return _hour_begins(day + timedelta(days=texts_until // 24), texts_until % 24, zone_name)


def missed_days(
    watched_since: datetime, now: datetime, zone_name: str, window_start: int, handled: Collection[date]
) -> list[date]:
    """The local dates, oldest first, whose pass hours are over and of which none was handled.

    The date from which the business is watched does not count: its hours may have been over by then.
    `handled` are the local dates with any pass.
    """
    today = local(now, zone_name).date()
    watched_on = local(watched_since, zone_name).date()
    dates = [today - timedelta(days=days) for days in range(_LOOK_BACK, -1, -1)]
    return [
        day
        for day in dates
        if day > watched_on and day not in handled and passes_ended_at(day, zone_name, window_start) <= now
    ]


def _pass_hours(window_start: int) -> range:
    return range(window_start, window_start + PASSES_A_DAY)


def _hour_begins(day: date, hour: int, zone_name: str) -> datetime:
    """The first instant at which the clocks of that day show that hour or a later one."""
    wall = datetime.combine(day, time(hour))
    instant = min(_readings(wall, zone_name))
    # Within a skipped hour the earlier reading lies before the change, by less than the change.
    while local(instant, zone_name).replace(tzinfo=None) < wall:
        instant += _MINUTE
    return instant
