"""Words for staff: what became of a message, every reason why, and the place in the portal that mends it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from itertools import takewhile
from urllib.parse import quote

from portal.core import again, receipts, reply_words
from portal.core.numbers import (
    LineKind,
    PhoneNumber,
    PhoneType,
    as_people_say,
    find_textable,
    why_not_textable,
)
from portal.core.phrases import called, clock_time, counted, day, listed, moment, on, plain, time_and_day
from portal.core.reasons import Reason
from portal.core.reminders import DAILY_LIMIT, Preference, Sending
from portal.core.states import Status

MOST_NUMBERS = 3  # in one sentence


@dataclass(frozen=True, slots=True)
class Changed:
    """Who set something as it is now, when by the business's clocks, and why."""

    by: str
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a case. The words do without what is not. Times are wall times at the business, and
    `today` is the date there."""

    today: date | None = None
    first_name: str = ""
    patient_id: str = ""  # as in the address of the patient's page
    appointment_id: str = ""  # as in the address of the appointment's page
    business: str = ""
    appointment_type: str = ""
    template: str = ""
    template_problem: str = ""  # why the draft cannot be used
    sending: Sending | None = None
    sending_changed: datetime | None = None
    left_out_until: date | None = None  # the last day of those that another system has reminded
    sender: str = ""
    numbers: Sequence[PhoneNumber] | None = None
    out_of_service: datetime | None = None  # when the phone company said so of the number that would be texted
    country: str = ""
    countries: frozenset[str] = frozenset()
    preference: Preference | None = None  # the patient's own
    default_preference: Preference | None = None
    opt_out: str = ""  # who recorded it: reply, carrier or staff
    opt_out_number: str = ""  # E.164; empty where it is the patient's, whatever the number
    opted_out: datetime | None = None
    credits_left: int | None = None
    credits_needed: int | None = None
    credits_taken: int = 0  # for this message
    last_chance: datetime | None = None  # the day's last pass, while it is still to come
    booked: datetime | None = None  # or moved to its time, where that was after the last pass
    was_moved: bool = False
    cancelled: datetime | None = None
    passes_begin: datetime | None = None  # of its due day
    passes_end: datetime | None = None
    last_pass: datetime | None = None  # that ran on its due day
    was_watched: bool = True  # whether the portal was in use for the business then
    deadline: datetime | None = None
    moved_to: datetime | None = None
    taken_back: Changed | None = None  # by whom of the staff who had sent it, and when
    newer_message: int | None = None  # the reminder for the time to which it was moved
    provider_code: str = ""
    provider_title: str = ""
    is_otherwise_now: bool = False  # what the provider refused: its number or its text
    changes: Mapping[Reason, Changed] = field(default_factory=dict)  # of what each reason asks about

    @property
    def name(self) -> str:
        return called(self.first_name)

    @property
    def patient_place(self) -> str:
        return f"/patients/{quote(self.patient_id, safe='')}" if self.patient_id else "/patients"

    @property
    def text_place(self) -> str:
        about = f"?appointment={quote(self.appointment_id, safe='')}" if self.appointment_id else ""
        return f"{self.patient_place}/text{about}" if self.patient_id else self.patient_place


@dataclass(frozen=True, slots=True)
class Words:
    """`fix` is the button's label, `place` the page that it leads to; both empty where nothing can be mended."""

    heading: str
    says: str
    fix: str = ""
    place: str = ""


def words(reason: Reason, context: Context) -> Words:
    """A reason that holds, in words."""
    return _REASONS[reason](context)


def _sending_off(c: Context) -> Words:
    heading = "Sending is off for the whole practice"
    if c.sending is Sending.REHEARSAL:
        says = "You are rehearsing: the portal shows who would be texted, and texts nobody."
        says += _by("Set so", Reason.SENDING_OFF, c)
        return Words(heading, says, "Go live", "/going-live")
    if c.sending is Sending.PAUSED and Reason.SENDING_OFF in c.changes:
        return Words(heading, _by("Paused", Reason.SENDING_OFF, c).strip(), "Switch on", "/sending")
    since = f" {on(c.sending_changed.date(), c.today)}" if c.sending_changed else ""
    says = f"Paused{since}." if c.sending is Sending.PAUSED else "It is paused, or the practice is rehearsing."
    return Words(heading, says, "Switch on", "/sending")


