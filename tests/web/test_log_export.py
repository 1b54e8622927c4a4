"""The log as CSV: what is in it, that no spreadsheet makes a formula of it, that it streams."""

import csv
import io
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from portal import store
from portal.actions import browse_log
from portal.actions.browse_log import Asked
from portal.actions.export_log import COLUMNS, export_log
from portal.actions.remind import run_pass
from portal.core.csv_cells import as_csv, harmless
from portal.core.states import Direction, Kind, Status
from portal.store.messages import Message
from tests.builders import PASS_AT, Clinic

from .test_communications import link


def exported(client: FlaskClient, **asked: str) -> list[dict[str, str]]:
    answer = client.get("/communications/export.csv", query_string=asked)
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True), newline="")))


def test_the_export_holds_each_message_the_newest_first(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Ada"})
    clinic.book("b", patient={"first_name": "Bea", "mobile": None, "archived": True})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    newest, oldest = exported(client)
    assert tuple(newest) == COLUMNS
    assert newest["Patient"] == "Bea Nguyen"
    assert newest["Outcome"] == "Not sent"
    assert newest["Why"].startswith("No mobile number on file; ")
    assert newest["To"] == newest["Text"] == newest["Parts"] == ""
    assert oldest["Patient"] == "Ada Nguyen"
    assert oldest["When"] == "2031-05-07 10:00"
    assert oldest["Time zone"] == "Australia/Sydney"
    assert oldest["Appointment"] == "2031-05-08 09:30"
    assert oldest["To"] == "'+61491570006"
    assert oldest["Text"] == "Hi Ada, see you 08/05/2031 9:30am."
    assert (oldest["Direction"], oldest["Kind"], oldest["Parts"]) == ("To patients", "Reminder", "1")


def test_the_export_respects_what_is_asked_for(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Ada"})
    clinic.book("b", patient={"first_name": "Bea", "mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert [row["Patient"] for row in exported(client, q="ada")] == ["Ada Nguyen"]
    assert [row["Patient"] for row in exported(client, status="not-sent")] == ["Bea Nguyen"]
    assert exported(client, q="ada", status="not-sent") == []
    assert exported(client, to="2031-05-06") == []
    page = client.get("/communications?q=ada&status=queued").text
    assert link(page, "Download these as CSV") == "/communications/export.csv?q=ada&status=queued"


def test_the_export_is_a_file_in_utf_8_without_a_mark(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Łukasz"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    answer = client.get("/communications/export.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="communications-riverside-2031-05-07.csv"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.data.startswith(b"Message,")
    assert "Łukasz".encode() in answer.data
    assert "Content-Length" not in answer.headers


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+61491570156", "'+61491570156"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("  =1", "'  =1"),
        ("\u00a0=1", "'\u00a0=1"),
        ("＝1", "'＝1"),
        ("a;=1", "a;'=1"),
        ("a\n@x", "a\n'@x"),
        ("a\r\n=x", "a\r\n'=x"),
        ("a = b", "a = b"),
        ("a-b", "a-b"),
        ("Jean-Luc", "Jean-Luc"),
        ("", ""),
        ("'=1", "'=1"),
    ],
)
def test_no_cell_can_be_a_formula(cell: str, safe: str) -> None:
    assert harmless(cell) == safe
    assert list(csv.reader(io.StringIO(as_csv([[cell, "x"]]), newline=""))) == [[safe, "x"]]


def test_a_formula_in_a_name_or_text_is_exported_as_text(client: FlaskClient) -> None:
    clinic = Clinic()
    for name in ("=cmd|' /C calc'!A0", '@x","=1+1', "-2+3", "+1", "\t=1", '=HYPERLINK("http://x")'):
        clinic.book(name, patient={"first_name": name, "last_name": ""})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    rows = exported(client)
    assert len(rows) == 6
    for row in rows:
        assert set(row) == set(COLUMNS)
        for cell in row.values():
            assert not cell or cell[0] not in "=+-@\t\r", cell


def test_the_export_goes_in_steps_and_misses_nothing(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browse_log, "_STEP", 3)
    monkeypatch.setattr(store.communications, "REACH", 4)
    clinic = Clinic()
    for number in range(11):
        clinic.book(f"{number:02}", patient={"first_name": f"Ada{number}", "mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert len(exported(client)) == 11
    assert len(exported(client, q="ada", kind="reminder")) == 11
    assert len(exported(client, q="ada", kind="manual")) == 0
    assert len(exported(client, q="ada1")) == 2


def test_memory_does_not_grow_with_the_export(client: FlaskClient) -> None:
    clinic = Clinic()
    row: dict[str, Any] = {
        "practice_id": clinic.id,
        "direction": Direction.OUTBOUND,
        "kind": Kind.MANUAL,
        "status": Status.SENT,
        "reasons": (),
        "to": "+61491570156",
        "body": "x" * 1000,
        "segments": 7,
        "created_at": PASS_AT,
    }
    with store.transaction(clinic.id) as session:
        session.add_all([Message(**row | {"created_at": PASS_AT + timedelta(seconds=n)}) for n in range(4000)])
    sizes = []
    for asked in (Asked(last_day=PASS_AT.date()), Asked()):
        lines = export_log(clinic.id, asked)
        next(lines)
        next(lines)
        tracemalloc.start()
        size = sum(len(line) for line in lines)
        sizes.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert size > 3_400_000
    assert max(sizes) < 8_000_000
