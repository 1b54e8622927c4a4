"""One patient: contact details with what is to be said of each, what stands in the way of a text, what was said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.patients import NoSuchPatient
from portal.core import contacts
from portal.core.contacts import NumberCheck
from portal.core.diagnosis import Check, checks
from portal.core.numbers import PhoneType, number_to_text
from portal.core.reminders import OF_THE_PATIENT, Facts, Preference, Sending
from portal.core.text import Details
from portal.core.timing import has_come, local
from portal.core.wording import Context
from portal.store.changes import Change, Subject, list_changes
from portal.store.patient_page import Record, Said, Visit
from portal.store.patients import OptOut, OptOutSource, Patient, PhoneRow
from portal.store.practices import Practice

MOST_VISITS = 100
MOST_SAID = 50
MOST_CHANGES = 200  # read, so that who set the preference is among them


@dataclass(frozen=True, slots=True)
class ShownNumber:
    row: PhoneRow
    filed: str  # as forms hand it over, to tell a newer value
    check: NumberCheck
    is_texted: bool
    is_opted_out: bool


@dataclass(frozen=True, slots=True)
class ShownOptOut:
    """`recorded`, `lifted`: who did it and why, where staff did. `message_id`: the reply that made it."""

    row: OptOut
    message_id: int | None
    may_be_lifted: bool
    recorded: Change | None
    lifted: Change | None


@dataclass(frozen=True, slots=True)
class Contact:
    """`set_by`, `archived_by`: the last change by staff, None where the export's value stands. `consent`: the last
    word on marketing, None where there was none. `changes`: the newest first."""

    practice: Practice
    zone: str | None
    today: date
    patient: Patient
    numbers: tuple[ShownNumber, ...]
    to: str | None  # the number that is texted, E.164
    preference: Preference  # what holds
    preference_in_words: str
    asks_first: bool  # it may be the patient's own wish
    set_by: Change | None
    archived_by: Change | None
    consent: Change | None
    opt_outs: tuple[ShownOptOut, ...]
    checks: tuple[Check, ...]
    changes: tuple[Change, ...]

    @property
    def lines(self) -> list[Check]:
        """One check a label: the first that is crossed, else the last."""
        alike: dict[str, Check] = {}
        for check in self.checks:
            if alike.setdefault(check.label, check).ok:
                alike[check.label] = check
        return list(alike.values())

    @property
    def is_opted_out_by_staff(self) -> bool:
        return any(one.may_be_lifted for one in self.opt_outs)


@dataclass(frozen=True, slots=True)
class ShownPatient:
    """`coming`: the next first; `past`: the latest first; `said`: as it was said, the newest last."""

    contact: Contact
    coming: tuple[Visit, ...]
    past: tuple[Visit, ...]
    said: tuple[Said, ...]


def show_patient(practice_id: str, patient_id: int, now: datetime) -> ShownPatient:
    """Raises NoSuchPatient."""
    with store.reading(practice_id) as session:
        contact = _contact(session, patient_id, now)
        visits = store.patient_page.list_visits(session, patient_id, MOST_VISITS)
        said = store.patient_page.list_said(session, patient_id, MOST_SAID)
    # A cancellation that is still ahead has not happened yet.
    told = [
        replace(one, cancelled_at=None) if one.cancelled_at and not has_come(one.cancelled_at, now) else one
        for one in visits
    ]
    coming = [visit for visit in told if visit.starts_at > now]
    past = told[len(coming) :]
    return ShownPatient(contact, tuple(reversed(coming)), tuple(past), tuple(reversed(said)))


def show_contact(practice_id: str, patient_id: int, now: datetime) -> Contact:
    """What staff edit, without the appointments and messages. Raises NoSuchPatient."""
    with store.reading(practice_id) as session:
        return _contact(session, patient_id, now)


def _contact(session: Session, patient_id: int, now: datetime) -> Contact:
    record = store.patient_page.find_record(session, patient_id)
    if record is None:
        raise NoSuchPatient
    practice, patient = record.practice, record.patient
    numbers = [row.as_number() for row in record.numbers]
    to = number_to_text(numbers, practice.countries)
    numbers_of = {row.e164 for row in record.numbers if row.e164}
    with_replies = store.patient_page.list_opt_outs(session, patient_id, numbers_of)
    opt_outs = [opt_out for opt_out, _ in with_replies]
    changes = list_changes(session, Subject.PATIENT, patient_id, most=MOST_CHANGES)
    opted_out = {one.e164 for one in opt_outs if one.lifted_at is None and one.e164}
    last: dict[str, Change] = {}
    for change in changes:
        last.setdefault(change.field, change)
    return Contact(
        practice=practice,
        zone=record.zone,
        today=_today(now, record.zone),
        patient=patient,
        numbers=tuple(_shown_number(row, practice, to, opted_out) for row in record.numbers),
        to=to,
        preference=patient.preference or practice.default_preference,
        preference_in_words=contacts.preference_in_words(patient.preference, practice.default_preference),
        asks_first=contacts.may_be_own_wish(patient.preference),
        set_by=last.get(contacts.PREFERENCE),
        archived_by=last.get(contacts.ARCHIVED),
        consent=last.get(contacts.CONSENT),
        opt_outs=tuple(_shown_opt_out(one, message_id, changes) for one, message_id in with_replies),
        checks=_checks(record, to, opt_outs, now),
        changes=tuple(changes),
    )


def _today(now: datetime, zone: str | None) -> date:
    return (local(now, zone) if zone else now).date()


def _shown_number(row: PhoneRow, practice: Practice, to: str | None, opted_out: set[str]) -> ShownNumber:
    return ShownNumber(
        row,
        contacts.filed(row.type, row.number),
        contacts.check_number(row.type, row.number, practice.country, practice.countries),
        is_texted=to is not None and row.e164 == to and row.type is PhoneType.MOBILE,
        is_opted_out=row.e164 in opted_out,
    )


def _shown_opt_out(row: OptOut, message_id: int | None, changes: Sequence[Change]) -> ShownOptOut:
    of_staff = row.source is OptOutSource.STAFF
    at = {change.at: change for change in changes if change.field == contacts.OPT_OUT} if of_staff else {}
    return ShownOptOut(
        row,
        message_id,
        may_be_lifted=of_staff and row.lifted_at is None,
        recorded=at.get(row.recorded_at),
        lifted=at.get(row.lifted_at) if row.lifted_at else None,
    )


def _checks(record: Record, to: str | None, opt_outs: Sequence[OptOut], now: datetime) -> tuple[Check, ...]:
    """The questions of the policy that are about the patient, as a reminder would meet them now."""
    practice, patient = record.practice, record.patient
    holding = [one for one in opt_outs if one.lifted_at is None]
    facts = Facts(
        sending=Sending.ON,
        business_reminders_on=True,
        template=None,
        numbers=[row.as_number() for row in record.numbers],
        countries=practice.countries,
        preference=patient.preference,
        default_preference=practice.default_preference,
        patient_opted_out=any(one.patient_id is not None for one in holding),
        opted_out_numbers=frozenset(one.e164 for one in holding if one.e164),
        archived=patient.archived,
        details=Details(patient.first_name, patient.last_name, "", "", "", "", "", "", now, now, practice.country),
    )
    dead = next((row.out_of_service_at for row in record.numbers if row.is_out_of_service and row.e164 == to), None)
    binding = next((one for one in holding if one.e164 is None or one.e164 == to), None)
    context = Context(
        today=_today(now, record.zone),
        first_name=patient.first_name,
        sender=practice.sender,
        numbers=facts.numbers,
        out_of_service=local(dead, record.zone) if dead and record.zone else None,
        country=practice.country,
        countries=practice.countries,
        preference=patient.preference,
        default_preference=practice.default_preference,
        opt_out=binding.source if binding else "",
        opt_out_number=(binding.e164 or "") if binding else "",
        opted_out=local(binding.recorded_at, record.zone) if binding and record.zone else None,
    )
    return tuple(check for check in checks(facts, 1, context) if check.code in OF_THE_PATIENT)
