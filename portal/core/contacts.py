"""A patient's contact details while staff edit them: what is said of a number, what is refused, whose wish it is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from portal.core.numbers import LineKind, PhoneType, as_people_say, parse_number, why_not_textable
from portal.core.phrases import on, plain
from portal.core.reminders import Preference

LONGEST_NUMBER = 60  # characters, with notes such as "(after 5pm)"
LONGEST_NOTE = 500


@dataclass(frozen=True, slots=True)
class NumberCheck:
    """`says`: one sentence, empty where nothing was typed. `is_well`: nothing to look at twice.

    `may_be_saved`: a number filed as Mobile that cannot take a text is refused, with what to mend.
    `can_be_mobile`: filed as something else, and filed as Mobile it could be texted.
    """

    says: str
    is_well: bool
    may_be_saved: bool = True
    can_be_mobile: bool = False


def check_number(type_: PhoneType, typed: str, country: str, countries: Collection[str]) -> NumberCheck:
    """Of a practice of that country (ISO 3166), which texts `countries`."""
    if not typed.strip():
        return NumberCheck("", is_well=False, may_be_saved=False)
    if len(typed) > LONGEST_NUMBER:
        return NumberCheck(f"A number has at most {LONGEST_NUMBER} characters.", is_well=False, may_be_saved=False)
    parsed = parse_number(typed, country)
    can_be_texted = parsed.can_text and parsed.region in countries
    number = as_people_say(parsed.e164, country) if parsed.e164 else ""
    why_not = plain(why_not_textable(typed, country, countries), 200)
    if type_ is PhoneType.MOBILE:
        if can_be_texted:
            return NumberCheck(f"{number} can be texted.", is_well=True)
        if parsed.kind is LineKind.FIXED_LINE:
            return NumberCheck(f"{why_not}: file it as Home or Work.", is_well=False, may_be_saved=False)
        # A mobile of a country that the practice does not text may be kept: its settings may change.
        return NumberCheck(f"{why_not}.", is_well=False, may_be_saved=parsed.can_text)
    if can_be_texted and parsed.kind is LineKind.MOBILE:
        says = f"{number} is a mobile. Filed as {type_} it is not texted: file it as Mobile."
        return NumberCheck(says, is_well=False, can_be_mobile=True)
    if can_be_texted:
        says = f"{number} may be a mobile. If it takes texts, file it as Mobile."
        return NumberCheck(says, is_well=True, can_be_mobile=True)
    if number:
        kind = "is a landline" if parsed.kind is LineKind.FIXED_LINE else "is kept for calls"
        return NumberCheck(f"{number} {kind}; it is not texted.", is_well=True)
    return NumberCheck(f"{why_not}.", is_well=False, may_be_saved=any(char.isdecimal() for char in typed))


_WAYS: Mapping[Preference, frozenset[str]] = {
    Preference.NONE: frozenset(),
    Preference.SMS: frozenset({"sms"}),
    Preference.EMAIL: frozenset({"email"}),
    Preference.SMS_AND_EMAIL: frozenset({"sms", "email"}),
}


def may_be_own_wish(own: Preference | None) -> bool:
    """A preference of the patient's own that keeps texts away: asked about before it is changed."""
    return own in (Preference.NONE, Preference.EMAIL)


def turns_against(own: Preference | None, new: Preference | None, default: Preference) -> bool:
    """Whether the change reaches the patient in a way that the patient may have refused."""
    return own is not None and may_be_own_wish(own) and bool(_WAYS[new or default] - _WAYS[own])


def preference_in_words(own: Preference | None, default: Preference) -> str:
    return own.value if own else f"the practice's default ({default})"


# --- what was changed, as the record of changes keeps it ----------------------------------------------------

NUMBER, ORDER, PREFERENCE, OPT_OUT, ARCHIVED = "number", "order", "preference", "opt-out", "archived"
CONSENT = "consent"  # to marketing
MERGED = "merged"  # with another record of the same person
ADDED = "added"  # the patient, by staff
NO_OPT_OUT, OPTED_OUT = "none", "asked for no texts"
NO_CONSENT = "not given"


def change_in_words(field: str, before: str, after: str) -> str:
    """`Preference set to None`"""
    before, after = plain(before, 100), plain(after, 100)
    if field == ADDED:
        return "Added in the portal"
    if field == NUMBER:
        if not before:
            return f"Added {_filed(after)}"
        return f"Changed {_filed(before)} to {_filed(after)}" if after else f"Removed {_filed(before)}"
    if field == ORDER:
        return f"Put {_filed(after)} before {_filed(before)}"
    if field == PREFERENCE:
        return f"Preference set to {after}"
    if field == OPT_OUT:
        return "Opt-out lifted" if after == NO_OPT_OUT else "Opt-out recorded"
    if field == CONSENT:
        return f"Consent to marketing {after}"
    if field == MERGED:
        return f"Merged with the record of {after}"
    if field == ARCHIVED:
        return "Archived" if after == "yes" else "Restored: no longer archived"
    return f"Changed {plain(field)} from {before or 'nothing'} to {after or 'nothing'}"


def given_on(day: date) -> str:
    """Of consent, as the record of changes keeps it: `given on Saturday 3 May 2031`."""
    return f"given {on(day, None)}"


def withdrawn_on(day: date) -> str:
    return f"withdrawn {on(day, None)}"


def filed(type_: PhoneType, number: str) -> str:
    """As the record of changes keeps a number; `parse_filed` reads it."""
    return f"{type_} {number}"


def parse_filed(kept: str) -> tuple[str, str]:
    """(type, number)"""
    type_, _, number = kept.partition(" ")
    return type_, number


def _filed(kept: str) -> str:
    type_, number = parse_filed(kept)
    return f"{number} ({type_})"
