"""A list of appointments with their patients becomes an export folder, which is then imported as every other.

What the list does not say of a patient or an appointment stays as the last import had it: that is written into the
folder, so that nothing of it changes.
"""

import csv
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.importing.appointments import read_times
from portal.actions.importing.fields import read_minutes, read_text
from portal.actions.importing.problems import CannotImport, Problem, Rejects, Report
from portal.actions.importing.reading import CsvFile, Record, UnreadableFile
from portal.actions.importing.scratch import AT_ONCE, Scratch
from portal.actions.importing.sources import list_exported_numbers
from portal.actions.importing.tables import (
    APPOINTMENT_TYPES,
    APPOINTMENTS,
    BUSINESSES,
    PATIENTS,
    PHONE_NUMBERS,
    PRACTITIONERS,
    Table,
)
from portal.core.lists import (
    PLACES,
    Matching,
    folded,
    read_clock,
    read_day,
    read_end,
    read_moment,
    split_name,
    split_title,
)
from portal.core.numbers import PhoneType, parse_number
from portal.core.phrases import full_name
from portal.store.appointments import Appointment
from portal.store.imported import as_json, list_imported
from portal.store.patients import Patient

_USUAL_MINUTES = 30
_PATIENT_FIELDS = ("first_name", "last_name", "date_of_birth", "email", "preference", "archived")
_NUMBERS = {"mobile": PhoneType.MOBILE, "phone": PhoneType.HOME}
_TABLES = {"business": BUSINESSES, "practitioner": PRACTITIONERS, "type": APPOINTMENT_TYPES}
_NAMED = ("date", "start", "end", "minutes", "birth_date")  # what stands there is named, if it cannot be read
_KEEP_IN_STEP = "the same patient is written otherwise in line {}, which counts."


class Misread(Exception):
    """`faults`: (field, cause) of each that cannot be read."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__()
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Understood:
    """A row, as it is read. `ends` is None where the list does not say it; `numbers` and `patient` hold only what it
    says. `places`: the names of business, practitioner and type."""

    line: int
    patient_id: str
    patient: dict[str, str]
    numbers: dict[PhoneType, str]
    places: dict[str, str]
    appointment_id: str
    starts: datetime
    ends: datetime | None
    is_cancelled: bool

    @property
    def name(self) -> str:
        return full_name(self.patient["first_name"], self.patient["last_name"])


def understand(record: Record, matching: Matching, country: str) -> Understood:
    """`country`: the practice's, ISO 3166. Raises Misread."""
    assert matching.dates
    order = matching.dates
    faults: list[tuple[str, str]] = []

    def read(field: str, how: Callable[[str], Any], otherwise: Any = None) -> Any:
        column = matching.columns.get(field)
        if column is None:
            return otherwise
        try:
            return how(record.values[column])
        except ValueError as error:
            faults.append((field, str(error)))
            return otherwise

    if record.fault:
        fields = [field for field, column in matching.columns.items() if column == record.fault[0]]
        raise Misread([(fields[0] if fields else "", record.fault[1])])
    clock = record.values[matching.columns["start"]] if "start" in matching.columns else None
    is_clock_read = clock is None or read("start", read_clock) is not None
    # Without its time it is read all the same: both are then named at once.
    starts = read("date", lambda text: read_moment(text, clock if is_clock_read else "0:00", order))
    minutes = read("minutes", lambda text: read_minutes(text) if text.strip() else None)
    ends = read("end", lambda text: read_end(text, starts, order) if starts and text.strip() else None)
    if starts and ends is None and minutes is not None:
        ends = starts + timedelta(minutes=minutes)
    first, last = read("name", lambda text: split_name(read_text(text)), ("", ""))
    patient = {"first_name": read("first_name", read_text, first), "last_name": read("last_name", read_text, last)}
    if not (patient["first_name"] or patient["last_name"]):
        faults.append(("name" if "name" in matching.columns else "last_name", "the patient has no name."))
    born = read("birth_date", lambda text: read_day(text, order).isoformat() if text.strip() else "")
    patient |= {name: value for name, value in (("date_of_birth", born), ("email", read("email", read_text)))
                if value is not None}  # fmt: skip
    numbers = {type_: read(field, read_text) for field, type_ in _NUMBERS.items() if field in matching.columns}
    places = {place: read(place, _read_name, matching.same.get(place, "")) for place in PLACES}
    is_cancelled = read("status", lambda text: folded(text) in matching.cancelled_words, False)
    patient_id = read("patient_id", _read_id) or _id_of(patient, numbers, country)
    appointment_id = read("appointment_id", _read_id)
    if faults or starts is None:
        raise Misread(faults)
    own = (patient_id, folded(places["practitioner"]), starts)
    return Understood(
        record.line,
        patient_id,
        patient,
        numbers,
        places,
        appointment_id or _made_of(*own),
        starts,
        ends,
        is_cancelled,
    )


