import csv
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.core.numbers import (
    LineKind,
    ParsedNumber,
    PhoneNumber,
    PhoneType,
    as_people_say,
    country_name,
    list_countries,
    number_to_text,
    parse_number,
    parse_phone_type,
    why_not_textable,
)

PRACTICES = Path(__file__).parents[1] / "practices"
COUNTRIES = ("AU", "US", "CA", "GB", "NZ", "IE", "ZA", "SG", "DE", "IT", "FR", "IN")

a_while = settings(deadline=None, max_examples=200)


def filed(phone_type: str, raw: str, country: str = "AU") -> PhoneNumber:
    parsed = parse_number(raw, country)
    return PhoneNumber(parse_phone_type(phone_type), raw, parsed.e164, parsed.region, parsed.kind)


@pytest.mark.parametrize("text", ["Mobile", "MOBILE", "mobile", " moBile ", "\u00a0Mobile\u00a0"])
def test_type_is_known_in_any_letter_case(text: str) -> None:
    assert parse_phone_type(text) is PhoneType.MOBILE


@pytest.mark.parametrize("phone_type", PhoneType)
def test_every_type_is_known_by_its_name(phone_type: PhoneType) -> None:
    assert parse_phone_type(phone_type.upper()) is phone_type


@pytest.mark.parametrize("text", ["", "Cell", "Mobil", "Mobile 2", "M"])
def test_unknown_type_is_refused_with_those_that_can_be_used(text: str) -> None:
    with pytest.raises(ValueError, match="use Mobile, Home, Work, Fax, Other"):
        parse_phone_type(text)


@pytest.mark.parametrize(
    "raw",
    [
        "0491570156",
        "0491 570 156",
        "  0491570156 ",
        "0491\u00a0570\u00a0156",
        "0491\t570\t156",
        "0491\u2011570\u2011156",
        "(0491) 570-156",
        "0491.570.156",
        "0491/570/156",
        "04 91 57 01 56",
        "491570156",
        "+61491570156",
        "+61 491 570 156",
        "+61 (0)491 570 156",
        "+61 0491 570 156",
        "(+61) 491 570 156",
        "+ 61 491 570 156",
        "\u202a+61 491 570 156\u202c",
        "61491570156",
        "0061 491 570 156",
        "0011 61 491 570 156",
        "tel:+61-491-570-156",
        "０４９１５７０１５６",
        "＋６１ ４９１ ５７０ １５６",
        "٠٤٩١٥٧٠١٥٦",
        "0491 570 156 (wife)",
        "(wife) 0491 570 156",
        "wife: 0491 570 156",
        "0491 570 156 - daughter (Anne)",
        "0491 570 156 (after 5pm)",
        "0491 570 156 (母)",
        "Mob. 0491 570 156",
        "0491 570 156 ext 5",
        "0491 570 156;ext=5",
        "0491 570 156 x5",
    ],
)
def test_mobile_is_understood_as_staff_type_it(raw: str) -> None:
    parsed = parse_number(raw, "AU")
    assert parsed == ParsedNumber("+61491570156", "AU", LineKind.MOBILE)
    assert parsed.can_text


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "+",
        "()",
        "ask daughter",
        "none",
        "04",
        "12345",
        "0000000000",
        "+999 123 456 789",
        "0491 570 15",
        "0491 570 1566",
        "+0491 570 156",
        # Letters on a keypad would make these numbers of somebody else.
        "0491 CALL ME",
        "0491-CALL-ME",
        "0491 57O 156",
        "0491 570 or 156",
        "O491 570 156",
        "0491 570 156O",
        "491 570 15six",
        "1800 FLOWERS",
        "0491 570 15²",
        # More than one number, or more than a number.
        "0491 570 156 / 0491 570 110",
        "0491 570 156 or 0491 570 110",
        "(0491 570 156 wife)",
        "4.91570156E+8",
        "mia@example.org",
        "0491 570 156 " + "x" * 5000,
        "0491570156" * 500,
    ],
)
def test_what_is_no_single_number_cannot_be_texted(raw: str) -> None:
    parsed = parse_number(raw, "AU")
    assert parsed == ParsedNumber(None, None, LineKind.NOT_A_NUMBER)
    assert not parsed.can_text


