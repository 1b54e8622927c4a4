"""Exports with faults: each is named with file, line, column and cause, and nothing is half-imported."""

import csv
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal.actions.import_practice import CannotImport
from portal.store.appointments import Appointment
from portal.store.patients import Patient
from portal.store.practices import SmsTemplate
from tests.actions.exports import ROWS, Export, Listener, everything_stored, find, run, written_tables


@pytest.fixture
def export(app: Flask, tmp_path: Path) -> Export:
    return Export(tmp_path / "export")


def problems(export: Export, **options: Any) -> list[str]:
    """What an import that must fail says. Nothing may be written."""
    listener = Listener()
    with written_tables() as tables:
        result = export.run(listener, **options)
    assert (result.is_imported, result.problems) == (False, len(listener.lines))
    assert tables == set()
    return listener.lines


PATIENT = "patients.csv"
APPOINTMENT = "appointments.csv"
TIME = (
    "not a time that can be read: write 2031-05-08T09:30:00+10:00, or 2031-05-08 09:30 for the business's local time."
)
BAD_VALUES: list[tuple[str, str, str, str]] = [
    ("businesses.csv", "id", "", "must not be empty."),
    ("businesses.csv", "name", " ", "must not be empty."),
    ("businesses.csv", "name", "x" * 201, "longer than 200 characters."),
    ("businesses.csv", "timezone", "Mars/Olympus", "not a time zone: use a name of the IANA list"),
    ("businesses.csv", "timezone", "australia/sydney", "not a time zone"),
    ("businesses.csv", "timezone", "../etc/passwd", "not a time zone"),
    ("businesses.csv", "sms_reminders", "Maybe", "write On or Off."),
    ("businesses.csv", "sms_reminders", "", "write On or Off."),
    ("sms_templates.csv", "body", "x" * 2001, "longer than 2000 characters."),
    ("sms_templates.csv", "body", "a\x00b", "holds a control character."),
    ("appointment_types.csv", "duration_minutes", "half an hour", "write whole minutes, from 0 to 1440."),
    ("appointment_types.csv", "duration_minutes", "-5", "write whole minutes"),
    ("appointment_types.csv", "duration_minutes", "1441", "write whole minutes"),
    ("appointment_types.csv", "reminder_template", "t9", "no row of sms_templates.csv has this id."),
    ("appointment_types.csv", "reminder_template", "", "write the id of a template, or None."),
    (PATIENT, "id", "p" * 201, "longer than 200 characters."),
    (PATIENT, "first_name", "Mi\x07a", "holds a line break or another control character."),
    (PATIENT, "last_name", "Ngu\u2028yen", "holds a line break or another control character."),
    (PATIENT, "date_of_birth", "04/05/1980", "not a date that can be read: write 2031-05-08."),
    (PATIENT, "date_of_birth", "1980-02-30", "not a date that can be read"),
    (PATIENT, "email", "\x00", "holds a line break or another control character."),
    (PATIENT, "automated_reminder", "Pigeon", "write one of None, SMS, Email, SMS & Email, or leave it blank."),
    (PATIENT, "archived", "perhaps", "write yes, or leave it blank."),
    ("phone_numbers.csv", "patient_id", "p9", "no row of patients.csv has this id."),
    ("phone_numbers.csv", "type", "Pager", "not a type of number: use Mobile, Home, Work, Fax, Other."),
    ("phone_numbers.csv", "number", "0491 \x1b 570 006", "holds a line break or another control character."),
    (APPOINTMENT, "business_id", "b9", "no row of businesses.csv has this id."),
    (APPOINTMENT, "practitioner_id", "d9", "no row of practitioners.csv has this id."),
    (APPOINTMENT, "appointment_type_id", "k9", "no row of appointment_types.csv has this id."),
    (APPOINTMENT, "patient_id", "p9", "no row of patients.csv has this id."),
    (APPOINTMENT, "starts_at", "08/05/2031 09:30", TIME),
    (APPOINTMENT, "starts_at", "2031-05-07", TIME),
    (APPOINTMENT, "starts_at", "2031-02-30 09:30", TIME),
    (APPOINTMENT, "starts_at", "2031-04-06 02:30", "this local time occurs twice in Australia/Sydney"),
    (APPOINTMENT, "ends_at", "2031-10-05 02:30", "this local time never occurs in Australia/Sydney"),
    (APPOINTMENT, "ends_at", "2031-05-08 09:29", "it ends before it starts."),
    (APPOINTMENT, "booked_at", "", TIME),
    (APPOINTMENT, "booked_at", "0031-05-08 09:30", "the year must lie between 1900 and 2200."),
    (APPOINTMENT, "cancelled_at", "yes", TIME),
]
PERSONAL = {
    (PATIENT, "id"),
    *((PATIENT, column) for column in ("first_name", "last_name", "date_of_birth", "email")),
    ("phone_numbers.csv", "number"),
    ("phone_numbers.csv", "patient_id"),
    *((APPOINTMENT, column) for column in ("patient_id", "starts_at", "ends_at", "booked_at", "cancelled_at")),
}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("file", "column", "value", "cause"), BAD_VALUES)
def test_a_bad_value_is_named(export: Export, file: str, column: str, value: str, cause: str) -> None:
    others = [{"id": "other"}] if "id" in ROWS[file] else []
    export.set(file, *others, {column: value})
    line = 2 + len(others)
    found = [text for text in problems(export) if text.startswith(f"{file}:")]
    [text] = found
    assert text.startswith(f"{file}:{line}: {column}: ")
    assert cause in text
    if (file, column) in PERSONAL and value:
        assert value not in text
    elif value.isprintable() and 0 < len(value) < 40 and value != " ":
        assert f'"{value}"' in text


