"""How patients are found: by beginnings of the words of their names, ends of their numbers, birth dates, their id."""

import re
from dataclasses import dataclass
from datetime import date

from portal.core.numbers import parse_number
from portal.core.phrases import plain
from portal.core.search import fold
from portal.core.text import MONTHS

_LONGEST = 100  # of what is typed
_LONGEST_NAME = 200  # of what is kept of a name: an index takes no more than 2,700 bytes
_SHORTEST_NUMBER = 3  # digits; fewer would be the end of too many

_SHORTEST_JOINED = 4  # letters of a name that is typed without its apostrophe, as ODea

_WORDS = re.compile(r"\w+")
_NUMBER = re.compile(r"\+?[\d\s().\-/]+")
_ISO = re.compile(r"(\d{4})[-./ ](\d{1,2})[-./ ](\d{1,2})")
_SHORT = re.compile(r"(\d{1,2})[-./ ](\d{1,2})[-./ ](\d{4}|\d\d)")
_DAY_MONTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[\s.]+([a-z]{3,9})[\s.,]+(\d{4})")
_MONTH_DAY = re.compile(r"([a-z]{3,9})[\s.]+(\d{1,2})(?:st|nd|rd|th)?[\s.,]+(\d{4})")
_YEAR = re.compile(r"(?:19|20)\d\d")


@dataclass(frozen=True, slots=True)
class Query:
    """`words`: each begins a word of the name. `ends`: one of them ends a number. `born`: from, until. `id`: the
    export's."""

    words: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    born: tuple[date, date] | None = None
    id: str = ""


def parse(typed: str, country: str, today: date) -> Query | None:
    """None where nothing is asked for. `country` (ISO 3166) says how its people write numbers and dates."""
    typed = plain(typed, _LONGEST)
    born = _born(typed, country, today)
    if born and any(char.isalpha() for char in typed):
        return Query(born=born)
    if _NUMBER.fullmatch(typed) and any(char.isdecimal() for char in typed):
        return Query(ends=_ends_of_number(typed, country), born=born, id=typed)
    words = words_of(typed)
    return Query(words=words, id=typed) if words else None


def words_of(text: str) -> tuple[str, ...]:
    """In small letters, without accents."""
    return tuple(_WORDS.findall(fold(text)))


def spellings(word: str) -> tuple[str, ...]:
    """As a word that was typed may be kept: O'Brien is two words, and often typed as one."""
    return (word, f"{word[0]} {word[1:]}") if len(word) >= _SHORTEST_JOINED and word.isalpha() else (word,)


def searched_name(first_name: str, last_name: str) -> str:
    """The words of a name as they are kept for searching and for the order of a list: the last name first."""
    return " ".join(words_of(f"{last_name} {first_name}"))[:_LONGEST_NAME].rstrip()


def backwards(number: str, e164: str | None) -> str:
    """A number's digits from the last to the first: what ends a number begins this. `number`: as typed."""
    return "".join(char for char in e164 or number if char.isascii() and char.isdigit())[::-1]


def _ends_of_number(typed: str, country: str) -> tuple[str, ...]:
    e164 = parse_number(typed, country).e164
    digits = backwards(typed, e164)[::-1]
    ends = (digits,) if e164 else (digits, digits.lstrip("0"))  # 0491 … is +61 491 …
    return tuple(dict.fromkeys(end for end in ends if len(end) >= _SHORTEST_NUMBER))


def _born(typed: str, country: str, today: date) -> tuple[date, date] | None:
    """A day, or a year."""
    typed = fold(typed)
    if _YEAR.fullmatch(typed):
        return date(int(typed), 1, 1), date(int(typed), 12, 31)
    day = _day(typed, country, today)
    return (day, day) if day else None


def _day(typed: str, country: str, today: date) -> date | None:
    if found := _ISO.fullmatch(typed):
        return _date(int(found[1]), int(found[2]), int(found[3]))
    if found := _SHORT.fullmatch(typed):
        first, second, year = map(int, found.groups())
        if len(found[3]) == 2:
            year += 2000 if 2000 + year <= today.year else 1900
        # 05/08/1980 is 5 August, but 8 May in the United States, as in what the portal writes.
        return _date(year, first, second) if country == "US" else _date(year, second, first)
    if found := _DAY_MONTH.fullmatch(typed):
        return _date(int(found[3]), _month(found[2]), int(found[1]))
    if found := _MONTH_DAY.fullmatch(typed):
        return _date(int(found[3]), _month(found[1]), int(found[2]))
    return None


def _month(name: str) -> int:
    """0 where it is none."""
    return next((number for number, month in enumerate(MONTHS, 1) if month.lower().startswith(name)), 0)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
