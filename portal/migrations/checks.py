"""What migrations do to a check constraint: it is changed in place, on both databases."""

import re
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from alembic import op


def add_reason(table: str, reason: str, after: str) -> None:
    """A known reason more, asked after another. The condition takes each out of the column, one call around the
    other."""
    inner = f"'{after};', '')"
    change_check(
        table,
        "known_reasons",
        lambda check: check.replace("replace(reasons", "replace(replace(reasons").replace(
            inner, f"{inner}, '{reason};', '')"
        ),
    )


def take_reason(table: str, reason: str, instead: str) -> None:
    """One less; rows that have it get the other."""
    op.execute(
        f"UPDATE {table} SET reasons = replace(reasons, '{reason};', '{instead};') "  # noqa: S608
        f"WHERE reasons LIKE '%{reason};%'"
    )
    change_check(
        table,
        "known_reasons",
        lambda check: check.replace(f", '{reason};', '')", "").replace("replace(replace(reasons", "replace(reasons"),
    )


def change_words(table: str, column: str, change: Callable[[Sequence[str]], Sequence[str]]) -> None:
    """Which words a column may hold."""

    def changed(words: str) -> str:
        return ", ".join(f"'{word}'" for word in change(re.findall("'([^']*)'", words)))

    def in_sqlite(check: str) -> str:
        return re.sub(rf"({column} IN \()([^)]*)", lambda part: part[1] + changed(part[2]), check)

    change_check(table, column, in_sqlite, lambda check: f"{column} IN ({changed(check)})")


def change_check(
    table: str, check: str, change: Callable[[str], str], in_postgresql: Callable[[str], str] | None = None
) -> None:
    """`change`: takes the condition's text, with others around it, and gives it as it is to be; `in_postgresql`:
    where that one keeps it in other words.

    SQLite would make the table anew for it, and all that refers to it: it keeps what it enforces as text, which may
    be changed where every row satisfies it (https://sqlite.org/lang_altertable.html, section 7)."""
    connection, name = op.get_bind(), f"ck_{table}_{check}"
    if connection.dialect.name == "postgresql":
        checks = sa.inspect(connection).get_check_constraints(table)
        found = next(check["sqltext"] for check in checks if check["name"] == name)
        op.drop_constraint(op.f(name), table, type_="check")
        op.create_check_constraint(op.f(name), table, (in_postgresql or change)(found.replace("::text", "")))
        return
    of_table = sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :table")
    sql = connection.scalar(of_table, {"table": table})
    version = connection.scalar(sa.text("PRAGMA schema_version"))
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    connection.execute(
        sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = :table"),
        {"sql": change(sql), "table": table},
    )
    connection.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))
