"""What `portal import` tells of values that both the export and staff changed: nothing of a patient."""

from pathlib import Path

from flask import Flask

from portal import store
from portal.store.patients import Patient
from portal.store.practices import AppointmentType, Business
from tests.actions.exports import Export, change
from tests.cli.conftest import Portal


def test_settings_are_told_with_both_values_and_patients_by_row_and_column(
    app: Flask, portal: Portal, tmp_path: Path
) -> None:
    export = Export(tmp_path / "export")
    export.run()

    def change_both(name: str, zone: str, days: int) -> str:
        with store.transaction("riverside") as session:
            store.practices.get_practice(session, "riverside").lead_days = 3
        change(Business, "b1", timezone="Australia/Brisbane")
        change(AppointmentType, "k1", reminder_template_id=None)
        change(Patient, "p1", last_name="Tran")
        export.practice = (export.practice or {}) | {"lead_days": days}
        export.set("businesses.csv", {"timezone": zone})
        export.set("patients.csv", {"last_name": name})
        return str(export.write())

    told = portal("import", change_both("Smith", "Australia/Perth", 2))
    assert told.code == 0
    assert (
        "Both the export and staff changed 3 values; staff's stand. "
        "The portal shows both of each under Settings, Import:\n"
        '  practice.json: riverside: lead_days: yours "3", the export\'s "2"\n'
        '  businesses.csv: b1: timezone: yours "Australia/Brisbane", the export\'s "Australia/Perth"\n'
        "  patients.csv: p1: last_name\n"
    ) in told.out
    assert "Smith" not in told.out + told.err and "Tran" not in told.out + told.err

    told = portal("import", change_both("Jones", "Australia/Darwin", 4), "--json")
    assert told.json["conflicts"] == [
        {"file": "practice.json", "id": "riverside", "column": "lead_days", "yours": 3, "exported": 4},
        {
            "file": "businesses.csv",
            "id": "b1",
            "column": "timezone",
            "yours": "Australia/Brisbane",
            "exported": "Australia/Darwin",
        },
        {"file": "patients.csv", "id": "p1", "column": "last_name", "yours": None, "exported": None},
    ]
