"""The communications log: a page for people, or all of it as a stream."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.diagnose import NoSuchAppointment
from portal.core.reasons import Reason
from portal.core.search import parse
from portal.core.states import Direction, Kind, Status
from portal.core.timing import zone
from portal.store.communications import Entry, Filter, Found, LogLine
from portal.store.messages import MessageEvent
from portal.store.practices import Business, Practice

_STEP = 500  # rows read at once


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for. `search`: as typed. `business` and `appointment`: the export's ids; `patient_id`,
    `broadcast_id` (a message to many): the rows'. `first_day` and `last_day`: by the clocks of that business, or else
    of the practice's first."""

    search: str = ""
    status: Status | None = None
    reason: Reason | None = None
    business: str | None = None
    kind: Kind | None = None
    direction: Direction | None = None
    first_day: date | None = None
    last_day: date | None = None
    appointment: str | None = None
    patient_id: int | None = None
    broadcast_id: int | None = None


EVERYTHING = Asked()


@dataclass(frozen=True, slots=True)
class Page:
    """The newest first; `country` is the practice's. `older` is the id to go on from, None at the end.
    `has_reached_limit`: a search stopped there before its page was full."""

    country: str
    businesses: Sequence[Business]
    entries: list[LogLine]
    older: int | None
    has_reached_limit: bool = False


def browse(practice_id: str, most: int, asked: Asked = EVERYTHING, before: int | None = None) -> Page:
    """Raises NoSuchAppointment, NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        found = _find(session, practice, businesses, asked, most, before)
    return Page(practice.country, businesses, found.entries, found.older, found.has_reached_limit)


def list_all(practice_id: str, asked: Asked = EVERYTHING) -> Iterator[Page]:
    """Page by page, the newest first, in bounded memory. No transaction is open while the caller holds a page.

    Raises NoSuchAppointment, NoSuchPractice.
    """
    page = browse(practice_id, _STEP, asked)
    yield page
    while page.older is not None:
        page = browse(practice_id, _STEP, asked, page.older)
        yield page


def stream(practice_id: str, asked: Asked = EVERYTHING, *, most: int | None = None) -> Iterator[dict[str, Any]]:
    """Each message as the interface has it, the oldest first; with `most`, the newest so many.

    No transaction is open while the caller holds a message. Raises NoSuchAppointment, NoSuchPractice.
    """
    if most is None and parse(asked.search) is None:
        yield from _stream_oldest_first(practice_id, asked)
        return
    ids = array("q")  # found the newest first
    for page in list_all(practice_id, asked):
        ids.extend(entry.message.id for entry in page.entries)
        if most is not None and len(ids) >= most:
            break
    oldest_first = array("q", sorted(ids[:most]))
    for start in range(0, len(oldest_first), _STEP):
        with store.reading(practice_id) as session:
            entries = store.communications.list_by_id(session, oldest_first[start : start + _STEP])
            events = _events(session, entries)
        for entry in reversed(entries):
            yield _as_json(entry, events.get(entry.message.id, []))


def _stream_oldest_first(practice_id: str, asked: Asked) -> Iterator[dict[str, Any]]:
    after = 0
    while True:
        with store.reading(practice_id) as session:
            _, businesses = store.practices.get_with_businesses(session, practice_id)
            wanted = _filter(session, businesses, asked)
            entries = store.communications.list_after(session, wanted, _STEP, after)
            events = _events(session, entries)
        for entry in entries:
            yield _as_json(entry, events.get(entry.message.id, []))
        if len(entries) < _STEP:
            return
        after = entries[-1].message.id


def _find(
    session: Session, practice: Practice, businesses: Sequence[Business], asked: Asked, most: int, before: int | None
) -> Found:
    wanted = _filter(session, businesses, asked)
    return store.communications.list_newest(session, practice.id, wanted, most, before, parse(asked.search))


def _filter(session: Session, businesses: Sequence[Business], asked: Asked) -> Filter:
    of = [business for business in businesses if asked.business in (None, business.external_id)]
    zone_name = of[0].timezone if of else "UTC"
    appointment_id = None
    if asked.appointment is not None:
        appointment = store.appointments.find_appointment(session, asked.appointment)
        if appointment is None:
            raise NoSuchAppointment(asked.appointment)
        appointment_id = appointment.id
    business_id = None
    if asked.business is not None:
        business_id = of[0].id if of else 0  # none has that one
    return Filter(
        status=asked.status,
        reason=asked.reason,
        business_id=business_id,
        kind=asked.kind,
        direction=asked.direction,
        since=_begins(asked.first_day, zone_name) if asked.first_day else None,
        until=_begins(asked.last_day + timedelta(days=1), zone_name) if asked.last_day else None,
        appointment_id=appointment_id,
        patient_id=asked.patient_id,
        broadcast_id=asked.broadcast_id,
    )


def _begins(day: date, zone_name: str) -> datetime:
    return datetime.combine(day, time(), zone(zone_name)).astimezone(UTC)


def _events(session: Session, entries: Sequence[Entry]) -> dict[int, list[MessageEvent]]:
    return store.messages.list_events(session, [entry.message.id for entry in entries])


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
