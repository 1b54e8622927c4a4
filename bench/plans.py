"""How each database reads what a pass needs."""

from typing import Any

from sqlalchemy import event

from bench import scene
from bench.databases import Database
from portal import store
from portal.store.database import db


def explain(database: Database, practice: int, day: int) -> list[tuple[str, str]]:
    """(table read first, plan) of each query of the facts of one practice's due appointments."""
    reads: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith("SELECT"):
            reads.append((statement, parameters))

    with database.app().app_context():
        practice_id = scene.practice_id(practice)
        appointments_on = scene.slot(day, 0).starts_wall.date()
        with store.reading(practice_id) as session:
            of_practice = store.practices.get_practice(session, practice_id)
            event.listen(db.engine, "before_cursor_execute", note)
            store.facts.list_due(session, of_practice, [(practice, appointments_on)], scene.pass_at(day))
            event.remove(db.engine, "before_cursor_execute", note)
        explain_ = {
            "sqlite": "EXPLAIN QUERY PLAN",
            "postgresql": "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF)",
        }[database.kind]
        plans = []
        with db.engine.connect() as connection:
            for statement, parameters in reads:
                rows = connection.exec_driver_sql(f"{explain_} {statement}", parameters).all()
                first = statement.partition("FROM ")[2].split()[0]
                plans.append((first, "\n".join(_lines(database.kind, rows))))
        db.engine.dispose()
    return plans


def _lines(kind: str, rows: Any) -> list[str]:
    if kind == "postgresql":
        # The lists of ids and numbers are long, and say nothing.
        return [line if len(line := row[0]) <= 150 else f"{line[:150]} …" for row in rows]
    depth = {0: -1}
    lines = []
    for id_, parent, _, detail in rows:
        depth[id_] = depth[parent] + 1
        lines.append("  " * depth[id_] + detail)
    return lines
