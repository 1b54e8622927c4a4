"""An ordinary list of appointments with odd headings: matched once, remembered, imported as every export."""

from dataclasses import replace
from datetime import date, datetime

import pytest
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions import patients, upload_work
from portal.actions.merge_patients import merge
from portal.actions.upload_matching import go_on, match, match_otherwise, show_matching
from portal.actions.upload_work import work_on
from portal.actions.uploads import NoSuchUpload, UploadRefused, discard, read_rejects
from portal.core.lists import DateOrder, Matching
from portal.core.reminders import Preference
from portal.store.appointments import Appointment
from portal.store.patients import Patient, PhoneRow
from portal.store.practices import Business, Practitioner
from portal.store.uploads import Upload, UploadState
from tests.builders import Clinic, a_business, a_practice

from .exports import NOW, change, find, numbers_of
from .uploads import DANA, PRACTICE, a_zip_of, agree, look, upload, work

HEADINGS = "Termin am;um;Kundin;Händi;Geb.;Bei;Wo;Was;Nr;Stand"
ROWS = (
    "08/05/2031;9:30;Nguyen, Mia;0491 570 006;04/05/1980;Dr Helen Marsh;North Clinic;Initial consultation;77;ok",
    "08/05/2031;2pm;Zoë Müller;0491 570 110;;Sam Lee;South Clinic;Massage;78;abgesagt",
)
MATCHING = Matching(
    separator=";",
    encoding="cp1252",
    dates=DateOrder.DAY_FIRST,
    columns={
        "date": "termin am",
        "start": "um",
        "name": "kundin",
        "mobile": "händi",
        "birth_date": "geb.",
        "practitioner": "bei",
        "business": "wo",
        "type": "was",
        "appointment_id": "nr",
        "status": "stand",
    },
    cancelled="Abgesagt, storniert",
    zone="Australia/Perth",
    template="1",
)


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    return Clinic(PRACTICE)


def a_list(*rows: str, headings: str = HEADINGS) -> bytes:
    return "\r\n".join((headings, *rows, "")).encode("cp1252")


def matched(id_: int, matching: Matching = MATCHING) -> None:
    assert match(PRACTICE, id_, matching, NOW) is None
    go_on(PRACTICE, id_, show_matching(PRACTICE, id_).fingerprint, DANA, NOW)


def import_list(*rows: str, matching: Matching = MATCHING, now: datetime = NOW, **choices: bool) -> Upload:
    id_ = upload(a_list(*rows), "list.csv", now=now)
    matched(id_, matching)
    assert work(id_, now=now).state is UploadState.CHECKED, look(id_).refusal
    agree(id_, **choices)
    return work(id_, now=now)


def appointments() -> list[tuple[object, ...]]:
    with store.reading(PRACTICE) as session:
        rows = session.execute(
            select(Appointment, Patient, Practitioner, Business)
            .join(Patient, Patient.id == Appointment.patient_id)
            .join(Practitioner, Practitioner.id == Appointment.practitioner_id)
            .join(Business, Business.id == Appointment.business_id)
            .order_by(Appointment.external_id)
        )
        return [
            (one.external_id, one.starts_wall, who.full_name, by.full_name, at.name, one.cancelled_at is not None)
            for one, who, by, at in rows
        ]


def test_matched_once_shown_as_understood_and_imported(clinic: Clinic) -> None:
    id_ = upload(a_list(*ROWS), "list.csv")
    shown = show_matching(PRACTICE, id_)
    assert look(id_).state is UploadState.MATCHING
    assert (shown.matching.separator, shown.matching.encoding, shown.matching.dates) == (";", "cp1252", None)
    assert shown.headings[3] == "Händi"
    assert match(PRACTICE, id_, MATCHING, NOW) is None
    shown = show_matching(PRACTICE, id_)
    assert [one.understood.starts for one in shown.rows if one.understood] == [
        datetime.fromisoformat("2031-05-08 09:30"),
        datetime.fromisoformat("2031-05-08 14:00"),
    ]
    go_on(PRACTICE, id_, shown.fingerprint, DANA, NOW)
    checked = work(id_)
    found = checked.found or {}
    assert found["creates"] == ["business “South Clinic”", "practitioner “Sam Lee”", "appointment type “Massage”"]
    with pytest.raises(UploadRefused, match="Tick that these are to be created"):
        agree(id_, creates=False)
    agree(id_)
    assert work(id_).state is UploadState.IMPORTED
    assert appointments() == [
        ("77", datetime.fromisoformat("2031-05-08 09:30"), "Mia Nguyen", "Dr Helen Marsh", "North Clinic", False),
        ("78", datetime.fromisoformat("2031-05-08 14:00"), "Zoë Müller", "Sam Lee", "South Clinic", True),
    ]
    with store.reading(PRACTICE) as session:
        mia = session.scalars(select(Patient).where(Patient.first_name == "Mia")).one()
        south = session.scalars(select(Business).where(Business.name == "South Clinic")).one()
        types = {one.name: one for one in store.practices.list_types(session)}
    assert (mia.date_of_birth, [one.number for one in numbers_of(mia)]) == (date(1980, 5, 4), ["0491 570 006"])
    assert south.timezone == "Australia/Perth"
    assert types["Massage"].reminder_template_id == clinic.template.id


