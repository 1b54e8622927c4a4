"""People with passwords, for the tests of signing in."""

from typing import Any

from flask import Flask

from portal import store
from portal.core.roles import Role
from portal.store.staff import User
from portal.web.sign_in import hash_password
from tests.web.conftest import submit, visitor

PASSWORD = "thrifty lamp over sea"
ANOTHER = "violet anchor on grass"


def give_password(app: Flask, role: Role = Role.OWNER, practice_id: str = "riverside", **values: Any) -> User:
    """The builders' person of that role, who can now sign in."""
    with store.everything(write=True) as session:
        user = store.staff.find_by(session, "fs_uniquifier", f"{role}@{practice_id}")
        assert user
        user.password = hash_password(PASSWORD)
        for name, value in values.items():
            setattr(user, name, value)
    return user


def look_up(email: str) -> User:
    with store.everything() as session:
        user = store.staff.find_by(session, "email", email)
    assert user
    return user


def signed_in_by_hand(app: Flask, email: str, password: str = PASSWORD) -> Any:
    """A client that went through the sign-in page."""
    client = visitor(app)
    answer = submit(client, "/sign-in", email=email, password=password)
    assert answer.status_code == 302, answer.text
    return client
