"""A pass over the due appointments of every practice, against writing the same rows and nothing else."""

import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, insert, select, text

from bench import scene
from bench.databases import Database
from bench.fill import appointment_ids
from portal.actions.remind import run_pass
from portal.store.credits import CreditEntry
from portal.store.database import db, table_of
from portal.store.messages import Message, MessageEvent

Rows = list[dict[str, Any]]
_TABLES = tuple(table_of(model) for model in (Message, MessageEvent, CreditEntry))

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
    counts: Counter[str] = Counter()
    peaks: dict[int, float] = {}
    marks = {max(1, practices // 10), practices // 2, practices}
    with database.app().app_context():
        started = time.perf_counter()
        for number in range(1, practices + 1):
            result = run_pass(scene.practice_id(number), at, at)
            assert result is not None
            for outcome in ("considered", "queued", "not_sent", "failed"):
                counts[outcome] += getattr(result, outcome)
            if number in marks:
                peaks[number] = _peak_mb()
        seconds = time.perf_counter() - started
        db.engine.dispose()
    assert counts["considered"] == practices * scene.APPOINTMENTS
    return Timing(seconds, dict(counts), peaks)


def time_baseline(decided: Database, fresh: Database, practices: int, day: int) -> Timing:
    """Writes into `fresh` what a pass wrote into `decided`: the rows made before, a transaction a practice."""
    batches = _rows_of(decided, practices, day)
    with fresh.app().app_context():
        with db.engine.connect() as connection:  # as the pass does, begin with a connection
            connection.execute(text("SELECT 1"))
        started = time.perf_counter()
        for batch in batches:
            with db.engine.begin() as connection:
                for table, rows in zip(_TABLES, batch, strict=True):
                    if rows:
                        connection.execute(insert(table), rows)
        seconds = time.perf_counter() - started
        db.engine.dispose()
    names = ("messages", "events", "entries")
    return Timing(seconds, {name: sum(len(batch[i]) for batch in batches) for i, name in enumerate(names)})


def _rows_of(decided: Database, practices: int, day: int) -> list[list[Rows]]:
    """For each practice the messages, events and ledger entries of that day's pass."""
    ids = appointment_ids(practices, day)
    messages, events, entries = _TABLES
    ours = select(messages.c.id).where(messages.c.appointment_id.between(ids[0], ids[-1]))
    with decided.app().app_context():
        with db.engine.connect() as connection:
            found = [
                _by_practice(connection, messages, messages.c.id.in_(ours)),
                _by_practice(connection, events, events.c.message_id.in_(ours)),
                _by_practice(connection, entries, entries.c.message_id.in_(ours)),
            ]
        db.engine.dispose()
    for rows in found[0].values():
        for row in rows:
            for column in _WRITTEN_LATER:
                del row[column]
    return [[rows.get(practice, []) for rows in found] for practice in found[0]]


def _by_practice(connection: Connection, table: Table, where: ColumnElement[bool]) -> dict[str, Rows]:
    statement = select(table).where(where).order_by(table.c.practice_id, table.c.id)
    rows = (dict(row) for row in connection.execute(statement).mappings())
    return {practice: list(theirs) for practice, theirs in groupby(rows, itemgetter("practice_id"))}


def _peak_mb() -> float:
    """Of this process since its start. Not getrusage's, which begins at the parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM")
