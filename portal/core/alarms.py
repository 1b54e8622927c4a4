"""What is amiss with the sending, told once and once more when it is over: which alarms stand, and their words."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from portal.core.phrases import clock_time, counted, day, listed, moment, plain
from portal.core.reminders import DAILY_LIMIT, Sending
from portal.core.timing import local
from portal.core.watching import QueueSeen


class Code(StrEnum):
    # Of the whole host.
    REDIS_AWAY = "redis-away"
    WORKERS_GONE = "workers-gone"
    QUEUE_WAITS = "queue-waits"
    ACCOUNT_REFUSED = "account-refused"
    ACCOUNT_REPORTED = "account-reported"
    # Of a practice.
    NO_PASS_RAN = "no-pass-ran"  # noqa: S105
    CREDITS_RUN_OUT = "credits-run-out"
    IN_DOUBT = "in-doubt"
    MANY_UNDELIVERED = "many-undelivered"
    DAILY_LIMIT = "daily-limit"


QUEUE_MAY_WAIT = timedelta(minutes=10)
# Where cron starts workers for a burst, none lives in between, and what it has just enqueued is theirs.
WORKERS_MAY_BE_AWAY = timedelta(minutes=2)
DOUBT_MAY_LAST = timedelta(hours=1)
FEWEST_UNDELIVERED = 5  # two of three on a quiet day are no sign of anything
# Not seen for so long it is over: what comes and goes within minutes is told once.
OVER_AFTER = timedelta(minutes=9)


@dataclass(frozen=True, slots=True)
class Alarm:
    """`practice_id`: None where it is the whole host's. `detail`: figures, instants in ISO 8601 and the names of
    businesses for `say`; nothing of any patient."""

    code: Code
    practice_id: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.practice_id or ''}:{self.code}"


@dataclass(frozen=True, slots=True)
class HostSeen:
    """`due_since`: the message that has been due the longest. `refused`: with which code the provider refuses the
    account. `reported`: the code of the account's fault that its receipts name."""

    queue: QueueSeen
    can_send: bool
    due_since: datetime | None
    refused: str | None
    reported: str | None


@dataclass(frozen=True, slots=True)
class LateBusiness:
    """`due_at`: when the hour began in which nothing ran."""

    name: str
    timezone: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class PracticeSeen:
    """`late`: businesses of which no pass has met the newest hour. `runs_out_at`: the next pass, where it will find
    too few credits, at `timezone`; `needed`: what the reminders of its day need. `in_doubt_since`: the oldest of the
    `in_doubt` that nobody has dealt with. `texted`: today's texts that the provider took, `undelivered` of them.
    `held_back`: today's reminders over the limit."""

    id: str
    sending: Sending
    timezone: str | None
    late: Sequence[LateBusiness] = ()
    credits: int = 0
    needed: int = 0
    runs_out_at: datetime | None = None
    in_doubt: int = 0
    in_doubt_since: datetime | None = None
    texted: int = 0
    undelivered: int = 0
    share: int = 20  # per cent
    held_back: int = 0


def alarms_of_host(seen: HostSeen, now: datetime) -> Iterator[Alarm]:
    queue = seen.queue
    waited = queue.oldest_age or timedelta()
    if queue.problem:
        yield Alarm(Code.REDIS_AWAY)
    elif are_workers_gone(queue):
        yield Alarm(Code.WORKERS_GONE)
    elif waited >= QUEUE_MAY_WAIT or _has_been_due(seen, now):
        since = min(filter(None, (now - waited if queue.oldest_age else None, seen.due_since)))
        yield Alarm(Code.QUEUE_WAITS, None, {"since": since.isoformat()})
    if seen.refused:
        yield Alarm(Code.ACCOUNT_REFUSED, None, {"code": seen.refused})
    if seen.reported:
        yield Alarm(Code.ACCOUNT_REPORTED, None, {"code": seen.reported})


def are_workers_gone(queue: QueueSeen) -> bool:
    waited = queue.oldest_age or timedelta()
    return not queue.alive and bool(queue.lost or waited >= WORKERS_MAY_BE_AWAY)


