"""The database's two dialects, transactions, and the one place that keeps practices apart."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, cast

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    Connection,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
)
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    ORMExecuteState,
    Session,
    declared_attr,
    mapped_column,
    with_loader_criteria,
)

from portal.store.types import RowId

# Locked for too long, gone for a while, or a deadlock: the same transaction may succeed when tried again.
Unavailable = OperationalError

_SQLITE = b"SQLite format 3"  # how such a file begins
_EVERYTHING = object()
_SCOPE = "practice_id"
_WRITES = "writes"


class NotThere(LookupError):
    """The practice has no such row, whether another has or not. A page answers that there is no such page."""


class IsolationError(Exception):
    """A statement that would read or write rows without saying whose, or write where it was to read; always a
    programming error."""


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base, session_options={"autoflush": False, "expire_on_commit": False})

if TYPE_CHECKING:

    class Model(Base):
        __abstract__ = True

else:
    Model = db.Model


class PracticeOwned:
    """A row of one practice. Every statement on it is narrowed to the practice of its transaction, and the
    database itself refuses a reference to another practice's row (`belongs_to`)."""

    @declared_attr
    def practice_id(cls) -> Mapped[str]:
        return mapped_column(Text, ForeignKey("practices.id"))


class Mergeable:
    """A row that may have been merged into another of its table. From then on it is a trace, which statements meet
    only with `execution_options(with_merged=True)`.

    `merged_into_id`: without a reference of the database's own, which SQLite cannot add to a table that stands.
    """

    @declared_attr
    def merged_into_id(cls) -> Mapped[int | None]:
        return mapped_column(RowId)


def belongs_to(column: str, table: str) -> ForeignKeyConstraint:
    """A reference that holds only within one practice."""
    return ForeignKeyConstraint(["practice_id", column], [f"{table}.practice_id", f"{table}.id"])


def referable() -> UniqueConstraint:
    """What `belongs_to` points at."""
    return UniqueConstraint("practice_id", "id")


def table_of(model: type[Base]) -> Table:
    return cast(Table, model.__table__)


def row_id() -> Mapped[int]:
    return mapped_column(RowId, primary_key=True, autoincrement=True)


# --- practices are kept apart -----------------------------------------------------------------------------


# Made once: every statement has it.
_NO_TRACES = with_loader_criteria(Mergeable, lambda table: table.merged_into_id.is_(None), include_aliases=True)


@event.listens_for(Session, "do_orm_execute")
def _narrow_to_the_practice(state: ORMExecuteState) -> None:
    scope = state.session.info.get(_SCOPE)
    if scope is None:
        raise IsolationError("a statement outside transaction(practice), reading(practice) or everything()")
    if (state.is_insert or state.is_update or state.is_delete) and not state.session.info[_WRITES]:
        raise IsolationError("a write where only reading was asked for")
    if not state.is_orm_statement:
        # Only statements on mapped classes can be narrowed; an insert is held by the foreign keys.
        if scope is not _EVERYTHING and not state.is_insert:
            raise IsolationError("a statement on bare tables inside a practice's transaction")
        return
    narrowed = [] if state.execution_options.get("with_merged") else [_NO_TRACES]
    if scope is not _EVERYTHING:
        narrowed.append(
            with_loader_criteria(
                PracticeOwned,
                lambda table: table.practice_id == scope,
                include_aliases=True,
                track_closure_variables=True,
            )
        )
    state.statement = state.statement.options(*narrowed)


@event.listens_for(Session, "before_flush")
def _own_what_is_written(session: Session, *_: object) -> None:
    if not session.info.get(_WRITES):
        raise IsolationError("a write where only reading was asked for")
    scope = session.info.get(_SCOPE)
    if scope is _EVERYTHING:
        return
    for row in [*session.new, *session.dirty, *session.deleted]:
        if isinstance(row, PracticeOwned):
            if row.practice_id is None and isinstance(scope, str):
                row.practice_id = scope
            if row.practice_id != scope:
                raise IsolationError(f"a {type(row).__name__} of another practice")


# --- transactions -----------------------------------------------------------------------------------------


@contextmanager
def _session(scope: object, *, write: bool) -> Iterator[Session]:
    session = db.session()
    if _SCOPE in session.info:
        raise IsolationError("a transaction inside another")
    session.info[_SCOPE] = scope
    session.info[_WRITES] = write
    try:
        # On SQLite a writer says so at its start: a reader that turns writer midway cannot wait its turn.
        options: dict[str, Any] = {"portal_write": write}
        if not write and session.get_bind().dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"  # all statements see the same; SQLite's do anyway
        session.connection(execution_options=options)
        yield session
        # Readers too: at a rollback psycopg forgets the statements it has prepared, and each is planned anew.
        session.commit()
    finally:
        session.info.pop(_SCOPE, None)
        session.info.pop(_WRITES, None)
        db.session.remove()


def transaction(practice_id: str) -> AbstractContextManager[Session]:
    """`with transaction(practice) as session`: all or nothing, commits at the end, one practice's rows only."""
    return _session(practice_id, write=True)


def reading(practice_id: str) -> AbstractContextManager[Session]:
    """`with reading(practice) as session`: one consistent look at one practice's rows."""
    return _session(practice_id, write=False)


def everything(*, write: bool = False) -> AbstractContextManager[Session]:
    """`with everything() as session`: the rows of all practices; for the host's own work only."""
    return _session(_EVERYTHING, write=write)


# --- the two dialects -------------------------------------------------------------------------------------


def insert_ignoring(session: Session, table: Any) -> Any:
    """INSERT … ON CONFLICT DO NOTHING, spelled alike for both databases."""
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(table).on_conflict_do_nothing()


@event.listens_for(Engine, "connect")
def _prepare_connection(connection: Any, _record: object) -> None:
    if not isinstance(connection, sqlite3.Connection):
        # PostgreSQL would compile a query that looks dear to it: half a second, where the query itself takes a tenth.
        with connection.cursor() as cursor:
            cursor.execute("SET jit = off")
        connection.commit()
        return
    connection.isolation_level = None  # we say BEGIN ourselves, below
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",  # with WAL: a power cut may cost the last commits, never the file
        "foreign_keys=ON",
        "busy_timeout=30000",
        "cache_size=-32000",
        "temp_store=FILE",
    ):
        connection.execute(f"PRAGMA {pragma}")


@event.listens_for(Engine, "begin")
def _begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        write = connection.get_execution_options().get("portal_write", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def make_owner_only(path: str) -> None:
    """An SQLite file readable by its owner only, from before its first byte. Raises OSError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        with open(path, "r+b") as file:
            if file.read(len(_SQLITE)) not in (b"", _SQLITE):
                raise OSError(errno.EINVAL, "it is no SQLite database") from None
            os.fchmod(file.fileno(), 0o600)
