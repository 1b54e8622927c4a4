"""Texts that staff write: who wrote one, and the form that did."""

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
    is_of_a_form = sa.text("form_key IS NOT NULL")
    op.create_index(
        "uq_messages_form_key",
        "messages",
        ["practice_id", "form_key"],
        unique=True,
        sqlite_where=is_of_a_form,
        postgresql_where=is_of_a_form,
    )


def downgrade() -> None:
    op.drop_index("uq_messages_form_key", "messages")
    op.drop_column("messages", "form_key")
    op.drop_column("messages", "written_by_id")
    op.drop_column("messages", "written_by")
