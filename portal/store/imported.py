"""Rows that an export fills and staff may correct: what staff changed stays theirs."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from secrets import token_hex
from typing import Any, ClassVar

from sqlalchemy import JSON, Date, DateTime, bindparam, delete, event, func, insert, inspect, select, update
from sqlalchemy.orm import Mapped, Session, declared_attr, mapped_column

from portal.store.database import Mergeable
from portal.store.types import UtcDateTime

_MADE_HERE = "portal-"
_FROM_A_FORM = re.compile(_MADE_HERE + "[0-9a-f]{16}")

IMPORTING = "importing"  # in session.info: the import itself writes


class Imported:
    """`staff_changed` holds, for each field that staff changed, the value that the last export had for it.

    A field that is not in it still has the export's value. So an import knows for each field whether the
    export changed, and whether staff did. Changes must go through the mapped object, not a bulk update.
    """

    IMPORTED_FIELDS: ClassVar[tuple[str, ...]]  # the fields that an export holds

    @declared_attr
    def staff_changed(cls) -> Mapped[dict[str, Any] | None]:
        return mapped_column(JSON(none_as_null=True))


def made_here_id(typed: str = "") -> str:
    """Stands for the export's id in a row that staff made. `typed`: one that a form carries, which may come twice and
    makes one row; a new one where that is none."""
    return typed if _FROM_A_FORM.fullmatch(typed) else _MADE_HERE + token_hex(8)


def is_made_here(external_id: str) -> bool:
    """Whether staff made the row: no export speaks of it."""
    return external_id.startswith(_MADE_HERE)


def as_json(value: Any) -> Any:
    """A field's value as `staff_changed` keeps it."""
    return value.isoformat() if isinstance(value, date | datetime) else value


def from_json(model: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """A row's fields, as its columns hold them, from what `as_json` made of them."""
    columns = model.__table__.c
    return {
        field: value if value is None or not isinstance(value, str) else _from_json(columns[field].type, value)
        for field, value in values.items()
    }


def _from_json(column_type: Any, value: str) -> Any:
    if isinstance(column_type, Date):
        return date.fromisoformat(value)
    if isinstance(column_type, DateTime | UtcDateTime):
        return datetime.fromisoformat(value)
    return value


@event.listens_for(Session, "before_flush")
def _remember_what_staff_changed(session: Session, *_: object) -> None:
    if session.info.get(IMPORTING):
        return
    for row in session.dirty:
        if not isinstance(row, Imported):
            continue
        before = row.staff_changed or {}
        attributes = inspect(row).attrs
        changed = {
            field: as_json(attributes[field].history.deleted[0])
            for field in row.IMPORTED_FIELDS
            if attributes[field].history.deleted and field not in before
        }
        if changed:
            row.staff_changed = before | changed


# --- for the import: many rows at once, as columns, not as objects ----------------------------------------


def plan_each_lookup(session: Session) -> None:
    """Until the transaction ends, PostgreSQL plans each statement anew.

    A plan that it made and kept while a table was all but empty reads the whole table each time once it is full.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection().exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")


def refresh_statistics(session: Session, model: Any) -> None:
    """Let PostgreSQL's planner know of the many rows that this transaction added."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection().exec_driver_sql(f"ANALYZE {model.__tablename__}")


def list_imported(
    session: Session, model: Any, fields: Sequence[str], external_ids: Collection[str]
) -> dict[str, dict[str, Any]]:
    """By the export's id: the row's `id`, its `staff_changed` and these fields."""
    if not external_ids:
        return {}
    columns = [getattr(model, name) for name in ("external_id", "id", "staff_changed", *fields)]
    rows = session.execute(select(*columns).where(model.external_id.in_(external_ids)))
    return {row.external_id: dict(row._mapping) for row in rows}


def find_row_ids(session: Session, model: Any, external_ids: Collection[str]) -> dict[str, int]:
    """By the export's id."""
    if not external_ids:
        return {}
    # The id of a row that was merged into another stands for that one.
    id_ = func.coalesce(model.merged_into_id, model.id) if issubclass(model, Mergeable) else model.id
    found = select(model.external_id, id_).where(model.external_id.in_(external_ids))
    return dict(session.execute(found.execution_options(with_merged=True)).all())


def record_rows(session: Session, model: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """New rows, each with its `practice_id`."""
    if rows:
        session.execute(insert(model.__table__), rows)


def update_rows(session: Session, model: Any, practice_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set the same columns of many rows; each holds its `id` and the new values."""
    if not rows:
        return
    table = model.__table__
    statement = (
        update(table)
        .where(table.c.id == bindparam("_id"), table.c.practice_id == bindparam("_practice"))
        .values({name: bindparam(f"_{name}") for name in rows[0] if name != "id"})
    )
    # Not through the session's own execute: one prepared statement for all rows, narrowed by hand above.
    session.connection().execute(
        statement, [{"_practice": practice_id} | {f"_{k}": v for k, v in row.items()} for row in rows]
    )


def delete_rows(session: Session, model: Any, practice_id: str, ids: Collection[int]) -> None:
    if ids:
        table = model.__table__
        statement = delete(table).where(table.c.id == bindparam("_id"), table.c.practice_id == practice_id)
        session.connection().execute(statement, [{"_id": id_} for id_ in ids])
