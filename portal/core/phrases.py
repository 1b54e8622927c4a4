"""Names, times and numbers as people say them. Whatever comes in, one harmless line comes out."""

import math
from datetime import date, datetime, timedelta
from functools import lru_cache

from portal.core.text import MONTHS, WEEKDAYS

NEAR = timedelta(minutes=1)  # what comes sooner is told in seconds
_LONGEST = 60
# Joiners within words of Persian and Indian scripts, and within emoji: not printable, but part of a name.
_JOINERS = "\u200c\u200d"


def plain(text: str, longest: int = _LONGEST) -> str:
    """One line without control characters, at most `longest` characters: for names, which may hold anything."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() or char in _JOINERS else " " for char in text)
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def full_name(*names: str | None) -> str:
    """Of what there is of it; empty where there is nothing."""
    return " ".join(name for name in names if name)


def called(name: str | None) -> str:
    """A patient's name, or what stands for it at the beginning of a sentence."""
    return plain(name or "") or "The patient"


def clock_time(wall: datetime) -> str:
    """9:30am; 10am on the full hour."""
    minutes = f":{wall.minute:02}" if wall.minute else ""
    return f"{wall.hour % 12 or 12}{minutes}{'am' if wall.hour < 12 else 'pm'}"


def hour(of: int) -> str:
    """8am; midnight for 0 and 24."""
    return "midnight" if of % 24 == 0 else f"{of % 12 or 12}{'am' if of < 12 else 'pm'}"


def hours_in_words(begin: int, end: int) -> str:
    """8am to 9pm."""
    return f"{hour(begin)} to {hour(end)}"


@lru_cache(maxsize=1024)
def day(of: date, today: date | None) -> str:
    """today, tomorrow, yesterday; else Friday 9 May, with its year where that is another."""
    if today is not None:
        near = {today: "today", today + timedelta(days=1): "tomorrow", today - timedelta(days=1): "yesterday"}
        if of in near:
            return near[of]
    year = "" if today is not None and of.year == today.year else f" {of.year}"
    return f"{WEEKDAYS[of.weekday()]} {of.day} {MONTHS[of.month - 1]}{year}"


def on(of: date, today: date | None) -> str:
    """today; on Friday 9 May."""
    said = day(of, today)
    return said if said in ("today", "tomorrow", "yesterday") else f"on {said}"


def moment(wall: datetime, today: date | None) -> str:
    """today at 11am; on Friday 9 May at 9:30am."""
    return f"{on(wall.date(), today)} at {clock_time(wall)}"


def time_and_day(wall: datetime, today: date | None) -> str:
    """8am tomorrow; 9:30am on Friday 9 May."""
    return f"{clock_time(wall)} {on(wall.date(), today)}"


def coming(at: datetime, now: datetime) -> str:
    """in 8 seconds, where it is near; else at 8am tomorrow, by the clocks of `at`."""
    left = at - now
    if left < NEAR:
        return f"in {counted(max(1, math.ceil(left.total_seconds())), 'second')}"
    return f"at {time_and_day(at, now.astimezone(at.tzinfo).date())}"


def day_and_time(wall: datetime, today: date | None) -> str:
    """tomorrow, 9:30am; Friday 9 May, 9:30am."""
    return f"{day(wall.date(), today)}, {clock_time(wall)}"


def counted(number: int, what: str) -> str:
    """1 credit; 2 credits; 1,200 credits."""
    return f"{number:,} {what}{'' if abs(number) == 1 else 's'}"


def up_to(most: int, what: str) -> str:
    """no reminder; up to 1 reminder; up to 1,200 reminders."""
    return f"up to {counted(most, what)}" if most else f"no {what}"


def lasting(duration: timedelta) -> str:
    """3 days; 1 hour; 20 seconds: in the largest unit that it fills."""
    seconds = max(0, int(duration.total_seconds()))
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return counted(seconds // size, name)
    return counted(seconds, "second")


def listed(parts: list[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1] if parts else "") if part)
