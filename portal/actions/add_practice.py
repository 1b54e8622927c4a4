"""A new practice made by hand: checked as the import checks its practice.json. It rehearses, and has no credits."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.asking import read_name
from portal.actions.businesses import Details, add_business
from portal.actions.importing.fields import read_zone
from portal.actions.importing.practice_file import SENDER_TAKEN, read_country, read_id
from portal.actions.who import Who
from portal.core.reminders import Preference
from portal.core.search import fold
from portal.core.senders import read_sender

_LONGEST_ID = 64


class PracticeRefused(ValueError):
    """The text says what is wrong. `field`: of the form, where it is to be mended."""

    def __init__(self, says: str, field: str) -> None:
        super().__init__(says)
        self.field = field


@dataclass(frozen=True, slots=True)
class NewPractice:
    """As typed. `id`: empty for one made of the name. `timezone`: of its first business, which has its name until
    somebody gives it another."""

    id: str
    name: str
    country: str
    timezone: str
    sender: str


def add_practice(typed: NewPractice, who: Who, now: datetime) -> str:
    """Returns its id. Raises PracticeRefused."""
    checked = check(typed)
    with store.transaction(checked.id) as session:
        record(session, checked, now)
    add_first_business(checked, who, now)
    return checked.id


def check(typed: NewPractice) -> NewPractice:
    """As it will be recorded. Raises PracticeRefused."""
    name = _read("practice", lambda value: read_name(value, "Type the practice's name."), typed.name)
    country = _read("country", read_country, typed.country)
    sender = typed.sender.strip()
    if not sender:
        raise PracticeRefused("Type what texts come from: a name of up to 11 letters, or a number.", "sender")
    return NewPractice(
        id=_read("id", read_id, typed.id.strip() or id_of(name)),
        name=name,
        country=country,
        timezone=_read("timezone", _read_zone, typed.timezone),
        sender=_read("sender", lambda value: read_sender(value, country), sender),
    )


def id_of(name: str) -> str:
    """North & West Physio: north-west-physio."""
    return re.sub("[^a-z0-9]+", "-", fold(name))[:_LONGEST_ID].strip("-") or "practice"


def record(session: Session, checked: NewPractice, now: datetime) -> None:
    """Raises PracticeRefused where its id or its number is taken."""
    values: dict[str, Any] = {
        "id": checked.id,
        "name": checked.name,
        "country": checked.country,
        "sender": checked.sender,
        "default_preference": Preference.SMS,
        "created_at": now,
    }
    if store.practices.find_practice(session, checked.id):
        raise PracticeRefused("There is a practice of that id already.", "id")
    if not store.practices.record_practice(session, values):
        raise PracticeRefused(_sentence(SENDER_TAKEN), "sender")


def add_first_business(checked: NewPractice, who: Who, now: datetime) -> None:
    add_business(checked.id, Details(checked.name, checked.timezone, ""), who=who, now=now)


def _read_zone(typed: str) -> str:
    try:
        return read_zone(typed)
    except ValueError:
        raise ValueError("Choose a time zone of the list.") from None


def _read(field: str, read: Callable[[str], str], typed: str) -> str:
    try:
        return read(typed)
    except ValueError as error:
        raise PracticeRefused(_sentence(str(error)), field) from None


def _sentence(says: str) -> str:
    return says[:1].upper() + says[1:]
