"""Messages to many, and the patients' consent to marketing."""

import sqlalchemy as sa
from alembic import op

from portal.migrations.checks import add_reason, take_reason

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

REASON = "no-consent"
AFTER = "patient-archived"
# In the order in which they are asked.
REASONS = (
    "sending-off",
    "business-reminders-off",
    "no-template",
    "no-mobile-number",
    "invalid-mobile-number",
    "number-not-in-service",
    "prefers-email",
    "prefers-none",
    "opted-out",
    "patient-archived",
    "no-consent",
    "daily-limit",
    "no-credits",
    "no-pass-ran",
    "withdrawn",
    "deadline-passed",
    "provider-refused",
    "provider-account",
)


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("patients", sa.Column("consented_on", sa.Date(), nullable=True))
    op.add_column("patients", sa.Column("consent_source", sa.Text(), nullable=True))
    op.create_table(
        "broadcasts",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "purpose",
            sa.Enum("care", "marketing", name="purpose", native_enum=False, create_constraint=True, length=None),
            nullable=False,
        ),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("with_cancelled", sa.Boolean(), nullable=False),
        sa.Column("seen_since", sa.Date(), nullable=True),
        sa.Column("business_id", row_id, nullable=True),
        sa.Column("practitioner_id", row_id, nullable=True),
        sa.Column("appointment_type_id", row_id, nullable=True),
        sa.Column("goes_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("form_key", sa.Text(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("written_by", sa.Text(), nullable=False),
        sa.Column("written_by_id", row_id, nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reached", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("taken_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_back_by", sa.Text(), nullable=True),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_broadcasts_practice_id")),
        *within_the_practice(
            "broadcasts",
            business_id="businesses",
            practitioner_id="practitioners",
            appointment_type_id="appointment_types",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broadcasts")),
        sa.UniqueConstraint("practice_id", "id", name=op.f("uq_broadcasts_practice_id_id")),
        sa.UniqueConstraint("practice_id", "form_key", name=op.f("uq_broadcasts_practice_id_form_key")),
    )
    to_do = sa.text("recorded_at IS NULL AND taken_back_at IS NULL")
    op.create_index(
        "ix_broadcasts_unrecorded", "broadcasts", ["written_at"], sqlite_where=to_do, postgresql_where=to_do
    )
    left = "reasons"
    for reason in REASONS:
        left = f"replace({left}, '{reason};', '')"
    op.create_table(
        "broadcast_recipients",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("broadcast_id", row_id, nullable=False),
        sa.Column("patient_id", row_id, nullable=False),
        sa.Column("message_id", row_id, nullable=True),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practices.id"], name=op.f("fk_broadcast_recipients_practice_id")
        ),
        *within_the_practice(
            "broadcast_recipients", broadcast_id="broadcasts", patient_id="patients", message_id="messages"
        ),
        sa.CheckConstraint(f"{left} = ''", name=op.f("ck_broadcast_recipients_known_reasons")),
        sa.CheckConstraint(
            "(message_id IS NULL) <> (reasons = '')", name=op.f("ck_broadcast_recipients_reached_or_a_reason")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broadcast_recipients")),
        sa.UniqueConstraint("broadcast_id", "patient_id", name="uq_broadcast_recipients_once"),
    )
    op.create_index("ix_broadcast_recipients_message", "broadcast_recipients", ["practice_id", "message_id"])
    where = sa.text(f"reasons LIKE '%{REASON};%'")
    op.create_index(
        "ix_messages_no_consent", "messages", ["practice_id", "id"], sqlite_where=where, postgresql_where=where
    )
    add_reason("messages", REASON, AFTER)


def downgrade() -> None:
    take_reason("messages", REASON, AFTER)
    op.drop_index("ix_messages_no_consent", "messages")
    op.drop_table("broadcast_recipients")
    op.drop_table("broadcasts")
    op.drop_column("patients", "consent_source")
    op.drop_column("patients", "consented_on")


def within_the_practice(table: str, **columns: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint(
            ["practice_id", column],
            [f"{other}.practice_id", f"{other}.id"],
            name=op.f(f"fk_{table}_practice_id_{column}"),
        )
        for column, other in columns.items()
    ]
