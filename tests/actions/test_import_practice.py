"""An import of a whole folder: what it makes, what it changes, and that the same one again changes nothing."""

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions.import_practice import CannotImport, Counts, ImportResult
from portal.core.numbers import LineKind, PhoneType
from portal.core.reminders import Preference, Sending
from portal.store.appointments import Appointment
from portal.store.credits import CreditEntry, EntryKind
from portal.store.imports import ImportRun
from portal.store.patients import Patient, PhoneRow
from portal.store.practices import AppointmentType, Business, Practice, Practitioner, SmsTemplate
from tests.actions.exports import (
    NOW,
    ROWS,
    Export,
    Listener,
    change,
    everything_stored,
    find,
    numbers_of,
    run,
    written_tables,
)
from tests.builders import a_practice

PRACTICES = Path(__file__).parent.parent / "practices"


@pytest.fixture
def export(app: Flask, tmp_path: Path) -> Export:
    return Export(tmp_path / "export")


def the_practice(id: str = "riverside") -> Practice:
    with store.reading(id) as session:
        return store.practices.get_practice(session, id)


@pytest.mark.parametrize("practice", ["riverside", "northgate"])
def test_a_real_export_is_taken_whole_and_again_without_writing_a_row(app: Flask, practice: str) -> None:
    folder = PRACTICES / practice
    first = run(folder)
    assert first.is_imported
    assert first.is_new
    assert first.problems == 0
    for file in ROWS:
        with (folder / file).open(encoding="utf-8-sig", newline="") as stream:
            rows = len(list(csv.DictReader(stream)))
        assert first.counts[file] == Counts(read=rows, added=rows)
    before = everything_stored()

    with written_tables() as tables:
        second = run(folder)
    assert tables == {"import_runs"}
    assert everything_stored() == before
    assert (second.is_new, second.conflicts, second.missing) == (False, (), ())
    assert all(counts == Counts(read=counts.read, unchanged=counts.read) for counts in second.counts.values())


def test_every_column_reaches_its_field(export: Export) -> None:
    export.set("patients.csv", {"automated_reminder": "SMS & Email", "archived": "yes"})
    export.set("appointments.csv", {"cancelled_at": "2031-04-02T10:00:00+10:00"})
    export.run()
    practice = the_practice()
    assert (practice.name, practice.country, practice.sender) == ("Riverside", "AU", "Riverside")
    assert (practice.default_preference, practice.lead_days, practice.window_start) == (Preference.SMS, 1, 10)
    assert (practice.sending, practice.created_at) == (Sending.ON, NOW)
    business = find(Business, "b1")
    assert (business.name, business.timezone) == ("North Clinic", "Australia/Sydney")
    assert (business.contact_number, business.sms_reminders) == ("(02) 5550 9325", True)
    practitioner = find(Practitioner, "d1")
    assert (practitioner.title, practitioner.first_name, practitioner.last_name) == ("Dr", "Helen", "Marsh")
    template = find(SmsTemplate, "t1")
    assert (template.name, template.body, template.problem) == ("Short", "Hi {{Patient.FirstName}}", None)
    type_ = find(AppointmentType, "k1")
    assert (type_.name, type_.duration_minutes, type_.reminder_template_id) == ("Initial", 30, template.id)
    patient = find(Patient, "p1")
    assert (patient.full_name, patient.date_of_birth) == ("Mia Nguyen", date(1980, 5, 4))
    assert (patient.email, patient.preference) == ("mia@example.org", Preference.SMS_AND_EMAIL)
    assert patient.archived
    [number] = numbers_of(patient)
    assert (number.type, number.number, number.e164) == (PhoneType.MOBILE, "0491 570 006", "+61491570006")
    assert (number.region, number.kind, number.from_export) == ("AU", LineKind.MOBILE, True)
    appointment = find(Appointment, "a1")
    assert (appointment.business_id, appointment.practitioner_id) == (business.id, practitioner.id)
    assert (appointment.appointment_type_id, appointment.patient_id) == (type_.id, patient.id)
    assert [str(wall) for wall in (appointment.starts_wall, appointment.ends_wall)] == [
        "2031-05-08 09:30:00",
        "2031-05-08 10:00:00",
    ]
    assert (appointment.timezone, appointment.starts_on) == ("Australia/Sydney", date(2031, 5, 8))
    assert appointment.starts_at == datetime(2031, 5, 7, 23, 30, tzinfo=UTC)
    assert appointment.ends_at == datetime(2031, 5, 8, 0, 0, tzinfo=UTC)
    assert appointment.booked_at == datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
    assert appointment.cancelled_at == datetime(2031, 4, 2, 0, 0, tzinfo=UTC)
    assert (appointment.revision, appointment.moved_at) == (0, None)


