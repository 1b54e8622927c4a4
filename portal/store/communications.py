"""Reading the communications log: page by page, the newest first, or all of it in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from portal.core.states import Status
from portal.store.appointments import Appointment
from portal.store.messages import Message
from portal.store.patients import Patient


@dataclass(frozen=True, slots=True)
class Entry:
    """A message with whose it is. The two ids are the export's."""

    message: Message
    appointment_external_id: str | None
    patient_external_id: str | None
    first_name: str
    last_name: str
    timezone: str | None  # of the appointment
    starts_wall: Any

    @property
    def patient(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)
