"""How often somebody may try: by address and by account. Counted in Redis; in memory while that is away."""

import hmac
from collections.abc import Callable
from typing import Any

from flask import Flask, current_app, request, session
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_security import current_user

BY_ADDRESS = "30 per minute; 200 per hour"  # a whole practice may share one
BY_ACCOUNT = "10 per 10 minutes; 50 per day"
RESET_BY_ACCOUNT = "3 per hour"

_SIGN_IN = ("security.login", "security.two_factor_token_validation", "security.mf_recovery")
_WITH_PASSWORD = ("security.verify", "security.change_password")
_BY_LINK_OR_CODE = ("join.join", "first_run.set_up", "security.reset_password")


def register(app: Flask) -> None:
    """After every view is there. What is typed only is counted: looking at a page is free."""
    limiter = Limiter(
        get_remote_address,
        app=app,
        storage_options={"socket_connect_timeout": 1, "socket_timeout": 1},
        in_memory_fallback_enabled=True,
        key_prefix="portal",
        strategy="sliding-window-counter",
    )
    for endpoint in (*_SIGN_IN, *_WITH_PASSWORD, *_BY_LINK_OR_CODE):
        _limit(app, limiter, endpoint, BY_ADDRESS, get_remote_address)
    for endpoint in (*_SIGN_IN, *_WITH_PASSWORD):
        _limit(app, limiter, endpoint, BY_ACCOUNT, _account)
    _limit(app, limiter, "security.forgot_password", BY_ADDRESS, get_remote_address)
    _limit(app, limiter, "security.forgot_password", RESET_BY_ACCOUNT, _account)


def _limit(app: Flask, limiter: Limiter, endpoint: str, limits: str, key: Callable[[], str]) -> None:
    view = app.view_functions.get(endpoint)
    if view is not None:
        limited = limiter.shared_limit(limits, scope=key.__name__, key_func=key, exempt_when=_is_only_looked_at)
        wrapped: Any = limited(view)
        app.view_functions[endpoint] = wrapped


def _is_only_looked_at() -> bool:
    return request.method != "POST"


def _account() -> str:
    """Whoever it is that is tried, whether there is such an account or not."""
    if current_user.is_authenticated:
        return f"user {current_user.id}"
    if "tf_user_id" in session and request.endpoint != "security.login":
        return f"second factor {session['tf_user_id']}"
    address = request.form.get("email", "").strip().lower()[:300]
    # Sealed: Redis holds nobody's address.
    return f"address {hmac.digest(current_app.config['SECRET_KEY'].encode(), address.encode(), 'sha256').hex()}"
