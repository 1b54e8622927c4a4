"""Every reason, outcome and event has words, whatever is known and whatever people are called."""

import re
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core import wording
from portal.core.found import LABELS, found
from portal.core.numbers import PhoneNumber, PhoneType, parse_number
from portal.core.phrases import clock_time, counted, day, day_and_time, listed, moment, plain
from portal.core.reasons import DIAGNOSIS_ONLY, Reason
from portal.core.reminders import POLICY, Preference, Sending
from portal.core.states import Status
from portal.core.wording import (
    OUTCOMES,
    Changed,
    Context,
    event,
    reasons_in_short,
    recorded_reasons,
    who_changed,
    words,
)

TODAY = date(2031, 5, 7)
HOSTILE = "<script>alert(1)</script>\x1b[31m{{ 7*7 }} {0} %s \u202e\n[red]bold[/red]" + "x" * 500


wall = datetime.fromisoformat


def number(raw: str, type: PhoneType = PhoneType.MOBILE, country: str = "AU") -> PhoneNumber:
    parsed = parse_number(raw, country)
    return PhoneNumber(type, raw, parsed.e164, parsed.region, parsed.kind)


KNOWN = Context(
    today=TODAY,
    first_name="Mia",
    patient_id="1001",
    business="North Clinic",
    appointment_type="Dry needling",
    sending=Sending.PAUSED,
    sending_changed=wall("2031-05-03 09:00"),
    numbers=[number("0491570156", PhoneType.HOME)],
    country="AU",
    countries=frozenset({"AU"}),
    default_preference=Preference.SMS,
    credits_left=1,
    credits_needed=2,
)


@pytest.mark.parametrize("context", [Context(), KNOWN], ids=["nothing known", "much known"])
@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words_whatever_is_known(reason: Reason, context: Context) -> None:
    said = words(reason, context)
    assert said.heading
    assert said.says.endswith((".", '"'))
    assert "None" not in said.says or reason is Reason.NO_TEMPLATE
    assert bool(said.fix) == bool(said.place)
    assert not said.place or said.place.startswith(("/patients", "/settings/", "/communications/", "/sending"))


@pytest.mark.parametrize("reason", Reason)
def test_what_staff_can_mend_leads_to_the_place_that_mends_it(reason: Reason) -> None:
    nothing_to_mend = {Reason.APPOINTMENT_CANCELLED, Reason.PROVIDER_ACCOUNT, Reason.WITHDRAWN}
    assert bool(words(reason, KNOWN).place) == (reason not in nothing_to_mend)


@pytest.mark.parametrize("status", Status)
def test_every_outcome_has_a_word_and_a_shape(status: Status) -> None:
    outcome = OUTCOMES[status]
    assert outcome.word
    assert outcome.shape
    assert outcome.colour in ("grey", "blue", "green", "red", "amber")
    others = [(other.word, other.shape) for key, other in OUTCOMES.items() if key is not status]
    assert outcome.word not in [word for word, _ in others]


def test_every_question_of_the_policy_has_a_label_and_words_for_a_good_answer() -> None:
    for reason in [rule.reason for rule in POLICY] + [Reason.NO_CREDITS]:
        assert LABELS[reason]
        assert found(reason, KNOWN)
        assert found(reason, Context())


def test_every_event_has_words() -> None:
    for name in [*Status, "not-reached", "throttled", Reason.PROVIDER_ACCOUNT]:
        said = event(name, "")
        assert said
        assert str(name) not in said  # no code
    assert event("failed", "provider-refused;1170;No such number; try another") == (
        "Failed: The provider refused it (1170 No such number try another)"
    )
    assert event("not-sent", "no-template;prefers-none") == (
        "Not sent: This appointment type has no SMS template; The patient wants no reminders"
    )
    assert "did not answer in time" in event("unknown", "read-timeout")


def test_an_events_detail_gives_back_its_reasons() -> None:
    assert recorded_reasons("") == ()
    assert recorded_reasons("no-credits") == (Reason.NO_CREDITS,)
    assert recorded_reasons("provider-refused;1170;withdrawn") == (Reason.PROVIDER_REFUSED,)
    assert reasons_in_short(()) == ""


@pytest.mark.parametrize("reason", Reason)
@given(text=st.text(max_size=80) | st.just(HOSTILE))
def test_hostile_names_stay_one_harmless_line(reason: Reason, text: str) -> None:
    context = Context(
        today=TODAY,
        first_name=text,
        patient_id=text,
        appointment_id=text,
        business=text,
        appointment_type=text,
        template=text,
        template_problem=text,
        numbers=[number(text), number(text, PhoneType.HOME)],
        country="AU",
        countries=frozenset({"AU"}),
        provider_code=text,
        provider_title=text,
    )
    said = words(reason, context)
    for part in (said.heading, said.says, said.fix, found_or_empty(reason, context)):
        assert all(char.isprintable() or char in "\u200c\u200d" for char in part)
        assert len(part) < 700
    assert re.fullmatch(
        r"(/[a-z-]+)*|/patients/[A-Za-z0-9._~%-]+(/text(\?appointment=[A-Za-z0-9._~%-]+)?)?", said.place
    )


