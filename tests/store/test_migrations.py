"""Models and migrations agree, on both databases."""

import re

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import Connection, text

from portal.config import Settings
from portal.store.database import db

POSTGRESQL_SCHEMA = """
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes
 WHERE schemaname = 'public' AND tablename <> 'alembic_version'
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger
 WHERE NOT tgisinternal
UNION ALL SELECT 'function', '', proname, pg_get_functiondef(oid) FROM pg_proc
 WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'column', table_name, column_name, data_type || is_nullable || coalesce(column_default, '')
 FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
"""


def schema(connection: Connection) -> set[tuple[str, ...]]:
    """Everything that the database enforces, as it describes it itself."""
    if connection.dialect.name == "postgresql":
        return {tuple(row) for row in connection.execute(text(POSTGRESQL_SCHEMA))}
    rows = connection.execute(text("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    # The order of a table's columns and constraints says nothing, nor how the lines are broken.
    return {
        (kind, name, *sorted(filter(None, (part.strip(" \t()") for part in re.split("[,\n]", sql)))))
        for kind, name, sql in rows
        if name != "alembic_version"
    }


def is_modelled(name: str | None, kind: str, _parents: object) -> bool:
    """The full-text indexes are each database's own; `schema` compares them."""
    return kind == "column" or "_words" not in (name or "")


def test_migrations_make_exactly_what_the_models_say(app: Flask, settings: Settings) -> None:
    with db.engine.connect() as connection:
        migrated = schema(connection)
        differences = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True, "include_name": is_modelled}),
            db.metadata,
        )
    assert differences == []
    flask_migrate.downgrade(revision="base")
    with db.engine.connect() as connection:
        assert schema(connection) == set()
    db.create_all()
    with db.engine.connect() as connection:
        assert schema(connection) == migrated


def test_upgrading_twice_changes_nothing(app: Flask) -> None:
    with db.engine.connect() as connection:
        before = schema(connection)
    flask_migrate.upgrade()
    with db.engine.connect() as connection:
        assert schema(connection) == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_database_file_is_its_owners_only(app: Flask, settings: Settings) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("SELECT 1"))
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in settings.data_dir.glob("portal.db*")}
    assert set(modes.values()) == {"0o600"}, modes
    assert oct(settings.data_dir.stat().st_mode & 0o777) == "0o700"
