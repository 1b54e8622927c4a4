"""Who works at a practice: invite, change the role, switch off and on, give a new link, join.

Each but `join` leaves a note of who did it. Whatever ends somebody's access also ends their sessions and links.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from portal import store
from portal.actions.who import Who, note_change
from portal.core.accounts import LONGEST_NAME, find_address, find_name, password_problem
from portal.core.roles import Role
from portal.store.changes import Change, Subject
from portal.store.practices import Practitioner
from portal.store.staff import User

HashPassword = Callable[[str], str]

PRACTICE_ROLES = (Role.OWNER, Role.RECEPTION, Role.PRACTITIONER)


class NoSuchColleague(store.NotThere):
    """Nobody of that id works at the practice."""

    def __init__(self) -> None:
        super().__init__("Nobody signs in with that address.")


class StaffRefused(ValueError):
    """What cannot be done, in words. `field` names what was typed wrong; empty where it was nothing typed."""

    def __init__(self, says: str, field: str = "") -> None:
        super().__init__(says)
        self.field = field


@dataclass(frozen=True, slots=True)
class Invited:
    """`uniquifier`: what the link is made from."""

    user_id: int
    name: str
    email: str
    uniquifier: str


@dataclass(frozen=True, slots=True)
class Colleagues:
    staff: Sequence[User]
    practitioners: Sequence[Practitioner]
    changes: Sequence[Change]
    zone: str | None  # whose clocks to show

    def practitioner_of(self, user: User) -> str:
        return next((one.full_name for one in self.practitioners if one.id == user.practitioner_id), "")


def list_colleagues(practice_id: str) -> Colleagues:
    with store.reading(practice_id) as session:
        return Colleagues(
            store.staff.list_staff(session, practice_id),
            store.practices.list_practitioners(session),
            store.staff.list_staff_changes(session),
            next((business.timezone for business in store.practices.list_businesses(session)), None),
        )


def get_colleague(practice_id: str, user_id: int) -> User:
    """Raises NoSuchColleague."""
    with store.reading(practice_id) as session:
        return _colleague(session, practice_id, user_id)


def invite(practice_id: str, name: str, email: str, role: str, practitioner: str, who: Who, now: datetime) -> Invited:
    """`practitioner`: the row's id as typed. Raises StaffRefused."""
    name, email = read_name(name), read_address(email)
    with store.transaction(practice_id) as session:
        store.practices.lock_practice(session, practice_id)
        wanted, practitioner_id = _role(session, role, practitioner)
        invited = add_user(session, practice_id, name, email, wanted, practitioner_id, now)
        note_change(session, who, now, Subject.STAFF, invited.user_id, "invitation", "", f"{name}, {wanted}")
    return invited


def find_practitioner_row(practice_id: str, external_id: str) -> str:
    """The row's id, by the id of the export. Raises StaffRefused."""
    with store.reading(practice_id) as session:
        for one in store.practices.list_practitioners(session):
            if one.external_id == external_id:
                return str(one.id)
    raise StaffRefused("There is no practitioner of that id.", "practitioner")


def invite_sysadmin(name: str, email: str, now: datetime) -> Invited:
    """Raises StaffRefused."""
    with store.everything(write=True) as session:
        return add_user(session, None, read_name(name), read_address(email), Role.SYSADMIN, None, now)


def change_role(practice_id: str, user_id: int, role: str, practitioner: str, who: Who, now: datetime) -> User:
    """Raises NoSuchColleague, StaffRefused."""
    with store.transaction(practice_id) as session:
        user = _locked(session, practice_id, user_id)
        wanted, practitioner_id = _role(session, role, practitioner)
        if wanted is not Role.OWNER:
            _refuse_for_the_last_owner(session, user, "Make somebody else an owner first.")
        before = _said_role(session, user)
        has_other_role = wanted is not user.role
        user.role, user.practitioner_id = wanted, practitioner_id
        after = _said_role(session, user)
        if has_other_role or before != after:
            user.fs_uniquifier = _new_uniquifier()
        note_change(session, who, now, Subject.STAFF, user.id, "role", before, after)
    return user


def switch_off(practice_id: str, user_id: int, who: Who, now: datetime) -> User:
    """Raises NoSuchColleague, StaffRefused."""
    with store.transaction(practice_id) as session:
        user = _locked(session, practice_id, user_id)
        _refuse_for_the_last_owner(session, user, "Make somebody else an owner first.")
        note_change(session, who, now, Subject.STAFF, user.id, "access", "on" if user.active else "off", "off")
        user.active = False
        user.fs_uniquifier = _new_uniquifier()
    return user


