"""A message to many before it is sent: whom it is for, how it reads, who is reached, what it costs, when it goes."""

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.broadcast_recipients import (
    NOBODY,
    Decided,
    Draft,
    DraftProblem,
    Named,
    Place,
    Unreached,
    decide_all,
    list_addressees,
    place_of,
    read_draft,
    tell,
)
from portal.actions.write import Weighed, weigh_text
from portal.core.broadcasts import fill, goes_at, known_placeholders, whom_in_words
from portal.core.phrases import time_and_day
from portal.core.reasons import Reason
from portal.core.timing import local, texting_at
from portal.core.typed_text import read_text, tidy
from portal.core.wording import Words, reason_in_short
from portal.store.facts import usable_template
from portal.store.practices import AppointmentType, Business, Practitioner

MOST_NAMED = 50  # of whom one reason holds
# Of everybody alike: said once, not of each.
_OF_THE_PRACTICE = frozenset({Reason.SENDING_OFF, Reason.NO_CREDITS})


@dataclass(frozen=True, slots=True)
class Choices:
    """Of whom can be written to. `today`: where the first business is."""

    today: date
    businesses: Sequence[Business]
    practitioners: Sequence[Practitioner]
    types: Sequence[AppointmentType]


def list_choices(practice_id: str, now: datetime) -> Choices:
    """Raises NoSuchPractice."""
    with store.reading(practice_id) as session:
        businesses = store.practices.list_businesses(session)
        zone = businesses[0].timezone if businesses else "UTC"
        return Choices(
            local(now, zone).date(),
            businesses,
            store.practices.list_practitioners(session),
            store.practices.list_types(session),
        )


@dataclass(frozen=True, slots=True)
class Writing:
    """The form to write in. `patients`: how many they are. `templates`: (id, name) of those that can be used.
    `placeholders`: what can be filled in for each. `example`: the text as one of them would read it."""

    whom: str
    patients: int
    text: str
    templates: tuple[tuple[int, str], ...]
    placeholders: tuple[str, ...]
    texts_from: int
    texts_until: int
    example: str
    weighed: Weighed


def open_writing(practice_id: str, draft: Draft, now: datetime, template_id: int | None = None) -> Writing:
    """`template_id`: whose text takes the place of the draft's. Raises DraftProblem of `whom`: there is nobody;
    NoSuchPractice."""
    with store.reading(practice_id) as session:
        place = _place(session, practice_id)
        patients = store.broadcast_people.count(session, draft.whom, now)
        if not patients:
            raise DraftProblem("whom", NOBODY)
        known = known_placeholders(draft.whom, has_business=place.named(draft.whom) is not None)
        templates = [
            row
            for row in store.practices.list_templates(session)
            if (template := usable_template(row.body, row.problem)) and template.placeholders <= set(known)
        ]
        text = next((row.body for row in templates if row.id == template_id), draft.text)
        example = _example(session, place, replace(draft, text=text), now, known)
        return Writing(
            whom=_whom(session, place, draft, now),
            patients=patients,
            text=text,
            templates=tuple((row.id, row.name) for row in templates),
            placeholders=known,
            texts_from=place.practice.texts_from,
            texts_until=place.practice.texts_until,
            example=example,
            weighed=weigh_text(example, place.practice.credits),
        )


def weigh_example(practice_id: str, draft: Draft, now: datetime) -> tuple[str, Weighed]:
    """The text as one of the patients would read it, and what that one costs. Any text can be weighed. Raises
    NoSuchPractice, DraftProblem of `whom`."""
    with store.reading(practice_id) as session:
        place = _place(session, practice_id)
        known = known_placeholders(draft.whom, has_business=place.named(draft.whom) is not None)
        example = _example(session, place, draft, now, known)
        return example, weigh_text(example, place.practice.credits)


def _example(session: Session, place: Place, draft: Draft, now: datetime, known: Sequence[str]) -> str:
    template, _ = read_text(draft.text, known)
    if template is None or not template.placeholders:
        return tidy(draft.text)
    details = store.broadcast_people.find_details(session, place.practice, draft.whom, now, place.named(draft.whom))
    return fill(template, details) if details else tidy(draft.text)