@pytest.mark.parametrize(
    ("raw", "country", "expected"),
    [
        ("(02) 5550 1234", "AU", ParsedNumber("+61255501234", "AU", LineKind.FIXED_LINE)),
        ("1300 123 456", "AU", ParsedNumber("+611300123456", "AU", LineKind.OTHER)),
        ("1800 123 456", "AU", ParsedNumber("+611800123456", "AU", LineKind.OTHER)),
        ("+800 1234 5678", "AU", ParsedNumber("+80012345678", "001", LineKind.OTHER)),
        ("+64 21 123 4567", "AU", ParsedNumber("+64211234567", "NZ", LineKind.MOBILE)),
        ("＋64 21 123 4567", "AU", ParsedNumber("+64211234567", "NZ", LineKind.MOBILE)),
        ("2025 550 142", "US", ParsedNumber("+12025550142", "US", LineKind.FIXED_LINE_OR_MOBILE)),
        ("1 (202) 555-0142", "US", ParsedNumber("+12025550142", "US", LineKind.FIXED_LINE_OR_MOBILE)),
        ("011 61 491 570 156", "US", ParsedNumber("+61491570156", "AU", LineKind.MOBILE)),
        ("(506) 234-5678", "US", ParsedNumber("+15062345678", "CA", LineKind.FIXED_LINE_OR_MOBILE)),
        ("07400 123456", "GB", ParsedNumber("+447400123456", "GB", LineKind.MOBILE)),
        ("07781 123456", "GB", ParsedNumber("+447781123456", "GG", LineKind.MOBILE)),
        ("07797 712345", "GB", ParsedNumber("+447797712345", "JE", LineKind.MOBILE)),
        ("07624 123456", "GB", ParsedNumber("+447624123456", "IM", LineKind.MOBILE)),
        # Set aside for fiction; the phone library does not take it.
        ("07700 900123", "GB", ParsedNumber(None, None, LineKind.NOT_A_NUMBER)),
    ],
)
def test_number_has_the_region_and_kind_of_the_phone_library(raw: str, country: str, expected: ParsedNumber) -> None:
    assert parse_number(raw, country) == expected


@pytest.mark.parametrize("country", ["ZZ", "", "au", "England"])
def test_country_that_is_none_leaves_international_numbers_only(country: str) -> None:
    assert parse_number("+61 491 570 156", country).e164 == "+61491570156"
    assert parse_number("0491 570 156", country).e164 is None


@a_while
@given(st.text() | st.text(st.sampled_from("0123456789+() -./x#;=eExt²\u00a0\u0660母wife"), max_size=40))
def test_any_text_is_parsed_and_explained(raw: str) -> None:
    for country in ("AU", "US", "ZZ"):
        parsed = parse_number(raw, country)
        assert (parsed.e164 is None) == (parsed.region is None) == (parsed.kind is LineKind.NOT_A_NUMBER)
        clause = why_not_textable(raw, country, {country})
        assert clause
        assert "\n" not in clause
        assert len(clause) < 200


# Real numbers of every kind, as their country prints them and as the world does.
examples = st.builds(
    phonenumbers.example_number_for_type,
    st.sampled_from(COUNTRIES),
    st.sampled_from(
        [
            phonenumbers.PhoneNumberType.MOBILE,
            phonenumbers.PhoneNumberType.FIXED_LINE,
            phonenumbers.PhoneNumberType.TOLL_FREE,
        ]
    ),
).filter(lambda number: number is not None)