def _reminded_elsewhere(c: Context) -> Words:
    heading = f"Another system has reminded {plain(c.first_name) or 'the patient'}"
    changed = c.changes.get(Reason.REMINDED_ELSEWHERE)
    up_to = f" up to {day(c.left_out_until, c.today)}" if c.left_out_until else ""
    says = f"{plain(changed.by) if changed else 'The practice'} left out appointments{up_to} when going live."
    return Words(heading, says, _text_now(c), c.text_place)


def _business_off(c: Context) -> Words:
    business = plain(c.business)
    return Words(
        "Reminders are switched off for this business",
        f"{business or 'It'} sends no appointment reminders." + _by("Switched off", Reason.BUSINESS_REMINDERS_OFF, c),
        f"Switch on for {business or 'this business'}",
        "/settings/businesses",
    )


def _no_template(c: Context) -> Words:
    heading = "This appointment type has no SMS template"
    type_ = f'"{plain(c.appointment_type)}"' if c.appointment_type else "It"
    if c.template and c.template_problem:
        says = f'{type_} uses "{plain(c.template)}", a draft that cannot be used: {plain(c.template_problem, 200)}'
        return Words(heading, says, "Correct the template", "/settings/templates")
    says = f"{type_} has Appointment reminder SMS set to None." + _by("Set", Reason.NO_TEMPLATE, c)
    return Words(heading, says, "Choose a template", "/settings/appointment-types")


def _no_mobile_number(c: Context) -> Words:
    heading = "No mobile number on file"
    if c.numbers is None:
        return Words(heading, "No number is filed as Mobile.", "Add a mobile", c.patient_place)
    if not c.numbers:
        return Words(heading, f"{c.name} has no phone number.", "Add a mobile", c.patient_place)
    for number in c.numbers:
        if number.can_text and number.region in c.countries:
            what = "it is a mobile" if number.kind is LineKind.MOBILE else "it may be a mobile"
            says = f"{c.name} has {_said(number, c)}, filed as {number.type}: {what}."
            return Words(heading, says, "File it as Mobile", c.patient_place)
    all_ = listed([f"{_said(number, c)} ({number.type})" for number in c.numbers[:MOST_NUMBERS]])
    return Words(heading, f"{c.name} has {all_}.", "Add a mobile", c.patient_place)


def _invalid_mobile_number(c: Context) -> Words:
    mobiles = [number for number in c.numbers or () if number.type is PhoneType.MOBILE][:MOST_NUMBERS]
    causes = [plain(why_not_textable(number.raw, c.country, c.countries), 200) for number in mobiles]
    says = f"{listed(causes)}." if causes else "What is filed as Mobile cannot take a text."
    return Words("The mobile number cannot be right", says, "Correct the number", c.patient_place)


def _number_not_in_service(c: Context) -> Words:
    dead = find_textable(c.numbers or (), c.countries)
    which = _said(dead, c) if dead else "This number"
    when = f" {on(c.out_of_service.date(), c.today)}" if c.out_of_service else ""
    whom = plain(c.first_name) or "the patient"
    says = f"{which} is not in service: so the phone company said{when}. Ask {whom} for a new one."
    return Words("The mobile number is not in service", says, "Correct the number", c.patient_place)


def _prefers_email(c: Context) -> Words:
    return Words(
        f"{c.name} prefers email", _whose_preference(Reason.PREFERS_EMAIL, c), "Change preference", c.patient_place
    )


def _prefers_none(c: Context) -> Words:
    return Words(
        f"{c.name} wants no reminders",
        _whose_preference(Reason.PREFERS_NONE, c),
        "Change preference",
        c.patient_place,
    )


def _whose_preference(reason: Reason, c: Context) -> str:
    if c.preference:
        return f"{c.name}'s own preference is {c.preference}.{_by('Set', reason, c)}"
    if c.default_preference:
        return f"{c.name} has none of their own: the practice's default is {c.default_preference}."
    return "So says the preference on record."


