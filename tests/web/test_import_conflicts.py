"""What staff and the export both changed, on the pages: whose, which value, both of them, where it is settled."""

import html
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from portal import store
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference
from portal.store.appointments import Appointment
from portal.store.database import db
from portal.store.imports import ImportRun
from portal.store.patients import Patient, PhoneRow
from portal.store.practices import AppointmentType, Business, Practitioner, SmsTemplate
from tests.actions.exports import NOW, Export, change, find, numbers_of
from tests.actions.uploads import PRACTICE, a_zip, agree, look, upload, work
from tests.builders import Clinic

AT = "/settings/import"


@pytest.fixture
def export(app: Flask, clinic: Clinic, tmp_path: Path) -> Export:
    """Imported once; a patient has two numbers."""
    export = Export(tmp_path / "export")
    export.set("phone_numbers.csv", {}, {"type": "Home", "number": "(02) 5550 0001"})
    export.run()
    return export


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    return Clinic()


def rows(page: str) -> list[list[str]]:
    """The table of conflicts, as it is read."""
    table = page.partition("The export’s</th>")[2].partition("</table>")[0]
    return [
        [
            " ".join(html.unescape(re.sub(r"<[^>]+>", "", cell)).split())
            for cell in re.findall(r"<td.*?</td>", row, re.S)
        ]
        for row in re.findall(r"<tr.*?</tr>", table, re.S)
    ]


def change_number(old: str, **values: Any) -> None:
    with store.transaction(PRACTICE) as session:
        row = session.scalars(select(PhoneRow).where(PhoneRow.number == old)).one()
        for name, value in values.items():
            setattr(row, name, value)


def checked_and_done(client: FlaskClient, export: Export) -> list[str]:
    """The pages of the check, of the import, and of its record."""
    id_ = upload(a_zip(export.write()))
    work(id_)
    pages = [client.get(f"{AT}/{id_}").text]
    agree(id_)
    work(id_)
    with store.reading(PRACTICE) as session:
        run = store.imports.list_imports(session, 1)[0]
    link = f"{AT}/runs/{run.id}"
    assert f'href="{link}"' in client.get(AT).text
    return [*pages, client.get(f"{AT}/{id_}").text, client.get(link).text]


def test_both_values_of_a_patient_are_shown_at_the_check_after_it_and_later(
    client: FlaskClient, export: Export
) -> None:
    change(Patient, "p1", preference=Preference.EMAIL, last_name="<b>Tran", date_of_birth=None)
    export.set("patients.csv", {"automated_reminder": "None", "last_name": "Smith", "date_of_birth": "1981-05-04"})
    id_ = find(Patient, "p1").id
    for page in checked_and_done(client, export):
        assert rows(page) == [
            ["Mia <b>Tran", "Last name", "<b>Tran", "Smith"],
            ["Mia <b>Tran", "Date of birth", "nothing", "4 May 1981"],
            ["Mia <b>Tran", "Preference", "Email", "None"],
        ]
        assert f'<a href="/patients/{id_}">' in page


def test_a_conflict_that_staff_settled_says_so(client: FlaskClient, export: Export) -> None:
    change(Patient, "p1", preference=Preference.EMAIL)
    export.set("patients.csv", {"automated_reminder": "None"})
    done = checked_and_done(client, export)[1]
    assert rows(done) == [["Mia Nguyen", "Preference", "Email", "None"]]
    change(Patient, "p1", preference=Preference.NONE)
    assert rows(client.get(f"{AT}/1").text) == [["Mia Nguyen", "Preference", "None", "None (the same by now)"]]


def test_both_values_of_a_number_are_shown(client: FlaskClient, export: Export) -> None:
    change_number("0491 570 006", type=PhoneType.WORK)
    change_number("(02) 5550 0001", removed_at=NOW)
    export.set("phone_numbers.csv", {"type": "Home"}, {"type": "Work", "number": "(02) 5550 0001"})
    for page in checked_and_done(client, export):
        assert rows(page) == [
            ["Mia Nguyen", "Filed as (Phone numbers)", "0491 570 006 (Work)", "0491 570 006 (Home)"],
            ["Mia Nguyen", "Filed as (Phone numbers)", "taken away", "(02) 5550 0001 (Work)"],
        ]


def test_a_number_that_staff_changed_and_the_export_dropped_is_shown(client: FlaskClient, export: Export) -> None:
    change_number("(02) 5550 0001", type=PhoneType.WORK)
    export.set("phone_numbers.csv", {})
    for page in checked_and_done(client, export):
        assert rows(page) == [["Mia Nguyen", "Filed as (Phone numbers)", "(02) 5550 0001 (Work)", "no longer there"]]
    assert [row.from_export for row in numbers_of(find(Patient, "p1"))] == [True, False]


