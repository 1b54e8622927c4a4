"""Staff add a patient, who may be there already."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from portal import store
from portal.actions.importing.fields import LONGEST_NAME
from portal.actions.patients import Refused, checked_number
from portal.actions.who import Who, note_change
from portal.core import contacts
from portal.core.accounts import find_address
from portal.core.numbers import PhoneType
from portal.core.patient_search import searched_name
from portal.core.phrases import plain
from portal.core.reminders import Preference
from portal.core.timing import TimeError, parse_date
from portal.store.changes import Subject
from portal.store.imported import made_here_id
from portal.store.patient_list import Likeness, Line
from portal.store.patients import Patient, PhoneRow
from portal.store.practices import Practice

_MOST_ALIKE = 5
_TYPED = ("first_name", "last_name", "date_of_birth", "email", "preference")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Given:
    """As it was typed. `born`: 1980-05-04; `preference`: empty for the practice's default."""

    first_name: str
    last_name: str
    born: str
    email: str
    number: str
    preference: str


class Alike(Refused):
    """Somebody like this is there already."""

    says = "This may be somebody who is there already. Look first, then say that it is not."

    def __init__(self, found: Sequence[Likeness]) -> None:
        super().__init__("confirm", self.says)
        self.found = found


class AddedAnother(Alike):
    """The form has added a patient already, and comes back with other words."""

    says = "This form has added a patient already. Change that record there, or add somebody else here."


def add_patient(practice_id: str, given: Given, form_id: str, *, is_another: bool, who: Who, now: datetime) -> int:
    """Returns the id of the row. `form_id`: of the form, which may come twice and adds one. `is_another`: than those
    who are like it. Raises AddedAnother, Alike, Refused."""
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        external_id = made_here_id(form_id)
        patient = _read(given, external_id, now)
        row = _read_number(practice, given.number)
        there = store.patients.find_patient(session, external_id)
        if there is not None:
            return _same_again(session, there, patient, row)
        alike = store.patient_list.find_alike(
            session,
            searched_name(patient.first_name, patient.last_name),
            patient.date_of_birth,
            row.e164 if row else None,
            _MOST_ALIKE,
        )
        if alike and not is_another:
            raise Alike(alike)
        session.add(patient)
        session.flush()
        if row is not None:
            row.patient_id = patient.id
            session.add(row)
        note_change(session, who, now, Subject.PATIENT, patient.id, contacts.ADDED, "", "yes")
        return patient.id


def _same_again(session: Session, there: Patient, patient: Patient, row: PhoneRow | None) -> int:
    """What the form has added. Raises AddedAnother."""
    numbers = [one.number for one in store.patients.list_number_rows(session, there.id)]
    is_same = all(getattr(there, name) == getattr(patient, name) for name in _TYPED)
    if not is_same or numbers != ([row.number] if row else []):
        raise AddedAnother([Likeness(Line(*(getattr(there, field.name) for field in fields(Line))))])
    return there.id


def _read(given: Given, external_id: str, now: datetime) -> Patient:
    """Raises Refused."""
    first_name, last_name = _name("first_name", given.first_name), _name("last_name", given.last_name)
    if not first_name and not last_name:
        raise Refused("last_name", "Type the name.")
    email = plain(given.email, LONGEST_NAME + 1)
    if email and find_address(email) is None:
        raise Refused("email", "This is no email address.")
    if given.preference not in ("", *Preference):
        raise Refused("preference", f"Choose the practice's default, or {', '.join(Preference)}.")
    return Patient(
        external_id=external_id,
        first_name=first_name,
        last_name=last_name,
        date_of_birth=_birth_date(given.born, now),
        email=email,
        preference=Preference(given.preference) if given.preference else None,
        archived=False,
    )


def _name(field: str, typed: str) -> str:
    name = plain(typed, LONGEST_NAME + 1)
    if len(name) > LONGEST_NAME:
        raise Refused(field, f"A name has at most {LONGEST_NAME} characters.")
    return name


def _birth_date(typed: str, now: datetime) -> date | None:
    if not typed.strip():
        return None
    try:
        born = parse_date(typed)
    except TimeError:
        raise Refused("born", "Type the birth date as a date.") from None
    if born > (now + _DAY).date():  # in the east it is tomorrow already
        raise Refused("born", "That day is still to come.")
    return born


def _read_number(practice: Practice, typed: str) -> PhoneRow | None:
    if not typed.strip():
        return None
    kind, number = checked_number(practice, PhoneType.MOBILE, typed)
    row = PhoneRow(type=kind, position=0, from_export=False)
    row.retype(number, practice.country)
    return row