def test_what_is_called_as_what_it_holds_is_chosen_already(clinic: Clinic) -> None:
    id_ = upload(b"DATE,Time,Patient,Mobile,Room\n8/5/2031,9:30,Mia Nguyen,0491 570 006,2\n", "list.csv")
    matching = show_matching(PRACTICE, id_).matching
    assert matching.columns == {"date": "date", "start": "time", "name": "patient", "mobile": "mobile"}
    assert (matching.same, matching.dates) == ({"business": "North Clinic"}, None)
    discard(PRACTICE, id_, NOW)
    with store.transaction(PRACTICE) as session:
        a_business(session, external_id="2", name="South Clinic")
    assert show_matching(PRACTICE, upload(a_list(*ROWS), "list.csv")).matching.same == {}


def test_the_second_list_with_these_headings_is_matched_already_and_the_same_changes_nothing(clinic: Clinic) -> None:
    import_list(*ROWS)
    shuffled = "Stand;um;Termin am;Kundin;Händi;Geb.;Bei;Wo;Was;NR"
    row = "ok;10am;09/05/2031;Ann Lee;;;Sam Lee;South Clinic;Massage;79"
    id_ = upload(a_list(row, headings=shuffled), "next.csv")
    shown = show_matching(PRACTICE, id_)
    assert (shown.problem, shown.matching) == (None, MATCHING)
    assert shown.rows[0].understood and shown.rows[0].understood.name == "Ann Lee"
    go_on(PRACTICE, id_, shown.fingerprint, DANA, NOW)
    assert (work(id_).found or {})["creates"] == []
    agree(id_)
    work(id_)
    again = import_list(*ROWS)
    counts = (again.found or {})["counts"]
    assert {(one["added"], one["changed"], one["removed"]) for one in counts.values()} == {(0, 0, 0)}


@pytest.mark.parametrize(("encoding", "separator"), [("utf-8", "\t"), ("cp1252", ",")])
def test_the_second_list_may_be_written_in_another_way(clinic: Clinic, encoding: str, separator: str) -> None:
    columns = {"date": "day", "name": "who", "business": "wo", "practitioner": "bei", "type": "was"}
    rows = "Day;Who;Wo;Bei;Was\r\n8/5/2031 9:30;Zoë Lee;North Clinic;Dr Helen Marsh;Massage\r\n"
    other = "cp1252" if encoding == "utf-8" else "utf-8"
    id_ = upload(rows.encode(other), "first.csv")
    matched(id_, replace(MATCHING, encoding=other, columns=columns))
    discard(PRACTICE, id_, NOW)
    shown = show_matching(PRACTICE, upload(rows.replace(";", separator).encode(encoding), "next.csv"))
    assert (shown.problem, shown.unreadable) == (None, "")
    assert shown.rows[0].understood and shown.rows[0].understood.name == "Zoë Lee"


