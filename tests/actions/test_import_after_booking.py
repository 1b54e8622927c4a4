"""Importing after staff have added, moved or cancelled appointments: what they did stands, the rest follows."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal import store
from portal.actions.add_patient import Given, add_patient
from portal.actions.book import book, foresee_booking
from portal.actions.booking import Asked
from portal.actions.cancel import cancel, show_cancel, take_up
from portal.actions.move import foresee_move, move, show_move
from portal.actions.remind import run_pass
from portal.actions.who import Who
from portal.core.states import Status
from portal.store.appointments import Appointment
from portal.store.patients import Patient
from portal.store.practices import Business, Practitioner
from tests.actions.exports import NOW, Export, everything_stored, find, numbers_of, written_tables
from tests.actions.test_remind import balance, the_log
from tests.builders import PASS_AT

DANA = Who(2, "Dana")
LATER = PASS_AT + timedelta(minutes=20)
ADA = Given("Ada", "Silva", "1990-02-01", "", "0491 570 110", "")


@pytest.fixture
def export(app: Flask, tmp_path: Path) -> Export:
    """Imported once."""
    export = Export(tmp_path / "export")
    export.set("businesses.csv", {}, {"id": "b2", "name": "Quay", "timezone": "Australia/Perth"})
    export.set("practitioners.csv", {}, {"id": "d2"})
    export.run()
    return export


def conflicts(export: Export, **options: Any) -> list[str]:
    return [conflict.column for conflict in export.run(**options).conflicts]


def staff_move(**values: Any) -> None:
    shown = show_move("riverside", find(Appointment, "a1").id, NOW)
    asked = replace(shown.asked, **values)
    id_ = shown.found.appointment.id
    foreseen = foresee_move("riverside", id_, asked, NOW)
    assert foreseen is not None
    assert move("riverside", id_, asked, shown.state, foreseen.effect.key, DANA, NOW)


def staff_cancel(*, cancels: bool = True) -> None:
    id_ = find(Appointment, "a1").id
    shown = show_cancel("riverside", id_, NOW, cancels=cancels)
    assert (cancel if cancels else take_up)("riverside", id_, shown.state, shown.effect.key, DANA, NOW)


def wall(appointment: Appointment) -> str:
    return f"{appointment.starts_wall:%d %H:%M}-{appointment.ends_wall:%H:%M}"


def a_booking(patient_id: int, time: str = "11:00") -> int:
    own = find(Appointment, "a1")
    asked = Asked(own.business_id, own.practitioner_id, own.appointment_type_id, "2031-05-08", time)
    effect = foresee_booking("riverside", patient_id, asked, NOW).effect
    return book("riverside", patient_id, asked, "", effect.key, DANA, NOW)


def test_a_moved_one_stays_where_staff_moved_it(export: Export) -> None:
    staff_move(time="14:00")
    before = everything_stored()
    with written_tables() as tables:
        assert conflicts(export) == []
    assert tables == {"import_runs"}
    assert everything_stored() == before
    moved = find(Appointment, "a1")
    assert (wall(moved), moved.revision, moved.moved_at) == ("08 14:00-14:30", 1, NOW)


def test_where_the_export_moves_it_too_staffs_time_stands_and_the_conflict_is_listed(export: Export) -> None:
    staff_move(time="14:00")
    export.set("appointments.csv", {"starts_at": "2031-05-08 16:00", "ends_at": "2031-05-08 16:30"})
    assert conflicts(export) == ["starts_at", "ends_at"]
    moved = find(Appointment, "a1")
    assert (wall(moved), moved.revision) == ("08 14:00-14:30", 1)
    assert conflicts(export) == []


def test_moved_to_another_business_it_keeps_its_clocks(export: Export) -> None:
    staff_move(business_id=find(Business, "b2").id)
    assert conflicts(export) == []
    moved = find(Appointment, "a1")
    assert (moved.timezone, wall(moved), moved.revision) == ("Australia/Perth", "08 09:30-10:00", 1)
    starts_at = moved.starts_at
    export.set("appointments.csv", {"starts_at": "2031-05-09 09:30", "ends_at": "2031-05-09 10:00"})
    assert conflicts(export) == []  # staff left the time as it was
    moved = find(Appointment, "a1")
    assert (moved.timezone, wall(moved), moved.revision) == ("Australia/Perth", "09 09:30-10:00", 2)
    assert moved.starts_at == starts_at + timedelta(days=1)


def test_what_staff_left_alone_follows_the_export(export: Export) -> None:
    staff_move(time="14:00")
    export.set("appointments.csv", {"practitioner_id": "d2", "booked_at": "2031-04-02 09:00"})
    assert conflicts(export) == []
    moved = find(Appointment, "a1")
    assert (wall(moved), moved.practitioner_id) == ("08 14:00-14:30", find(Practitioner, "d2").id)
    assert f"{moved.booked_at:%d %H}" == "01 22"  # 9am on the 2nd in Sydney
    assert moved.revision == 1


def test_the_export_cancels_what_staff_moved(export: Export) -> None:
    staff_move(time="14:00")
    run_pass("riverside", PASS_AT, PASS_AT)
    assert balance() == 99
    export.set("appointments.csv", {"cancelled_at": "2031-05-07 10:15"})
    assert conflicts(export, now=LATER) == []
    assert (the_log()["a1"].status, balance()) == (Status.CANCELLED, 100)


def test_a_cancellation_by_staff_stands_and_so_does_taking_it_up_again(export: Export) -> None:
    staff_cancel()
    assert conflicts(export) == []
    assert find(Appointment, "a1").cancelled_at == NOW
    staff_cancel(cancels=False)
    assert conflicts(export) == []
    assert find(Appointment, "a1").cancelled_at is None
    # Both sides are of one mind again: from here on the export leads.
    export.set("appointments.csv", {"cancelled_at": "2031-05-01 08:00"})
    assert conflicts(export) == []
    assert find(Appointment, "a1").cancelled_at is not None


def test_what_the_export_cancelled_and_staff_took_up_stands(export: Export) -> None:
    export.set("appointments.csv", {"cancelled_at": "2031-05-01 08:00"})
    export.run()
    staff_cancel(cancels=False)
    assert conflicts(export) == []
    assert find(Appointment, "a1").cancelled_at is None
    export.set("appointments.csv", {"cancelled_at": "2031-05-01 08:30"})
    assert conflicts(export) == ["cancelled_at"]
    assert find(Appointment, "a1").cancelled_at is None


def test_one_that_staff_cancelled_and_took_up_again_is_missing_like_any_other(export: Export) -> None:
    staff_cancel()
    staff_cancel(cancels=False)
    export.set("appointments.csv")
    assert export.run().missing == ("a1",)


@pytest.mark.parametrize("withdraw_missing", [False, True])
def test_what_staff_added_is_not_missing(export: Export, withdraw_missing: bool) -> None:
    patient_id = add_patient("riverside", ADA, "", is_another=False, who=DANA, now=NOW)
    added = a_booking(patient_id)
    a_booking(find(Patient, "p1").id, "12:00")
    run_pass("riverside", PASS_AT, PASS_AT)
    assert balance() == 97
    before = everything_stored()
    result = export.run(now=LATER, withdraw_missing=withdraw_missing)
    assert (result.missing, result.conflicts) == ((), ())
    assert everything_stored() == before
    export.set("appointments.csv")  # all that the export had is gone
    export.set("patients.csv", {"last_name": "Tran"})
    export.set("phone_numbers.csv")
    assert export.run(now=LATER, withdraw_missing=withdraw_missing).missing == ("a1",)
    assert balance() == (98 if withdraw_missing else 97)
    with store.reading("riverside") as session:
        assert session.get_one(Appointment, added).cancelled_at is None
        ada = session.get_one(Patient, patient_id)
    assert [row.number for row in numbers_of(ada)] == [ADA.number]
