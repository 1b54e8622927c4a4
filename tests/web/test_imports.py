"""The import's pages: a zip goes in, what it would change is shown, and it is imported once it is agreed to."""

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from portal import store
from portal.actions.remind import run_pass
from portal.actions.uploads import MOST_BYTES
from portal.core.reminders import Preference
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.database import db
from portal.store.messages import Message
from portal.store.patients import Patient
from portal.store.uploads import UploadState
from tests.actions.exports import Export, change, find
from tests.actions.uploads import a_zip, a_zip_of, look, upload, work
from tests.builders import PASS_AT, Clinic

from .conftest import form_token, sign_in, visitor

AT = "/settings/import"


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    return Clinic()


@pytest.fixture
def waiting(app: Flask, clinic: Clinic) -> list[tuple[str, int]]:
    """What is handed to the workers."""
    handed: list[tuple[str, int]] = []
    app.extensions["portal.enqueue_upload"] = lambda *ids: handed.append(ids)
    return handed


@pytest.fixture
def export(tmp_path: Path) -> Export:
    return Export(tmp_path / "export")


def send_file(client: FlaskClient, content: bytes, name: str = "export.zip", to: str = AT) -> Any:
    return post_file(client, form_token(client.get(AT).text), content, name, to)


def post_file(client: FlaskClient, token: str, content: bytes, name: str = "export.zip", to: str = AT) -> Any:
    """As a browser writes it."""
    begin = '--edge\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    body = begin.format("csrf_token", "") + token + "\r\n" + begin.format("file", f'; filename="{name}"')
    return client.post(
        to, data=body.encode() + content + b"\r\n--edge--\r\n", content_type="multipart/form-data; boundary=edge"
    )


def press(client: FlaskClient, page: str, do: str, **fields: str) -> Any:
    """Send the form of that page, with all that it hides."""
    html = client.get(page).text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))
    return client.post(f"{page}/{do}", data=hidden | fields)


def test_from_the_file_to_the_import(client: FlaskClient, waiting: list[Any], export: Export) -> None:
    assert "No appointments have been imported yet." in client.get(AT).text
    export.set("phone_numbers.csv", {"type": "Fax machine"})
    answer = send_file(client, a_zip(export.write()), "my <b>export.zip")
    assert (answer.status_code, waiting) == (303, [("riverside", 1)])
    page = answer.location
    html = client.get(page).text
    assert "Checking." in html and "my &lt;b&gt;export.zip" in html and "Dana Owner" in html
    assert "An import is under way" in client.get(AT).text
    work(1)
    html = client.get(page).text
    for words in ("Checked; nothing is changed yet.", "phone_numbers.csv, line 2", "Fax machine", "Mia Nguyen"):
        assert words in html, words
    assert client.get(f"{page}/rejects.csv").text.startswith("file,line,cause")

    refused = press(client, page, "confirm")
    assert refused.status_code == 422
    assert "Tick that only the good rows are to be imported" in refused.text
    assert press(client, page, "confirm", accept="yes").status_code == 303
    assert waiting == [("riverside", 1)] * 2
    assert "Importing." in client.get(page).text
    work(1)
    html = client.get(page).text
    assert "Imported</span>" in html and "Download the rows that were left out" in html
    assert find(Patient, "p1").first_name == "Mia"
    html = client.get(AT).text
    assert "Appointments were last updated" in html and "Patients: 1 new" in html


def test_conflicts_lead_to_the_patient(client: FlaskClient, waiting: list[Any], export: Export) -> None:
    export.run()
    change(Patient, "p1", preference=Preference.EMAIL)
    export.set("patients.csv", {"automated_reminder": "None"})
    send_file(client, a_zip(export.write()))
    work(1)
    html = client.get(f"{AT}/1").text
    assert "Changed here and in the file: 1 value" in html
    assert re.search(r'href="/patients/\d+">Mia Nguyen</a>', html)


def test_appointments_that_are_no_longer_in_the_file_are_named(
    client: FlaskClient, waiting: list[Any], export: Export
) -> None:
    export.run()
    export.set("appointments.csv", {"id": "a2", "starts_at": "2031-05-09 11:00", "ends_at": "2031-05-09 11:30"})
    send_file(client, a_zip(export.write()))
    work(1)
    html = client.get(f"{AT}/1").text
    assert re.search(r'href="/patients/\d+">Mia Nguyen</a>, Thursday 8 May 2031, 9:30am</li>', html)
    assert "text or ring" not in html
    press(client, f"{AT}/1", "discard")
    export.set("appointments.csv")
    send_file(client, a_zip(export.write()))
    work(2)
    assert "By itself it changes nothing: look at what is listed below" in client.get(f"{AT}/2").text