def test_all_bad_values_of_all_rows_are_named(export: Export) -> None:
    export.set("patients.csv", {"date_of_birth": "x", "archived": "x"}, {"id": "p2", "automated_reminder": "x"})
    export.set("appointments.csv", {"business_id": "b9"}, {"id": "a2", "starts_at": "x", "ends_at": "x"})
    assert [text.split(": ")[:2] for text in problems(export)] == [
        ["patients.csv:2", "date_of_birth"],
        ["patients.csv:2", "archived"],
        ["patients.csv:3", "automated_reminder"],
        ["phone_numbers.csv:2", "patient_id"],
        ["appointments.csv:2", "business_id"],
        ["appointments.csv:2", "patient_id"],
        ["appointments.csv:3", "patient_id"],
        ["appointments.csv:3", "starts_at"],
        ["appointments.csv:3", "ends_at"],
    ]


def test_duplicate_ids_are_named_however_far_apart(export: Export) -> None:
    rows = [{"id": f"p{n}"} for n in range(2500)]
    export.set("patients.csv", *rows, {"id": "p1"}, {"id": " p2400 "}, {"id": "P1"})
    export.set("appointments.csv", {}, {})
    assert problems(export) == [
        "patients.csv:2502: id: line 3 has the same id.",
        "patients.csv:2503: id: line 2402 has the same id.",
        "appointments.csv:3: id: line 2 has the same id.",
    ]


def test_after_a_failed_import_everything_is_as_it_was(export: Export) -> None:
    export.run()
    before = everything_stored()
    export.set("patients.csv", {"first_name": "Ana"}, {"id": "p2"})
    export.set("appointments.csv", {"starts_at": "soon"})
    problems(export)
    assert everything_stored() == before


# --- practice.json ---


