"""Appointments of an export: their times are local to their business, and a move is seen by the wall clock."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.actions.importing.fields import Json
from portal.actions.importing.merge import UNCHANGED, Change, merge
from portal.actions.importing.scratch import AT_ONCE, Scratch
from portal.actions.importing.tables import APPOINTMENTS, BUSINESSES
from portal.actions.stop import withdraw
from portal.core.moves import Slot, is_move, revised
from portal.core.timing import local, parse_time, resolve_near
from portal.store.appointments import Appointment
from portal.store.imported import as_json, from_json, is_made_here, list_imported, update_rows
from portal.store.practices import Business

TIME_COLUMNS = ("starts_at", "ends_at", "booked_at", "cancelled_at")
_WALLS = ("starts_wall", "ends_wall")
_PAIR = "walls"  # both of them, merged as one value
_OTHERS = tuple(field for field in Appointment.IMPORTED_FIELDS if field not in _WALLS)
_COMPARED = (*Appointment.IMPORTED_FIELDS, "timezone", "starts_at", "ends_at")
STORED = (*_COMPARED, "starts_on", "revision", "moved_at")  # all that an import writes


def find_zones(session: Session, scratch: Scratch, businesses: Collection[str]) -> dict[str, str]:
    """The time zone that each business will have after this import, by the export's id."""
    exported = scratch.find_rows(BUSINESSES.file, businesses)
    stored = list_imported(session, Business, ["timezone"], businesses)
    zones = {id_: values["timezone"] for id_, values in exported.items()}
    for id_, row in stored.items():
        new = {"timezone": zones.get(id_, row["timezone"])}
        zones[id_] = merge(row, row["staff_changed"], new).values.get("timezone", row["timezone"])
    return zones


def read_times(texts: Mapping[str, str], zone: str) -> tuple[dict[str, Json], dict[str, str]]:
    """From the columns of TIME_COLUMNS the fields that they fill, and what is wrong by column."""
    instants: dict[str, datetime | None] = {}
    faults: dict[str, str] = {}
    for column in TIME_COLUMNS:
        text = texts[column].strip()
        try:
            instants[column] = None if column == "cancelled_at" and not text else parse_time(text, zone)
        except ValueError as error:
            faults[column] = str(error)
    starts_at, ends_at = instants.get("starts_at"), instants.get("ends_at")
    if starts_at and ends_at and ends_at < starts_at:
        faults["ends_at"] = "it ends before it starts."
    if faults or not starts_at or not ends_at:
        return {}, faults
    return {
        "starts_wall": _wall(starts_at, zone).isoformat(),
        "ends_wall": _wall(ends_at, zone).isoformat(),
        "starts_at": starts_at.isoformat(),
        "ends_at": ends_at.isoformat(),
        "booked_at": as_json(instants["booked_at"]),
        "cancelled_at": as_json(instants["cancelled_at"]),
        "timezone": zone,
        "has_offset": not _is_local(texts["starts_at"]),
    }, {}


def _wall(instant: datetime, zone: str) -> datetime:
    return local(instant, zone).replace(tzinfo=None)


def _is_local(text: str) -> bool:
    return datetime.fromisoformat(text.strip()).tzinfo is None


def new_appointment(exported: Mapping[str, Any]) -> dict[str, Any]:
    values = {field: value for field, value in exported.items() if field != "has_offset"}
    row = from_json(Appointment, values)
    return row | {"starts_on": row["starts_wall"].date(), "revision": 0}


def merge_appointment(row: Mapping[str, Any], exported: Mapping[str, Any], now: datetime) -> Change:
    """Merge the export's row into the stored one; both refer to others by row ids.

    A start at another wall time, or another business, is a move. The same wall time read by new rules of its
    zone, or the same instant written with another offset, is none.
    """
    before = row["staff_changed"] or {}
    current = {field: as_json(row[field]) for field in _COMPARED}
    if not before and all(exported[field] == value for field, value in current.items()):
        return UNCHANGED
    mine, staff = _with_pair(current, current), _with_pair(before, current)
    if (
        exported["has_offset"]
        and exported["timezone"] != row["timezone"]
        and exported["business_id"] == current["business_id"]
        and "business_id" not in before
    ):
        # The business was given another time zone. A time with its offset is the same instant as before, which
        # the new zone's clocks show differently; a local time is the same on the clock, so it is left as it is.
        side = staff if _PAIR in staff else mine
        side[_PAIR] = _seen_in(exported["timezone"], side[_PAIR], row)
    merged = merge(mine, staff, _with_pair(exported, current))
    final = mine | merged.values
    columns = _columns(row, exported, final)
    was_moved = is_move(
        Slot(current["business_id"], datetime.fromisoformat(mine[_PAIR][0]), row["starts_at"], row["timezone"]),
        Slot(columns["business_id"], columns["starts_wall"], columns["starts_at"], columns["timezone"]),
    )
    is_cancelled = "cancelled_at" in merged.values and columns["cancelled_at"] is not None
    is_staffs_as_before = (merged.staff_changed or {}) == _with_pair(before, current)
    columns |= {
        "staff_changed": (before if is_staffs_as_before else _without_pair(merged.staff_changed or {})) or None,
    }
    columns |= revised(row, now, is_moved=was_moved)
    conflicts = [name for field in merged.conflicts for name in (TIME_COLUMNS[:2] if field == _PAIR else (field,))]
    return Change(
        columns if any(row[name] != value for name, value in columns.items()) else None,
        tuple(conflicts),
        is_applied=bool(merged.values) or was_moved or row["timezone"] != columns["timezone"],
        # Also where the other clock is ahead of ours: a pass before that time takes it up again.
        withdraws=was_moved or is_cancelled,
    )


