"""Which help pages hold what somebody looks for, and the sentence that shows it.

A page that holds every word comes before one that holds some; then a word in the title counts most, one in a heading
more than one in the text, and a rare one more than a common one. A word also finds its other forms ("reply",
"replies"), what it begins ("appoint"), what is said for it elsewhere ("SMS", "text") and, where no page has it, what
is spelt like it.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from math import log

from portal.core.search import fold

_LONGEST = 100  # of what is typed
_MOST_WORDS = 8
_MOST_FOUND = 10  # who has not found it among these types another word
_ALIKE = 0.75  # of a word's letters, for it to be a slip
_SHORTEST_SLIP = 5  # a shorter word is like too many others
_WORDS = re.compile(r"\w+")
_SENTENCE_ENDS = re.compile(r"(?<=[.?!:])\s+(?=[^a-z])")
_ENDINGS = ("ing", "ed", "es", "s", "e")
_SHORTEST_STEM = 3
# How much a word counts by where it stands, by how it is the one that was typed, and on a page for few.
_TITLE, _HEADING, _TEXT = 8.0, 3.0, 1.0
_BEGINNING, _SAID_OTHERWISE = 0.9, 0.7
_FOR_FEW = 0.5
# What a question holds besides what it is about. It decides only between pages that are alike otherwise.
_FILLERS = frozenset(
    {
        *("a", "an", "and", "any", "are", "at", "be", "can", "could", "did", "do", "does", "for", "from", "get"),
        *("gets", "getting", "got", "had", "has", "have", "he", "her", "him", "his", "how", "i", "if", "in", "into"),
        *("is", "it", "its", "m", "me", "my", "of", "on", "or", "our", "please", "s", "she", "should"),
        *("so", "that", "the", "their", "them", "there", "they", "this", "to", "us", "was", "we", "were"),
        *("what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your"),
    }
)
_OF_A_FILLER = 0.2
# "aren't", "arent" and "not" say what "no" says.
_NO = re.compile(r"\b(?:not|cannot|cant|\w+n['\u2019]t|(?:are|could|did|do|does|had|has|have|is|was|wo|would)nt)\b")
# People say the one, the pages the other.
_SAME = (
    ("sms", "text", "message"),
    ("receive", "arrive", "deliver", "reach"),
    ("client", "patient"),
    ("clinic", "practice", "business", "location"),
    ("phone", "mobile", "number"),
    ("doctor", "dr", "practitioner", "therapist", "physio", "dentist"),
    ("login", "log", "sign", "password"),
    ("mfa", "2fa", "factor", "second"),
    ("reschedule", "move"),
    ("edit", "change", "correct"),
    ("wrong", "correct"),
    ("new", "add", "create", "book"),
    ("unsubscribe", "stop", "opt"),
    ("money", "price", "cost", "credit", "much"),
    ("buy", "top"),
    ("user", "colleague", "staff", "receptionist", "employee"),
    ("everybody", "everyone", "many", "bulk", "mass"),
    ("upload", "import"),
    ("resend", "again"),
    ("send", "write"),
    ("delete", "remove"),
    ("abroad", "overseas", "foreign", "country"),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """`heading`: the id of the heading that it stands under, empty above the first."""

    text: str
    heading: str = ""
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """`is_for_few`: it comes after a page that says as much to all."""

    name: str
    title: str
    sentences: tuple[Sentence, ...]
    is_for_few: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """`pieces`: the sentence's text in pieces, each with whether it is a word that was looked for."""

    page: Page
    sentence: Sentence
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Search:
    """`found`: the best of `count` pages, the very best first. `has_all`: whether they hold every word, or only some
    of them."""

    found: tuple[Found, ...] = ()
    count: int = 0
    has_all: bool = True


def sentences_of(text: str) -> list[str]:
    return [sentence for part in _SENTENCE_ENDS.split(text) if (sentence := " ".join(part.split()))]


_Place = tuple[int, int]  # a page's number, and that of its sentence, or one of these
_AT_TITLE, _AT_SUBTITLE = -2, -1


@dataclass(frozen=True, slots=True)
class _Term:
    """One word that was typed. `words`: those that answer it, and how much: 1 for itself. `weight`: how much it says,
    the more, the fewer pages hold it."""

    words: Mapping[str, float]
    places: Mapping[_Place, float]
    weight: float


@dataclass(slots=True)
class _Worth:
    """Of a page, and of its places. Of pages that are worth the same, that with more places comes first."""

    of_words: float = 0.0
    of_places: dict[int, float] = field(default_factory=dict)

    @property
    def of_page(self) -> tuple[float, int]:
        return self.of_words + max(self.of_places.values()), len(self.of_places)


