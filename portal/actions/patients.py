"""What staff change of a patient: numbers, the preference, opt-outs, the archive. Each leaves who, when and why.

Each change takes the practice's lock: an import reads a row and writes it later, under the same lock. Where a form
shows a value, it hands over what it showed (`seen`), and nothing newer is overwritten unseen.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.who import Who, note_change
from portal.core import contacts
from portal.core.numbers import PhoneType, parse_phone_type
from portal.core.phrases import plain
from portal.core.reminders import Preference
from portal.core.timing import TimeError, local, parse_date
from portal.store.changes import Subject, last_change
from portal.store.patients import OptOut, OptOutSource, Patient, PhoneRow
from portal.store.practices import Practice


class NoSuchPatient(store.NotThere):
    """Nor a number or an opt-out of that patient."""

    def __init__(self) -> None:
        super().__init__("There is no such patient.")


class Refused(ValueError):
    """`field`: the form's field that is to be mended. The text says how."""

    def __init__(self, field: str, says: str) -> None:
        super().__init__(says)
        self.field = field


@dataclass(frozen=True, slots=True)
class Case:
    """A patient about to be changed."""

    session: Session
    practice: Practice
    patient: Patient
    who: Who
    now: datetime

    def note(self, field: str, before: str, after: str, note: str = "") -> None:
        note_change(self.session, self.who, self.now, Subject.PATIENT, self.patient.id, field, before, after, note)

    def refuse_stale(self, field: str, seen: str | None, current: str, shown: str) -> None:
        """Where the form showed another value than the one that is there now."""
        if seen is None or seen == current:
            return
        change = last_change(self.session, Subject.PATIENT, self.patient.id, field)
        by = plain(change.by) if change and change.after == shown else "Somebody else"
        raise Refused(
            field, f"{by} has changed this meanwhile: it is now {plain(shown, 100)}. Look again, then save."
        )

    def number(self, number_id: int) -> PhoneRow:
        row = self.session.get(PhoneRow, number_id)
        if row is None or row.patient_id != self.patient.id:
            raise NoSuchPatient
        return row


@contextmanager
def _changing(practice_id: str, patient_id: int, who: Who, now: datetime) -> Iterator[Case]:
    """Raises NoSuchPatient."""
    with store.transaction(practice_id) as session:
        practice = store.practices.lock_practice(session, practice_id)
        yield find_case(session, practice, patient_id, who, now)


def find_case(session: Session, practice: Practice, patient_id: int, who: Who, now: datetime) -> Case:
    """For whoever changes several patients at once and holds the practice's lock. Raises NoSuchPatient."""
    patient = session.get(Patient, patient_id)
    if patient is None:
        raise NoSuchPatient
    return Case(session, practice, patient, who, now)


# --- numbers ----------------------------------------------------------------------------------------------


def add_number(practice_id: str, patient_id: int, type_: str, number: str, *, who: Who, now: datetime) -> bool:
    """After the others, or where it was, if it had been removed. Raises NoSuchPatient, Refused."""
    with _changing(practice_id, patient_id, who, now) as case:
        return add_in(case, type_, number) is not None


def add_in(case: Case, type_: str, number: str) -> PhoneRow | None:
    """As `add_number`; None where it is there already."""
    kind, number = checked_number(case.practice, type_, number)
    rows = store.patients.list_all_number_rows(case.session, case.patient.id)
    alike = [row for row in rows if _is_same(row, number, case.practice.country)]
    there = [row for row in alike if row.removed_at is None]
    if any(row.type is kind for row in there):
        return None
    # The one that was filed so: a number that was Home and Work is put back as it was.
    removed = sorted((row for row in alike if row.removed_at is not None), key=lambda row: row.type is kind)
    if there and not any(row.type is kind for row in removed):
        raise Refused("number", f"{plain(number)} is on file already, as {there[0].type}: change it there.")
    if removed:
        row = removed[-1]
        row.removed_at = None
        row.out_of_service = row.out_of_service_at = None  # whoever puts it back says that it works again
    else:
        last = max((row.position for row in rows), default=-1)
        row = PhoneRow(patient_id=case.patient.id, position=last + 1, from_export=False)
        row.retype(number, case.practice.country)
        case.session.add(row)
    row.type = kind
    case.note(contacts.NUMBER, "", contacts.filed(kind, number))
    return row


def change_number(
    practice_id: str,
    patient_id: int,
    number_id: int,
    type_: str,
    number: str,
    *,
    seen: str | None = None,
    who: Who,
    now: datetime,
) -> bool:
    """`seen`: what the form showed, as `contacts.filed` has it. Raises NoSuchPatient, Refused."""
    with _changing(practice_id, patient_id, who, now) as case:
        return change_in(case, case.number(number_id), type_, number, seen=seen)


def change_in(case: Case, row: PhoneRow, type_: str, number: str, *, seen: str | None = None) -> bool:
    """As `change_number`."""
    kind, number = checked_number(case.practice, type_, number)
    _refuse_removed(case, row)
    return _file(case, row, kind, number, seen)


