"""A text says of itself whether it is marketing: also one to a single patient, and one in the place of another."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("is_marketing", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        "UPDATE messages SET is_marketing = true WHERE id IN (SELECT r.message_id FROM broadcast_recipients r"
        " JOIN broadcasts b ON b.id = r.broadcast_id WHERE b.purpose = 'marketing')"
    )


def downgrade() -> None:
    op.drop_column("messages", "is_marketing")
