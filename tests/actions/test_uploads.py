"""An uploaded export: checked, agreed to and imported as the command imports it."""

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal import store
from portal.actions.import_practice import import_folder, plan_folder
from portal.actions.remind import run_pass
from portal.actions.upload_receive import receive
from portal.actions.upload_work import work_on
from portal.actions.uploads import (
    LEASE,
    NoSuchUpload,
    UploadRefused,
    discard,
    forget_old,
    list_lost,
    read_rejects,
    show_overview,
    show_upload,
)
from portal.core.reminders import Preference, Sending
from portal.core.states import Status
from portal.store.appointments import Appointment
from portal.store.imports import ImportRun
from portal.store.messages import Message
from portal.store.patients import Patient, PhoneRow
from portal.store.uploads import UploadPiece, UploadState
from tests.builders import PASS_AT, a_practice

from .exports import NOW, Export, Listener, change, everything_stored, find, written_tables
from .uploads import DANA, PRACTICE, RIVERSIDE, a_zip, agree, import_all, look, upload, work


@pytest.fixture
def export(app: Flask, tmp_path: Path) -> Export:
    """Imported once."""
    export = Export(tmp_path / "export")
    export.run()
    return export


def count(model: type) -> int:
    with store.reading(PRACTICE) as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def without_uploads() -> dict[str, list[tuple[object, ...]]]:
    return {
        table: rows
        for table, rows in everything_stored().items()
        if table not in ("uploads", "upload_pieces", "changes", "users")
    }


# --- the way of an import ---


def test_a_new_practice_is_set_up_from_its_first_zip(app: Flask) -> None:
    a_practice(PRACTICE, sending=Sending.REHEARSAL, name="New")
    id_ = upload(a_zip(RIVERSIDE, "riverside/"))
    assert look(id_).state is UploadState.CHECKING
    checked = work(id_)
    assert (checked.state, checked.refusal) == (UploadState.CHECKED, None)
    assert checked.found
    counts = checked.found["counts"]
    assert {file: one["added"] for file, one in counts.items() if file != "practice.json"} == {
        file: one["read"] for file, one in counts.items() if file != "practice.json"
    }
    assert count(Patient) == count(PhoneRow) == 0
    agree(id_)
    imported = work(id_)
    assert imported.state is UploadState.IMPORTED
    assert imported.found
    assert imported.found["counts"] == counts
    assert (count(Patient), count(Appointment)) == (
        counts["patients.csv"]["read"],
        counts["appointments.csv"]["read"],
    )
    assert count(UploadPiece) == 0
    again = work(upload(a_zip(RIVERSIDE))).found or {}
    assert {(one["added"], one["changed"], one["removed"]) for one in again["counts"].values()} == {(0, 0, 0)}


def test_it_is_the_commands_import(app: Flask, tmp_path: Path) -> None:
    for id_ in (PRACTICE, "northgate"):
        a_practice(id_)
    folder = Path(tmp_path / "of northgate")
    folder.mkdir()
    for path in RIVERSIDE.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    practice = json.loads((folder / "practice.json").read_text()) | {"id": "northgate"}
    (folder / "practice.json").write_text(json.dumps(practice))
    import_folder(folder, NOW, report=Listener())
    import_all(a_zip(RIVERSIDE))

    def rows(practice_id: str) -> list[tuple[object, ...]]:
        with store.reading(practice_id) as session:
            found = session.execute(
                select(
                    Appointment.external_id,
                    Appointment.starts_at,
                    Patient.external_id,
                    PhoneRow.number,
                    PhoneRow.e164,
                )
                .join(Patient, Patient.id == Appointment.patient_id)
                .join(PhoneRow, PhoneRow.patient_id == Patient.id, isouter=True)
            )
            return sorted(map(tuple, found), key=repr)

    assert rows("northgate") == rows(PRACTICE) != []


