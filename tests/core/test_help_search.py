"""What somebody types into Help, and what they find."""

from collections.abc import Sequence

import pytest

from portal.core.help_search import Index, Page, Sentence, sentences_of


def a_page(name: str, title: str, *told: str) -> Page:
    """What is told begins with # where it is a heading."""
    sentences = (
        Sentence(text.removeprefix("#"), is_heading=text.startswith("#"))
        for one in told
        for text in ([one] if one.startswith("#") else sentences_of(one))
    )
    return Page(name, title, tuple(sentences))


PAGES = (
    a_page("replies", "Replies: what patients write back", "A STOP holds. Mark as read, or answer the patient."),
    a_page("credits", "Credits, and what a text costs", "Press Top up. One emoji makes a text dearer."),
    a_page("moving", "Moving an appointment", "Move it to another day. The reminder is withdrawn; replies stay."),
    a_page("today", "The Today page", "Credits are shown here. Replies are counted."),
)


INDEX = Index(PAGES)


def found(typed: str, pages: Sequence[Page] = ()) -> list[str]:
    return [one.page.name for one in (Index(pages) if pages else INDEX).search(typed).found]


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


def test_title_before_heading_before_text_and_all_words_before_some() -> None:
    pages = (
        a_page("text", "One", "Fees are told here."),
        a_page("heading", "Two", "#Fees", "See above."),
        a_page("subtitle", "Three: what fees there are", "See above."),
        a_page("title", "Fees", "See above."),
        a_page("all", "Five", "Reduced fees."),
    )
    assert found("fees", pages) == ["title", "subtitle", "heading", "text", "all"]
    assert found("reduced fees", pages) == ["all"]


def test_words_that_stand_together_say_more_than_apart() -> None:
    apart = a_page("apart", "One", "A wrong turn.", "Its number.")
    assert found("wrong number", [apart, a_page("together", "Two", "The number is wrong.")]) == ["together", "apart"]


def test_the_word_that_was_typed_comes_before_one_that_says_the_same() -> None:
    assert found("sms", [a_page("text", "No text", "It."), a_page("sms", "No SMS", "It.")]) == ["sms", "text"]


@pytest.mark.parametrize(
    "typed", ["not received", "didn't receive", "DIDN\u2019T receive", "didnt receive", "no, received"]
)
def test_a_no_counts_however_it_is_said(typed: str) -> None:
    pages = [a_page("did", "Receiving", "It was received."), a_page("not", "Not there", "It isn't received.")]
    assert found(typed, pages) == ["not"]


def test_a_page_for_few_comes_after_one_for_all() -> None:
    few = Page("few", "Backup", (Sentence("It."),), is_for_few=True)
    assert found("backup", [few, a_page("all", "Backup", "It.")]) == ["all", "few"]


def test_what_goes_round_the_question_is_not_looked_for_and_a_short_word_is_no_beginning() -> None:
    assert found("please how do I get the credits") == found("credits")
    assert found("re") == []


def test_only_the_best_are_shown_and_all_are_counted() -> None:
    search = Index(a_page(str(number), "Fees", "It.") for number in range(30)).search("fees")
    assert (len(search.found), search.count) == (10, 30)


def test_a_page_holds_all_words_and_where_none_does_the_most() -> None:
    assert found("credits top up") == ["credits"]
    some = INDEX.search("move the appointment to zanzibar")
    assert [one.page.name for one in some.found] == ["moving"]
    assert not some.has_all
    assert INDEX.search("move the appointment").has_all


def test_the_sentence_with_the_most_of_the_words_is_shown() -> None:
    (one,) = INDEX.search("emoji text").found
    assert one.sentence.text == "One emoji makes a text dearer."
    assert [text for text, is_asked in one.pieces if is_asked] == ["emoji", "text"]
    assert "".join(text for text, _ in one.pieces) == one.sentence.text


def test_of_two_words_the_rarer_one_says_more() -> None:
    page = a_page("it", "Merging", "Patients are listed. Two can be merged.")
    (one,) = Index([page, a_page("other", "Others", "Patients.")]).search("merge patients").found
    assert one.sentence.text == "Two can be merged."


@pytest.mark.parametrize("typed", ["", "   ", "?!", "zanzibar", "\x00", "<script>", "(" * 5000])
def test_what_is_nowhere_finds_nothing(typed: str) -> None:
    assert found(typed) == []


def test_a_long_question_is_cut() -> None:
    assert found("credits " + "x" * 1_000_000) == ["credits", "today"]
