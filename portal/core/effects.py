"""What a change of an appointment does to its reminder, in words that are read before it is saved."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from portal.core.diagnosis import REACHED
from portal.core.phrases import called, clock_time, counted, moment, on
from portal.core.states import RETRIED_BY_PASS, Status
from portal.core.wording import Words

_HOUR = timedelta(hours=1)


class Act(StrEnum):
    """The change. `MOVED`: to another time or business; `CHANGED`: in anything else."""

    ADDED = "added"
    MOVED = "moved"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    TAKEN_UP = "taken-up"


@dataclass(frozen=True, slots=True)
class Text:
    """The reminder that the appointment has before the change. `at`: when it was sent, by the clocks of its business.
    `charged`: the credits that come back where it is withdrawn. `is_by_staff`: it goes as they wrote it."""

    status: Status
    at: datetime | None
    charged: int
    is_by_staff: bool


@dataclass(frozen=True, slots=True)
class Next:
    """What comes of its reminder by itself, after the change. `pass_at`: the pass that decides on it, by the clocks
    of its business; None: none will. `obstacles`: why it will not go then. `is_over`: it begins in the past."""

    pass_at: datetime | None
    obstacles: tuple[Words, ...]
    is_over: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """`must_be_told`: nothing tells the patient by itself, and somebody should. `warning`: what may be amiss with the
    change itself; it may be saved all the same."""

    says: tuple[str, ...]
    must_be_told: bool = False
    warning: str = ""

    @property
    def key(self) -> str:
        """By which a form hands over what it showed; nothing can be read from it."""
        return sha256("\\n".join((*self.says, self.warning)).encode()).hexdigest()[:16]


def has_one_then(first_name: str) -> str:
    """The patient may be booked twice by mistake."""
    return f"{called(first_name)} has an appointment at that time already."


def effect(act: Act, first_name: str, text: Text | None, coming: Next, now: datetime) -> Effect:
    """`now`: by the clocks of the business."""
    name, today = called(first_name), now.date()
    if act is Act.CANCELLED:
        return _of_cancelling(name, text, coming, today)
    if act is Act.MOVED and text is not None:
        said = _of_the_old_time(name, text, today)
        after = _of_the_next(name, coming, now, is_another=text.status in REACHED)
        return Effect((*said, *after.says), after.must_be_told)
    if text is not None and text.status not in RETRIED_BY_PASS:
        return _of_what_stays(act, name, text, coming, today)
    return _of_the_next(name, coming, now, is_another=False)


def _of_the_next(name: str, coming: Next, now: datetime, *, is_another: bool) -> Effect:
    if coming.is_over:
        return Effect(("It begins in the past, so no reminder goes.",))
    if coming.pass_at is None:
        return Effect((f"That day's reminders have gone: text {_inside(name)} now, once this is saved.",), True)
    if coming.obstacles:
        return Effect(("No reminder goes, as things stand.", *_why(coming)))
    when = moment(coming.pass_at, now.date())
    if coming.pass_at <= now:
        ends = coming.pass_at.replace(minute=0) + _HOUR
        when = f"{on(ends.date(), now.date())} before {clock_time(ends)}"
    return Effect((f"A new reminder goes {when}." if is_another else f"{name} is reminded {when}.",))


def _of_the_old_time(name: str, text: Text, today: date) -> tuple[str, ...]:
    match text.status:
        case Status.QUEUED:
            return (_withdrawn(text),)
        case Status.SENDING:
            return (f"{name} is being texted the old time this very minute.",)
        case Status.UNDELIVERED:
            return (f"{name} was texted the old time{_at(text, today)}, but it was not delivered.",)
        case Status.UNKNOWN:
            return (f"{name} may have been texted the old time: the provider gave no clear answer.",)
    return (f"{name} has been texted the old time{_at(text, today)}.",) if text.status in REACHED else ()


def _of_cancelling(name: str, text: Text | None, coming: Next, today: date) -> Effect:
    status = text.status if text else None
    if text is not None and status is Status.QUEUED:
        return Effect((_withdrawn(text), f"Nothing else tells {_inside(name)} of it."))
    if text is not None and status in REACHED | {Status.SENDING, Status.UNKNOWN}:
        said = {
            Status.SENDING: f"{name} is being reminded of it this very minute.",
            Status.UNKNOWN: f"{name} may have been reminded of it: the provider gave no clear answer.",
        }.get(text.status, f"{name} has been reminded of it{_at(text, today)}.")
        if coming.is_over:
            return Effect((said,))
        return Effect((said, f"The portal does not tell {_inside(name)} that it is cancelled: text or ring."), True)
    return Effect(("No reminder goes.", f"The portal does not tell {_inside(name)} that it is cancelled."))


def _of_what_stays(act: Act, name: str, text: Text, coming: Next, today: date) -> Effect:
    """The same reminder, which went or is on its way."""
    once = "The time and the place stay, so no other goes." if act is Act.CHANGED else "No other goes."
    match text.status:
        case Status.QUEUED if coming.obstacles:
            return Effect(("The text that waits is held back.", *_why(coming)))
        case Status.QUEUED if text.is_by_staff:
            again = "take it back and write it anew if it no longer holds"
            return Effect((f"The text that waits was sent by staff and goes as it was written: {again}.",))
        case Status.QUEUED:
            return Effect(("The text that waits says what holds when it goes.",))
        case Status.SENDING:
            return Effect((f"{name} is being reminded of it this very minute.", once))
        case Status.UNKNOWN:
            return Effect((f"{name} may have been reminded of it: the provider gave no clear answer.", once))
        case Status.UNDELIVERED:
            return Effect((f"{name} was reminded of it{_at(text, today)}, but the text was not delivered.", once))
        case Status.EXPIRED:
            return Effect((f"Its reminder was not sent in time, and no other goes: text {_inside(name)}.",), True)
    return Effect((f"{name} has been reminded of it{_at(text, today)}.", once))


def _why(coming: Next) -> list[str]:
    return [f"{one.heading}. {one.says}" for one in coming.obstacles]


def _withdrawn(text: Text) -> str:
    back = f", and {counted(text.charged, 'credit')} {'comes' if text.charged == 1 else 'come'} back"
    return f"The text that waits is withdrawn{back if text.charged else ''}."


def _at(text: Text, today: date) -> str:
    return f", {moment(text.at, today)}" if text.at else ""


def _inside(name: str) -> str:
    """Within a sentence."""
    return "the patient" if name == called("") else name
