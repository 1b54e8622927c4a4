"""What a practice's settings need: patients are counted by their preference, and practitioners' changes are noted."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

KNOWN = "ck_changes_subject"
AFTER, NEW = "business", "practitioner"


def upgrade() -> None:
    op.create_index("ix_patients_preference", "patients", ["practice_id", "preference", "archived"])
    change_check(lambda subjects: [one for known in subjects for one in ((AFTER, NEW) if known == AFTER else (known,))])


def downgrade() -> None:
    op.execute("DELETE FROM changes WHERE subject = 'practitioner'")
    change_check(lambda subjects: [subject for subject in subjects if subject != NEW])
    op.drop_index("ix_patients_preference", "patients")


def change_check(change) -> None:
    """As in 0015: SQLite keeps what it enforces as text, which may be changed where every row satisfies it."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        checks = sa.inspect(connection).get_check_constraints("changes")
        found = next(check["sqltext"] for check in checks if check["name"] == KNOWN)
        op.drop_constraint(op.f(KNOWN), "changes", type_="check")
        op.create_check_constraint(op.f(KNOWN), "changes", f"subject IN ({changed(found, change)})")
        return
    table = connection.scalar(sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'changes'"))
    version = connection.scalar(sa.text("PRAGMA schema_version"))
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    connection.execute(
        sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = 'changes'"),
        {"sql": re.sub(r"(subject IN \()([^)]*)", lambda part: part[1] + changed(part[2], change), table)},
    )
    connection.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))


def changed(known: str, change) -> str:
    """The words of a check's text, in their order, with the change."""
    return ", ".join(f"'{subject}'" for subject in change(re.findall("'([^']*)'", known)))
