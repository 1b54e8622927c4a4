"""A text that staff write: what stands in its way, what it costs, and its place in the queue."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from portal.actions.who import Who
from portal.core.phrases import counted
from portal.core.reasons import Reason
from portal.core.roles import Permission
from portal.core.wording import Words

MOST_PARTS = 10


@dataclass(frozen=True, slots=True)
class Writer:
    """Who sends a text, and what they may. `practitioner_id`: whose own patients they may text, where that is all."""

    who: Who
    permissions: Collection[Permission]
    practitioner_id: int | None = None


class MayNotSend(Exception):
    """Not this person, not to this patient. The text says who may."""

    def __init__(self) -> None:
        super().__init__("You may text the patients of your own appointments. Reception may text every patient.")


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a text cannot go, in words. `reason`: None where it is for what became of the message or appointment."""

    words: Words
    reason: Reason | None = None


class CannotGo(ValueError):
    """Nothing was recorded. The text says why in short, `explained` says more and where to mend it."""

    def __init__(self, explained: tuple[Obstacle, ...]) -> None:
        super().__init__("; ".join(obstacle.words.heading for obstacle in explained))
        self.explained = explained


class TextProblem(ValueError):
    """The text itself is to be changed. The message says how."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a text costs: `parts` are its credits. `units` are septets or UTF-16 units; so many as `left_in_part`
    still fit without another part. `dearest`: the first character that makes it UCS-2. `credits`: the balance."""

    parts: int
    encoding: str  # GSM-7 or UCS-2
    units: int
    dearest: str | None
    credits: int
    left_in_part: int

    @property
    def costs(self) -> str:
        return counted(self.parts, "credit")


@dataclass(frozen=True, slots=True)
class Visit:
    """The appointment whose details fill the placeholders."""

    appointment_id: int
    starts_local: datetime
    timezone: str
    business: str
    appointment_type: str


@dataclass(frozen=True, slots=True)
class Composer:
    """A text about to be sent. `to`: the number that would be texted, E.164; None where there is none. `template_id`:
    the one that filled the text. `stands_in_the_way`: as it is now. `warning`: what to think of first, or empty.
    `is_reminder`: it becomes the reminder of `visit`."""

    patient_id: int
    patient: str  # the full name
    first_name: str
    to: str | None
    country: str
    sender: str
    text: str
    templates: tuple[tuple[int, str], ...]  # (id, name) of those that can be used
    template_id: int | None
    visit: Visit | None
    weighed: Weighed
    stands_in_the_way: tuple[Obstacle, ...]
    warning: str
    form_key: str
    is_reminder: bool


def may_text(practice_id: str, patient_id: int, writer: Writer) -> bool:
    """Whether this person may text this patient at all."""
    raise NotImplementedError


def weigh(practice_id: str, text: str) -> Weighed:
    """As it would be sent. Any text can be weighed, also one that is too long. Raises NoSuchPractice."""
    raise NotImplementedError


def open_composer(
    practice_id: str,
    patient_id: int,
    writer: Writer,
    now: datetime,
    *,
    template_id: int | None = None,
    message_id: int | None = None,
    appointment_id: int | None = None,
    text: str | None = None,
) -> Composer:
    """`template_id`: filled anew. `message_id`: the same text once more. `appointment_id`: its reminder, now.
    `text`: what was typed already; it goes before the others.

    Raises MayNotSend, NoSuchPatient, NoSuchMessage, NoSuchAppointment.
    """
    raise NotImplementedError


def send_text(
    practice_id: str,
    patient_id: int,
    text: str,
    form_key: str,
    writer: Writer,
    now: datetime,
    *,
    appointment_id: int | None = None,
) -> int:
    """Queue it and take its credits; returns the message's id, which the caller enqueues. A form sent twice writes
    once and returns the same id.

    `appointment_id`: as that appointment's reminder, in its row. Raises MayNotSend, CannotGo, TextProblem,
    NoSuchPatient, NoSuchAppointment.
    """
    raise NotImplementedError
