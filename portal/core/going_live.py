"""What a practice should have in order before it texts its first patient: a list of lines, each well, to think of, or
in the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from portal.core.phrases import counted, day, hour, listed, plain
from portal.core.timing import PASSES_A_DAY, appointment_date, local

MOST_NAMES = 5
LONGEST_LEFT_OUT = timedelta(days=60)


class State(StrEnum):
    OK = "ok"
    WARNS = "warns"
    BLOCKS = "blocks"


@dataclass(frozen=True, slots=True)
class Item:
    """`fix` is the link's label, `place` the page that it leads to; both empty where all is well, or only somebody
    else can mend it, as `says` tells."""

    label: str
    state: State
    says: str
    fix: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the list asks about.

    `can_send`: there are credentials; `is_simulated`: a stand-in takes the texts. `refused_with`: the provider's
    code, while it refuses the account. `sender_refused`: why texts from the sender cannot go;
    `sender_if_registered`: they go only if it is; `sender_warnings`: what else to know of it. `businesses`: (name,
    zone, contact number, sends reminders). `types`, `without_template`: appointment types of the coming week.
    `has_run`: the hourly script was seen. `runs_out_on`: when the credits do. `updated_at`: when an import last
    told of appointments, by the clocks there, as `tested_at`. `patients`: of the coming week, of whom `reached`
    would be texted.
    """

    can_send: bool
    is_simulated: bool
    refused_with: str
    sender: str
    sender_refused: str
    sender_if_registered: bool
    sender_warnings: Sequence[str]
    businesses: Sequence[tuple[str, str, str, bool]]
    types: int
    without_template: Sequence[str]
    lead_days: int
    window_start: int
    has_run: bool
    credits: int
    needed: int
    runs_out_on: date | None
    updated_at: datetime | None
    is_old: bool
    patients: int
    reached: int
    is_part: bool
    tested_at: datetime | None
    today: date


def check_list(seen: Readiness) -> tuple[Item, ...]:
    return (
        _provider(seen),
        _sender(seen),
        _businesses(seen),
        _templates(seen),
        _hours(seen),
        _credits(seen),
        _appointments(seen),
        _reached(seen),
        _tested(seen),
    )


def _provider(seen: Readiness) -> Item:
    label = "Provider"
    if not seen.can_send:
        says = "There is no account with the provider yet. Your administrator sets it up, and this line turns well."
        return Item(label, State.BLOCKS, says)
    if seen.refused_with:
        says = f"The provider refuses our account now ({plain(seen.refused_with, 40)}): what you send would wait."
        return Item(label, State.WARNS, f"{says} Your administrator sees this as an alarm.")
    if seen.is_simulated:
        says = "A simulator stands in for the provider: no text reaches a phone."
        return Item(label, State.WARNS, f"{says} Your administrator connects the provider itself.")
    return Item(label, State.OK, "The account is set up, and the provider has not refused it.")


def _sender(seen: Readiness) -> Item:
    label, place = "Sender", ("Change the sender", "/settings/sms")
    if seen.sender_refused:
        return Item(label, State.WARNS, f"Texts come from {plain(seen.sender)}. {seen.sender_refused}", *place)
    if seen.sender_if_registered:
        says = f"Texts come from {plain(seen.sender)}: allowed, if registered. {' '.join(seen.sender_warnings)}"
        return Item(label, State.WARNS, says, *place)
    if seen.sender_warnings:
        says = f"Texts come from {plain(seen.sender)}. {' '.join(seen.sender_warnings)}"
        return Item(label, State.OK, says)
    return Item(label, State.OK, f"Texts come from {plain(seen.sender)}.")


def _businesses(seen: Readiness) -> Item:
    label, place = "Businesses", ("Open the businesses", "/settings/businesses")
    if not seen.businesses:
        return Item(
            label, State.WARNS, "There is no business yet, and so no appointment.", "Add a business", place[1]
        )
    no_number = [plain(name) or "One" for name, _, number, _ in seen.businesses if not number.strip()]
    if no_number:
        lacks = "has" if len(no_number) == 1 else "have"
        says = f"{_names(no_number)} {lacks} no contact number, which patients are told to call."
        return Item(label, State.WARNS, says, *place)
    if not any(on for *_, on in seen.businesses):
        return Item(label, State.WARNS, "Reminders are switched off for every business.", *place)
    off = [plain(name) or "One" for name, *_, on in seen.businesses if not on]
    zones = sorted({zone.rpartition("/")[2].replace("_", " ") for _, zone, *_ in seen.businesses})
    how_many = "1 business" if len(seen.businesses) == 1 else f"{len(seen.businesses)} businesses"
    says = f"{how_many}, by the clocks of {_names(zones)}."
    if off:
        says += f" {_names(off)} {'sends' if len(off) == 1 else 'send'} no reminders."
    return Item(label, State.OK, says, *(place if off else ()))


