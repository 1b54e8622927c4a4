"""Who changes something, and the note of it that every such action leaves."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from portal.store.changes import Change, Subject


@dataclass(frozen=True, slots=True)
class Who:
    """`user_id` is None for whoever works on the command line."""

    user_id: int | None
    name: str


COMMAND_LINE = Who(None, "command line")


def note_change(
    session: Session,
    who: Who,
    now: datetime,
    subject: Subject,
    subject_id: int | None,
    field: str,
    before: str,
    after: str,
    note: str = "",
) -> None:
    """In the same transaction as the change itself. Nothing where nothing changed."""
    if before != after:
        session.add(
            Change(
                at=now,
                user_id=who.user_id,
                by=who.name,
                subject=subject,
                subject_id=subject_id,
                field=field,
                before=before,
                after=after,
                note=note,
            )
        )
