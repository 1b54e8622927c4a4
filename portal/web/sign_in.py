"""Signing in, by Flask-Security: passwords with argon2, a second factor, recovery codes."""

import base64
import hashlib
import threading
import unicodedata
from contextlib import suppress
from datetime import timedelta
from functools import wraps
from typing import Any, cast

import flask_security
from flask import Flask, abort, current_app, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_security import MailUtil, PasswordUtil, RoleMixin, Security, Totp, current_user
from flask_security.datastore import UserDatastore
from flask_security.mail_util import EmailValidateException
from flask_security.signals import (
    password_changed,
    password_reset,
    tf_disabled,
    tf_profile_changed,
    user_authenticated,
)
from flask_security.utils import check_and_get_token_status
from flask_wtf import CSRFProtect
from passlib.exc import UsedTokenError

from portal import clock, store
from portal.actions.staff import note_own_change
from portal.actions.who import Who
from portal.config import Settings
from portal.core.accounts import SHORTEST_PASSWORD, find_address, password_problem
from portal.mail import MailFailed, send_mail
from portal.store.staff import User
from portal.web.inside import inside

csrf = CSRFProtect()

LONGEST_SESSION = timedelta(hours=12)

# Flask-Security adds them unasked: codes by mail, and a choice of several second factors.
NOT_USED = {"security.two_factor_rescue", "security.tf_select"}

_WORDS = {
    "ANONYMOUS_USER_REQUIRED": "You are signed in already.",
    "DISABLED_ACCOUNT": "Email or password is not right.",
    "EMAIL_NOT_PROVIDED": "Type your email address.",
    "GENERIC_AUTHN_FAILED": "Email or password is not right.",
    "GENERIC_RECOVERY": "If somebody signs in with that address, a link to a new password is on its way.",
    "INVALID_EMAIL_ADDRESS": "That is not an email address.",
    "INVALID_PASSWORD": "That is not your password.",
    "INVALID_RECOVERY_CODE": "That code is not one of yours, or it was used before.",
    "INVALID_RESET_PASSWORD_TOKEN": "This link does not work, or was used before. Ask for a new one.",
    "NO_RECOVERY_CODES_SETUP": "You have no recovery codes yet.",
    "PASSWORD_CHANGE": "Your password is changed. Wherever else you were signed in, you are signed out.",
    "PASSWORD_IS_THE_SAME": "The new password is the old one.",
    "PASSWORD_NOT_PROVIDED": "Type your password.",
    "PASSWORD_RESET_EXPIRED": "This link is too old. Ask for a new one.",
    "PASSWORD_RESET_NO_LOGIN": "Your password is changed. Sign in with the new one.",
    "PASSWORD_RESET_REQUEST": "If somebody signs in with that address, a link to a new password is on its way.",
    "REAUTHENTICATION_REQUIRED": "Type your password once more: the next page is for you alone.",
    "REAUTHENTICATION_SUCCESSFUL": "Thank you.",
    "RETYPE_PASSWORD_MISMATCH": "The two are not the same.",
    "TWO_FACTOR_CHANGE_METHOD_SUCCESSFUL": "The second step is set up. From now on you are asked for a code.",
    "TWO_FACTOR_DISABLED": "The second step is switched off.",
    "TWO_FACTOR_INVALID_TOKEN": "That code is not right, or was used before. Type the next one that the app shows.",
    "TWO_FACTOR_LOGIN_SUCCESSFUL": "You are signed in.",
    "TWO_FACTOR_METHOD_NOT_AVAILABLE": "Choose one of these.",
    "TWO_FACTOR_PERMISSION_DENIED": "Sign in first.",
    "TWO_FACTOR_SETUP_EXPIRED": "That took too long. Begin once more.",
    "USER_DOES_NOT_EXIST": "Email or password is not right.",
}


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

    def put(self, model: Any) -> Any:
        # What is put may stand for the user who is signed in.
        g.setdefault("users_to_write", []).append(getattr(model, "_get_current_object", lambda: model)())
        return model

    def mf_delete_recovery_code(self, user: Any, idx: int) -> bool:
        """At once, and for one of two who come with it together."""
        with store.everything(write=True) as session:
            if not store.staff.use_recovery_code(session, user.id, user.mf_recovery_codes[idx]):
                abort(409)
        return True

    def commit(self) -> None:
        if users := g.pop("users_to_write", None):
            with store.everything(write=True) as session:
                for user in users:
                    store.staff.keep(session, user)


class _Passwords(PasswordUtil):
    def validate(self, password: str, is_register: bool, **about: Any) -> tuple[list[str] | None, str]:
        password = self.normalize(password)
        user = about.get("user")
        problem = password_problem(password, *((user.name, user.email) if user else ()))
        return [problem] if problem else None, password