def _opted_out(c: Context) -> Words:
    when = f" {moment(c.opted_out, c.today)}" if c.opted_out else ""
    open_record = f"Open {c.name}'s record" if c.first_name else "Open the patient's record"
    back = f", by texting START to {c.sender}" if c.sender.startswith("+") else ""
    undo = f"Only whoever has that phone can undo it{back}."
    if c.opt_out == "reply":
        number = as_people_say(c.opt_out_number, c.country) if c.opt_out_number else "The number"
        says = f"{number} replied STOP to this practice{when}. {undo}"
        return Words(f"{c.name} replied STOP", says, open_record, c.patient_place)
    if c.opt_out == "carrier":
        says = f"The phone company reported{when} that this number takes no texts from this practice. {undo}"
        return Words(f"{c.name} opted out of texts", says, open_record, c.patient_place)
    if c.opt_out == "staff":
        says = _by("Recorded", Reason.OPTED_OUT, c).strip() or f"Recorded{when}."
        return Words(f"{c.name} asked for no texts", says, "Lift the opt-out", c.patient_place)
    return Words(f"{c.name} opted out of texts", "An opt-out is on record.", open_record, c.patient_place)


def _patient_archived(c: Context) -> Words:
    says = "Archived patients are not texted." + _by("Archived", Reason.PATIENT_ARCHIVED, c)
    whose = f"{c.name}'s" if c.first_name else "the patient's"
    return Words(f"{c.name} is archived", says, f"Open {whose} record", c.patient_place)


def _no_consent(c: Context) -> Words:
    says = "Marketing goes only to patients who have agreed to it; care does not ask that."
    return Words(f"{c.name} has not agreed to marketing", says, "Record the consent", c.patient_place)


def _daily_limit(c: Context) -> Words:
    says = (
        f"{DAILY_LIMIT} automatic texts for {c.name if c.first_name else 'the patient'} are the most of a day, "
        "and so many have gone or are on their way. See whether appointments were moved again and again."
    )
    return Words("Too many texts in one day", says, _text_now(c), c.patient_place)


def _no_credits(c: Context) -> Words:
    needs = f"This message needs {counted(c.credits_needed, 'credit')}" if c.credits_needed else "It needs more"
    left = f"; {c.credits_left:,} {'is' if c.credits_left == 1 else 'are'} left" if c.credits_left is not None else ""
    says = f"{needs}{left}."
    if c.last_chance:
        by = f"{clock_time(c.last_chance)} {day(c.last_chance.date(), c.today)}"
        says += f" Topped up before {by} it still goes."
    return Words("Not enough SMS credits", says, "Top up", "/settings/sms")


def _appointment_cancelled(c: Context) -> Words:
    says = f"Cancelled {moment(c.cancelled, c.today)}." if c.cancelled else "It was cancelled before its reminder."
    return Words("The appointment is cancelled", says)


def _text_now(c: Context) -> str:
    return f"Text {c.name} now" if c.first_name else "Text the patient now"


def _booked_too_late(c: Context) -> Words:
    says = "It came to the portal after that day's reminders"
    if c.booked:
        says = f"{'Moved to its time' if c.was_moved else 'Booked'} {moment(c.booked, c.today)}"
    last = c.last_pass or c.passes_end
    says += f"; the last ones ran {moment(last, c.today)}." if last else "."
    return Words("Booked after the day's reminders", says, _text_now(c), c.text_place)


def _no_pass_ran(c: Context) -> Words:
    says = "Nothing ran in the hours for reminders"
    if c.passes_begin and c.passes_end:
        hours = f"between {clock_time(c.passes_begin)} and {clock_time(c.passes_end)}"
        says = f"Nothing ran {hours} {on(c.passes_begin.date(), c.today)}"
    if c.was_watched:
        says += ". Your administrator sees this as an alarm."
    else:
        says = "The portal did not look after this business yet on that day."
    return Words("The reminders did not run that day", says, _text_now(c), c.text_place)


def _withdrawn(c: Context) -> Words:
    heading = "Withdrawn before it was sent"
    if c.taken_back:
        return Words(heading, f"{_staff(c.taken_back.by)} took it back {moment(c.taken_back.at, c.today)}.")
    if c.cancelled:
        return Words(heading, f"The appointment was cancelled {moment(c.cancelled, c.today)}.")
    to = f" to {day(c.moved_to.date(), c.today)} {clock_time(c.moved_to)}" if c.moved_to else ""
    says = f"The appointment was moved{to}." if to else "The appointment was cancelled or moved while it waited."
    if c.newer_message is None:
        return Words(heading, says)
    return Words(heading, says, "Show the new reminder", f"/communications/{c.newer_message}")


def _deadline_passed(c: Context) -> Words:
    by = f"by {clock_time(c.deadline)} {on(c.deadline.date(), c.today)}" if c.deadline else "in time"
    says = f"It could not be handed to the provider {by}, and later it is not sent by itself."
    return Words("Not sent in time", says, _text_now(c), c.text_place)


