"""Signing in, by Flask-Security: passwords with argon2, a second factor, recovery codes."""

import base64
import hashlib
from datetime import timedelta
from typing import Any

from flask import Flask, g
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_security import RoleMixin, Security
from flask_security.datastore import UserDatastore
from flask_wtf import CSRFProtect

from portal import store
from portal.config import Settings
from portal.store.staff import User

csrf = CSRFProtect()
limiter = Limiter(get_remote_address)

LONGEST_SESSION = timedelta(hours=12)


class _NoRole(RoleMixin):
    """Roles are a column of the user."""


class StaffDatastore(UserDatastore):
    """Reads and writes users in transactions of their own; what is put is written by `commit`."""

    def __init__(self) -> None:
        super().__init__(User, _NoRole)

    def find_user(self, case_insensitive: bool = False, **wanted: Any) -> User | None:
        ((column, value),) = wanted.items()
        with store.everything() as session:
            return store.staff.find_by(session, column, value)

    def find_role(self, role: str) -> None:
        return None

    def put(self, model: User) -> User:
        g.setdefault("users_to_write", []).append(model)
        return model

    def commit(self) -> None:
        if users := g.pop("users_to_write", None):
            with store.everything(write=True) as session:
                for user in users:
                    store.staff.keep(session, user)


def register(app: Flask, settings: Settings) -> None:
    secret = app.config["SECRET_KEY"]
    is_https = (settings.public_url or "").startswith("https://")
    app.config.update(
        SECURITY_PASSWORD_SALT=_derived(secret, "passwords"),
        SECURITY_PASSWORD_HASH="argon2",  # noqa: S106  the scheme's name
        SECURITY_PASSWORD_SCHEMES=["argon2"],
        SECURITY_PASSWORD_LENGTH_MIN=12,
        SECURITY_RETURN_GENERIC_RESPONSES=True,
        SECURITY_CHANGEABLE=True,
        SECURITY_SEND_PASSWORD_CHANGE_EMAIL=False,
        SECURITY_TWO_FACTOR=True,
        SECURITY_TWO_FACTOR_ENABLED_METHODS=["authenticator"],
        SECURITY_TWO_FACTOR_RESCUE_EMAIL=False,
        SECURITY_TWO_FACTOR_ALWAYS_VALIDATE=True,
        SECURITY_MULTI_FACTOR_RECOVERY_CODES=True,
        SECURITY_MULTI_FACTOR_RECOVERY_CODES_KEYS=[_fernet_key(secret)],
        SECURITY_TOTP_SECRETS={"1": _derived(secret, "totp")},
        SECURITY_TOTP_ISSUER="SMS reminders",
        SECURITY_LOGIN_URL="/sign-in",
        SECURITY_LOGOUT_URL="/sign-out",
        SECURITY_LOGOUT_CSRF=True,
        SECURITY_CHANGE_URL="/account/password",
        SECURITY_TWO_FACTOR_SETUP_URL="/account/second-factor",
        SECURITY_TWO_FACTOR_TOKEN_VALIDATION_URL="/sign-in/code",  # noqa: S106  an address
        SECURITY_MULTI_FACTOR_RECOVERY_CODES_URL="/account/recovery-codes",
        SECURITY_MULTI_FACTOR_RECOVERY_URL="/sign-in/recovery-code",
        SECURITY_VERIFY_URL="/account/verify",
        SECURITY_FRESHNESS=timedelta(minutes=30),
        SECURITY_FRESHNESS_GRACE_PERIOD=timedelta(minutes=10),
        SECURITY_API_ENABLED_METHODS=["session"],
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
        SECURITY_POST_LOGIN_VIEW="/",
        SECURITY_POST_LOGOUT_VIEW="/sign-in",
        SECURITY_POST_CHANGE_VIEW="/account",
        SECURITY_TWO_FACTOR_POST_SETUP_VIEW="/account",
        SESSION_COOKIE_SECURE=is_https,
        SESSION_COOKIE_NAME="__Host-session" if is_https else "session",
        PERMANENT_SESSION_LIFETIME=LONGEST_SESSION,
        WTF_CSRF_TIME_LIMIT=int(LONGEST_SESSION.total_seconds()),
    )
    csrf.init_app(app)
    Security(app, StaffDatastore(), register_blueprint=True)


def _derived(secret: str, purpose: str) -> str:
    return hashlib.sha256(f"{purpose}:{secret}".encode()).hexdigest()


def _fernet_key(secret: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(f"recovery:{secret}".encode()).digest())
