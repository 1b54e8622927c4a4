"""Patients are found by the words of their names, the ends of their numbers and their birth dates."""

import re
from unicodedata import combining, normalize

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INDEX = {
    "sqlite": (
        """
CREATE VIRTUAL TABLE patients_words
  USING fts5(practice_id, searched, content='patients', content_rowid='id', prefix='1 2 3')""",
        """
CREATE TRIGGER patients_words_insert AFTER INSERT ON patients BEGIN
  INSERT INTO patients_words(rowid, practice_id, searched) VALUES (NEW.id, NEW.practice_id, NEW.searched);
END""",
        """
CREATE TRIGGER patients_words_delete AFTER DELETE ON patients BEGIN
  INSERT INTO patients_words(patients_words, rowid, practice_id, searched)
    VALUES ('delete', OLD.id, OLD.practice_id, OLD.searched);
END""",
        """
CREATE TRIGGER patients_words_update AFTER UPDATE OF searched ON patients WHEN OLD.searched <> NEW.searched BEGIN
  INSERT INTO patients_words(patients_words, rowid, practice_id, searched)
    VALUES ('delete', OLD.id, OLD.practice_id, OLD.searched);
  INSERT INTO patients_words(rowid, practice_id, searched) VALUES (NEW.id, NEW.practice_id, NEW.searched);
END""",
    ),
    # Not by PostgreSQL's parser, which reads addresses, numbers and hyphens in its own way. `fastupdate` would keep
    # new words in a list that each search reads from end to end.
    "postgresql": (
        """
CREATE INDEX ix_patients_words ON patients
  USING gin (array_to_tsvector(string_to_array(searched, ' '))) WITH (fastupdate = off)""",
    ),
}
WORDS = re.compile(r"\w+")
PLAIN_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe"})
STEP = 1000


def upgrade() -> None:
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("patients", sa.Column("searched", text, server_default="", nullable=False))
    op.add_column("phone_numbers", sa.Column("backwards", text, server_default="", nullable=False))
    fill("patients", ("first_name", "last_name"), "searched", searched_name)
    fill("phone_numbers", ("number", "e164"), "backwards", backwards)
    op.create_index("ix_patients_name", "patients", ["practice_id", "searched", "id"])
    op.create_index("ix_patients_born", "patients", ["practice_id", "date_of_birth", "id"])
    op.create_index("ix_phone_numbers_backwards", "phone_numbers", ["practice_id", "backwards", "patient_id"])
    op.drop_index("ix_appointments_patient", "appointments")
    op.create_index("ix_appointments_patient", "appointments", ["practice_id", "patient_id", "starts_at"])
    for statement in INDEX[op.get_bind().dialect.name]:
        op.execute(statement)
    if op.get_bind().dialect.name == "sqlite":
        op.execute("INSERT INTO patients_words(patients_words) VALUES ('rebuild')")


def fill(table: str, read: tuple[str, str], write: str, make) -> None:
    connection, after = op.get_bind(), 0
    found = sa.text(f"SELECT id, {read[0]}, {read[1]} FROM {table} WHERE id > :after ORDER BY id LIMIT {STEP}")
    while rows := connection.execute(found, {"after": after}).all():
        after = rows[-1][0]
        connection.execute(
            sa.text(f"UPDATE {table} SET {write} = :value WHERE id = :id"),
            [{"id": row[0], "value": make(row[1], row[2])} for row in rows],
        )


def searched_name(first_name: str, last_name: str) -> str:
    letters = (char for char in normalize("NFKD", f"{last_name} {first_name}").casefold() if not combining(char))
    return " ".join(WORDS.findall("".join(letters).translate(PLAIN_LETTERS)))[:200].rstrip()


def backwards(number: str, e164: str | None) -> str:
    return "".join(char for char in e164 or number if char.isascii() and char.isdigit())[::-1]


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for trigger in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER patients_words_{trigger}")
        op.execute("DROP TABLE patients_words")
    else:
        op.execute("DROP INDEX ix_patients_words")
    op.drop_index("ix_appointments_patient", "appointments")
    op.create_index("ix_appointments_patient", "appointments", ["practice_id", "patient_id"])
    op.drop_index("ix_phone_numbers_backwards", "phone_numbers")
    op.drop_index("ix_patients_born", "patients")
    op.drop_index("ix_patients_name", "patients")
    op.drop_column("phone_numbers", "backwards")
    op.drop_column("patients", "searched")
