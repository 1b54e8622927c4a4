"""Under which of the export's ids each number of a patient came: one who was merged from several has several."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from portal import store
from portal.store.patients import PhoneRow

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Source:
    """`stored`: the patient's numbers that came under this id, in their order. `first_place`: of these."""

    patient_id: int
    external_id: str
    first_place: int
    stored: Rows


def list_sources(session: Session, patients: Sequence[tuple[int, str]], stored: Mapping[int, Rows]) -> list[Source]:
    """`patients`: (row id, the export's id); `stored`: each one's numbers."""
    merged: dict[int, list[tuple[str, int]]] = {}
    for one in store.merges.list_aliases(session, [id_ for id_, _ in patients]):
        merged.setdefault(one.kept_id, []).append((one.external_id, one.first_place))
    sources = []
    for id_, external_id in patients:
        theirs = stored.get(id_, ())
        own = [(external_id, 0), *merged.get(id_, ())]
        places = [place for _, place in own]
        for name, place in own:
            rows = theirs if len(own) == 1 else [row for row in theirs if _first_place(row, places) == place]
            sources.append(Source(id_, name, place, rows))
    return sources


def list_exported_numbers(session: Session, external_ids: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """(type, number) of what came under each of these ids as the last import had it, in its order."""
    patients = store.merges.list_meant(session, external_ids)
    stored = store.patients.list_imported_numbers(session, PhoneRow.patient_id.in_([id_ for id_, _ in patients]))
    return {
        one.external_id: [
            (str(_exported(row, "type")), str(_exported(row, "number")))
            for row in sorted(one.stored, key=lambda row: int(_exported(row, "position")))
        ]
        for one in list_sources(session, patients, stored)
    }


def _first_place(row: Mapping[str, Any], places: Sequence[int]) -> int:
    """Staff may have moved it: the export's place tells."""
    return max((place for place in places if place <= _exported(row, "position")), default=0)


def _exported(row: Mapping[str, Any], field: str) -> Any:
    """As the export last had it."""
    return (row["staff_changed"] or {}).get(field, row[field])