def test_a_check_writes_nothing_and_says_what_the_import_then_does(export: Export) -> None:
    change(Patient, "p1", preference=Preference.EMAIL)
    export.practice = (export.practice or {}) | {"name": "Riverside Clinic"}
    export.set("patients.csv", {"automated_reminder": "None", "last_name": "Tran"}, {"id": "p2", "first_name": "Ben"})
    export.set("phone_numbers.csv", {"number": "0491 570 110"}, {"patient_id": "p2"}, {"patient_id": "p2"})
    export.set("businesses.csv", {"contact_number": ""}, {"id": "b2", "name": "South Clinic"})
    export.set("appointments.csv", {"id": "a2", "patient_id": "p2", "business_id": "b2"})
    folder = export.write()
    with written_tables() as tables:
        planned = plan_folder(
            folder, NOW, report=Listener(), practice_id=PRACTICE, rejects=export.folder.parent / "rejects.csv"
        )
    assert tables == set()
    assert [(one.file, one.kind, one.name, one.changes) for one in planned.examples] == [
        ("practice.json", "changed", "Riverside", (("name", "Riverside", "Riverside Clinic"),)),
        ("businesses.csv", "changed", "North Clinic", (("contact_number", "(02) 5550 9325", ""),)),
        ("businesses.csv", "added", "South Clinic", ()),
        ("patients.csv", "changed", "Mia Nguyen", (("last_name", "Nguyen", "Tran"),)),
        ("patients.csv", "added", "Ben Nguyen", ()),
        ("phone_numbers.csv", "changed", "Mia Tran", (("number", "0491 570 006", "0491 570 110"),)),
        ("appointments.csv", "added", "Ben Nguyen", ()),
    ]
    assert planned.missing == ("a1",)
    done = export.run(agreed=planned.fingerprint)
    assert done.is_imported
    assert (done.counts, done.conflicts, done.missing) == (planned.counts, planned.conflicts, planned.missing)
    assert len(done.conflicts) == 1


@pytest.mark.parametrize("withdraws", [False, True])
def test_missing_appointments_are_cancelled_only_where_that_is_ticked(export: Export, withdraws: bool) -> None:
    export.set("appointments.csv", {"id": "a2"})
    done = import_all(a_zip(export.write()), withdraws_missing=withdraws)
    assert (done.found or {})["missing"] == ["a1"]
    assert (find(Appointment, "a1").cancelled_at is not None) is withdraws


@pytest.mark.parametrize("status", [Status.DELIVERED, Status.UNKNOWN, Status.QUEUED])
def test_who_was_reminded_of_a_missing_appointment_is_named(export: Export, status: Status) -> None:
    """Nothing else tells them that they need not come."""
    assert run_pass(PRACTICE, PASS_AT, PASS_AT)
    with store.transaction(PRACTICE) as session:
        reminder = session.scalars(select(Message)).one()
        reminder.status, reminder.sent_at = status, PASS_AT if status is Status.DELIVERED else None
    said = {
        Status.DELIVERED: "Mia has been reminded of it, today at 10am.",
        Status.UNKNOWN: "Mia may have been reminded of it: the provider gave no clear answer.",
        Status.QUEUED: "",
    }[status]
    later = PASS_AT + timedelta(minutes=5)
    export.set("appointments.csv", {"id": "a2", "starts_at": "2031-05-08 11:00", "ends_at": "2031-05-08 11:30"})
    id_ = upload(a_zip(export.write()), now=later)
    work(id_, now=later)
    assert [one.reminded for one in show_upload(PRACTICE, id_, later).missing] == [said]
    agree(id_, now=later, withdraws_missing=True)
    done = work(id_, now=later)
    assert [one.reminded for one in show_upload(PRACTICE, id_, later).missing] == [said]
    assert (done.found or {})["counts"]["appointments.csv"]["removed"] == 1
    next_week = later + timedelta(days=7)
    assert [one.reminded for one in show_upload(PRACTICE, id_, next_week).missing] == [""]


