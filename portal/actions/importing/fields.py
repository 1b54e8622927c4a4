"""Read one value of an export. Each function raises ValueError with what is wrong and how to write it."""

import re

from portal.core.numbers import parse_phone_type
from portal.core.reminders import Preference
from portal.core.timing import parse_date, zone

Json = str | int | bool | None

LONGEST_NAME = 200  # characters
LONGEST_BODY = 2000
_LONGEST_DURATION = 24 * 60  # minutes

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# A text message may hold line breaks; the form feed and the tab do no harm.
_CONTROL_IN_BODY = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def read_text(value: str) -> str:
    """Without the white space around it; may be empty."""
    value = value.strip()
    if len(value) > LONGEST_NAME:
        raise ValueError(f"longer than {LONGEST_NAME} characters.")
    if not value.isprintable() and _CONTROL.search(value):
        raise ValueError("holds a line break or another control character.")
    return value


def read_required_text(value: str) -> str:
    value = read_text(value)
    if not value:
        raise ValueError("must not be empty.")
    return value


def read_body(value: str) -> str:
    """A template's text. How the file writes its line breaks is no part of it."""
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    if len(value) > LONGEST_BODY:
        raise ValueError(f"longer than {LONGEST_BODY} characters.")
    if _CONTROL_IN_BODY.search(value):
        raise ValueError("holds a control character.")
    return value


def read_zone(value: str) -> str:
    return zone(value.strip()).key


_PREFERENCES = {preference.casefold(): preference for preference in Preference}
_PREFERENCES["sms and email"] = Preference.SMS_AND_EMAIL


def read_preference(value: str) -> Preference:
    """In any letter case."""
    try:
        return _PREFERENCES[" ".join(value.split()).casefold()]
    except KeyError:
        raise ValueError(f"write one of {', '.join(Preference)}.") from None


def read_own_preference(value: str) -> Preference | None:
    """None where it is blank: the practice's default holds."""
    if not value or value.isspace():
        return None
    try:
        return read_preference(value)
    except ValueError:
        raise ValueError(f"write one of {', '.join(Preference)}, or leave it blank.") from None


def _read_word(value: str, words: dict[str, bool], how: str) -> bool:
    try:
        return words[value.strip().casefold()]
    except KeyError:
        raise ValueError(how) from None


def read_on_off(value: str) -> bool:
    return _read_word(value, {"on": True, "off": False}, "write On or Off.")


def read_archived(value: str) -> bool:
    return _read_word(value, {"": False, "no": False, "yes": True}, "write yes, or leave it blank.")


def read_minutes(value: str) -> int:
    value = value.strip()
    if not re.fullmatch("[0-9]{1,4}", value) or int(value) > _LONGEST_DURATION:
        raise ValueError(f"write whole minutes, from 0 to {_LONGEST_DURATION}.")
    return int(value)


def read_birth_date(value: str) -> str | None:
    return parse_date(value).isoformat() if value and not value.isspace() else None


def read_template_reference(value: str) -> str | None:
    """None for the word None."""
    value = read_text(value)
    if not value:
        raise ValueError("write the id of a template, or None.")
    return None if value.casefold() == "none" else value


def read_phone_type(value: str) -> str:
    return parse_phone_type(value)


def read_as_it_is(value: str) -> str:
    """What can only be read beside the row's other values."""
    return value