# What the provider's codes mean, and our own for messages that it would refuse.
_REFUSALS: Mapping[str, str] = {
    "1170": "No such number.",
    "1240": "The recipient has opted out of texts.",
    "no-text": "The message is empty.",
    "number": "The number is not one that can be texted.",
    "sender": "The sender is neither a number nor a name of up to 11 characters.",
    "text-too-long": "The message is longer than 3,200 characters.",
    "unusable": "The message holds characters that cannot be sent.",
}
_TEXT_REFUSED = frozenset({"no-text", "text-too-long", "unusable"})


def _provider_refused(c: Context) -> Words:
    heading = "The provider refused it"
    known = _REFUSALS.get(c.provider_code, "")
    title = plain(c.provider_title, 100)
    code = f" (code {plain(c.provider_code, 40)})" if c.provider_code and c.provider_code not in _REFUSALS else ""
    says = known or (f'"{title}"{code}' if title else f"It gave no cause in words{code}.")
    if c.provider_code == "sender":
        return Words(heading, says, "Correct the sender", "/settings/sms")
    if c.provider_code in _TEXT_REFUSED:
        return Words(heading, says, "Correct the template", "/settings/templates")
    return Words(heading, says, "Correct the number", c.patient_place)


def _provider_account(c: Context) -> Words:
    until = f", until {moment(c.deadline, c.today)}" if c.deadline else ""
    says = (
        f"All sending waits; your administrator sees this as an alarm. It goes by itself once that is mended{until}."
    )
    return Words("Waiting: the provider refuses our account", says)


_REASONS: Mapping[Reason, Callable[[Context], Words]] = {
    Reason.SENDING_OFF: _sending_off,
    Reason.REMINDED_ELSEWHERE: _reminded_elsewhere,
    Reason.BUSINESS_REMINDERS_OFF: _business_off,
    Reason.NO_TEMPLATE: _no_template,
    Reason.NO_MOBILE_NUMBER: _no_mobile_number,
    Reason.INVALID_MOBILE_NUMBER: _invalid_mobile_number,
    Reason.NUMBER_NOT_IN_SERVICE: _number_not_in_service,
    Reason.PREFERS_EMAIL: _prefers_email,
    Reason.PREFERS_NONE: _prefers_none,
    Reason.OPTED_OUT: _opted_out,
    Reason.PATIENT_ARCHIVED: _patient_archived,
    Reason.NO_CONSENT: _no_consent,
    Reason.DAILY_LIMIT: _daily_limit,
    Reason.NO_CREDITS: _no_credits,
    Reason.APPOINTMENT_CANCELLED: _appointment_cancelled,
    Reason.BOOKED_TOO_LATE: _booked_too_late,
    Reason.NO_PASS_RAN: _no_pass_ran,
    Reason.WITHDRAWN: _withdrawn,
    Reason.DEADLINE_PASSED: _deadline_passed,
    Reason.PROVIDER_REFUSED: _provider_refused,
    Reason.PROVIDER_ACCOUNT: _provider_account,
}


def _by(did: str, reason: Reason, c: Context) -> str:
    """Set by Dana on Saturday 3 May: "asked for email". After a space; empty where nobody changed it here."""
    changed = c.changes.get(reason)
    if changed is None:
        return ""
    says = f" {did} by {plain(changed.by)} {on(changed.at.date(), c.today)}"
    return f'{says}: "{plain(changed.note, 200)}".' if changed.note else f"{says}."


def who_changed(reason: Reason, c: Context) -> str:
    """Changed by Dana today at 10:20am. Empty where nobody changed it here."""
    changed = c.changes.get(reason)
    return f"Changed by {plain(changed.by)} {moment(changed.at, c.today)}." if changed else ""


def _said(number: PhoneNumber, c: Context) -> str:
    return as_people_say(number.e164, c.country) if number.e164 else f'"{plain(number.raw, 40)}"'


# --- what became of a message -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """A word, a shape and a colour, never colour alone."""

    word: str
    shape: str
    colour: str  # grey, blue, green, red or amber


