"""Why an appointment's reminder went or did not: what was recorded, what holds now, and when the next try is."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby

from portal.core.found import LABELS, found
from portal.core.phrases import called, clock_time, coming, day_and_time, moment, plain, time_and_day
from portal.core.reasons import Reason
from portal.core.receipts import cause
from portal.core.reminders import NOT_ASKED_OF_STAFF, POLICY, Facts, cost
from portal.core.roles import Permission
from portal.core.states import RETRIED_BY_PASS, Status
from portal.core.timing import day_passes, due_date, has_come, local, next_pass_at, passes_ended_at
from portal.core.wording import (
    OUTCOMES,
    Context,
    Words,
    reason_in_short,
    reasons_in_short,
    who_changed,
    words,
)

REACHED = frozenset({Status.SENT, Status.DELIVERED, Status.UNCONFIRMED})
ON_ITS_WAY = frozenset({Status.QUEUED, Status.SENDING})

# What a role must be allowed to mend each cause.
MENDED_WITH: Mapping[Reason, Permission] = {
    Reason.SENDING_OFF: Permission.SETTINGS,
    Reason.REMINDED_ELSEWHERE: Permission.SEND,
    Reason.BUSINESS_REMINDERS_OFF: Permission.SETTINGS,
    Reason.NO_TEMPLATE: Permission.SETTINGS,
    Reason.NO_MOBILE_NUMBER: Permission.PATIENTS,
    Reason.INVALID_MOBILE_NUMBER: Permission.PATIENTS,
    Reason.NUMBER_NOT_IN_SERVICE: Permission.PATIENTS,
    Reason.PREFERS_EMAIL: Permission.PATIENTS,
    Reason.PREFERS_NONE: Permission.PATIENTS,
    Reason.OPTED_OUT: Permission.PATIENTS,
    Reason.PATIENT_ARCHIVED: Permission.PATIENTS,
    Reason.NO_CONSENT: Permission.PATIENTS,
    Reason.DAILY_LIMIT: Permission.SEND,
    Reason.NO_CREDITS: Permission.CREDITS,
}


def mended_with(may_resume: bool) -> Mapping[Reason, Permission]:
    """`may_resume`: sending is off by a pause, which whoever may pause may end; going live is the owner's."""
    return {**MENDED_WITH, Reason.SENDING_OFF: Permission.SEND} if may_resume else MENDED_WITH


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the policy, as it stands now. `heading`, `fix` and `place` are empty where all is well."""

    code: Reason
    ok: bool
    label: str
    detail: str
    heading: str = ""
    fix: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a pass decided."""

    at: datetime
    status: Status
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """A reason that was recorded, in words. `is_mended`: it does not hold any more."""

    reason: Reason
    words: Words
    is_mended: bool


@dataclass(frozen=True, slots=True)
class Case:
    """An appointment, its reminder's row (None and empty where it has none), and the world as it is now.

    `credits`: what the message may spend, with what was taken for it. `unmet`: why it has no row, where no pass
    will give it one.
    """

    appointment: str
    patient: str
    timezone: str
    starts_local: datetime
    facts: Facts
    context: Context
    credits: int
    status: Status | None
    reasons: tuple[Reason, ...]
    recorded: tuple[Recorded, ...]
    message_id: int | None
    unmet: Reason | None
    is_cancelled: bool
    is_refused: bool  # as it would go now, the provider has refused it already
    is_by_staff: bool  # what is on its way, or was last, is a text of theirs
    goes_at: datetime | None  # where it waits for its time: by the clocks there
    next_pass_at: datetime | None  # the pass that would take it up


