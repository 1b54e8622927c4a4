"""A practice's newest change is found by an index: each page asks for it."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_changes_practice", "changes", ["practice_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_changes_practice", table_name="changes")
