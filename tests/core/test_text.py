import csv
from datetime import datetime
from pathlib import Path

import pytest
import smsutil
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.core.text import (
    PLACEHOLDERS,
    Details,
    TemplateError,
    compile_template,
    count_parts,
    measure,
    values,
)
from portal.core.timing import local, parse_time

PRACTICES = Path(__file__).parents[1] / "practices"

GSM_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = "\f^{}\\[~]|€"

a_while = settings(deadline=None, max_examples=300)


def details(**changes: object) -> Details:
    standard: dict[str, object] = {
        "patient_first_name": "Mia",
        "patient_last_name": "Nguyen",
        "practitioner_title": "Dr",
        "practitioner_first_name": "Helen",
        "practitioner_last_name": "Marsh",
        "business_name": "North Clinic",
        "business_contact_number": "(02) 5550 1033",
        "appointment_type_name": "Initial consultation",
        "starts_local": datetime.fromisoformat("2031-05-08T09:30"),
        "ends_local": datetime.fromisoformat("2031-05-08T12:00"),
        "country": "AU",
    }
    return Details(**(standard | changes))  # type: ignore[arg-type]


def filled(body: str, **changes: object) -> str:
    return compile_template(body).fill(values(details(**changes)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Patient.FirstName", "Mia"),
        ("Patient.LastName", "Nguyen"),
        ("Patient.FullName", "Mia Nguyen"),
        ("Practitioner.FullName", "Helen Marsh"),
        ("Practitioner.FullNameWithTitle", "Dr Helen Marsh"),
        ("Business.Name", "North Clinic"),
        ("Business.ContactNumber", "(02) 5550 1033"),
        ("AppointmentType.Name", "Initial consultation"),
        ("Appointment.Date", "Thursday 8 May 2031"),
        ("Appointment.DateShort", "08/05/2031"),
        ("Appointment.StartTime", "9:30am"),
        ("Appointment.EndTime", "12:00pm"),
    ],
)
def test_placeholder_says_what_clinics_expect(name: str, text: str) -> None:
    assert filled(f"<{{{{{name}}}}}>") == f"<{text}>"
    assert values(details())[name] == text
    assert name in PLACEHOLDERS


def test_every_placeholder_has_a_value() -> None:
    assert list(values(details())) == list(PLACEHOLDERS)
    assert len(PLACEHOLDERS) == len(values(details())) == 12


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ("00:00", "12:00am"),
        ("00:05", "12:05am"),
        ("09:00", "9:00am"),
        ("11:59", "11:59am"),
        ("12:00", "12:00pm"),
        ("13:15", "1:15pm"),
        ("23:45", "11:45pm"),
    ],
)
def test_times_are_written_by_the_twelve_hour_clock(time: str, text: str) -> None:
    starts = datetime.fromisoformat(f"2031-05-08T{time}")
    assert filled("{{Appointment.StartTime}}", starts_local=starts) == text


@pytest.mark.parametrize(
    ("country", "text"),
    [("US", "05/08/2031"), ("AU", "08/05/2031"), ("CA", "08/05/2031"), ("GB", "08/05/2031")],
)
def test_short_date_puts_the_month_first_in_the_united_states_only(country: str, text: str) -> None:
    assert filled("{{Appointment.DateShort}}", country=country) == text


def test_long_date_is_the_same_in_every_country() -> None:
    assert filled("{{Appointment.Date}}", country="US") == "Thursday 8 May 2031"


def test_every_month_and_day_has_its_english_name() -> None:
    def written(day: str) -> str:
        return filled("{{Appointment.Date}}", starts_local=datetime.fromisoformat(day))

    months = " ".join(written(f"2031-{month:02}-01").split()[2] for month in range(1, 13))
    days = " ".join(written(f"2031-09-{day:02}").split()[0] for day in range(1, 8))
    assert months == ("January February March April May June July August September October November December")
    assert days == "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"practitioner_title": ""}, "Helen Marsh"),
        ({"practitioner_first_name": ""}, "Dr Marsh"),
        ({"practitioner_last_name": " "}, "Dr Helen"),
        ({"practitioner_first_name": " Helen "}, "Dr Helen Marsh"),
        ({"practitioner_title": "", "practitioner_first_name": "", "practitioner_last_name": ""}, ""),
    ],
)
def test_empty_name_parts_leave_no_space(parts: dict[str, str], text: str) -> None:
    assert filled("{{Practitioner.FullNameWithTitle}}", **parts) == text


