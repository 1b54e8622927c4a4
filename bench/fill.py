"""Fill a database with practices, their appointments and what became of past ones, by set-based SQL.

Ids follow from (practice, day, place), so that rows refer to each other without being read. Rows are laid down
day by day, the practices' mixed, as they come about in real life. The constraints hold of what is written, but
are not checked row by row: foreign keys and triggers rest, and indexes that no constraint needs are made anew at
the end.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Insert, Text, bindparam, cast, insert, literal, select, text

from bench import scene
from bench.databases import Database
from portal import store
from portal.core.numbers import parse_number
from portal.core.patient_search import backwards, searched_name
from portal.core.reminders import Preference
from portal.core.states import Direction, Kind, Status
from portal.store.appointments import Appointment
from portal.store.credits import CreditEntry, EntryKind
from portal.store.database import Base, db, table_of
from portal.store.messages import DAY_BEFORE, Message, MessageEvent
from portal.store.patients import OptOut, OptOutSource, Patient, PhoneRow
from portal.store.practices import AppointmentType, Business, Practice, Practitioner, SmsTemplate

# A practice has one business, whose id is the practice's number: 1, 2, …
_NUMBER = Business.id
_PRACTICE = Business.practice_id


def fill(database: Database, practices: int, past_days: int, due_days: int) -> None:
    """Days from 0 on: first those with their messages, then those that are still due."""
    with database.app().app_context():
        with db.engine.connect() as connection:
            with _unchecked(connection):
                _set_up(connection, practices)
                _add_patients(connection)
                for day in range(past_days + due_days):
                    _add_appointments(connection, practices, day)
                    if day < past_days:
                        _add_messages(connection, practices, day)
                    connection.commit()
                _take_stock(connection)
                _file_messages(practices)
            _finish(connection)
        db.engine.dispose()


def appointment_ids(practices: int, day: int) -> range:
    """Of all practices on that day: by place, then by practice."""
    a_day = practices * scene.APPOINTMENTS
    return range(day * a_day + 1, (day + 1) * a_day + 1)


def _cell(practices: int, day: int, place: int) -> int:
    return appointment_ids(practices, day).start - 1 + place * practices


def _for_each_practice(model: type[Base], derived: dict[str, Any], given: Collection[str]) -> Insert:
    """A statement that adds a row to each practice. `derived`: SQL, from the practice's number; `given`:
    the columns whose values it is executed with."""
    table = table_of(model)
    columns = {"practice_id": _PRACTICE} | derived
    columns |= {name: bindparam(f"_{name}", type_=table.c[name].type) for name in given}
    return insert(table).from_select(list(columns), select(*columns.values()).select_from(Business))


def _execute(connection: Connection, statement: Insert, rows: Sequence[dict[str, Any]]) -> None:
    connection.execute(statement, [{f"_{name}": value for name, value in row.items()} for row in rows])


def _numbered(each: int) -> ColumnElement[int]:
    """The id of a practice's row, where each practice has `each` of them: that of index :_index."""
    return (_NUMBER - 1) * each + bindparam("_index", type_=_NUMBER.type) + 1


def _set_up(connection: Connection, practices: int) -> None:
    numbers = range(1, practices + 1)
    now = scene.pass_at(0)
    connection.execute(
        insert(table_of(Practice)),
        [
            {
                "id": scene.practice_id(number),
                "name": f"Clinic {number}",
                "country": "AU",
                "also_sends_to": "US",
                "default_preference": Preference.SMS,
                "lead_days": 1,
                "window_start": 10,
                "sending": scene.sending(number),
                "sender": "Clinic",
                "credits": scene.credits(number),
                "created_at": now,
            }
            for number in numbers
        ],
    )
    connection.execute(
        insert(table_of(Business)),
        [
            {
                "id": number,
                "practice_id": scene.practice_id(number),
                "external_id": "1",
                "name": f"Clinic {number}",
                "timezone": scene.ZONE,
                "contact_number": scene.LANDLINE,
                "sms_reminders": scene.business_sends(number),
                "watched_since": now,
            }
            for number in numbers
        ],
    )
    _execute(
        connection,
        _for_each_practice(
            Practitioner,
            {"id": _numbered(scene.PRACTITIONERS)},
            ("external_id", "title", "first_name", "last_name"),
        ),
        [
            {"index": i, "external_id": str(i), "title": "Dr", "first_name": "Helen", "last_name": f"Marsh {i}"}
            for i in range(scene.PRACTITIONERS)
        ],
    )
    _execute(
        connection,
        _for_each_practice(SmsTemplate, {"id": _numbered(len(scene.TEMPLATES))}, ("external_id", "name", "body")),
        [
            {"index": i, "external_id": str(i), "name": f"Template {i}", "body": body}
            for i, body in enumerate(scene.TEMPLATES)
        ],
    )
    for i, template in enumerate(scene.TYPES):
        derived: dict[str, Any] = {"id": _numbered(len(scene.TYPES))}
        if template is not None:
            derived["reminder_template_id"] = (_NUMBER - 1) * len(scene.TEMPLATES) + template + 1
        _execute(
            connection,
            _for_each_practice(AppointmentType, derived, ("external_id", "name", "duration_minutes")),
            [{"index": i, "external_id": str(i), "name": f"Consultation {i}", "duration_minutes": 30}],
        )
    connection.commit()


