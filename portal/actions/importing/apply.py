"""Merge the checked rows into what the practice has, and save them. The practice is locked meanwhile."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.importing.appointments import STORED, merge_appointment, new_appointment
from portal.actions.importing.fingerprint import Fingerprint
from portal.actions.importing.merge import UNCHANGED, Change, merge
from portal.actions.importing.phone_numbers import NumbersPlan, plan_numbers
from portal.actions.importing.problems import Report
from portal.actions.importing.results import Conflict, Counts
from portal.actions.importing.scratch import AT_ONCE, Scratch
from portal.actions.importing.sources import Source, list_sources
from portal.actions.importing.tables import APPOINTMENTS, PATIENTS, PHONE_NUMBERS, Table
from portal.actions.stop import withdraw
from portal.store.imported import (
    as_json,
    delete_rows,
    find_row_ids,
    from_json,
    list_imported,
    record_rows,
    refresh_statistics,
    update_rows,
)
from portal.store.patients import PhoneRow, parsed_columns
from portal.store.practices import Practice

NAMES = ("first_name", "last_name")  # by which a patient's messages are found
WRITTEN = ("type", "number", "position", "e164", "region", "kind", "backwards", "from_export", "staff_changed")
NOT_SAVED = 0  # no row's id: where an import is only planned, of a row that it would add
Exported = dict[str, dict[str, Any]]  # rows by the export's id
Plans = Sequence[tuple[Source, NumbersPlan]]


class Apply:
    """The writing of one import. `counts`, by file, go on from what was read and rejected."""

    def __init__(
        self,
        session: Session,
        practice: Practice,
        scratch: Scratch,
        report: Report,
        counts: dict[str, Counts],
        sizes: Mapping[str, int],
        now: datetime,
    ) -> None:
        self._session = session
        self._practice = practice
        self._scratch = scratch
        self._report = report
        self.counts = counts
        self._sizes = sizes
        self._now = now
        self._saved: Counter[str] = Counter()  # rows by file
        self.conflicts: list[Conflict] = []
        self.fingerprint = Fingerprint()

    def apply_rows(self, table: Table) -> None:
        fields = STORED if table is APPOINTMENTS else table.model.IMPORTED_FIELDS
        counts = self.counts[table.file]
        for exported in self._scratch.list_rows(table.file):
            self._resolve_references(table, exported)
            if table is PATIENTS:  # who was merged into another is that one
                for external_id in store.merges.find_merged_ids(self._session, exported.keys()):
                    del exported[external_id]
            stored = list_imported(self._session, table.model, fields, exported.keys())
            added: dict[str, dict[str, Any]] = {}
            changed: list[dict[str, Any]] = []
            withdrawn: list[int] = []
            renamed: list[int] = []
            for external_id, values in exported.items():
                row = stored.get(external_id)
                if row is None:
                    added[external_id] = values
                    continue
                change = self._merge(table, row, values)
                if change.columns:
                    changed.append({"id": row["id"]} | change.columns)
                    if table is PATIENTS and any(change.columns[name] != row[name] for name in NAMES):
                        renamed.append(row["id"])
                if change.withdraws:
                    withdrawn.append(row["id"])
                counts.changed += change.is_applied
                self._note_change(table, external_id, row, change)
                self._note_conflicts(table, external_id, change.conflicts, row, values)
            self._note_added(table, added)
            self._write_rows(table, added, changed)
            self._follow_rows(renamed, withdrawn)
            counts.added += len(added)
            self._tell_progress(table.file, len(exported))
        self._finish(table)

    def _write_rows(self, table: Table, added: Exported, changed: list[dict[str, Any]]) -> None:
        new = [self._new_row(table, external_id, values) for external_id, values in added.items()]
        record_rows(self._session, table.model, new)
        update_rows(self._session, table.model, self._practice.id, changed)

    def _follow_rows(self, renamed: list[int], withdrawn: list[int]) -> None:
        """What goes with changed rows: messages are found by the new names; reminders that wait do not go."""
        store.messages.index_messages_of(self._session, renamed)
        if withdrawn:
            withdraw(self._session, self._practice.id, withdrawn, self._now)

    def _note_added(self, table: Table, added: Exported) -> None:
        for external_id in added:
            self.fingerprint.add(table.file, external_id, "new")

    def _note_change(self, table: Table, external_id: str, row: Mapping[str, Any], change: Change) -> None:
        if change.columns:
            fields = sorted(name for name, value in change.columns.items() if name in row and value != row[name])
            self.fingerprint.add(table.file, external_id, *fields)

    def _resolve_references(self, table: Table, exported: Exported) -> None:
        """From the export's ids to row ids."""
        for field, target in table.references.items():
            wanted = {id_ for row in exported.values() if (id_ := row[field]) is not None}
            found = find_row_ids(self._session, target.model, wanted)
            for row in exported.values():
                row[field] = None if row[field] is None else found.get(row[field], NOT_SAVED)

    def _new_row(self, table: Table, external_id: str, values: dict[str, Any]) -> dict[str, Any]:
        own = {"practice_id": self._practice.id, "external_id": external_id}
        if table is APPOINTMENTS:
            return own | new_appointment(values)
        return own | from_json(table.model, values) | table.derive(values)

    def _merge(self, table: Table, row: Mapping[str, Any], values: dict[str, Any]) -> Change:
        if table is APPOINTMENTS:
            return merge_appointment(row, values, self._now)
        current = {field: as_json(row[field]) for field in values}
        merged = merge(current, row["staff_changed"], values)
        if not merged.values and merged.staff_changed == row["staff_changed"]:
            return UNCHANGED
        final = current | merged.values
        columns = from_json(table.model, final) | table.derive(final) | {"staff_changed": merged.staff_changed}
        return Change(columns, merged.conflicts, is_applied=bool(merged.values))

    def _note_conflicts(
        self, table: Table, external_id: str, fields: Sequence[str], row: Mapping[str, Any], values: Mapping[str, Any]
    ) -> None:
        if fields:
            self.fingerprint.add(table.file, external_id, "conflicts", *fields)
        for field in fields:
            yours, exported = self._both(table, external_id, field, row, values)
            self.conflicts.append(Conflict(table.file, external_id, table.column_of(field), None, yours, exported))

    def _both(
        self, table: Table, external_id: str, field: str, row: Mapping[str, Any], values: Mapping[str, Any]
    ) -> tuple[Any, Any]:
        """Staff's value and the export's, to be told on the command line: of settings only."""
        is_told = table.may_be_told(field)
        return (as_json(row[field]), values[field]) if is_told else (None, None)

    def _note_number_conflicts(self, external_id: str, plan: NumbersPlan) -> None:
        if plan.conflicts:
            self.fingerprint.add(
                PHONE_NUMBERS.file, external_id, "conflicts", *(name for _, name, _ in plan.conflicts)
            )
        self.conflicts += [
            Conflict(PHONE_NUMBERS.file, external_id, name, id_, None, self._exported_number(exported))
            for id_, name, exported in plan.conflicts
        ]

    def _exported_number(self, exported: dict[str, Any] | None) -> dict[str, Any] | None:
        return None

    def apply_numbers(self, *, is_whole: bool, are_patients_there: bool) -> None:
        """`are_patients_there`: the export holds patients.csv, so one of its patients without a number has none."""
        counts = self.counts[PHONE_NUMBERS.file]
        after = 0
        while patients := store.patients.list_patients_after(self._session, after, AT_ONCE):
            first, after = patients[0][0], patients[-1][0]
            stored = store.patients.list_imported_numbers(self._session, PhoneRow.patient_id.between(first, after))
            sources = list_sources(self._session, patients, stored)
            external_ids = [one.external_id for one in sources]
            exported = self._scratch.find_numbers(external_ids)
            if are_patients_there:
                in_export = self._scratch.find_seen(PATIENTS.file, external_ids)
                exported = {id_: [] for id_, seen in in_export.items() if seen.is_good} | exported
            for id_ in self._scratch.find_doubtful(external_ids):
                exported.pop(id_, None)
            plans = [
                (one, plan_numbers(one.stored, exported[id_], is_whole=is_whole, first_place=one.first_place))
                for one in sources
                if (id_ := one.external_id) in exported
            ]
            counts.added += sum(len(plan.added) for _, plan in plans)
            counts.removed += sum(len(plan.removed) for _, plan in plans)
            self._write_numbers(plans, {row["id"]: row for rows in stored.values() for row in rows})
            for one, plan in plans:
                self._note_numbers(one.external_id, plan, one.stored)
                self._note_number_conflicts(one.external_id, plan)
                counts.changed += plan.applied
            self._tell_progress(PHONE_NUMBERS.file, sum(map(len, exported.values())))
        self._finish(PHONE_NUMBERS)

    def _write_numbers(self, plans: Plans, stored: Mapping[int, dict[str, Any]]) -> None:
        practice = self._practice
        added = [
            {"practice_id": practice.id, "patient_id": one.patient_id, "from_export": True}
            | (row if "kind" in row else row | parsed_columns(row["number"], practice.country))
            for one, plan in plans
            for row in plan.added
        ]
        changed = []
        for _, plan in plans:
            for id_, new in plan.changed.items():
                if "number" in new:
                    new |= parsed_columns(new["number"], practice.country)
                changed.append({name: (stored[id_] | new)[name] for name in ("id", *WRITTEN)})
        removed = [id_ for _, plan in plans for id_ in plan.removed]
        record_rows(self._session, PhoneRow, added)
        update_rows(self._session, PhoneRow, practice.id, changed)
        delete_rows(self._session, PhoneRow, practice.id, removed)

    def _note_numbers(self, external_id: str, plan: NumbersPlan, stored: Sequence[Mapping[str, Any]]) -> None:
        """Those of new patients are all new, and counted."""
        if plan.changed or plan.removed:
            self.fingerprint.add(PHONE_NUMBERS.file, external_id, len(plan.added), len(plan.changed), plan.removed)

    def _finish(self, table: Table) -> None:
        counts = self.counts[table.file]
        counts.unchanged = counts.read - counts.rejected - counts.added - counts.changed
        self.fingerprint.add(table.file, counts.read, counts.added, counts.changed, counts.removed, counts.rejected)
        if counts.added > AT_ONCE:
            self._refresh_statistics(table)
        self._report.progress(table.file, 2 * self._sizes[table.file], 2 * self._sizes[table.file])

    def _refresh_statistics(self, table: Table) -> None:
        refresh_statistics(self._session, table.model)

    def _tell_progress(self, file: str, rows: int) -> None:
        """The second half of a file's way: its saved rows, as a share of its bytes."""
        self._saved[file] += rows
        size = self._sizes[file]
        self._report.progress(file, size + size * self._saved[file] // max(self.counts[file].read, 1), 2 * size)
