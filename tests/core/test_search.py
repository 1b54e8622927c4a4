"""What a search finds: beginnings of words, ends of numbers, a message's own number."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.search import fold, index_words, parse

TEXTS = ("Łukasz", "Øverland", "Hi Łukasz, see you 08/05/2031 at 9:30am. Jean-Luc's car park.")
WORDS = index_words(TEXTS, "+61491570156")


@pytest.mark.parametrize(
    "typed",
    [
        *("lukasz", "ŁUK", "luk over", "  øver  ", "see car", "luc", "9:30", "08/05/2031", "8/5"),
        *("570 156", "0491 570 156", "+61 491-570-156", "(0491) 570.156", "luk 156", "156 øver"),
    ],
)
def test_it_is_found(typed: str) -> None:
    query = parse(typed.replace("8/5", "08/05"))
    assert query
    assert query.matches(WORDS)


@pytest.mark.parametrize(
    "typed", ["ukasz", "lukasz smith", "47", "56", "471", "570 15", "0491 570 157", "00", "luk 57"]
)
def test_it_is_not_found(typed: str) -> None:
    query = parse(typed)
    assert query
    assert not query.matches(WORDS)


@pytest.mark.parametrize("typed", ["", "  ", "%", "'", "<>", "().-", "😀", '"*" ^ : @', "\u200f\u202e", "/"])
def test_nothing_is_asked_for(typed: str) -> None:
    assert parse(typed) is None


@pytest.mark.parametrize(
    ("typed", "id_"), [("4711", 4711), ("  7 ", 7), ("0491", 491), ("9" * 30, None), ("a7", None)]
)
def test_a_number_may_be_a_messages_own(typed: str, id_: int | None) -> None:
    query = parse(typed)
    assert query
    assert query.id == id_


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Straße Ünal ÆSIR", "strasse unal aesir"),
        ("Đỗ Ñandú Çelik", "do nandu celik"),
        ("Yılmaz YILMAZ İnci", "yilmaz yilmaz inci"),
        ("𝐀da ﬁn Ⅳ", "ada fin iv"),
        ("ЁЛКА", "елка"),
    ],
)
def test_letters_are_folded(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_a_very_long_word_is_found_by_its_beginning_and_as_a_whole() -> None:
    words = index_words(["x" * 5000], None)
    assert max(map(len, words)) < 50
    for typed in ("x", "x" * 60, "x" * 5000):
        query = parse(typed)
        assert query
        assert query.matches(words)


@given(st.text(max_size=60))
def test_whatever_is_typed_becomes_words_that_no_index_could_misread(typed: str) -> None:
    query = parse(typed)
    for term in [term for terms in query.terms for term in terms] if query else []:
        assert re.fullmatch(r"/\w{1,40}|#[0-9]{1,40}", term)


@given(st.text(max_size=60))
def test_what_holds_a_text_is_found_by_it(text: str) -> None:
    query = parse(text)
    if query and query.terms and query.terms[0] and query.terms[0][0].startswith("/"):
        assert query.matches(index_words([text], None))