def _add_patients(connection: Connection) -> None:
    patient_id = _numbered(scene.PATIENTS)
    patients = range(scene.PATIENTS)
    _execute(
        connection,
        _for_each_practice(
            Patient,
            {"id": patient_id},
            ("external_id", "first_name", "last_name", "searched", "email", "preference", "archived"),
        ),
        [
            {
                "index": patient,
                "external_id": str(patient),
                "first_name": f"Mia {patient}",
                "last_name": "Nguyen",
                "searched": searched_name(f"Mia {patient}", "Nguyen"),
                "email": "",
                "preference": scene.preference(patient),
                "archived": scene.is_archived(patient),
            }
            for patient in patients
        ],
    )
    rows = []
    for patient in patients:
        for position, (type_, raw) in enumerate(scene.numbers(patient)):
            parsed = asdict(parse_number(raw, "AU"))
            found_by = {"backwards": backwards(raw, parsed["e164"])}
            rows.append({"index": patient, "type": type_, "number": raw, "position": position} | parsed | found_by)
    _execute(
        connection,
        _for_each_practice(
            PhoneRow,
            {"patient_id": patient_id, "from_export": literal(True)},
            ("type", "number", "position", "e164", "region", "kind", "backwards"),
        ),
        rows,
    )
    _execute(
        connection,
        _for_each_practice(OptOut, {"patient_id": patient_id}, ("source", "recorded_at")),
        [
            {"index": patient, "source": OptOutSource.STAFF, "recorded_at": scene.pass_at(0)}
            for patient in patients
            if scene.has_opted_out(patient)
        ],
    )
    _execute(
        connection,
        _for_each_practice(OptOut, {}, ("source", "recorded_at", "e164")),
        [
            {"source": OptOutSource.REPLY, "recorded_at": scene.pass_at(0), "e164": number}
            for number in scene.OPTED_OUT_NUMBERS
        ],
    )
    connection.commit()


def _of_cell() -> ColumnElement[int]:
    return bindparam("_cell", type_=_NUMBER.type) + _NUMBER


def _add_appointments(connection: Connection, practices: int, day: int) -> None:
    times = ("starts_wall", "ends_wall", "starts_at", "ends_at")
    statement = _for_each_practice(
        Appointment,
        {
            "id": _of_cell(),
            "external_id": cast(_of_cell(), Text),
            "business_id": _NUMBER,
            "practitioner_id": (_NUMBER - 1) * scene.PRACTITIONERS + bindparam("_practitioner", type_=_NUMBER.type),
            "appointment_type_id": (_NUMBER - 1) * len(scene.TYPES) + bindparam("_type", type_=_NUMBER.type),
            "patient_id": (_NUMBER - 1) * scene.PATIENTS + bindparam("_patient", type_=_NUMBER.type),
            "timezone": literal(scene.ZONE),
            "revision": literal(0),
        },
        (*times, "starts_on", "booked_at"),
    )
    rows = []
    for place in range(scene.APPOINTMENTS):
        slot = scene.slot(day, place)
        rows.append(
            {
                "cell": _cell(practices, day, place),
                "practitioner": place % scene.PRACTITIONERS + 1,
                "type": scene.type_of(place) + 1,
                "patient": scene.patient_of(day, place) + 1,
                "starts_on": slot.starts_wall.date(),
                "booked_at": slot.starts_at - timedelta(days=7),
            }
            | asdict(slot)
        )
    _execute(connection, statement, rows)