def file_as_mobile(practice_id: str, patient_id: int, number_id: int, *, who: Who, now: datetime) -> bool:
    """Raises NoSuchPatient, Refused."""
    with _changing(practice_id, patient_id, who, now) as case:
        return file_in(case, case.number(number_id))


def file_in(case: Case, row: PhoneRow) -> bool:
    """As `file_as_mobile`."""
    return change_in(case, row, PhoneType.MOBILE, row.number)


def put_back_in(case: Case, row: PhoneRow, before: str, after: str) -> bool:
    """As it was before it was mended, however wrong that is; False where somebody has changed it since. `before`,
    `after`: as `contacts.filed` has them, `before` empty for a number that was new."""
    if row.removed_at is not None or contacts.filed(row.type, row.number) != after:
        return False
    if not before:
        row.removed_at = case.now
    else:
        type_, number = contacts.parse_filed(before)
        row.type = PhoneType(type_)
        if row.number != number:
            row.retype(number, case.practice.country)
    case.note(contacts.NUMBER, after, before)
    return True


def remove_number(
    practice_id: str, patient_id: int, number_id: int, *, seen: str | None = None, who: Who, now: datetime
) -> bool:
    """The row stays, so that the next import does not bring it back. Raises NoSuchPatient, Refused."""
    with _changing(practice_id, patient_id, who, now) as case:
        row = case.number(number_id)
        if row.removed_at is not None:
            return False
        kept = contacts.filed(row.type, row.number)
        case.refuse_stale(contacts.NUMBER, seen, kept, kept)
        row.removed_at = now
        case.note(contacts.NUMBER, kept, "")
        return True


def move_number_up(practice_id: str, patient_id: int, number_id: int, *, who: Who, now: datetime) -> bool:
    """Before the one above it: the first that is filed as Mobile is texted. Raises NoSuchPatient, Refused."""
    with _changing(practice_id, patient_id, who, now) as case:
        moved = case.number(number_id)
        _refuse_removed(case, moved)
        rows = list(store.patients.list_number_rows(case.session, patient_id))
        place = rows.index(moved)
        if place == 0:
            return False
        above = rows[place - 1]
        rows[place - 1], rows[place] = moved, above
        for position, row in enumerate(rows):
            row.position = position
        before, after = (contacts.filed(row.type, row.number) for row in (above, moved))
        case.note(contacts.ORDER, before, after)
        return True


def checked_number(practice: Practice, type_: str, number: str) -> tuple[PhoneType, str]:
    """The number in one line. Raises Refused."""
    try:
        kind = parse_phone_type(type_)
    except ValueError as error:
        raise Refused("type", f"This is {error}") from None
    line = plain(number, contacts.LONGEST_NUMBER + 1)
    check = contacts.check_number(kind, line, practice.country, practice.countries)
    if not check.may_be_saved:
        raise Refused("number", check.says or "Type the number.")
    return kind, line


def _is_same(row: PhoneRow, number: str, country: str) -> bool:
    parsed = store.patients.parsed_columns(number, country)
    return row.number == number or (row.e164 is not None and row.e164 == parsed["e164"])


def _refuse_removed(case: Case, row: PhoneRow) -> None:
    if row.removed_at is not None:
        case.refuse_stale(contacts.NUMBER, "", "removed", "removed")


def _file(case: Case, row: PhoneRow, kind: PhoneType, number: str, seen: str | None) -> bool:
    kept, new = contacts.filed(row.type, row.number), contacts.filed(kind, number)
    if kept == new:
        return False  # somebody did the same meanwhile, or it was sent twice
    case.refuse_stale(contacts.NUMBER, seen, kept, kept)
    row.type = kind
    if row.number != number:
        row.retype(number, case.practice.country)
    case.note(contacts.NUMBER, kept, new)
    return True


# --- the preference -----------------------------------------------------------------------------------------


def set_preference(
    practice_id: str,
    patient_id: int,
    preference: str,
    *,
    note: str = "",
    confirmed: bool = False,
    seen: str | None = None,
    who: Who,
    now: datetime,
) -> bool:
    """`preference`: empty for the practice's default. One that turns against the patient's own wish asks for a note
    and a confirmation. Raises NoSuchPatient, Refused."""
    with _changing(practice_id, patient_id, who, now) as case:
        patient, default = case.patient, case.practice.default_preference
        if preference not in ("", *Preference):
            raise Refused("preference", f"Choose the practice's default, or {', '.join(Preference)}.")
        new = Preference(preference) if preference else None
        before = contacts.preference_in_words(patient.preference, default)
        if patient.preference is new:
            return False
        case.refuse_stale(contacts.PREFERENCE, seen, patient.preference or "", before)
        against = contacts.turns_against(patient.preference, new, default)
        why = _checked_note(note, f"Say why: {before} is the patient's own wish." if against else "")
        if against and not confirmed:
            raise Refused("confirm", "Tick that the patient has agreed.")
        patient.preference = new
        case.note(contacts.PREFERENCE, before, contacts.preference_in_words(new, default), why)
        return True


