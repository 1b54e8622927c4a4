"""Two records that may be of one person, and which wish holds where they are merged."""

from collections.abc import Sequence
from datetime import date
from difflib import SequenceMatcher
from enum import StrEnum

from portal.core.patient_search import words_of
from portal.core.reminders import Preference


class Alike(StrEnum):
    """Why two patients are listed."""

    NAME_AND_BIRTH = "name"
    NUMBER_AND_NAME = "number"


_ALIKE = 0.8  # of 1: Jon and John, Nguyen and Nguyan


def is_similar_name(first: str, last: str, other_first: str, other_last: str) -> bool:
    """Whether it may be one person's, written twice: with a slip, an initial, a part of it left out, or its parts in
    the other order."""
    one, other = (words_of(first), words_of(last)), (words_of(other_first), words_of(other_last))
    if not any(one) or not any(other):
        return False
    if sorted(one[0] + one[1]) == sorted(other[0] + other[1]):
        return True
    pairs = [("".join(mine), "".join(theirs)) for mine, theirs in zip(one, other, strict=True)]
    both_there = [(mine, theirs) for mine, theirs in pairs if mine and theirs]
    return bool(both_there) and all(_is_similar(mine, theirs) for mine, theirs in both_there)


def _is_similar(word: str, other: str) -> bool:
    if word.startswith(other) or other.startswith(word):
        return True
    return SequenceMatcher(None, word, other, autojunk=False).ratio() >= _ALIKE


_STRICTNESS = {Preference.NONE: 2, Preference.EMAIL: 1}  # of those that keep texts away


def stricter(own: Preference | None, other: Preference | None) -> Preference | None:
    """Of two wishes of one person the one that asks for less; blank is no wish."""
    if own is None or other is None:
        return own or other
    return max(own, other, key=lambda one: _STRICTNESS.get(one, 0))


def consent_holds(given_on: date, withdrawn_on: Sequence[date]) -> bool:
    """Whether a consent to marketing outlives what was withdrawn, on whichever record."""
    return all(given_on > day for day in withdrawn_on)
