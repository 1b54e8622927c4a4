"""For tests of merging: two records of one person, and everything that can hang on a patient."""

from datetime import date
from typing import Any

from sqlalchemy import func, select

from portal import store
from portal.actions.broadcasts import send as send_to_many
from portal.actions.merge_patients import merge, say_they_are_two
from portal.actions.patients import record_consent, record_opt_out
from portal.actions.remind import run_pass
from portal.actions.tidy_numbers import file_numbers
from portal.actions.who import Who
from portal.core.numbers import PhoneType
from portal.store.database import Base, table_of
from portal.store.patients import Patient
from tests.builders import MOBILES, PASS_AT, Clinic, a_number, a_patient

from .broadcasting import draft

DANA = Who(2, "Dana")
HOW: dict[str, Any] = {"who": DANA, "now": PASS_AT}
BORN = date(1980, 5, 4)


def two(clinic: Clinic, *, kept: dict[str, Any] | None = None, gone: dict[str, Any] | None = None) -> tuple[int, int]:
    """Mia with two records, each with a number of its own and an appointment tomorrow; (kept, gone)."""
    mine = {"date_of_birth": BORN, "mobile": MOBILES[0]} | (kept or {})
    theirs = {"date_of_birth": BORN, "mobile": MOBILES[1]} | (gone or {})
    first = clinic.book("k", starts="2031-05-08 09:30", patient=mine)
    second = clinic.book("g", starts="2031-05-08 11:00", patient=theirs)
    return first.patient_id, second.patient_id


def merged(kept: int, gone: int, practice_id: str = "riverside") -> None:
    merge(practice_id, kept, gone, confirmed=True, **HOW)


def with_everything(clinic: Clinic) -> tuple[int, int]:
    """Each kind of row that can hang on a patient hangs on the one that goes."""
    kept, gone = two(clinic)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    record_opt_out(clinic.id, gone, **HOW)
    record_consent(clinic.id, gone, "2031-05-01", "at the desk", **HOW)
    send_to_many(clinic.id, draft(), "a-form-of-many-1", DANA, PASS_AT)
    with store.transaction(clinic.id) as session:
        others = [a_patient(session, f"other {i}", mobile=None, first_name="Noah") for i in range(3)]
        row = a_number(session, others[1], "0491 570 156", PhoneType.HOME)
        gone_before = a_number(session, others[2], MOBILES[3])
    file_numbers(clinic.id, {row.id: "Home 0491 570 156"}, **HOW)
    merged(gone, others[1].id)  # whoever was merged before comes along
    say_they_are_two(clinic.id, gone, others[0].id, **HOW)
    say_they_are_two(clinic.id, others[0].id, others[2].id, **HOW)
    merged(gone, others[2].id)
    assert gone_before.patient_id == others[2].id
    return kept, gone


def count_references(patient_id: int) -> dict[tuple[str, str], int]:
    """How many rows refer to that patient, by table and column: as the tables say, of all that there are."""
    found = {}
    with store.everything() as session:
        for table in Base.metadata.sorted_tables:
            for key in table.foreign_key_constraints:
                if key.referred_table is table_of(Patient):
                    [column] = [column for column in key.columns if column.name != "practice_id"]
                    count = select(func.count()).select_from(table).where(column == patient_id)
                    found[table.name, column.name] = session.execute(count).scalar_one()
    return found
