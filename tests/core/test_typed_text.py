"""Texts that staff type, tidied and looked through; templates filled as far as they can be."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.text import PLACEHOLDERS, Details, compile_template
from portal.core.typed_text import MOST_PARTS, fill_what_is_known, problem_with, read_text, tidy

NEVER = datetime.fromisoformat("0001-01-01")
MIA = Details("Mia", "Nguyen", "", "", "", "North {{Clinic}}", "", "", NEVER, NEVER, "AU")


@pytest.mark.parametrize(
    ("typed", "sent"),
    [("a\r\nb\rc\n", "a\nb\nc"), ("\r\n  a  \u00a0\r\n", "a"), ("", ""), (" \t\n", ""), ("a\r\n\r\nb", "a\n\nb")],
)
def test_a_text_is_sent_without_what_stands_around_it(typed: str, sent: str) -> None:
    assert tidy(typed) == sent


@given(st.text(max_size=300))
def test_tidied_once_is_tidied(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)
    says = problem_with(tidy(text))
    assert says.isprintable()


@pytest.mark.parametrize("text", ["Hi", "a\nb", "{ }", "{{", "}} {{", "مرحبا 🙂", "a\u200db", "x" * 153 * MOST_PARTS])
def test_what_can_be_sent_has_no_problem(text: str) -> None:
    assert problem_with(text) == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a\x00", 'There is a character after "a" that cannot be sent'),
        ("\x7f", "There is a character at the beginning that cannot be sent"),
        ("x" * 40 + "\x0c", f'after "{"x" * 20}"'),
        ("{{Patient.FirstName}}", "{{Patient.FirstName}} is still in it"),
        ("{{" + "y" * 500 + "}}", "… is still in it"),
        ("Hi {Patient.FirstName}", "{Patient.FirstName} is still in it"),
        ("x" * (153 * MOST_PARTS + 1), "as long as 11 texts; 10 are the most"),
    ],
)
def test_what_cannot_be_sent_is_said_with_its_remedy(text: str, says: str) -> None:
    assert says in problem_with(text)


def test_placeholders_without_a_value_stay_in_their_braces() -> None:
    template = compile_template(
        "{{ Patient.FirstName }} {{Business.Name}} {{Appointment.EndTime}}{{Appointment.Date}}"
    )
    filled = fill_what_is_known(template, MIA, ("Patient.", "Business."))
    assert filled == (
        "Mia North {{Clinic}} {{Appointment.EndTime}}{{Appointment.Date}}",
        ("Appointment.Date", "Appointment.EndTime"),
    )
    assert fill_what_is_known(template, MIA, ("",))[1] == ()


def test_every_placeholder_is_filled_or_left() -> None:
    template = compile_template("".join(f"{{{{{name}}}}}" for name in PLACEHOLDERS))
    _, left = fill_what_is_known(template, MIA, ("Patient.",))
    assert left == tuple(name for name in PLACEHOLDERS if not name.startswith("Patient."))


@pytest.mark.parametrize(
    "slip",
    [
        "{Patient.FirstName}",
        "[Patient.FirstName]",
        "{ patient.firstname }",
        "[[Patient.FirstName]]",
        "{Patient.FirstName}}",
    ],
)
def test_a_placeholder_in_other_braces_is_not_sent_as_it_stands(slip: str) -> None:
    template, problem = read_text(f"Hi {slip}, {{{{Appointment.Date}}}}", PLACEHOLDERS)
    assert template is None
    assert problem.endswith(" would be sent as it stands: did you mean {{Patient.FirstName}}?")


@pytest.mark.parametrize(
    "text", ["Hi {{ Patient.FirstName }}", "{see you}", "[North] {{Business.Name}}", "Patient.FirstName"]
)
def test_other_braces_are_text(text: str) -> None:
    assert read_text(text, PLACEHOLDERS)[1] == ""
