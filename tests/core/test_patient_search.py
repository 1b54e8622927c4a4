"""What is typed to find a patient, and the words under which patients are kept."""

from datetime import date

import pytest

from portal.core.patient_search import Query, backwards, parse, searched_name

TODAY = date(2031, 5, 7)
MAY_4 = (date(1980, 5, 4), date(1980, 5, 4))
APRIL_5 = (date(1980, 4, 5), date(1980, 4, 5))


@pytest.mark.parametrize("typed", ["", "   ", "%", "-", "'; --", "\x00", "😀"])
def test_nothing_is_asked_for(typed: str) -> None:
    assert parse(typed, "AU", TODAY) is None


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("Nguyen", ("nguyen",)),
        ("  Mia   NGUYEN ", ("mia", "nguyen")),
        ("Łukasz Æsop", ("lukasz", "aesop")),
        ("O'Brien-Smith", ("o", "brien", "smith")),
        ("Мария", ("мария",)),
        ("Mia 2", ("mia", "2")),
    ],
)
def test_words_are_looked_for_without_case_and_accents(typed: str, words: tuple[str, ...]) -> None:
    query = parse(typed, "AU", TODAY)
    assert query and query.words == words
    assert not query.ends and not query.born


@pytest.mark.parametrize(
    ("typed", "ends"),
    [
        ("0491 570 156", ("61491570156",)),
        ("+61491570156", ("61491570156",)),
        ("0061 491 570 156", ("61491570156",)),
        ("(0491) 570-156", ("61491570156",)),
        ("156", ("156",)),
        ("006", ("006",)),
        ("0491 57", ("049157", "49157")),
        ("06", ()),
        ("0006", ("0006",)),
    ],
)
def test_numbers_are_looked_for_by_their_ends(typed: str, ends: tuple[str, ...]) -> None:
    query = parse(typed, "AU", TODAY)
    assert query and query.ends == ends
    assert query.id == typed


@pytest.mark.parametrize(
    ("typed", "country", "born"),
    [
        ("4/5/1980", "AU", MAY_4),
        ("04.05.1980", "DE", MAY_4),
        ("4-5-80", "AU", MAY_4),
        ("4 5 1980", "AU", MAY_4),
        ("5/4/1980", "US", MAY_4),
        ("4/5/1980", "US", APRIL_5),
        ("1980-05-04", "US", MAY_4),
        ("1980/5/4", "AU", MAY_4),
        ("4 May 1980", "US", MAY_4),
        ("4th may, 1980", "AU", MAY_4),
        ("May 4, 1980", "AU", MAY_4),
        ("1980", "AU", (date(1980, 1, 1), date(1980, 12, 31))),
        ("4/5/31", "AU", (date(2031, 5, 4), date(2031, 5, 4))),
        ("4/5/32", "AU", (date(1932, 5, 4), date(1932, 5, 4))),
        ("31/2/1980", "AU", None),
        ("13/13/1980", "AU", None),
        ("4 Mai 1980", "AU", None),
        ("1/1/0000", "AU", None),
    ],
)
def test_a_birth_date_is_read_as_the_country_writes_it(
    typed: str, country: str, born: tuple[date, date] | None
) -> None:
    query = parse(typed, country, TODAY)
    assert query and query.born == born


def test_what_is_kept_of_a_name_is_short_enough_for_an_index() -> None:
    assert searched_name("Anne Marie", "Smith-O'Brien") == "smith o brien anne marie"
    assert len(searched_name("😀", "𐍈" * 5000).encode()) <= 800
    assert searched_name("", "") == ""


def test_a_number_is_kept_backwards() -> None:
    assert backwards("0491 570 156", "+61491570156") == "65107519416"
    assert backwards("(0491) 57٣", None) == "751940"


def test_a_query_is_equal_to_its_like() -> None:
    assert parse("nguyen", "AU", TODAY) == Query(words=("nguyen",), id="nguyen")