def _read_name(text: str) -> str:
    text = " ".join(read_text(text).split())
    if not text:
        raise ValueError("must not be empty.")
    return text


def _read_id(text: str) -> str:
    text = read_text(text)
    if not text:
        raise ValueError("must not be empty.")
    return text


def _id_of(patient: Mapping[str, str], numbers: Mapping[PhoneType, str], country: str) -> str:
    """Without a number of its own a patient is told from others by name and date of birth, or mobile number, in
    whatever way that is written."""
    mobile = numbers.get(PhoneType.MOBILE) or ""
    number = parse_number(mobile, country).e164 or "".join(filter(str.isdigit, mobile))
    also = patient.get("date_of_birth") or number
    return _made_of(folded(patient["first_name"]), folded(patient["last_name"]), also)


def _made_of(*parts: object) -> str:
    return "list-" + hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()[:20]


def problems_of(
    name: str, file: CsvFile, record: Record, matching: Matching, faults: Iterable[tuple[str, str]]
) -> list[Problem]:
    """Of a row that cannot be read, each with its heading as it stands in the file. For pages only: a value may be a
    patient's."""
    problems = []
    for field, cause in faults:
        column = matching.columns.get(field, "")
        value = record.values.get(column, "").strip() if field in _NAMED else None
        problems.append(Problem(name, record.line, file.headings.get(column, column), cause, value))
    return problems


# --- the folder ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Converted:
    """`creates`: what the portal does not have yet, in words. `read`: rows, of which `left_out` cannot be read."""

    creates: list[str]
    read: int
    left_out: int
    problems: int


def convert(
    session: Session,
    path: Path,
    name: str,
    matching: Matching,
    country: str,
    folder: Path,
    at: datetime,
    report: Report,
    rejected: Rejects,
) -> Converted:
    """Write the list at `path`, which staff know as `name`, into `folder` as an export; `country`: the practice's;
    `at`: when it was uploaded.

    Raises CannotImport.
    """
    columns = list(dict.fromkeys(matching.columns.values()))
    try:
        file = CsvFile(path, columns, separator=matching.separator, encoding=matching.encoding)
        records = iter(file)
        with ExitStack() as stack:
            list_ = _List(session, stack, name, file, matching, country, folder, at, report, rejected)
            while chunk := list(islice(records, AT_ONCE)):
                list_.take(chunk)
                report.progress(name, min(file.bytes_read, file.size), 3 * file.size)
            return list_.end()
    except UnreadableFile as error:
        column, cause = error.faults[0]
        raise CannotImport(f"{name}: {column}: {cause}" if column else f"{name}: {cause}") from None


