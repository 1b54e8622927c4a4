"""What a search finds: beginnings of words, ends of numbers, a message's own number."""

import pytest

from portal.core.search import Searchable, fold, parse

ROW = Searchable(4711, "+61491570156", "Hi Łukasz, see you at 9:30am. Jean-Luc's car park.", "Łukasz Øverland")


@pytest.mark.parametrize(
    "typed",
    ["lukasz", "ŁUK", "luk over", "  øver  ", "see car", "luc", "4711", "570 156", "0491 570 156", "+61 491-570-156"],
)
def test_it_is_found(typed: str) -> None:
    query = parse(typed)
    assert query
    assert query.matches(ROW)


@pytest.mark.parametrize("typed", ["ukasz", "lukasz smith", "47", "56", "471", "570 15", "0491 570 157", "00"])
def test_it_is_not_found(typed: str) -> None:
    query = parse(typed)
    assert query
    assert not query.matches(ROW)


@pytest.mark.parametrize("typed", ["", "  ", "%", "'", "<>", "().-"])
def test_nothing_is_asked_for(typed: str) -> None:
    assert parse(typed) is None


def test_letters_are_folded() -> None:
    assert fold("Straße Ünal ÆSIR") == "strasse unal aesir"
