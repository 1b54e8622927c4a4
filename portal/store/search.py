"""The full-text index of messages: SQLite's FTS5; PostgreSQL's tsvector and GIN.

A full-text index by itself finds "the newest 50" only by looking at all that match: in a large practice a common
word would take the longer, the more there is. So a practice's messages are filed in volumes of some thousand, and
each index word begins with the id of its volume. A search goes through the volumes from the newest, and stops where
it has enough: a common word costs one or two volumes, a rare one a probe of each, which is short. `bench/pages.py`
measures both with 1,000,000 messages of one practice. Practices never share a volume.

The words are made by `core/search.py`, so that both databases fold letters alike. Whoever writes messages files them
here in the same transaction (`store/messages.py: index_messages`).
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    DDL,
    BindParameter,
    UniqueConstraint,
    bindparam,
    column,
    event,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.sql.selectable import Subquery

from portal.core.search import Query
from portal.store.database import Model, PracticeOwned, row_id, table_of
from portal.store.types import RowId, UtcDateTime

# Messages. A probe of a volume costs some 40 µs (SQLite) or 10, a match 0.2 µs or 0.4: a common word 1 ms, and one
# that is nowhere among 1,000,000 messages of a practice 10 ms or 3.
VOLUME = 4_000
LARGEST_ID = 2**63 - 1
# Nothing is sent after 9 PM of its day.
SENT_WITHIN = timedelta(days=1)


class SearchVolume(PracticeOwned, Model):
    """Some thousand messages of a practice with neighbouring ids: those from `first_id` to the next volume's.

    The instants at which they were filed lie between `since` and `until`. Sending files nothing anew: what was
    sent was sent within SENT_WITHIN of that.
    """

    __tablename__ = "search_volumes"

    id: Mapped[int] = row_id()
    first_id: Mapped[int] = mapped_column(RowId)
    size: Mapped[int]
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (UniqueConstraint("practice_id", "first_id"),)


# No more than the message's own id: what is found is read within the practice, as everything else. `fastupdate`
# would keep new words in a list that each probe reads from end to end.
_TABLES = {
    "sqlite": (
        """
CREATE VIRTUAL TABLE message_words
  USING fts5(words, detail=none, columnsize=0, tokenize="ascii tokenchars '/#'")""",
    ),
    "postgresql": (
        """
CREATE TABLE message_words (id bigint CONSTRAINT pk_message_words PRIMARY KEY, words tsvector NOT NULL)""",
        "CREATE INDEX ix_message_words_words ON message_words USING gin (words) WITH (fastupdate = off)",
    ),
}

for _dialect, _statements in _TABLES.items():
    for _statement in _statements:
        event.listen(table_of(SearchVolume), "after_create", DDL(_statement).execute_if(dialect=_dialect))


# --- filing -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filed:
    """A message's id, its index words and its instant."""

    id: int
    words: Collection[str]
    at: datetime


def file(session: Session, practice_id: str, messages: Sequence[Filed], *, are_new: bool = False) -> None:
    """File messages under their words, instead of those under which they are."""
    if not messages:
        return
    messages = sorted(messages, key=attrgetter("id"))
    shelf = _Shelf(session, practice_id, messages[0].id)
    placed = [(message, shelf.place(message, is_new=are_new)) for message in messages]
    shelf.keep()
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            "INSERT OR REPLACE INTO message_words (rowid, words) VALUES (?, ?)",
            [(message.id, " ".join([f"{volume}{word}" for word in message.words])) for message, volume in placed],
        )
        return
    connection.exec_driver_sql(
        "INSERT INTO message_words (id, words) "
        "SELECT id, CAST(words AS tsvector) FROM unnest(%s::bigint[], %s::text[]) AS new (id, words) "
        "ON CONFLICT (id) DO UPDATE SET words = excluded.words",
        (
            [message.id for message, _ in placed],
            [" ".join([f"'{volume}{word}'" for word in message.words]) for message, volume in placed],
        ),
    )