def _place(session: Session, practice_id: str) -> Place:
    return place_of(*store.practices.get_with_businesses(session, practice_id))


def _whom(session: Session, place: Place, draft: Draft, now: datetime) -> str:
    whom = draft.whom
    practitioner, appointment_type = store.practices.find_names(
        session, place.practice.id, whom.practitioner_id, whom.appointment_type_id
    )
    of = place.of(whom)
    business = of.name if whom.business_id is not None else ""
    return whom_in_words(whom, local(now, of.timezone).date(), business, practitioner, appointment_type)


# --- the check before it is sent ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """Those who are left out for the same reason, first of all. `says`: of everybody alike, or None. `people`: the
    first so many."""

    reason: Reason
    heading: str
    count: int
    says: Words | None
    people: tuple[Unreached, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """`reached`: patients; `texts`: as many, but for the families at one number; `cost`: their credits of the
    `balance`. `goes`: 10:42am today; `is_put_off`: it is not so soon as it was asked for; `later`: so many texts go
    later, by the clocks of where the patients are seen. `example`: the first."""

    whom: str
    example: str
    reached: int
    texts: int
    cost: int
    balance: int
    goes: str
    is_put_off: bool
    later: int
    left_out: tuple[Group, ...]
    form_key: str

    @property
    def not_reached(self) -> int:
        return sum(group.count for group in self.left_out)


def check(practice_id: str, draft: Draft, now: datetime) -> Checked:
    """As things stand now; nothing is recorded. Raises DraftProblem, NoSuchPractice."""
    with store.reading(practice_id) as session:
        place = _place(session, practice_id)
        read = read_draft(place, draft, now)
        practice, whom = place.practice, draft.whom
        decided = list(
            decide_all(read.template, read.purpose, list_addressees(session, place, whom, now), practice.credits)
        )
        if not decided:
            raise DraftProblem("whom", NOBODY)
        in_words = _whom(session, place, draft, now)
    zone = place.of(whom).timezone
    hours = practice.texts_from, practice.texts_until
    goes = local(goes_at(read.at, zone, *hours, now), zone)
    going = [one for one in decided if one.is_reached and not one.is_shared]
    return Checked(
        whom=in_words,
        example=(going[0].decision.text if going else None) or tidy(draft.text),
        reached=sum(one.is_reached for one in decided),
        texts=len(going),
        cost=sum(one.decision.parts or 0 for one in going),
        balance=practice.credits,
        goes=time_and_day(goes, local(now, zone).date()),
        is_put_off=goes > goes_at(read.at, zone, 0, 24, now),
        later=sum(texting_at(goes, one.addressee.timezone, *hours) > goes for one in going),
        left_out=_groups(place, [one for one in decided if not one.is_reached], now),
        form_key=secrets.token_urlsafe(16),
    )


def _groups(place: Place, left_out: Sequence[Decided], now: datetime) -> tuple[Group, ...]:
    counts = Counter(one.decision.reasons[0] for one in left_out)
    people: dict[Reason, list[Unreached]] = {reason: [] for reason in counts}
    for one in left_out:
        named = people[one.decision.reasons[0]]
        if len(named) < MOST_NAMED:
            named.append(_tell(place, one, now))
    return tuple(
        Group(
            reason,
            reason_in_short(reason),
            count,
            people[reason][0].told[0].words if reason in _OF_THE_PRACTICE else None,
            tuple(people[reason]),
        )
        for reason, count in sorted(counts.items(), key=lambda item: list(Reason).index(item[0]))
    )


def _tell(place: Place, one: Decided, now: datetime) -> Unreached:
    addressee, decision = one.addressee, one.decision
    facts = addressee.facts
    patient = Named(addressee.patient_id, facts.details.patient_first_name, facts.details.patient_last_name)
    today = local(now, addressee.timezone).date()
    return tell(place, patient, facts.numbers, decision.reasons, today, decision.parts)
