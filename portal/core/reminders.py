"""May this message go, and if not, every reason. The one policy: the pass records it, the worker asks it
again just before sending, the preview shows it and the diagnosis explains it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property

from portal.core.numbers import PhoneNumber, PhoneType, find_textable
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.core.text import Details, Template, count_parts, values


class Sending(StrEnum):
    """The practice's main switch."""

    ON = "on"
    PAUSED = "paused"
    REHEARSAL = "rehearsal"


class Preference(StrEnum):
    """How a patient wants to be reminded."""

    NONE = "None"
    SMS = "SMS"
    EMAIL = "Email"
    SMS_AND_EMAIL = "SMS & Email"


# Automatic texts a day for one patient: an export gone wrong must not flood a phone.
DAILY_LIMIT = 5


@dataclass(frozen=True)
class Facts:
    """What the decision depends on, as it is now."""

    sending: Sending
    business_reminders_on: bool
    template: Template | None  # None: the type has none, or a draft that cannot be used
    numbers: Sequence[PhoneNumber]  # in the order entered
    countries: frozenset[str]  # that the practice sends to
    preference: Preference | None  # the patient's own; None: blank
    default_preference: Preference
    patient_opted_out: bool  # recorded for the patient, whatever the number
    opted_out_numbers: frozenset[str]  # E.164
    archived: bool
    details: Details
    texts_that_day: int = 0  # automatic ones for this patient on the same day, besides this one
    is_marketing: bool = False
    is_test: bool = False  # what staff send to themselves
    has_consented: bool = False  # to marketing
    was_reminded_elsewhere: bool = False

    @property
    def effective_preference(self) -> Preference:
        return self.preference or self.default_preference

    @cached_property
    def textable(self) -> PhoneNumber | None:
        """The number that a text goes to, if there is one. Several rules ask for it."""
        return find_textable(self.numbers, self.countries)


@dataclass(frozen=True, slots=True)
class Decision:
    """`to`, `text` and `parts` are None where a reason above `no-credits` holds."""

    reasons: tuple[Reason, ...]
    to: str | None = None
    text: str | None = None
    parts: int | None = None

    @property
    def status(self) -> Status:
        if not self.reasons:
            return Status.QUEUED
        # A message that only lacked credits was tried; the other reasons are decisions.
        return Status.FAILED if self.reasons == (Reason.NO_CREDITS,) else Status.NOT_SENT


def _is_off(facts: Facts) -> bool:
    """A practice that rehearses sees by a test text whether its texts arrive: that alone goes, to a number that staff
    typed. A pause holds it back, too."""
    return facts.sending is Sending.PAUSED or (facts.sending is Sending.REHEARSAL and not facts.is_test)


def _has_mobile(facts: Facts) -> bool:
    return facts.textable is not None or any(number.type is PhoneType.MOBILE for number in facts.numbers)


def _not_in_service(facts: Facts) -> bool:
    return facts.textable is not None and facts.textable.is_out_of_service


def _opted_out(facts: Facts) -> bool:
    to = facts.textable
    return facts.patient_opted_out or (to is not None and to.e164 in facts.opted_out_numbers)


@dataclass(frozen=True, slots=True)
class Rule:
    reason: Reason
    holds: Callable[[Facts], bool]
    asked_of_staff: bool  # of texts that staff write themselves, too


POLICY: tuple[Rule, ...] = (
    Rule(Reason.SENDING_OFF, _is_off, True),
    Rule(Reason.REMINDED_ELSEWHERE, lambda f: f.was_reminded_elsewhere, False),
    Rule(Reason.BUSINESS_REMINDERS_OFF, lambda f: not f.business_reminders_on, False),
    Rule(Reason.NO_TEMPLATE, lambda f: f.template is None, False),
    Rule(Reason.NO_MOBILE_NUMBER, lambda f: not _has_mobile(f), True),
    Rule(Reason.INVALID_MOBILE_NUMBER, lambda f: f.textable is None and _has_mobile(f), True),
    Rule(Reason.NUMBER_NOT_IN_SERVICE, _not_in_service, True),
    Rule(Reason.PREFERS_EMAIL, lambda f: f.effective_preference is Preference.EMAIL, False),
    Rule(Reason.PREFERS_NONE, lambda f: f.effective_preference is Preference.NONE, False),
    Rule(Reason.OPTED_OUT, _opted_out, True),
    Rule(Reason.PATIENT_ARCHIVED, lambda f: f.archived, True),
    Rule(Reason.DAILY_LIMIT, lambda f: f.texts_that_day >= DAILY_LIMIT, False),
)


ASKED_OF_STAFF: tuple[Rule, ...] = (
    *(rule for rule in POLICY if rule.asked_of_staff),
    # No reminder is marketing, so that reminders are not asked.
    Rule(Reason.NO_CONSENT, lambda f: f.is_marketing and not f.has_consented, True),
)


# What the patient's own record says, whatever the appointment and the practice.
OF_THE_PATIENT = frozenset(
    {
        Reason.NO_MOBILE_NUMBER,
        Reason.INVALID_MOBILE_NUMBER,
        Reason.NUMBER_NOT_IN_SERVICE,
        Reason.PREFERS_EMAIL,
        Reason.PREFERS_NONE,
        Reason.OPTED_OUT,
        Reason.PATIENT_ARCHIVED,
    }
)


# Of reminders only.
NOT_ASKED_OF_STAFF = frozenset(rule.reason for rule in POLICY if not rule.asked_of_staff)


def decide(facts: Facts, credits: int, own_text: str | None = None) -> Decision:
    """The decision on a message that may spend `credits`: all reasons that hold, in order; `no-credits` only
    where nothing else does.

    `own_text`: what staff wrote, of which only their rules are asked; None: the reminder, from its template.
    """
    reasons = tuple([rule.reason for rule in (POLICY if own_text is None else ASKED_OF_STAFF) if rule.holds(facts)])
    if reasons:
        return Decision(reasons)
    text = own_text
    if text is None:
        assert facts.template is not None  # or `no-template` would hold
        text = facts.template.fill(values(facts.details))
    parts = count_parts(text)
    short = (Reason.NO_CREDITS,) if credits < parts else ()
    assert facts.textable is not None  # or a reason would hold
    return Decision(short, facts.textable.e164, text, parts)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a practice says when it goes live: another system has reminded the appointments up to a day.

    `until`: the last local date of theirs. `said_at`: what was booked, or moved, later is not meant.
    """

    until: date
    said_at: datetime

    def covers(self, starts_on: date, booked_at: datetime) -> bool:
        """`booked_at`: or moved to its time."""
        return starts_on <= self.until and booked_at <= self.said_at


def cost(facts: Facts) -> int | None:
    """The credits that this message would need, whatever else stops it; None where it has no text to count."""
    return None if facts.template is None else count_parts(facts.template.fill(values(facts.details)))
