"""The full-text index of messages: SQLite's FTS5; PostgreSQL's tsvector and GIN.

A full-text index by itself finds "the newest 50" only by looking at all that match: in a large practice a common
word would take the longer, the more there is. So a practice's messages are filed in volumes of some thousand, and
each index word begins with the id of its volume. A search goes through the volumes from the newest, and stops where
it has enough: a common word costs one or two volumes. Once nothing more comes into a volume, a list of its words is
filed in the same index: a rare word costs a probe of those volumes that hold it, and one that is nowhere none.
`bench/pages.py` measures both with 1,000,000 messages of one practice. Practices never share a volume.

The words are made by `core/search.py`, so that both databases fold letters alike. Whoever writes messages files them
here in the same transaction (`store/messages.py: index_messages`).
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, TypeAlias
from zlib import crc32

from sqlalchemy import (
    CTE,
    DDL,
    BindParameter,
    Connection,
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

from portal.core.search import Query
from portal.store.database import Model, PracticeOwned, row_id, table_of
from portal.store.types import RowId, UtcDateTime

_Terms: TypeAlias = Sequence[Sequence[str]]

# Messages. A probe of a volume costs some 40 µs (SQLite) or 10, a match 0.2 µs or 0.4: a common word 1 ms.
VOLUME = 4_000
RECENT = 3  # volumes that are probed whatever their lists say: for a common word they are enough
_FEW = 64  # messages of a volume with the longest word, which is likely the rarest: each is looked at for the others
_LISTED_AT_ONCE = 5  # volumes
_LONGEST_LIST = 700_000  # characters; PostgreSQL takes a megabyte
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
    _write(connection, [(message.id, [f"{volume}{word}" for word in message.words]) for message, volume in placed])
    _strike(connection, {volume for _, volume in placed} - {shelf.last})  # their lists may lack a word now
    if shelf.has_opened:
        _list_words(connection, practice_id, shelf.last)


def _write(connection: Connection, rows: Sequence[tuple[int, Collection[str]]]) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            "INSERT OR REPLACE INTO message_words (rowid, words) VALUES (?, ?)",
            [(id_, " ".join(words)) for id_, words in rows],
        )
        return
    connection.exec_driver_sql(
        "INSERT INTO message_words (id, words) "
        "SELECT id, CAST(words AS tsvector) FROM unnest(%s::bigint[], %s::text[]) AS new (id, words) "
        "ON CONFLICT (id) DO UPDATE SET words = excluded.words",
        ([id_ for id_, _ in rows], [" ".join([f"'{word}'" for word in words]) for _, words in rows]),
    )


# A volume's list of words has the volume's id, negative. Each word begins with the practice's mark, which no volume's
# words begin with, and the mark alone is on every list.
_STRIKE = {
    "sqlite": "DELETE FROM message_words WHERE rowid = :list",
    "postgresql": "DELETE FROM message_words WHERE id = :list",
}
_UNLISTED = {
    "sqlite": """
SELECT volume.id FROM search_volumes AS volume LEFT JOIN message_words AS list ON list.rowid = - volume.id
 WHERE volume.practice_id = :practice AND volume.id <> :last AND list.rowid IS NULL
 ORDER BY volume.first_id DESC LIMIT :most""",
    "postgresql": """
SELECT volume.id FROM search_volumes AS volume LEFT JOIN message_words AS list ON list.id = - volume.id
 WHERE volume.practice_id = :practice AND volume.id <> :last AND list.id IS NULL
 ORDER BY volume.first_id DESC LIMIT :most""",
}
_WORDS_OF = {
    "sqlite": "SELECT words FROM message_words WHERE message_words MATCH :volume",
    "postgresql": "SELECT tsvector_to_array(words) FROM message_words WHERE words @@ CAST(:volume AS tsquery)",
}


def _mark(practice_id: str) -> str:
    return f"c{crc32(practice_id.encode()):08x}"


def _strike(connection: Connection, volumes: Collection[int]) -> None:
    if volumes:
        connection.execute(text(_STRIKE[connection.dialect.name]), [{"list": -volume} for volume in volumes])


def _list_words(connection: Connection, practice_id: str, last: int) -> None:
    """Of some volumes that have no list, but not of the last."""
    dialect, mark = connection.dialect.name, _mark(practice_id)
    values = {"practice": practice_id, "last": last, "most": _LISTED_AT_ONCE}
    for volume in connection.scalars(text(_UNLISTED[dialect]), values).all():
        begins = len(str(volume))
        listed = {mark}
        for words in connection.scalars(text(_WORDS_OF[dialect]), {"volume": _of_volume(volume, dialect)}):
            listed.update([mark + word[begins:] for word in (words.split() if isinstance(words, str) else words)])
        if sum(map(len, listed)) < _LONGEST_LIST:
            _write(connection, [(-volume, listed)])


def _of_volume(volume: int, dialect: str) -> str:
    """Whatever is filed there."""
    return _as_query([("/", "#")], dialect, str(volume))


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
        self.has_opened = False

    @property
    def last(self) -> int:
        return int(self._volumes[-1]["id"])

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
        self.has_opened = True
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
SELECT found.value AS id FROM search_volumes AS volume CROSS JOIN json_each({picked}) AS found
 WHERE {ours} AND (volume.first_id >= {recent}
    OR volume.id IN (SELECT - rowid FROM message_words WHERE message_words MATCH :_listed)
    OR volume.id NOT IN (SELECT - rowid FROM message_words WHERE message_words MATCH :_mark))
 ORDER BY volume.first_id DESC LIMIT :_most""",
    "postgresql": """
SELECT found.id FROM search_volumes AS volume CROSS JOIN LATERAL ({picked}) AS found
 WHERE {ours} AND (volume.first_id >= {recent}
    OR volume.id IN (SELECT - id FROM message_words WHERE words @@ CAST(:_listed AS tsquery))
    OR volume.id NOT IN (SELECT - id FROM message_words WHERE words @@ CAST(:_mark AS tsquery)))
 ORDER BY volume.first_id DESC, found.id DESC LIMIT :_most""",
}
_OURS = "volume.practice_id = :_practice AND volume.first_id < :_before"
_FIRST_RECENT = """coalesce((
  SELECT first_id FROM search_volumes WHERE practice_id = :_practice AND first_id < :_before
   ORDER BY first_id DESC LIMIT 1 OFFSET :_recent), 0)"""
