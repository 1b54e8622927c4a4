"""The first run: while nobody can sign in, every page leads here."""

from flask import Blueprint, Flask, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import login_user

from portal import clock
from portal.actions import first_run
from portal.actions.add_practice import PracticeRefused
from portal.actions.first_run import NotEmpty, make_first_user
from portal.actions.staff import StaffRefused
from portal.core.numbers import list_countries
from portal.core.zones import list_zones
from portal.set_up_code import end_set_up_code, is_set_up_code
from portal.web.access import ANYONE, access_of, allow
from portal.web.practices import typed_practice
from portal.web.sign_in import hash_password

SYSADMIN, NEW = "", " "  # instead of a practice's id, which has no space

pages = Blueprint("first_run", __name__, url_prefix="/set-up")


def register(app: Flask) -> None:
    app.before_request(_lead_here)


def _lead_here() -> ResponseReturnValue | None:
    endpoint = request.endpoint
    if endpoint is not None and access_of(current_app, endpoint) == ANYONE and not endpoint.startswith("security."):
        return None
    return redirect(url_for("first_run.show"), 303) if _is_empty() else None


def _is_empty() -> bool:
    """Asked until somebody is there, and then no more: nobody but an empty database is ever without anyone."""
    if not current_app.extensions.get("portal.has_users"):
        current_app.extensions["portal.has_users"] = not first_run.is_empty()
    return not current_app.extensions["portal.has_users"]


@pages.get("")
@allow(ANYONE)
def show() -> ResponseReturnValue:
    return _form() if _is_empty() else redirect(url_for("security.login"), 303)


@pages.post("")
@allow(ANYONE)
def set_up() -> ResponseReturnValue:
    if not _is_empty():
        abort(404)
    settings = current_app.extensions["portal.settings"]
    typed = {name: request.form.get(name, "") for name in ("code", "whose", "name", "email", "password", "again")}
    try:
        if not is_set_up_code(settings, typed["code"]):
            raise StaffRefused("That is not the code. It is on the terminal in which the portal was started.", "code")
        if typed["password"] != typed["again"]:
            raise StaffRefused("The two are not the same.", "again")
        of = {SYSADMIN: None, NEW: typed_practice()}.get(typed["whose"], typed["whose"])
        user = make_first_user(of, typed["name"], typed["email"], typed["password"], hash_password, clock.now())
    except (StaffRefused, PracticeRefused) as refused:
        return _form(refused), 422
    except NotEmpty:
        abort(404)
    end_set_up_code(settings)
    login_user(user, remember=False, authn_via=["password"])
    return redirect(url_for("account.show") if of is None else url_for("home"), 303)


def _form(refused: StaffRefused | PracticeRefused | None = None) -> str:
    return render_template(
        "staff/set_up.html",
        practices=first_run.practices(),
        sysadmin=SYSADMIN,
        new=NEW,
        countries=list_countries(),
        zones=list_zones(),
        refused=refused,
    )
