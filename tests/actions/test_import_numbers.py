"""Phone numbers of an export: they have no ids, and staff may refile, correct, add and remove them."""

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from portal import store
from portal.actions.import_practice import Conflict, Counts
from portal.actions.importing.phone_numbers import plan_numbers
from portal.core.numbers import LineKind, PhoneType
from portal.store.patients import Patient, PhoneRow
from tests.actions.exports import NOW, Export, everything_stored, find, numbers_of, written_tables

A, B, C = "0491 570 006", "0491 570 110", "0491 570 156"


@pytest.fixture
def export(app: Flask, tmp_path: Path) -> Export:
    return Export(tmp_path / "export")


def give(export: Export, *numbers: tuple[str, str]) -> None:
    """Write the patient's numbers and import."""
    export.set("phone_numbers.csv", *[{"type": type_, "number": number} for type_, number in numbers])
    export.run()


def shown(export: Export) -> list[tuple[str, str]]:
    return [(row.type.value, row.number) for row in numbers_of(find(Patient, "p1"))]


def staff(of: str, **values: Any) -> None:
    """Change the row of that number as staff would."""
    with store.transaction("riverside") as session:
        row = session.scalars(select(PhoneRow).where(PhoneRow.number == of)).one()
        if "number" in values:
            row.retype(values.pop("number"), "AU")
        for name, value in values.items():
            setattr(row, name, value)


def staff_add(number: str) -> None:
    with store.transaction("riverside") as session:
        patient_id = session.scalars(select(Patient.id).where(Patient.external_id == "p1")).one()
        row = PhoneRow(patient_id=patient_id, position=9, type=PhoneType.MOBILE, from_export=False)
        row.retype(number, "AU")
        session.add(row)


def again(export: Export) -> tuple[Conflict, ...]:
    """Import once more; a second time on top writes nothing and has nothing to tell."""
    conflicts = export.run().conflicts
    with written_tables() as tables:
        assert export.run().conflicts == ()
    assert tables == {"import_runs"}
    return conflicts


def test_numbers_follow_the_export_in_its_order(export: Export) -> None:
    give(export, ("Mobile", A), ("Home", B))
    ids = {row.number: row.id for row in numbers_of(find(Patient, "p1"))}
    give(export, ("Work", C), ("home", B), ("Mobile", A))
    assert shown(export) == [("Work", C), ("Home", B), ("Mobile", A)]
    rows = {row.number: row.id for row in numbers_of(find(Patient, "p1"))}
    assert (rows[A], rows[B]) == (ids[A], ids[B])
    assert again(export) == ()


def test_a_corrected_number_is_parsed_and_keeps_its_row(export: Export) -> None:
    give(export, ("Mobile", "0491 570 00"))
    [wrong] = numbers_of(find(Patient, "p1"))
    assert (wrong.e164, wrong.kind) == (None, LineKind.NOT_A_NUMBER)
    give(export, ("Mobile", A))
    [right] = numbers_of(find(Patient, "p1"))
    assert (right.id, right.e164, right.kind) == (wrong.id, "+61491570006", LineKind.MOBILE)


def test_rows_of_a_patient_may_be_scattered_and_a_number_listed_twice(export: Export) -> None:
    export.set("patients.csv", {}, {"id": "p2"})
    export.set(
        "phone_numbers.csv",
        {"number": A},
        {"patient_id": "p2", "number": B},
        {"type": "Home", "number": A},
        {"number": C},
    )
    export.run()
    assert shown(export) == [("Mobile", A), ("Home", A), ("Mobile", C)]
    assert again(export) == ()


def test_numbers_that_are_gone_from_the_export_go(export: Export) -> None:
    give(export, ("Mobile", A), ("Home", B))
    export.set("phone_numbers.csv", {"type": "Home", "number": B})
    assert export.run().counts["phone_numbers.csv"] == Counts(read=1, changed=1, removed=1)
    assert shown(export) == [("Home", B)]


def test_a_patient_without_a_row_has_no_number_any_more(export: Export) -> None:
    export.set("patients.csv", {}, {"id": "p2"})
    give(export, ("Mobile", A))
    export.set("phone_numbers.csv", {"patient_id": "p2"})
    export.run()
    assert shown(export) == []


