"""What a practice's settings need: patients are counted by their preference, and practitioners' changes are noted."""

from alembic import op

from portal.migrations.checks import change_words

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

AFTER, NEW = "business", "practitioner"


def upgrade() -> None:
    op.create_index("ix_patients_preference", "patients", ["practice_id", "preference", "archived"])
    change_words("changes", "subject", with_new)


def downgrade() -> None:
    op.execute("DELETE FROM changes WHERE subject = 'practitioner'")
    change_words("changes", "subject", lambda subjects: [subject for subject in subjects if subject != NEW])
    op.drop_index("ix_patients_preference", "patients")


def with_new(subjects):
    at = subjects.index(AFTER) + 1
    return [*subjects[:at], NEW, *subjects[at:]]
