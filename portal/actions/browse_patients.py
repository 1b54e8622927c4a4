"""The list of patients: the newest first or by name, or those that a search finds."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from portal import store
from portal.core.numbers import PhoneNumber, number_to_text
from portal.core.patient_search import parse
from portal.core.phrases import plain
from portal.store.patient_list import Line


class Order(StrEnum):
    NEWEST = "newest"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Row:
    """`to`: the number that is texted, E.164; None where there is none. `numbers`: in the order entered."""

    line: Line
    to: str | None
    numbers: tuple[PhoneNumber, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """`after`: where to go on, as the next page's address has it; empty at the end."""

    country: str
    rows: list[Row]
    after: str


_LARGEST_ID = 2**63 - 1  # that a database takes


def browse(
    practice_id: str,
    most: int,
    today: date,
    *,
    search: str = "",
    order: Order = Order.NEWEST,
    after: str = "",
) -> Page:
    """A search shows the newest first, whatever the order. A senseless `after` begins at the beginning."""
    with store.reading(practice_id) as session:
        practice = store.practices.get_practice(session, practice_id)
        query = parse(search, practice.country, today)
        by_name = order is Order.NAME and query is None
        if query is not None:
            lines = store.patient_list.find(session, practice_id, query, most + 1, _row_id(after))
        elif by_name:
            lines = store.patient_list.list_by_name(session, most + 1, _place(after))
        else:
            lines = store.patient_list.list_newest(session, most + 1, _row_id(after))
        shown = lines[:most]
        numbers = store.patients.list_numbers(session, [line.id for line in shown])
    rows = []
    for line in shown:
        theirs = numbers.get(line.id, [])
        rows.append(Row(line, number_to_text(theirs, practice.countries), tuple(theirs)))
    return Page(practice.country, rows, _next(shown[-1], by_name) if len(lines) > most else "")


def _next(last: Line, by_name: bool) -> str:
    return f"{last.id}-{last.searched}" if by_name else str(last.id)


def _row_id(after: str) -> int | None:
    digits = after.partition("-")[0]
    return min(int(digits), _LARGEST_ID) if digits.isascii() and digits.isdigit() and len(digits) < 30 else None


def _place(after: str) -> tuple[str, int] | None:
    id_ = _row_id(after)
    return None if id_ is None else (plain(after.partition("-")[2], 500), id_)