@dataclass(frozen=True, slots=True)
class Diagnosis:
    appointment: str
    message_id: int | None
    timezone: str
    question: str
    status: Status | None
    reasons: tuple[Reason, ...]
    explained: tuple[Explained, ...]
    checks: tuple[Check, ...]
    recorded: tuple[Recorded, ...]
    recorded_in_words: tuple[str, ...]
    next_pass_at: datetime | None
    next_try: str
    outlook: str  # what holds now, said after a mend

    @property
    def is_well(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def lines(self) -> Iterator[Check]:
        """One check a label: the first that is crossed, else the last."""
        for _, alike in groupby(self.checks, key=lambda check: check.label):
            checks = list(alike)
            yield next((check for check in checks if not check.ok), checks[-1])


@dataclass(frozen=True, slots=True)
class DueDay:
    """The day on which a business's reminders for appointments of one local date are due, as it stands at `now`.

    `ran`: the instants of the passes that have handled its hours, by local hour. `watched_since`: the first run of
    the script that saw the business; None before it.
    """

    starts_on: date
    lead_days: int
    timezone: str
    window_start: int
    ran: Mapping[int, datetime]
    watched_since: datetime | None
    now: datetime

    @property
    def begins(self) -> Sequence[datetime]:
        """When its pass hours begin."""
        return day_passes(due_date(self.starts_on, self.lead_days), self.timezone, self.window_start)

    @property
    def ends(self) -> datetime:
        return passes_ended_at(due_date(self.starts_on, self.lead_days), self.timezone, self.window_start)

    def next_pass_at(self, booked_at: datetime, cancelled_at: datetime | None) -> datetime | None:
        """When a pass next takes up such an appointment; None: no more."""
        at = next_pass_at(self.now, self.starts_on, self.lead_days, self.timezone, self.window_start, self.ran.keys())
        if at is not None and at < booked_at:
            at = next((begin for begin in self._to_come if begin >= booked_at), None)
        return None if at is None or has_come(cancelled_at, at) else at

    @property
    def _to_come(self) -> Iterator[datetime]:
        return (begin for begin in self.begins if local(begin, self.timezone).hour not in self.ran)

    @property
    def was_watched(self) -> bool:
        """The day on which the script first ran does not count: its hours may have been over."""
        due_on = due_date(self.starts_on, self.lead_days)
        return self.watched_since is not None and local(self.watched_since, self.timezone).date() < due_on

    def unmet(self, booked_at: datetime, cancelled_at: datetime | None) -> Reason:
        """Why no pass met such an appointment, where none will. `booked_at`: or moved to its time."""
        if cancelled_at is not None:
            return Reason.APPOINTMENT_CANCELLED
        if not self.ran and booked_at <= self.begins[-1]:
            return Reason.NO_PASS_RAN
        return Reason.BOOKED_TOO_LATE


def examine(case: Case, now: datetime) -> Diagnosis:
    reasons = case.reasons if case.unmet is None else (case.unmet,)
    may_try = case.status is None or case.status in RETRIED_BY_PASS
    next_at = case.next_pass_at if may_try else None
    asked = checks(case.facts, case.credits, case.context)
    return Diagnosis(
        appointment=case.appointment,
        message_id=case.message_id,
        timezone=case.timezone,
        question=_question(case),
        status=case.status,
        reasons=reasons,
        explained=explain(reasons, case.context, asked),
        checks=asked,
        recorded=case.recorded,
        recorded_in_words=tuple(_recorded_in_words(case, one) for one in case.recorded),
        next_pass_at=next_at,
        next_try=_next_try(case, next_at, now, all(check.ok for check in asked)),
        outlook=_outlook(case, next_at, now, [one.heading for one in asked if not one.ok and _counts(one, case)]),
    )


def _counts(check: Check, case: Case) -> bool:
    """What only reminders are asked holds no text of staff back that is on its way."""
    return not (case.is_by_staff and case.status in ON_ITS_WAY and check.code in NOT_ASKED_OF_STAFF)


def checks(facts: Facts, credits: int, context: Context) -> tuple[Check, ...]:
    """Every question of the policy in its order, and that of credits, also where something else blocks."""
    needed = cost(facts)
    # Without a text there is no price: any credit at all will do.
    enough = credits > 0 if needed is None else credits >= needed
    answers = [(rule.reason, not rule.holds(facts)) for rule in POLICY]
    return tuple(_check(reason, ok, context) for reason, ok in [*answers, (Reason.NO_CREDITS, enough)])


def _check(reason: Reason, ok: bool, context: Context) -> Check:
    if ok:
        return Check(reason, True, LABELS[reason], found(reason, context))
    said = words(reason, context)
    return Check(reason, False, LABELS[reason], said.says, said.heading, said.fix, said.place)


def explain(reasons: Sequence[Reason], context: Context, asked: Collection[Check]) -> tuple[Explained, ...]:
    """Recorded reasons in words. One that has been mended since says what holds now: the details of the time
    are gone."""
    now_ok = {check.code: check for check in asked if check.ok}
    explained = []
    for reason in reasons:
        said = words(reason, context)
        mended, says = now_ok.get(reason), ""
        if mended:
            says = f"No longer so. {mended.label}: {mended.detail}. {who_changed(reason, context)}".strip()
        elif reason is Reason.PROVIDER_REFUSED and context.is_otherwise_now:
            says = f"{said.says} No longer so: the number or the text is another by now."
        if says:
            said = replace(said, says=says, fix="", place="")
        explained.append(Explained(reason, said, is_mended=bool(says)))
    return tuple(explained)


def what_happened(
    status: Status,
    patient: str,
    visit: str,
    at: str,
    reasons: Sequence[Reason],
    code: str = "",
    *,
    has_no_record: bool = False,
    goes: str = "",
) -> str:
    """One sentence, and what to do. `visit`: "tomorrow, 9:30am", or empty; `at`: "today at 10am", when it was sent or
    decided; `code`: why it was not delivered; `has_no_record`: the provider was asked about it in vain; `goes`: "8am
    tomorrow", where it waits for its time."""
    who = called(patient)
    about = f" about the appointment {visit}" if visit else ""
    why = "; ".join(f"{cause[:1].lower()}{cause[1:]}" for cause in map(reason_in_short, reasons))
    match status:
        case Status.QUEUED:
            waits = f"it is scheduled{f' for {goes}' if goes else ''}"
            if reasons:
                waits = "it waits, for the provider refuses our account"
            return f"{who} will be texted{about}: {waits}."
        case Status.SENDING:
            return f"{who} is being texted{about}."
        case Status.SENT:
            return f"{who} was texted {at}{about}: the provider has it."
        case Status.DELIVERED:
            return f"{who} was texted {at}{about}, and it was delivered."
        case Status.UNDELIVERED:
            why_not = cause(code)
            return f"{who} was texted {at}{about}, but it was not delivered: {why_not.says}. {why_not.do}".strip()
        case Status.UNCONFIRMED:
            lost = f": {cause(code).says}. {cause(code).do}" if code else "."
            return f"{who} was texted {at}{about}; whether it arrived was never reported{lost}"
        case Status.UNKNOWN if has_no_record:
            return f"We do not know whether {who} got the text{about}: the provider has no record of it."
        case Status.UNKNOWN:
            return f"We do not know whether {who} got the text{about}: the provider gave no clear answer."
        case Status.CANCELLED:
            return f"The text to {who}{about} was withdrawn before it was sent."
        case Status.RECEIVED:
            return f"{who} wrote {at}."
        case Status.NOT_SENT | Status.FAILED | Status.EXPIRED:
            return f"{who} was not texted{about}: {why}."


def _question(case: Case) -> str:
    when = day_and_time(case.starts_local, case.context.today)
    patient = plain(case.patient) or "the patient"
    if case.status in REACHED | ON_ITS_WAY | {Status.UNDELIVERED, Status.UNKNOWN}:
        return f"{patient}'s reminder for {when}"
    if case.status is None and case.unmet is None:
        return f"Will {patient} get a reminder for {when}?"
    return f"Why didn't {patient} get a reminder for {when}?"


def _recorded_in_words(case: Case, recorded: Recorded) -> str:
    wall = local(recorded.at, case.timezone)
    why = reasons_in_short(recorded.reasons)
    what = OUTCOMES[recorded.status].word.lower()
    return f"{moment(wall, case.context.today)}, {what}{f': {why}' if why else ''}"


def _next_try(case: Case, next_at: datetime | None, now: datetime, all_well: bool) -> str:
    if next_at is not None:
        wall = local(next_at, case.timezone)
        when = moment(wall, case.context.today)
        if next_at <= now:
            when = f"before {clock_time(wall.replace(hour=wall.hour + 1, minute=0))}"
        if case.is_refused:
            return f"Next try: {when}, if the number, the text or the sender is another by then."
        return f"Next try: {when}" + ("." if all_well else ", if nothing above is crossed.")
    if case.status in REACHED or case.status is Status.UNDELIVERED:
        return ""
    if case.goes_at is not None:
        return f"It goes {coming(case.goes_at, now)}."
    if case.status in ON_ITS_WAY:
        return "It goes by itself."
    if case.is_cancelled:
        return "No reminder is due: the appointment is cancelled."
    return "No further try comes by itself."


def _outlook(case: Case, next_at: datetime | None, now: datetime, crossed: Sequence[str]) -> str:
    name, said = plain(case.context.first_name), "; ".join(crossed)
    whose = f"{name}'s reminder" if name else "The reminder"
    if case.status in REACHED or case.status is Status.UNDELIVERED:
        return f"{whose} was sent already: it holds from the next one on."
    if case.status in ON_ITS_WAY:
        return f"{whose} is scheduled, but will be held back: {said}." if said else f"{whose} is on its way."
    if said:
        return f"Still in the way: {said}."
    if case.is_cancelled:
        return "No reminder is due: the appointment is cancelled."
    if next_at is None:
        is_over = case.starts_local <= local(now, case.timezone).replace(tzinfo=None)
        to_come = "the next appointment's reminder" if is_over else "the next reminder"
        return f"No further try comes by itself for this appointment. It holds from {to_come} on."
    wall = local(next_at, case.timezone)
    if case.is_refused:
        return "The provider refused it: it goes only if the number, the text or the sender is another by then."
    if next_at <= now:
        return f"{whose} goes before {clock_time(wall.replace(hour=wall.hour + 1, minute=0))} today."
    return f"{whose} goes at {time_and_day(wall, case.context.today)}."
