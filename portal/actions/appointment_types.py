"""A practice's appointment types: their names and durations, and the SMS template of each."""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.businesses import weeks_of
from portal.actions.sending import NotConfirmed
from portal.actions.who import Who, note_change
from portal.core.phrases import counted
from portal.core.templates import problem_with_name
from portal.store.changes import DURATION, NAME, REMINDER_TEMPLATE, Change, Subject
from portal.store.imported import made_here_id
from portal.store.practices import AppointmentType, SmsTemplate

NO_TEMPLATE = "None"
LONGEST_DURATION = 1440  # minutes


class NoSuchType(store.NotThere):
    def __init__(self) -> None:
        super().__init__("There is no such appointment type.")


class NoSuchTemplate(ValueError):
    """Or one that cannot be used; the text says so."""


class TypeProblem(ValueError):
    """It cannot be saved so. `field`: where it is to be mended; the text says how."""

    def __init__(self, field: str, says: str) -> None:
        super().__init__(says)
        self.field = field


@dataclass(frozen=True, slots=True)
class ShownType:
    """`to_come`: its reminders of the next seven days. `changed`: the last time that people chose its template."""

    type: AppointmentType
    template: SmsTemplate | None
    to_come: int
    changed: Change | None


@dataclass(frozen=True, slots=True)
class Types:
    """`templates`: those that can be used, by name. `zone`: where times are shown."""

    zone: str | None
    types: tuple[ShownType, ...]
    templates: tuple[SmsTemplate, ...]


def list_types(practice_id: str, now: datetime) -> Types:
    """Raises NoSuchPractice."""
    with store.reading(practice_id) as session:
        practice, businesses = store.practices.get_with_businesses(session, practice_id)
        types = store.practices.list_types(session)
        templates = {one.id: one for one in store.practices.list_templates(session)}
        to_come = store.reminders.count_to_come(session, weeks_of(practice, businesses, now))
        changes = store.changes.list_last(session, [_template_of(one.id) for one in types])
    return Types(
        businesses[0].timezone if businesses else None,
        tuple(
            ShownType(
                one,
                templates.get(one.reminder_template_id) if one.reminder_template_id else None,
                sum(count for (_, type_id), count in to_come.items() if type_id == one.id),
                changes.get(_template_of(one.id)),
            )
            for one in types
        ),
        tuple(one for one in templates.values() if one.problem is None),
    )


def choose_template(
    practice_id: str, type_id: int, template_id: int | None, *, confirmed: bool, who: Who, now: datetime
) -> bool:
    """`template_id`: 0 for none. Returns whether it was another before.

    Raises NoSuchType, NoSuchTemplate, NotConfirmed.
    """
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)  # an import reads the row and writes it later
        type_ = get_type(session, type_id)
        if template_id is None:
            raise NoSuchTemplate("Choose a template.")
        new = _usable(session, template_id) if template_id else None
        if type_.reminder_template_id == (new.id if new else None):
            return False
        if new is None and not confirmed:
            raise NotConfirmed("Tick that these appointments are to get no reminders.")
        set_template(session, type_, new, who, now)
        return True


def add_type(practice_id: str, name: str, minutes: str, template_id: int | None, who: Who, now: datetime) -> int:
    """Returns its id. `minutes`: as typed. `template_id`: 0 or None for none. Raises TypeProblem, NoSuchTemplate."""
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        name, duration = _readable(session, None, name, minutes)
        template = _usable(session, template_id) if template_id else None
        type_ = AppointmentType(external_id=made_here_id(), name=name, duration_minutes=duration)
        session.add(type_)
        session.flush()
        note_change(session, who, now, Subject.APPOINTMENT_TYPE, type_.id, NAME, "", name)
        set_template(session, type_, template, who, now)
        return type_.id


def change_type(practice_id: str, type_id: int, name: str, minutes: str, who: Who, now: datetime) -> bool:
    """Returns whether anything is another than before. `minutes`: as typed. What is queued names it by its new name.

    Raises NoSuchType, TypeProblem.
    """
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        type_ = get_type(session, type_id)
        name, duration = _readable(session, type_id, name, minutes)
        before = (type_.name, type_.duration_minutes)
        note_change(session, who, now, Subject.APPOINTMENT_TYPE, type_id, NAME, type_.name, name)
        lasted, lasts = (counted(length, "minute") for length in (type_.duration_minutes, duration))
        note_change(session, who, now, Subject.APPOINTMENT_TYPE, type_id, DURATION, lasted, lasts)
        type_.name, type_.duration_minutes = name, duration
        return before != (name, duration)


def _readable(session: Session, type_id: int | None, name: str, minutes: str) -> tuple[str, int]:
    """As they are kept. Raises TypeProblem."""
    name, minutes = " ".join(name.split()), minutes.strip()
    others = store.templates.list_other_names(session, AppointmentType, type_id)
    if problem := problem_with_name(name, others, "appointment type"):
        raise TypeProblem("name", problem)
    if not re.fullmatch("[0-9]{1,4}", minutes) or not 1 <= int(minutes) <= LONGEST_DURATION:
        raise TypeProblem("minutes", f"Type its minutes as a whole number from 1 to {LONGEST_DURATION:,}.")
    return name, int(minutes)


def get_type(session: Session, type_id: int) -> AppointmentType:
    """Raises NoSuchType."""
    type_ = session.get(AppointmentType, type_id)
    if type_ is None:
        raise NoSuchType
    return type_


def set_template(session: Session, type_: AppointmentType, new: SmsTemplate | None, who: Who, now: datetime) -> None:
    """The practice is locked."""
    old = session.get(SmsTemplate, type_.reminder_template_id) if type_.reminder_template_id else None
    type_.reminder_template_id = new.id if new else None
    names = [one.name if one else NO_TEMPLATE for one in (old, new)]
    note_change(session, who, now, *_template_of(type_.id), *names)


def _usable(session: Session, template_id: int) -> SmsTemplate:
    template = session.get(SmsTemplate, template_id)
    if template is None:
        raise NoSuchTemplate("That template is not there any more: choose another.")
    if template.problem is not None:
        raise NoSuchTemplate("That template is a draft that cannot be used: choose another.")
    return template


def _template_of(type_id: int) -> store.changes.Key:
    return Subject.APPOINTMENT_TYPE, type_id, REMINDER_TEMPLATE