def _checked_note(note: str, needed: str = "") -> str:
    """In one line. `needed`: what to say where there is none."""
    line = plain(note, contacts.LONGEST_NOTE + 1)
    if len(line) > contacts.LONGEST_NOTE:
        raise Refused("note", f"A note has at most {contacts.LONGEST_NOTE} characters.")
    if needed and not line:
        raise Refused("note", needed)
    return line


# --- opt-outs, the archive ----------------------------------------------------------------------------------


def record_opt_out(practice_id: str, patient_id: int, *, note: str = "", who: Who, now: datetime) -> bool:
    """The patient asked staff for no texts, whatever the number. Raises NoSuchPatient, Refused."""
    with _changing(practice_id, patient_id, who, now) as case:
        why = _checked_note(note)
        if store.patients.find_staff_opt_out(case.session, patient_id) is not None:
            return False
        case.session.add(OptOut(source=OptOutSource.STAFF, patient_id=patient_id, recorded_at=now))
        case.note(contacts.OPT_OUT, contacts.NO_OPT_OUT, contacts.OPTED_OUT, why)
        return True


def lift_opt_out(
    practice_id: str,
    patient_id: int,
    opt_out_id: int,
    *,
    note: str = "",
    confirmed: bool = False,
    who: Who,
    now: datetime,
) -> bool:
    """Staff's own only: who replied STOP undoes it by replying START. Raises NoSuchPatient, Refused."""
    with _changing(practice_id, patient_id, who, now) as case:
        opt_out = case.session.get(OptOut, opt_out_id)
        if opt_out is None or not _concerns(case, opt_out):
            raise NoSuchPatient
        if opt_out.source is not OptOutSource.STAFF:
            raise Refused("confirm", "Only whoever has that phone can undo it, by texting START.")
        if opt_out.lifted_at is not None:
            return False
        why = _checked_note(note, "Say why: the patient had asked for no texts.")
        if not confirmed:
            raise Refused("confirm", "Tick that the patient has agreed.")
        opt_out.lifted_at = now
        case.note(contacts.OPT_OUT, contacts.OPTED_OUT, contacts.NO_OPT_OUT, why)
        return True


def _concerns(case: Case, opt_out: OptOut) -> bool:
    if opt_out.patient_id is not None:
        return opt_out.patient_id == case.patient.id
    rows = store.patients.list_number_rows(case.session, case.patient.id)
    return opt_out.e164 in {row.e164 for row in rows}


def restore(
    practice_id: str, patient_id: int, *, note: str = "", confirmed: bool = False, who: Who, now: datetime
) -> bool:
    """From the archive. Raises NoSuchPatient, Refused."""
    with _changing(practice_id, patient_id, who, now) as case:
        if not case.patient.archived:
            return False
        why = _checked_note(note, "Say why: archived patients may have asked not to be contacted.")
        if not confirmed:
            raise Refused("confirm", "Tick that the patient has agreed.")
        case.patient.archived = False
        case.note(contacts.ARCHIVED, "yes", "no", why)
        return True


# --- consent to marketing -------------------------------------------------------------------------------------


def record_consent(practice_id: str, patient_id: int, day: str, source: str, *, who: Who, now: datetime) -> bool:
    """`day`: when the patient agreed, as 2031-05-08; `source`: how, in words. Raises NoSuchPatient, Refused."""
    with _changing(practice_id, patient_id, who, now) as case:
        given, how = _checked_consent(case, day, source)
        patient = case.patient
        if (patient.consented_on, patient.consent_source) == (given, how):
            return False
        before, after = _consent_in_words(patient), contacts.given_on(given)
        if before == after:  # on the same day, and otherwise
            before = contacts.NO_CONSENT
        patient.consented_on, patient.consent_source = given, how
        case.note(contacts.CONSENT, before, after, how)
        return True


def withdraw_consent(practice_id: str, patient_id: int, day: str, source: str, *, who: Who, now: datetime) -> bool:
    """As `record_consent`. What waits to be sent asks again, so no marketing goes from now on."""
    with _changing(practice_id, patient_id, who, now) as case:
        if case.patient.consented_on is None:
            return False
        withdrawn, how = _checked_consent(case, day, source)
        before = _consent_in_words(case.patient)
        case.patient.consented_on = case.patient.consent_source = None
        case.note(contacts.CONSENT, before, contacts.withdrawn_on(withdrawn), how)
        return True


def _consent_in_words(patient: Patient) -> str:
    return contacts.given_on(patient.consented_on) if patient.consented_on else contacts.NO_CONSENT


def _checked_consent(case: Case, day: str, source: str) -> tuple[date, str]:
    try:
        on = parse_date(day)
    except TimeError:
        raise Refused("day", "Type the day as a date.") from None
    businesses = store.practices.list_businesses(case.session)
    today = (local(case.now, businesses[0].timezone) if businesses else case.now).date()
    if on > today:
        raise Refused("day", "That day is still to come.")
    return on, _checked_note(source, "Say how, in words: a form signed at the desk, a call.")
