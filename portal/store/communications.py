"""Reading the communications log in steps of a few rows by their ids, whatever the table's size."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from portal.core.search import Searchable
from portal.core.states import Status
from portal.store.appointments import Appointment
from portal.store.messages import Message
from portal.store.patients import Patient
from portal.store.practices import Business

_Rows: TypeAlias = Select[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A message, and whom it is about. The two ids are the export's; what it is not about is None."""

    message: Message
    appointment: str | None
    appointment_revision: int | None
    starts_wall: datetime | None  # as it is now
    patient: str | None
    first_name: str | None
    last_name: str | None
    business: str | None
    timezone: str | None

    @property
    def is_of_former_time(self) -> bool:
        """The appointment was moved since."""
        return self.message.revision != self.appointment_revision

    @property
    def full_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages: of one outcome, of one appointment (by its row's id)."""

    status: Status | None = None
    appointment_id: int | None = None


_ENTRY: _Rows = (
    select(
        Message,
        Appointment.external_id,
        Appointment.revision,
        Appointment.starts_wall,
        Patient.external_id,
        Patient.first_name,
        Patient.last_name,
        Business.name,
        Business.timezone,
    )
    .select_from(Message)
    .join(Appointment, Appointment.id == Message.appointment_id, isouter=True)
    .join(Patient, Patient.id == Message.patient_id, isouter=True)
    .join(Business, Business.id == Message.business_id, isouter=True)
)


def list_newest(session: Session, wanted: Filter, most: int, before: int | None = None) -> list[Entry]:
    """The newest first, of those with an id below `before`."""
    statement = _narrowed(_ENTRY, wanted).order_by(Message.id.desc()).limit(most)
    return _entries(session, statement if before is None else statement.where(Message.id < before))


def list_after(session: Session, wanted: Filter, most: int, after: int) -> list[Entry]:
    """The oldest first, of those with an id above `after`."""
    statement = _narrowed(_ENTRY, wanted).where(Message.id > after).order_by(Message.id).limit(most)
    return _entries(session, statement)


def list_by_id(session: Session, message_ids: Collection[int]) -> list[Entry]:
    """The newest first."""
    return _entries(session, _ENTRY.where(Message.id.in_(message_ids)).order_by(Message.id.desc()))


def find_entry(session: Session, message_id: int) -> Entry | None:
    return next(iter(list_by_id(session, [message_id])), None)


def list_searchable(session: Session, wanted: Filter, most: int, before: int | None) -> Sequence[Searchable]:
    """What a search looks at, the newest first."""
    statement: _Rows = (
        select(Message.id, Message.to, Message.body, Patient.first_name, Patient.last_name)
        .select_from(Message)
        .join(Patient, Patient.id == Message.patient_id, isouter=True)
        .order_by(Message.id.desc())
        .limit(most)
    )
    if before is not None:
        statement = statement.where(Message.id < before)
    return [
        Searchable(id_, to or "", body or "", f"{first or ''} {last or ''}")
        for id_, to, body, first, last in session.execute(_narrowed(statement, wanted))
    ]


def _narrowed(statement: _Rows, wanted: Filter) -> _Rows:
    if wanted.status is not None:
        statement = statement.where(Message.status == wanted.status)
    if wanted.appointment_id is not None:
        statement = statement.where(Message.appointment_id == wanted.appointment_id)
    return statement


def _entries(session: Session, statement: _Rows) -> list[Entry]:
    return [Entry(*row) for row in session.execute(statement)]