def test_both_times_of_an_appointment_are_shown_and_lead_to_it(client: FlaskClient, export: Export) -> None:
    with store.transaction(PRACTICE) as session:
        session.add(
            Practitioner(external_id="portal-0123456789abcdef", title="", first_name="Ida", last_name="Wells")
        )
        session.flush()
        ida = session.scalars(select(Practitioner.id).where(Practitioner.first_name == "Ida")).one()
    change(
        Appointment,
        "a1",
        starts_wall=datetime.fromisoformat("2031-05-08 14:00"),
        ends_wall=datetime.fromisoformat("2031-05-08 14:30"),
        practitioner_id=ida,
    )
    export.set("practitioners.csv", {}, {"id": "d2", "title": "", "first_name": "Sam", "last_name": "Lee"})
    export.set(
        "appointments.csv",
        {"starts_at": "2031-05-09 16:00", "ends_at": "2031-05-09 16:30", "practitioner_id": "d2"},
    )
    id_ = find(Appointment, "a1").id
    first, *later = checked_and_done(client, export)
    whose = "Mia Nguyen, Thursday 8 May 2031, 2pm"
    others = [
        [whose, "Begins", "Thursday 8 May 2031, 2pm", "Friday 9 May 2031, 4pm"],
        [whose, "Ends", "Thursday 8 May 2031, 2:30pm", "Friday 9 May 2031, 4:30pm"],
    ]
    assert rows(first) == [[whose, "Practitioner", "Ida Wells", "Sam Lee (new)"], *others]
    for page in later:
        assert rows(page) == [[whose, "Practitioner", "Ida Wells", "Sam Lee"], *others]
        assert f'<a href="/appointments/{id_}">' in page


def change_everything(export: Export) -> None:
    """On both sides."""
    with store.transaction(PRACTICE) as session:
        practice = store.practices.get_practice(session, PRACTICE)
        practice.lead_days = 3
    change(Business, "b1", sms_reminders=False, timezone="Australia/Brisbane")
    change(Practitioner, "d1", last_name="Marsh-Hill")
    change(SmsTemplate, "t1", name="Mine")
    change(AppointmentType, "k1", reminder_template_id=None, duration_minutes=45)
    change(Patient, "p1", last_name="Tran")
    change(Appointment, "a1", cancelled_at=NOW)
    change_number("0491 570 006", number="0491 570 110")
    export.practice = (export.practice or {}) | {"lead_days": 2}
    export.set("businesses.csv", {"timezone": "Australia/Perth"})
    export.set("practitioners.csv", {"last_name": "Marsh-Reed"})
    export.set("sms_templates.csv", {"name": "Theirs"}, {"id": "t2", "name": "Long"})
    export.set("appointment_types.csv", {"reminder_template": "t2", "duration_minutes": "60"})
    export.set("patients.csv", {"last_name": "Smith"})
    export.set("phone_numbers.csv", {"number": "0491 570 156"})
    export.set("appointments.csv", {"cancelled_at": "2031-05-01 08:00"})


def test_settings_are_shown_with_the_words_of_their_pages_and_the_page_asks_little(
    client: FlaskClient, export: Export
) -> None:
    change_everything(export)
    pages = checked_and_done(client, export)
    for page in pages:
        assert [row[1:] for row in rows(page)] == [
            ["Days ahead (Practice)", "3 days", "2 days"],
            ["Time zone (Businesses)", "Australia/Brisbane", "Australia/Perth"],
            ["Last name (Practitioners)", "Marsh-Hill", "Marsh-Reed"],
            ["Name (Templates)", "Mine", "Theirs"],
            ["Length (Appointment types)", "45 minutes", "60 minutes"],
            ["Template (Appointment types)", "None", "Long (new)" if page is pages[0] else "Long"],
            ["Last name", "Tran", "Smith"],
            ["Number (Phone numbers)", "0491 570 110 (Mobile)", "0491 570 156 (Mobile)"],
            ["Cancelled", "Thursday 1 May 2031, 9am", "Thursday 1 May 2031, 8am"],
        ]
        for link in re.findall(r'<td role="cell" class="who"><a href="([^"#]+)', page):
            assert client.get(link).status_code == 200, link
    run = re.search(rf"{AT}/runs/\d+", client.get(AT).text)
    assert run
    for path in (f"{AT}/1", run[0]):
        asked: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object, into: list[str] = asked) -> None:
            into.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        assert client.get(path).status_code == 200
        event.remove(db.engine, "before_cursor_execute", note)
        assert len([one for one in asked if one.startswith("SELECT")]) <= 8, (path, asked)


def test_no_value_is_kept_once_it_is_over(client: FlaskClient, export: Export) -> None:
    change_everything(export)
    checked_and_done(client, export)
    with store.reading(PRACTICE) as session:
        run = store.imports.list_imports(session, 1)[0]
    for kept in (look(1).found, run.conflicts):
        for value in ("Tran", "Smith", "0491", "Perth", "exported", "yours"):
            assert value not in json.dumps(kept), value


def test_whoever_is_gone_since_is_not_named(client: FlaskClient, export: Export) -> None:
    with store.transaction(PRACTICE) as session:
        session.add(
            ImportRun(
                at=NOW,
                counts={},
                conflicts=[
                    {"file": "patients.csv", "id": "nobody", "column": "last_name"},
                    {"file": "phone_numbers.csv", "id": "p1", "column": "type", "number_id": 999},
                    {"file": "phone_numbers.csv", "id": "p1", "column": "type"},
                ],
                seconds=0.1,
            )
        )
        session.flush()
        id_ = store.imports.list_imports(session, 1)[0].id
    gone = "It is no longer in the portal."
    assert rows(client.get(f"{AT}/runs/{id_}").text) == [
        ["nobody", "Last name", gone],
        ["Mia Nguyen", "Filed as (Phone numbers)", gone],
        ["Mia Nguyen", "Filed as (Phone numbers)", gone],
    ]