def test_what_the_list_does_not_say_stays_and_so_does_what_staff_changed(clinic: Clinic) -> None:
    clinic.book("77", patient={"first_name": "Mia", "email": "mia@example.org", "preference": Preference.EMAIL})
    matching = replace(MATCHING, columns={**MATCHING.columns, "patient_id": "geb."})
    matching = replace(matching, columns={f: c for f, c in matching.columns.items() if f != "birth_date"})
    row = ROWS[0].replace("04/05/1980", "77").replace("9:30", "9:45")
    change(Patient, "77", last_name="Smith")
    done = import_list(row, matching=matching)
    counts = (done.found or {})["counts"]
    assert (counts["patients.csv"]["unchanged"], counts["appointments.csv"]["changed"]) == (1, 1)
    with store.reading(PRACTICE) as session:
        mia = session.scalars(select(Patient)).one()
    assert (mia.full_name, mia.email, mia.preference) == ("Mia Smith", "mia@example.org", Preference.EMAIL)
    assert appointments()[0][1] == datetime.fromisoformat("2031-05-08 09:45")


def test_rows_that_cannot_be_read_are_named_by_line_and_heading_and_left_out(clinic: Clinic) -> None:
    clinic.book("90")
    bad = (
        ROWS[0].replace("08/05/2031", "05/13/2031"),
        ROWS[0].replace("9:30", "half past nine"),
        ROWS[0].replace("Nguyen, Mia", " "),
        ROWS[1],
        ROWS[1],
        "too;few",
        ROWS[1].replace("78", "=cmd|'/C calc'!A0").replace("Zoë", "=1+1"),
    )
    id_ = upload(a_list(*bad), "list.csv")
    matched(id_)
    found = work(id_).found or {}
    told = [(one["file"], one["line"], one["column"], one["cause"]) for one in found["problems"]]
    assert told == [
        ("list.csv", 2, "Termin am", "there is no month 13 with the day first, like 31/12/2031."),
        ("list.csv", 3, "um", "not a time like 9:30, 14:05 or 2:05pm."),
        ("list.csv", 4, "Kundin", "the patient has no name."),
        ("list.csv", 7, "", "it has 2 values, and the first line names 10 columns."),
        ("list.csv", 6, "Nr", "line 5 is the same appointment."),
    ]
    assert [one["value"] for one in found["problems"]] == ["05/13/2031", "half past nine", "", "", ""]
    assert found["missing_count"] == 0  # what the rows left out would have held is not known
    agree(id_)
    work(id_)
    with store.reading(PRACTICE) as session:
        names = set(session.scalars(select(Patient.first_name)))
    assert names == {"Mia", "Zoë", "=1+1"}
    rejects = b"".join(read_rejects(PRACTICE, id_)).decode()
    assert rejects.count("file,line,cause") == 1
    assert "half past nine" in rejects


def test_a_day_at_the_end_of_all_days_is_a_fault_of_its_row(clinic: Clinic) -> None:
    id_ = upload(a_list(ROWS[0], ROWS[1].replace("08/05/2031;2pm", "31/12/9999;23:50")), "list.csv")
    assert match(PRACTICE, id_, MATCHING, NOW) is None
    told = [['list.csv:3: Termin am: "31/12/9999": the year must lie between 1900 and 2200.']]
    assert [list(map(str, row.faults)) for row in show_matching(PRACTICE, id_).rows] == [[], *told]
    matched(id_)
    assert (work(id_).found or {})["problem_count"] == 1


def test_all_that_is_wrong_in_a_row_is_said_at_once(clinic: Clinic) -> None:
    id_ = upload(a_list(ROWS[0].replace("08/05/2031;9:30", "31/11/2031;9:30 Uhr").replace("1980", "80")), "list.csv")
    assert match(PRACTICE, id_, MATCHING, NOW) is None
    told = [(one.column, one.value) for one in show_matching(PRACTICE, id_).rows[0].faults]
    assert told == [("um", "9:30 Uhr"), ("Termin am", "31/11/2031"), ("Geb.", "04/05/80")]


def test_a_list_of_bad_rows_only_cannot_be_imported(clinic: Clinic) -> None:
    id_ = upload(a_list(ROWS[0].replace("/", "|")), "list.csv")
    matched(id_)
    assert (work(id_).found or {})["may_be_imported"] is False


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (a_list(";;;;;;;;;"), "holds no appointments"),
        (a_list("x" * 100_000), None),
    ],
)
def test_an_empty_list_is_refused_and_a_long_line_named(clinic: Clinic, content: bytes, says: str | None) -> None:
    id_ = upload(content, "list.csv")
    matched(id_)
    done = work(id_)
    if says:
        assert done.state is UploadState.REFUSED and says in (done.refusal or "")
    else:
        assert "longer than 64 KB" in (done.found or {})["problems"][0]["cause"]