def _with_pair(values: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """These fields with start and end as one: staff's start with the export's end might end before it starts."""
    fields = {field: values[field] for field in _OTHERS if field in values}
    if any(field in values for field in _WALLS):
        fields[_PAIR] = tuple(values.get(field, current[field]) for field in _WALLS)
    return fields


def _without_pair(fields: Mapping[str, Any]) -> dict[str, Any]:
    single = {field: value for field, value in fields.items() if field != _PAIR}
    return single | dict(zip(_WALLS, fields.get(_PAIR, ()), strict=False))


def _seen_in(zone: str, walls: tuple[str, str], row: Mapping[str, Any]) -> tuple[str, ...]:
    """The instants of these wall times, as the clocks of another zone show them."""
    instants = [
        resolve_near(datetime.fromisoformat(wall), row["timezone"], near)
        for wall, near in zip(walls, (row["starts_at"], row["ends_at"]), strict=True)
    ]
    return tuple(_wall(instant, zone).isoformat() for instant in instants)


def _columns(row: Mapping[str, Any], exported: Mapping[str, Any], final: Mapping[str, Any]) -> dict[str, Any]:
    """The merged fields, with the zone, local date and instants that belong to them."""
    is_there = final["business_id"] == exported["business_id"]
    zone = exported["timezone"] if is_there else row["timezone"]
    columns = from_json(Appointment, _without_pair(final)) | {"timezone": zone}
    starts, ends = (columns[field] for field in _WALLS)
    if is_there and final[_PAIR] == (exported["starts_wall"], exported["ends_wall"]):
        columns |= from_json(Appointment, {field: exported[field] for field in ("starts_at", "ends_at")})
    elif zone == row["timezone"] and (starts, ends) == (row["starts_wall"], row["ends_wall"]):
        columns |= {"starts_at": row["starts_at"], "ends_at": row["ends_at"]}
    else:
        columns["starts_at"] = resolve_near(starts, zone, row["starts_at"])
        columns["ends_at"] = resolve_near(ends, zone, row["ends_at"])
    return columns | {"starts_on": starts.date()}


def find_missing(session: Session, scratch: Scratch, now: datetime) -> Iterator[dict[int, str]]:
    """Future appointments that the export no longer holds: some at a time, the export's id by row id.

    Without those that staff added, or of which they decided whether they are cancelled.
    """
    after = 0
    while rows := store.appointments.list_future(session, now, after, AT_ONCE):
        after = rows[-1][0]
        there = scratch.find_seen(APPOINTMENTS.file, [external_id for _, external_id, _ in rows])
        yield {
            id_: external_id
            for id_, external_id, is_staffs in rows
            if external_id not in there and not is_staffs and not is_made_here(external_id)
        }


def cancel_missing(session: Session, practice_id: str, ids: Collection[int], now: datetime) -> None:
    """Cancel them now, so that no reminder goes."""
    update_rows(session, Appointment, practice_id, [{"id": id_, "cancelled_at": now} for id_ in ids])
    withdraw(session, practice_id, ids, now)


def follow_zones(session: Session, practice_id: str, business_ids: Collection[int]) -> None:
    """Appointments of businesses that were given another time zone (these), and that this export does not hold: they
    keep their wall time, as it stood in everybody's diary."""
    while rows := store.appointments.list_in_another_zone(session, business_ids, AT_ONCE):
        update_rows(
            session,
            Appointment,
            practice_id,
            [
                {
                    "id": row.id,
                    "timezone": zone,
                    "starts_at": resolve_near(row.starts_wall, zone, row.starts_at),
                    "ends_at": resolve_near(row.ends_wall, zone, row.ends_at),
                }
                for row, zone in rows
            ],
        )
