"""The record of imports: when appointments were last updated, and where staff's changes stood."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Float, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.store.database import Model, PracticeOwned, row_id
from portal.store.types import UtcDateTime


class ImportRun(PracticeOwned, Model):
    """`counts`: for each file its rows read, added, changed and unchanged; `conflicts`: file, id and column of
    each value that both the export and staff changed, and of a number its row id. The values are not kept here: the
    rows themselves hold both."""

    __tablename__ = "import_runs"

    id: Mapped[int] = row_id()
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    counts: Mapped[dict[str, Any]] = mapped_column(JSON)
    conflicts: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    seconds: Mapped[float] = mapped_column(Float)

    __table_args__ = (Index("ix_import_runs_practice", "practice_id", "id"),)


def find_import(session: Session, run_id: int) -> ImportRun | None:
    return session.scalar(select(ImportRun).where(ImportRun.id == run_id))


def list_imports(session: Session, most: int) -> Sequence[ImportRun]:
    """The newest first."""
    return session.scalars(select(ImportRun).order_by(ImportRun.id.desc()).limit(most)).all()
