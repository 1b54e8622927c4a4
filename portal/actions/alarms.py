"""Alarms: what stands amiss is recorded once, told once, and told again when it is over."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.actions.ahead import forecast
from portal.actions.health import Health, look
from portal.core.ahead import day_begins
from portal.core.alarms import (
    Alarm,
    Code,
    HostSeen,
    PracticeSeen,
    Said,
    alarms_of_host,
    alarms_of_practice,
    changes,
    say,
    say_to_staff,
)
from portal.core.phrases import plain
from portal.core.reminders import Sending
from portal.core.states import Status
from portal.core.timing import local
from portal.core.watching import QueueSeen
from portal.store.alarms import Doubts, StandingAlarm
from portal.store.practices import Practice

# As far back as the worklist goes, which settles them.
_DOUBTS_OF = timedelta(days=4)
_DAYS_OF_NEXT_PASS = 2  # today, and tomorrow where today's passes are over
_TAKEN = (Status.SENT, Status.DELIVERED, Status.UNDELIVERED, Status.UNCONFIRMED)

Tell = Callable[[str, str], bool]  # a title and a text; whether somebody took it


@dataclass(frozen=True, slots=True)
class Watched:
    raised: int
    over: int


def keep_watch(queue: QueueSeen, can_send: bool, now: datetime) -> Watched:
    """Look at everything once. `queue`: as it is now; `can_send`: there are credentials, or a simulator."""
    seen = list(_look(queue, can_send, now))
    with store.everything(write=True) as session:
        seen = [alarm for alarm in seen if not _is_topped_up(session, alarm)]
        standing = {row.key: row for row in store.alarms.list_standing(session)}
        found = changes({key: row.seen_at for key, row in standing.items()}, seen, now)
        raised = [store.alarms.raise_alarm(session, alarm, now) for alarm in found.raised]
        for alarm in found.seen:
            store.alarms.see_again(session, standing[alarm.key], alarm, now)
        for key in found.over:
            standing[key].cleared_at = now
        session.flush()
    return Watched(sum(raised), len(found.over))


def _look(queue: QueueSeen, can_send: bool, now: datetime) -> Iterator[Alarm]:
    health = look(now)
    with store.everything() as session:
        practices = store.practices.list_practices(session)
        reported = store.host.find_state(session, store.host.ACCOUNT_REPORTED)
        doubts = store.alarms.list_doubts(session, now - _DOUBTS_OF)
    refused = health.account_refused
    yield from alarms_of_host(
        HostSeen(
            queue,
            can_send,
            health.due_since,
            refused["code"] if refused else None,
            reported["code"] if reported else None,
        ),
        now,
    )
    for practice in practices:
        yield from alarms_of_practice(_look_at(practice, health, doubts.get(practice.id), now), now)


def _look_at(practice: Practice, health: Health, doubts: Doubts | None, now: datetime) -> PracticeSeen:
    with store.reading(practice.id) as session:
        businesses = store.practices.list_businesses(session)
        zone = businesses[0].timezone if businesses else None
        today = local(now, zone).date() if zone else now.date()
        begins, ends = day_begins(today, zone), day_begins(today + timedelta(days=1), zone)
        (outcomes,) = store.today.count_outcomes(session, practice.id, [(begins, ends)])
        held_back = store.alarms.count_held_back(session, begins)
    return replace(
        _look_at_credits(practice, zone, now),
        late=health.late.get(practice.id, ()),
        in_doubt=doubts.count if doubts else 0,
        in_doubt_since=doubts.since if doubts else None,
        texted=sum(outcomes.get(status, 0) for status in _TAKEN),
        undelivered=outcomes.get(Status.UNDELIVERED, 0),
        share=practice.alarm_share,
        held_back=held_back,
    )


def _look_at_credits(practice: Practice, zone: str | None, now: datetime) -> PracticeSeen:
    ahead = forecast(practice, now, _DAYS_OF_NEXT_PASS) if practice.sending is Sending.ON else None
    next_day = ahead.days[0] if ahead and ahead.days else None
    return PracticeSeen(
        practice.id,
        practice.sending,
        next_day.timezone if next_day else zone,
        credits=practice.credits,
        needed=next_day.credits if next_day else 0,
        runs_out_at=next_day.runs_out_at if next_day else None,
    )


def _is_topped_up(session: Session, alarm: Alarm) -> bool:
    """Since it was looked at: what has just been said to be over is not raised again for the old balance."""
    if alarm.code is not Code.CREDITS_RUN_OUT or alarm.practice_id is None:
        return False
    balance: int = store.practices.get_practice(session, alarm.practice_id).credits
    return balance > alarm.detail["credits"]


def weigh_credits_again(practice_id: str, now: datetime) -> None:
    """After a top-up: the alarm that the credits run out says the new balance, or is over. Whoever was told of it is
    told that with the next look."""
    key = Alarm(Code.CREDITS_RUN_OUT, practice_id).key
    with store.everything() as session:
        if store.alarms.find_standing(session, key) is None:
            return
        practice = store.practices.get_practice(session, practice_id)
    alarms = list(alarms_of_practice(_look_at_credits(practice, None, now), now))
    with store.everything(write=True) as session:
        row = store.alarms.find_standing(session, key)
        if row is None:
            return
        if alarms:
            store.alarms.see_again(session, row, alarms[0], now)
        else:
            row.cleared_at = now


@dataclass(frozen=True, slots=True)
class Standing:
    """An alarm that stands, in words. `practice`: its name; empty where it is the whole host's."""

    code: Code
    practice_id: str | None
    practice: str
    since: datetime
    said: Said


