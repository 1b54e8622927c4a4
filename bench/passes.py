"""A pass over the due appointments of every practice, against writing the same rows and nothing else."""

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, text

from bench import scene
from bench.databases import Database
from bench.fill import appointment_ids
from portal.actions.remind import run_pass
from portal.store.credits import CreditEntry
from portal.store.database import db, table_of
from portal.store.messages import Message, MessageEvent

Rows = list[dict[str, Any]]

# What a pass leaves empty it does not write, and so neither does the baseline.
_WRITTEN_LATER = ("sent_at", "provider_id", "provider_code", "refused")


@dataclass(frozen=True)
class Timing:
    seconds: float
    rows: dict[str, int]  # outcome -> how many
    peak_mb: dict[int, float] = field(default_factory=dict)  # practices done -> megabytes


def in_a_fresh_process(function: Any, *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def time_pass(database: Database, practices: int, day: int) -> Timing:
    """One process decides on every practice's due reminders, one after the other."""
    at = scene.pass_at(day)
    counts: dict[str, int] = {}
    peaks: dict[int, float] = {}
    marks = {max(1, practices // 10), practices // 2, practices}
    with database.app().app_context():
        _restore_credits()
        started = time.perf_counter()
        for number in range(1, practices + 1):
            result = run_pass(scene.practice_id(number), at, at)
            assert result is not None
            for outcome in ("considered", "queued", "not_sent", "failed"):
                counts[outcome] = counts.get(outcome, 0) + getattr(result, outcome)
            if number in marks:
                peaks[number] = _peak_mb()
        seconds = time.perf_counter() - started
        db.engine.dispose()
    assert counts["considered"] == practices * scene.APPOINTMENTS
    return Timing(seconds, counts, peaks)


def time_baseline(database: Database, practices: int, decided_day: int, day: int) -> Timing:
    """Writes for `day` what a pass wrote for `decided_day`: the rows made before, a transaction a practice."""
    with database.app().app_context():
        _restore_credits()
        batches = _rows_of(practices, decided_day, day)
        tables = [table_of(model) for model in (Message, MessageEvent, CreditEntry)]
        started = time.perf_counter()
        for batch in batches:
            with db.engine.begin() as connection:
                for table, rows in zip(tables, batch, strict=True):
                    if rows:
                        connection.execute(insert(table), rows)
        seconds = time.perf_counter() - started
        _move_sequences()
        db.engine.dispose()
    names = ("messages", "events", "entries")
    return Timing(seconds, {name: sum(len(batch[i]) for batch in batches) for i, name in enumerate(names)})


def _rows_of(practices: int, decided_day: int, day: int) -> list[tuple[Rows, Rows, Rows]]:
    """For each practice the rows that a pass wrote on `decided_day`, moved to `day`, with ids of their own."""
    shift = (day - decided_day) * practices * scene.APPOINTMENTS
    ids = appointment_ids(practices, decided_day)
    messages, events, entries = (table_of(model) for model in (Message, MessageEvent, CreditEntry))
    ours = select(messages.c.id).where(messages.c.appointment_id.between(ids[0], ids[-1]))
    with db.engine.connect() as connection:

        def read(table: Any, key: Any, most: int) -> dict[str, Rows]:
            statement = select(table).where(key.in_(ours)).order_by(table.c.practice_id, table.c.id)
            found = [dict(row) for row in connection.execute(statement).mappings()]
            for i, row in enumerate(found):
                row["id"] = most + 1 + i
            return {practice: list(rows) for practice, rows in groupby(found, itemgetter("practice_id"))}

        last = {
            table: connection.execute(select(func.max(table.c.id))).scalar_one()
            for table in (messages, events, entries)
        }
        new_ids = dict(
            zip(
                connection.scalars(ours.order_by(messages.c.practice_id, messages.c.id)),
                range(last[messages] + 1, last[messages] + 1 + len(ids)),
                strict=True,
            )
        )
        message_rows = read(messages, messages.c.id, last[messages])
        event_rows = read(events, events.c.message_id, last[events])
        entry_rows = read(entries, entries.c.message_id, last[entries])
    for rows in message_rows.values():
        for row in rows:
            row["appointment_id"] += shift
            for column in _WRITTEN_LATER:
                del row[column]
    for rows in [*event_rows.values(), *entry_rows.values()]:
        for row in rows:
            row["message_id"] = new_ids[row["message_id"]]
    return [(message_rows[practice], event_rows[practice], entry_rows.get(practice, [])) for practice in message_rows]


def _restore_credits() -> None:
    """Each practice has what it had before the pass of any other day."""
    with db.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO credit_entries (practice_id, at, kind, amount, reference) "
                "SELECT id, created_at, 'correction', :credits - credits, '' FROM practices WHERE id = :practice"
            ),
            [
                {"credits": scene.credits(number), "practice": scene.practice_id(number)}
                for number in range(1, connection.execute(text("SELECT count(*) FROM practices")).scalar_one() + 1)
            ],
        )


def _move_sequences() -> None:
    if db.engine.dialect.name != "postgresql":
        return
    with db.engine.begin() as connection:
        for model in (Message, MessageEvent, CreditEntry):
            name = table_of(model).name
            connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name}"))


def _peak_mb() -> float:
    """Of this process since its start. Not getrusage's, which begins at the parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM")