@pytest.mark.parametrize("missing", ["patients.csv", "phone_numbers.csv"])
def test_without_both_files_a_patient_without_a_row_keeps_the_numbers(export: Export, missing: str) -> None:
    give(export, ("Mobile", A))
    export.set("phone_numbers.csv")
    export.rows[missing] = None
    export.run()
    assert shown(export) == [("Mobile", A)]


def test_a_patient_who_is_not_in_the_export_keeps_the_numbers(export: Export) -> None:
    give(export, ("Mobile", A))
    export.set("patients.csv", {"id": "p2"})
    export.set("phone_numbers.csv", {"patient_id": "p2"})
    export.run()
    assert shown(export) == [("Mobile", A)]


def test_a_number_that_staff_refiled_as_mobile_stays_theirs(export: Export) -> None:
    give(export, ("Home", A), ("Home", B))
    staff(A, type=PhoneType.MOBILE)
    before = everything_stored()
    assert again(export) == ()
    assert everything_stored() == before
    give(export, ("Home", C), ("Home", B), ("Home", A))
    assert shown(export) == [("Home", C), ("Home", B), ("Mobile", A)]


def test_a_number_that_staff_corrected_is_met_again_by_what_the_export_has(export: Export) -> None:
    give(export, ("Mobile", "0491 570"), ("Home", B))
    staff("0491 570", number=A)
    assert again(export) == ()
    give(export, ("Home", B), ("Mobile", "0491 570"))
    assert shown(export) == [("Home", B), ("Mobile", A)]


def test_where_both_changed_a_number_staffs_stands(export: Export) -> None:
    give(export, ("Home", A), ("Home", B))
    staff(A, type=PhoneType.MOBILE)
    export.set("phone_numbers.csv", {"type": "Work", "number": A}, {"type": "Home", "number": B})
    assert again(export) == (Conflict("phone_numbers.csv", "p1", "type"),)
    assert shown(export) == [("Mobile", A), ("Home", B)]


def test_a_changed_number_that_the_export_drops_is_staffs_own_from_then_on(export: Export) -> None:
    give(export, ("Home", A), ("Home", B))
    staff(A, type=PhoneType.MOBILE)
    export.set("phone_numbers.csv", {"type": "Home", "number": B})
    assert again(export) == (Conflict("phone_numbers.csv", "p1", "type"),)
    assert sorted(shown(export)) == [("Home", B), ("Mobile", A)]


def test_numbers_that_staff_added_stay(export: Export) -> None:
    give(export, ("Home", A))
    staff_add(B)
    assert again(export) == ()
    give(export, ("Home", C))
    assert shown(export) == [("Home", C), ("Mobile", B)]
    export.set("phone_numbers.csv")
    export.run()
    assert shown(export) == [("Mobile", B)]


def test_a_number_that_staff_removed_is_not_brought_back(export: Export) -> None:
    give(export, ("Mobile", A), ("Home", B))
    staff(A, removed_at=NOW)
    assert again(export) == ()
    assert shown(export) == [("Home", B)]
    export.set("phone_numbers.csv", {"type": "Work", "number": A}, {"type": "Home", "number": B})
    assert again(export) == (Conflict("phone_numbers.csv", "p1", "type"),)
    assert shown(export) == [("Home", B)]
    # Another number in its place is a new one.
    give(export, ("Work", C), ("Home", B))
    assert shown(export) == [("Work", C), ("Home", B)]
    # And once the export had dropped it, it may come back.
    give(export, ("Mobile", A), ("Home", B))
    assert shown(export) == [("Mobile", A), ("Home", B)]


@pytest.mark.parametrize("bad", [{"type": "Pager"}, {"type": "\0"}])
def test_where_a_row_is_rejected_the_patients_numbers_stay_as_they_were(
    export: Export, tmp_path: Path, bad: dict[str, str]
) -> None:
    export.set("patients.csv", {}, {"id": "p2"})
    give(export, ("Mobile", A), ("Home", B))
    export.set("phone_numbers.csv", {"number": A} | bad, {"number": C}, {"patient_id": "p2", "number": B})
    result = export.run(accept_valid=True, rejects=tmp_path / "rejects.csv")
    assert (result.is_imported, result.counts["phone_numbers.csv"].rejected) == (True, 1)
    assert shown(export) == [("Mobile", A), ("Home", B)]
    assert [row.number for row in numbers_of(find(Patient, "p2"))] == [B]


