"""SMS templates as staff write them: how one reads, and what it gives away."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from portal.core.phrases import listed, plain
from portal.core.text import Details, Template

_MOST_NAMED = 3
LONGEST_NAME = 100


def made_up(
    practice: str, business: str, contact_number: str, appointment_type: str, now: datetime, country: str
) -> Details:
    """What stands in a text where no appointment is to come: tomorrow at 9:30. `now`: a wall time at the business."""
    starts = (now + timedelta(days=1)).replace(hour=9, minute=30, second=0, microsecond=0, tzinfo=None)
    return Details(
        patient_first_name="Alex",
        patient_last_name="Taylor",
        practitioner_title="Dr",
        practitioner_first_name="Sam",
        practitioner_last_name="Lee",
        business_name=business or practice,
        business_contact_number=contact_number,
        appointment_type_name=appointment_type or "Initial consultation",
        starts_local=starts,
        ends_local=starts + timedelta(minutes=30),
        country=country,
    )


def tells_the_treatment(template: Template, type_names: Iterable[str]) -> str:
    """What to think of where a text says what an appointment is for; empty where it does not. `type_names`: the
    practice's own words for it."""
    says = []
    if "AppointmentType.Name" in template.placeholders:
        says.append("{{AppointmentType.Name}} names the kind of appointment")
    literal = " … ".join(template.pieces[::2])
    if written := [f'"{plain(name)}"' for name in dict.fromkeys(type_names) if _stands_in(name, literal)]:
        more = len(written) - _MOST_NAMED
        named = written[:_MOST_NAMED] + ([f"{more} more"] if more > 0 else [])
        says.append(f"{listed(named)} {'is' if len(written) == 1 else 'are'} written out in it")
    if not says:
        return ""
    return f"{listed(says)}: whoever holds the phone can read what the patient comes for."


def what_it_lacks(template: Template, details: Details) -> str:
    """What nothing is filled in for, although the practice could; empty where nothing lacks."""
    if "Business.ContactNumber" not in template.placeholders or details.business_contact_number.strip():
        return ""
    return (
        f"{plain(details.business_name)} has no contact number: nothing stands where {{{{Business.ContactNumber}}}} "
        "is. Add the number under Settings, Businesses."
    )


def _stands_in(name: str, text: str) -> bool:
    """As whole words, in any letter case, however they are spaced."""
    words = name.split()
    if not words:
        return False
    wanted = r"\s+".join(map(re.escape, words))
    return re.search(rf"(?<!\w){wanted}(?!\w)", text, re.IGNORECASE) is not None


def problem_with_name(name: str, others: Iterable[str], what: str) -> str:
    """Why a template or an appointment type cannot be called so; empty where it can. `others`: the names of the
    others of its kind; `what`: `template`."""
    if not name:
        return f"Give the {what} a name."
    if len(name) > LONGEST_NAME:
        return f"A name has at most {LONGEST_NAME} characters."
    if plain(name, LONGEST_NAME) != name:
        return "There is a character in the name that cannot be shown: type the name anew."
    if name.casefold() in {other.strip().casefold() for other in others}:
        return f"There is another {what} of that name: call it something else."
    return ""
