"""Whom a practice's texts come from: a name or a number, and what the countries that it texts make of it."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from portal.core.numbers import country_name, parse_number
from portal.core.phrases import listed

_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
_NUMBER = re.compile(r"\+?[0-9 ()./-]+")
_LIKE_THERE = "+12025550123"  # a number of where names are refused

# As the provider's pages on each country said in 2026; a country that is in none of these takes names as they are.
REFUSE_NAMES = frozenset({"US", "CA", "PR", "GU", "VI", "AS", "MP"})
REPLACE_NAMES = frozenset({"AR", "BR", "CL", "CN", "CO", "MX", "MY", "NZ", "ZA"})  # by a number of the carrier's
REGISTER_NAMES = frozenset(
    {"AE", "AU", "EG", "ID", "IE", "IN", "JO", "KE", "KW", "LK", "NG", "PH", "QA", "SA", "SG", "TH", "TR", "VN"}
)


def is_number(sender: str) -> bool:
    """Else it is a name, to which nobody can reply."""
    return sender.startswith("+")


def read_sender(typed: str, country: str) -> str:
    """A name as it is; a number in E.164. Raises ValueError with what is wrong and how to write it."""
    if _NAME.fullmatch(typed):
        return typed
    if not _NUMBER.fullmatch(typed):
        if country in REFUSE_NAMES:
            raise ValueError(f"it must be a phone number, written like {_LIKE_THERE}.")
        raise ValueError("it must be a phone number, or at most 11 letters of A to Z, digits and spaces.")
    number = parse_number(typed, country).e164
    if number is None:
        raise ValueError(f"not a phone number of {country_name(country)}: write it like +61491570006.")
    return number


@dataclass(frozen=True, slots=True)
class SenderCheck:
    """`refused`: why texts from it cannot go in the practice's own country, and what to do; empty where they can.
    `if_registered`: whether they go only if somebody has had the name registered. `warnings`: what else to know, a
    sentence each."""

    refused: str
    warnings: tuple[str, ...]
    if_registered: bool = False


def what_to_type(country: str) -> tuple[str, str]:
    """The label and the hint of the field for the sender of a practice of that country."""
    if country in REFUSE_NAMES:
        return "A number", (
            f"It must be a number that your provider has registered for texts in {country_name(country)}, written "
            f"like {_LIKE_THERE}. Names are not taken there."
        )
    label, hint = "A number, or a name of at most 11 letters and digits", "Write a number like +61491570006."
    if country in REGISTER_NAMES:
        return label, f"{hint} A name must first be registered for {country_name(country)}, by your provider."
    return label, f"{hint} Your provider must know it, or the name."


def check_sender(sender: str, country: str, countries: Collection[str]) -> SenderCheck:
    """Of a practice of that country (ISO 3166), which texts `countries`."""
    if is_number(sender):
        return SenderCheck("", _of_a_number(sender, country))
    if country in REFUSE_NAMES:
        refused = (
            f"{_place(country)} takes no texts from a name. Use a number that your provider rents out to you there "
            f"and has registered for texts, written like {_LIKE_THERE}."
        )
        return SenderCheck(refused, ())
    warnings = ["Nobody can reply to a name: patients cannot text STOP, or yes."]
    if " " in sender:
        warnings.append("Some phone companies change a name with a space in it: without one it is safer.")
    refusing = _those(countries, REFUSE_NAMES)
    if refusing:
        warnings.append(f"Texts to numbers of {refusing} will fail: no names are taken there. A number would do.")
    if replacing := _those(countries, REPLACE_NAMES):
        warnings.append(f"Phone companies of {replacing} put a number of their own in the place of the name.")
    if registering := _those(countries, REGISTER_NAMES):
        warnings.append(
            f"In {registering} a name must be registered before it is used, or texts are marked or lost: ask your "
            "administrator whether the provider has it."
        )
    return SenderCheck("", tuple(warnings), if_registered=bool(registering))


def _of_a_number(sender: str, country: str) -> tuple[str, ...]:
    region = parse_number(sender, country).region
    if region is None or region == country:
        return ()
    return (
        f"It is a number of {country_name(region)}: patients pay for a text abroad when they reply, and some phone "
        "companies refuse texts from abroad.",
    )


def _those(countries: Collection[str], of: Collection[str]) -> str:
    return listed(sorted(country_name(code) for code in countries if code in of))


def _place(country: str) -> str:
    name = country_name(country)
    return name[:1].upper() + name[1:]
