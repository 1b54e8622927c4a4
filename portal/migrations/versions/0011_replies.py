"""Replies, how a practice answers them, and which appointments they confirm."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

MEANINGS = ("stop", "cancel", "start", "help", "confirm", "decline", "other")


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("appointments", sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("appointments", sa.Column("confirmed_revision", sa.Integer(), nullable=True))
    op.create_index("uq_opt_outs_practice_id_id", "opt_outs", ["practice_id", "id"], unique=True)
    op.create_table(
        "replies",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("message_id", row_id, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column(
            "meaning",
            sa.Enum(*MEANINGS, name="meaning", native_enum=False, create_constraint=True, length=None),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("appointment_id", row_id, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("opt_out_id", row_id, nullable=True),
        sa.Column("answer_id", row_id, nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_by", sa.Text(), nullable=True),
        sa.Column("read_by_id", row_id, nullable=True),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_replies_practice_id")),
        *(
            sa.ForeignKeyConstraint(
                ["practice_id", column],
                [f"{table}.practice_id", f"{table}.id"],
                name=op.f(f"fk_replies_practice_id_{column}"),
            )
            for column, table in (
                ("message_id", "messages"),
                ("appointment_id", "appointments"),
                ("opt_out_id", "opt_outs"),
                ("answer_id", "messages"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replies")),
        sa.UniqueConstraint("message_id", name=op.f("uq_replies_message_id")),
    )
    op.create_index("ix_replies_number", "replies", ["practice_id", "number", "at"])
    op.create_index("ix_replies_at", "replies", ["practice_id", "at"])
    op.create_index("ix_replies_appointment", "replies", ["practice_id", "appointment_id"])
    op.create_index("ix_replies_opt_out", "replies", ["practice_id", "opt_out_id"])
    op.create_index("ix_replies_answer", "replies", ["practice_id", "answer_id"])
    unread = sa.text("read_at IS NULL")
    op.create_index(
        "ix_replies_unread", "replies", ["practice_id", "id"], sqlite_where=unread, postgresql_where=unread
    )
    op.create_table(
        "reply_settings",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("stop_text", sa.Text(), nullable=True),
        sa.Column("start_text", sa.Text(), nullable=True),
        sa.Column("help_text", sa.Text(), nullable=True),
        sa.Column("forward_to", sa.Text(), nullable=True),
        sa.Column("in_full", sa.Boolean(), nullable=False),
        sa.Column("practice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["practice_id"], ["practices.id"], name=op.f("fk_reply_settings_practice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reply_settings")),
        sa.UniqueConstraint("practice_id", name=op.f("uq_reply_settings_practice_id")),
    )


def downgrade() -> None:
    op.drop_table("reply_settings")
    op.drop_table("replies")
    op.drop_index("uq_opt_outs_practice_id_id", "opt_outs")
    op.drop_column("appointments", "confirmed_revision")
    op.drop_column("appointments", "confirmed_at")
