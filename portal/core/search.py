"""What a search for messages matches: beginnings of words, ends of numbers, and a message's own number."""

import re
from dataclasses import dataclass
from unicodedata import combining, normalize

_SHORTEST_NUMBER = 3  # digits; fewer would match every phone number
_DIGITS = re.compile(r"\d")
_NUMBER = re.compile(r"\+?[\d\s().\-/]+")
_WORDS = re.compile(r"\w+")
# Letters that no decomposition opens.
_PLAIN_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe"})


@dataclass(frozen=True, slots=True)
class Searchable:
    id: int
    to: str  # E.164, or empty
    text: str
    name: str


@dataclass(frozen=True, slots=True)
class Query:
    """`words` begin words of the name or the text, each of them; `digits` end the number, or are the id."""

    words: tuple[str, ...]
    digits: str

    def matches(self, row: Searchable) -> bool:
        if self.digits:
            number = self.digits.lstrip("0")  # 0491 … is +61 491 …
            ends = len(number) >= _SHORTEST_NUMBER and row.to.endswith(number)
            return ends or str(row.id) == self.digits
        text = " " + " ".join(_WORDS.findall(f"{fold(row.name)} {fold(row.text)}"))
        return all(f" {word}" in text for word in self.words)


def parse(typed: str) -> Query | None:
    """None where nothing is asked for. What is a number as a whole is looked for as one."""
    typed = typed.strip()[:100]
    if _NUMBER.fullmatch(typed) and _DIGITS.search(typed):
        return Query((), "".join(_DIGITS.findall(typed)))
    words = tuple(_WORDS.findall(fold(typed)))
    return Query(words, "") if words else None


def fold(text: str) -> str:
    """Without letter case and accents: Łukasz is found by lukasz."""
    if text.isascii():
        return text.lower()
    letters = (char for char in normalize("NFKD", text.casefold()) if not combining(char))
    return "".join(letters).translate(_PLAIN_LETTERS)
