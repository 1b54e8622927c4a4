"""The communications log: a page for people, or all of it as a stream."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.diagnose import NoSuchAppointment
from portal.core.search import Query, parse
from portal.core.states import Status
from portal.store.communications import Entry, Filter
from portal.store.messages import MessageEvent

_STEP = 500  # rows read at once
_SEARCH_STEP = 2_000
# A search looks at so many messages at once, the newest first; the reader asks for older ones.
SEARCH_REACH = 20_000


@dataclass(frozen=True, slots=True)
class Page:
    """The newest first; `country` is the practice's. `older` is the id to go on from, None at the end.
    `has_reached_limit`: a search stopped there before its page was full."""

    country: str
    entries: list[Entry]
    older: int | None
    has_reached_limit: bool = False


def browse(
    practice_id: str,
    most: int,
    *,
    before: int | None = None,
    status: Status | None = None,
    appointment: str | None = None,
    search: str = "",
) -> Page:
    """`appointment` is the export's id. Raises NoSuchAppointment."""
    query = parse(search)
    with store.reading(practice_id) as session:
        country = store.practices.get_practice(session, practice_id).country
        wanted = _filter(session, status, appointment)
        if query is None:
            entries = store.communications.list_newest(session, wanted, most + 1, before)
            more = len(entries) > most
            return Page(country, entries[:most], entries[most - 1].message.id if more else None)
        found, older, has_reached_limit = _search(session, query, wanted, most, before)
        return Page(country, store.communications.list_by_id(session, found), older, has_reached_limit)


def _search(
    session: Session, query: Query, wanted: Filter, most: int, before: int | None
) -> tuple[list[int], int | None, bool]:
    """The ids found, the newest first; where to go on; whether the search stopped there before it had so many."""
    found: list[int] = []
    for _ in range(SEARCH_REACH // _SEARCH_STEP):
        rows = store.communications.list_searchable(session, wanted, _SEARCH_STEP, before)
        for row in rows:
            before = row.id
            if query.matches(row):
                found.append(row.id)
            if len(found) == most:
                return found, before, False
        if len(rows) < _SEARCH_STEP:
            return found, None, False
    return found, before, True


def stream(
    practice_id: str, *, status: Status | None = None, appointment: str | None = None, most: int | None = None
) -> Iterator[dict[str, Any]]:
    """Each message as the interface has it, the oldest first; with `most`, the newest so many.

    No transaction is open while the caller holds a message. Raises NoSuchAppointment.
    """
    with store.reading(practice_id) as session:
        wanted = _filter(session, status, appointment)
        after = 0
        if most is not None:
            newest = store.communications.list_newest(session, wanted, most)
            after = newest[-1].message.id - 1 if newest else 0
    while True:
        with store.reading(practice_id) as session:
            entries = store.communications.list_after(session, wanted, _STEP, after)
            events = store.messages.list_events(session, [entry.message.id for entry in entries])
        for entry in entries:
            yield _as_json(entry, events.get(entry.message.id, []))
        if len(entries) < _STEP:
            return
        after = entries[-1].message.id


def _filter(session: Session, status: Status | None, appointment: str | None) -> Filter:
    if appointment is None:
        return Filter(status)
    row = store.appointments.find_appointment(session, appointment)
    if row is None:
        raise NoSuchAppointment(appointment)
    return Filter(status, row.id)


def _as_json(entry: Entry, events: list[MessageEvent]) -> dict[str, Any]:
    message = entry.message
    went = message.status is not Status.NOT_SENT  # or no text is shown that nobody got
    return {
        "id": message.id,
        "practice": message.practice_id,
        "direction": message.direction,
        "kind": message.kind,
        "appointment": entry.appointment,
        "patient": entry.patient,
        "to": message.to if went else None,
        "body": message.body if went else None,
        "segments": message.segments if went else None,
        "status": message.status,
        "reasons": list(message.reasons),
        "provider_id": message.provider_id,
        "attempts": message.attempts,
        "created_at": _iso(message.created_at),
        "revision": message.revision,
        "pass_at": _iso(message.pass_at),
        "sent_at": _iso(message.sent_at),
        "events": [{"at": _iso(event.at), "event": event.event, "detail": event.detail} for event in events],
    }


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")
