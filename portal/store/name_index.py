"""The words of patients' names in each database's own full-text index, found by their beginnings.

`patients.searched` holds them, folded, one space between. The database keeps the index: on SQLite an FTS5 table
beside the patients, with triggers; on PostgreSQL a GIN index.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import DDL, Table, event, text
from sqlalchemy.orm import Session

from portal.core.patient_search import spellings

INDEX: Mapping[str, tuple[str, ...]] = {
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


def keep_with(table: Table) -> None:
    """Wherever the table of patients is made."""
    for dialect, statements in INDEX.items():
        for statement in statements:
            event.listen(table, "after_create", DDL(statement).execute_if(dialect=dialect))


_ON_SQLITE = """
SELECT patients.id FROM patients_words CROSS JOIN patients ON patients.id = patients_words.rowid
 WHERE patients_words MATCH :wanted AND patients.practice_id = :practice AND patients_words.rowid < :before
 ORDER BY patients_words.rowid DESC LIMIT :most"""
# `id + 0`: or PostgreSQL may rather read all patients backwards by their ids until it has met enough that match.
_ON_POSTGRESQL = """
SELECT id FROM patients
 WHERE array_to_tsvector(string_to_array(searched, ' ')) @@ CAST(:wanted AS tsquery)
   AND practice_id = :practice AND id + 0 < :before
 ORDER BY id + 0 DESC LIMIT :most"""
ABOVE_ALL = 2**63 - 1


def find_by_name(session: Session, practice_id: str, words: Sequence[str], most: int, before: int) -> list[int]:
    """The row ids of patients whose names hold, for each of `words` (folded), a word that begins so, or one of its
    `spellings` does: the newest first, of those below `before`. It takes the longer, the more match."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    values = {
        "wanted": _fts5(practice_id, words) if is_sqlite else _tsquery(words),
        "practice": practice_id,
        "before": before,
        "most": most,
    }
    # Not through the session's own execute, which narrows mapped classes only: narrowed by hand above.
    found = session.connection().execute(text(_ON_SQLITE if is_sqlite else _ON_POSTGRESQL), values)
    return list(found.scalars())


def _fts5(practice_id: str, words: Sequence[str]) -> str:
    """With the practice's id among what is looked for: another's many rows are not walked through one by one."""
    begin = " AND ".join("(" + " OR ".join(f'"{one}"*' for one in spellings(word)) + ")" for word in words)
    quoted = practice_id.replace('"', " ")
    has_words = any(char.isascii() and char.isalnum() for char in quoted)
    return f"searched : ({begin})" + (f' AND practice_id : "{quoted}"' if has_words else "")


def _tsquery(words: Sequence[str]) -> str:
    either = [[one.replace(" ", "' & '") for one in spellings(word)] for word in words]
    return " & ".join("(" + " | ".join(f"('{one}':*)" for one in ones) + ")" for ones in either)