OUTCOMES: Mapping[Status, Outcome] = {
    Status.QUEUED: Outcome("Scheduled", "◔", "grey"),
    Status.SENDING: Outcome("Sending", "◑", "grey"),
    Status.SENT: Outcome("Sent", "✓", "blue"),
    Status.DELIVERED: Outcome("Delivered", "✓✓", "green"),
    Status.UNDELIVERED: Outcome("Not delivered", "✕", "red"),
    Status.UNCONFIRMED: Outcome("Unconfirmed", "?", "amber"),
    Status.FAILED: Outcome("Failed", "✕", "red"),
    Status.NOT_SENT: Outcome("Not sent", "⊘", "amber"),
    Status.UNKNOWN: Outcome("In doubt", "?", "red"),
    Status.CANCELLED: Outcome("Withdrawn", "–", "grey"),
    Status.EXPIRED: Outcome("Too late", "–", "grey"),
    Status.RECEIVED: Outcome("Received", "↩", "grey"),
}
NO_REMINDER_YET = Outcome("No reminder yet", "○", "grey")


# Why the provider's answer leaves a doubt, or why it was never reached.
_ANSWERS: Mapping[str, str] = {
    "read-timeout": "it did not answer in time",
    "dropped": "the connection broke before it answered",
    "unreadable-answer": "its answer could not be read",
    "redirect": "it answered with another address",
    "no-answer": "no answer was noted in time",
    "dns": "its address could not be found",
    "no-connection": "it refused the connection",
    "connect-timeout": "it could not be connected to in time",
    "address": "its address cannot be used",
    "certificate": "its certificate is not one that can be trusted",
}


def _answer(code: str) -> str:
    return _ANSWERS.get(code) or (f"it answered with {plain(code, 40)}" if code else "no cause was noted")


def event(name: str, detail: str) -> str:
    """What happened, from a message's event and its detail."""
    if reported := receipts.in_words(name, detail):
        return reported
    match name:
        case Status.QUEUED:
            return "Scheduled: nothing stood in its way"
        case again.QUEUED_BY_STAFF:
            return f"{_staff(detail)} wrote it, and it was scheduled"
        case again.SENT_AGAIN_BY_STAFF:
            return f"{_staff(detail)} sent it again: it was scheduled"
        case again.TAKEN_BACK_BY_STAFF:
            return f"{_staff(detail)} took it back"
        case again.PUT_OFF:
            return f"It waits until {time_and_day(datetime.fromisoformat(detail), None)}"
        case again.STILL_IN_DOUBT:
            return f"Not sent again: {_recorded(detail)}. Whether it went the first time is still in doubt"
        case Status.SENT:
            return "Sent: the provider has it"
        case Status.UNKNOWN:
            return f"In doubt: the provider may have it; {_answer(detail)}"
        case Status.UNCONFIRMED:
            return "Unconfirmed: no receipt came within 72 hours"
        case Status.CANCELLED | Status.EXPIRED:
            return reasons_in_short(recorded_reasons(detail)) or OUTCOMES[Status(name)].word
        case Status.NOT_SENT | Status.FAILED:
            return f"{OUTCOMES[Status(name)].word}: {_recorded(detail)}"
        case "not-reached":
            return f"Tried: the provider was not reached, {_answer(detail)}; it is tried again by itself"
        case "throttled":
            return "Tried: the provider asked us to slow down; it is tried again by itself"
        case Reason.PROVIDER_ACCOUNT:
            return "Tried: the provider refuses our account; it waits until that is mended"
    if said := reply_words.event(name, detail):
        return said
    known = next((outcome.word for status, outcome in OUTCOMES.items() if status == name), "")
    return known or plain(name)


def _staff(name: str) -> str:
    return "An administrator" if name == "command line" else plain(name) or "Staff"


def _recorded(detail: str) -> str:
    reasons = recorded_reasons(detail)
    said = plain(" ".join(detail.split(";")[len(reasons) :]), 100)  # the provider's code and words
    return (reasons_in_short(reasons) or "no cause was noted") + (f" ({said})" if said else "")


def recorded_reasons(detail: str) -> tuple[Reason, ...]:
    """The reasons that begin an event's detail; a code and a title of the provider's may follow."""
    return tuple(Reason(code) for code in takewhile(_CODES.__contains__, detail.split(";")))


_CODES = frozenset(reason.value for reason in Reason)


@cache
def reason_in_short(reason: Reason) -> str:
    """Its heading without a name."""
    return words(reason, Context()).heading


def reasons_in_short(reasons: Sequence[Reason]) -> str:
    """For one line of a list."""
    return "; ".join(map(reason_in_short, reasons))
