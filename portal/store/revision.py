"""Which migrations the database has had, and which there are."""

from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from portal.store.database import db


def find_revision() -> str | None:
    """None where the database is not set up."""
    with db.engine.connect().execution_options(portal_write=False) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str | None:
    return ScriptDirectory(str(Path(__file__).parent.parent / "migrations")).get_current_head()
