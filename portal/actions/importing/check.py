"""Read and check an export's files. Nothing is written to the practice; good rows wait in the scratch."""

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from sqlalchemy.orm import Session

from portal.actions.importing.appointments import TIME_COLUMNS, find_zones, read_times
from portal.actions.importing.fields import Json
from portal.actions.importing.merge import merge
from portal.actions.importing.problems import Problem, Rejects, Report
from portal.actions.importing.reading import CsvFile, Record, UnreadableFile
from portal.actions.importing.scratch import AT_ONCE, Scratch
from portal.actions.importing.tables import (
    APPOINTMENTS,
    PHONE_NUMBERS,
    SMS_TEMPLATES,
    Column,
    Table,
    find_template_problem,
)
from portal.store.imported import find_row_ids, list_imported
from portal.store.patients import parsed_columns


@dataclass(slots=True)
class _Row:
    record: Record
    values: dict[str, Json] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class Checked:
    """What was found in one file. `is_whole`: every row said whose it is, also where it was rejected."""

    read: int = 0
    rejected: int = 0
    is_whole: bool = True


class Check:
    """`files` holds those that are there and can be read.

    `country_if_new` is that of a practice which is not there yet: its numbers, all of them new, are parsed here
    already, so that other practices do not wait for them.
    """

    def __init__(
        self,
        session: Session,
        scratch: Scratch,
        report: Report,
        rejects: Rejects | None,
        country_if_new: str | None,
    ) -> None:
        self._session = session
        self._country_if_new = country_if_new
        self.scratch = scratch
        self.report = report
        self._rejects = rejects
        self._unreadable: set[str] = set()
        self.files: dict[str, Checked] = {}
        self.sizes: dict[str, int] = {}
        self.problems = 0
        self.drafts = 0

    def say(self, problem: Problem) -> None:
        self.problems += 1
        self.report.problem(problem)

    def check_file(self, path: Path, table: Table) -> None:
        names = [column.name for column in table.columns]
        checked = Checked()
        try:
            file = CsvFile(path, names)
            self.sizes[table.file] = file.size
            records = iter(file)
            while chunk := list(islice(records, AT_ONCE)):
                self._check_rows(table, chunk, checked)
                self.report.progress(table.file, min(file.bytes_read, file.size), 2 * file.size)
        except UnreadableFile as error:
            self._unreadable.add(table.file)
            for column, cause in error.faults:
                problem = Problem(table.file, 1, column, cause)
                self.say(problem)
                if self._rejects:
                    self._rejects.add(table.file, 1, [problem], [])
            return
        self.files[table.file] = checked

    def _check_rows(self, table: Table, records: list[Record], checked: Checked) -> None:
        rows = [_read(table, record) for record in records]
        self._check_references(table, rows)
        if table is APPOINTMENTS:
            businesses = [row.values.get("business_id") for row in rows]
            zones = find_zones(self._session, self.scratch, {id_ for id_ in businesses if isinstance(id_, str)})
            for row, business in zip(rows, businesses, strict=True):
                if business in zones:
                    _read_times(row, zones[str(business)])
        ids = [str(row.values.get("external_id")) for row in rows]  # taken out as the rows are kept
        if table is PHONE_NUMBERS:
            self._keep_numbers(rows, checked)
        else:
            self._keep_rows(table, rows, checked)
        checked.read += len(rows)
        for row in rows:
            if row.problems:
                self._reject(table, row, checked)
        if table is SMS_TEMPLATES:
            self._warn_of_drafts({id_: row for id_, row in zip(ids, rows, strict=True) if not row.problems})

    def _check_references(self, table: Table, rows: list[_Row]) -> None:
        for filled, target in table.references.items():
            column = next(column for column in table.columns if column.fills == filled)
            wanted = {id_ for row in rows if isinstance(id_ := row.values.get(filled), str)}
            seen = self.scratch.find_seen(target.file, wanted)
            # The portal's own row stands in for one that this export does not hold, or holds with a fault.
            known = find_row_ids(
                self._session, target.model, {id_ for id_ in wanted if id_ not in seen or not seen[id_].is_good}
            )
            # Nothing is imported anyway where a whole file cannot be read, and that is the thing to mend.
            unknowable = wanted - seen.keys() if target.file in self._unreadable and not self._rejects else set()
            for row in rows:
                id_ = row.values.get(filled)
                if not isinstance(id_, str) or id_ in known or id_ in unknowable:
                    continue
                if id_ not in seen:
                    row.problems.append(_problem(table, row.record, column, f"no row of {target.file} has this id."))
                elif not seen[id_].is_good:
                    cause = f"its row in {target.file}, line {seen[id_].line}, is rejected."
                    row.problems.append(_problem(table, row.record, column, cause))

    def _keep_rows(self, table: Table, rows: list[_Row], checked: Checked) -> None:
        """Whether each id is its file's first is seen by keeping it."""
        named = [(row, id_) for row in rows if isinstance(id_ := row.values.pop("external_id", None), str)]
        checked.is_whole = checked.is_whole and len(named) == len(rows)
        self.scratch.keep_rows(
            table.file,
            [(id_, row.record.line, None if row.problems else row.values) for row, id_ in named],
        )
        first = self.scratch.find_seen(table.file, {id_ for _, id_ in named})
        for row, id_ in named:
            if first[id_].line != row.record.line:
                cause = f"line {first[id_].line} has the same id."
                row.problems.append(_problem(table, row.record, table.columns[0], cause))

    def _keep_numbers(self, rows: list[_Row], checked: Checked) -> None:
        patients = [row.values.pop("patient_id", None) for row in rows]
        checked.is_whole = checked.is_whole and None not in patients
        good = [(str(id_), row) for id_, row in zip(patients, rows, strict=True) if not row.problems]
        if self._country_if_new:
            for _, row in good:
                row.values |= parsed_columns(str(row.values["number"]), self._country_if_new)
        self.scratch.keep_numbers((id_, row.record.line, row.values) for id_, row in good)
        self.scratch.doubt_numbers_of(
            str(id_) for id_, row in zip(patients, rows, strict=True) if id_ is not None and row.problems
        )

    def _reject(self, table: Table, row: _Row, checked: Checked) -> None:
        checked.rejected += 1
        for problem in row.problems:
            self.say(problem)
        if self._rejects:
            self._rejects.add(table.file, row.record.line, row.problems, row.record.fields)

    def _warn_of_drafts(self, rows: dict[str, _Row]) -> None:
        """Of the text that will stand: staff may have mended it in the portal. `rows`: by the export's id."""
        stored = list_imported(self._session, SMS_TEMPLATES.model, ["body"], rows)
        for id_, row in rows.items():
            body = row.values["body"]
            if found := stored.get(id_):
                body = merge(found, found["staff_changed"], {"body": body}).values.get("body", found["body"])
            if cause := find_template_problem(str(body)):
                self.drafts += 1
                cause = f"kept as a draft, and reminders with it are not sent: {cause}"
                self.report.warning(Problem(SMS_TEMPLATES.file, row.record.line, "body", cause))


def _read(table: Table, record: Record) -> _Row:
    row = _Row(record)
    if record.fault:
        row.problems.append(Problem(table.file, record.line, *record.fault))
        return row
    for column in table.columns:
        try:
            row.values[column.fills] = column.read(record.values[column.name])
        except ValueError as error:
            row.problems.append(_problem(table, record, column, str(error)))
    return row


def _read_times(row: _Row, zone: str) -> None:
    times, faults = read_times({name: str(row.values.pop(name)) for name in TIME_COLUMNS}, zone)
    row.values |= times
    for column in APPOINTMENTS.columns:
        if column.name in faults:
            row.problems.append(_problem(APPOINTMENTS, row.record, column, faults[column.name]))


def _problem(table: Table, record: Record, column: Column, cause: str) -> Problem:
    value = None if column.is_personal else record.values[column.name]
    return Problem(table.file, record.line, column.name, cause, value)
