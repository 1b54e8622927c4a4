"""Texts that staff send: by whom and from which form, whether in their own words, whether in doubt before."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("messages", sa.Column("written_by", sa.Text(), nullable=True))
    op.add_column("messages", sa.Column("written_by_id", row_id, nullable=True))
    op.add_column("messages", sa.Column("form_key", sa.Text(), nullable=True))
    for name in ("own_words", "was_in_doubt"):
        op.add_column("messages", sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False))
    is_of_a_form = sa.text("form_key IS NOT NULL")
    op.create_index(
        "uq_messages_form_key",
        "messages",
        ["practice_id", "form_key"],
        unique=True,
        sqlite_where=is_of_a_form,
        postgresql_where=is_of_a_form,
    )
    is_by_staff = sa.text("written_by IS NOT NULL OR form_key IS NOT NULL")
    op.create_index(
        "ix_messages_by_staff",
        "messages",
        ["practice_id", "deadline_at"],
        sqlite_where=is_by_staff,
        postgresql_where=is_by_staff,
    )


def downgrade() -> None:
    op.drop_index("ix_messages_by_staff", "messages")
    op.drop_index("uq_messages_form_key", "messages")
    op.drop_column("messages", "was_in_doubt")
    op.drop_column("messages", "own_words")
    op.drop_column("messages", "form_key")
    op.drop_column("messages", "written_by_id")
    op.drop_column("messages", "written_by")
