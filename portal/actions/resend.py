"""Staff send a message again, in its own row, where nobody can get it twice by that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from portal.actions.write import Writer
from portal.store.messages import Message


class Changed(ValueError):
    """It stands otherwise than the page showed it."""

    def __init__(self) -> None:
        super().__init__("It has changed since you opened the page. Look again.")


class Resendable(Protocol):
    """A row of the log (`store.communications.Entry`) or of the worklist (`store.worklist.Row`)."""

    @property
    def message(self) -> Message: ...
    @property
    def first_name(self) -> str | None: ...
    @property
    def starts_at(self) -> datetime | None: ...  # of its appointment
    @property
    def timezone(self) -> str | None: ...
    @property
    def is_cancelled(self) -> bool: ...
    @property
    def is_of_former_time(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Again:
    """`how`: `same-row` by `send_again`; `composer`: by `open_composer` with this message's id, or where there is an
    `appointment_id` with that. `says`: why not, or what to think of first; may be empty. `state`: how the message
    stands, which the form hands over."""

    how: Literal["same-row", "composer", "no"]
    says: str
    needs_confirmation: bool
    state: str
    appointment_id: int | None = None

    @property
    def is_safe(self) -> bool:
        """One click may do it, for many at once."""
        return self.how == "same-row" and not self.needs_confirmation


def may_send_again(one: Resendable, now: datetime) -> Again:
    """By what became of it; whether a reason stands in the way now is asked when it is sent."""
    raise NotImplementedError


def send_again(practice_id: str, message_id: int, state: str, confirmed: bool, writer: Writer, now: datetime) -> int:
    """Queue it in its row and take the credits; returns its id, which the caller enqueues. A text by staff goes as it
    stands, a reminder as its template is now.

    `confirmed`: that the patient may have got it already. Raises MayNotSend, CannotGo, Changed, NoSuchMessage.
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Resent:
    """`message_ids`: queued, to be enqueued. `left`: (patient's name, why not) of the others."""

    message_ids: tuple[int, ...]
    left: tuple[tuple[str, str], ...]


def send_all_again(practice_id: str, messages: Sequence[tuple[int, str]], writer: Writer, now: datetime) -> Resent:
    """Those of the (message id, state) that are safe, by their appointments' starts, as far as the credits go. Raises
    MayNotSend where the person may send none at all."""
    raise NotImplementedError
