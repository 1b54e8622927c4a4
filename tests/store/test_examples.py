"""The appointments that show how a text reads are looked for among a practice's next days, on both databases."""

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from portal import store
from portal.store.database import db
from tests.builders import PASS_AT, Clinic, a_type


def next_of(clinic: Clinic, *type_ids: int) -> list[int]:
    with store.reading(clinic.id) as session:
        found = store.examples.list_next(session, clinic.practice, PASS_AT, 2, type_ids)
        return [one.appointment_id for one in found]


def test_of_a_type_that_is_rare_the_next_60_days_are_looked_through(app: Flask) -> None:
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        rare = a_type(session, None, external_id="2", name="Dry needling")
    first, second = clinic.book("a"), clinic.book("b", starts="2031-05-09 09:30")
    clinic.book("c", starts="2031-07-07 09:30", type=rare)  # in 61 days
    assert next_of(clinic, rare.id) == [first.id, second.id]
    near = clinic.book("d", starts="2031-07-06 09:30", type=rare)
    assert next_of(clinic, rare.id) == [near.id]
    assert next_of(clinic, clinic.type.id) == next_of(clinic) == [first.id, second.id]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_they_are_found_by_the_index_of_days_and_no_others_are_read(app: Flask) -> None:
    clinic = Clinic()
    statements: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    next_of(clinic, clinic.type.id)
    event.remove(db.engine, "before_cursor_execute", note)
    ((statement, parameters),) = [one for one in statements if " appointments" in one[0]]
    with db.engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    reads = [row for row in plan if re.match(r"(SEARCH|SCAN) appointments", row)]
    assert len([row for row in reads if "ix_appointments_day (practice_id=? AND business_id=?" in row]) == 2, plan
    assert [row for row in reads if re.search(r"\bix_appointments_(?!day)|^SCAN", row)] == [], plan