def test_whose_cancelled_appointment_was_reminded_of_is_to_be_rung(
    client: FlaskClient, waiting: list[Any], export: Export
) -> None:
    export.run()
    run_pass("riverside", PASS_AT, PASS_AT)
    with store.transaction("riverside") as session:
        for reminder in session.scalars(select(Message)):
            reminder.status, reminder.sent_at = Status.DELIVERED, PASS_AT
    export.set("appointments.csv")
    send_file(client, a_zip(export.write()))
    work(1)
    told = "that an appointment is cancelled: text or ring those who have been reminded of it.</p>"
    html = client.get(f"{AT}/1").text
    assert told in html and "<strong>Mia has been reminded of it, " in html
    press(client, f"{AT}/1", "confirm", withdraw="yes")
    work(1)
    html = client.get(f"{AT}/1").text
    assert f"Cancelled; no reminder goes from now on. The portal tells no patient {told}" in html
    assert "<strong>Mia has been reminded of it, " in html and 'data-label="Gone" class="time">1</td>' in html
    assert "Appointments: 1 gone" in client.get(AT).text


def test_what_switches_sending_on_is_said(client: FlaskClient, waiting: list[Any], export: Export) -> None:
    export.run()
    export.practice = (export.practice or {}) | {"sending": "paused"}
    send_file(client, a_zip(export.write()))
    work(1)
    assert "switches sending on" not in client.get(f"{AT}/1").text
    press(client, f"{AT}/1", "confirm")
    work(1)
    export.practice |= {"sending": "on"}
    send_file(client, a_zip(export.write()))
    work(2)
    assert "This file switches sending on:" in client.get(f"{AT}/2").text


def test_it_is_discarded(client: FlaskClient, waiting: list[Any], export: Export) -> None:
    send_file(client, a_zip(export.write()))
    assert f'action="{AT}/1/discard"' in client.get(AT).text
    assert press(client, f"{AT}/1", "discard").location == AT
    assert look(1).state is UploadState.DISCARDED
    assert "Discarded." in client.get(f"{AT}/1").text
    assert client.get(f"{AT}/1/rejects.csv").status_code == 404


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "The file is empty."),
        (b"\r\n \n", "The file is empty."),
        (b"Termin;Kundin\r\n\r\n", "It holds no appointments: only its first line is there"),
        ("Termin;Kundin\r\n1;Mia\r\n".encode("utf-16"), "written in UTF-16. Save it as “CSV UTF-8”"),
        (a_zip_of(**{"[Content_Types].xml": "", "xl/workbook.xml": ""}), "This is a workbook, not a list."),
        (b"\xd0\xcf\x11\xe0 and so on", "This is a workbook, not a list."),
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< >>\n", "This is a PDF, which cannot be read as a list."),
        ("\ufeffid,Name,body\n1,a,b\n".encode(), "This is sms_templates.csv of an export folder, alone."),
        (bytes(range(256)) * 50, "neither a zip file nor a CSV file"),
        (b"PK\x03\x04 and nothing else", "damaged or incomplete"),
    ],
)
def test_what_is_no_export_is_refused_beside_the_field(
    client: FlaskClient, waiting: list[Any], content: bytes, says: str
) -> None:
    answer = send_file(client, content)
    assert answer.status_code == 422
    assert says in answer.text and 'aria-describedby="file-problem"' in answer.text
    assert waiting == []


def test_a_form_without_a_file_is_refused(client: FlaskClient, waiting: list[Any]) -> None:
    token = form_token(client.get(AT).text)
    assert client.post(AT, data={"csrf_token": token}).status_code == 422
    refused = post_file(client, token, b"", "")  # as a browser sends it where none is chosen
    assert refused.status_code == 422 and "Choose a file: the export folder as a zip" in refused.text


def test_a_file_above_the_limit_is_refused_in_words(client: FlaskClient, waiting: list[Any]) -> None:
    answer = send_file(client, b"x" * (MOST_BYTES + 1024 * 1024))
    assert answer.status_code == 413
    assert "larger than 64 MB" in answer.text


