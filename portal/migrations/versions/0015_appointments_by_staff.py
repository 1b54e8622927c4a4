"""Who changed an appointment is noted."""

from alembic import op

from portal.migrations.checks import change_words

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

NEW = "appointment"


def upgrade() -> None:
    change_words("changes", "subject", lambda subjects: [*subjects, NEW])


def downgrade() -> None:
    op.execute("DELETE FROM changes WHERE subject = 'appointment'")
    change_words("changes", "subject", lambda subjects: [subject for subject in subjects if subject != NEW])