@a_while
@given(
    examples,
    st.sampled_from(["{}", " {} ", "{} (wife)", "home: {}", "\u00a0{}\u00a0", "{} ext 12", "\u202a{}\u202c"]),
    st.sampled_from([" ", "\u00a0", ".", "-", "", " - ", "\u2009"]),
    st.sampled_from(
        [
            phonenumbers.PhoneNumberFormat.NATIONAL,
            phonenumbers.PhoneNumberFormat.INTERNATIONAL,
            phonenumbers.PhoneNumberFormat.E164,
        ]
    ),
)
def test_dressing_does_not_change_the_number(
    number: phonenumbers.PhoneNumber, dress: str, gap: str, number_format: int
) -> None:
    country = phonenumbers.region_code_for_number(number)
    raw = dress.format(phonenumbers.format_number(number, number_format).replace(" ", gap))
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    assert parse_number(raw, country) == parse_number(e164, "ZZ")
    assert parse_number(raw, country).e164 == e164


@a_while
@given(st.from_regex(r"\+?[0-9]{1,16}", fullmatch=True), st.sampled_from(COUNTRIES))
def test_bare_digits_mean_what_the_phone_library_says(digits: str, country: str) -> None:
    parsed = parse_number(digits, country)
    try:
        number = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        number = phonenumbers.PhoneNumber()
    if phonenumbers.is_valid_number(number):
        assert parsed.e164 == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        assert parsed.region == phonenumbers.region_code_for_number(number)
        assert parsed.can_text == (
            phonenumbers.number_type(number)
            in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
        )
    elif not digits.startswith("00"):
        assert parsed.kind is LineKind.NOT_A_NUMBER


@a_while
@given(examples.map(lambda n: phonenumbers.format_number(n, phonenumbers.PhoneNumberFormat.E164)), st.data())
def test_letter_among_the_digits_makes_it_no_number(e164: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(2, len(e164) - 1))
    letter = data.draw(st.sampled_from("OolISBxé母"))
    assert parse_number(e164[:place] + letter + e164[place + 1 :], "AU").kind is LineKind.NOT_A_NUMBER


def test_first_mobile_in_the_order_entered_is_texted() -> None:
    numbers = [
        filed("Home", "0491 570 006"),
        filed("Mobile", "(02) 5550 1234"),
        filed("Mobile", "+64 21 123 4567"),
        filed("Mobile", "ask daughter"),
        filed("Mobile", "0491 570 156"),
        filed("Mobile", "0491 570 110"),
    ]
    assert number_to_text(numbers, {"AU"}) == "+61491570156"
    assert number_to_text(numbers, {"AU", "NZ"}) == "+64211234567"
    assert number_to_text(numbers[:4], {"AU"}) is None
    assert number_to_text([], {"AU"}) is None


def test_mobile_filed_as_another_type_is_not_texted() -> None:
    for phone_type in ("Home", "Work", "Fax", "Other"):
        number = filed(phone_type, "0491 570 156")
        assert number.can_text
        assert number_to_text([number], {"AU"}) is None


def test_number_of_guernsey_is_not_one_of_britain() -> None:
    number = filed("Mobile", "07781 123456", "GB")
    assert number_to_text([number], {"GB"}) is None
    assert number_to_text([number], {"GB", "GG"}) == "+447781123456"