def found_or_empty(reason: Reason, context: Context) -> str:
    return found(reason, context) if reason in LABELS else ""


@pytest.mark.parametrize(
    ("numbers", "says", "fix"),
    [
        ([], "Mia has no phone number.", "Add a mobile"),
        ([number("02 5550 1234", PhoneType.HOME)], "Mia has (02) 5550 1234 (Home).", "Add a mobile"),
        (
            [number("02 5550 1234", PhoneType.HOME), number("0491570156", PhoneType.WORK)],
            "Mia has 0491 570 156, filed as Work: it is a mobile.",
            "File it as Mobile",
        ),
        ([number("ask Dad", PhoneType.OTHER)], 'Mia has "ask Dad" (Other).', "Add a mobile"),
        ([number("+1 202 555 0123", PhoneType.HOME)], "Mia has +1 202-555-0123 (Home).", "Add a mobile"),
    ],
)
def test_a_missing_mobile_names_the_numbers_that_are_there(numbers: list[PhoneNumber], says: str, fix: str) -> None:
    said = words(Reason.NO_MOBILE_NUMBER, replace(KNOWN, numbers=numbers))
    assert (said.says, said.fix) == (says, fix)
    assert said.place == "/patients/1001"


def test_what_another_system_has_reminded_says_who_left_it_out_and_up_to_when() -> None:
    changed = {Reason.REMINDED_ELSEWHERE: Changed("Dana", wall("2031-05-07 10:00"))}
    said = words(Reason.REMINDED_ELSEWHERE, replace(KNOWN, left_out_until=date(2031, 5, 9), changes=changed))
    assert said.heading == "Another system has reminded Mia"
    assert said.says == "Dana left out appointments up to Friday 9 May when going live."
    assert (said.fix, said.place) == ("Text Mia now", "/patients/1001/text")
    unknown = words(Reason.REMINDED_ELSEWHERE, Context())
    assert unknown.heading == "Another system has reminded the patient"
    assert unknown.says == "The practice left out appointments when going live."


@pytest.mark.parametrize(
    ("reason", "known", "says"),
    [
        (Reason.SENDING_OFF, {}, 'Paused by Dana on Saturday 3 May: "asked for it".'),
        (Reason.BUSINESS_REMINDERS_OFF, {}, 'Switched off by Dana on Saturday 3 May: "asked for it".'),
        (Reason.NO_TEMPLATE, {}, 'Set by Dana on Saturday 3 May: "asked for it".'),
        (
            Reason.PREFERS_EMAIL,
            {"preference": Preference.EMAIL},
            'Mia\'s own preference is Email. Set by Dana on Saturday 3 May: "asked for it".',
        ),
        (Reason.PREFERS_NONE, {"preference": Preference.NONE}, 'Set by Dana on Saturday 3 May: "asked for it".'),
        (Reason.OPTED_OUT, {"opt_out": "staff"}, 'Recorded by Dana on Saturday 3 May: "asked for it".'),
        (Reason.PATIENT_ARCHIVED, {}, 'Archived by Dana on Saturday 3 May: "asked for it".'),
    ],
)
def test_who_set_it_when_and_why_is_said(reason: Reason, known: dict[str, Any], says: str) -> None:
    changed = Changed("Dana", wall("2031-05-03 09:00"), "asked for it")
    assert words(reason, replace(KNOWN, changes={reason: changed}, **known)).says.endswith(says)
    assert "Dana" not in words(reason, replace(KNOWN, **known)).says
    hostile = Changed(HOSTILE, wall("2031-05-03 09:00"), HOSTILE)
    said = words(reason, replace(KNOWN, changes={reason: hostile}, **known)).says
    assert said.isprintable() and len(said) < 700
    assert (
        who_changed(reason, replace(KNOWN, changes={reason: changed})) == "Changed by Dana on Saturday 3 May at 9am."
    )


def test_an_american_number_is_not_called_a_mobile_for_sure() -> None:
    context = replace(
        KNOWN,
        numbers=[number("202-555-0123", PhoneType.HOME, "US")],
        country="US",
        countries=frozenset({"US"}),
    )
    assert words(Reason.NO_MOBILE_NUMBER, context).says == (
        "Mia has (202) 555-0123, filed as Home: it may be a mobile."
    )


