"""What an import would do to a practice: the same merging as `Apply` does, and nothing is written.

It reads at its leisure, without the practice's lock and without SQLite's one writer. What is then done is compared
by its fingerprint with what was planned.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from portal.actions.importing.apply import NOT_SAVED, Apply, Exported, Plans
from portal.actions.importing.merge import Change, Merged
from portal.actions.importing.phone_numbers import NumbersPlan
from portal.actions.importing.practice_file import FILE, key_of
from portal.actions.importing.results import ADDED, CHANGED, Example, FieldChange
from portal.actions.importing.tables import APPOINTMENTS, PATIENTS, PHONE_NUMBERS, Table
from portal.store.imported import as_json, list_imported
from portal.store.patients import Patient
from portal.store.practices import Practice

_MOST = 5  # examples of each kind in each file
_MOST_NAMED = 50  # of what few are made of: a practice's businesses
_NAMES = ("title", "first_name", "last_name")
_SHOWN_AS = {"starts_at": "starts_wall", "ends_at": "ends_wall"}


class Plan(Apply):
    """`examples`: the first few rows of each file that would be added or changed."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.examples: list[Example] = []
        self._told: Counter[tuple[str, str]] = Counter()  # examples by file and kind
        self._referred: Exported = {}  # the export's ids of what the rows at hand refer to

    def _resolve_references(self, table: Table, exported: Exported) -> None:
        self._referred = {id_: {field: row[field] for field in table.references} for id_, row in exported.items()}
        super()._resolve_references(table, exported)

    def _both(
        self, table: Table, external_id: str, field: str, row: Mapping[str, Any], values: Mapping[str, Any]
    ) -> tuple[Any, Any]:
        """Only the export's: whoever looks at the plan sees staff's as it is then."""
        value = values[_SHOWN_AS.get(field, field)]
        if field in table.references and value == NOT_SAVED:
            value = self._name_of(table.references[field], self._referred[external_id][field])
        return None, value

    def _exported_number(self, exported: dict[str, Any] | None) -> dict[str, Any] | None:
        return exported

    def _write_rows(self, table: Table, added: Exported, changed: list[dict[str, Any]]) -> None:
        pass

    def _follow_rows(self, renamed: list[int], withdrawn: list[int]) -> None:
        pass

    def _write_numbers(self, plans: Plans, stored: Mapping[int, dict[str, Any]]) -> None:
        pass

    def _refresh_statistics(self, table: Table) -> None:
        pass

    def _finish(self, table: Table) -> None:
        if table is PHONE_NUMBERS:  # those of patients who are not saved yet were not met among the saved ones
            self.counts[table.file].added += self._scratch.count_numbers() - self._saved[table.file]
        super()._finish(table)

    # --- examples ---

    def _note_added(self, table: Table, added: Exported) -> None:
        super()._note_added(table, added)
        most = _MOST if table in (PATIENTS, APPOINTMENTS) else _MOST_NAMED
        for external_id, values in added.items():
            if not self._has_room(table, ADDED, most):
                break
            self._tell(table, ADDED, external_id, values)

    def _note_change(self, table: Table, external_id: str, row: Mapping[str, Any], change: Change) -> None:
        super()._note_change(table, external_id, row, change)
        if change.columns is None or not change.is_applied or not self._has_room(table, CHANGED):
            return
        changes: list[FieldChange] = []
        for column in table.columns:
            field = _SHOWN_AS.get(column.fills, column.fills)
            if field in change.columns and change.columns[field] != row[field]:
                values = (None, None) if field in table.references else (row[field], change.columns[field])
                changes.append((column.name, *map(as_json, values)))
        self._tell(table, CHANGED, external_id, row, changes)

    def _note_numbers(self, external_id: str, plan: NumbersPlan, stored: Sequence[Mapping[str, Any]]) -> None:
        super()._note_numbers(external_id, plan, stored)
        was = {row["id"]: row for row in stored}
        changes: list[FieldChange] = [
            (name, was[id_][name], new[name])
            for id_, new in plan.changed.items()
            for name in ("type", "number")
            if name in new and new[name] != was[id_][name]
        ]
        changes += [("number", None, row["number"]) for row in plan.added]
        changes += [("number", was[id_]["number"], None) for id_ in plan.removed]
        if changes and self._has_room(PHONE_NUMBERS, CHANGED):
            self._tell(PHONE_NUMBERS, CHANGED, external_id, {}, changes)

    def tell_practice(self, practice: Practice, merged: Merged) -> None:
        changes = [(key_of(name), as_json(getattr(practice, name)), value) for name, value in merged.values.items()]
        self.examples.append(Example(FILE, CHANGED, practice.id, practice.name, None, tuple(changes)))

    def _has_room(self, table: Table, kind: str, most: int = _MOST) -> bool:
        """For one more; counts it."""
        self._told[table.file, kind] += 1
        return self._told[table.file, kind] <= most

    def _tell(
        self,
        table: Table,
        kind: str,
        external_id: str,
        row: Mapping[str, Any],
        changes: Sequence[FieldChange] = (),
    ) -> None:
        when = as_json(row["starts_wall"]) if table is APPOINTMENTS else None
        if table is APPOINTMENTS:
            name = self._name_of(PATIENTS, self._referred[external_id]["patient_id"])
        else:
            name = self._name_of(PATIENTS, external_id) if table is PHONE_NUMBERS else _name(row)
        self.examples.append(Example(table.file, kind, external_id, name, when, tuple(changes)))

    def _name_of(self, table: Table, external_id: str) -> str:
        rows = self._scratch.find_rows(table.file, [external_id])
        if not rows and table is PATIENTS:
            rows = list_imported(self._session, Patient, ("first_name", "last_name"), [external_id])
        return _name(rows.get(external_id, {}))


def _name(row: Mapping[str, Any]) -> str:
    return str(row.get("name") or " ".join(str(row[part]) for part in _NAMES if row.get(part)))
