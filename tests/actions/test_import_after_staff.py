"""Importing after staff have changed things: what they changed stays theirs, and conflicts are told once."""

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from portal import store
from portal.actions.importing.merge import merge
from portal.core.reminders import Preference, Sending
from portal.store.imported import as_json
from portal.store.patients import Patient
from portal.store.practices import AppointmentType, Business, SmsTemplate
from tests.actions.exports import Export, change, everything_stored, find, written_tables


@pytest.fixture
def export(app: Flask, tmp_path: Path) -> Export:
    """Imported once."""
    export = Export(tmp_path / "export")
    export.set("sms_templates.csv", {}, {"id": "t2", "name": "Other"})
    export.run()
    return export


def conflicts(export: Export) -> list[tuple[str, str, str]]:
    return [(conflict.file, conflict.id, conflict.column) for conflict in export.run().conflicts]


def test_a_preference_that_staff_changed_stays_theirs(export: Export) -> None:
    change(Patient, "p1", preference=Preference.EMAIL)
    before = everything_stored()
    with written_tables() as tables:
        assert conflicts(export) == []
    assert tables == {"import_runs"}
    assert everything_stored() == before
    assert find(Patient, "p1").preference is Preference.EMAIL


def test_staff_may_empty_a_value_or_fill_an_empty_one(export: Export) -> None:
    change(Patient, "p1", date_of_birth=None, preference=Preference.SMS)
    assert conflicts(export) == []
    patient = find(Patient, "p1")
    assert (patient.date_of_birth, patient.preference) == (None, Preference.SMS)


def test_other_fields_of_the_row_still_follow_the_export(export: Export) -> None:
    change(Patient, "p1", preference=Preference.EMAIL)
    export.set("patients.csv", {"last_name": "Tran"})
    assert conflicts(export) == []
    patient = find(Patient, "p1")
    assert (patient.last_name, patient.preference) == ("Tran", Preference.EMAIL)


def test_where_both_changed_staffs_value_stands_and_the_conflict_is_told_once(export: Export) -> None:
    change(Patient, "p1", preference=Preference.EMAIL)
    export.set("patients.csv", {"automated_reminder": "None"})
    assert conflicts(export) == [("patients.csv", "p1", "automated_reminder")]
    assert find(Patient, "p1").preference is Preference.EMAIL
    with written_tables() as tables:
        assert conflicts(export) == []
    assert tables == {"import_runs"}
    # The next change of the export is a conflict again: staff's value has stood all the while.
    export.set("patients.csv", {"automated_reminder": "SMS"})
    assert conflicts(export) == [("patients.csv", "p1", "automated_reminder")]
    assert find(Patient, "p1").preference is Preference.EMAIL


def test_where_the_export_comes_to_agree_with_staff_it_leads_again(export: Export) -> None:
    change(Patient, "p1", preference=Preference.EMAIL)
    export.set("patients.csv", {"automated_reminder": "Email"})
    assert conflicts(export) == []
    assert find(Patient, "p1").staff_changed is None
    export.set("patients.csv", {"automated_reminder": "SMS"})
    assert conflicts(export) == []
    assert find(Patient, "p1").preference is Preference.SMS


def test_a_change_that_staff_took_back_is_none(export: Export) -> None:
    change(Patient, "p1", last_name="Tran")
    change(Patient, "p1", last_name="Nguyen")
    export.set("patients.csv", {"last_name": "Smith"})
    assert conflicts(export) == []
    assert find(Patient, "p1").last_name == "Smith"


def test_staffs_changes_to_settings_stay(export: Export) -> None:
    with store.transaction("riverside") as session:
        practice = store.practices.get_practice(session, "riverside")
        practice.sending, practice.lead_days, practice.sender = Sending.PAUSED, 2, "Clinic"
    change(Business, "b1", sms_reminders=False, timezone="Australia/Brisbane")
    change(AppointmentType, "k1", reminder_template_id=None)
    change(SmsTemplate, "t1", body="Hello", problem=None)
    before = everything_stored()
    assert conflicts(export) == []
    after = everything_stored()
    assert after.pop("appointments") != before.pop("appointments")  # read in the zone that staff chose
    assert after == before

    export.practice = (export.practice or {}) | {"sending": "rehearsal", "lead_days": 3, "window_start": "11:00"}
    export.set("businesses.csv", {"sms_reminders": "Off", "timezone": "Australia/Perth"})
    export.set("appointment_types.csv", {"reminder_template": "t2"})
    export.set("sms_templates.csv", {"body": "Hi {{ 7*7 }}"}, {"id": "t2", "name": "Other"})
    assert conflicts(export) == [
        ("practice.json", "riverside", "lead_days"),
        ("practice.json", "riverside", "sending"),
        ("businesses.csv", "b1", "timezone"),
        ("sms_templates.csv", "t1", "body"),
        ("appointment_types.csv", "k1", "reminder_template"),
    ]
    with store.reading("riverside") as session:
        practice = store.practices.get_practice(session, "riverside")
    assert (practice.sending, practice.lead_days, practice.window_start) == (Sending.PAUSED, 2, 11)
    business, template = find(Business, "b1"), find(SmsTemplate, "t1")
    assert (business.sms_reminders, business.timezone) == (False, "Australia/Brisbane")
    assert (template.body, template.problem) == ("Hello", None)
    assert find(AppointmentType, "k1").reminder_template_id is None