@pytest.mark.parametrize("inside", ["Patient.FirstName", " Patient.FirstName ", "\u00a0Patient.FirstName\n"])
def test_spaces_inside_the_braces_are_allowed(inside: str) -> None:
    assert filled(f"Hi {{{{{inside}}}}}!") == "Hi Mia!"


@pytest.mark.parametrize(
    ("body", "unknown"),
    [
        ("{{ 7*7 }}", ("7*7",)),
        ("{{Patient.firstname}}", ("Patient.firstname",)),
        ("{{Patient.FirstName.__class__}}", ("Patient.FirstName.__class__",)),
        ("{{Patient.FirstName|safe}}", ("Patient.FirstName|safe",)),
        ("{{}}", ("",)),
        ("{{{Patient.FirstName}}}", ("{Patient.FirstName",)),
        ("{{ {{Patient.FirstName}} }}", ("",)),
        ("Hi {{Patient.FirstName", ("Patient.FirstName",)),
        ("Hi {{Patient.FirstName} at {{Business.Name}}", ("Patient.FirstName} at",)),
        ("{{one}} {{Business.Name}} {{two}} {{one}}", ("one", "two")),
        ("{{" + "z" * 500 + "}}", ("z" * 60,)),
        ("{{a\x1b[31m\nb}}", ("a [31m b",)),
    ],
)
def test_template_with_a_faulty_placeholder_cannot_be_used(body: str, unknown: tuple[str, ...]) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(body)
    assert caught.value.unknown == unknown


def test_unknown_placeholder_is_told_with_the_nearest_known_one() -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template("Hi {{Patient.firstname}}")
    assert str(caught.value) == ("{{Patient.firstname}} is not a placeholder: did you mean {{Patient.FirstName}}?")


def test_placeholder_like_no_other_is_told_with_all_of_them() -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template("{{ 7*7 }} {{x}}")
    assert all(name in str(caught.value) for name in ("{{7*7}}", *PLACEHOLDERS, "1 more"))


def test_placeholder_that_is_not_closed_is_told_as_such() -> None:
    with pytest.raises(TemplateError, match=r"{{Patient.FirstName\" is not closed with }}"):
        compile_template("Hi {{Patient.FirstName")


def test_single_braces_and_stray_closing_braces_are_text() -> None:
    assert filled("{0} {Patient.FirstName} }} %s {{Patient.FirstName}}") == ("{0} {Patient.FirstName} }} %s Mia")


def test_template_knows_its_placeholders() -> None:
    template = compile_template("{{Business.Name}}: {{ Business.Name }}, {{Patient.FirstName}}")
    assert template.placeholders == {"Business.Name", "Patient.FirstName"}
    assert compile_template("No names").placeholders == frozenset()


def test_values_are_looked_up_for_the_placeholders_in_use_only() -> None:
    assert compile_template("Hi {{Patient.FirstName}}").fill({"Patient.FirstName": "Mia"}) == "Hi Mia"


# Pieces that mean something to template engines, formatters, shells, terminals or phones.
HOSTILE = (
    *("{{", "}}", "{", "}", "{0}", "%s", "%(a)s", "{%", "%}", "\\", "$(id)", "\x00", "\x1b", "\u202e", "😀"),
    *("Patient.FirstName", "{{Business.Name}}", "{{ 7*7 }}", "__class__", " ", "\n", "<b>"),
)
hostile = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=5)).map("".join)


@a_while
@given(hostile, hostile)
def test_value_is_text_whatever_it_holds(name: str, business: str) -> None:
    text = filled("a{{Patient.FirstName}}b{{Business.Name}}c", patient_first_name=name, business_name=business)
    assert text == f"a{name}b{business}c"


