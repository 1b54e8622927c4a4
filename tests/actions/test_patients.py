"""What staff change of a patient, whoever else writes meanwhile, and what the next import makes of it."""

from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Flask

from portal import store
from portal.actions import patients
from portal.actions.patients import NoSuchPatient, Refused
from portal.actions.who import COMMAND_LINE, Who
from portal.core import contacts
from portal.core.patient_search import parse
from portal.core.reminders import Preference
from portal.store import changes
from portal.store.patients import Patient
from tests.actions.exports import NOW, Export, find, numbers_of

DANA = Who(7, "Dana")
A, B, C = "0491 570 006", "0491 570 110", "0491 570 156"
HOW: dict[str, Any] = {"who": DANA, "now": NOW}


@pytest.fixture
def export(app: Flask, tmp_path: Path) -> Export:
    """Imported once."""
    export = Export(tmp_path / "export")
    export.set("phone_numbers.csv", {"type": "Home", "number": A}, {"type": "Work", "number": "02 5550 1234"})
    export.run()
    return export


def mia() -> Patient:
    patient: Patient = find(Patient, "p1")
    return patient


def shown() -> list[tuple[str, str]]:
    return [(row.type.value, row.number) for row in numbers_of(mia())]


def number_id(number: str) -> int:
    return next(row.id for row in numbers_of(mia()) if row.number == number)


def conflicts(export: Export) -> list[str]:
    return [conflict.column for conflict in export.run().conflicts]


def found(typed: str) -> list[str]:
    query = parse(typed, "AU", NOW.date())
    assert query
    with store.reading("riverside") as session:
        return [line.full_name for line in store.patient_list.find(session, "riverside", query, 50)]


# --- the next import ----------------------------------------------------------------------------------------


def test_a_number_filed_as_mobile_stays_so(export: Export) -> None:
    patients.file_as_mobile("riverside", mia().id, number_id(A), **HOW)
    assert conflicts(export) == []
    assert shown() == [("Mobile", A), ("Work", "02 5550 1234")]
    export.set("phone_numbers.csv", {"type": "Other", "number": A}, {"type": "Work", "number": "02 5550 1234"})
    assert conflicts(export) == ["type"]
    assert shown()[0] == ("Mobile", A)


def test_a_corrected_number_stays_corrected(export: Export) -> None:
    patients.change_number("riverside", mia().id, number_id(A), "Mobile", B, **HOW)
    assert conflicts(export) == []
    assert shown()[0] == ("Mobile", B)


def test_a_removed_number_stays_away_and_one_put_back_is_the_exports_again(export: Export) -> None:
    removed = number_id(A)
    patients.remove_number("riverside", mia().id, removed, **HOW)
    assert conflicts(export) == []
    assert shown() == [("Work", "02 5550 1234")]
    patients.add_number("riverside", mia().id, "Home", A, **HOW)
    assert conflicts(export) == []
    assert (shown()[0], number_id(A)) == (("Home", A), removed)
    export.set("phone_numbers.csv", {"type": "Mobile", "number": A}, {"type": "Work", "number": "02 5550 1234"})
    assert conflicts(export) == []
    assert shown()[0] == ("Mobile", A)


def test_a_number_of_staffs_own_stays_whatever_the_export_holds(export: Export) -> None:
    patients.add_number("riverside", mia().id, "Mobile", B, **HOW)
    assert conflicts(export) == []
    export.set("phone_numbers.csv", {"type": "Home", "number": C})
    assert conflicts(export) == []
    assert ("Mobile", B) in shown()


def test_the_order_that_staff_chose_stays(export: Export) -> None:
    patients.move_number_up("riverside", mia().id, number_id("02 5550 1234"), **HOW)
    assert conflicts(export) == []
    assert shown() == [("Work", "02 5550 1234"), ("Home", A)]


def test_preference_and_archive_stay_as_staff_set_them(export: Export) -> None:
    export.set("patients.csv", {"automated_reminder": "None", "archived": "yes"})
    export.run()
    asked = HOW | {"note": "rang", "confirmed": True}
    patients.set_preference("riverside", mia().id, "SMS", **asked)
    patients.restore("riverside", mia().id, **asked)
    assert conflicts(export) == []
    assert (mia().preference, mia().archived) == (Preference.SMS, False)
    export.set("patients.csv", {"automated_reminder": "Email", "archived": "yes"})
    assert conflicts(export) == ["automated_reminder"]
    assert (mia().preference, mia().archived) == (Preference.SMS, False)