def test_the_words_say_what_happened_to_whom_and_when() -> None:
    assert words(Reason.SENDING_OFF, KNOWN).says == "Paused on Saturday 3 May."
    assert words(Reason.INVALID_MOBILE_NUMBER, replace(KNOWN, numbers=[number("0491 570 15")])).says == (
        '"0491 570 15" has a digit too few for Australia.'
    )
    assert words(Reason.PREFERS_EMAIL, replace(KNOWN, preference=Preference.EMAIL)).says == (
        "Mia's own preference is Email."
    )
    assert "the practice's default is None" in (
        words(Reason.PREFERS_NONE, replace(KNOWN, default_preference=Preference.NONE)).says
    )
    by_reply = replace(KNOWN, opt_out="reply", opt_out_number="+61491570156", opted_out=wall("2031-05-03 10:04"))
    assert words(Reason.OPTED_OUT, replace(by_reply, sender="+61480000000")).says == (
        "0491 570 156 replied STOP to this practice on Saturday 3 May at 10:04am. "
        "Only whoever has that phone can undo it, by texting START to +61480000000."
    )
    assert "START" not in words(Reason.OPTED_OUT, replace(by_reply, sender="Clinic")).says
    assert words(Reason.NO_CREDITS, replace(KNOWN, last_chance=wall("2031-05-07 15:00"))).says == (
        "This message needs 2 credits; 1 is left. Topped up before 3pm today it still goes."
    )
    late = replace(KNOWN, booked=wall("2031-05-06 16:20"), last_pass=wall("2031-05-06 15:00"))
    assert words(Reason.BOOKED_TOO_LATE, late).says == (
        "Booked yesterday at 4:20pm; the last ones ran yesterday at 3pm."
    )
    unwatched = replace(KNOWN, passes_begin=wall("2031-05-06 10:00"), passes_end=wall("2031-05-06 16:00"))
    assert words(Reason.NO_PASS_RAN, unwatched).says == (
        "Nothing ran between 10am and 4pm yesterday. Your administrator sees this as an alarm."
    )
    moved = replace(KNOWN, moved_to=wall("2031-05-09 09:30"), newer_message=42)
    assert words(Reason.WITHDRAWN, moved).says == "The appointment was moved to Friday 9 May 9:30am."
    assert words(Reason.WITHDRAWN, moved).place == "/communications/42"
    refused = replace(KNOWN, provider_code="1150", provider_title="Invalid params")
    assert words(Reason.PROVIDER_REFUSED, refused).says == '"Invalid params" (code 1150)'
    assert words(Reason.PROVIDER_REFUSED, replace(KNOWN, provider_code="1170")).says == "No such number."
    assert words(Reason.PROVIDER_REFUSED, replace(KNOWN, provider_code="sender")).place == "/settings/sms"


def test_a_draft_that_cannot_be_used_is_named_with_its_fault() -> None:
    said = words(
        Reason.NO_TEMPLATE,
        replace(KNOWN, template="Follow-up", template_problem="{{Patient.Name}} is not a placeholder."),
    )
    assert '"Follow-up"' in said.says
    assert "{{Patient.Name}} is not a placeholder." in said.says
    assert said.place == "/settings/templates"


def test_times_and_lists_read_as_people_say_them() -> None:
    assert clock_time(wall("2031-05-07 00:00")) == "12am"
    assert clock_time(wall("2031-05-07 12:05")) == "12:05pm"
    assert day(date(2031, 5, 8), TODAY) == "tomorrow"
    assert day(date(2031, 5, 9), TODAY) == "Friday 9 May"
    assert day(date(2032, 1, 1), TODAY) == "Thursday 1 January 2032"
    assert moment(wall("2031-05-07 11:00"), TODAY) == "today at 11am"
    assert moment(wall("2031-05-03 10:04"), TODAY) == "on Saturday 3 May at 10:04am"
    assert day_and_time(wall("2031-05-08 09:30"), TODAY) == "tomorrow, 9:30am"
    assert [counted(n, "credit") for n in (1, 2, 1200)] == ["1 credit", "2 credits", "1,200 credits"]
    assert [listed(list(names)) for names in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
    assert plain("a\n\tb\x1b[31m") == "a b [31m"


def test_the_reasons_of_the_diagnosis_alone_have_no_check() -> None:
    assert not DIAGNOSIS_ONLY & LABELS.keys()


@pytest.mark.parametrize("name", ["not-reached", "unknown"])
def test_every_code_of_the_gateway_has_words(name: str) -> None:
    source = (Path(wording.__file__).parents[1] / "sms" / "answers.py").read_text()
    codes = set(re.findall(r'(?:NotReached|InDoubt)\("([a-z-]+)"\)', source))
    assert len(codes) >= 8
    for code in codes:
        assert f"answered with {code}" not in event(name, code), code
