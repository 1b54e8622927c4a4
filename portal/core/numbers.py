"""Phone numbers as staff type them: what they are, which of a patient's to text, and why one cannot be."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from unicodedata import decimal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from portal.core.search import fold


class PhoneType(StrEnum):
    """What staff filed a number as."""

    MOBILE = "Mobile"
    HOME = "Home"
    WORK = "Work"
    FAX = "Fax"
    OTHER = "Other"


_TYPES = {phone_type.casefold(): phone_type for phone_type in PhoneType}


def parse_phone_type(text: str) -> PhoneType:
    """The type, in any letter case. Raises ValueError."""
    try:
        return _TYPES[text.strip().casefold()]
    except KeyError:
        raise ValueError(f"not a type of number: use {', '.join(PhoneType)}.") from None


class LineKind(StrEnum):
    """What the phone library says a number is, whatever it is filed as."""

    MOBILE = "mobile"
    FIXED_LINE_OR_MOBILE = "fixed-line-or-mobile"  # the country's plan cannot tell: United States, Canada
    FIXED_LINE = "fixed-line"
    OTHER = "other"
    NOT_A_NUMBER = "not-a-number"


_TEXTABLE = frozenset({LineKind.MOBILE, LineKind.FIXED_LINE_OR_MOBILE})
_KINDS = {
    PhoneNumberType.MOBILE: LineKind.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: LineKind.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.FIXED_LINE: LineKind.FIXED_LINE,
}


@dataclass(frozen=True, slots=True)
class ParsedNumber:
    """`e164` and `region` (ISO 3166) are None unless the number is valid. The region is the number's own:
    Guernsey for one of Guernsey, though it shares Britain's calling code."""

    e164: str | None
    region: str | None
    kind: LineKind

    @property
    def can_text(self) -> bool:
        return self.kind in _TEXTABLE


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A patient's number: as filed and typed by staff, and as parsed. `is_out_of_service`: the phone company said of
    this very number that no text can reach it."""

    type: PhoneType
    raw: str
    e164: str | None
    region: str | None
    kind: LineKind
    is_out_of_service: bool = False

    @property
    def can_text(self) -> bool:
        return self.kind in _TEXTABLE


_NOT_A_NUMBER = ParsedNumber(None, None, LineKind.NOT_A_NUMBER)


def parse_number(raw: str, country: str) -> ParsedNumber:
    """Understand a number as typed in a practice of that country (ISO 3166). Takes any text."""
    number = _parsed(raw, country)
    if number is None or not phonenumbers.is_valid_number(number):
        return _NOT_A_NUMBER
    return ParsedNumber(
        phonenumbers.format_number(number, PhoneNumberFormat.E164),
        phonenumbers.region_code_for_number(number),
        _KINDS.get(phonenumbers.number_type(number), LineKind.OTHER),
    )


def find_textable(numbers: Sequence[PhoneNumber], countries: Collection[str]) -> PhoneNumber | None:
    """The first of type Mobile, in the order entered, that is valid for a text in one of the countries."""
    for number in numbers:
        if number.type is PhoneType.MOBILE and number.can_text and number.region in countries:
            return number
    return None


def number_to_text(numbers: Sequence[PhoneNumber], countries: Collection[str]) -> str | None:
    """That number in E.164."""
    number = find_textable(numbers, countries)
    return number.e164 if number else None


_LONGEST = 250  # as in the phone library
_LONGEST_E164 = 15  # digits
_NOTE_IN_BRACKETS = re.compile(r"\([^()]*[^\W\d_][^()]*\)")
_EXTENSION = re.compile(r"(?:[\s,;]*(?:extension|ext|#)|[\s,;]x)[\s.:=]*\d{1,6}$", re.IGNORECASE)
_FROM_FIRST_TO_LAST_DIGIT = re.compile(r"[+＋]?[\s(]*\d(?:.*\d)?", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")
_LETTER_BESIDE_DIGIT = re.compile(r"[^\W\d_]\d|\d[^\W\d_]")


def _digits(raw: str) -> str | None:
    """The number's digits, after a plus sign if there is one. None where letters are part of it.

    The phone library would dial letters (0491 CALL ME), so a slip or a note would become another number.
    """
    if len(raw) > _LONGEST:
        return None
    text = _EXTENSION.sub("", _NOTE_IN_BRACKETS.sub(" ", raw).strip())
    found = _FROM_FIRST_TO_LAST_DIGIT.search(text)
    if found is None or _LETTER.search(found[0]) or _LETTER_BESIDE_DIGIT.search(text):
        return None
    plus = "+" if found[0].startswith(("+", "＋")) else ""
    return plus + "".join(str(decimal(char)) for char in found[0] if char.isdecimal())


def _parsed(raw: str, country: str) -> phonenumbers.PhoneNumber | None:
    digits = _digits(raw)
    if digits is None:
        return None
    if digits.startswith("00"):
        # How most of the world writes the plus sign, also where the country itself dials 0011 or 011.
        abroad = _parsed_digits("+" + digits[2:], country)
        if abroad and phonenumbers.is_valid_number(abroad):
            return abroad
    return _parsed_digits(digits, country)


def _parsed_digits(digits: str, country: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(digits, country)
    except NumberParseException:
        return None


def why_not_textable(raw: str, country: str, countries: Collection[str]) -> str:
    """One clause for reception: why a practice of that country, which texts `countries`, cannot text it."""
    parsed = parse_number(raw, country)
    if parsed.e164 is None or parsed.region is None:
        return f'"{_shortened(raw)}" {_why_not_valid(raw, country)}'
    number = as_people_say(parsed.e164, country)
    if parsed.kind is LineKind.FIXED_LINE:
        return f"{number} is a landline"
    if not parsed.can_text:
        return f"{number} is not a mobile number"
    if parsed.region not in countries:
        own = " and ".join(country_name(code) for code in sorted(countries))
        return f"{number} is a number of {country_name(parsed.region)}, and this practice sends only to {own}"
    return f"{number} can be texted"


def _why_not_valid(raw: str, country: str) -> str:
    number = _parsed(raw, country)
    if number is None:
        too_long = len(_digits(raw) or "") > _LONGEST_E164
        return "has too many digits for one phone number" if too_long else "is not a phone number"
    own = number.country_code == _calling_code(country)
    region = country if own else phonenumbers.region_code_for_country_code(number.country_code or 0)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if metadata is None or metadata.mobile is None:
        return "is not a phone number"
    place = country_name(region)
    lengths = metadata.mobile.possible_length
    digits = len(phonenumbers.national_significant_number(number))
    if digits < min(lengths):
        return f"has {_count(min(lengths) - digits)} too few for {place}"
    if digits > max(lengths):
        return f"has {_count(digits - max(lengths))} too many for {place}"
    return f"is not a number that exists in {place}"


def _count(digits: int) -> str:
    return "a digit" if digits == 1 else f"{digits} digits"


def _calling_code(country: str) -> int:
    return phonenumbers.country_code_for_region(country)


def _shortened(raw: str) -> str:
    text = " ".join(raw.split())
    return text if len(text) <= 40 else text[:39] + "…"


@lru_cache(maxsize=4096)  # a page of a list says fifty, and most of them again on the next look
def as_people_say(e164: str, country: str) -> str:
    """As dialled within the country (0491 570 156), in international form where it is another's.

    What is no number (a sender's name, say) is given back unchanged.
    """
    try:
        number = phonenumbers.parse(e164)
    except NumberParseException:
        return e164
    own = number.country_code == _calling_code(country)
    return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL if own else PhoneNumberFormat.INTERNATIONAL)


# Where the list has no name, or one that does not fit into a sentence.
_NAMES_IN_A_SENTENCE = {
    "AC": "Ascension Island",
    "AE": "the United Arab Emirates",
    "GB": "the United Kingdom",
    "NL": "the Netherlands",
    "PH": "the Philippines",
    "TA": "Tristan da Cunha",
    "US": "the United States",
    "XK": "Kosovo",
}


def country_name(code: str) -> str:
    """The English name of an ISO 3166 code; the code itself where it has none."""
    return _NAMES_IN_A_SENTENCE.get(code) or _country_names().get(code, code)


@lru_cache(maxsize=1)
def list_countries() -> tuple[tuple[str, str], ...]:
    """(ISO 3166 code, English name) of all that have phone numbers, by name."""
    known = ((code, country_name(code)) for code in phonenumbers.SUPPORTED_REGIONS)
    return tuple(sorted(known, key=lambda one: fold(one[1].removeprefix("the "))))


@lru_cache(maxsize=1)
def _country_names() -> dict[str, str]:
    # Not from phonenumbers.geocoder: importing it costs a process 100 MB.
    table = resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    lines = (line.partition("\t") for line in table.splitlines() if not line.startswith("#"))
    return {code: name for code, _, name in lines}
