"""Words for staff: what a check found where its reason does not hold."""

from collections.abc import Mapping

from portal.core.numbers import PhoneType, as_people_say, number_to_text
from portal.core.phrases import counted, listed, plain
from portal.core.reasons import Reason
from portal.core.reminders import DAILY_LIMIT
from portal.core.wording import MOST_NUMBERS, Context

# Reasons with one label are two sides of one question.
LABELS: Mapping[Reason, str] = {
    Reason.SENDING_OFF: "Sending",
    Reason.REMINDED_ELSEWHERE: "Sending",
    Reason.BUSINESS_REMINDERS_OFF: "Business",
    Reason.NO_TEMPLATE: "Appointment type",
    Reason.NO_MOBILE_NUMBER: "Mobile number",
    Reason.INVALID_MOBILE_NUMBER: "Mobile number",
    Reason.NUMBER_NOT_IN_SERVICE: "Mobile number",
    Reason.PREFERS_EMAIL: "Preference",
    Reason.PREFERS_NONE: "Preference",
    Reason.OPTED_OUT: "Opt-out",
    Reason.PATIENT_ARCHIVED: "Patient",
    Reason.DAILY_LIMIT: "Texts that day",
    Reason.NO_CREDITS: "Credits",
}


def found(reason: Reason, c: Context) -> str:
    """What the check found where the reason does not hold."""
    match reason:
        case Reason.SENDING_OFF | Reason.REMINDED_ELSEWHERE:
            return "On for the practice"
        case Reason.BUSINESS_REMINDERS_OFF:
            return f"{plain(c.business) or 'The business'} sends reminders"
        case Reason.NO_TEMPLATE:
            return f'"{plain(c.appointment_type)}" uses "{plain(c.template)}"'
        case Reason.NO_MOBILE_NUMBER | Reason.INVALID_MOBILE_NUMBER | Reason.NUMBER_NOT_IN_SERVICE:
            return _found_number(reason, c)
        case Reason.PREFERS_EMAIL | Reason.PREFERS_NONE:
            whose = f"{c.name}'s own" if c.preference else "the practice's default"
            return f"{c.preference or c.default_preference or 'Not known'} ({whose})"
        case Reason.OPTED_OUT:
            return "None"
        case Reason.PATIENT_ARCHIVED:
            return "The record is active"
        case Reason.DAILY_LIMIT:
            return f"At most {DAILY_LIMIT} automatic texts go to a patient a day; fewer have gone"
        case Reason.NO_CREDITS:
            return _found_credits(c)
    raise ValueError(f"{reason} is no check")


def _found_number(reason: Reason, c: Context) -> str:
    to = number_to_text(c.numbers or (), c.countries)
    if to:
        says = "is filed as Mobile" if reason is Reason.NO_MOBILE_NUMBER else "can be texted"
        return f"{as_people_say(to, c.country)} {says}"
    if reason is not Reason.NO_MOBILE_NUMBER:
        has_mobile = any(number.type is PhoneType.MOBILE for number in c.numbers or ())
        return "None can be texted" if has_mobile else "None is filed as Mobile"
    typed = [f'"{plain(number.raw, 40)}"' for number in c.numbers or () if number.type is PhoneType.MOBILE]
    return f"{listed(typed[:MOST_NUMBERS])} {'is' if len(typed) == 1 else 'are'} filed as Mobile"


def _found_credits(c: Context) -> str:
    if c.credits_taken:
        taken = "was" if c.credits_taken == 1 else "were"
        return f"{counted(c.credits_taken, 'credit')} {taken} taken for this message"
    needs = f"this message needs {c.credits_needed:,}" if c.credits_needed else "its cost is not known without a text"
    return f"{c.credits_left or 0:,} left, {needs}"