def test_where_a_row_cannot_be_read_at_all_no_number_is_removed(export: Export, tmp_path: Path) -> None:
    give(export, ("Mobile", A), ("Home", B))
    export.set("phone_numbers.csv", {"patient_id": "", "number": B}, {"number": A}, {"number": C})
    export.run(accept_valid=True, rejects=tmp_path / "rejects.csv")
    assert sorted(number for _, number in shown(export)) == [A, B, C]


# --- the promise, against random changes of both sides ---

TYPES = st.sampled_from(["Mobile", "Home"])
NUMBERS = st.sampled_from(["1", "2", "3", "4"])
EXPORTED = st.lists(st.tuples(TYPES, NUMBERS), max_size=4)
STAFF = st.lists(
    st.tuples(st.sampled_from(["type", "number", "remove"]), st.integers(0, 3), TYPES, NUMBERS), max_size=3
)


class Portal:
    """A patient's rows as the portal keeps them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._next_id = 1

    def takes(self, exported: list[tuple[str, str]]) -> Any:
        stored = sorted(
            (row for row in self.rows if row["from_export"]), key=lambda row: (row["position"], row["id"])
        )
        plan = plan_numbers(stored, [{"type": type_, "number": number} for type_, number in exported])
        for row in self.rows:
            row.update(plan.changed.get(row["id"], {}))
        self.rows = [row for row in self.rows if row["id"] not in plan.removed]
        for new in plan.added:
            own = {"id": self._next_id, "staff_changed": None, "removed_at": None, "from_export": True}
            self.rows.append(own | new)
            self._next_id += 1
        return plan

    def staff_does(self, what: str, index: int, type_: str, number: str) -> None:
        if not self.rows:
            return
        row = self.rows[index % len(self.rows)]
        if what == "remove":
            row["removed_at"] = NOW
        else:
            value = type_ if what == "type" else number
            if row[what] != value:
                row["staff_changed"] = {what: row[what]} | (row["staff_changed"] or {})
            row[what] = value

    def shown(self) -> list[tuple[str, str]]:
        rows = [row for row in self.rows if row["removed_at"] is None]
        return [(row["type"], row["number"]) for row in sorted(rows, key=lambda row: (row["position"], row["id"]))]


@settings(deadline=None)
@given(exports=st.lists(EXPORTED, max_size=4))
def test_without_staffs_changes_the_numbers_are_the_exports(exports: list[list[tuple[str, str]]]) -> None:
    portal = Portal()
    for exported in exports:
        assert portal.takes(exported).conflicts == []
        assert portal.shown() == exported


@settings(deadline=None)
@given(rounds=st.lists(st.tuples(EXPORTED, STAFF), min_size=1, max_size=5))
def test_what_staff_changed_outlives_every_import(rounds: list[tuple[Any, Any]]) -> None:
    portal = Portal()
    for exported, changes in rounds:
        staffs = {
            row["id"]: {name: row[name] for name, base in (row["staff_changed"] or {}).items() if row[name] != base}
            for row in portal.rows
            if row["removed_at"] is None
        }
        gone = {row["id"] for row in portal.rows if row["removed_at"]}
        portal.takes(exported)
        after = {row["id"]: row for row in portal.rows}
        for id_, values in staffs.items():
            if values:
                assert {name: after[id_][name] for name in values} == values
        assert all(after[id_]["removed_at"] for id_ in gone if id_ in after)
        before = [dict(row) for row in portal.rows]
        plan = portal.takes(exported)
        assert (plan.added, plan.changed, plan.removed, plan.conflicts) == ([], {}, [], [])
        assert portal.rows == before
        for change in changes:
            portal.staff_does(*change)
        shown = portal.shown()
        portal.takes(exported)  # unchanged, so nothing that staff did is undone
        assert portal.shown() == shown
