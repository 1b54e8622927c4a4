"""What the provider reports, what it bills, and the numbers that are not in service."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None

KNOWN = "ck_messages_known_reasons"
REASON = "number-not-in-service"
AFTER = "invalid-mobile-number"


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "provider_events",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column(
            "kind",
            sa.Enum("status", "inbound", name="eventkind", native_enum=False, create_constraint=True, length=None),
            nullable=False,
        ),
        sa.Column(
            "source",
            sa.Enum("webhook", "records", name="eventsource", native_enum=False, create_constraint=True, length=None),
            nullable=False,
        ),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum(
                "waiting",
                "applied",
                "unmatched",
                "unreadable",
                name="outcome",
                native_enum=False,
                create_constraint=True,
                length=None,
            ),
            nullable=False,
        ),
        sa.Column("practice_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_events")),
        sa.UniqueConstraint("uuid", "kind", "status", "at", "body_hash", name="uq_provider_events_once"),
    )
    to_do = sa.text("next_at IS NOT NULL")
    op.create_index(
        "ix_provider_events_to_do", "provider_events", ["next_at"], sqlite_where=to_do, postgresql_where=to_do
    )
    op.create_index("ix_provider_events_received", "provider_events", ["source", "received_at"])

    op.add_column("messages", sa.Column("billed_parts", sa.Integer(), nullable=True))
    op.add_column("messages", sa.Column("billed_price", row_id, nullable=True))
    op.add_column("messages", sa.Column("billed_currency", sa.Text(), nullable=True))
    op.add_column("messages", sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))
    for name, where in (
        ("billed_otherwise", sa.text("billed_parts <> charged")),
        (REASON.replace("-", "_"), sa.text(f"reasons LIKE '%{REASON};%'")),
    ):
        op.create_index(
            f"ix_messages_{name}", "messages", ["practice_id", "id"], sqlite_where=where, postgresql_where=where
        )
    change_check(with_reason)

    op.add_column("phone_numbers", sa.Column("out_of_service", sa.Text(), nullable=True))
    op.add_column("phone_numbers", sa.Column("out_of_service_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("phone_numbers", "out_of_service_at")
    op.drop_column("phone_numbers", "out_of_service")
    op.execute(
        f"UPDATE messages SET reasons = replace(reasons, '{REASON};', '{AFTER};') WHERE reasons LIKE '%{REASON};%'"
    )
    change_check(without_reason)
    for name in ("billed_otherwise", REASON.replace("-", "_")):
        op.drop_index(f"ix_messages_{name}", "messages")
    for name in ("billed_parts", "billed_price", "billed_currency", "asked_at"):
        op.drop_column("messages", name)
    op.drop_table("provider_events")


def with_reason(check: str) -> str:
    """The condition takes each known reason out of the column, one call around the other."""
    inner = f"'{AFTER};', '')"
    return check.replace("replace(reasons", "replace(replace(reasons").replace(inner, f"{inner}, '{REASON};', '')")


def without_reason(check: str) -> str:
    return check.replace(f", '{REASON};', '')", "").replace("replace(replace(reasons", "replace(reasons")


def change_check(change) -> None:
    """SQLite would make the table anew for it, and all that refers to it: it keeps what it enforces as text, which
    may be changed where every row satisfies it (https://sqlite.org/lang_altertable.html, section 7)."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        checks = sa.inspect(connection).get_check_constraints("messages")
        found = next(check["sqltext"] for check in checks if check["name"] == KNOWN)
        op.drop_constraint(op.f(KNOWN), "messages", type_="check")
        op.create_check_constraint(op.f(KNOWN), "messages", change(plain(found)))
        return
    table = connection.scalar(sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'messages'"))
    version = connection.scalar(sa.text("PRAGMA schema_version"))
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    connection.execute(
        sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = 'messages'"),
        {"sql": change(table)},
    )
    connection.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))


def plain(check: str) -> str:
    """As it was written: PostgreSQL says the type of each word."""
    return check.replace("::text", "")