class _Addresses(MailUtil):
    """An address is a name to sign in with: `.local` will do, and whether mail arrives is not asked."""

    def normalize(self, email: str) -> str:
        address = find_address(email)
        if address is None:
            raise EmailValidateException(_WORDS["INVALID_EMAIL_ADDRESS"])
        return address

    validate = normalize

    def send_mail(self, template: str, subject: Any, recipient: Any, sender: Any, *_: Any, **about: Any) -> None:
        """Only the link to a new password is sent, in words of ours. In a thread: how long the answer takes would
        tell whether there is such an account."""
        if "reset_token" not in about:
            return
        path = url_for("security.reset_password", token=about["reset_token"])
        text = (
            f"Hello {about['user'].name},\n\nyou, or somebody who typed your address, asked for a new password. "
            f"Choose it here within two hours:\n\n{base_url()}{path}\n\n"
            "If it was not you, do nothing: your password stays as it is.\n"
        )
        smtp_url = current_app.extensions["portal.settings"].smtp_url
        threading.Thread(target=_send_quietly, args=(smtp_url, recipient, text), daemon=True).start()


def _send_quietly(smtp_url: str, to: str, text: str) -> None:
    with suppress(MailFailed):
        send_mail(smtp_url, to, "A new password for SMS reminders", text)


class _OneUseTotp(Totp):
    """A code is good for one sign-in: who looked over a shoulder cannot use it again."""

    def get_last_counter(self, user: Any) -> int | None:
        last: int | None = user.tf_last_counter
        return last

    def set_last_counter(self, user: Any, tmatch: Any) -> None:
        with store.everything(write=True) as session:
            if not store.staff.use_counter(session, user.id, tmatch.counter):
                raise UsedTokenError


def hash_password(password: str) -> str:
    """As the sign-in will compare it."""
    hashed: str = flask_security.hash_password(unicodedata.normalize("NFKD", password))
    return hashed


def base_url() -> str:
    """Where the portal's pages are for others. Without PORTAL_PUBLIC_URL only this machine is answered."""
    public: str | None = current_app.extensions["portal.settings"].public_url
    return public.rstrip("/") if public else f"http://127.0.0.1:{request.environ['SERVER_PORT']}"


def register(app: Flask, settings: Settings) -> None:
    secret = app.config["SECRET_KEY"]
    is_https = (settings.public_url or "").startswith("https://")
    app.config.update(
        SECURITY_PASSWORD_SALT=_derived(secret, "passwords"),
        SECURITY_PASSWORD_HASH="argon2",  # noqa: S106  the scheme's name
        SECURITY_PASSWORD_SCHEMES=["argon2"],
        SECURITY_PASSWORD_LENGTH_MIN=SHORTEST_PASSWORD,
        SECURITY_PASSWORD_NORMALIZE_FORM="NFKD",  # noqa: S106
        SECURITY_RETURN_GENERIC_RESPONSES=True,
        SECURITY_STATIC_FOLDER=None,
        SECURITY_CHANGEABLE=True,
        SECURITY_SEND_PASSWORD_CHANGE_EMAIL=False,
        SECURITY_RECOVERABLE=settings.smtp_url is not None,
        SECURITY_SEND_PASSWORD_RESET_NOTICE_EMAIL=False,
        SECURITY_RESET_PASSWORD_WITHIN=timedelta(hours=2),
        SECURITY_EMAIL_HTML=False,
        SECURITY_TWO_FACTOR=True,
        SECURITY_TWO_FACTOR_ENABLED_METHODS=["authenticator"],
        SECURITY_TWO_FACTOR_AUTHENTICATOR_VALIDITY=30,  # seconds by which the phone's clock may be off
        SECURITY_TWO_FACTOR_RESCUE_EMAIL=False,
        SECURITY_TWO_FACTOR_ALWAYS_VALIDATE=True,
        SECURITY_MULTI_FACTOR_RECOVERY_CODES=True,
        SECURITY_MULTI_FACTOR_RECOVERY_CODES_N=8,
        SECURITY_MULTI_FACTOR_RECOVERY_CODES_KEYS=[_fernet_key(secret)],
        SECURITY_TOTP_SECRETS={"1": _derived(secret, "totp")},
        SECURITY_TOTP_ISSUER="SMS reminders",
        SECURITY_LOGIN_URL="/sign-in",
        SECURITY_LOGOUT_URL="/sign-out",
        SECURITY_LOGOUT_CSRF=True,
        SECURITY_RESET_URL="/new-password",
        SECURITY_CHANGE_URL="/account/password",
        SECURITY_TWO_FACTOR_SETUP_URL="/account/second-factor",
        SECURITY_TWO_FACTOR_TOKEN_VALIDATION_URL="/sign-in/code",  # noqa: S106  an address
        SECURITY_MULTI_FACTOR_RECOVERY_CODES_URL="/account/recovery-codes",
        SECURITY_MULTI_FACTOR_RECOVERY_URL="/sign-in/recovery-code",
        SECURITY_VERIFY_URL="/account/verify",
        SECURITY_FRESHNESS=timedelta(minutes=30),
        SECURITY_FRESHNESS_GRACE_PERIOD=timedelta(minutes=10),
        SECURITY_API_ENABLED_METHODS=["session"],
        SECURITY_POST_LOGIN_VIEW="/",
        SECURITY_POST_LOGOUT_VIEW="/sign-in",
        SECURITY_POST_CHANGE_VIEW="/account",
        SECURITY_POST_RESET_VIEW="/sign-in",
        SECURITY_POST_VERIFY_VIEW="/account",
        SECURITY_TWO_FACTOR_POST_SETUP_VIEW="/account",
        SESSION_COOKIE_SECURE=is_https,
        SESSION_COOKIE_NAME="__Host-session" if is_https else "session",
        PERMANENT_SESSION_LIFETIME=LONGEST_SESSION,
        WTF_CSRF_TIME_LIMIT=int(LONGEST_SESSION.total_seconds()),
        WTF_CSRF_SSL_STRICT=False,  # it asks for a Referer over https; the token and SameSite do the work
        **{f"SECURITY_MSG_{name}": (words, "info") for name, words in _WORDS.items()},
    )
    security = Security(
        app,
        StaffDatastore(),
        register_blueprint=True,
        password_util_cls=_Passwords,
        mail_util_cls=_Addresses,
        totp_cls=_OneUseTotp,
    )
    security.want_json(lambda request: False)  # pages only
    _keep_the_picture(app)
    app.before_request(_keep_inside)
    user_authenticated.connect(_begin_session, app)
    for signal, field, before, after in (
        (password_changed, "password", "", "changed"),
        (password_reset, "password", "", "changed by a link sent by mail"),
        (tf_profile_changed, "second factor", "off", "on"),
        (tf_disabled, "second factor", "on", "off"),
    ):
        signal.connect(_Note(field, before, after), app, weak=False)


