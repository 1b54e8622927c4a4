"""Who signs in. An address belongs to one person on the host; all but a sysadmin belong to a practice."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from flask_security import UserMixin
from sqlalchemy import (
    JSON,
    CheckConstraint,
    CursorResult,
    ForeignKey,
    Index,
    Text,
    false,
    inspect,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.core.roles import Permission, Role, may
from portal.store.changes import Change, Subject
from portal.store.database import Model, insert_ignoring, row_id, table_of
from portal.store.types import RowId, UtcDateTime, words


class User(UserMixin, Model):
    """Not one of the rows that a practice's transaction narrows: whoever signs in is of no practice yet.

    `password`: None until an invitation is taken. `fs_uniquifier`: names the person in sessions and links; a new
    one ends them all. `tf_…`, `mf_…`: the second factor, encrypted by Flask-Security; `tf_last_counter`: the
    30 seconds whose code was used last. `wants_daily_line`: by mail, after the day's first pass; `wants_names`: with
    the patients' names. `joined_at`: when the first invitation was taken.
    """

    __tablename__ = "users"

    id: Mapped[int] = row_id()
    practice_id: Mapped[str | None] = mapped_column(Text, ForeignKey("practices.id"))
    practitioner_id: Mapped[int | None] = mapped_column(RowId)
    email: Mapped[str] = mapped_column(Text, unique=True)  # in small letters
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(words(Role))
    password: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(Text, unique=True)
    tf_primary_method: Mapped[str | None] = mapped_column(Text)
    tf_totp_secret: Mapped[str | None] = mapped_column(Text)
    tf_last_counter: Mapped[int | None] = mapped_column(RowId)
    mf_recovery_codes: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    wants_daily_line: Mapped[bool] = mapped_column(default=False, server_default=false())
    wants_names: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    joined_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("(role = 'sysadmin') = (practice_id IS NULL)", name="practice_or_sysadmin"),
        CheckConstraint("email = lower(email)", name="email_in_small_letters"),
        Index("ix_users_practice", "practice_id"),
    )

    tf_phone_number = None  # Flask-Security asks; we text no codes

    roles = []  # noqa: RUF012  Flask-Security's are not used: `core/roles.py` says who may do what

    def may(self, permission: Permission) -> bool:
        return may(self.role, permission)


def find_by(session: Session, column: str, value: Any) -> User | None:
    """By `id`, `fs_uniquifier`, or `email` in any case."""
    if column == "email":
        value = str(value).lower()
    return session.scalar(select(User).where(getattr(User, column) == value))


def find_colleague(session: Session, practice_id: str, user_id: int) -> User | None:
    return session.scalar(select(User).where(User.id == user_id, User.practice_id == practice_id))


def list_staff(session: Session, practice_id: str) -> Sequence[User]:
    return session.scalars(select(User).where(User.practice_id == practice_id).order_by(User.name, User.id)).all()


def list_users(session: Session, practice_id: str | None = None) -> Sequence[User]:
    """Of the whole host, or of one practice; sysadmins first."""
    found = select(User).order_by(User.practice_id.nulls_first(), User.name, User.id)
    if practice_id is not None:
        found = found.where(User.practice_id == practice_id)
    return session.scalars(found).all()


def list_line_readers(session: Session) -> Sequence[User]:
    """Of the whole host by practice: who wants the day's line by mail, and may see the practice's patients."""
    return session.scalars(
        select(User)
        .where(User.wants_daily_line, User.active, User.joined_at.is_not(None), User.practice_id.is_not(None))
        .order_by(User.practice_id, User.id)
    ).all()


def has_other_owner(session: Session, user: User) -> bool:
    """Whether another owner of the practice can sign in."""
    other = select(User.id).where(
        User.practice_id == user.practice_id,
        User.id != user.id,
        User.role == Role.OWNER,
        User.active,
        User.joined_at.is_not(None),
    )
    return session.scalar(other.limit(1)) is not None


def list_staff_changes(session: Session, most: int = 30) -> Sequence[Change]:
    """What was changed on any colleague of the transaction's practice, the newest first."""
    found = select(Change).where(Change.subject == Subject.STAFF).order_by(Change.id.desc())
    return session.scalars(found.limit(most)).all()


def is_empty(session: Session) -> bool:
    """Whether nobody can sign in yet."""
    return session.scalar(select(User.id).limit(1)) is None


def lock_all(session: Session) -> None:
    """Nobody else adds a user until the transaction ends. (On SQLite no two write at once anyway.)"""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))


def record_user(session: Session, values: Mapping[str, Any]) -> int | None:
    """A new user's id; None where the address is taken."""
    table = table_of(User)
    found: int | None = session.scalar(insert_ignoring(session, table).returning(table.c.id), values)
    return found


def keep(session: Session, user: User) -> None:
    """Write what was changed on a user who was read in another transaction, and nothing else of the row."""
    changed = [one for one in inspect(user).attrs if one.history.has_changes()]
    if changed and (row := session.get(User, user.id, with_for_update=True)):
        for one in changed:
            setattr(row, one.key, one.value)


def use_counter(session: Session, user_id: int, counter: int) -> bool:
    """Whether the second factor's code of these 30 seconds is used for the first time."""
    used = (
        update(User)
        .where(User.id == user_id, or_(User.tf_last_counter.is_(None), User.tf_last_counter < counter))
        .values(tf_last_counter=counter)
        .execution_options(synchronize_session=False)
    )
    return bool(cast("CursorResult[Any]", session.execute(used)).rowcount)


def use_recovery_code(session: Session, user_id: int, kept: str) -> bool:
    """Whether the code, as it is kept, was still there; it is no more."""
    user = session.get(User, user_id, with_for_update=True)
    if user is None or kept not in (user.mf_recovery_codes or ()):
        return False
    user.mf_recovery_codes = [code for code in user.mf_recovery_codes or () if code != kept]
    return True
