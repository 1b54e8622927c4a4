"""The first person of an empty installation: the owner of a practice, or a sysadmin."""

from collections.abc import Sequence
from datetime import datetime

from portal import store
from portal.actions import add_practice
from portal.actions.add_practice import NewPractice
from portal.actions.staff import HashPassword, StaffRefused, add_user, get_user, hash_checked, read_address, read_name
from portal.actions.who import Who, note_change
from portal.core.roles import Role
from portal.store.changes import Subject
from portal.store.practices import Practice
from portal.store.staff import User


class NotEmpty(Exception):
    """Somebody can sign in already."""


def is_empty() -> bool:
    with store.everything() as session:
        return store.staff.is_empty(session)


def practices() -> Sequence[Practice]:
    with store.everything() as session:
        return store.practices.list_practices(session)


def make_first_user(
    of: str | NewPractice | None, name: str, email: str, password: str, hash_password: HashPassword, now: datetime
) -> User:
    """`of`: the practice's id, or one that is made for its owner; None for a sysadmin. Raises NotEmpty, StaffRefused,
    PracticeRefused."""
    new = add_practice.check(of) if isinstance(of, NewPractice) else None
    practice_id = new.id if new else of if isinstance(of, str) else None
    name, email = read_name(name), read_address(email)
    hashed = hash_checked(password, hash_password, name, email)
    role = Role.SYSADMIN if practice_id is None else Role.OWNER
    with store.everything(write=True) as session:
        store.staff.lock_all(session)
        if not store.staff.is_empty(session):
            raise NotEmpty
        if new is not None:
            add_practice.record(session, new, now)
        elif practice_id is not None and store.practices.find_practice(session, practice_id) is None:
            raise StaffRefused("Choose a practice.", "practice")
        user = get_user(session, add_user(session, practice_id, name, email, role, None, now).user_id)
        user.password, user.joined_at = hashed, now
    if practice_id is not None:
        with store.transaction(practice_id) as session:
            note_change(
                session, Who(user.id, name), now, Subject.STAFF, user.id, "role", "", f"{role}, by set-up code"
            )
    if new is not None:
        add_practice.add_first_business(new, Who(user.id, name), now)
    return user