class _List:
    def __init__(
        self,
        session: Session,
        stack: ExitStack,
        name: str,
        file: CsvFile,
        matching: Matching,
        country: str,
        folder: Path,
        at: datetime,
        report: Report,
        rejected: Rejects,
    ) -> None:
        self._session = session
        self._name = name
        self._file = file
        self._matching = matching
        self._country = country
        self._at = at.isoformat()
        self._report = report
        self._rejected = rejected
        self._scratch = stack.enter_context(Scratch())
        self._places = _Places(session, matching)
        self._folder = folder
        self._stack = stack
        self._writers = {table.file: self._open(table) for table in (PATIENTS, APPOINTMENTS)}
        self._has_numbers = bool(_NUMBERS.keys() & matching.columns.keys())
        if self._has_numbers:
            self._writers[PHONE_NUMBERS.file] = self._open(PHONE_NUMBERS)
        self._read = self._left_out = self._problems = 0

    def _open(self, table: Table) -> Any:
        stream = self._stack.enter_context((self._folder / table.file).open("w", encoding="utf-8", newline=""))
        writer = csv.DictWriter(stream, [column.name for column in table.columns])
        writer.writeheader()
        return writer

    def take(self, records: list[Record]) -> None:
        good: list[tuple[Understood, Record, dict[str, str]]] = []
        for record in records:
            self._read += 1
            try:
                row = understand(record, self._matching, self._country)
                good.append((row, record, self._places.find(row)))
            except Misread as misread:
                self._reject(record, misread.faults)
        stored = list_imported(
            self._session, Appointment, Appointment.IMPORTED_FIELDS, [row.appointment_id for row, _, _ in good]
        )
        self._scratch.keep_rows(APPOINTMENTS.file, [(row.appointment_id, row.line, None) for row, _, _ in good])
        seen = self._scratch.find_seen(APPOINTMENTS.file, {row.appointment_id for row, _, _ in good})
        taken = []
        for row, record, places in good:
            if seen[row.appointment_id].line != row.line:
                cause = f"line {seen[row.appointment_id].line} is the same appointment."
                self._reject(record, [("appointment_id", cause)])
            elif faults := self._write_appointment(row, places, stored.get(row.appointment_id)):
                self._reject(record, faults)
            else:
                taken.append(row)
                self._places.use(row)
        self._write_patients(taken)

    def _write_appointment(
        self, row: Understood, places: Mapping[str, str], stored: Mapping[str, Any] | None
    ) -> list[tuple[str, str]]:
        """What is wrong with its times; else it is written."""
        ends = row.ends or row.starts + timedelta(minutes=self._places.minutes_of(places["type"]))
        before = _exported(stored, Appointment.IMPORTED_FIELDS) if stored else {}
        # An appointment that is listed stands, unless its row says that it is cancelled.
        cancelled = before.get("cancelled_at") or self._at if row.is_cancelled else None
        times = {
            "starts_at": f"{row.starts:%Y-%m-%d %H:%M}",
            "ends_at": f"{ends:%Y-%m-%d %H:%M}",
            "booked_at": _in_seconds(before.get("booked_at") or self._at),
            "cancelled_at": _in_seconds(cancelled) if cancelled else "",
        }
        _, faults = read_times(times, self._places.zone_of(places["business"]))
        if faults:
            fields = {"starts_at": "date", "ends_at": "end" if "end" in self._matching.columns else "minutes"}
            return [(fields.get(column, "date"), cause) for column, cause in faults.items()]
        self._writers[APPOINTMENTS.file].writerow(
            {
                "id": row.appointment_id,
                "business_id": places["business"],
                "practitioner_id": places["practitioner"],
                "appointment_type_id": places["type"],
                "patient_id": row.patient_id,
                **times,
            }
        )
        return []

    def _write_patients(self, rows: list[Understood]) -> None:
        """Each once, as the first of its rows has it."""
        self._scratch.keep_rows(PATIENTS.file, [(row.patient_id, row.line, _said(row)) for row in rows])
        ids = {row.patient_id for row in rows}
        seen, first = self._scratch.find_seen(PATIENTS.file, ids), self._scratch.find_rows(PATIENTS.file, ids)
        new = []
        for row in rows:
            if seen[row.patient_id].line == row.line:
                new.append(row)
            elif first[row.patient_id] != _said(row):
                cause = _KEEP_IN_STEP.format(seen[row.patient_id].line)
                self._report.warning(Problem(self._name, row.line, "", cause))
        stored = list_imported(self._session, Patient, _PATIENT_FIELDS, [row.patient_id for row in new])
        numbers = list_exported_numbers(self._session, [row.patient_id for row in new]) if self._has_numbers else {}
        for row in new:
            patient = stored.get(row.patient_id)
            before = _exported(patient, _PATIENT_FIELDS) if patient else {}
            values = before | row.patient
            self._writers[PATIENTS.file].writerow(
                {
                    "id": row.patient_id,
                    "first_name": values["first_name"],
                    "last_name": values["last_name"],
                    "date_of_birth": values.get("date_of_birth") or "",
                    "email": values.get("email") or "",
                    "automated_reminder": values.get("preference") or "",
                    "archived": "yes" if values.get("archived") else "",
                }
            )
            if self._has_numbers:
                for type_, number in _with_numbers(numbers.get(row.patient_id, ()), row.numbers):
                    self._writers[PHONE_NUMBERS.file].writerow(
                        {"patient_id": row.patient_id, "type": type_, "number": number}
                    )

    def _reject(self, record: Record, faults: Iterable[tuple[str, str]]) -> None:
        self._left_out += 1
        problems = problems_of(self._name, self._file, record, self._matching, faults)
        self._problems += len(problems)
        for problem in problems:
            self._report.problem(problem)
        self._rejected.add(self._name, record.line, problems, record.fields)

    def end(self) -> Converted:
        if not self._read:
            raise CannotImport(f"{self._name} holds no appointments: only its first line is there.")
        for place, table in _TABLES.items():
            if rows := self._places.new_rows(place):
                self._open(table).writerows(rows)
        return Converted(self._places.creates(), self._read, self._left_out, self._problems)


