"""The policy: each reason, its order, and what it leaves alone."""

from dataclasses import replace
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.numbers import PhoneNumber, PhoneType, parse_number
from portal.core.reasons import DIAGNOSIS_ONLY, Reason
from portal.core.reminders import (
    DAILY_LIMIT,
    NOT_ASKED_OF_STAFF,
    POLICY,
    Decision,
    Facts,
    Preference,
    Sending,
    decide,
)
from portal.core.states import RETRIED_BY_PASS, Status, may_change, states_before
from portal.core.text import Details, compile_template


def number(raw: str, type: PhoneType = PhoneType.MOBILE) -> PhoneNumber:
    parsed = parse_number(raw, "AU")
    return PhoneNumber(type, raw, parsed.e164, parsed.region, parsed.kind)


MOBILE = number("0491 570 156")
GOOD = Facts(
    sending=Sending.ON,
    business_reminders_on=True,
    template=compile_template("Hi {{Patient.FirstName}}"),
    numbers=(MOBILE,),
    countries=frozenset({"AU"}),
    preference=None,
    default_preference=Preference.SMS,
    patient_opted_out=False,
    opted_out_numbers=frozenset(),
    archived=False,
    details=Details(
        patient_first_name="Mia",
        patient_last_name="Nguyen",
        practitioner_title="Dr",
        practitioner_first_name="Helen",
        practitioner_last_name="Marsh",
        business_name="North Clinic",
        business_contact_number="(02) 5550 9325",
        appointment_type_name="Initial consultation",
        starts_local=datetime.fromisoformat("2031-05-08T09:30"),
        ends_local=datetime.fromisoformat("2031-05-08T10:00"),
        country="AU",
    ),
)

# What makes each reason hold, and nothing else.
BROKEN: dict[Reason, dict[str, Any]] = {
    Reason.SENDING_OFF: {"sending": Sending.REHEARSAL},
    Reason.REMINDED_ELSEWHERE: {"was_reminded_elsewhere": True},
    Reason.BUSINESS_REMINDERS_OFF: {"business_reminders_on": False},
    Reason.NO_TEMPLATE: {"template": None},
    Reason.NO_MOBILE_NUMBER: {"numbers": (number("0491 570 156", PhoneType.HOME),)},
    Reason.INVALID_MOBILE_NUMBER: {"numbers": (number("(02) 5550 9325"),)},
    Reason.NUMBER_NOT_IN_SERVICE: {"numbers": (replace(number("0491 570 156"), is_out_of_service=True),)},
    Reason.PREFERS_EMAIL: {"preference": Preference.EMAIL},
    Reason.PREFERS_NONE: {"preference": Preference.NONE},
    Reason.OPTED_OUT: {"opted_out_numbers": frozenset({"+61491570156"})},
    Reason.PATIENT_ARCHIVED: {"archived": True},
    Reason.DAILY_LIMIT: {"texts_that_day": DAILY_LIMIT},
}


def test_nothing_stands_in_the_way_of_a_good_message() -> None:
    assert decide(GOOD, 1) == Decision((), "+61491570156", "Hi Mia", 1)
    assert decide(GOOD, 1).status is Status.QUEUED


@pytest.mark.parametrize("reason", BROKEN)
def test_each_reason_holds_alone(reason: Reason) -> None:
    decision = decide(replace(GOOD, **BROKEN[reason]), 100)
    assert decision == Decision((reason,))
    assert decision.status is Status.NOT_SENT


def test_the_policy_asks_every_reason_in_the_order_of_the_rules() -> None:
    asked = [rule.reason for rule in POLICY]
    assert asked == list(BROKEN)
    in_order = [reason for reason in Reason if reason is not Reason.NO_CONSENT]  # which no reminder needs
    assert [*asked, Reason.NO_CREDITS] == in_order[: len(asked) + 1]


def test_any_two_reasons_are_both_recorded_in_order() -> None:
    for first, second in combinations(BROKEN, 2):
        both = BROKEN[first] | BROKEN[second]
        if both.keys() != {*BROKEN[first], *BROKEN[second]} or len(both) < 2:
            continue  # they speak of the same fact
        expected = (first, second)
        other_number = {Reason.NO_MOBILE_NUMBER, Reason.INVALID_MOBILE_NUMBER}
        if second is Reason.OPTED_OUT and first in other_number:
            expected = (first,)  # the number that opted out is not the one that would be texted
        assert decide(replace(GOOD, **both), 100).reasons == expected


def test_without_credits_it_failed_and_keeps_its_text() -> None:
    decision = decide(GOOD, 0)
    assert decision == Decision((Reason.NO_CREDITS,), "+61491570156", "Hi Mia", 1)
    assert decision.status is Status.FAILED
    long = replace(GOOD, template=compile_template("x" * 161))
    assert decide(long, 1).reasons == (Reason.NO_CREDITS,)
    assert decide(long, 2).reasons == ()


@pytest.mark.parametrize("reason", BROKEN)
def test_credits_are_asked_only_of_a_message_that_nothing_else_blocks(reason: Reason) -> None:
    assert decide(replace(GOOD, **BROKEN[reason]), -5).reasons == (reason,)


@pytest.mark.parametrize(
    ("own", "default", "reasons"),
    [
        (None, Preference.SMS, ()),
        (None, Preference.SMS_AND_EMAIL, ()),
        (None, Preference.EMAIL, (Reason.PREFERS_EMAIL,)),
        (None, Preference.NONE, (Reason.PREFERS_NONE,)),
        (Preference.SMS, Preference.NONE, ()),
        (Preference.SMS_AND_EMAIL, Preference.EMAIL, ()),
        (Preference.EMAIL, Preference.SMS, (Reason.PREFERS_EMAIL,)),
        (Preference.NONE, Preference.SMS, (Reason.PREFERS_NONE,)),
    ],
)
def test_the_patients_preference_comes_before_the_practices(
    own: Preference | None, default: Preference, reasons: tuple[Reason, ...]
) -> None:
    assert decide(replace(GOOD, preference=own, default_preference=default), 9).reasons == reasons


