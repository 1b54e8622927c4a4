"""Who signs in. An address belongs to one person on the host; all but a sysadmin belong to a practice."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask_security import UserMixin
from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.core.roles import Permission, Role, may
from portal.store.database import Model, row_id
from portal.store.types import RowId, UtcDateTime, words


class User(UserMixin, Model):
    """Not one of the rows that a practice's transaction narrows: whoever signs in is of no practice yet.

    `password`: None until an invitation is taken. `fs_uniquifier`: names the person in sessions and links; a new
    one ends them all. `tf_…`, `mf_…`: the second factor, encrypted by Flask-Security.
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
    mf_recovery_codes: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

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


def list_staff(session: Session, practice_id: str) -> Sequence[User]:
    return session.scalars(select(User).where(User.practice_id == practice_id).order_by(User.name, User.id)).all()


def is_empty(session: Session) -> bool:
    """Whether nobody can sign in yet."""
    return session.scalar(select(User.id).limit(1)) is None


def keep(session: Session, user: User) -> User:
    """Write a new or changed user."""
    kept: User = session.merge(user)
    return kept