def test_other_forms_keep_their_limit(client: FlaskClient, waiting: list[Any]) -> None:
    assert send_file(client, b"x" * 2 * 1024 * 1024, to=f"{AT}/1/discard").status_code == 413


def test_who_is_not_allowed_uploads_nothing(app: Flask, client: FlaskClient, waiting: list[Any]) -> None:
    token = form_token(client.get(AT).text)
    for role in (Role.RECEPTION, Role.PRACTITIONER):
        other = sign_in(visitor(app), role)
        assert other.get(AT).status_code == 403
        assert post_file(other, token, b"x" * 3_000_000).status_code == 403


def test_each_page_asks_the_database_little(client: FlaskClient, waiting: list[Any], export: Export) -> None:
    export.run()
    for id_ in (1, 2):
        export.set("patients.csv", {"last_name": f"Tran {id_}"}, {"id": "p2", "archived": "?"})
        work(upload(a_zip(export.write())))
        if id_ == 1:
            press(client, f"{AT}/1", "confirm", accept="yes")
            work(1)
    for page in (AT, f"{AT}/1", f"{AT}/2"):
        asked: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object, into: list[str] = asked) -> None:
            into.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        assert client.get(page).status_code == 200
        event.remove(db.engine, "before_cursor_execute", note)
        assert len([one for one in asked if one.startswith("SELECT")]) <= 8, (page, asked)


def test_a_name_that_begins_like_a_time_is_shown_as_it_is(
    client: FlaskClient, waiting: list[Any], export: Export
) -> None:
    export.run()
    export.set("patients.csv", {"last_name": "2031-99-99T25:00:00"})
    send_file(client, a_zip(export.write()))
    work(1)
    assert ": Nguyen → <strong>2031-99-99T25:00:00</strong>" in client.get(f"{AT}/1").text


# --- an ordinary list ---

COLUMNS = {
    "separator": ";",
    "encoding": "utf-8",
    "dates": "day-first",
    "column-date": "termin",
    "column-start": "um",
    "column-name": "kundin",
    "column-mobile": "händi",
    "same-business": "North Clinic",
    "same-practitioner": "Dr Helen Marsh",
    "same-type": "Initial consultation",
    "zone": "Australia/Sydney",
}
LIST = "Termin;um;Kundin;Händi\n08/05/2031;9:30;Mia <b>Nguyen;0491 570 006\n9/5/2031;soon;Ben Lee;\n"


def test_a_lists_columns_are_matched_and_its_first_rows_shown(client: FlaskClient, waiting: list[Any]) -> None:
    page = send_file(client, LIST.encode(), "list.csv").location
    assert waiting == []
    html = client.get(page).text
    assert "What do its columns hold?" in html and '<option value="händi">Händi</option>' in html
    refused = press(client, page, "columns", **COLUMNS | {"dates": ""})
    assert refused.status_code == 422
    assert 'id="dates-problem" role="alert">Choose how the dates are written.' in refused.text
    assert press(client, page, "check").status_code == 422
    assert press(client, page, "columns", **COLUMNS).status_code == 303
    html = client.get(page).text
    for words in (
        "Thursday 8 May 2031, 9:30am",
        "&lt;b&gt;Nguyen",
        "um “soon”: not a time like 9:30",
        "That is right",
    ):
        assert words in html, words
    assert press(client, page, "check").status_code == 303
    assert waiting == [("riverside", 1)]
    work(1)
    html = client.get(page).text
    assert "list.csv, line 3" in html and "Left out: 1 of its 2 rows." in html
    press(client, page, "confirm", accept="yes")
    assert work(1).state is UploadState.IMPORTED
    assert "Left out: 1 of its 2 rows." in client.get(page).text

    html = client.get(send_file(client, LIST.encode(), "list.csv").location).text
    assert "Its columns are matched." in html


def test_rows_that_are_all_wrong_are_not_called_right(client: FlaskClient, waiting: list[Any]) -> None:
    page = send_file(client, LIST.replace("9:30", "later").encode(), "list.csv").location
    press(client, page, "columns", **COLUMNS)
    html = client.get(page).text
    assert "None of its first rows can be read." in html and "That is right" not in html
    assert '<details id="columns" class="recorded" open>' in html
    assert press(client, page, "check").status_code == 303  # further down there may be better ones