@a_while
@given(st.lists(st.tuples(hostile.map(lambda text: text.replace("{", "(")), st.sampled_from(PLACEHOLDERS))))
def test_literal_text_is_text_whatever_it_holds(pieces: list[tuple[str, str]]) -> None:
    body = "".join(f"{literal}{{{{{name}}}}}" for literal, name in pieces)
    names = {name: f"«{name}»" for name in PLACEHOLDERS}
    assert compile_template(body).fill(names) == "".join(f"{literal}«{name}»" for literal, name in pieces)


@a_while
@given(hostile)
def test_template_without_placeholders_is_refused_or_stays_as_it_is(body: str) -> None:
    try:
        template = compile_template(body)
    except TemplateError:
        assert "{{" in body
    else:
        assert bool(template.placeholders) == ("{{" in body)
        assert template.placeholders or template.fill({}) == body


def test_huge_hostile_template_is_refused_in_linear_work() -> None:
    # Quadratic work here would take an hour.
    many = "".join(f"{{{{placeholder{i}}}}}" for i in range(200_000))
    for body in ("{{" * 500_000, "{{a" * 500_000 + "}}", many):
        with pytest.raises(TemplateError):
            compile_template(body)


def rows(practice: str, name: str) -> list[dict[str, str]]:
    with (PRACTICES / practice / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("practice", "country"), [("riverside", "AU"), ("northgate", "US")])
def test_practice_texts_and_their_parts_come_out_exactly(practice: str, country: str) -> None:
    appointments, patients, businesses, practitioners, types, templates = (
        {row["id"]: row for row in rows(practice, f"{name}.csv")}
        for name in (
            *("appointments", "patients", "businesses"),
            *("practitioners", "appointment_types", "sms_templates"),
        )
    )
    texts = [row for row in rows(practice, "expected.csv") if row["body"]]
    assert len(texts) > 70
    for row in texts:
        appointment = appointments[row["appointment_id"]]
        patient = patients[appointment["patient_id"]]
        business = businesses[appointment["business_id"]]
        practitioner = practitioners[appointment["practitioner_id"]]
        kind = types[appointment["appointment_type_id"]]
        zone = business["timezone"]
        text = compile_template(templates[kind["reminder_template"]]["body"]).fill(
            values(
                Details(
                    patient_first_name=patient["first_name"],
                    patient_last_name=patient["last_name"],
                    practitioner_title=practitioner["title"],
                    practitioner_first_name=practitioner["first_name"],
                    practitioner_last_name=practitioner["last_name"],
                    business_name=business["name"],
                    business_contact_number=business["contact_number"],
                    appointment_type_name=kind["name"],
                    starts_local=local(parse_time(appointment["starts_at"], zone), zone),
                    ends_local=local(parse_time(appointment["ends_at"], zone), zone),
                    country=country,
                )
            )
        )
        assert text == row["body"]
        assert count_parts(text) == int(row["segments"])


@pytest.mark.parametrize(
    ("text", "parts", "encoding", "units", "dearest"),
    [
        ("", 1, "GSM-7", 0, None),
        ("a" * 160, 1, "GSM-7", 160, None),
        ("a" * 161, 2, "GSM-7", 161, None),
        ("a" * 306, 2, "GSM-7", 306, None),
        ("a" * 307, 3, "GSM-7", 307, None),
        ("€" * 80, 1, "GSM-7", 160, None),
        ("a" * 159 + "€", 2, "GSM-7", 161, None),
        # A pair at the end of a part moves on whole, so 306 septets no longer fit into two.
        ("a" * 152 + "€" + "a" * 152, 3, "GSM-7", 306, None),
        ("a" * 151 + "€" + "a" * 153, 2, "GSM-7", 306, None),
        ("Ç", 1, "GSM-7", 1, None),
        ("François", 1, "UCS-2", 8, "ç"),
        ("It’s Zoë", 1, "UCS-2", 8, "’"),
        ("ë" * 70, 1, "UCS-2", 70, "ë"),
        ("ë" * 71, 2, "UCS-2", 71, "ë"),
        ("ë" * 134, 2, "UCS-2", 134, "ë"),
        ("ë" * 135, 3, "UCS-2", 135, "ë"),
        ("😀" * 35, 1, "UCS-2", 70, "😀"),
        ("a" * 66 + "😀" + "a" * 66, 3, "UCS-2", 134, "😀"),
        ("a" * 65 + "😀" + "a" * 67, 2, "UCS-2", 134, "😀"),
        ("€€ë", 1, "UCS-2", 3, "ë"),
        ("a\x1bb", 1, "UCS-2", 3, "\x1b"),
        ("a\u00a0b", 1, "UCS-2", 3, "\u00a0"),
        ("a\tb", 1, "UCS-2", 3, "\t"),
    ],
)
def test_parts_of_known_texts(text: str, parts: int, encoding: str, units: int, dearest: str | None) -> None:
    assert measure(text)[:4] == (parts, encoding, units, dearest)
    assert count_parts(text) == parts


