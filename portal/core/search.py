"""What a search for messages matches: beginnings of words, ends of numbers, a message's own number; and the words
under which a message is filed for that, alike on every database.

An index word begins with a sign for what it is, and a search looks for the beginnings of index words: `/word` of a
name or text, `#` and a number's digits from the last to the first.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from unicodedata import combining, normalize

_SHORTEST_NUMBER = 3  # digits; fewer would match every phone number
_LONGEST_WORD = 40  # what is longer is filed, and looked for, by its beginning
_LONGEST_ID = 18  # digits that every database can hold
_LONGEST_QUERY = 100
_DIGITS = re.compile(r"\d")
_NUMBER = re.compile(r"\+?[\d\s().\-/]+")
_DATE = re.compile(r"\d{1,2}/\d{1,2}(/\d{2,4})?|\d{4}-\d\d-\d\d")
_WORDS = re.compile(r"\w+")
# Letters that no decomposition opens.
_PLAIN_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})


@dataclass(frozen=True, slots=True)
class Query:
    """Each of `terms` must be found: the beginning of an index word, or one of several. `id`: the message whose own
    number was typed; it is found whatever its words are."""

    terms: tuple[tuple[str, ...], ...]
    id: int | None = None

    def matches(self, words: Iterable[str]) -> bool:
        """What the databases' indexes answer."""
        words = list(words)
        return bool(self.terms) and all(any(word.startswith(term) for word in words) for term in self.terms)


def parse(typed: str) -> Query | None:
    """None where nothing is asked for. What is a number as a whole is looked for as one."""
    typed = typed.strip()[:_LONGEST_QUERY]
    if _NUMBER.fullmatch(typed) and not _DATE.fullmatch(typed) and (digits := _only_digits(typed)):
        id_ = int(digits) if len(digits) <= _LONGEST_ID else None
        ending = _number_word(digits.lstrip("0"))  # 0491 … is +61 491 …
        return Query(((ending,),) if len(ending) > _SHORTEST_NUMBER else (), id_)
    terms = tuple(_term(word[:_LONGEST_WORD]) for word in _WORDS.findall(fold(typed)))
    return Query(tuple(dict.fromkeys(terms))) if terms else None


def index_words(texts: Iterable[str], to: str | None) -> set[str]:
    """Under which a message with these names and texts is filed; `to` in E.164."""
    words = {f"/{word[:_LONGEST_WORD]}" for text in texts for word in _WORDS.findall(fold(text))}
    if to:
        words.add(_number_word(_only_digits(to)))
    return words


def _term(word: str) -> tuple[str, ...]:
    """Digits among words may be a text's, or end a number."""
    is_ending = word.isascii() and word.isdigit() and len(word) >= _SHORTEST_NUMBER
    return (f"/{word}", _number_word(word)) if is_ending else (f"/{word}",)


def _only_digits(text: str) -> str:
    return "".join(str(int(digit)) for digit in _DIGITS.findall(text))


def _number_word(digits: str) -> str:
    return f"#{digits[::-1][:_LONGEST_WORD]}"


def fold(text: str) -> str:
    """Without letter case and accents: Łukasz is found by lukasz."""
    if text.isascii():
        return text.lower()
    letters = (char for char in normalize("NFKD", text).casefold() if not combining(char))
    return "".join(letters).translate(_PLAIN_LETTERS)
