"""What is wrong with a patient's numbers, so that no text can come, whoever looks after it."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from enum import StrEnum

from portal.core.ahead import number_to_file
from portal.core.numbers import LineKind, PhoneNumber, PhoneType, number_to_text
from portal.core.reasons import Reason
from portal.core.reminders import OF_THE_PATIENT, Facts, decide


class Fault(StrEnum):
    TO_FILE = "mobiles"  # a mobile is filed as something else, and none can be texted
    NO_NUMBER = "numbers"  # what is filed as Mobile is none
    NO_WAY = "unreachable"  # neither a number nor an email address


def faults_of(numbers: Sequence[PhoneNumber], email: str, countries: Collection[str]) -> frozenset[Fault]:
    """`numbers`: in the order entered; `countries` (ISO 3166): that the practice sends to."""
    found = set()
    if number_to_text(numbers, countries) is None and number_to_file(numbers, countries) is not None:
        found.add(Fault.TO_FILE)
    if any(is_no_mobile(number) for number in numbers):
        found.add(Fault.NO_NUMBER)
    elif not email.strip() and all(number.kind is LineKind.NOT_A_NUMBER for number in numbers):
        found.add(Fault.NO_WAY)
    return frozenset(found)


def is_no_mobile(number: PhoneNumber) -> bool:
    """Filed as Mobile, and nothing that could ever take a text."""
    return number.type is PhoneType.MOBILE and not number.can_text


_OF_THE_NUMBER = frozenset({Reason.NO_MOBILE_NUMBER, Reason.INVALID_MOBILE_NUMBER, Reason.NUMBER_NOT_IN_SERVICE})


def would_be_reached(facts: Facts) -> bool:
    """Whether the number alone keeps texts from the patient: no wish does, nor one that would hold once a mobile on
    file is filed as such."""
    if number_to_text(facts.numbers, facts.countries) is not None:
        return False
    to_file = number_to_file(facts.numbers, facts.countries)
    numbers = [replace(one, type=PhoneType.MOBILE) if one.e164 == to_file else one for one in facts.numbers]
    left = set(decide(replace(facts, numbers=numbers), 1).reasons) & OF_THE_PATIENT
    return not left - _OF_THE_NUMBER