def _templates(seen: Readiness) -> Item:
    label = "Templates"
    if seen.without_template:
        names = [f'"{plain(name)}"' for name in seen.without_template]
        says = f"{_names(names)} {'has' if len(names) == 1 else 'have'} no SMS template that can be used."
        return Item(
            label,
            State.WARNS,
            f"{says} Patients with these appointments get no text.",
            "Choose a template",
            "/settings/appointment-types",
        )
    if not seen.types:
        return Item(label, State.OK, "No appointment of the coming week wants a template.")
    return Item(label, State.OK, "Each appointment type of the coming week has a template.")


def _hours(seen: Readiness) -> Item:
    label = "Hours"
    last = hour(seen.window_start + PASSES_A_DAY - 1)
    says = (
        f"Reminders go at {hour(seen.window_start)}, {counted(seen.lead_days, 'day')} before the appointment; what "
        f"fails is tried again each hour until {last}."
    )
    if not seen.has_run:
        says = f"{says} The hourly run has not been seen yet: ask your administrator to set it up."
        return Item(label, State.WARNS, says)
    return Item(label, State.OK, says, "Change the hours", "/settings/sms")


def _credits(seen: Readiness) -> Item:
    label, place = "Credits", ("Top up", "/settings/sms")
    left = f"{counted(seen.credits, 'credit')} left"
    more = "more than " if seen.is_part else ""
    if seen.runs_out_on:
        when = day(seen.runs_out_on, seen.today)
        says = f"{left}: the coming days need {more}{seen.needed:,}, and they run out {when}."
        return Item(label, State.WARNS, says, *place)
    if seen.credits <= 0:
        return Item(label, State.WARNS, "No credit is left: each text needs one or more.", *place)
    return Item(label, State.OK, f"{left}; the reminders of the next 7 days need {more}{seen.needed:,}.")


def _appointments(seen: Readiness) -> Item:
    label = "Appointments"
    if seen.updated_at is None:
        if not seen.patients:
            return Item(label, State.WARNS, "There are no appointments yet.", "Import them", "/settings/import")
        says = "No export was ever imported: what stands only in your calendar is not known here."
        return Item(label, State.WARNS, says, "Import them", "/settings/import")
    on = day(seen.updated_at.date(), seen.today)
    if seen.is_old:
        says = f"Last updated {on}: what was booked, moved or cancelled since is not known here."
        return Item(label, State.WARNS, says, "Import them again", "/settings/import")
    return Item(label, State.OK, f"Last updated {on}.")


def _reached(seen: Readiness) -> Item:
    label = "Patients"
    if not seen.patients:
        return Item(label, State.OK, "Nobody has an appointment whose reminder goes in the next 7 days.")
    who = "patient" if seen.patients == 1 else "patients"
    says = f"Of {seen.patients:,} {who} with reminders in the next 7 days, {seen.reached:,} would be texted."
    if seen.reached < seen.patients:
        return Item(label, State.WARNS, f"{says} Open a day below to see why the others would not.")
    return Item(label, State.OK, says)


def _tested(seen: Readiness) -> Item:
    label = "Test text"
    if seen.tested_at is None:
        return Item(
            label,
            State.WARNS,
            "You have not sent a text to your own phone yet.",
            "Send one to yourself",
            "/settings/templates",
        )
    return Item(label, State.OK, f"One went to a phone of yours {day(seen.tested_at.date(), seen.today)}.")


def _names(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return listed([*names[:MOST_NAMES], *([f"{more} more"] if more > 0 else [])])


def suggested(now: datetime, zone_name: str, lead_days: int, window_start: int) -> date:
    """Up to which day another system has reminded: that of the reminders of today, once their hour has begun."""
    there = local(now, zone_name)
    due_on = there.date() if there.hour >= window_start else there.date() - timedelta(days=1)
    return appointment_date(due_on, lead_days)


def problem_with_left_out(until: date, today: date) -> str:
    """Why appointments cannot be left out up to that day; empty where they can."""
    if until < today:
        return "That day is over: choose today or later."
    if until > today + LONGEST_LEFT_OUT:
        return f"Choose a day within the next {LONGEST_LEFT_OUT.days} days."
    return ""
