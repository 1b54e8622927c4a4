"""What both staff and the export changed, in words: whose, which value, staff's, the export's, where it is settled.

Nothing of it is written down for that. Staff's value is the row's own. The export's waits, until the import is
confirmed, in what the check found, beside its examples; afterwards the row holds it as what the export had last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.core.import_words import column_in_words, value_in_words
from portal.core.phrases import plain
from portal.store.appointments import Appointment
from portal.store.imported import as_json
from portal.store.patients import PhoneRow
from portal.store.practices import AppointmentType, Business, Practice, Practitioner, SmsTemplate
from portal.store.uploads import Whose

_TAKEN_AWAY, _GONE = "taken away", "no longer there"
# The field of a column, where it has another name.
_FIELDS = {
    "default_reminder": "default_preference",
    "automated_reminder": "preference",
    "reminder_template": "reminder_template_id",
    "starts_at": "starts_wall",
    "ends_at": "ends_wall",
}
# What else a column leads to.
_REFERENCES = {
    "business_id": "businesses.csv",
    "practitioner_id": "practitioners.csv",
    "appointment_type_id": "appointment_types.csv",
    "reminder_template": "sms_templates.csv",
}

Row = Business | Practitioner | AppointmentType | SmsTemplate


@dataclass(frozen=True, slots=True)
class ShownConflict:
    """`yours` and `exported` are None where the row is gone. `row_id`: of what is opened to settle it, a patient for
    a number; None where there is nothing to open. `when`: an appointment's, as it is now."""

    file: str
    name: str
    when: str | None
    column: str
    yours: str | None
    exported: str | None
    row_id: int | None

    @property
    def is_settled(self) -> bool:
        return self.yours is not None and self.yours == self.exported


def find_whose(session: Session, conflicts: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> Whose:
    """The patients, numbers and appointments that these are about, and `missing`: appointments of these ids."""

    def ids(file: str) -> set[str]:
        return {one["id"] for one in conflicts if one["file"] == file}

    numbers = {one["number_id"] for one in conflicts if "number_id" in one}
    return store.uploads.find_whose(
        session, ids("patients.csv") | ids("phone_numbers.csv"), numbers, ids("appointments.csv") | set(missing)
    )


def show_conflicts(
    session: Session,
    practice: Practice,
    businesses: Sequence[Business],
    conflicts: Sequence[Mapping[str, Any]],
    whose: Whose,
) -> list[ShownConflict]:
    """`conflicts`: as `importing.results.Conflict` keeps them."""
    known = _Known(session, practice, businesses, whose)
    return [known.show(one) for one in conflicts]


class _Known:
    def __init__(self, session: Session, practice: Practice, businesses: Sequence[Business], whose: Whose) -> None:
        self._session = session
        self._practice = practice
        self._whose = whose
        self._zone = businesses[0].timezone if businesses else None
        self._settings: dict[str, Sequence[Row]] = {"businesses.csv": businesses}

    def show(self, one: Mapping[str, Any]) -> ShownConflict:
        if one["file"] == "phone_numbers.csv":
            return self._show_number(one)
        file, column = one["file"], one["column"]
        row, name, when, zone = self._find(file, one["id"])
        if row is None:
            return ShownConflict(file, plain(one["id"]), None, column_in_words(column), None, None, None)
        field = _FIELDS.get(column, column)
        mine = as_json(getattr(row, field))
        exported = one["exported"] if "exported" in one else (row.staff_changed or {}).get(field, mine)
        yours, theirs = (self._said(column, value, zone) for value in (mine, exported))
        row_id = None if row is self._practice else row.id
        called = plain(name) or plain(one["id"])
        return ShownConflict(file, called, when, column_in_words(column), yours, theirs, row_id)

    def _find(self, file: str, id_: str) -> tuple[Any, str, str | None, str | None]:
        """The row, what it is called, when it is, and in which zone."""
        if file == "practice.json":
            return self._practice, self._practice.name, None, self._zone
        if file == "appointments.csv":
            appointment, patient = self._whose.appointments.get(id_, (None, None))
            if appointment is None or patient is None:
                return None, "", None, None
            return appointment, patient.full_name, _begins(appointment), appointment.timezone
        row = self._whose.patients.get(id_) if file == "patients.csv" else self._setting(file, external_id=id_)
        return row, _name(row), None, self._zone

    def _setting(self, file: str, **of: Any) -> Row | None:
        ((field, value),) = of.items()
        return next((row for row in self._rows(file) if getattr(row, field) == value), None)

    def _rows(self, file: str) -> Sequence[Row]:
        """Read once, and only where something leads there."""
        if file not in self._settings:
            lists: Mapping[str, Any] = {
                "practitioners.csv": store.practices.list_practitioners,
                "appointment_types.csv": store.practices.list_types,
                "sms_templates.csv": store.practices.list_templates,
            }
            self._settings[file] = lists[file](self._session)
        return self._settings[file]

    def _said(self, column: str, value: Any, zone: str | None) -> str:
        if column in _REFERENCES and value is not None:
            if isinstance(value, int):
                return plain(_name(self._setting(_REFERENCES[column], id=value))) or "another"
            return f"{plain(value) or 'one'} (new)"
        if column == "patient_id":
            return "another patient"
        return value_in_words(column, value, zone)

    def _show_number(self, one: Mapping[str, Any]) -> ShownConflict:
        column = one["column"]
        number, patient = self._whose.numbers.get(one.get("number_id", 0), (None, None))
        patient = patient or self._whose.patients.get(one["id"])
        yours, exported = _both_numbers(number, column, one) if number else (None, None)
        name = plain(patient.full_name if patient else "") or plain(one["id"])
        row_id = patient.id if patient else None
        return ShownConflict(one["file"], name, None, column_in_words(column), yours, exported, row_id)


def _both_numbers(number: PhoneRow, column: str, one: Mapping[str, Any]) -> tuple[str, str]:
    mine = {name: getattr(number, name) for name in PhoneRow.IMPORTED_FIELDS}
    exported = one["exported"] if "exported" in one else mine | (number.staff_changed or {})
    is_gone = exported is None or not number.from_export
    yours = _TAKEN_AWAY if number.removed_at else _number_said(column, mine)
    return yours, _GONE if is_gone else _number_said(column, exported)


def _number_said(column: str, number: Mapping[str, Any]) -> str:
    """0491 570 006 (Mobile)"""
    if column == "position":
        return value_in_words(column, number["position"], None)
    return f"{plain(number['number'])} ({number['type']})"


def _begins(appointment: Appointment) -> str:
    return value_in_words("starts_at", as_json(appointment.starts_wall), None)


def _name(row: Any) -> str:
    return str(getattr(row, "full_name", None) or getattr(row, "name", "") or "") if row else ""
