"""What people changed: who, when, from what to what, and why."""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Index, Integer, Select, Text, bindparam, func, select, union_all
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.store.database import Model, PracticeOwned, row_id
from portal.store.types import RowId, UtcDateTime, words


class Subject(StrEnum):
    PRACTICE = "practice"
    BUSINESS = "business"
    PRACTITIONER = "practitioner"
    APPOINTMENT_TYPE = "appointment-type"
    TEMPLATE = "template"
    PATIENT = "patient"
    STAFF = "staff"
    MESSAGE = "message"
    APPOINTMENT = "appointment"


# Fields of settings; a patient's are in `core/contacts.py`.
SENDING = "sending"  # of the practice
LEFT_OUT = "reminded_elsewhere"
IMPORT = "import"
CREDITS = "credits"
TEXT_HOURS = "text_hours"
ALARM_SHARE = "alarm_share"
REMINDER_TIMES = "reminder_times"
DEFAULT_PREFERENCE = "default_preference"
SENDER = "sender"
COUNTRIES = "also_sends_to"
SMS_REMINDERS = "sms_reminders"  # of a business
TIMEZONE = "timezone"
CONTACT_NUMBER = "contact_number"
ADDED = "added"  # by staff, with this name
REMINDER_TEMPLATE = "reminder_template"  # of an appointment type
DURATION = "duration"
TEXT = "text"  # of a template
NAME = "name"  # of a type or a template


class Change(PracticeOwned, Model):
    """`by`: the person's name as it was then, or `command line`. `before`, `after`: as people read them."""

    __tablename__ = "changes"

    id: Mapped[int] = row_id()
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    user_id: Mapped[int | None] = mapped_column(RowId)
    by: Mapped[str] = mapped_column(Text)
    subject: Mapped[Subject] = mapped_column(words(Subject))
    subject_id: Mapped[int | None] = mapped_column(RowId)  # None: the practice itself
    field: Mapped[str] = mapped_column(Text)
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text, default="")

    __table_args__ = (
        Index("ix_changes_subject", "practice_id", "subject", "subject_id", "id"),
        Index("ix_changes_practice", "practice_id", "id"),
    )


def list_changes(
    session: Session, subject: Subject, subject_id: int | None, fields: Collection[str] | None = None, most: int = 50
) -> list[Change]:
    """The newest first."""
    values = {"subject": subject, "id": subject_id, "fields": fields, "most": most}
    return list(session.scalars(_changes_of(subject_id is None, fields is not None), values))


@cache
def _changes_of(is_of_the_practice: bool, are_of_fields: bool) -> Select[Change]:
    found = select(Change).where(
        Change.subject == bindparam("subject"),
        Change.subject_id.is_(None) if is_of_the_practice else Change.subject_id == bindparam("id"),
    )
    if are_of_fields:
        found = found.where(Change.field.in_(bindparam("fields", expanding=True)))
    return found.order_by(Change.id.desc()).limit(bindparam("most", type_=Integer))


def last_change(session: Session, subject: Subject, subject_id: int | None, field: str) -> Change | None:
    return next(iter(list_changes(session, subject, subject_id, [field], 1)), None)


Key = tuple[Subject, int | None, str]  # subject, its id, field


_AT_ONCE = 200  # below SQLite's limit of selects in one statement


def list_last(session: Session, keys: Sequence[Key]) -> dict[Key, Change]:
    """The newest change of each that was ever changed."""
    last: dict[Key, Change] = {}
    for begin in range(0, len(keys), _AT_ONCE):
        some = keys[begin : begin + _AT_ONCE]
        for change in session.scalars(_newest_of(tuple(key[1] is None for key in some)), _values(some)):
            last[_key(change)] = change
    return last


def list_last_and_history(
    session: Session, keys: Sequence[Key], of: tuple[Subject, int], most: int
) -> tuple[dict[Key, Change], list[Change]]:
    """As `list_last`, of a few; and the changes of this one, of which no key is, the newest first. In one query."""
    values = _values(keys) | {"of": of[0], "of_id": of[1]}
    changes = session.scalars(_newest_of(tuple(key[1] is None for key in keys), most), values).all()
    history = [change for change in changes if (change.subject, change.subject_id) == of]
    last = {_key(change): change for change in changes if (change.subject, change.subject_id) != of}
    return last, sorted(history, key=lambda change: -change.id)


def _key(change: Change) -> Key:
    return change.subject, change.subject_id, change.field


def _values(keys: Sequence[Key]) -> dict[str, Any]:
    return {
        f"{name}{number}": value
        for number, key in enumerate(keys)
        for name, value in zip(("subject", "id", "field"), key, strict=True)
    }


@lru_cache(maxsize=64)
def _newest_of(are_of_the_practice: tuple[bool, ...], most: int = 0) -> Select[Change]:
    """For so many keys, some without an id: built once, for every page that shows a diagnosis asks it. With so many
    of all that was changed of another one."""
    history = select(Change.id).where(
        Change.subject == bindparam("of", type_=Change.subject.type), Change.subject_id == bindparam("of_id")
    )
    latest = history.order_by(Change.id.desc()).limit(most).subquery()
    newest = union_all(
        *(
            select(func.max(Change.id).label("id")).where(
                Change.subject == bindparam(f"subject{number}", type_=Change.subject.type),
                Change.subject_id.is_(None) if is_of_the_practice else Change.subject_id == bindparam(f"id{number}"),
                Change.field == bindparam(f"field{number}"),
            )
            for number, is_of_the_practice in enumerate(are_of_the_practice)
        ),
        *([select(latest.c.id)] if most else []),
    ).subquery()
    return select(Change).join(newest, newest.c.id == Change.id)
