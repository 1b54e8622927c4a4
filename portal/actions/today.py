"""The Today page: when the next passes come, who will be reached and who will not, and what needs an eye."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from portal import store
from portal.actions.ahead import MOST, Placed, place, read_times
from portal.core.ahead import UPDATED_LATELY, BusinessClock, Missed, NextPass, missed, next_pass, number_to_file
from portal.core.diagnosis import ON_ITS_WAY, REACHED
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.core.timing import local
from portal.store.practices import Practice
from portal.store.today import LastPass

# The patient's own wish, or their record's: shown apart, and never mended in bulk.
WISHES = frozenset({Reason.PREFERS_EMAIL, Reason.PREFERS_NONE, Reason.OPTED_OUT, Reason.PATIENT_ARCHIVED})
_MOST_TOO_LATE = 50


@dataclass(frozen=True, slots=True)
class Line:
    """An appointment; all ids are rows'. `file`: the number that is a mobile and filed as something else, where the
    patient has none filed as Mobile."""

    appointment_id: int
    patient_id: int
    message_id: int | None
    patient: str
    business_id: int
    business: str
    appointment_type: str
    starts_local: datetime
    timezone: str
    status: Status | None
    reasons: tuple[Reason, ...]
    file: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """Those who will not be reached for one cause, the first that stands in the way. `subject`: the business or
    appointment type that it is about. `business_id`: of the first."""

    reason: Reason
    subject: str
    business_id: int
    lines: tuple[Line, ...]

    @property
    def is_wish(self) -> bool:
        return self.reason in WISHES

    @property
    def to_file(self) -> tuple[Line, ...]:
        """Those whom one click mends."""
        return tuple(line for line in self.lines if line.file)


@dataclass(frozen=True, slots=True)
class Times:
    """A pass to come, for businesses of one zone. `businesses`: their names."""

    next: NextPass
    businesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """The appointments of one date whose reminders go next. `will`: will be texted; `did`: were, or are on their way;
    `groups`: will not be; `stopped`: whom a text did not reach and no pass will try again."""

    day: date
    today: date
    times: tuple[Times, ...]
    will: tuple[Line, ...]
    did: tuple[Line, ...]
    groups: tuple[Group, ...]
    stopped: tuple[Line, ...]

    @property
    def patients(self) -> int:
        """Who will be texted, or were."""
        return len({line.patient_id for line in (*self.will, *self.did)})

    @property
    def already(self) -> int:
        """Of them, who were."""
        return len({line.patient_id for line in self.did})

    @property
    def texted(self) -> list[Line]:
        """Earliest first."""
        return sorted((*self.will, *self.did), key=lambda line: (line.starts_local, line.appointment_id))

    @property
    def is_on_its_way(self) -> bool:
        """Whether some wait for the provider still."""
        return any(line.status in ON_ITS_WAY for line in self.did)

    @property
    def is_well(self) -> bool:
        return not self.groups and not self.stopped

    @property
    def is_empty(self) -> bool:
        return self.is_well and not self.will and not self.did

    @property
    def to_mend(self) -> tuple[Group, ...]:
        return tuple(group for group in self.groups if not group.is_wish and group is not self.elsewhere)

    @property
    def elsewhere(self) -> Group | None:
        """Whom another system has reminded: nothing is to be done for them."""
        return next((group for group in self.groups if group.reason is Reason.REMINDED_ELSEWHERE), None)

    @property
    def wishes(self) -> tuple[Group, ...]:
        return tuple(group for group in self.groups if group.is_wish)


@dataclass(frozen=True, slots=True)
class Today:
    """`date`: by `zone`, the first business's; `has_zones`: there are several. `is_part`: there are more appointments
    than were looked at. `is_old`: appointments were last updated long ago, or never."""

    date: date
    days: tuple[Day, ...]
    businesses: int
    zone: str | None
    has_zones: bool
    last_pass: LastPass | None
    missed: tuple[Missed, ...]
    has_run: bool
    too_late: tuple[Line, ...]
    updated_at: datetime | None
    is_old: bool
    is_part: bool

    @property
    def can_make_up(self) -> bool:
        return any(one.make_up_at for one in self.missed)


def look_ahead(practice: Practice, now: datetime) -> Today:
    """In five queries, whatever the practice holds; for at most `MOST` appointments."""
    with store.reading(practice.id) as session:
        times = read_times(session, practice)
        passes = [
            found
            for clock in times.clocks
            if (found := next_pass(clock, practice.lead_days, practice.window_start, now))
        ]
        days: dict[date, list[NextPass]] = {}
        for one in sorted(passes, key=lambda one: (one.day, one.at, one.clock.id)):
            days.setdefault(one.day, []).append(one)
        wanted = {day: [one.clock.id for one in of_day] for day, of_day in days.items()}
        reminders = store.facts.list_ahead(session, practice, wanted, now, MOST + 1) if wanted else []
    placed = place(practice, times.clocks, reminders[:MOST], now)
    zones = {clock.timezone for clock in times.clocks}
    zone = times.clocks[0].timezone if times.clocks else None
    return Today(
        date=(local(now, zone) if zone else now).date(),
        days=tuple(
            _day(day, of_day, [one for one in placed if _is_of(one, day, wanted[day])], now)
            for day, of_day in days.items()
        ),
        businesses=len(times.clocks),
        zone=zone,
        has_zones=len(zones) > 1,
        last_pass=times.last_pass,
        missed=find_missed(times.clocks, practice, now),
        has_run=times.has_run,
        too_late=_too_late(placed, now),
        updated_at=times.updated_at,
        is_old=times.updated_at is None or now - times.updated_at > UPDATED_LATELY,
        is_part=len(reminders) > MOST,
    )


def _is_of(one: Placed, day: date, business_ids: Sequence[int]) -> bool:
    reminder = one.reminder
    return reminder.business_id in business_ids and reminder.facts.details.starts_local.date() == day


def _day(day: date, passes: Sequence[NextPass], placed: Sequence[Placed], now: datetime) -> Day:
    of_zone: dict[tuple[str, datetime], list[NextPass]] = {}
    for one in passes:
        of_zone.setdefault((one.clock.timezone, one.at), []).append(one)
    lines = sorted(
        ((line_of(one), one) for one in placed), key=lambda pair: (pair[0].starts_local, pair[0].appointment_id)
    )
    coming = [line for line, one in lines if one.pass_at]
    settled = [line for line, one in lines if not one.pass_at and one.reminder.message]
    return Day(
        day=day,
        today=local(now, passes[0].clock.timezone).date(),
        times=tuple(Times(same[0], tuple(one.clock.name for one in same)) for same in of_zone.values()),
        will=tuple(line for line in coming if line.status is Status.QUEUED),
        did=tuple(line for line in settled if line.status in REACHED | ON_ITS_WAY),
        groups=groups_of(line for line in coming if line.status is not Status.QUEUED),
        stopped=tuple(
            line
            for line in settled
            if line.status not in REACHED | ON_ITS_WAY | {Status.CANCELLED} and line.reasons != (Reason.WITHDRAWN,)
        ),
    )


def line_of(one: Placed) -> Line:
    reminder, message, outcome = one.reminder, one.reminder.message, one.outcome
    facts, details = reminder.facts, reminder.facts.details
    status, reasons = (message.status, message.reasons) if message else (None, ())
    if outcome:
        status, reasons = outcome.status, outcome.reasons
    elif one.unmet:
        reasons = (one.unmet,)
    return Line(
        appointment_id=reminder.appointment_id,
        patient_id=reminder.patient_id,
        message_id=message.id if message else None,
        patient=details.patient,
        business_id=reminder.business_id,
        business=details.business_name,
        appointment_type=details.appointment_type_name,
        starts_local=details.starts_local,
        timezone=reminder.timezone,
        status=status,
        reasons=reasons,
        file=number_to_file(facts.numbers, facts.countries) if Reason.NO_MOBILE_NUMBER in reasons else None,
    )


def groups_of(lines: Iterable[Line]) -> tuple[Group, ...]:
    groups: dict[tuple[Reason, str], list[Line]] = {}
    for line in lines:
        reason = line.reasons[0]
        # Who asked for no texts is not chased for a mobile number either, nor whom another system has reminded.
        if reason is not Reason.REMINDED_ELSEWHERE:
            reason = next((one for one in line.reasons if one in WISHES), reason)
        subject = {
            Reason.BUSINESS_REMINDERS_OFF: line.business,
            Reason.NO_TEMPLATE: line.appointment_type,
        }.get(reason, "")
        groups.setdefault((reason, subject), []).append(line)
    order = list(Reason)
    return tuple(
        Group(reason, subject, of_group[0].business_id, tuple(of_group))
        for (reason, subject), of_group in sorted(groups.items(), key=lambda one: (order.index(one[0][0]), one[0][1]))
    )


def find_missed(clocks: Iterable[BusinessClock], practice: Practice, now: datetime) -> tuple[Missed, ...]:
    found = (missed(clock, practice.window_start, now) for clock in clocks)
    return tuple(one for one in found if one)


def _too_late(placed: Iterable[Placed], now: datetime) -> tuple[Line, ...]:
    """Those ahead that no pass has met and none will."""
    lines = [
        line_of(one)
        for one in placed
        if one.unmet in (Reason.BOOKED_TOO_LATE, Reason.NO_PASS_RAN) and one.reminder.starts_at > now
    ]
    return tuple(sorted(lines, key=lambda line: (line.starts_local, line.appointment_id))[:_MOST_TOO_LATE])


@dataclass(frozen=True, slots=True)
class TemplateChoice:
    """`templates`: (row, name) of those that can be used."""

    appointment_id: int
    type_id: int
    type: str
    templates: tuple[tuple[int, str], ...]


def find_choice(practice_id: str, appointment_id: int) -> TemplateChoice | None:
    """Of the appointment's type. None: there is no such appointment."""
    with store.reading(practice_id) as session:
        found = store.today.find_type(session, appointment_id)
        templates = store.practices.list_templates(session)
    if found is None:
        return None
    usable = tuple((one.id, one.name) for one in templates if one.problem is None)
    return TemplateChoice(appointment_id, found.id, found.name, usable)
