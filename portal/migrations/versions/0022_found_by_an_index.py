"""A practice's newest change, and its newest two who are not one, are found by an index: each page asks for them. What
the provider bills otherwise comes by the time it was sent, an order that no other index has: PostgreSQL takes nearly all
rows for such, and would look through them in the order of their ids."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

WHERE = sa.text("billed_parts <> charged")
NAME = "ix_messages_billed_otherwise"


def upgrade() -> None:
    op.create_index("ix_changes_practice", "changes", ["practice_id", "id"])
    op.create_index("ix_two_people_practice", "two_people", ["practice_id", "id"])
    op.drop_index(NAME, "messages")
    op.create_index(NAME, "messages", ["practice_id", "sent_at"], sqlite_where=WHERE, postgresql_where=WHERE)


def downgrade() -> None:
    op.drop_index(NAME, "messages")
    op.create_index(NAME, "messages", ["practice_id", "id"], sqlite_where=WHERE, postgresql_where=WHERE)
    op.drop_index("ix_two_people_practice", table_name="two_people")
    op.drop_index("ix_changes_practice", table_name="changes")
