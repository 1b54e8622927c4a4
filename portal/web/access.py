"""Who may see a page. A view says it of itself; one that says nothing is shown to nobody."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, abort, current_app, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user, logout_user

from portal import clock, store
from portal.actions.who import Who
from portal.core.roles import Permission

View = TypeVar("View", bound=Callable[..., Any])

ANYONE = "anyone"
SIGNED_IN = "signed-in"
IDLE_SECONDS = 15 * 60  # of a desk that others pass by

_ACCESS = "portal_access"


def allow(access: Permission | str) -> Callable[[View], View]:
    """`@allow(Permission.READ)`, `@allow(SIGNED_IN)`, `@allow(ANYONE)`: nearest to the function."""

    def mark(view: View) -> View:
        setattr(view, _ACCESS, access)
        return view

    return mark


def access_of(app: Flask, endpoint: str) -> Permission | str | None:
    """What the page asks of whoever opens it. Flask-Security's own pages look after themselves."""
    if endpoint == "static" or endpoint.startswith("security."):
        return ANYONE
    return getattr(app.view_functions[endpoint], _ACCESS, None)


def who() -> Who:
    """The person who is signed in."""
    return Who(current_user.id, current_user.name)


def register(app: Flask) -> None:
    app.before_request(_lock_an_idle_desk)
    app.before_request(_check)


def _lock_an_idle_desk() -> ResponseReturnValue | None:
    if request.endpoint == "static" or not current_user.is_authenticated:
        return None
    now = clock.now().timestamp()
    if now - session.get("seen_at", now) > IDLE_SECONDS:
        logout_user()
        session.clear()
        return _to_sign_in()
    session["seen_at"] = now
    return None


def _check() -> ResponseReturnValue | None:
    if request.endpoint is None:  # no such page, or not by this method: whoever asks learns no more
        return None
    access = access_of(current_app, request.endpoint)
    if access == ANYONE:
        return None
    if not current_user.is_authenticated:
        return _to_sign_in()
    if current_user.practice_id is not None:
        with store.reading(current_user.practice_id) as reading:
            g.practice = store.practices.get_practice(reading, current_user.practice_id)
    if access == SIGNED_IN:
        return None
    if not isinstance(access, Permission) or not current_user.may(access):
        abort(403)
    return None


def _to_sign_in() -> ResponseReturnValue:
    wanted = urlsplit(request.full_path.rstrip("?"))
    where = url_for("security.login", next=wanted.geturl() if request.method == "GET" else None)
    if request.headers.get("HX-Request"):
        return "", 401, {"HX-Redirect": where}
    return redirect(where, 303)