def _has_been_due(seen: HostSeen, now: datetime) -> bool:
    """While the account is refused, or nothing can be sent, messages wait for that: it has its own words."""
    return (
        seen.can_send and not seen.refused and seen.due_since is not None and now - seen.due_since >= QUEUE_MAY_WAIT
    )


def alarms_of_practice(seen: PracticeSeen, now: datetime) -> Iterator[Alarm]:
    zone = {"zone": seen.timezone}
    if seen.late:
        first = min(seen.late, key=lambda one: one.due_at)
        names = [one.name for one in seen.late]
        yield Alarm(
            Code.NO_PASS_RAN,
            seen.id,
            {"businesses": names, "at": first.due_at.isoformat(), "zone": first.timezone},
        )
    if seen.runs_out_at and seen.sending is Sending.ON:
        figures = {"credits": seen.credits, "needed": seen.needed, "at": seen.runs_out_at.isoformat()}
        yield Alarm(Code.CREDITS_RUN_OUT, seen.id, figures | zone)
    if seen.in_doubt_since and now - seen.in_doubt_since >= DOUBT_MAY_LAST:
        yield Alarm(Code.IN_DOUBT, seen.id, {"count": seen.in_doubt, "since": seen.in_doubt_since.isoformat()} | zone)
    if seen.undelivered >= FEWEST_UNDELIVERED and 100 * seen.undelivered > seen.share * seen.texted:
        yield Alarm(
            Code.MANY_UNDELIVERED,
            seen.id,
            {"undelivered": seen.undelivered, "texted": seen.texted, "share": seen.share},
        )
    if seen.held_back:
        yield Alarm(Code.DAILY_LIMIT, seen.id, {"count": seen.held_back})


@dataclass(frozen=True, slots=True)
class Changes:
    """By key."""

    raised: Sequence[Alarm]
    seen: Sequence[Alarm]
    over: Sequence[str]


def changes(standing: Mapping[str, datetime], seen: Collection[Alarm], now: datetime) -> Changes:
    """`standing`: when each was last seen."""
    keys = {alarm.key for alarm in seen}
    return Changes(
        [alarm for alarm in seen if alarm.key not in standing],
        [alarm for alarm in seen if alarm.key in standing],
        [key for key, seen_at in standing.items() if key not in keys and now - seen_at >= OVER_AFTER],
    )


# --- in words ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """`place`: the page that shows more, `link` its name. `all_clear`: what is said when it is over."""

    heading: str
    says: str
    place: str
    link: str
    all_clear: str


def say_to_staff(code: Code, detail: Mapping[str, Any], now: datetime) -> Said:
    """As `say`, for the staff of a practice: of what only the administrator can mend, what it means for them."""
    said, words = say(code, detail, now), _TO_STAFF.get(code)
    return replace(said, heading=words[0], says=words[1]) if words else said


_STOPPED = (
    "No text goes out at the moment",
    "A part of the portal has stopped. What is due waits, and goes by itself once it runs again: nobody need do "
    "anything for the patients. Reminders whose time is over by then are listed here.",
)
_TO_STAFF: Mapping[Code, tuple[str, str]] = {
    Code.REDIS_AWAY: _STOPPED,
    Code.WORKERS_GONE: _STOPPED,
    Code.QUEUE_WAITS: (
        "Texts go out late",
        "They go by themselves: nobody need send them again. What is too late in the end is listed here.",
    ),
    Code.ACCOUNT_REFUSED: (
        "No text goes out at the moment",
        "The provider, which carries our texts, refuses our account. What is due waits, and goes by itself once that "
        "is mended: nobody need do anything for the patients.",
    ),
    Code.ACCOUNT_REPORTED: (
        "Texts do not arrive, for a fault of our account with the provider",
        "Nothing is wrong with the patients' numbers: leave them as they are. Once it is mended, the texts under "
        "“To deal with” can be sent again; whoever comes sooner needs a call.",
    ),
}