def test_a_row_that_says_nothing_of_its_state_is_not_cancelled(clinic: Clinic) -> None:
    import_list(ROWS[0].removesuffix("ok"), ROWS[1], matching=replace(MATCHING, cancelled="Abgesagt, , storniert,"))
    assert [row[-1] for row in appointments()] == [False, True]


def test_an_appointment_that_comes_back_into_the_list_stands_again(clinic: Clinic) -> None:
    late = NOW.replace(microsecond=123456)  # as the clock shows it
    import_list(ROWS[0], now=late)
    import_list(ROWS[1], now=late, withdraws_missing=True)
    assert [row[-1] for row in appointments()] == [True, True]
    columns = {field: column for field, column in MATCHING.columns.items() if field != "status"}
    import_list(*ROWS, now=late, matching=replace(MATCHING, columns=columns))
    assert [row[-1] for row in appointments()] == [False, False]


BY_NUMBER = replace(  # the column “Geb.” holds the patient's own number
    MATCHING, columns={field: column for field, column in MATCHING.columns.items() if field != "birth_date"}
    | {"patient_id": "geb."},
)  # fmt: skip
TWICE = tuple(
    row.replace(was, id_) for row, was, id_ in zip(ROWS, (";04/05/1980;", ";;"), (";p1;", ";p2;"), strict=True)
)


def stored_numbers() -> list[tuple[object, ...]]:
    with store.reading(PRACTICE) as session:
        rows = session.scalars(select(PhoneRow).order_by(PhoneRow.id)).all()
    return [(one.id, one.type, one.number, one.position, one.removed_at is None) for one in rows]


@pytest.mark.parametrize("do", ["corrected", "removed", "moved"])
def test_a_list_leaves_the_numbers_of_a_patient_who_was_merged_as_staff_left_them(clinic: Clinic, do: str) -> None:
    with_home = replace(BY_NUMBER, columns={**BY_NUMBER.columns, "phone": "stand"})
    with_home = replace(with_home, columns={f: c for f, c in with_home.columns.items() if f != "status"})
    homes = (";02 5550 1234", ";02 5550 9325")
    import_list(*(row.rpartition(";")[0] + home for row, home in zip(TWICE, homes, strict=True)), matching=with_home)
    kept, gone = find(Patient, "p1").id, find(Patient, "p2").id
    merge(PRACTICE, kept, gone, confirmed=True, who=DANA, now=NOW)
    wrong = next(one for one in numbers_of(find(Patient, "p1")) if one.number == "0491 570 110")
    if do == "corrected":
        patients.change_number(PRACTICE, kept, wrong.id, "Mobile", "0491 570 156", who=DANA, now=NOW)
    elif do == "removed":
        patients.remove_number(PRACTICE, kept, wrong.id, who=DANA, now=NOW)
    else:
        patients.move_number_up(PRACTICE, kept, wrong.id, who=DANA, now=NOW)
    before = stored_numbers()
    for rows in (TWICE, TWICE, TWICE[1:]):
        done = import_list(*rows, matching=BY_NUMBER)
        assert (done.found or {})["conflicts"] == []
        assert stored_numbers() == before


def test_a_mobile_written_otherwise_is_the_same_patients(clinic: Clinic) -> None:
    without_birth = ROWS[0].replace("04/05/1980", "")
    import_list(without_birth)
    before = find(Appointment, "77").patient_id
    import_list(without_birth.replace("0491 570 006", "+61 (0)491 570-006"))
    with store.reading(PRACTICE) as session:
        assert [one.id for one in session.scalars(select(Patient))] == [before]
    assert find(Appointment, "77").patient_id == before


def test_two_of_one_name_are_not_guessed(clinic: Clinic) -> None:
    with store.transaction(PRACTICE) as session:
        session.add(Practitioner(external_id="2", title="", first_name="Helen", last_name="Marsh"))
    id_ = upload(a_list(ROWS[0].replace("Dr Helen Marsh", "Helen Marsh")), "list.csv")
    matched(id_)
    assert "2 have the name" in (work(id_).found or {})["problems"][0]["cause"]