def _add_messages(connection: Connection, practices: int, day: int) -> None:
    pass_at = scene.pass_at(day)
    sent_at = pass_at + timedelta(minutes=1)
    own = {
        "id": _of_cell(),
        "appointment_id": _of_cell(),
        "business_id": _NUMBER,
        "patient_id": (_NUMBER - 1) * scene.PATIENTS + bindparam("_patient", type_=_NUMBER.type),
        "direction": literal(Direction.OUTBOUND, table_of(Message).c.direction.type),
        "kind": literal(Kind.REMINDER, table_of(Message).c.kind.type),
        "revision": literal(0),
        "rule": literal(DAY_BEFORE),
    }
    common = ("status", "reasons", "charged", "created_at", "pass_at", "deadline_at", "attempts")
    sent_too = ("sender", "to_number", "body", "segments", "claim", "claimed_at", "sent_at")
    provider_id = bindparam("_provider_id", type_=Text()) + cast(_of_cell(), Text)
    insert_stopped = _for_each_practice(Message, own, common)
    insert_sent = _for_each_practice(Message, own | {"provider_id": provider_id}, common + sent_too)
    insert_event = _for_each_practice(
        MessageEvent,
        {"id": 2 * _of_cell() - bindparam("_before", type_=_NUMBER.type), "message_id": _of_cell()},
        ("at", "event", "detail"),
    )
    insert_entry = _for_each_practice(
        CreditEntry,
        {"id": _of_cell() + practices, "message_id": _of_cell(), "reference": literal("")},
        ("at", "kind", "amount"),
    )
    stopped, sent, events, entries = [], [], [], []
    for place in range(scene.APPOINTMENTS):
        decision = scene.decision(day, place)
        cell = {"cell": _cell(practices, day, place)}
        row = {
            "patient": scene.patient_of(day, place) + 1,
            "reasons": decision.reasons,
            "charged": decision.parts or 0,
            "created_at": pass_at,
            "pass_at": pass_at,
            "deadline_at": scene.slot(day, place).starts_at,
        } | cell
        event = {"before": 1, "at": pass_at, "event": decision.status.value, "detail": ";".join(decision.reasons)}
        events.append(event | cell)
        if decision.reasons:
            stopped.append(row | {"status": decision.status, "attempts": 0})
            continue
        sent.append(
            row
            | {
                "status": Status.DELIVERED,
                "attempts": 1,
                "sender": "Clinic",
                "to_number": decision.to,
                "body": decision.text,
                "segments": decision.parts,
                "claim": "0123456789ab",
                "claimed_at": sent_at,
                "sent_at": sent_at,
                "provider_id": str(uuid4())[:28],
            }
        )
        events.append({"before": 0, "at": sent_at, "event": "sent", "detail": ""} | cell)
        entries.append({"at": pass_at, "kind": EntryKind.MESSAGE, "amount": -(decision.parts or 0)} | cell)
    _execute(connection, insert_stopped, stopped)
    _execute(connection, insert_sent, sent)
    _execute(connection, insert_event, events)
    _execute(connection, insert_entry, entries)


def _file_messages(practices: int) -> None:
    """For the search."""
    for number in range(1, practices + 1):
        with store.transaction(scene.practice_id(number)) as session:
            ids = session.scalars(select(Message.id).order_by(Message.id)).all()
            store.messages.index_messages(session, ids, are_new=True)


def _take_stock(connection: Connection) -> None:
    """Each practice's opening balance: what it has spent, and what it is to have left."""
    connection.execute(
        text(
            "INSERT INTO credit_entries (id, practice_id, at, kind, amount, reference) "
            "SELECT businesses.id, practices.id, practices.created_at, 'opening', "
            "practices.credits - coalesce(spent.amount, 0), '' "
            "FROM practices JOIN businesses ON businesses.practice_id = practices.id "
            "LEFT JOIN (SELECT practice_id, sum(amount) AS amount FROM credit_entries GROUP BY practice_id) AS spent "
            "ON spent.practice_id = practices.id"
        )
    )
    connection.commit()


# --- the two dialects -------------------------------------------------------------------------------------


@contextmanager
def _unchecked(connection: Connection) -> Iterator[None]:
    """Foreign keys, triggers and the indexes that no constraint needs: out of the way, then back."""
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        raw: Any = connection.connection.driver_connection
        for pragma in ("foreign_keys=OFF", "synchronous=OFF", "cache_size=-1000000"):
            raw.execute(f"PRAGMA {pragma}")  # outside a transaction, or it does nothing
        resting = "SELECT name, sql, type FROM sqlite_master WHERE type IN ('trigger', 'index') AND sql IS NOT NULL"
    else:
        connection.execute(text("SET session_replication_role = replica"))
        resting = (
            "SELECT indexname, indexdef, 'index' FROM pg_indexes WHERE schemaname = 'public' AND NOT EXISTS "
            "(SELECT FROM pg_constraint WHERE conindid = (quote_ident(indexname))::regclass)"
        )
    definitions = connection.execute(text(resting)).all()
    for name, _, kind in definitions:
        connection.execute(text(f"DROP {kind} {name}"))
    connection.commit()
    yield
    for _, definition, _ in definitions:
        connection.execute(text(definition))
    connection.commit()


def _finish(connection: Connection) -> None:
    """As a database is that has been in use for a while."""
    connection.commit()
    raw: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        raw.execute("INSERT INTO patients_words (patients_words) VALUES ('rebuild')")  # its triggers rested
        raw.execute("ANALYZE")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return
    for model in (Business, Practitioner, SmsTemplate, AppointmentType, Patient, Appointment, Message):
        _set_sequence(connection, model)
    for model in (MessageEvent, CreditEntry):
        _set_sequence(connection, model)
    connection.commit()
    raw.autocommit = True
    raw.execute("VACUUM (ANALYZE)")
    raw.execute("CHECKPOINT")
    raw.autocommit = False


def _set_sequence(connection: Connection, model: type[Base]) -> None:
    name = table_of(model).name
    connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name}"))