@a_while
@given(st.text(st.sampled_from("aë€😀\n"), max_size=400), st.sampled_from(["a", "ë"]))
def test_what_is_left_in_a_part_is_what_fits(text: str, letter: str) -> None:
    measured = measure(text)
    if letter == "ë" and measured.encoding == "GSM-7":
        return  # it would be counted otherwise
    assert count_parts(text + letter * measured.left) == measured.parts
    assert count_parts(text + letter * (measured.left + 1)) == measured.parts + 1


def test_gsm_alphabet_is_the_whole_of_gsm_03_38() -> None:
    for code in range(0x110000):
        char = chr(code)
        if char in GSM_BASIC:
            assert measure(char) == (1, "GSM-7", 1, None, 159)
        elif char in GSM_EXTENSION:
            assert measure(char) == (1, "GSM-7", 2, None, 158)
        elif code < 0x3000 or code % 97 == 0:
            units = 2 if code > 0xFFFF else 1
            assert measure(char) == (1, "UCS-2", units, char, 70 - units)


def assert_counted_as_smsutil_does(text: str) -> None:
    reference = smsutil.split(text)
    measured = measure(text)
    assert count_parts(text) == measured.parts == len(reference.parts)
    assert (measured.encoding == "GSM-7") == (reference.encoding == "gsm0338" or not text)


def near_boundaries(alphabet: str) -> st.SearchStrategy[str]:
    """A run of cheap letters up to around a boundary, then a mixture, several times over."""
    run = st.sampled_from([60, 64, 65, 66, 67, 68, 69, 70, 130, 150, 151, 152, 153, 154, 158, 159, 160])
    mixture = st.text(st.sampled_from(alphabet), max_size=12)
    return st.lists(st.tuples(run, mixture), max_size=6).map(
        lambda parts: "".join("a" * length + mixed for length, mixed in parts)
    )


@a_while
@given(near_boundaries("ab" + GSM_EXTENSION))
def test_escape_pairs_around_boundaries_are_counted_as_smsutil_does(text: str) -> None:
    assert measure(text).encoding == "GSM-7"
    assert_counted_as_smsutil_does(text)


@a_while
@given(near_boundaries("abë😀𝒳€"))
def test_surrogate_pairs_around_boundaries_are_counted_as_smsutil_does(text: str) -> None:
    assert_counted_as_smsutil_does(text)


@a_while
@given(st.text(st.sampled_from(GSM_BASIC + GSM_EXTENSION), max_size=700))
def test_gsm_texts_are_counted_as_smsutil_does(text: str) -> None:
    assert_counted_as_smsutil_does(text)


@a_while
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1b"), max_size=300))
def test_any_text_is_counted_as_smsutil_does(text: str) -> None:
    assert_counted_as_smsutil_does(text)


@a_while
@given(st.text(st.characters(), max_size=200))
def test_dearest_character_is_the_first_that_gsm_lacks(text: str) -> None:
    outside = [char for char in text if char not in GSM_BASIC + GSM_EXTENSION]
    assert measure(text).dearest == (outside[0] if outside else None)
