"""What a template gives away, what it may be called, and the patient who is made up for it."""

from datetime import datetime

import pytest

from portal.core.templates import made_up, problem_with_name, tells_the_treatment, what_it_lacks
from portal.core.text import PLACEHOLDERS, compile_template, values

TYPES = ["Botox", "Dry needling", "C++ (new)", "", "Botox"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("Hi {{Patient.FirstName}}, your visit.", ""),
        ("Your botox visit", '"Botox" is written out in it'),
        ("Your Botoxes", ""),
        ("Your dry\n needling, or BOTOX.", '"Botox" and "Dry needling" are written out in it'),
        ("C++ (new)!", '"C++ (new)" is written out in it'),
        ("Dry {{Patient.FirstName}} needling", ""),
        (
            "{{ AppointmentType.Name }}: botox",
            '{{AppointmentType.Name}} names the kind of appointment and "Botox" is written out in it',
        ),
    ],
)
def test_a_text_that_tells_the_treatment_is_named(body: str, says: str) -> None:
    said = tells_the_treatment(compile_template(body), TYPES)
    assert said == (f"{says}: whoever holds the phone can read what the patient comes for." if says else "")


def test_of_many_only_some_are_named() -> None:
    names = [f"Kind {number}" for number in range(5)]
    said = tells_the_treatment(compile_template(" ".join(names)), names)
    assert said.startswith('"Kind 0", "Kind 1", "Kind 2" and 2 more are written out in it')


@pytest.mark.parametrize(
    ("body", "number", "says"),
    [
        ("Call {{Business.ContactNumber}}", " ", "North Clinic has no contact number: nothing stands where"),
        ("Call {{Business.ContactNumber}}", "13 11 14", ""),
        ("Hi", "", ""),
    ],
)
def test_a_contact_number_that_lacks_is_told(body: str, number: str, says: str) -> None:
    details = made_up("Riverside", "North Clinic", number, "", datetime.fromisoformat("2031-05-07T10:00"), "AU")
    said = what_it_lacks(compile_template(body), details)
    assert said.startswith(says) and bool(said) == bool(says)


def test_a_name_is_one_harmless_line_of_its_own() -> None:
    assert problem_with_name("Standard", ["Other"], "template") == ""
    assert "another template" in problem_with_name("standard", [" Standard "], "template")
    assert "cannot be shown" in problem_with_name("a\u202eb", [], "template")


def test_whoever_is_made_up_has_a_value_for_each_placeholder() -> None:
    details = made_up("Riverside", "", "", "", datetime.fromisoformat("2031-05-07T10:05:00+10:00"), "AU")
    filled = values(details)
    assert [name for name in PLACEHOLDERS if not filled[name]] == ["Business.ContactNumber"]
    assert filled["Appointment.StartTime"] == "9:30am" and filled["Appointment.DateShort"] == "08/05/2031"