def list_standing(now: datetime) -> list[Standing]:
    """Of the whole host, the oldest first."""
    with store.everything() as session:
        rows = store.alarms.list_standing(session)
        names = {practice.id: practice.name for practice in store.practices.list_practices(session)} if rows else {}
    return [in_words(row, now, names.get(row.practice_id or "", "")) for row in rows]


def in_words(row: StandingAlarm, now: datetime, practice: str = "", *, is_for_staff: bool = False) -> Standing:
    said = (say_to_staff if is_for_staff else say)(row.code, row.detail, now)
    return Standing(row.code, row.practice_id, plain(practice), row.since, said)


def tell_what_changed(tell: Tell, public_url: str | None, now: datetime) -> int:
    """Tell of the alarms of which nobody knows yet, and of those that are over; returns of how many. What could not
    be told is tried again the next time."""
    with store.everything(write=True) as session:
        rows = store.alarms.claim_to_tell(session, now)
        names = {practice.id: practice.name for practice in store.practices.list_practices(session)} if rows else {}
    told = 0
    for is_over in (False, True):
        some = [row for row in rows if (row.cleared_at is not None) is is_over]
        if not some:
            continue
        title, text = _letter(some, names, public_url, now, is_over=is_over)
        is_told = tell(title, text)
        ids = [row.id for row in some]
        with store.everything(write=True) as session:
            if is_told:
                store.alarms.record_told(session, ids, is_over=is_over, now=now)
                told += len(ids)
            else:
                store.alarms.record_not_told(session, ids)
    return told


def _letter(
    rows: Sequence[StandingAlarm], names: dict[str, str], public_url: str | None, now: datetime, *, is_over: bool
) -> tuple[str, str]:
    paragraphs, headings = [], []
    for row in rows:
        one = in_words(row, now, names.get(row.practice_id or "", ""))
        heading = f"{one.practice}: {one.said.heading}" if one.practice else one.said.heading
        lines = [heading, f"Over: {one.said.all_clear}" if is_over else one.said.says]
        if public_url and not is_over:
            lines.append(public_url + one.said.place)
        headings.append(heading)
        paragraphs.append("\n".join(lines))
    first = headings[0] if len(headings) == 1 else f"{len(headings)} alarms"
    return f"SMS reminders: {'over: ' if is_over else ''}{first}", "\n\n".join(paragraphs)
