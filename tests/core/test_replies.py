"""What replies mean: a table as people write them, and what must hold whatever they write."""

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.core.replies import LONGEST, Meaning, list_known, read

# What acts by itself: read into a text that does not say so, it is worse than missed.
ACTS = frozenset(Meaning) - {Meaning.OTHER, Meaning.DECLINE}
MOST_MISSED = 0.03
NAMES_A_STOP = (
    *("stop", "unsub", "optout", "optme", "revoke", "nomore", "remove", "meoff", "dont", "donot"),
    *("end", "quit"),
    *("arrêt", "arret", "désabonner", "desabonner", "abmelden", "baja", "parar", "alto", "detener", "cancelar"),
    *("afmelden", "uitschrijven"),
)

table = list_known()


def test_table_holds_a_few_hundred_replies_once_each_of_every_meaning() -> None:
    assert len(table) > 300
    assert not [reply for reply, count in Counter(reply for reply, _ in table).items() if count > 1]
    assert {meaning for _, meaning in table} == set(Meaning)


def test_nothing_is_read_into_a_reply_that_does_not_say_it() -> None:
    wrong = [(reply, meaning, read(reply)) for reply, meaning in table if read(reply) not in (meaning, Meaning.OTHER)]
    assert not wrong


def test_hardly_a_reply_of_the_table_is_missed() -> None:
    missed = [(reply, meaning) for reply, meaning in table if read(reply) is not meaning]
    assert len(missed) <= MOST_MISSED * len(table), missed


@pytest.mark.parametrize("word", ["STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "REVOKE", "OPTOUT"])
@pytest.mark.parametrize("written", ["{}", "{}.", " {} !!", "“{}”", "\n{}\n", "({})"])
def test_what_networks_take_for_a_stop_is_one_in_any_case(word: str, written: str) -> None:
    for reply in (word, word.lower(), word.title()):
        assert read(written.format(reply)) is Meaning.STOP


def test_cancel_alone_opts_out_and_declines_and_with_another_word_only_declines() -> None:
    assert read("CANCEL").opts_out and read("CANCEL").declines
    assert not read("cancel please").opts_out and read("cancel please").declines


@given(st.text(max_size=2 * LONGEST))
@example("\0")
@example("’" * LONGEST)
def test_any_text_is_read(text: str) -> None:
    assert read(text) in Meaning


@given(st.sampled_from(table), st.sampled_from(["{}?", "{}??"]))
def test_a_question_confirms_nothing(known: tuple[str, Meaning], written: str) -> None:
    assert read(written.format(known[0])) is not Meaning.CONFIRM


@given(
    st.sampled_from(table), st.sampled_from(["Ben", "Thursday", "10am", "because", "unless", "aspirin", "not", "if"])
)
def test_a_word_of_its_own_makes_a_text_one_to_read(known: tuple[str, Meaning], word: str) -> None:
    for text in (f"{word} {known[0]}", f"{known[0]} {word}"):
        assert read(text) not in ACTS, text


@given(st.lists(st.sampled_from(sorted({word for reply, _ in table for word in reply.split()})), max_size=6))
@example(["!", '"CANCEL"'])  # that word alone, whatever stands around it
@example(["please", "CANCEL"])
def test_words_in_any_order_stop_only_what_names_a_stop(said: list[str]) -> None:
    meaning, letters = read(" ".join(said)), re.sub(r"[\W_]", "", " ".join(said)).casefold()
    if meaning.opts_out:
        assert any(name in letters for name in NAMES_A_STOP) or letters == "cancel"
        assert (meaning is Meaning.CANCEL) == (letters == "cancel")


@given(st.text("stop cancel", max_size=LONGEST))
def test_long_texts_are_read_quickly(text: str) -> None:
    read(text)


def test_what_is_longer_than_a_reply_is_one_to_read() -> None:
    assert read("yes " * LONGEST) is Meaning.OTHER
