"""What staff changed of an appointment, as the record of changes keeps it and as it is told."""

from portal.core.moves import Slot
from portal.core.phrases import day_and_time, plain
from portal.core.timing import instants

ADDED, TIME, BUSINESS, PRACTITIONER, TYPE = "added", "time", "business", "practitioner", "type"
STANDING = "standing"  # whether it is cancelled
STANDS, IS_CANCELLED = "stands", "cancelled"


def time_in_words(slot: Slot) -> str:
    """Thursday 8 May 2031, 9:30am; of two times that look alike with which it is."""
    alike = instants(slot.wall, slot.timezone)
    which = "" if len(alike) < 2 else f" ({'first' if slot.at == alike[0] else 'second'} of two)"
    return f"{day_and_time(slot.wall, None)}{which}"


def change_in_words(field: str, before: str, after: str) -> str:
    """`Moved from Thursday 8 May 2031, 9:30am to Friday 9 May 2031, 9:30am`"""
    before, after = plain(before, 100) or "nothing", plain(after, 100) or "nothing"
    if field == ADDED:
        return f"Added for {after}"
    if field == STANDING:
        return "Cancelled" if after == IS_CANCELLED else "Un-cancelled"
    if field in (TIME, BUSINESS):
        return f"Moved from {before} to {after}"
    return f"{field[:1].upper()}{field[1:]} changed from {before} to {after}"
