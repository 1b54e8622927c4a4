"""Small export folders for tests, and ways to look at what an import made of them."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import event, select

from portal import store
from portal.actions.import_practice import ImportResult, Problem, import_folder
from portal.store.database import db
from portal.store.patients import PhoneRow

NOW = datetime(2031, 5, 1, 9, 0, tzinfo=ZoneInfo("Australia/Sydney")).astimezone(UTC)

PRACTICE: dict[str, Any] = {
    "id": "riverside",
    "name": "Riverside",
    "country": "AU",
    "default_reminder": "SMS",
    "lead_days": 1,
    "window_start": "10:00",
    "credits": 100,
    "sending": "on",
    "sender": "Riverside",
}
# One row a file; a test changes what it is about.
ROWS: dict[str, dict[str, str]] = {
    "businesses.csv": {
        "id": "b1",
        "name": "North Clinic",
        "timezone": "Australia/Sydney",
        "contact_number": "(02) 5550 9325",
        "sms_reminders": "On",
    },
    "practitioners.csv": {"id": "d1", "title": "Dr", "first_name": "Helen", "last_name": "Marsh"},
    "sms_templates.csv": {"id": "t1", "name": "Short", "body": "Hi {{Patient.FirstName}}"},
    "appointment_types.csv": {"id": "k1", "name": "Initial", "duration_minutes": "30", "reminder_template": "t1"},
    "patients.csv": {
        "id": "p1",
        "first_name": "Mia",
        "last_name": "Nguyen",
        "date_of_birth": "1980-05-04",
        "email": "mia@example.org",
        "automated_reminder": "",
        "archived": "",
    },
    "phone_numbers.csv": {"patient_id": "p1", "type": "Mobile", "number": "0491 570 006"},
    "appointments.csv": {
        "id": "a1",
        "business_id": "b1",
        "practitioner_id": "d1",
        "appointment_type_id": "k1",
        "patient_id": "p1",
        "starts_at": "2031-05-08 09:30",
        "ends_at": "2031-05-08 10:00",
        "booked_at": "2031-04-01 09:00",
        "cancelled_at": "",
    },
}


class Listener:
    """Keeps what an import says."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.progressed: dict[str, list[tuple[int, int]]] = {}

    def problem(self, problem: Problem) -> None:
        self.problems.append(problem)

    def warning(self, warning: Problem) -> None:
        self.warnings.append(warning)

    def progress(self, file: str, done: int, total: int) -> None:
        self.progressed.setdefault(file, []).append((done, total))

    @property
    def lines(self) -> list[str]:
        return [str(problem) for problem in self.problems]


class Export:
    """An export folder that a test fills and changes. `rows` by file; a file set to None is left out."""

    def __init__(self, folder: Path, **practice: Any) -> None:
        self.folder = folder
        folder.mkdir()
        self.practice: dict[str, Any] | None = PRACTICE | practice
        self.rows: dict[str, list[dict[str, str]] | None] = {file: [dict(row)] for file, row in ROWS.items()}

    def set(self, file: str, *rows: dict[str, str]) -> None:
        """The rows of a file; each names only what differs from the usual one."""
        self.rows[file] = [ROWS[file] | row for row in rows]

    def write(self) -> Path:
        for path in self.folder.glob("*"):
            path.unlink()
        if self.practice is not None:
            (self.folder / "practice.json").write_text(json.dumps(self.practice, indent=1), encoding="utf-8")
        for file, rows in self.rows.items():
            if rows is not None:
                write_csv(self.folder / file, list(ROWS[file]), rows)
        return self.folder

    def run(self, listener: Listener | None = None, **options: Any) -> ImportResult:
        """Write the folder and import it."""
        return run(self.write(), listener, **options)


def run(folder: Path, listener: Listener | None = None, **options: Any) -> ImportResult:
    now = options.pop("now", NOW)
    return import_folder(folder, now, report=listener or Listener(), **options)


def write_csv(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)


def everything_stored() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, without the record of imports."""
    with store.everything() as session:
        return {
            table.name: sorted((tuple(row) for row in session.execute(select(table))), key=repr)
            for table in db.metadata.sorted_tables
            if table.name != "import_runs"
        }


@contextmanager
def written_tables() -> Iterator[set[str]]:
    """Those tables that statements write to meanwhile."""
    tables: set[str] = set()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        words = statement.split()
        if words[0] in ("INSERT", "DELETE"):
            tables.add(words[2])
        elif words[0] == "UPDATE":
            tables.add(words[1])

    event.listen(db.engine, "before_cursor_execute", note)
    yield tables
    event.remove(db.engine, "before_cursor_execute", note)


def find(model: Any, external_id: str, practice_id: str = "riverside") -> Any:
    with store.reading(practice_id) as session:
        return session.scalars(select(model).where(model.external_id == external_id)).one()


def change(model: Any, external_id: str, **values: Any) -> None:
    """As staff would: through the mapped object."""
    with store.transaction("riverside") as session:
        row = session.scalars(select(model).where(model.external_id == external_id)).one()
        for name, value in values.items():
            setattr(row, name, value)


def numbers_of(patient: Any) -> list[PhoneRow]:
    with store.reading("riverside") as session:
        return list(store.patients.list_number_rows(session, patient.id))