def _in_seconds(at: str) -> str:
    """As an export writes it."""
    return datetime.fromisoformat(at).isoformat(timespec="seconds")


def _said(row: Understood) -> dict[str, Any]:
    return row.patient | {str(type_): number for type_, number in row.numbers.items()}


def _exported(row: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """As the last import had it, whatever staff have changed since."""
    return {field: as_json(row[field]) for field in fields} | (row["staff_changed"] or {})


def _with_numbers(had: Sequence[tuple[str, str]], given: Mapping[PhoneType, str]) -> list[tuple[str, str]]:
    """A column stands for the first number of its type; further ones stay, and other types."""
    numbers = list(had)
    for type_, number in given.items():
        if (type_, number) in numbers:
            continue
        place = next((place for place, (other, _) in enumerate(numbers) if other == type_), None)
        if place is not None:
            numbers[place : place + 1] = [(type_, number)] if number else []
        elif number:
            numbers.append((type_, number))
    return numbers


# --- what rows refer to by name -----------------------------------------------------------------------------


class _Places:
    """The businesses, practitioners and appointment types of the practice by name, and those that are new."""

    def __init__(self, session: Session, matching: Matching) -> None:
        self._matching = matching
        businesses = store.practices.list_businesses(session)
        types = store.practices.list_types(session)
        practitioners = store.practices.list_practitioners(session)
        self._zones = {one.external_id: one.timezone for one in businesses}
        self._minutes = {one.external_id: one.duration_minutes for one in types}
        self._ids: dict[str, dict[str, set[str]]] = {place: {} for place in PLACES}
        for place, rows in (("business", businesses), ("type", types)):
            for row in rows:
                self._know(place, row.name, row.external_id)
        for one in practitioners:
            for name in {one.full_name, f"{one.first_name} {one.last_name}", f"{one.last_name}, {one.first_name}"}:
                self._know("practitioner", name, one.external_id)
        self._stored = {
            "business": {one.external_id for one in businesses},
            "practitioner": {one.external_id for one in practitioners},
            "type": {one.external_id for one in types},
        }
        self._new: dict[str, dict[str, str]] = {place: {} for place in PLACES}  # names by id, of rows that are taken

    def _know(self, place: str, name: str, id_: str) -> None:
        self._ids[place].setdefault(folded(name), set()).add(id_)

    def find(self, row: Understood) -> dict[str, str]:
        """The export's ids. Raises Misread where several have the name."""
        found = {}
        for place, name in row.places.items():
            ids = self._ids[place].get(folded(name)) or {_made_of(place, folded(name))}
            if len(ids) > 1:
                raise Misread([(place, f"{len(ids)} have the name “{name}”: give each a name of its own.")])
            found[place] = next(iter(ids))
        return found

    def use(self, row: Understood) -> None:
        """The row is taken, and so what it refers to is made."""
        for place, id_ in self.find(row).items():
            if id_ not in self._stored[place]:
                self._new[place].setdefault(id_, row.places[place])

    def zone_of(self, business_id: str) -> str:
        return self._zones.get(business_id, self._matching.zone)

    def minutes_of(self, type_id: str) -> int:
        return self._minutes.get(type_id, _USUAL_MINUTES)

    def creates(self) -> list[str]:
        words = {"business": "business", "practitioner": "practitioner", "type": "appointment type"}
        return [f"{words[place]} “{name}”" for place in PLACES for name in self._new[place].values()]

    def new_rows(self, place: str) -> list[dict[str, object]]:
        """As the export's files have them."""
        rows: list[dict[str, object]] = []
        for id_, name in self._new[place].items():
            title, first, last = split_title(name)
            more: dict[str, dict[str, object]] = {
                "business": {
                    "name": name, "timezone": self._matching.zone, "contact_number": "", "sms_reminders": "On",
                },
                "practitioner": {"title": title, "first_name": first, "last_name": last},
                "type": {
                    "name": name, "duration_minutes": _USUAL_MINUTES,
                    "reminder_template": self._matching.template or "None",
                },
            }  # fmt: skip
            rows.append({"id": id_} | more[place])
        return rows