class _Note:
    def __init__(self, field: str, before: str, after: str) -> None:
        self.field, self.before, self.after = field, before, after

    def __call__(self, sender: Flask, user: Any, **_: Any) -> None:
        if user.joined_at is None:  # an invitation that was lost, and the link to a new password taken instead
            user.joined_at = clock.now()
        who = Who(user.id, user.name)
        note_own_change(user.practice_id, who, self.field, self.before, self.after, clock.now())


def _keep_inside() -> ResponseReturnValue | None:
    """Its own pages that we do not use are not there, and none leads outside."""
    endpoint = request.endpoint or ""
    if endpoint in NOT_USED:
        abort(404)
    if endpoint.startswith("security.") and "next" in request.values and not inside(request.values["next"], ""):
        return redirect(request.path, 303)
    return None


def _keep_the_picture(app: Flask) -> None:
    """Where the first code of a new phone has a slip in it, the same picture is shown again: Flask-Security makes
    another one, and what was scanned would be worth nothing."""
    endpoint = "security.two_factor_setup_validate"
    view = app.view_functions[endpoint]

    @wraps(view)
    def validate(token: str) -> ResponseReturnValue:
        answer = view(token)
        if not getattr(answer, "location", "").startswith(url_for("security.two_factor_setup")):
            return cast(ResponseReturnValue, answer)
        expired, invalid, state = check_and_get_token_status(
            token, "tf_setup", app.config["SECURITY_TWO_FACTOR_SETUP_WITHIN"]
        )
        if expired or invalid:
            return cast(ResponseReturnValue, answer)
        session.pop("_flashes", None)  # said beside the field instead
        scanned = app.extensions["security"].totp_factory.fetch_setup_values(state["totp_secret"], current_user)
        page = render_template(
            "security/two_factor_setup.html",
            chosen_method="authenticator",
            changing=True,
            state_token=token,
            authr_qrcode=scanned["image"],
            authr_key=scanned["key"],
            code_error=_WORDS["TWO_FACTOR_INVALID_TOKEN"],
        )
        return page, 422

    app.view_functions[endpoint] = validate


def _begin_session(sender: Flask, user: User, **_: Any) -> None:
    """Nothing that the browser held before somebody signed in is kept: not the form token, which another may
    have planted, nor anything of who used the desk before."""
    for key in set(session) - {"_user_id", "_fresh", "_id", "fs_cc", "fs_paa"}:
        del session[key]
    session["began_at"] = session["seen_at"] = clock.now().timestamp()


def _derived(secret: str, purpose: str) -> str:
    return hashlib.sha256(f"{purpose}:{secret}".encode()).hexdigest()


def _fernet_key(secret: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(f"recovery:{secret}".encode()).digest())