@pytest.mark.parametrize(
    ("raw", "country", "clause"),
    [
        ("0491 570 15", "AU", '"0491 570 15" has a digit too few for Australia'),
        ("0491 570 1", "AU", '"0491 570 1" has 2 digits too few for Australia'),
        ("0491 570 1566", "AU", '"0491 570 1566" has a digit too many for Australia'),
        ("+44 7400 12345", "AU", '"+44 7400 12345" has a digit too few for the United Kingdom'),
        ("555 0142", "US", '"555 0142" has 3 digits too few for the United States'),
        ("555 0142", "CA", '"555 0142" has 3 digits too few for Canada'),
        ("00491 570 156", "AU", '"00491 570 156" has a digit too many for Australia'),
        ("0000000000", "AU", '"0000000000" is not a number that exists in Australia'),
        ("07700 900123", "GB", '"07700 900123" is not a number that exists in the United Kingdom'),
        ("ask daughter", "AU", '"ask daughter" is not a phone number'),
        ("0491 57O 156", "AU", '"0491 57O 156" is not a phone number'),
        ("+999 123 456 789", "AU", '"+999 123 456 789" is not a phone number'),
        (
            "0491 570 156 / 0491 570 110",
            "AU",
            '"0491 570 156 / 0491 570 110" has too many digits for one phone number',
        ),
        ("02 5550 1234", "AU", "(02) 5550 1234 is a landline"),
        ("1300123456", "AU", "1300 123 456 is not a mobile number"),
        (
            "+64211234567",
            "AU",
            "+64 21 123 4567 is a number of New Zealand, and this practice sends only to Australia",
        ),
        (
            "07781 123456",
            "GB",
            "07781 123456 is a number of Guernsey, and this practice sends only to the United Kingdom",
        ),
        (
            "ask  her\n" + "daughter " * 20,
            "AU",
            '"ask her daughter daughter daughter daug…" is not a phone number',
        ),
    ],
)
def test_reception_is_told_why_a_number_cannot_be_texted(raw: str, country: str, clause: str) -> None:
    assert why_not_textable(raw, country, {country}) == clause


def test_every_country_that_a_practice_sends_to_is_named() -> None:
    clause = why_not_textable("+64 21 123 4567", "AU", ["US", "AU"])
    assert clause.endswith("this practice sends only to Australia and the United States")


def test_number_that_can_be_texted_is_said_to_be() -> None:
    assert why_not_textable("0491570156", "AU", {"AU"}) == "0491 570 156 can be texted"


@pytest.mark.parametrize(
    ("e164", "country", "text"),
    [
        ("+61491570156", "AU", "0491 570 156"),
        ("+61491570156", "US", "+61 491 570 156"),
        ("+12025550142", "US", "(202) 555-0142"),
        ("+447781123456", "GB", "07781 123456"),
        ("+61491570156", "ZZ", "+61 491 570 156"),
        ("Clinic", "AU", "Clinic"),
    ],
)
def test_numbers_are_written_as_people_say_them(e164: str, country: str, text: str) -> None:
    assert as_people_say(e164, country) == text


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("AU", "Australia"),
        ("GG", "Guernsey"),
        ("US", "the United States"),
        ("AC", "Ascension Island"),
        ("TA", "Tristan da Cunha"),
        ("XK", "Kosovo"),
        ("001", "001"),
        ("", ""),
    ],
)
def test_countries_have_their_english_names(code: str, name: str) -> None:
    assert country_name(code) == name


def test_every_country_of_the_list_has_a_name_and_stands_where_it_is_looked_for() -> None:
    names = [name for _, name in list_countries()]
    assert [name for name in names if len(name) < 4] == []
    assert names.index("Åland Islands") == names.index("Albania") - 1


def rows(practice: str, name: str) -> list[dict[str, str]]:
    with (PRACTICES / practice / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("practice", "country"), [("riverside", "AU"), ("northgate", "US")])
def test_numbers_of_the_practices_are_chosen_and_refused_as_expected(practice: str, country: str) -> None:
    numbers: dict[str, list[PhoneNumber]] = {}
    for row in rows(practice, "phone_numbers.csv"):
        numbers.setdefault(row["patient_id"], []).append(filed(row["type"], row["number"], country))
    patient_of = {row["id"]: row["patient_id"] for row in rows(practice, "appointments.csv")}
    expected = rows(practice, "expected.csv")
    assert len(expected) > 100
    for row in expected:
        own = numbers.get(patient_of[row["appointment_id"]], [])
        to = number_to_text(own, {country})
        reasons = row["reasons"].split(";")
        has_mobile = any(number.type is PhoneType.MOBILE for number in own)
        assert ("no-mobile-number" in reasons) == (not has_mobile)
        assert ("invalid-mobile-number" in reasons) == (has_mobile and to is None)
        assert not row["to"] or row["to"] == to