class Index:
    """The pages, prepared once for many searches."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self._pages = tuple(pages)
        self._counts: dict[_Place, float] = {}
        self._places: dict[str, list[_Place]] = {}  # of each word
        self._words: dict[str, set[str]] = {}  # of each stem
        for number, page in enumerate(self._pages):
            to = _FOR_FEW if page.is_for_few else 1
            title, _, subtitle = page.title.partition(":")
            # A title of one word is about nothing else.
            self._add((number, _AT_TITLE), title, to * _TITLE * (1 + 0.5 / len(title.split())))
            self._add((number, _AT_SUBTITLE), subtitle, to * _TITLE)
            for place, sentence in enumerate(page.sentences):
                self._add((number, place), sentence.text, to * (_HEADING if sentence.is_heading else _TEXT))

    def _add(self, place: _Place, text: str, counts: float) -> None:
        self._counts[place] = counts
        for word in set(_words(text)):
            self._places.setdefault(word, []).append(place)
            self._words.setdefault(_stem(word), set()).add(word)

    def search(self, typed: str) -> Search:
        """The pages that hold every word; where none does, those that hold the most. Nothing where nothing is
        asked."""
        words = list(dict.fromkeys(_words(typed[:_LONGEST])))
        asked = ([word for word in words if word not in _FILLERS] or words)[:_MOST_WORDS]
        terms = [self._term(word) for word in asked]
        held = Counter(number for term in terms for number in {number for number, _ in term.places})
        most = max(held.values(), default=0)
        if not most:
            return Search()
        fillers = [self._term(word, _OF_A_FILLER) for word in words[:_MOST_WORDS] if word not in asked]
        worth = self._worth([*terms, *fillers], {number for number in held if held[number] == most})
        best = sorted(worth, key=lambda number: worth[number].of_page, reverse=True)
        shown = {word for term in terms for word in term.words}
        found = (self._found(number, worth[number].of_places, shown) for number in best[:_MOST_FOUND])
        return Search(tuple(found), len(best), has_all=most == len(terms))

    def _term(self, word: str, weight: float | None = None) -> _Term:
        words = dict[str, float]()
        for other in _SAID_FOR.get(_stem(word), ()):
            words |= dict.fromkeys(self._words.get(other, ()), _SAID_OTHERWISE)
        if len(word) >= _SHORTEST_STEM:
            words |= {one: _BEGINNING for one in self._places if one.startswith(word)}
        words |= dict.fromkeys(self._words.get(_stem(word), ()), 1)
        if not words and len(word) >= _SHORTEST_SLIP and weight is None:
            words = dict.fromkeys(get_close_matches(word, self._places, n=3, cutoff=_ALIKE), _SAID_OTHERWISE)
        places = dict[_Place, float]()
        for one, alike in words.items():
            for place in self._places[one]:
                places[place] = max(alike, places.get(place, 0))
        if weight is None:
            on = len({number for number, _ in places})
            weight = log(1 + len(self._pages) / on) if on else 0
        return _Term(words, places, weight)

    def _worth(self, terms: Sequence[_Term], numbers: Collection[int]) -> dict[int, _Worth]:
        """Of each of these pages: each word where it counts most, and once more those that stand together."""
        worth = {number: _Worth() for number in numbers}
        for term in terms:
            most: dict[int, float] = {}
            for (number, place), alike in term.places.items():
                if number in worth:
                    value = term.weight * alike * self._counts[number, place]
                    worth[number].of_places[place] = worth[number].of_places.get(place, 0) + value
                    most[number] = max(value, most.get(number, 0))
            for number, value in most.items():
                worth[number].of_words += value
        return worth

    def _found(self, number: int, worth: Mapping[int, float], words: Collection[str]) -> Found:
        """With the first of the sentences that say the most, their headings' words included."""
        page, heading = self._pages[number], 0.0
        best, most = page.sentences[0], -1.0
        for place, sentence in enumerate(page.sentences):
            value = worth.get(place, 0.0)
            if sentence.is_heading:
                heading = value
            elif value + heading > most:
                best, most = sentence, value + heading
        return Found(page, best, tuple(_pieces(best.text, words)))


def _words(text: str) -> list[str]:
    return _WORDS.findall(_NO.sub(" no ", fold(text)))


@lru_cache(maxsize=8192)  # more than all pages have words
def _stem(word: str) -> str:
    """`replies` and `reply`, `moved` and `moving` have the same."""
    if len(word) <= _SHORTEST_STEM:
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    if word[-1] == word[-2] and len(word) > _SHORTEST_STEM:
        word = word[:-1]
    return f"{word[:-1]}i" if word.endswith("y") else word


def _said_for() -> dict[str, set[str]]:
    others: dict[str, set[str]] = {}
    for same in _SAME:
        stems = {_stem(word) for word in same}
        for stem in stems:
            others.setdefault(stem, set()).update(stems - {stem})
    return others


_SAID_FOR = _said_for()


def _pieces(text: str, words: Collection[str]) -> Iterator[tuple[str, bool]]:
    end = 0
    for word in _WORDS.finditer(text):
        if fold(word[0]) in words:
            yield text[end : word.start()], False
            yield word[0], True
            end = word.end()
    yield text[end:], False
