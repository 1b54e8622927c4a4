"""Test texts, which staff send to themselves."""

from alembic import op

from portal.migrations.checks import change_words

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

NEW = "test"


def upgrade() -> None:
    change_words("messages", "kind", lambda kinds: [*kinds, NEW])


def downgrade() -> None:
    """A test text becomes one that staff wrote to nobody whom the portal knows."""
    op.execute("UPDATE messages SET kind = 'manual' WHERE kind = 'test'")
    change_words("messages", "kind", lambda kinds: [kind for kind in kinds if kind != NEW])
