"""The day's line: who will be texted, in one sentence, and who will not and why."""

from datetime import date

from portal.core.daily_line import NotReached, line

TODAY, TOMORROW = date(2031, 5, 7), date(2031, 5, 8)
TWO = (
    NotReached("No mobile number on file", ["Mia Nguyen (9:30am)", "Ada Byron (11am)"]),
    NotReached('This appointment type has no SMS template ("Dry needling")', ["Kim Lee (2pm)"]),
)


def said(texted: int, left: int = 0, groups: tuple[NotReached, ...] = (), **how: bool) -> tuple[str, str]:
    return line(TOMORROW, TODAY, texted, left, groups, **{"is_off": False, "with_names": False} | how)


def test_a_day_on_which_all_is_well_is_one_sentence() -> None:
    assert said(47) == (
        "All 47 patients with appointments tomorrow will be texted",
        "All 47 patients with appointments tomorrow will be texted.",
    )
    assert said(1)[1] == "The one patient with an appointment tomorrow will be texted."
    assert said(0)[1] == "No appointment tomorrow needs a reminder."


def test_who_will_not_be_texted_is_counted_by_cause() -> None:
    subject, text = said(41, 3, TWO)
    assert subject == "41 of 44 patients with appointments tomorrow will be texted"
    assert text.splitlines()[1:] == [
        "",
        "3 will not:",
        "- No mobile number on file: 2",
        '- This appointment type has no SMS template ("Dry needling"): 1',
    ]
    assert "Mia" not in text


def test_names_stand_there_only_for_who_wants_them() -> None:
    assert (
        "- No mobile number on file: Mia Nguyen (9:30am) and Ada Byron (11am)" in said(41, 3, TWO, with_names=True)[1]
    )
    many = NotReached("No mobile number on file", [f"Patient {number}\r\n" for number in range(30)])
    text = said(0, 30, (many,), with_names=True)[1]
    assert "Patient 19 and 10 more" in text
    assert "\r" not in text


def test_while_nothing_is_sent_it_says_so_first() -> None:
    subject, text = said(47, is_off=True)
    assert subject == "Sending is off: nobody is texted about appointments tomorrow"
    assert text.startswith("Sending is off for the whole practice: nobody is texted.")


def test_a_day_further_off_is_named() -> None:
    assert line(date(2031, 5, 12), TODAY, 2, 0, (), is_off=False, with_names=False)[1] == (
        "All 2 patients with appointments on Monday 12 May will be texted."
    )
