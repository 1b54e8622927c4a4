"""What somebody types into Help, and what they find."""

import pytest

from portal.core.help_search import Page, Sentence, search, sentences_of


def a_page(name: str, title: str, *told: str) -> Page:
    return Page(name, title, tuple(Sentence(sentence) for text in told for sentence in sentences_of(text)))


PAGES = (
    a_page("replies", "Replies: what patients write back", "A STOP holds. Mark as read, or answer the patient."),
    a_page("credits", "Credits, and what a text costs", "Press Top up. One emoji makes a text dearer."),
    a_page("moving", "Moving an appointment", "Move it to another day. The reminder is withdrawn; replies stay."),
    a_page("today", "The Today page", "Credits are shown here. Replies are counted."),
)


def found(typed: str) -> list[str]:
    return [one.page.name for one in search(PAGES, typed).found]


def test_a_word_in_the_title_comes_first() -> None:
    assert found("credits") == ["credits", "today"]
    assert found("replies")[0] == "replies"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("reply", "replies"),  # other forms of the word
        ("REPLYING", "replies"),
        ("moved appointments", "moving"),
        ("appoint", "moving"),  # its beginning
        ("reschedule", "moving"),  # what others say for it
        ("sms cost", "credits"),
        ("emojis", "credits"),
        ("apointment", "moving"),  # slips
        ("credtis", "credits"),
        ("how do I move an appointment?", "moving"),  # a whole question
    ],
)
def test_what_is_typed_otherwise_is_found_too(typed: str, name: str) -> None:
    assert found(typed)[0] == name


def test_a_page_holds_all_words_and_where_none_does_the_most() -> None:
    assert found("credits top up") == ["credits"]
    some = search(PAGES, "move the appointment to zanzibar")
    assert [one.page.name for one in some.found] == ["moving"]
    assert not some.has_all
    assert search(PAGES, "move the appointment").has_all


def test_the_sentence_with_the_most_of_the_words_is_shown() -> None:
    (one,) = search(PAGES, "emoji text").found
    assert one.sentence.text == "One emoji makes a text dearer."
    assert [text for text, is_asked in one.pieces if is_asked] == ["emoji", "text"]
    assert "".join(text for text, _ in one.pieces) == one.sentence.text


def test_of_two_words_the_rarer_one_says_more() -> None:
    page = a_page("it", "Merging", "Patients are listed. Two can be merged.")
    (one,) = search([page, a_page("other", "Others", "Patients.")], "merge patients").found
    assert one.sentence.text == "Two can be merged."


@pytest.mark.parametrize("typed", ["", "   ", "?!", "zanzibar", "\x00", "<script>", "(" * 5000])
def test_what_is_nowhere_finds_nothing(typed: str) -> None:
    assert found(typed) == []


def test_a_long_question_is_cut() -> None:
    assert found("credits " + "x" * 1_000_000) == ["credits", "today"]
