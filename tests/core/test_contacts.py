"""What is said of a number while it is typed, whose wish a preference is, and the record of changes in words."""

from datetime import date

import pytest

from portal.core import contacts
from portal.core.contacts import NumberCheck, change_in_words, check_number, turns_against
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference

AU = frozenset({"AU"})


@pytest.mark.parametrize(
    ("type_", "typed", "expected"),
    [
        (PhoneType.MOBILE, "+61 491 570 156", NumberCheck("0491 570 156 can be texted.", True)),
        (PhoneType.MOBILE, "  ", NumberCheck("", False, may_be_saved=False)),
        (
            PhoneType.MOBILE,
            "02 5550 1234",
            NumberCheck("(02) 5550 1234 is a landline: file it as Home or Work.", False, may_be_saved=False),
        ),
        (
            PhoneType.MOBILE,
            "0491 570 1567",
            NumberCheck('"0491 570 1567" has a digit too many for Australia.', False, may_be_saved=False),
        ),
        (
            PhoneType.MOBILE,
            "1800 975 711",
            NumberCheck("1800 975 711 is not a mobile number.", False, may_be_saved=False),
        ),
        (
            PhoneType.WORK,
            "0491 570 156",
            NumberCheck(
                "0491 570 156 is a mobile. Filed as Work it is not texted: file it as Mobile.",
                False,
                can_be_mobile=True,
            ),
        ),
        (PhoneType.FAX, "02 5550 1234", NumberCheck("(02) 5550 1234 is a landline; it is not texted.", True)),
        (PhoneType.HOME, "5550 12", NumberCheck('"5550 12" has 3 digits too few for Australia.', False)),
        (PhoneType.HOME, "<script>", NumberCheck('"<script>" is not a phone number.', False, may_be_saved=False)),
    ],
)
def test_a_number_is_looked_at(type_: PhoneType, typed: str, expected: NumberCheck) -> None:
    assert check_number(type_, typed, "AU", AU) == expected


def test_a_mobile_of_a_country_that_is_not_texted_may_be_kept() -> None:
    check = check_number(PhoneType.MOBILE, "+64 21 123 4567", "AU", AU)
    assert check.may_be_saved
    assert check.says.endswith("and this practice sends only to Australia.")
    assert not check_number(PhoneType.HOME, "+64 21 123 4567", "AU", AU).can_be_mobile


def test_where_a_country_cannot_tell_a_number_may_be_a_mobile() -> None:
    check = check_number(PhoneType.HOME, "(212) 555-0123", "US", frozenset({"US"}))
    assert check == NumberCheck(
        "(212) 555-0123 may be a mobile. If it takes texts, file it as Mobile.", True, can_be_mobile=True
    )


@pytest.mark.parametrize(
    ("own", "new", "default", "against"),
    [
        (Preference.NONE, Preference.SMS, Preference.SMS, True),
        (Preference.NONE, Preference.EMAIL, Preference.SMS, True),
        (Preference.NONE, None, Preference.SMS, True),
        (Preference.NONE, None, Preference.NONE, False),
        (Preference.EMAIL, Preference.SMS, Preference.SMS, True),
        (Preference.EMAIL, Preference.SMS_AND_EMAIL, Preference.SMS, True),
        (Preference.EMAIL, None, Preference.EMAIL, False),
        (Preference.EMAIL, Preference.NONE, Preference.SMS, False),
        (Preference.SMS, Preference.EMAIL, Preference.SMS, False),
        (None, Preference.SMS, Preference.NONE, False),
    ],
)
def test_a_preference_turns_against_a_wish_where_it_reaches_the_patient_in_a_refused_way(
    own: Preference | None, new: Preference | None, default: Preference, against: bool
) -> None:
    assert turns_against(own, new, default) is against


@pytest.mark.parametrize(
    ("field", "before", "after", "says"),
    [
        (contacts.NUMBER, "", "Mobile 0491 570 156", "Added 0491 570 156 (Mobile)"),
        (contacts.NUMBER, "Home 1", "", "Removed 1 (Home)"),
        (contacts.NUMBER, "Home 1", "Mobile 2", "Changed 1 (Home) to 2 (Mobile)"),
        (contacts.ORDER, "Mobile 1", "Mobile 2", "Put 2 (Mobile) before 1 (Mobile)"),
        (contacts.PREFERENCE, "SMS", "None", "Preference set to None"),
        (contacts.OPT_OUT, contacts.NO_OPT_OUT, contacts.OPTED_OUT, "Opt-out recorded"),
        (contacts.OPT_OUT, contacts.OPTED_OUT, contacts.NO_OPT_OUT, "Opt-out lifted"),
        (contacts.ARCHIVED, "yes", "no", "Restored: no longer archived"),
        (contacts.ARCHIVED, "no", "yes", "Archived"),
        (
            contacts.CONSENT,
            contacts.NO_CONSENT,
            contacts.given_on(date(2031, 5, 3)),
            "Consent to marketing given on Saturday 3 May 2031",
        ),
        ("colour", "", "red", "Changed colour from nothing to red"),
    ],
)
def test_each_change_is_told_in_words(field: str, before: str, after: str, says: str) -> None:
    assert change_in_words(field, before, after) == says


def test_a_kept_number_is_read_again() -> None:
    assert contacts.parse_filed(contacts.filed(PhoneType.MOBILE, "0491 570 156")) == ("Mobile", "0491 570 156")