def test_an_import_keeps_what_is_searched(export: Export) -> None:
    assert found("mia ngu") == found("570006") == found("04/05/1980") == ["Mia Nguyen"]
    export.set("patients.csv", {"last_name": "Ünal", "date_of_birth": "1981-05-04"}, {"id": "p2", "first_name": "Bo"})
    export.set("phone_numbers.csv", {"type": "Home", "number": C}, {"patient_id": "p2", "number": B})
    export.run()
    assert found("unal") == found("570156") == found("04/05/1981") == ["Mia Ünal"]
    assert found("nguyen") == found("570110") == ["Bo Nguyen"]
    assert found("570006") == []
    # Staff's change of another field leaves the name as it is.
    patients.set_preference("riverside", mia().id, "Email", **HOW)
    assert found("unal") == ["Mia Ünal"]


# --- side by side -------------------------------------------------------------------------------------------


def test_of_two_who_add_the_same_number_at_once_one_does(export: Export, app: Flask) -> None:
    done: list[bool] = []
    patient_id = mia().id

    def add() -> None:
        with app.app_context():
            done.append(patients.add_number("riverside", patient_id, "Mobile", B, **HOW))

    threads = [Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False, False, False, True]
    assert [number for _, number in shown()].count(B) == 1


def test_of_two_who_change_what_both_saw_the_second_is_told(export: Export, app: Flask) -> None:
    told: list[str] = []
    patient_id, row_id = mia().id, number_id(A)

    def change(number: str) -> None:
        with app.app_context():
            try:
                patients.change_number("riverside", patient_id, row_id, "Mobile", number, seen=f"Home {A}", **HOW)
            except Refused as refused:
                told.append(str(refused))

    threads = [Thread(target=change, args=[number]) for number in (B, C)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((_, number), _) = shown()
    assert told == [f"Dana has changed this meanwhile: it is now Mobile {number}. Look again, then save."]


def test_what_an_import_changed_meanwhile_is_told_without_a_name(export: Export) -> None:
    export.set("patients.csv", {"automated_reminder": "Email"})
    export.run()
    with pytest.raises(Refused, match="Somebody else has changed this meanwhile: it is now Email"):
        patients.set_preference("riverside", mia().id, "SMS", seen="", note="x", confirmed=True, **HOW)


def test_another_practices_patient_is_not_there(export: Export, tmp_path: Path) -> None:
    Export(tmp_path / "other", id="northgate").run()
    for act in (
        lambda: patients.add_number("northgate", mia().id, "Mobile", B, **HOW),
        lambda: patients.change_number("northgate", mia().id, number_id(A), "Mobile", B, **HOW),
        lambda: patients.remove_number("northgate", mia().id, number_id(A), **HOW),
        lambda: patients.record_opt_out("northgate", mia().id, **HOW),
        lambda: patients.restore("northgate", mia().id, **HOW),
    ):
        with pytest.raises(NoSuchPatient):
            act()


def test_a_number_that_was_there_as_two_types_is_put_back_as_it_was(export: Export) -> None:
    both = [("Home", "02 5550 1234"), ("Work", "02 5550 1234")]
    export.set("phone_numbers.csv", *({"type": type_, "number": number} for type_, number in both))
    export.run()
    assert shown() == both
    for type_, number in both:
        row_id = next(row.id for row in numbers_of(mia()) if row.type == type_)
        patients.remove_number("riverside", mia().id, row_id, **HOW)
        assert patients.add_number("riverside", mia().id, type_, number, **HOW)
        assert shown() == both
        assert not patients.add_number("riverside", mia().id, type_, number, **HOW)  # pressed twice
    with pytest.raises(Refused, match="is on file already, as Home: change it there"):
        patients.add_number("riverside", mia().id, "Other", "02 5550 1234", **HOW)
    assert conflicts(export) == []


def test_a_change_on_the_command_line_is_noted_as_such(export: Export) -> None:
    patients.record_opt_out("riverside", mia().id, note="letter", who=COMMAND_LINE, now=NOW)
    with store.reading("riverside") as session:
        change = changes.last_change(session, changes.Subject.PATIENT, mia_id(), contacts.OPT_OUT)
    assert change
    assert (change.by, change.user_id, change.note) == ("command line", None, "letter")


def mia_id() -> int:
    return 1