def test_bad_rows_are_left_out_only_where_that_is_ticked(export: Export) -> None:
    export.set("patients.csv", {"archived": "perhaps"}, {"id": "p2", "first_name": "=cmd|' /C calc'!A0"})
    export.set("phone_numbers.csv", {}, {"patient_id": "p2", "type": "Telepathy", "number": "=1+1"})
    id_ = upload(a_zip(export.write()))
    checked = work(id_)
    found = checked.found or {}
    assert found["problem_count"] == 2
    first = found["problems"][0]
    assert (first["file"], first["line"], first["column"], first["value"]) == (
        "patients.csv",
        2,
        "archived",
        "perhaps",
    )
    with pytest.raises(UploadRefused, match="only the good rows") as refused:
        agree(id_, accepts_valid=False)
    assert refused.value.field == "accept"
    assert b"'=1+1" in b"".join(read_rejects(PRACTICE, id_))
    agree(id_)
    assert work(id_).state is UploadState.IMPORTED
    assert find(Patient, "p2").first_name == "=cmd|' /C calc'!A0"  # stored as it is: a text
    assert b"\r\nphone_numbers.csv,3," in b"".join(read_rejects(PRACTICE, id_))


def test_what_was_agreed_to_no_longer_holds_so_it_is_said_anew(export: Export) -> None:
    export.set("patients.csv", {"last_name": "Tran"})
    id_ = upload(a_zip(export.write()))
    work(id_)
    agree(id_)
    change(Patient, "p1", last_name="Smith")
    before = without_uploads()
    again = work(id_)
    assert (again.state, again.is_anew) == (UploadState.CHECKED, True)
    assert (again.found or {})["conflicts"] == [
        {"file": "patients.csv", "id": "p1", "column": "last_name", "exported": "Tran"}
    ]
    assert without_uploads() == before
    agree(id_)
    done = work(id_)
    assert (done.state, done.is_anew) == (UploadState.IMPORTED, False)
    assert find(Patient, "p1").last_name == "Smith"
    assert [one.name for one in show_upload(PRACTICE, id_, NOW).conflicts] == ["Mia Smith"]


def test_a_page_that_is_no_longer_what_would_be_done_confirms_nothing(export: Export) -> None:
    id_ = upload(a_zip(export.write()))
    work(id_)
    with pytest.raises(UploadRefused, match="checked once more"):
        agree(id_, seen="of another time")
    assert look(id_).state is UploadState.CHECKED


def test_confirmed_twice_it_is_imported_once(export: Export) -> None:
    export.set("patients.csv", {"last_name": "Tran"})
    id_ = upload(a_zip(export.write()))
    work(id_)
    agree(id_)
    agree(id_)
    work(id_)
    runs = count(ImportRun)
    agree(id_)
    work(id_)
    assert (count(ImportRun), look(id_).state) == (runs, UploadState.IMPORTED)


# --- one at a time, and not for ever ---


def test_one_import_at_a_time_for_a_practice(export: Export) -> None:
    a_practice("northgate")
    first = upload(a_zip(export.folder))
    with pytest.raises(UploadRefused, match="Another import is under way"):
        upload(a_zip(export.folder))
    upload(a_zip(export.folder), practice_id="northgate")
    discard(PRACTICE, first, NOW)
    assert look(first).state is UploadState.DISCARDED
    assert count(UploadPiece) == 0
    work(first)
    assert look(first).state is UploadState.DISCARDED
    upload(a_zip(export.folder))


def test_discarded_while_it_is_checked_it_stays_so(export: Export) -> None:
    id_ = upload(a_zip(export.folder))
    told: list[int] = []

    def discard_it(done: int, total: int) -> None:
        if not told:
            told.append(done)
            discard(PRACTICE, id_, NOW)

    work_on(PRACTICE, id_, lambda: NOW, discard_it)
    assert look(id_).state is UploadState.DISCARDED


