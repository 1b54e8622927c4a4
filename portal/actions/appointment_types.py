"""A practice's appointment types: the SMS template of each."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.businesses import weeks_of
from portal.actions.sending import NotConfirmed
from portal.actions.who import Who, note_change
from portal.store.changes import REMINDER_TEMPLATE, Change, Subject
from portal.store.practices import AppointmentType, SmsTemplate

NO_TEMPLATE = "None"


class NoSuchType(LookupError):
    def __init__(self) -> None:
        super().__init__("There is no such appointment type.")


class NoSuchTemplate(ValueError):
    """Or one that cannot be used; the text says so."""


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
        type_ = session.get(AppointmentType, type_id)
        if type_ is None:
            raise NoSuchType
        if template_id is None:
            raise NoSuchTemplate("Choose a template.")
        new = _usable(session, template_id) if template_id else None
        if type_.reminder_template_id == (new.id if new else None):
            return False
        if new is None and not confirmed:
            raise NotConfirmed("Tick that these appointments are to get no reminders.")
        old = session.get(SmsTemplate, type_.reminder_template_id) if type_.reminder_template_id else None
        type_.reminder_template_id = new.id if new else None
        names = [one.name if one else NO_TEMPLATE for one in (old, new)]
        note_change(session, who, now, *_template_of(type_id), *names)
        return True


def _usable(session: Session, template_id: int) -> SmsTemplate:
    template = session.get(SmsTemplate, template_id)
    if template is None:
        raise NoSuchTemplate("That template is not there any more: choose another.")
    if template.problem is not None:
        raise NoSuchTemplate("That template is a draft that cannot be used: choose another.")
    return template


def _template_of(type_id: int) -> store.changes.Key:
    return Subject.APPOINTMENT_TYPE, type_id, REMINDER_TEMPLATE
