"""What going live needs: who paused and why, since when a practice is live, and what another system has reminded."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

KNOWN = {"messages": "ck_messages_known_reasons", "broadcast_recipients": "ck_broadcast_recipients_known_reasons"}
REASON = "reminded-elsewhere"
AFTER = "sending-off"
# The last time that people used the switch.
LAST = """(SELECT {0} FROM changes WHERE changes.practice_id = practices.id AND changes.field = 'sending'
 ORDER BY changes.id DESC LIMIT 1)"""


def upgrade() -> None:
    op.add_column("practices", sa.Column("sending_changed_by", sa.Text(), nullable=True))
    op.add_column("practices", sa.Column("sending_note", sa.Text(), server_default="", nullable=False))
    op.add_column("practices", sa.Column("live_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("practices", sa.Column("left_out_until", sa.Date(), nullable=True))
    op.add_column("practices", sa.Column("left_out_at", sa.DateTime(timezone=True), nullable=True))
    by = LAST.format('changes."by"')
    op.execute(f"UPDATE practices SET sending_changed_by = {by}")  # noqa: S608
    op.execute(
        "UPDATE practices SET live_since = coalesce(sending_changed_at, created_at) "  # noqa: S608
        f"WHERE sending = 'on' OR (sending = 'paused' AND 'on' = {LAST.format('changes.before')})"
    )
    where = sa.text(f"reasons LIKE '%{REASON};%'")
    op.create_index(
        "ix_messages_reminded_elsewhere",
        "messages",
        ["practice_id", "id"],
        sqlite_where=where,
        postgresql_where=where,
    )
    for table in KNOWN:
        change_check(table, with_reason)


def downgrade() -> None:
    for table in KNOWN:
        op.execute(
            f"UPDATE {table} SET reasons = replace(reasons, '{REASON};', '{AFTER};') "  # noqa: S608
            f"WHERE reasons LIKE '%{REASON};%'"
        )
        change_check(table, without_reason)
    op.drop_index("ix_messages_reminded_elsewhere", "messages")
    for name in ("left_out_at", "left_out_until", "live_since", "sending_note", "sending_changed_by"):
        op.drop_column("practices", name)


def with_reason(check: str) -> str:
    """The condition takes each known reason out of the column, one call around the other."""
    inner = f"'{AFTER};', '')"
    return check.replace("replace(reasons", "replace(replace(reasons").replace(inner, f"{inner}, '{REASON};', '')")


def without_reason(check: str) -> str:
    return check.replace(f", '{REASON};', '')", "").replace("replace(replace(reasons", "replace(reasons")


def change_check(table, change) -> None:
    """As in 0012: SQLite keeps what it enforces as text, which may be changed where every row satisfies it."""
    connection, name = op.get_bind(), KNOWN[table]
    if connection.dialect.name == "postgresql":
        checks = sa.inspect(connection).get_check_constraints(table)
        found = next(check["sqltext"] for check in checks if check["name"] == name)
        op.drop_constraint(op.f(name), table, type_="check")
        op.create_check_constraint(op.f(name), table, change(found.replace("::text", "")))
        return
    sql = connection.scalar(
        sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :table"), {"table": table}
    )
    version = connection.scalar(sa.text("PRAGMA schema_version"))
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    connection.execute(
        sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = :table"),
        {"sql": change(sql), "table": table},
    )
    connection.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))
