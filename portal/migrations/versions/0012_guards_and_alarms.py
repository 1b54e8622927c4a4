"""No flood of texts, the hours of texts by staff, alarms, the day's line by mail."""

import sqlalchemy as sa
from alembic import op

from portal.migrations.checks import add_reason, take_reason

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

REASON = "daily-limit"
AFTER = "patient-archived"
CODES = (
    "redis-away",
    "workers-gone",
    "queue-waits",
    "account-refused",
    "account-reported",
    "no-pass-ran",
    "credits-run-out",
    "in-doubt",
    "many-undelivered",
    "daily-limit",
)
PRACTICE = (
    ("texts_from", "8", "texts_from BETWEEN 0 AND 12"),
    ("texts_until", "21", "texts_until BETWEEN 13 AND 24"),
    ("alarm_share", "20", "alarm_share BETWEEN 1 AND 100"),
)


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    for name, default, check in PRACTICE:
        op.add_column(
            "practices",
            sa.Column(
                name,
                sa.Integer(),
                sa.CheckConstraint(check, name=op.f(f"ck_practices_{name}")),
                server_default=default,
                nullable=False,
            ),
        )
    for name in ("wants_daily_line", "wants_names"):
        op.add_column("users", sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "alarms",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=True),
        sa.Column(
            "code",
            sa.Enum(*CODES, name="code", native_enum=False, create_constraint=True, length=None),
            nullable=False,
        ),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("all_clear_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("telling_since", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_alarms_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
    )
    stands = sa.text("cleared_at IS NULL")
    op.create_index(
        "uq_alarms_standing", "alarms", ["key"], unique=True, sqlite_where=stands, postgresql_where=stands
    )
    op.create_index("ix_alarms_practice", "alarms", ["practice_id", "cleared_at"])
    to_tell = sa.text("told_at IS NULL OR (cleared_at IS NOT NULL AND all_clear_told_at IS NULL)")
    op.create_index("ix_alarms_to_tell", "alarms", ["id"], sqlite_where=to_tell, postgresql_where=to_tell)
    op.create_table(
        "daily_lines",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_daily_lines_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_daily_lines")),
    )
    op.create_index("uq_daily_lines_day", "daily_lines", ["practice_id", "day"], unique=True)

    op.create_index("ix_messages_patient_pass", "messages", ["practice_id", "patient_id", "pass_at"])
    where = sa.text(f"reasons LIKE '%{REASON};%'")
    op.create_index(
        "ix_messages_daily_limit", "messages", ["practice_id", "id"], sqlite_where=where, postgresql_where=where
    )
    add_reason("messages", REASON, AFTER)


def downgrade() -> None:
    take_reason("messages", REASON, AFTER)
    op.drop_index("ix_messages_daily_limit", "messages")
    op.drop_index("ix_messages_patient_pass", "messages")
    op.drop_table("daily_lines")
    op.drop_table("alarms")
    for name in ("wants_names", "wants_daily_line"):
        op.drop_column("users", name)
    for name, _, _ in reversed(PRACTICE):
        op.drop_column("practices", name)
