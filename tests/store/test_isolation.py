"""Practices are kept apart by the transaction they are read in, and by the database itself."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal import store
from portal.actions.remind import run_pass
from portal.store.appointments import Appointment
from portal.store.database import Base, IsolationError, PracticeOwned, db, table_of
from portal.store.facts import list_of_appointments
from portal.store.messages import Message
from portal.store.patients import Patient, PhoneRow
from portal.store.practices import AppointmentType, SmsTemplate
from tests.builders import PASS_AT, Clinic, a_practice

OWNED = sorted(
    (mapper.class_ for mapper in Base.registry.mappers if issubclass(mapper.class_, PracticeOwned)),
    key=lambda model: model.__name__,
)


@pytest.fixture
def two(app: Flask) -> tuple[Clinic, Clinic]:
    ours, theirs = Clinic("ours"), Clinic("theirs")
    ours.book("a")
    theirs.book("a", patient={"first_name": "Other"})
    return ours, theirs


def test_every_table_with_rows_of_practices_is_practice_owned() -> None:
    # Whoever signs in is of no practice yet, nor is what the provider reports; alarms are of the host too.
    host_wide = {"practices", "host_state", "users", "provider_events", "alarms"}
    assert {table_of(model).name for model in OWNED} == set(Base.metadata.tables) - host_wide
    assert len(OWNED) >= 15


@pytest.mark.parametrize("model", OWNED, ids=lambda model: model.__name__)
def test_a_read_sees_one_practice_whatever_the_query(two: tuple[Clinic, Clinic], model: Any) -> None:
    with store.everything() as session:
        everybodys = session.scalars(select(model.practice_id)).all()
    with store.reading("ours") as session:
        assert set(session.scalars(select(model.practice_id))) <= {"ours"}
        assert len(session.scalars(select(model)).all()) == list(everybodys).count("ours")


def test_joins_and_lookups_by_id_see_one_practice(two: tuple[Clinic, Clinic]) -> None:
    with store.reading("theirs") as session:
        their_patient = session.scalars(select(Patient)).one()
        their_appointment = session.scalars(select(Appointment)).one()
    with store.reading("ours") as session:
        assert session.get(Patient, their_patient.id) is None
        assert store.patients.list_numbers(session, [their_patient.id]) == {}
        practice = store.practices.get_practice(session, "ours")
        assert list_of_appointments(session, practice, [their_appointment.id]) == {}
        rows = session.execute(select(Patient.first_name).join(PhoneRow, PhoneRow.patient_id == Patient.id)).all()
        assert [row[0] for row in rows] == ["Mia"]


def test_a_statement_without_a_practice_is_refused(two: tuple[Clinic, Clinic]) -> None:
    with pytest.raises(IsolationError):
        db.session.execute(select(Patient))
    db.session.remove()


@pytest.mark.parametrize(
    "statement",
    [lambda: text("SELECT * FROM patients"), lambda: select(table_of(Patient)), lambda: table_of(Patient).delete()],
)
def test_a_statement_that_cannot_be_narrowed_is_refused(
    two: tuple[Clinic, Clinic], statement: Callable[[], Any]
) -> None:
    with store.reading("ours") as session, pytest.raises(IsolationError):
        session.execute(statement())


def test_writing_another_practices_row_is_refused(two: tuple[Clinic, Clinic]) -> None:
    def write(session: Session) -> None:
        session.add(SmsTemplate(practice_id="theirs", external_id="x", name="x", body="x"))
        session.flush()

    with pytest.raises(IsolationError), store.transaction("ours") as session:
        write(session)


def test_a_bulk_update_reaches_one_practice(two: tuple[Clinic, Clinic]) -> None:
    with store.transaction("ours") as session:
        session.execute(update(Patient).values(email="x").execution_options(synchronize_session=False))
    with store.everything() as session:
        assert dict(session.execute(select(Patient.practice_id, Patient.email)).all()) == {"ours": "x", "theirs": ""}


def test_the_database_refuses_a_reference_to_another_practices_row(two: tuple[Clinic, Clinic]) -> None:
    _, theirs = two
    with pytest.raises(IntegrityError), store.transaction("ours") as session:
        session.add(
            AppointmentType(external_id="9", name="x", duration_minutes=5, reminder_template_id=theirs.template.id)
        )
        session.flush()


def test_every_reference_between_owned_rows_holds_the_practice(app: Flask) -> None:
    inspector = inspect(db.engine)
    owned = {table_of(model).name for model in OWNED}
    for table in owned:
        for key in inspector.get_foreign_keys(table):
            if key["referred_table"] in owned:
                assert key["constrained_columns"][0] == "practice_id", (table, key)


def test_a_reader_writes_nothing(two: tuple[Clinic, Clinic]) -> None:
    with store.reading("ours") as session, pytest.raises(IsolationError):
        session.execute(update(Patient).values(email="x"))
    with pytest.raises(IsolationError), store.reading("ours") as session:
        session.scalars(select(Patient)).one().email = "x"
    with store.reading("ours") as session:
        assert session.scalars(select(Patient.email)).all() == [""]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_one_reader_has_prepared_serves_the_next(two: tuple[Clinic, Clinic]) -> None:
    """Planning a page's longest query takes longer than all else about it."""
    for _ in range(10):
        with store.reading("ours") as session:
            session.scalars(select(Patient)).all()
    with db.engine.connect() as connection:
        prepared = connection.scalars(text("SELECT statement FROM pg_prepared_statements")).all()
    assert any("FROM patients" in statement for statement in prepared)


def test_transactions_do_not_nest(two: tuple[Clinic, Clinic]) -> None:
    with store.reading("ours"), pytest.raises(IsolationError), store.reading("theirs"):
        pass


def test_a_numeric_sender_belongs_to_one_practice_and_a_name_may_be_shared(app: Flask) -> None:
    a_practice("one", sender="Clinic")
    a_practice("two", sender="Clinic")
    a_practice("three", sender="+61491570006")
    with pytest.raises(IntegrityError):
        a_practice("four", sender="+61491570006")


def test_one_reminder_for_each_appointment_and_revision(two: tuple[Clinic, Clinic]) -> None:
    run_pass("ours", PASS_AT, PASS_AT)
    with pytest.raises(IntegrityError), store.transaction("ours") as session:
        row = session.scalars(select(Message)).one()
        copy = Message(
            **{key: getattr(row, key) for key in inspect(Message).column_attrs.keys() if key != "id"}  # noqa: SIM118
        )
        session.add(copy)
        session.flush()


@pytest.mark.parametrize(
    ("column", "value"),
    [("status", "lost"), ("reasons", "because;"), ("reasons", "no-template"), ("kind", "fax"), ("charged", -1)],
)
def test_the_database_refuses_words_that_the_rules_do_not_know(
    two: tuple[Clinic, Clinic], column: str, value: object
) -> None:
    run_pass("ours", PASS_AT, PASS_AT)
    with pytest.raises(IntegrityError), db.engine.begin() as connection:
        connection.execute(text(f"UPDATE messages SET {column} = :value"), {"value": value})