def test_a_template_that_staff_mended_is_no_draft(export: Export) -> None:
    export.set("sms_templates.csv", {"body": "Hi {{ 7*7 }}"}, {"id": "t2", "name": "Other", "body": "{{ 1 }}"})
    assert export.run().drafts == 2
    change(SmsTemplate, "t1", body="Hello", problem=None)
    assert export.run().drafts == 1
    export.set("sms_templates.csv", {"body": "Hi {{ 7*8 }}"}, {"id": "t2", "name": "Other", "body": "Hello"})
    assert export.run().drafts == 0  # staff's text stands, and t2 was mended where it came from


def test_a_sending_switch_that_the_file_does_not_name_is_left_alone(export: Export) -> None:
    assert export.practice
    del export.practice["sending"]
    before = everything_stored()
    export.run()
    assert everything_stored() == before


def test_a_number_that_staff_gave_up_may_be_taken_by_another_practice(export: Export, tmp_path: Path) -> None:
    export.practice = (export.practice or {}) | {"sender": "0491 570 156"}
    export.run()
    with store.transaction("riverside") as session:
        store.practices.get_practice(session, "riverside").sender = "Riverside"
    other = Export(tmp_path / "other", id="northgate", sender="0491 570 156")
    assert other.run().is_imported
    # Unchanged in the export, staff's own in the portal: nothing to refuse.
    assert export.run().problems == 0


# --- the promise, against a model that keeps all three sides ---------------------------------------------

FIELDS = ("a", "b")
VALUES = st.sampled_from(["x", "y", "z", None])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("staff"), st.sampled_from(FIELDS), VALUES),
        st.tuples(st.just("export"), st.sampled_from(FIELDS), VALUES),
        st.tuples(st.just("import"), st.none(), st.none()),
    ),
    max_size=30,
)


class Portal:
    """A row as the portal keeps it, by the rules of `Imported`."""

    def __init__(self, exported: dict[str, Any]) -> None:
        self.values = dict(exported)
        self.staff_changed: dict[str, Any] | None = None

    def staff_sets(self, field: str, value: Any) -> None:
        before = self.staff_changed or {}
        if self.values[field] != value and field not in before:
            self.staff_changed = before | {field: as_json(self.values[field])}
        self.values[field] = value

    def takes(self, exported: dict[str, Any]) -> tuple[str, ...]:
        merged = merge(self.values, self.staff_changed, exported)
        self.values |= merged.values
        self.staff_changed = merged.staff_changed
        return merged.conflicts


@settings(deadline=None)
@given(steps=STEPS)
def test_only_what_changed_in_the_export_is_applied_and_staffs_value_stands(
    steps: list[tuple[str, Any, Any]],
) -> None:
    exported: dict[str, Any] = dict.fromkeys(FIELDS, "x")
    last_exported, portal = dict(exported), Portal(exported)
    for who, field, value in [*steps, ("import", None, None)]:
        if who == "staff":
            portal.staff_sets(field, value)
        elif who == "export":
            exported[field] = value
        else:
            mine = dict(portal.values)
            conflicts = portal.takes(dict(exported))
            for name in FIELDS:
                # Staff's own: what the portal shows is not what the export had last.
                is_staffs = mine[name] != last_exported[name]
                has_changed = exported[name] != last_exported[name]
                expected = exported[name] if has_changed and not is_staffs else mine[name]
                assert portal.values[name] == expected
                assert (name in conflicts) == (has_changed and is_staffs and exported[name] != mine[name])
            last_exported = dict(exported)
            before = dict(portal.values), portal.staff_changed
            assert portal.takes(dict(exported)) == ()
            assert (portal.values, portal.staff_changed) == before
