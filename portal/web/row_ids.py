"""Ids of rows as they come from outside: in an address, in a form."""

LARGEST_ID = 2**63 - 1  # that a database takes


def row_id(asked: int | None) -> int | None:
    """One that a database takes, which may be nobody's."""
    return None if asked is None else max(0, min(asked, LARGEST_ID))