def switch_on(practice_id: str, user_id: int, who: Who, now: datetime) -> User:
    """Raises NoSuchColleague."""
    with store.transaction(practice_id) as session:
        user = _locked(session, practice_id, user_id)
        note_change(session, who, now, Subject.STAFF, user.id, "access", "on" if user.active else "off", "on")
        user.active = True
    return user


def withdraw_invitation(practice_id: str, user_id: int, who: Who, now: datetime) -> User:
    """Raises NoSuchColleague, StaffRefused where it was taken already."""
    with store.transaction(practice_id) as session:
        user = _locked(session, practice_id, user_id)
        if user.joined_at is not None:
            raise StaffRefused(f"{user.name} has joined already: switch the account off instead.")
        note_change(session, who, now, Subject.STAFF, user.id, "invitation", f"{user.name}, {user.role}", "withdrawn")
        session.delete(user)
    return user


def give_new_link(practice_id: str, user_id: int, who: Who, now: datetime) -> Invited:
    """The password and the second factor end at once. Raises NoSuchColleague, StaffRefused."""
    with store.transaction(practice_id) as session:
        user = _locked(session, practice_id, user_id)
        if user.id == who.user_id:
            raise StaffRefused("Your own password and second factor are on your account page.")
        note_change(session, who, now, Subject.STAFF, user.id, "sign-in", "", "a new link; the old password ended")
        return _with_new_link(user)


def give_new_link_by_address(email: str, who: Who, now: datetime) -> Invited:
    """For the command line: of whichever practice, or a sysadmin's. Raises NoSuchColleague, StaffRefused."""
    user = find_by_address(email)
    if user.practice_id is not None:
        return give_new_link(user.practice_id, user.id, who, now)
    with store.everything(write=True) as session:
        return _with_new_link(get_user(session, user.id))


def switch_by_address(email: str, active: bool, who: Who, now: datetime) -> User:
    """For the command line. Raises NoSuchColleague, StaffRefused."""
    user = find_by_address(email)
    if user.practice_id is not None:
        return (switch_on if active else switch_off)(user.practice_id, user.id, who, now)
    with store.everything(write=True) as session:
        user = get_user(session, user.id)
        user.active, user.fs_uniquifier = active, _new_uniquifier()
    return user


def find_by_address(email: str) -> User:
    """Raises NoSuchColleague."""
    with store.everything() as session:
        user = store.staff.find_by(session, "email", email.strip())
    if user is None:
        raise NoSuchColleague
    return user


def list_users(practice_id: str | None = None) -> Sequence[User]:
    with store.everything() as session:
        return store.staff.list_users(session, practice_id)


def find_invitation(uniquifier: str) -> User | None:
    """Who may join; None where the link was used or ended."""
    with store.everything() as session:
        user = store.staff.find_by(session, "fs_uniquifier", uniquifier)
    return user if user and user.active and user.password is None else None


def join(uniquifier: str, name: str, password: str, hash_password: HashPassword, now: datetime) -> User:
    """Take the invitation. Raises NoSuchColleague where it was used or ended, and StaffRefused."""
    invited = find_invitation(uniquifier)
    if invited is None:
        raise NoSuchColleague
    name = read_name(name)
    hashed = hash_checked(password, hash_password, name, invited.email)
    with store.everything(write=True) as session:
        user = get_user(session, invited.id)
        if user.fs_uniquifier != uniquifier or user.password is not None or not user.active:
            raise NoSuchColleague  # somebody else was quicker
        user.name, user.password, user.fs_uniquifier = name, hashed, _new_uniquifier()
        user.joined_at = user.joined_at or now
    return user


def rename_oneself(user_id: int, name: str, now: datetime) -> None:
    """Raises StaffRefused."""
    name = read_name(name)
    with store.everything(write=True) as session:
        user = get_user(session, user_id)
        before, user.name = user.name, name
        practice_id = user.practice_id
    note_own_change(practice_id, Who(user_id, name), "name", before, name, now)


