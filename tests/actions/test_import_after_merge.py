"""Importing after two records were merged: the export still speaks of both."""

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal import store
from portal.actions import patients
from portal.core.reminders import Preference
from portal.store.appointments import Appointment
from portal.store.patients import Patient

from .exports import NOW, Export, everything_stored, find, numbers_of
from .merging import DANA, merge

A, B, C, D = "0491 570 006", "0491 570 110", "0491 570 156", "0491 570 157"
BOTH: tuple[dict[str, str], ...] = ({}, {"id": "p2", "first_name": "Mira"})


@pytest.fixture
def export(app: Flask, tmp_path: Path) -> Export:
    """Imported once, with two records of Mia, which are merged then."""
    export = Export(tmp_path / "export")
    export.set("patients.csv", *BOTH)
    export.set(
        "phone_numbers.csv",
        {"number": A},
        {"number": B, "type": "Home"},
        {"patient_id": "p2", "number": "+61 491 570 006"},
        {"patient_id": "p2", "number": C},
    )
    export.set(
        "appointments.csv",
        {},
        {"id": "a2", "patient_id": "p2", "starts_at": "2031-05-08 11:00", "ends_at": "2031-05-08 11:30"},
    )
    export.run()
    merge("riverside", mia().id, find(Patient, "p2").id, confirmed=True, who=DANA, now=NOW)
    return export


def mia() -> Patient:
    patient: Patient = find(Patient, "p1")
    return patient


def shown() -> list[tuple[str, str]]:
    return [(row.type.value, row.number) for row in numbers_of(mia())]


def count_patients() -> int:
    with store.reading("riverside") as session:
        return session.scalar(select(func.count(Patient.id))) or 0


def test_the_same_export_changes_nothing_and_every_row_is_counted(export: Export) -> None:
    before = everything_stored()
    done = export.run()
    assert done.is_imported and done.conflicts == ()
    assert everything_stored() == before
    for file, rows in (("patients.csv", 2), ("phone_numbers.csv", 4), ("appointments.csv", 2)):
        counts = done.counts[file]
        assert (counts.read, counts.unchanged, counts.added, counts.changed, counts.removed) == (rows, rows, 0, 0, 0)
    assert shown() == [("Mobile", A), ("Home", B), ("Mobile", C)]
    assert count_patients() == 1


def test_the_row_of_the_record_that_went_changes_nothing(export: Export) -> None:
    export.set("patients.csv", {}, {"id": "p2", "first_name": "Myra", "archived": "yes", "automated_reminder": "SMS"})
    done = export.run()
    assert (done.counts["patients.csv"].unchanged, done.conflicts) == (2, ())
    assert (mia().first_name, mia().archived, mia().preference) == ("Mia", False, None)
    export.set("patients.csv", {"first_name": "Mio"}, {"id": "p2"})
    export.run()
    assert mia().first_name == "Mio"


def test_its_numbers_and_appointments_come_to_the_one_who_was_kept(export: Export) -> None:
    assert export.rows["phone_numbers.csv"]
    export.rows["phone_numbers.csv"][3]["number"] = D  # corrected
    export.rows["phone_numbers.csv"].append({"patient_id": "p2", "type": "Work", "number": "02 5550 1234"})
    assert export.rows["appointments.csv"]
    export.rows["appointments.csv"].append(
        export.rows["appointments.csv"][1]
        | {"id": "a3", "starts_at": "2031-05-09 11:00", "ends_at": "2031-05-09 11:30"}
    )
    export.rows["appointments.csv"][1]["cancelled_at"] = "2031-05-01 08:00"
    done = export.run()
    assert done.conflicts == ()
    assert shown() == [("Mobile", A), ("Home", B), ("Mobile", D), ("Work", "02 5550 1234")]
    assert {find(Appointment, id_).patient_id for id_ in ("a1", "a2", "a3")} == {mia().id}
    assert find(Appointment, "a2").cancelled_at is not None
    assert export.run().counts["phone_numbers.csv"].unchanged == 5


def test_numbers_stay_where_the_export_has_merged_them_too(export: Export) -> None:
    """The clinic's own system has one record now: of the other nothing is said any more."""
    export.set("patients.csv", {})
    export.set("phone_numbers.csv", {"number": A}, {"number": B, "type": "Home"})
    export.set("appointments.csv", {}, {"id": "a2", "starts_at": "2031-05-08 11:00", "ends_at": "2031-05-08 11:30"})
    done = export.run()
    assert done.conflicts == ()
    assert shown() == [("Mobile", A), ("Home", B), ("Mobile", C)]
    assert find(Appointment, "a2").patient_id == mia().id


def test_one_without_a_number_any_more_loses_its_own_only(export: Export) -> None:
    theirs = {"patient_id": "p2"}
    export.set("phone_numbers.csv", theirs | {"number": "+61 491 570 006"}, theirs | {"number": C})
    export.run()
    assert shown() == [("Mobile", C)]


def test_staffs_changes_of_numbers_stand_after_a_merge(export: Export) -> None:
    theirs = next(row for row in numbers_of(mia()) if row.number == C)
    patients.move_number_up("riverside", mia().id, theirs.id, who=DANA, now=NOW)
    patients.change_number("riverside", mia().id, theirs.id, "Mobile", D, who=DANA, now=NOW)
    patients.add_number("riverside", mia().id, "Work", "02 5550 1234", who=DANA, now=NOW)
    was = [("Mobile", A), ("Mobile", D), ("Home", B), ("Work", "02 5550 1234")]
    assert shown() == was
    assert export.run().conflicts == ()
    assert sorted(shown()) == sorted(was)


def test_a_wish_that_came_with_the_record_that_went_stays(app: Flask, tmp_path: Path) -> None:
    export = Export(tmp_path / "export")
    export.set("patients.csv", {}, {"id": "p2", "automated_reminder": "None"})
    export.run()
    merge("riverside", mia().id, find(Patient, "p2").id, confirmed=True, who=DANA, now=NOW)
    for preference in ("", "SMS"):
        export.set("patients.csv", {"automated_reminder": preference}, {"id": "p2", "automated_reminder": "None"})
        export.run()
        assert mia().preference is Preference.NONE


def test_three_records_become_one_and_the_export_still_has_three(app: Flask, tmp_path: Path) -> None:
    export = Export(tmp_path / "export")
    export.set("patients.csv", {}, {"id": "p2"}, {"id": "p3"})
    export.set(
        "phone_numbers.csv",
        {"number": A},
        {"patient_id": "p2", "number": B},
        {"patient_id": "p3", "number": C},
    )
    export.run()
    second, third = find(Patient, "p2").id, find(Patient, "p3").id
    merge("riverside", second, third, confirmed=True, who=DANA, now=NOW)
    merge("riverside", mia().id, second, confirmed=True, who=DANA, now=NOW)
    before = everything_stored()
    assert export.run().conflicts == ()
    assert everything_stored() == before
    assert shown() == [("Mobile", A), ("Mobile", B), ("Mobile", C)]
