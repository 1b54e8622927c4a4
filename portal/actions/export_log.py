"""The communications log as a spreadsheet reads it."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from portal.actions.browse_log import Asked, list_all
from portal.core.csv_cells import as_csv
from portal.core.log_words import DIRECTIONS, KINDS
from portal.core.timing import local
from portal.core.wording import OUTCOMES, reasons_in_short
from portal.store.communications import LogLine

COLUMNS = (
    "Message",
    "When",
    "Time zone",
    "Direction",
    "Kind",
    "Patient",
    "Patient's id",
    "Business",
    "Appointment",
    "Appointment's id",
    "To",
    "Outcome",
    "Why",
    "Text",
    "Parts",
    "Provider's id",
)


def export_log(practice_id: str, asked: Asked) -> Iterator[str]:
    """Lines of CSV, some hundred messages at a time, the newest first: memory does not grow with the log.

    Raises NoSuchPractice.
    """
    yield as_csv([COLUMNS])
    for page in list_all(practice_id, asked):
        yield as_csv(_row(entry) for entry in page.entries)


def _row(entry: LogLine) -> Sequence[str]:
    message = entry.message
    visit = None if entry.is_of_former_time else entry.starts_wall
    return (
        str(message.id),
        _minute(local(entry.at, entry.timezone) if entry.timezone else entry.at),
        entry.timezone or "UTC",
        DIRECTIONS[message.direction],
        KINDS[message.kind],
        entry.full_name,
        entry.patient or "",
        entry.business or "",
        _minute(visit) if visit else "",
        entry.appointment or "",
        message.to or "",
        OUTCOMES[message.status].word,
        reasons_in_short(message.reasons),
        message.body or "",
        str(message.segments or ""),
        message.provider_id or "",
    )


def _minute(wall: datetime) -> str:
    return f"{wall:%Y-%m-%d %H:%M}"