_PICKED = {
    "sqlite": """
  (SELECT json_group_array(id) FROM (
    SELECT rowid AS id FROM message_words
     WHERE message_words MATCH replace({query}, '@', volume.id) AND rowid < :_before {and_others}
     ORDER BY + rowid DESC LIMIT :_most))""",
    "postgresql": """
  SELECT id FROM message_words
   WHERE words @@ CAST(replace({query}, '@', CAST(volume.id AS text)) AS tsquery) AND id + 0 < :_before
   ORDER BY id + 0 DESC LIMIT :_most""",
}
_HOLDS = "instr(' ' || words, ' ' || volume.id || {}) > 0"
# FTS5 goes through all that match the beginning of any word, before it asks which match the others.
_PICKED_BY_RAREST = """
  CASE WHEN (SELECT count(*) FROM (
    SELECT 1 FROM message_words WHERE message_words MATCH replace(:_rarest, '@', volume.id) LIMIT :_few)) < :_few
  THEN {by_rarest} ELSE {by_all} END"""


def find(
    session: Session,
    practice_id: str,
    query: Query,
    most: int,
    before: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> CTE:
    """The ids of the newest `most` that match, of those with an id below `before`: messages are looked up by them.

    With `since` or `until` (not included), volumes that hold nothing between them are left out.
    """
    dialect = session.get_bind().dialect.name
    mark = _mark(practice_id)
    values = {"_practice": practice_id, "_before": LARGEST_ID if before is None else before, "_most": most}
    values |= {"_query": _as_query(query.terms, dialect, "@"), "_listed": _as_query(query.terms, dialect, mark)}
    values |= {"_mark": mark, "_recent": RECENT - 1}
    picked = _PICKED[dialect].format(query=":_query", and_others="")
    if dialect == "sqlite" and len(query.terms) > 1:
        rarest, *others = sorted(query.terms, key=lambda alternatives: -min(map(len, alternatives)))
        values |= {"_rarest": _as_query([rarest], dialect, "@"), "_few": _FEW}
        and_others = ""
        for i, alternatives in enumerate(others):
            values |= {f"_word_{i}_{j}": word for j, word in enumerate(alternatives)}
            each = (_HOLDS.format(f":_word_{i}_{j}") for j in range(len(alternatives)))
            and_others += f" AND ({' OR '.join(each)})"
        by_rarest = _PICKED[dialect].format(query=":_rarest", and_others=and_others)
        picked = _PICKED_BY_RAREST.format(by_rarest=by_rarest, by_all=picked)
    parameters: list[BindParameter[Any]] = [bindparam(name, value) for name, value in values.items()]
    ours = _OURS
    since = since and since - SENT_WITHIN
    for name, instant, condition in (("_since", since, "until >="), ("_until", until, "since <")):
        if instant is not None:
            ours += f" AND volume.{condition} :{name}"
            parameters.append(bindparam(name, instant, UtcDateTime))
    found = _FOUND[dialect].format(picked=picked, ours=ours, recent=_FIRST_RECENT)
    statement = text(found).bindparams(*parameters)
    return statement.columns(column("id", RowId)).cte("found")


def _as_query(terms: _Terms, dialect: str, begin: str) -> str:
    """In the database's own words, which begin with `begin`: each @ becomes a volume's id. Terms hold letters and
    digits besides their sign, so that nothing is escaped."""
    term, or_, and_ = ('"{}{}" *', " OR ", " AND ") if dialect == "sqlite" else ("'{}{}':*", " | ", " & ")
    each = [or_.join(term.format(begin, one) for one in alternatives) for alternatives in terms]
    return and_.join(f"({one})" for one in each)
