"""Names and texts with the Turkish i without a dot are found by a plain one: what was filed before is filed anew."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

MESSAGES = {
    "sqlite": "UPDATE message_words SET words = replace(words, 'ı', 'i') WHERE instr(words, 'ı') > 0",
    "postgresql": """
UPDATE message_words SET words = CAST(replace(CAST(words AS text), 'ı', 'i') AS tsvector)
 WHERE strpos(CAST(words AS text), 'ı') > 0""",
}


def upgrade() -> None:
    op.execute("UPDATE patients SET searched = replace(searched, 'ı', 'i') WHERE searched LIKE '%ı%'")
    op.execute(MESSAGES[op.get_bind().dialect.name])


def downgrade() -> None:
    """What was filed with a plain i is still found by one."""