class _Shelf:
    """A practice's volumes from the one that holds `lowest` on."""

    def __init__(self, session: Session, practice_id: str, lowest: int) -> None:
        self._session, self._practice_id = session, practice_id
        volume = SearchVolume
        first = (
            select(volume.first_id)
            .where(volume.practice_id == practice_id, volume.first_id <= lowest)
            .order_by(volume.first_id.desc())
            .limit(1)
            .scalar_subquery()
        )
        rows = session.execute(
            select(volume.id, volume.first_id, volume.size, volume.since, volume.until)
            .where(volume.practice_id == practice_id, volume.first_id >= func.coalesce(first, lowest))
            .order_by(volume.first_id)
        ).all()
        self._volumes: list[dict[str, Any]] = [dict(row._mapping) for row in rows]
        self._firsts = [row.first_id for row in rows]
        self._changed: set[int] = set()

    def place(self, message: Filed, *, is_new: bool) -> int:
        """The id of the volume in which it belongs: a new one where the last is full, or where none is so old."""
        at = bisect_right(self._firsts, message.id) - 1
        is_last = at == len(self._firsts) - 1
        if at < 0 or (is_new and is_last and self._volumes[at]["size"] >= VOLUME):
            at += 1
            self._volumes.insert(at, self._open(message))
            self._firsts.insert(at, message.id)
            is_new = True
        volume = self._volumes[at]
        if is_new:
            volume["size"] += 1
            self._changed.add(volume["id"])
        self._stretch(volume, message.at)
        return int(volume["id"])

    def _stretch(self, volume: dict[str, Any], instant: datetime) -> None:
        if not volume["since"] <= instant <= volume["until"]:
            volume["since"], volume["until"] = min(volume["since"], instant), max(volume["until"], instant)
            self._changed.add(volume["id"])

    def _open(self, message: Filed) -> dict[str, Any]:
        new = {"first_id": message.id, "size": 0, "since": message.at, "until": message.at}
        table = table_of(SearchVolume)
        statement = insert(table).values(new | {"practice_id": self._practice_id}).returning(table.c.id)
        return new | {"id": self._session.connection().execute(statement).scalar_one()}

    def keep(self) -> None:
        table = table_of(SearchVolume)
        for volume in self._volumes:
            if volume["id"] in self._changed:
                self._session.connection().execute(
                    update(table)
                    .where(table.c.id == volume["id"], table.c.practice_id == self._practice_id)
                    .values({name: volume[name] for name in ("size", "since", "until")})
                )


# --- finding ----------------------------------------------------------------------------------------------

# In both, the newest of each volume are picked before the next one is asked. SQLite would sort what all volumes hold
# if it were asked for the order of the ids too: so each volume's come as one list, in their order. `+ rowid` and
# `id + 0`: without, SQLite walks the index backwards, which is slower than sorting; PostgreSQL reads its table
# backwards until it has met enough that match.
_FOUND = {
    "sqlite": """
SELECT found.value AS id FROM search_volumes AS volume CROSS JOIN json_each((
  SELECT json_group_array(id) FROM (
    SELECT rowid AS id FROM message_words
     WHERE message_words MATCH replace(:_query, '@', volume.id) AND rowid < :_before
     ORDER BY + rowid DESC LIMIT :_most))) AS found
 WHERE {ours}
 ORDER BY volume.first_id DESC LIMIT :_most""",
    "postgresql": """
SELECT found.id FROM search_volumes AS volume CROSS JOIN LATERAL (
  SELECT id FROM message_words
   WHERE words @@ CAST(replace(:_query, '@', CAST(volume.id AS text)) AS tsquery) AND id + 0 < :_before
   ORDER BY id + 0 DESC LIMIT :_most) AS found
 WHERE {ours}
 ORDER BY volume.first_id DESC, found.id DESC LIMIT :_most""",
}
_OURS = "volume.practice_id = :_practice AND volume.first_id < :_before"


def find(
    session: Session,
    practice_id: str,
    query: Query,
    most: int,
    before: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Subquery:
    """The ids of the newest `most` that match, of those with an id below `before`: to be joined to the messages.

    With `since` or `until` (not included), volumes that hold nothing between them are left out.
    """
    dialect = session.get_bind().dialect.name
    values = {"_practice": practice_id, "_query": _as_query(query, dialect), "_most": most}
    values["_before"] = LARGEST_ID if before is None else before
    parameters: list[BindParameter[Any]] = [bindparam(name, value) for name, value in values.items()]
    ours = _OURS
    since = since and since - SENT_WITHIN
    for name, instant, condition in (("_since", since, "until >="), ("_until", until, "since <")):
        if instant is not None:
            ours += f" AND volume.{condition} :{name}"
            parameters.append(bindparam(name, instant, UtcDateTime))
    statement = text(_FOUND[dialect].format(ours=ours)).bindparams(*parameters)
    return statement.columns(column("id", RowId)).subquery("found")


def _as_query(query: Query, dialect: str) -> str:
    """In the database's own words. Terms hold letters and digits besides their sign, so that nothing is escaped;
    each @ becomes a volume's id."""
    term, or_, and_ = ('"@{}" *', " OR ", " AND ") if dialect == "sqlite" else ("'@{}':*", " | ", " & ")
    each = [or_.join(term.format(one) for one in alternatives) for alternatives in query.terms]
    return and_.join(f"({one})" for one in each)
