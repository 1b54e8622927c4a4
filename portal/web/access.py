"""Who may see a page. A view says it of itself; one that says nothing is shown to nobody."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, abort, current_app, g, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user, logout_user
from flask_security.utils import check_and_update_authn_fresh

from portal import clock, store
from portal.actions.who import Who
from portal.actions.write import Writer
from portal.core.roles import MAY, Permission
from portal.web.inside import inside, leave_for, wanted_page
from portal.web.sign_in import LONGEST_SESSION

View = TypeVar("View", bound=Callable[..., Any])

ANYONE = "anyone"
SIGNED_IN = "signed-in"
IDLE_SECONDS = 15 * 60  # of a desk that others pass by
_CLOCKS_APART = 60  # seconds, of two hosts that answer the same browser
# Seconds. A page and its parts are asked for at once: if each answer wrote the cookie anew, the last would undo what
# another has just put there.
_NOTED_EVERY = 30

# A page that asks for news by itself sends this header: nobody need be there.
UNATTENDED = "X-Unattended"

_ACCESS, _FRESH = "portal_access", "portal_fresh"


def allow(access: Permission | str, *others: Permission, fresh: bool = False) -> Callable[[View], View]:
    """`@allow(Permission.READ)`, `@allow(SIGNED_IN)`, `@allow(ANYONE)`: nearest to the function. Of several
    permissions one is enough.

    `fresh`: who typed their password long ago types it once more.
    """

    def mark(view: View) -> View:
        setattr(view, _ACCESS, frozenset({access, *others}) if isinstance(access, Permission) else access)
        setattr(view, _FRESH, fresh)
        return view

    return mark


def access_of(app: Flask, endpoint: str) -> frozenset[Permission] | str | None:
    """What the page asks of whoever opens it: one of these permissions, ANYONE or SIGNED_IN. Flask-Security's own
    pages look after themselves."""
    if endpoint == "static" or endpoint.startswith("security."):
        return ANYONE
    return getattr(app.view_functions[endpoint], _ACCESS, None)


def who() -> Who:
    """The person who is signed in."""
    return Who(current_user.id, current_user.name)


def writer() -> Writer:
    """The person who is signed in, about to text a patient."""
    return Writer(who(), MAY[current_user.role], current_user.practitioner_id)


def register(app: Flask) -> None:
    app.before_request(_lock_an_idle_desk)
    app.before_request(_check)


def _lock_an_idle_desk() -> ResponseReturnValue | None:
    if _is_open() or not current_user.is_authenticated:
        return None
    now = clock.now().timestamp()
    seen_at, began_at = session.get("seen_at", now), session.get("began_at", now)
    # A time that is yet to come is of another clock: nothing can be said of how long the desk was idle.
    is_idle = not -_CLOCKS_APART <= now - seen_at <= IDLE_SECONDS
    if is_idle or now - began_at > LONGEST_SESSION.total_seconds():
        where = wanted_page()
        logout_user()
        session.clear()
        return None if request.endpoint == "security.login" else to_sign_in(where)
    is_noted = "seen_at" in session and abs(now - seen_at) < _NOTED_EVERY
    if not request.headers.get(UNATTENDED) and not is_noted:
        session["seen_at"] = now
    return None


def _check() -> ResponseReturnValue | None:
    if request.endpoint is None or _is_open():
        return None
    access = access_of(current_app, request.endpoint)
    if current_user.is_authenticated and current_user.practice_id is not None:
        read_frame()
    if access == ANYONE:
        return None
    if not current_user.is_authenticated:
        return to_sign_in(wanted_page())
    if access != SIGNED_IN and not any(map(current_user.may, access or ())):
        abort(403)
    if getattr(current_app.view_functions[request.endpoint], _FRESH, False) and not _is_fresh():
        return leave_for(url_for("security.verify", next=inside(wanted_page(), "/")), 200)
    return None


def read_frame() -> None:
    """What stands around each page, and the practice, as they are now."""
    with store.reading(current_user.practice_id) as reading:
        g.frame = store.frame.get_frame(reading, current_user.practice_id)
        g.practice = g.frame.practice


def _is_open() -> bool:
    """Pages for which it does not matter who asks; and no such page, or not by this method: whoever asks learns
    no more."""
    endpoint = request.endpoint
    return endpoint is None or (access_of(current_app, endpoint) == ANYONE and not endpoint.startswith("security."))


def _is_fresh() -> bool:
    config = current_app.config
    return check_and_update_authn_fresh(
        config["SECURITY_FRESHNESS"], config["SECURITY_FRESHNESS_GRACE_PERIOD"], "session"
    )


def to_sign_in(page: str | None) -> ResponseReturnValue:
    return leave_for(url_for("security.login", next=inside(page, "") or None), 401)
