"""The day's line by mail, for those of the staff who want it: once, after the day's first pass."""

import logging
from collections.abc import Callable, Sequence
from datetime import date, datetime
from itertools import groupby

from portal import store
from portal.actions.ahead import read_times
from portal.actions.today import Day, look_ahead
from portal.core.ahead import BusinessClock
from portal.core.daily_line import NotReached, line
from portal.core.phrases import clock_time, plain
from portal.core.reminders import Sending
from portal.core.timing import appointment_date, local, passes_ended_at
from portal.core.wording import reason_in_short
from portal.errors import describe
from portal.store.practices import Practice
from portal.store.staff import User

log = logging.getLogger(__name__)

Mail = Callable[[str, str, str], None]  # to, subject, text


def mail_lines(mail: Mail, public_url: str | None, now: datetime) -> int:
    """Mail what is due; returns how many mails went. A practice's is tried again while none of its mails went."""
    with store.everything() as session:
        readers = store.staff.list_line_readers(session)
    went = 0
    for practice_id, theirs in groupby(readers, key=lambda user: user.practice_id):
        if practice_id is not None:
            went += _mail_line(practice_id, list(theirs), mail, public_url, now)
    return went


def _mail_line(practice_id: str, readers: list[User], mail: Mail, public_url: str | None, now: datetime) -> int:
    with store.reading(practice_id) as session:
        practice = store.practices.get_practice(session, practice_id)
        today = _day_with_a_pass(practice, read_times(session, practice).clocks, now)
    if today is None:
        return 0
    with store.transaction(practice_id) as session:
        if not store.alarms.begin_line(session, practice_id, today, now):
            return 0
    of = appointment_date(today, practice.lead_days)
    found = next((one for one in look_ahead(practice, now).days if one.day == of), None)
    went = 0
    for reader in readers:
        subject, text = _line(practice, found, of, today, with_names=reader.wants_names)
        end = f"\n\n{public_url}/" if public_url else ""
        try:
            mail(reader.email, f"{plain(practice.name)}: {subject}", text + end)
            went += 1
        except Exception as error:
            log.warning("The day's line was not mailed to user %d: %s", reader.id, describe(error))
    if not went:
        with store.transaction(practice_id) as session:
            store.alarms.forget_line(session, today)
    return went


def _day_with_a_pass(practice: Practice, clocks: Sequence[BusinessClock], now: datetime) -> date | None:
    """The first business's date, where a pass has run on it and one may still come: after that the page looks at
    the next day's reminders."""
    if not clocks:
        return None
    zone = clocks[0].timezone
    today = local(now, zone).date()
    has_run = any(hour.local_date == today for hour in clocks[0].ran)
    return today if has_run and now < passes_ended_at(today, zone, practice.window_start) else None


def _line(practice: Practice, found: Day | None, of: date, today: date, *, with_names: bool) -> tuple[str, str]:
    is_off = practice.sending is not Sending.ON
    if found is None:
        return line(of, today, 0, 0, (), is_off=is_off, with_names=with_names)
    groups = [(reason_in_short(group.reason), group.subject, group.lines) for group in found.groups]
    for one in found.stopped:
        groups.append(("; ".join(map(reason_in_short, one.reasons)) or "Not delivered", "", (one,)))
    left = {one.patient_id for _, _, lines in groups for one in lines}
    texted = {one.patient_id for one in found.texted} - left
    return line(
        of,
        today,
        len(texted),
        len(left),
        [
            NotReached(
                f"{why} ({subject})" if subject else why,
                [f"{one.patient} ({clock_time(one.starts_local)})" for one in lines],
            )
            for why, subject, lines in groups
        ],
        is_off=is_off,
        with_names=with_names,
    )