def test_the_first_valid_mobile_is_texted() -> None:
    numbers = (number("0491 570 006", PhoneType.HOME), number("ask daughter"), number("0491 570 110"), MOBILE)
    assert decide(replace(GOOD, numbers=numbers), 9).to == "+61491570110"


def test_a_foreign_mobile_is_texted_only_where_the_practice_sends_there() -> None:
    foreign = replace(GOOD, numbers=(number("+1 202 555 0121"),))
    assert decide(foreign, 9).reasons == (Reason.INVALID_MOBILE_NUMBER,)
    assert decide(replace(foreign, countries=frozenset({"AU", "US"})), 9).to == "+12025550121"


def test_an_opt_out_of_the_patient_holds_whatever_the_number() -> None:
    assert decide(replace(GOOD, patient_opted_out=True), 9).reasons == (Reason.OPTED_OUT,)
    other = frozenset({"+61491570157"})
    assert decide(replace(GOOD, opted_out_numbers=other), 9).reasons == ()


def test_the_fifth_text_of_a_day_goes_and_the_sixth_does_not() -> None:
    assert decide(replace(GOOD, texts_that_day=DAILY_LIMIT - 1), 9).reasons == ()
    assert decide(replace(GOOD, texts_that_day=DAILY_LIMIT), 9).reasons == (Reason.DAILY_LIMIT,)
    assert decide(replace(GOOD, texts_that_day=DAILY_LIMIT), 9, "By hand").reasons == ()


def test_staff_texts_are_asked_the_reasons_marked_so() -> None:
    not_asked = {Reason.BUSINESS_REMINDERS_OFF, Reason.NO_TEMPLATE, Reason.PREFERS_EMAIL, Reason.PREFERS_NONE}
    not_asked |= {Reason.DAILY_LIMIT, Reason.REMINDED_ELSEWHERE}
    assert {rule.reason for rule in POLICY if not rule.asked_of_staff} == not_asked == NOT_ASKED_OF_STAFF


@pytest.mark.parametrize("reason", BROKEN)
def test_a_text_by_staff_is_asked_their_reasons_only_and_goes_as_it_stands(reason: Reason) -> None:
    decision = decide(replace(GOOD, **BROKEN[reason]), 1, "See you {{soon}}")
    if reason in NOT_ASKED_OF_STAFF:
        assert decision == Decision((), "+61491570156", "See you {{soon}}", 1)
    else:
        assert decision == Decision((reason,))
    assert decide(GOOD, 1, "x" * 161).reasons == (Reason.NO_CREDITS,)


def test_marketing_goes_only_to_who_consented_and_care_to_everybody() -> None:
    marketing = replace(GOOD, is_marketing=True)
    assert decide(marketing, 1, "Pilates in June").reasons == (Reason.NO_CONSENT,)
    assert decide(replace(marketing, has_consented=True), 1, "Pilates in June").reasons == ()
    assert decide(GOOD, 1, "Dr Marsh is ill").reasons == ()
    archived = replace(marketing, archived=True)
    assert decide(archived, 1, "Pilates in June").reasons == (Reason.PATIENT_ARCHIVED, Reason.NO_CONSENT)


@given(st.lists(st.sampled_from(sorted(BROKEN)), unique=True), st.integers(-3, 3))
def test_a_message_goes_exactly_where_no_reason_holds_and_it_can_be_paid(broken: list[Reason], credits: int) -> None:
    changes: dict[str, Any] = {}
    for reason in broken:
        changes |= BROKEN[reason]
    decision = decide(replace(GOOD, **changes), credits)
    assert (decision.status is Status.QUEUED) == (not broken and credits >= 1)
    assert (decision.to is None) == bool(broken)
    assert list(decision.reasons) == sorted(decision.reasons, key=list(Reason).index)


def test_every_reason_is_spoken_of_in_the_tests() -> None:
    tests = Path(__file__).parent.parent
    spoken = "\n".join(
        path.read_text(encoding="utf-8") for path in tests.rglob("test_*.py") if "Reason." in path.read_text("utf-8")
    )
    missing = [reason for reason in Reason if spoken.count(f"Reason.{reason.name}") < 1]
    assert missing == []


# --- states ---------------------------------------------------------------------------------------------------


def test_a_final_state_never_goes_back() -> None:
    for final in (Status.DELIVERED, Status.RECEIVED):
        assert [new for new in Status if may_change(final, new)] == []
    # Not even what a carrier gave up stands against the handset's own word.
    assert [new for new in Status if may_change(Status.UNDELIVERED, new)] == [Status.DELIVERED]


def test_nothing_that_the_provider_may_have_is_queued_by_a_pass() -> None:
    taken = {Status.SENDING, Status.SENT, Status.UNKNOWN, Status.DELIVERED, Status.UNDELIVERED, Status.UNCONFIRMED}
    assert not taken & RETRIED_BY_PASS
    assert Status.QUEUED in {new for old in RETRIED_BY_PASS for new in Status if may_change(old, new)}


def test_states_before_are_those_that_may_change() -> None:
    for new in Status:
        assert states_before(new) == {old for old in Status if may_change(old, new)}
    assert states_before(Status.SENDING) == {Status.QUEUED}


def test_reasons_of_the_diagnosis_are_never_stored() -> None:
    assert {Reason.APPOINTMENT_CANCELLED, Reason.BOOKED_TOO_LATE} == DIAGNOSIS_ONLY
