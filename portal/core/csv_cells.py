"""A table's cells as CSV, of which no spreadsheet makes a formula."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

# What begins a formula, and what some spreadsheets take for it. Behind what may separate cells, where a
# spreadsheet's country separates them otherwise than we do, it counts as a beginning too.
_FORMULA = re.compile(r"(\A[\t\r\n]|(?:\A|[;\t\r\n])[^\S\t\r\n]*[=+\-@＝＋－＠])")


def harmless(text: str) -> str:
    """With an apostrophe before whatever could begin a formula: a spreadsheet takes it as text."""
    return _FORMULA.sub(lambda found: f"'{found[1]}" if found.start() == 0 else _inside(found[1]), text)


def _inside(separated: str) -> str:
    return f"{separated[0]}'{separated[1:]}"


def as_csv(rows: Iterable[Sequence[str]]) -> str:
    """Each row as a line, each cell harmless; in quotes, where it needs them."""
    written = io.StringIO()
    csv.writer(written).writerows([harmless(cell) for cell in row] for row in rows)
    return written.getvalue()
