"""Whom texts come from: what may be written, and what the countries make of it."""

import pytest

from portal.core.senders import check_sender, is_number, read_sender, what_to_type


@pytest.mark.parametrize(
    ("typed", "country", "sender"),
    [
        ("Riverside", "AU", "Riverside"),
        ("River Side 1", "AU", None),  # 12 characters
        ("River Side", "AU", "River Side"),
        ("Rivière", "FR", None),
        ("123", "AU", None),
        ("0491 570 006", "AU", "+61491570006"),
        ("+1 202 555 0123", "US", "+12025550123"),
        ("+61 491 570 006", "US", "+61491570006"),
        ("", "AU", None),
        ("<b>", "AU", None),
    ],
)
def test_a_sender_is_a_short_name_or_a_number(typed: str, country: str, sender: str | None) -> None:
    if sender is None:
        with pytest.raises(ValueError, match="phone number"):
            read_sender(typed, country)
    else:
        assert read_sender(typed, country) == sender
        assert is_number(sender) is sender.startswith("+")


@pytest.mark.parametrize("country", ["US", "CA"])
def test_a_name_is_refused_where_no_names_are_taken_and_says_what_would_do(country: str) -> None:
    check = check_sender("Riverside", country, {country})
    assert "takes no texts from a name. Use a number" in check.refused
    assert check_sender("+12025550123", country, {country}).refused == ""


@pytest.mark.parametrize(
    ("sender", "countries", "says"),
    [
        ("Riverside", {"GB"}, []),
        ("River Side", {"GB"}, ["a name with a space"]),
        ("Riverside", {"GB", "US"}, ["numbers of the United States will fail"]),
        ("Riverside", {"GB", "NZ"}, ["of New Zealand put a number of their own"]),
        ("Riverside", {"GB", "AU", "IE"}, ["In Australia and Ireland a name must be registered"]),
    ],
)
def test_what_to_know_of_a_name(sender: str, countries: set[str], says: list[str]) -> None:
    check = check_sender(sender, "GB", countries)
    assert check.refused == ""
    assert check.warnings[0].startswith("Nobody can reply to a name")
    assert len(check.warnings) == 1 + len(says)
    for part, warning in zip(says, check.warnings[1:], strict=True):
        assert part in warning


@pytest.mark.parametrize(
    ("sender", "country", "countries", "is_if"),
    [
        ("Riverside", "GB", {"GB"}, False),
        ("Riverside", "SG", {"SG"}, True),
        ("Riverside", "IN", {"IN"}, True),
        ("Riverside", "GB", {"GB", "AU"}, True),
        ("+61491570006", "AU", {"AU"}, False),
        ("Riverside", "US", {"US"}, False),
    ],
)
def test_a_name_is_allowed_only_if_registered_where_a_register_is_kept(
    sender: str, country: str, countries: set[str], is_if: bool
) -> None:
    assert check_sender(sender, country, countries).if_registered is is_if


def test_what_to_type_says_what_the_country_asks_for() -> None:
    label, hint = what_to_type("US")
    assert label == "A number"
    assert "a number that your provider has registered for texts in the United States" in hint
    assert "Names are not taken there." in hint
    assert "a name" in what_to_type("GB")[0]
    assert "must first be registered for Singapore" in what_to_type("SG")[1]
    with pytest.raises(ValueError, match=r"like \+12025550123\.$"):
        read_sender("Rivi\u00e8re", "US")


def test_a_number_of_another_country_is_warned_of() -> None:
    assert check_sender("+61491570006", "AU", {"AU"}).warnings == ()
    (warning,) = check_sender("+12025550123", "AU", {"AU"}).warnings
    assert "a number of the United States" in warning