def test_the_columns_are_matched_otherwise_until_it_is_confirmed(client: FlaskClient, waiting: list[Any]) -> None:
    page = send_file(client, LIST.encode(), "list.csv").location
    press(client, page, "columns", **COLUMNS | {"dates": "month-first"})
    press(client, page, "check")
    button = '<button id="otherwise" class="quieter" type="submit">Match the columns otherwise</button>'
    assert button in client.get(page).text
    work(1)
    assert button in client.get(page).text
    back = press(client, page, "otherwise")
    assert back.status_code == 303
    html = client.get(back.location).text
    assert '<details id="columns" class="recorded" open>' in html and 'value="month-first" selected' in html
    press(client, page, "columns", **COLUMNS)
    press(client, page, "check")
    work(1)
    press(client, page, "confirm", accept="yes")
    assert button not in client.get(page).text
    refused = press(client, page, "otherwise")
    assert refused.status_code == 422 and "no longer to be changed: upload the file again" in refused.text
    assert work(1).state is UploadState.IMPORTED


def test_who_goes_back_once_it_is_checked_is_told_that_it_is_matched(client: FlaskClient, waiting: list[Any]) -> None:
    page = send_file(client, LIST.encode(), "list.csv").location
    press(client, page, "columns", **COLUMNS)
    press(client, page, "check")
    work(1)
    again = press(client, page, "columns", **COLUMNS | {"dates": "month-first"})
    assert again.status_code == 422 and 'role="alert">Its columns are matched already.' in again.text
    press(client, page, "otherwise")
    early = press(client, page, "confirm", accept="yes")
    assert early.status_code == 422 and 'role="alert">It is not ready to be imported.' in early.text


def test_what_is_imported_all_the_same_is_no_problem_of_the_file(client: FlaskClient, waiting: list[Any]) -> None:
    twice = "Termin;um;Kundin;Händi\n8/5/2031;9:30;Mia Lee;0491 570 006\n9/5/2031;9:30;Mia Lee;0491570006\n"
    page = send_file(client, twice.encode(), "list.csv").location
    press(client, page, "columns", **COLUMNS)
    press(client, page, "check")
    work(1)
    html = client.get(page).text
    assert "Would be imported, but worth a look" in html and "the same patient is written otherwise in line 2" in html
    assert "What is wrong in the file" not in html


def test_a_file_of_bad_rows_only_is_not_called_nothing_new(
    client: FlaskClient, waiting: list[Any], export: Export
) -> None:
    export.write()
    alone = (export.folder / "appointments.csv").read_text("utf-8")
    page = send_file(client, a_zip_of(appointments_csv=alone.replace(",p1,", ",nobody,"))).location
    work(1)
    html = client.get(page).text
    assert "It cannot be imported: see below what is wrong." in html and "nothing new in it" not in html
    press(client, page, "discard")

    templates = "id,name,body\n9,Plain,Hello\n"
    page = send_file(client, a_zip_of(sms_templates_csv=templates)).location
    work(2)
    press(client, page, "confirm")
    work(2)
    page = send_file(client, a_zip_of(sms_templates_csv=f"{templates}8,,\n")).location
    work(3)
    html = client.get(page).text
    assert "Its good rows change nothing: see below what is wrong with the others." in html


def test_what_the_zip_lacks_is_named(client: FlaskClient, waiting: list[Any], export: Export) -> None:
    export.write()
    (export.folder / "patients.csv").write_text("id\n", "utf-16")
    (export.folder / "appointments.csv").unlink()
    page = send_file(client, a_zip(export.folder)).location
    work(1)
    html = client.get(page).text
    assert "Not in the zip, or not to be read, so they stay as they are: Patients, Appointments." in html


def test_headings_in_another_encoding_than_chosen_are_named(client: FlaskClient, waiting: list[Any]) -> None:
    page = send_file(client, LIST.encode("cp1252"), "list.csv").location
    right = COLUMNS | {"encoding": "cp1252"}
    assert press(client, page, "columns", **COLUMNS).status_code == 422
    html = client.get(page).text
    assert "its first line holds a character that this encoding has not" in html
    assert press(client, page, "columns", **right).status_code == 303
    assert "That is right: check all rows" in client.get(page).text
