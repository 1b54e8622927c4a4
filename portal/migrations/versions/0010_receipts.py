"""What the provider reports, what it bills, and the numbers that are not in service."""

import sqlalchemy as sa
from alembic import op

from portal.migrations.checks import add_reason, take_reason

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None

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
    add_reason("messages", REASON, AFTER)

    op.add_column("phone_numbers", sa.Column("out_of_service", sa.Text(), nullable=True))
    op.add_column("phone_numbers", sa.Column("out_of_service_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("phone_numbers", "out_of_service_at")
    op.drop_column("phone_numbers", "out_of_service")
    take_reason("messages", REASON, AFTER)
    for name in ("billed_otherwise", REASON.replace("-", "_")):
        op.drop_index(f"ix_messages_{name}", "messages")
    for name in ("billed_parts", "billed_price", "billed_currency", "asked_at"):
        op.drop_column("messages", name)
    op.drop_table("provider_events")
