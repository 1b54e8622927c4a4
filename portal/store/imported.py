"""Rows that an export fills and staff may correct: what staff changed stays theirs."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, event, inspect
from sqlalchemy.orm import Mapped, Session, declared_attr, mapped_column

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


def as_json(value: Any) -> Any:
    """A field's value as `staff_changed` keeps it."""
    return value.isoformat() if isinstance(value, date | datetime) else value


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