def choose_daily_line(user_id: int, wanted: bool, with_names: bool, now: datetime) -> None:
    """By mail, after the day's first pass. `with_names`: of those who will not be texted."""
    with store.everything(write=True) as session:
        user = get_user(session, user_id)
        before = _line_in_words(user.wants_daily_line, user.wants_names)
        user.wants_daily_line, user.wants_names = wanted, wanted and with_names
        who, practice_id = Who(user_id, user.name), user.practice_id
    after = _line_in_words(wanted, wanted and with_names)
    note_own_change(practice_id, who, "the day's line by mail", before, after, now)


def _line_in_words(wanted: bool, with_names: bool) -> str:
    return "off" if not wanted else "with names" if with_names else "in numbers"


def sign_out_everywhere(user_id: int) -> None:
    with store.everything(write=True) as session:
        get_user(session, user_id).fs_uniquifier = _new_uniquifier()


def note_own_change(practice_id: str | None, who: Who, field: str, before: str, after: str, now: datetime) -> None:
    """What somebody changed on their own account. A sysadmin belongs to no practice, and so leaves none."""
    if practice_id is not None:
        with store.transaction(practice_id) as session:
            note_change(session, who, now, Subject.STAFF, who.user_id, field, before, after)


def hash_checked(password: str, hash_password: HashPassword, *about: str) -> str:
    """Raises StaffRefused where the password is too weak."""
    if problem := password_problem(password, *about):
        raise StaffRefused(problem, "password")
    return hash_password(password)


# --- what they share ----------------------------------------------------------------------------------------


def add_user(
    session: Session,
    practice_id: str | None,
    name: str,
    email: str,
    role: Role,
    practitioner_id: int | None,
    now: datetime,
) -> Invited:
    values = {
        "practice_id": practice_id,
        "practitioner_id": practitioner_id,
        "email": email,
        "name": name,
        "role": role,
        "active": True,
        "fs_uniquifier": _new_uniquifier(),
        "created_at": now,
    }
    user_id = store.staff.record_user(session, values)
    if user_id is None:
        raise StaffRefused("Somebody signs in with this address already.", "email")
    return Invited(user_id, name, email, str(values["fs_uniquifier"]))


def _with_new_link(user: User) -> Invited:
    if not user.active:
        raise StaffRefused(f"{user.name} is switched off: switch the account on first.")
    user.password = None
    user.tf_primary_method = user.tf_totp_secret = user.mf_recovery_codes = None
    user.fs_uniquifier = _new_uniquifier()
    return Invited(user.id, user.name, user.email, user.fs_uniquifier)


def _colleague(session: Session, practice_id: str, user_id: int) -> User:
    user = store.staff.find_colleague(session, practice_id, user_id)
    if user is None:
        raise NoSuchColleague
    return user


def _locked(session: Session, practice_id: str, user_id: int) -> User:
    """With the practice's lock: two owners who demote each other come one after the other."""
    store.practices.lock_practice(session, practice_id)
    return _colleague(session, practice_id, user_id)


def get_user(session: Session, user_id: int) -> User:
    user = store.staff.find_by(session, "id", user_id)
    if user is None:
        raise NoSuchColleague
    return user


def _refuse_for_the_last_owner(session: Session, user: User, what_then: str) -> None:
    if user.role is Role.OWNER and user.active and user.joined_at and not store.staff.has_other_owner(session, user):
        raise StaffRefused(f"{user.name} is the last owner who can sign in. {what_then}")


def read_name(typed: str) -> str:
    name = find_name(typed)
    if name is None:
        raise StaffRefused(f"Type a name of at most {LONGEST_NAME} characters.", "name")
    return name


def read_address(typed: str) -> str:
    address = find_address(typed)
    if address is None:
        raise StaffRefused("That is not an email address.", "email")
    return address


def _role(session: Session, typed: str, practitioner: str) -> tuple[Role, int | None]:
    role = next((one for one in PRACTICE_ROLES if one.value == typed), None)
    if role is None:
        raise StaffRefused("Choose a role.", "role")
    if role is not Role.PRACTITIONER:
        return role, None
    found = next((one for one in store.practices.list_practitioners(session) if str(one.id) == practitioner), None)
    if found is None:
        raise StaffRefused(
            "Choose which practitioner this is: they text the patients of their own appointments.", "practitioner"
        )
    return role, found.id


def _said_role(session: Session, user: User) -> str:
    found = store.practices.list_practitioners(session) if user.practitioner_id else ()
    name = next((one.full_name for one in found if one.id == user.practitioner_id), "")
    return f"{user.role} ({name})" if name else str(user.role)


def _new_uniquifier() -> str:
    return uuid.uuid4().hex
