"""Addresses, names and passwords as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.accounts import LONGEST_NAME, find_address, find_name, password_problem


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("dana@clinic.example", "dana@clinic.example"),
        ("  Dana.Field@Clinic.Local ", "dana.field@clinic.local"),
        ("o'brien+desk@clinic.example", "o'brien+desk@clinic.example"),
        ("dana", None),
        ("dana@", None),
        ("@clinic.example", None),
        ("dana@clinic@example", None),
        ("dana@.example", None),
        ("dana@clinic..example", None),
        ("da na@clinic.example", None),
        ("dana@clinic.example\nBcc: all@clinic.example", None),
        ("<script>@clinic.example", None),
        ("d" * 300 + "@clinic.example", None),
        ("", None),
    ],
)
def test_an_address_is_taken_in_small_letters_or_refused(typed: str, address: str | None) -> None:
    assert find_address(typed) == address


@given(st.text())
def test_no_address_holds_what_mail_or_a_page_would_stumble_over(typed: str) -> None:
    address = find_address(typed)
    if address is not None:
        assert address == address.lower()
        assert not set(address) & set("<>\r\n ,;")
        assert find_address(address) == address


def test_a_name_is_one_line() -> None:
    assert find_name("  Dana \n Field\t") == "Dana Field"
    assert find_name("d" * LONGEST_NAME) == "d" * LONGEST_NAME
    assert find_name("d" * (LONGEST_NAME + 1)) is None
    assert find_name(" \n ") is None


@pytest.mark.parametrize(
    "password",
    [
        "",
        "elevenchars",
        "x" * 201,
        "passwordpassword",
        "Password1234!",
        "P@ssw0rdP@ssw0rd",
        "123456789012",
        "aaaaaaaaaaaaaaaa",
        "abcdefghijkl",
        "qwertyuiop123",
        "1qaz2wsx3edc",
        "Welcome2026!!",
        "Summer2026Summer",
        "letmeinletmein1",
        "dana.field.2026",
        "DanaField123456",
        "clinic-clinic-1",
    ],
)
def test_what_is_easily_guessed_is_no_password(password: str) -> None:
    assert password_problem(password, "Dana Field", "dana@clinic.example")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "thrifty lamp over sea",
        "x9!kQ27_zpL0",
        "Grüne Äpfel im Mai",
        "小猫坐在高高的椅子上吃鱼喝水",
    ],
)
def test_words_that_do_not_belong_together_will_do(password: str) -> None:
    assert password_problem(password, "Dana Field", "dana@clinic.example") is None