def test_what_its_worker_left_is_taken_up_again_and_given_up_after_three_times(export: Export) -> None:
    id_ = upload(a_zip(export.folder))
    later = NOW
    for _ in range(3):
        later += LEASE
        assert list_lost(later) == [(PRACTICE, id_)]
        with store.transaction(PRACTICE) as session:
            assert store.uploads.claim_upload(session, id_, "killed", later, later - LEASE)
        assert list_lost(later + timedelta(seconds=30)) == []
        assert work(id_, now=later).state is UploadState.CHECKING  # somebody is at it
    done = work(id_, now=later + LEASE)
    assert (done.state, done.refusal) == (UploadState.REFUSED, done.refusal)
    assert "three times" in (done.refusal or "")
    assert list_lost(later + 2 * LEASE) == []


def test_after_a_day_the_file_is_gone_and_the_record_stays(export: Export) -> None:
    done = import_all(a_zip(export.folder)).id
    left = upload(a_zip(export.folder))
    work(left)
    assert forget_old(NOW + timedelta(hours=23)) == 0
    assert forget_old(NOW + timedelta(hours=25)) == 2
    for id_ in (done, left):
        with pytest.raises(NoSuchUpload):
            show_upload(PRACTICE, id_, NOW)
    assert count(UploadPiece) == 0
    overview = show_overview(PRACTICE, 10)
    assert (overview.open, len(overview.runs)) == (None, 2)


def test_what_no_worker_took_for_a_day_is_refused_in_words_and_told_for_a_day(export: Export) -> None:
    export.set("patients.csv", {"last_name": "Tran"})
    id_ = upload(a_zip(export.write()))
    work(id_)
    agree(id_)
    late = NOW + timedelta(hours=25)
    assert forget_old(late) == 1
    one = look(id_)
    assert one.state is UploadState.REFUSED and "No worker took it" in (one.refusal or "")
    assert work(id_, now=late).state is UploadState.REFUSED
    assert find(Patient, "p1").last_name == "Nguyen"
    assert forget_old(late + timedelta(hours=23)) == 0
    assert forget_old(late + timedelta(hours=25)) == 1


@pytest.mark.parametrize("how", ["discarded", "refused"])
def test_where_nothing_is_imported_no_name_and_no_row_is_kept(export: Export, how: str) -> None:
    export.set("patients.csv", {"last_name": "Tran"}, {"id": "p2", "archived": "perhaps"})
    id_ = upload(a_zip(export.write()))
    found = work(id_).found or {}
    assert found["has_rejects"] and found["examples"]
    if how == "discarded":
        discard(PRACTICE, id_, NOW)
    else:
        agree(id_)
        for attempt in range(3):
            with store.transaction(PRACTICE) as session:
                at = NOW + attempt * LEASE
                assert store.uploads.claim_upload(session, id_, "killed", at, at - LEASE)
        work(id_, now=NOW + 3 * LEASE)
    assert (look(id_).state.value, look(id_).found, count(UploadPiece)) == (how, None, 0)


# --- whose it is ---


def test_the_export_of_another_practice_is_refused_in_words(app: Flask, tmp_path: Path) -> None:
    a_practice(PRACTICE)
    before = without_uploads()
    done = work(upload(a_zip(Export(tmp_path / "e", id="northgate").write())))
    assert done.state is UploadState.REFUSED
    assert done.refusal == (
        "practice.json is that of the practice “northgate”, and this practice is “riverside”. "
        "Is it the right folder? Then take practice.json out of it, or write “riverside” as its id, and import it "
        "again."
    )
    assert without_uploads() == before
    assert count(UploadPiece) == 0


def test_no_other_practice_sees_it(export: Export) -> None:
    a_practice("northgate")
    id_ = upload(a_zip(export.folder))
    with pytest.raises(NoSuchUpload):
        show_upload("northgate", id_, NOW)
    with pytest.raises(NoSuchUpload):
        read_rejects("northgate", id_)
    with pytest.raises(NoSuchUpload):
        discard("northgate", id_, NOW)


def test_nothing_or_anything_is_no_upload(export: Export) -> None:
    for content in (b"", b"   ", bytes(range(256)) * 50):
        with pytest.raises(UploadRefused):
            receive(PRACTICE, "x", io.BytesIO(content), DANA, NOW)
