"""Which migrations the database has had, and which there are."""

from functools import cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from portal.core.watching import Database
from portal.store.database import db


def find_revision() -> str | None:
    """None where the database is not set up."""
    with db.engine.connect().execution_options(portal_write=False) as connection:
        return MigrationContext.configure(connection).get_current_revision()


@cache
def newest_revision() -> str | None:
    return ScriptDirectory(str(Path(__file__).parent.parent / "migrations")).get_current_head()


def look_at_database() -> Database:
    """Whether it answers and is of this version of the portal."""
    try:
        revision = find_revision()
    except SQLAlchemyError:
        return Database.UNAVAILABLE
    if revision is None:
        return Database.NOT_SET_UP
    return Database.OK if revision == newest_revision() else Database.OTHER_VERSION
