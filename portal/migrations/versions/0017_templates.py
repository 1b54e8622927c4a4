"""Test texts, which staff send to themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

KIND = "ck_messages_kind"
BEFORE = "kind IN ('reminder', 'manual', 'reply', 'auto-reply')"
AFTER = "kind IN ('reminder', 'manual', 'reply', 'auto-reply', 'test')"


def upgrade() -> None:
    change_check(BEFORE, AFTER)


def downgrade() -> None:
    """A test text becomes one that staff wrote to nobody whom the portal knows."""
    op.execute("UPDATE messages SET kind = 'manual' WHERE kind = 'test'")
    change_check(AFTER, BEFORE)


def change_check(before: str, after: str) -> None:
    """SQLite would make the table anew for it, and all that refers to it: it keeps what it enforces as text, which
    may be changed where every row satisfies it (https://sqlite.org/lang_altertable.html, section 7)."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.drop_constraint(op.f(KIND), "messages", type_="check")
        op.create_check_constraint(op.f(KIND), "messages", after)
        return
    table = connection.scalar(sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'messages'"))
    assert table.count(before) == 1
    version = connection.scalar(sa.text("PRAGMA schema_version"))
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    connection.execute(
        sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = 'messages'"),
        {"sql": table.replace(before, after)},
    )
    connection.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))
