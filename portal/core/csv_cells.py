"""A table's cells as CSV, of which no spreadsheet makes a formula."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

# What begins a formula, and what some spreadsheets take for it.
_SIGNS = "=+-@＝＋－＠"
# Where another country's spreadsheet may see a new cell.
_NEW_CELL = re.compile(rf"(?<=[;\t\r\n])(?=[^\S\t\r\n]*[{re.escape(_SIGNS)}])")


def harmless(text: str) -> str:
    """With an apostrophe before whatever could begin a formula: a spreadsheet takes it as text."""
    text = _NEW_CELL.sub("'", text)
    begins = text.lstrip()[:1]
    return f"'{text}" if (begins and begins in _SIGNS) or text.startswith(("\t", "\r", "\n")) else text


def as_csv(rows: Iterable[Sequence[str]]) -> str:
    """Each row as a line, each cell harmless; in quotes, where it needs them."""
    written = io.StringIO()
    csv.writer(written).writerows([harmless(cell) for cell in row] for row in rows)
    return written.getvalue()