def test_a_byte_order_mark_crlf_and_extra_columns_are_fine(export: Export) -> None:
    folder = export.write()
    text = "comment,ID,Name,Timezone,contact_number,sms_reminders\r\nx,b1,North,Australia/Perth,,ON\r\n\r\n,,,,,\r\n"
    (folder / "businesses.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert run(folder).counts["businesses.csv"] == Counts(read=1, added=1)
    assert find(Business, "b1").timezone == "Australia/Perth"


def test_white_space_around_values_is_left_away(export: Export) -> None:
    export.set("patients.csv", {"id": " p1 ", "first_name": "\u00a0Mia ", "archived": " Yes "})
    export.set("phone_numbers.csv", {"patient_id": "p1\u00a0", "type": " mobile", "number": " 0491 570 006 "})
    export.run()
    patient = find(Patient, "p1")
    assert (patient.first_name, patient.archived) == ("Mia", True)
    assert [(row.type, row.number) for row in numbers_of(patient)] == [(PhoneType.MOBILE, "0491 570 006")]


def test_a_practice_is_new_in_rehearsal_and_with_the_usual_window(export: Export) -> None:
    for key in ("sending", "lead_days", "window_start", "credits"):
        del export.practice[key]  # type: ignore[union-attr]
    export.run()
    practice = the_practice()
    assert (practice.sending, practice.lead_days, practice.window_start) == (Sending.REHEARSAL, 1, 10)
    assert practice.credits == 0


@pytest.mark.parametrize("credits", [100, -5])
def test_the_opening_balance_is_taken_at_the_first_import_only(export: Export, credits: int) -> None:
    export.practice = (export.practice or {}) | {"credits": credits}
    export.run()
    export.practice["credits"] = 999
    export.run()
    with store.reading("riverside") as session:
        entries = session.execute(select(CreditEntry.kind, CreditEntry.amount, CreditEntry.at)).all()
    assert entries == [(EntryKind.OPENING, credits, NOW)]
    assert the_practice().credits == credits


def test_what_changed_in_the_export_is_applied_by_id(export: Export) -> None:
    export.run()
    ids = {model: find(model, id_).id for model, id_ in ((Patient, "p1"), (Business, "b1"), (AppointmentType, "k1"))}
    export.practice = (export.practice or {}) | {"default_reminder": "Email", "sending": "paused"}
    export.set("businesses.csv", {"sms_reminders": "Off"})
    export.set("sms_templates.csv", {}, {"id": "t2", "name": "Other"})
    export.set("appointment_types.csv", {"reminder_template": "t2"})
    export.set("patients.csv", {"last_name": "Tran", "date_of_birth": "", "automated_reminder": "none"}, {"id": "p2"})
    result = export.run(now=NOW + timedelta(days=1))
    assert result.counts["practice.json"] == Counts(read=1, changed=1)
    assert result.counts["patients.csv"] == Counts(read=2, added=1, changed=1)
    assert result.counts["sms_templates.csv"] == Counts(read=2, added=1, unchanged=1)
    practice, patient, business = the_practice(), find(Patient, "p1"), find(Business, "b1")
    assert (practice.default_preference, practice.sending) == (Preference.EMAIL, Sending.PAUSED)
    assert practice.sending_changed_at == NOW + timedelta(days=1)
    assert (patient.id, patient.full_name, patient.date_of_birth) == (ids[Patient], "Mia Tran", None)
    assert patient.preference is Preference.NONE
    assert (business.id, business.sms_reminders) == (ids[Business], False)
    assert find(AppointmentType, "k1").reminder_template_id == find(SmsTemplate, "t2").id


def test_a_type_may_have_no_template(export: Export) -> None:
    export.set("appointment_types.csv", {"reminder_template": "NONE"})
    export.run()
    assert find(AppointmentType, "k1").reminder_template_id is None


def test_a_file_that_is_missing_leaves_what_it_would_hold(export: Export) -> None:
    export.run()
    before = everything_stored()
    for file in ("businesses.csv", "phone_numbers.csv", "patients.csv", "sms_templates.csv"):
        export.rows[file] = None
    assert export.run().is_imported
    assert everything_stored() == before


def test_appointments_alone_are_taken_for_the_practice_that_is_named_or_the_only_one(export: Export) -> None:
    export.run()
    export.practice = None
    export.rows = dict.fromkeys(ROWS)
    export.set("appointments.csv", {}, {"id": "a2", "starts_at": "2031-05-09 09:30", "ends_at": "2031-05-09 10:00"})
    assert export.run().counts["appointments.csv"] == Counts(read=2, added=1, unchanged=1)
    a_practice("northgate")
    with pytest.raises(CannotImport, match=r"no practice\.json"):
        export.run()
    with pytest.raises(CannotImport, match="no practice 'elsewhere'"):
        export.run(practice_id="elsewhere")
    assert export.run(practice_id="riverside").counts["appointments.csv"] == Counts(read=2, unchanged=2)


def test_a_folder_of_another_practice_than_the_named_one_is_refused(export: Export) -> None:
    with pytest.raises(CannotImport, match="“riverside”, and this practice is “northgate”"):
        export.run(practice_id="northgate")


def test_a_folder_that_holds_no_export_is_refused(app: Flask, tmp_path: Path) -> None:
    with pytest.raises(CannotImport, match="holds no export"):
        run(tmp_path)
    with pytest.raises(CannotImport, match="is not a folder"):
        run(tmp_path / "nowhere")


def test_a_numeric_sender_is_kept_in_e164_and_belongs_to_one_practice(export: Export, tmp_path: Path) -> None:
    export.practice = (export.practice or {}) | {"sender": "0491 570 156"}
    export.run()
    assert the_practice().sender == "+61491570156"
    assert export.run().counts["practice.json"].unchanged == 1
    other, listener = Export(tmp_path / "other", id="northgate", sender="+61 491 570 156"), Listener()
    assert not other.run(listener).is_imported
    assert listener.lines == [
        'practice.json:10: sender: "+61491570156": this number is another practice\'s: '
        "replies to it would reach both."
    ]
    with store.everything() as session:
        assert [practice.id for practice in store.practices.list_practices(session)] == ["riverside"]


def test_two_practices_with_the_same_ids_do_not_touch_each_other(export: Export, tmp_path: Path) -> None:
    export.run()
    other = Export(tmp_path / "other", id="northgate", name="Northgate")
    other.set("patients.csv", {"first_name": "Ana"})
    other.run()
    before = everything_stored()
    assert find(Patient, "p1").first_name == "Mia"
    assert find(Patient, "p1", "northgate").first_name == "Ana"
    with written_tables() as tables:
        export.run()
        other.run()
    assert tables == {"import_runs"}
    assert everything_stored() == before


def test_another_country_has_all_numbers_parsed_again(export: Export) -> None:
    export.set("phone_numbers.csv", {"number": "(202) 555-0132"})
    export.run()
    with store.transaction("riverside") as session:
        row = PhoneRow(patient_id=find_id(session), position=1, type=PhoneType.MOBILE, from_export=False)
        row.retype("0491 570 006", "AU")
        session.add(row)
    export.practice = (export.practice or {}) | {"country": "US"}
    export.run()
    assert [(row.e164, row.region) for row in numbers_of(find(Patient, "p1"))] == [
        ("+12025550132", "US"),
        (None, None),
    ]


def find_id(session: object) -> int:
    return session.scalars(select(Patient.id).where(Patient.external_id == "p1")).one()  # type: ignore[attr-defined]


def test_a_template_with_a_fault_is_kept_as_a_draft(export: Export) -> None:
    bodies = ["{{ 7*7 }}", "{{Patient.Nickname}}", "{{Patient.FirstName", " "]
    export.set("sms_templates.csv", *[{"id": f"t{n}", "body": body} for n, body in enumerate(bodies, 1)])
    listener = Listener()
    result = export.run(listener)
    assert (result.is_imported, result.problems, result.drafts) == (True, 0, 4)
    assert [(warning.line, warning.column) for warning in listener.warnings] == [
        (line, "body") for line in (2, 3, 4, 5)
    ]
    assert "{{7*7}} is not a placeholder" in str(listener.warnings[0])
    problems = [find(SmsTemplate, f"t{n}").problem for n in (1, 2, 3, 4)]
    assert all(problems)
    assert "{{Patient.Nickname}} is not a placeholder" in str(problems[1])
    assert [find(SmsTemplate, f"t{n}").body for n in (1, 2, 3)] == bodies[:3]
    export.set("sms_templates.csv", {})
    export.run()
    assert find(SmsTemplate, "t1").problem is None


def test_a_template_may_hold_line_breaks_and_commas(export: Export) -> None:
    body = 'Hi {{Patient.FirstName}},\nsee you "soon"\n\n{{Business.Name}}'
    export.set("sms_templates.csv", {"body": body.replace("\n", "\r\n")})
    export.run()
    assert find(SmsTemplate, "t1").body == body


def test_each_run_is_recorded_also_one_that_changed_nothing(export: Export) -> None:
    export.run()
    later = NOW + timedelta(hours=1)
    export.run(now=later)
    with store.reading("riverside") as session:
        newest, oldest = store.imports.list_imports(session, 10)
    assert (oldest.at, newest.at) == (NOW, later)
    assert oldest.counts["patients.csv"]["added"] == 1
    assert newest.counts["patients.csv"] == {
        "read": 1, "added": 0, "changed": 0, "unchanged": 1, "rejected": 0, "removed": 0,
    }  # fmt: skip
    assert newest.conflicts == []
    assert newest.seconds > 0


def test_the_result_and_the_record_list_conflicts(export: Export) -> None:
    export.run()
    change(Patient, "p1", preference=Preference.EMAIL)
    export.set("patients.csv", {"automated_reminder": "None"})
    result = export.run()
    assert [(c.file, c.id, c.column) for c in result.conflicts] == [("patients.csv", "p1", "automated_reminder")]
    with store.reading("riverside") as session:
        run_ = session.scalars(select(ImportRun).order_by(ImportRun.id.desc())).first()
    assert run_
    assert run_.conflicts == [{"file": "patients.csv", "id": "p1", "column": "automated_reminder"}]


def test_progress_grows_to_all_of_each_file(export: Export) -> None:
    listener = Listener()
    export.set("patients.csv", *[{"id": f"p{n}"} for n in range(2500)])
    export.set("phone_numbers.csv", {}, {"number": "ring later"})
    folder = export.write()
    run(folder, listener)
    assert set(listener.progressed) == set(ROWS)
    for file, steps in listener.progressed.items():
        done = [done for done, _ in steps]
        assert done == sorted(done)
        size = (folder / file).stat().st_size
        assert steps[-1] == (2 * size, 2 * size)
        assert (size, 2 * size) in steps
    assert len(listener.progressed["patients.csv"]) >= 6


def test_a_fault_while_saving_undoes_everything(export: Export) -> None:
    export.run()
    before = everything_stored()
    export.set("patients.csv", {"first_name": "Ana"}, {"id": "p2"})
    folder = export.write()

    class PowerCut(Listener):
        def progress(self, file: str, done: int, total: int) -> None:
            if file == "appointments.csv" and done == total:
                raise KeyboardInterrupt

    with written_tables() as tables, pytest.raises(KeyboardInterrupt):
        run(folder, PowerCut())
    assert "patients" in tables
    assert everything_stored() == before


def test_the_same_folder_imported_twice_at_once_makes_one_practice(app: Flask, export: Export) -> None:
    folder = export.write()
    barrier = Barrier(3)
    results: list[ImportResult] = []

    def call() -> None:
        with app.app_context():
            barrier.wait()
            results.append(run(folder))

    threads = [Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.is_new for result in results) == [False, False, True]
    assert the_practice().credits == 100
    assert [row.number for row in numbers_of(find(Patient, "p1"))] == ["0491 570 006"]
    stored = everything_stored()
    assert {name: len(stored[name]) for name in ("practices", "patients", "appointments", "credit_entries")} == {
        "practices": 1,
        "patients": 1,
        "appointments": 1,
        "credit_entries": 1,
    }


def test_two_practices_that_want_one_number_at_once(app: Flask, tmp_path: Path) -> None:
    folders = [Export(tmp_path / id_, id=id_, sender="0491 570 156").write() for id_ in ("riverside", "northgate")]
    barrier = Barrier(2)
    outcomes: list[bool] = []

    def call(folder: Path) -> None:
        with app.app_context():
            barrier.wait()
            try:
                outcomes.append(run(folder).is_imported)
            except CannotImport:
                outcomes.append(False)

    threads = [Thread(target=call, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, True]
    assert len(everything_stored()["practices"]) == 1
