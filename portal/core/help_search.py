"""Which help pages hold what somebody looks for, and the sentence that shows it.

Words in titles count first, then those in headings. A word also finds its other forms ("reply", "replies"), what it
begins ("appoint"), what is said for it elsewhere ("SMS", "text") and, where no page has it, what is spelt like it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from portal.core.search import fold

_LONGEST = 100  # of what is typed
_MOST_WORDS = 8
_ALIKE = 0.75  # of a word's letters, for it to be a slip
_WORDS = re.compile(r"\w+")
_SENTENCE_ENDS = re.compile(r"(?<=[.?!:])\s+(?=[^a-z])")
_ENDINGS = ("ing", "ed", "es", "s", "e")
_SHORTEST_STEM = 3
# What a question holds besides what it is about.
_FILLERS = frozenset(
    {
        *("a", "an", "and", "any", "are", "aren", "at", "be", "can", "cant", "do", "does", "doesn", "don"),
        *("for", "from", "get", "gets", "getting", "got", "has", "have", "he", "how", "i", "in", "is", "isn"),
        *("it", "me", "my", "no", "not", "of", "on", "or", "our", "s", "she", "should", "t", "that"),
        *("the", "their", "they", "this", "to", "was", "we", "what", "when", "where", "which", "who", "why", "will"),
        *("with", "won", "you", "your"),
    }
)
# People say the one, the pages the other.
_SAME = (
    ("sms", "text", "message"),
    ("client", "patient"),
    ("clinic", "practice", "business", "location"),
    ("phone", "mobile", "number"),
    ("login", "sign", "password"),
    ("mfa", "2fa", "factor", "second"),
    ("reschedule", "move"),
    ("unsubscribe", "stop", "opt"),
    ("money", "price", "cost", "credit"),
    ("user", "colleague", "staff"),
    ("bulk", "many"),
    ("upload", "import"),
    ("resend", "again"),
    ("delete", "remove"),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """`heading`: the id of the heading that it stands under, empty above the first."""

    text: str
    heading: str = ""
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    name: str
    title: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """`pieces`: the sentence's text in pieces, each with whether it is a word that was looked for."""

    page: Page
    sentence: Sentence
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Search:
    """`found`: the best first. `has_all`: whether these pages hold every word, or only some of them."""

    found: tuple[Found, ...] = ()
    has_all: bool = True


# Beginnings of stems: any of them answers one word that was typed.
Term = tuple[str, ...]


def sentences_of(text: str) -> list[str]:
    return [sentence for part in _SENTENCE_ENDS.split(text) if (sentence := " ".join(part.split()))]


def search(pages: Sequence[Page], typed: str) -> Search:
    """The pages that hold every word; where none does, those that hold the most. Nothing where nothing is asked."""
    all_words = _WORDS.findall(fold(typed[:_LONGEST]))
    words = ([word for word in all_words if word not in _FILLERS] or all_words)[:_MOST_WORDS]
    known = {stem for page in pages for stem in _stems_of_page(page)}
    terms = [_term(word, known) for word in dict.fromkeys(words)]
    held = {page.name: _count(_stems_of_page(page), terms) for page in pages}
    most = max(held.values(), default=0)
    if not most:
        return Search()
    best = sorted((page for page in pages if held[page.name] == most), key=lambda page: _rank(page, terms))
    terms.sort(key=lambda term: sum(_count(_stems_of_page(page), [term]) for page in pages))
    return Search(tuple(_found(page, terms) for page in best), has_all=most == len(terms))


def _stems_of_page(page: Page) -> list[str]:
    return [*_stems(page.title), *(stem for sentence in page.sentences for stem in _stems(sentence.text))]


@lru_cache(maxsize=8192)  # more than all pages have sentences
def _stems(text: str) -> tuple[str, ...]:
    return tuple(_stem(word) for word in _WORDS.findall(fold(text)))


def _stem(word: str) -> str:
    """`replies` and `reply`, `moved` and `moving` have the same."""
    if len(word) <= _SHORTEST_STEM:
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    if word[-1] == word[-2]:
        word = word[:-1]
    return f"{word[:-1]}i" if word.endswith("y") else word


def _term(word: str, known: set[str]) -> Term:
    stem = _stem(word)
    others = [_stem(other) for same in _SAME if stem in map(_stem, same) for other in same]
    term = tuple(dict.fromkeys([stem, *others]))
    if any(one.startswith(term) for one in known):
        return term
    return tuple(get_close_matches(stem, known, n=3, cutoff=_ALIKE)) or term


def _count(stems: Sequence[str], terms: Sequence[Term]) -> int:
    """How many of the terms are among them."""
    return sum(any(stem.startswith(term) for stem in stems) for term in terms)


def _rank(page: Page, terms: Sequence[Term]) -> tuple[int, int, int]:
    """The smaller, the better."""
    headings = [stem for sentence in page.sentences if sentence.is_heading for stem in _stems(sentence.text)]
    times = sum(stem.startswith(term) for stem in _stems_of_page(page) for term in terms)
    return -_count(_stems(page.title), terms), -_count(headings, terms), -times


def _found(page: Page, terms: Sequence[Term]) -> Found:
    """With the first of the sentences that hold the most; a heading only says where. `terms`: what stands on the
    fewest pages comes first, and says more."""

    def worth(sentence: Sentence) -> tuple[int, list[int]]:
        held = [_count(_stems(sentence.text), [term]) for term in terms]
        return sum(held), held

    sentence = max((one for one in page.sentences if not one.is_heading), key=worth)
    return Found(page, sentence, tuple(_pieces(sentence.text, terms)))


def _pieces(text: str, terms: Sequence[Term]) -> Iterator[tuple[str, bool]]:
    end = 0
    for word in _WORDS.finditer(text):
        if _count(_stems(word[0]), terms):
            yield text[end : word.start()], False
            yield word[0], True
            end = word.end()
    yield text[end:], False