@pytest.mark.parametrize(
    ("key", "value", "cause"),
    [
        ("id", "", "1 to 64 printable characters without spaces"),
        ("id", "river side", "1 to 64 printable characters without spaces"),
        ("id", "x" * 65, "1 to 64 printable characters without spaces"),
        ("id", 7, "a text in quotation marks"),
        ("name", " ", "must not be empty"),
        ("name", None, "a text in quotation marks"),
        ("country", "Australia", "not a country: use its two letters of ISO 3166"),
        ("country", "XX", "not a country"),
        ("default_reminder", "", "write one of None, SMS, Email, SMS & Email"),
        ("lead_days", 0, "a whole number from 1 to 14"),
        ("lead_days", 15, "a whole number from 1 to 14"),
        ("lead_days", "1", "a whole number from 1 to 14"),
        ("lead_days", True, "a whole number from 1 to 14"),
        ("lead_days", 1.5, "a whole number from 1 to 14"),
        ("window_start", "10:30", "a full hour from 06:00 to 15:00"),
        ("window_start", "16:00", "a full hour from 06:00 to 15:00"),
        ("window_start", 10, "a text in quotation marks"),
        ("credits", 10**12, "a whole number from -1000000000"),
        ("credits", [], "a whole number"),
        ("sending", "sometimes", "write one of on, paused, rehearsal"),
        ("sender", "The Riverside Clinic", "at most 11 letters"),
        ("sender", "Zoë", "at most 11 letters"),
        ("sender", "0491 570", "not a phone number of Australia"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_bad_setting_is_named(export: Export, key: str, value: Any, cause: str) -> None:
    export.practice = (export.practice or {}) | {key: value}
    line = 2 + list(export.practice).index(key)
    [text] = problems(export)
    assert text.startswith(f"practice.json:{line}: {key}: ")
    assert cause in text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"id": "riverside",\n "name": }', "practice.json:2: it is not well-formed JSON: Expecting value."),
        (b"[]", "practice.json:1: it must hold one object"),
        (b"[" * 60_000, "practice.json:1: it is nested too deeply."),
        (b" " * 70_000, "practice.json:1: it is longer than 64 KB."),
        ('{"name": "Zoë"}'.encode("latin-1"), "practice.json:1: it is not UTF-8."),
        (b"{}", "practice.json:1: id: it is missing."),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_settings_file_that_cannot_be_read_is_named(export: Export, content: bytes, expected: str) -> None:
    (export.write() / "practice.json").write_bytes(content)
    listener = Listener()
    assert not run(export.folder, listener, accept_valid=True).is_imported
    assert listener.lines[0].startswith(expected)


# --- files as a whole ---


def test_missing_columns_are_all_named(export: Export) -> None:
    folder = export.write()
    (folder / "patients.csv").write_text("id,first_name,email,email\n1,Mia,x,y\n")
    listener = Listener()
    run(folder, listener)
    missing = ["last_name", "date_of_birth", "automated_reminder", "archived"]
    assert listener.lines == [f"patients.csv:1: {column}: this column is missing." for column in missing] + [
        "patients.csv:1: email: this column is there twice: rename one, or take it out."
    ]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "empty: its first line must name the columns."),
        ("id,first_name\r\n1,Mia\r\n".encode("utf-16"), "written in UTF-16."),
        ("id,first_name\r\n1,Mia\r\n".encode("utf-16-le"), "holds NUL bytes"),
        (b"PK\x03\x04\x14\x00\x08\x00 a spreadsheet", "holds NUL bytes"),
        (b"id;first_name;last_name\n1;Mia;Nguyen\n", "its columns are not separated by commas."),
        (b"x" * 20_000_000, "longer than 64 KB"),
        (b'id,"first_name\n1,Mia\n', "a quotation mark is opened in this row and not closed."),
        (b"id,first_name\r1,Mia\r", "its first line does not name the columns."),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_file_that_cannot_be_read_is_named_and_not_blamed_on_others(
    export: Export, content: bytes, cause: str
) -> None:
    folder = export.write()
    (folder / "patients.csv").write_bytes(content)
    listener = Listener()
    assert not run(folder, listener).is_imported
    [text] = listener.lines
    assert text.startswith("patients.csv:1: ")
    assert cause in text


def test_a_folder_in_the_place_of_a_file_is_named(export: Export) -> None:
    export.rows["patients.csv"] = None
    (export.write() / "patients.csv").mkdir()
    listener = Listener()
    run(export.folder, listener)
    assert listener.lines == ["patients.csv:1: not a file."]


# --- the rest is imported where that is asked for ---


def test_the_good_rows_are_imported_and_the_bad_ones_written_down(export: Export, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    export.set("sms_templates.csv", {"body": "\x00"}, {"id": "t2"})
    export.set("appointment_types.csv", {}, {"id": "k2", "reminder_template": "t2"})
    export.set("patients.csv", {"first_name": "=1+1", "archived": "perhaps"}, {"id": "p2"})
    export.set("phone_numbers.csv", {}, {"patient_id": "p2"})
    own = {"appointment_type_id": "k2", "patient_id": "p2"}
    export.set("appointments.csv", {}, own | {"id": "a2"}, own | {"id": "a3", "patient_id": "p1"})
    listener = Listener()
    result = export.run(listener, accept_valid=True, rejects=rejects)
    assert (result.is_imported, result.rejects, result.problems) == (True, rejects, 7)
    assert listener.lines == [
        'sms_templates.csv:2: body: "�": holds a control character.',
        'appointment_types.csv:2: reminder_template: "t1": its row in sms_templates.csv, line 2, is rejected.',
        'patients.csv:2: archived: "perhaps": write yes, or leave it blank.',
        "phone_numbers.csv:2: patient_id: its row in patients.csv, line 2, is rejected.",
        'appointments.csv:2: appointment_type_id: "k1": its row in appointment_types.csv, line 2, is rejected.',
        "appointments.csv:2: patient_id: its row in patients.csv, line 2, is rejected.",
        "appointments.csv:4: patient_id: its row in patients.csv, line 2, is rejected.",
    ]
    assert {file: (counts.added, counts.rejected) for file, counts in result.counts.items()} == {
        "practice.json": (1, 0),
        "businesses.csv": (1, 0),
        "practitioners.csv": (1, 0),
        "sms_templates.csv": (1, 1),
        "appointment_types.csv": (1, 1),
        "patients.csv": (1, 1),
        "phone_numbers.csv": (1, 1),
        "appointments.csv": (1, 2),
    }
    assert find(Appointment, "a2").patient_id == find(Patient, "p2").id
    assert find(SmsTemplate, "t2").problem is None

    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    with rejects.open(newline="") as stream:
        header, *written = csv.reader(stream)
    assert header == ["file", "line", "cause", "the row as it was"]
    assert [row[:2] for row in written] == [
        ["sms_templates.csv", "2"],
        ["appointment_types.csv", "2"],
        ["patients.csv", "2"],
        ["phone_numbers.csv", "2"],
        ["appointments.csv", "2"],
        ["appointments.csv", "4"],
    ]
    assert written[2][2:] == [
        "archived: write yes, or leave it blank.",
        "p1", "'=1+1", "Nguyen", "1980-05-04", "mia@example.org", "", "perhaps",
    ]  # fmt: skip


def test_a_row_whose_patient_is_rejected_is_taken_where_the_patient_is_known(export: Export, tmp_path: Path) -> None:
    export.run()
    export.set("patients.csv", {"date_of_birth": "x"})
    export.set("appointments.csv", {"cancelled_at": "2031-05-01 08:00"})
    result = export.run(accept_valid=True, rejects=tmp_path / "rejects.csv")
    assert (result.counts["patients.csv"].rejected, result.counts["appointments.csv"].rejected) == (1, 0)
    assert find(Appointment, "a1").cancelled_at is not None  # or the patient would be texted about it


def test_a_file_that_cannot_be_read_leaves_what_it_would_hold(export: Export, tmp_path: Path) -> None:
    export.run()
    before = everything_stored()
    folder = export.write()
    for file in ("phone_numbers.csv", "appointments.csv"):
        (folder / file).write_text("nothing of the kind\n")
    result = run(folder, accept_valid=True, withdraw_missing=True, rejects=tmp_path / "rejects.csv")
    assert (result.is_imported, result.missing) == (True, ())
    assert everything_stored() == before


def test_without_a_bad_row_no_rejects_are_written_and_old_ones_go(export: Export, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "rejects.csv").write_text("of an earlier import")
    assert export.run(accept_valid=True, rejects=tmp_path / "work" / "rejects.csv").rejects is None
    assert list((tmp_path / "work").iterdir()) == []


def test_rejects_take_the_place_of_earlier_ones_and_never_of_what_a_link_leads_to(
    export: Export, tmp_path: Path
) -> None:
    precious, rejects = tmp_path / "precious", tmp_path / "rejects.csv"
    precious.write_text("mine")
    rejects.symlink_to(precious)
    export.set("patients.csv", {"archived": "x"})
    export.run(accept_valid=True, rejects=rejects)
    assert precious.read_text() == "mine"
    assert not rejects.is_symlink()
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600


def test_where_rejects_cannot_be_written_nothing_is_imported(export: Export, tmp_path: Path) -> None:
    before = everything_stored()
    with pytest.raises(CannotImport, match="cannot be written: No such file or directory"):
        export.run(accept_valid=True, rejects=tmp_path / "nowhere" / "rejects.csv")
    assert everything_stored() == before


def test_a_hostile_value_is_data(export: Export) -> None:
    hostile = "'; DROP TABLE patients; -- {{Patient.FirstName}} <script>"
    export.set("patients.csv", {"first_name": hostile, "last_name": "%s %(x)s :x ? \\"})
    export.practice = json.loads(json.dumps(export.practice)) | {"name": hostile}
    export.run()
    patient = find(Patient, "p1")
    assert (patient.first_name, patient.last_name) == (hostile, "%s %(x)s :x ? \\")
