"""Runs migrations within the application: same settings, same engine as the portal."""

from alembic import context
from flask import current_app
from sqlalchemy.types import TypeDecorator

migrate = current_app.extensions["migrate"]
db = migrate.db


def plain_type(kind: str, item: object, _context: object) -> str | bool:
    """Our own column types as what they are in the database: a migration must not follow later code."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl!r}"
    return False


def is_modelled(name: str | None, _kind: str, _parents: object) -> bool:
    """The full-text indexes are each database's own: the models say nothing of them."""
    return "_words" not in (name or "")


def run() -> None:
    engine = db.engine
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            # SQLite changes a table by making it anew; a migration is one transaction on both databases.
            render_as_batch=connection.dialect.name == "sqlite",
            transactional_ddl=True,
            compare_type=True,
            render_item=plain_type,
            include_name=is_modelled,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
