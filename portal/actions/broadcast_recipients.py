"""Who gets a message to many and who does not: decided in sets, however many they are."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.recipient import Obstacle
from portal.core.broadcasts import NotThen, Purpose, Whom, fill, known_placeholders, read_time
from portal.core.numbers import PhoneNumber
from portal.core.phrases import full_name
from portal.core.reasons import Reason
from portal.core.reminders import Decision, decide
from portal.core.text import Template
from portal.core.typed_text import read_text
from portal.core.wording import Context, words
from portal.store.broadcast_people import Addressee
from portal.store.practices import Business, Practice

NOBODY = "Nobody is found so. Choose another day, or fewer conditions."


@dataclass(frozen=True, slots=True)
class Draft:
    """What the form holds. `at`: when it is to go, as typed; empty for as soon as possible."""

    whom: Whom
    text: str
    purpose: Purpose | None
    at: str


class DraftProblem(ValueError):
    """`field`: the form's field that is to be mended. The text says how."""

    def __init__(self, field: str, says: str) -> None:
        super().__init__(says)
        self.field = field


@dataclass(frozen=True, slots=True)
class Place:
    """Where the patients are seen: the practice with its businesses, by id, of which there is one at least."""

    practice: Practice
    businesses: Sequence[Business]

    def of(self, whom: Whom) -> Business:
        """The one that is asked for, or else the first: its clocks count."""
        return next((one for one in self.businesses if one.id == whom.business_id), self.businesses[0])

    def named(self, whom: Whom) -> Business | None:
        """What a text may call theirs; None where it may be one of several."""
        return self.of(whom) if whom.business_id is not None or len(self.businesses) == 1 else None


def place_of(practice: Practice, businesses: Sequence[Business]) -> Place:
    """Raises DraftProblem where there is no business yet."""
    if not businesses:
        raise DraftProblem("whom", "There is no business yet: it comes with the practice's export.")
    return Place(practice, businesses)


@dataclass(frozen=True, slots=True)
class Read:
    """A draft that can be sent. `at`: None for as soon as possible."""

    template: Template
    purpose: Purpose
    at: datetime | None


def read_draft(place: Place, draft: Draft, now: datetime) -> Read:
    """Raises DraftProblem."""
    known = known_placeholders(draft.whom, has_business=place.named(draft.whom) is not None)
    template, problem = read_text(draft.text, known)
    if template is None:
        raise DraftProblem("text", problem)
    if draft.purpose is None:
        raise DraftProblem("purpose", "Say whether it is about care, or marketing.")
    try:
        at = read_time(draft.at, place.of(draft.whom).timezone, now)
    except NotThen as refused:
        raise DraftProblem("at", str(refused)) from None
    return Read(template, draft.purpose, at)


def list_addressees(
    session: Session, place: Place, whom: Whom, now: datetime, after: int = 0, most: int | None = None
) -> list[Addressee]:
    """In the order in which credits go. `after`, `most`: of patients, those with a higher row id, the first so many;
    those of a day are few."""
    if whom.day is not None:
        return store.broadcast_people.list_of_day(session, place.practice, whom, now)
    return store.broadcast_people.list_patients(
        session, place.practice, whom, now, place.of(whom), place.named(whom), after, most
    )


@dataclass(frozen=True, slots=True)
class Decided:
    """`is_shared`: the same text, to the letter, goes to the same number for somebody else of the family."""

    addressee: Addressee
    decision: Decision
    is_shared: bool

    @property
    def is_reached(self) -> bool:
        return self.is_shared or not self.decision.reasons


def decide_all(
    template: Template,
    purpose: Purpose,
    addressees: Iterable[Addressee],
    credits: int,
    gone: Iterable[tuple[str, str]] = (),
) -> Iterator[Decided]:
    """One that does not fit into the credits fails, and the next that fits still goes. `gone`: (number, text) of
    those that go already."""
    texts = set(gone)
    for one in addressees:
        facts = replace(one.facts, is_marketing=True) if purpose is Purpose.MARKETING else one.facts
        decision = decide(facts, credits, fill(template, facts.details))
        same = (decision.to or "", decision.text or "")
        is_shared = same in texts
        if not is_shared and not decision.reasons:
            credits -= decision.parts or 0
            texts.add(same)
        yield Decided(one, decision, is_shared)


@dataclass(frozen=True, slots=True)
class Named:
    id: int
    first_name: str
    last_name: str


@dataclass(frozen=True, slots=True)
class Unreached:
    """A patient who is not reached, and every reason why, in words."""

    patient_id: int
    name: str
    told: tuple[Obstacle, ...]


def tell(
    place: Place,
    patient: Named,
    numbers: Sequence[PhoneNumber],
    reasons: Sequence[Reason],
    today: date,
    needed: int | None = None,
) -> Unreached:
    """`needed`: the credits that the text costs."""
    practice = place.practice
    context = Context(
        today=today,
        first_name=patient.first_name,
        patient_id=str(patient.id),
        sending=practice.sending,
        sender=practice.sender,
        numbers=numbers,
        country=practice.country,
        countries=practice.countries,
        credits_left=practice.credits,
        credits_needed=needed,
    )
    name = full_name(patient.first_name, patient.last_name)
    return Unreached(patient.id, name, tuple(Obstacle(words(reason, context), reason) for reason in reasons))