def test_what_was_shown_is_what_is_checked(clinic: Clinic) -> None:
    id_ = upload(a_list(*ROWS), "list.csv")
    match(PRACTICE, id_, MATCHING, NOW)
    seen = show_matching(PRACTICE, id_).fingerprint
    match(PRACTICE, id_, replace(MATCHING, dates=DateOrder.MONTH_FIRST), NOW)
    with pytest.raises(UploadRefused, match="has changed since"):
        go_on(PRACTICE, id_, seen, DANA, NOW)


def test_until_it_is_confirmed_its_columns_may_be_matched_otherwise(clinic: Clinic) -> None:
    wrong = replace(MATCHING, cancelled="ok")
    id_ = upload(a_list(*ROWS, "soon;;;;;;;;;"), "list.csv")
    matched(id_, wrong)
    told: list[int] = []

    def meanwhile(_done: int, _total: int) -> None:
        if not told:
            told.append(1)
            match_otherwise(PRACTICE, id_, NOW)

    work_on(PRACTICE, id_, lambda: NOW, meanwhile)  # while a worker is at it
    assert look(id_).state is UploadState.MATCHING
    matched(id_, wrong)
    assert (work(id_).found or {})["has_rejects"]
    for _ in range(2):  # pressed twice
        match_otherwise(PRACTICE, id_, NOW)
        assert (look(id_).state, look(id_).found) == (UploadState.MATCHING, None)
    with pytest.raises(NoSuchUpload):
        read_rejects(PRACTICE, id_)
    assert show_matching(PRACTICE, id_).matching == wrong
    matched(id_)
    work(id_)
    agree(id_)
    with pytest.raises(UploadRefused, match="no longer to be changed"):
        match_otherwise(PRACTICE, id_, NOW)
    assert work(id_).state is UploadState.IMPORTED
    with pytest.raises(UploadRefused, match="no longer to be changed"):
        match_otherwise(PRACTICE, id_, NOW)
    assert [one[-1] for one in appointments()] == [False, True]


def test_its_progress_never_goes_back(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_work, "_TELLS", 0)
    id_ = upload(a_list(*ROWS), "appointments.csv")
    matched(id_)
    told: list[float] = []
    work_on(PRACTICE, id_, lambda: NOW, lambda done, total: told.append(done / total))
    assert told == sorted(told) and 0 < told[1] < told[-1] <= 1


def test_of_an_export_there_is_nothing_to_match(clinic: Clinic) -> None:
    id_ = upload(a_zip_of(patients_csv="id\n"))
    with pytest.raises(UploadRefused, match="matched already"):
        match_otherwise(PRACTICE, id_, NOW)


def test_what_is_still_to_be_said_is_asked_for(clinic: Clinic) -> None:
    id_ = upload(a_list(*ROWS), "list.csv")
    for wrong, field in (
        (replace(MATCHING, dates=None), "dates"),
        (replace(MATCHING, zone="Mars/Olympus"), "zone"),
        (replace(MATCHING, columns={**MATCHING.columns, "date": "no such heading"}), "date"),
    ):
        assert (match(PRACTICE, id_, wrong, NOW) or ("", ""))[0] == field


@pytest.mark.parametrize(("country", "zone"), [("US", ""), ("AU", ""), ("NL", "Europe/Amsterdam")])
def test_the_zone_of_the_first_business_is_not_guessed(app: Flask, country: str, zone: str) -> None:
    a_practice(PRACTICE, country=country)
    id_ = upload(a_list(*ROWS), "list.csv")
    assert show_matching(PRACTICE, id_).matching.zone == zone
    problem = match(PRACTICE, id_, replace(MATCHING, zone=zone), NOW)
    assert problem == (None if zone else ("zone", "Choose the time zone."))


def test_10_000_columns_or_one_or_another_encoding_are_named(clinic: Clinic) -> None:
    id_ = upload((",".join(map(str, range(10_000))) + "\n1\n").encode(), "list.csv")
    assert "10,000 columns" in show_matching(PRACTICE, id_).unreadable
    discard(PRACTICE, id_, NOW)
    id_ = upload(b"Appointments in May,,\r\n\r\nDay,Who,With\r\n", "list.csv")
    assert "does not name several columns" in show_matching(PRACTICE, id_).unreadable
    discard(PRACTICE, id_, NOW)
    with pytest.raises(UploadRefused, match="UTF-16"):
        upload("a,b\n1,2\n".encode("utf-16"), "list.csv")