def say(code: Code, detail: Mapping[str, Any], now: datetime) -> Said:
    match code:
        case Code.REDIS_AWAY:
            return Said(
                "Nothing runs: Redis is away",
                "No reminder goes until Redis answers again. The portal's administrator can start it.",
                "/host",
                "The host",
                "Redis answers again.",
            )
        case Code.WORKERS_GONE:
            return Said(
                "Nothing is sent: no worker runs",
                "What is due waits until the workers are started again.",
                "/host",
                "The host",
                "Workers run again.",
            )
        case Code.QUEUE_WAITS:
            return Said(
                "Texts wait too long",
                f"The oldest has waited since {_when(detail, 'since', now)}. Look whether the workers keep up.",
                "/host",
                "The host",
                "Nothing waits too long any more.",
            )
        case Code.ACCOUNT_REFUSED:
            return Said(
                "The provider refuses our account",
                f"All sending waits ({_code(detail)}). It goes on by itself once that is mended.",
                "/host",
                "The host",
                "The provider takes our texts again.",
            )
        case Code.ACCOUNT_REPORTED:
            return Said(
                "Texts are not delivered for a fault of our account",
                f"So the provider reports (code {_code(detail)}). Mend it at the provider; no patient is to blame.",
                "/host",
                "The host",
                "The provider delivers again.",
            )
        case Code.NO_PASS_RAN:
            where = listed([plain(name) for name in detail["businesses"]])
            return Said(
                "Reminders did not run",
                f"{where}: nothing has run since {_when(detail, 'at', now, is_time=True)}. "
                "What was missed can be sent from the Today page.",
                "/",
                "Today",
                "Reminders run again.",
            )
        case Code.CREDITS_RUN_OUT:
            when = _when(detail, "at", now, is_time=True)
            says = (
                f"{detail['credits']:,} left; the reminders that go {_day(detail, 'at', now)} need "
                f"{detail['needed']:,}. Top up before {when}."
            )
            if datetime.fromisoformat(detail["at"]) <= now:  # what was counted then is spent since
                says = (
                    f"The reminders of {when} need more than were left. Top up now: the next try takes up the others."
                )
            return Said(
                "Credits run out with the next reminders",
                says,
                "/settings/sms",
                "Top up",
                "There are enough credits for the next reminders.",
            )
        case Code.IN_DOUBT:
            return Said(
                "Texts in doubt",
                f"Whether {counted(detail['count'], 'text')} reached a patient has been in doubt since "
                f"{_when(detail, 'since', now)}. Send again, or leave it.",
                "/today/worklist",
                "To deal with",
                "No text is in doubt any more.",
            )
        case Code.MANY_UNDELIVERED:
            return Said(
                "Many texts are not delivered",
                f"{detail['undelivered']:,} of today's {counted(detail['texted'], 'text')} did not arrive, "
                f"more than {detail['share']}%. Look at what the phone companies say.",
                "/communications?status=undelivered",
                "Show them",
                "Texts are delivered as usual.",
            )
        case Code.DAILY_LIMIT:
            return Said(
                "A patient would have got too many texts",
                f"{counted(detail['count'], 'reminder')} did not go today: {DAILY_LIMIT} automatic texts are "
                "the most for a patient in a day. See whether appointments are moved again and again.",
                "/communications?reason=daily-limit",
                "Show them",
                "No patient would get too many texts today.",
            )


def _code(detail: Mapping[str, Any]) -> str:
    return plain(str(detail.get("code", "")), 40)


def _when(detail: Mapping[str, Any], name: str, now: datetime, *, is_time: bool = False) -> str:
    """today at 10am; without the practice's zone in UTC, and so named."""
    wall, today, zone = _there(detail, name, now)
    if is_time:
        return f"{clock_time(wall)} {day(wall.date(), today)}"
    return f"{moment(wall, today)}{zone}"


def _day(detail: Mapping[str, Any], name: str, now: datetime) -> str:
    wall, today, _ = _there(detail, name, now)
    return day(wall.date(), today)


def _there(detail: Mapping[str, Any], name: str, now: datetime) -> tuple[datetime, Any, str]:
    zone = detail.get("zone")
    at = datetime.fromisoformat(detail[name])
    there = zone or "UTC"
    return local(at, there), local(now, there).date(), "" if zone else " UTC"
