"""One's own account: name, password, second step, recovery codes, signing out everywhere."""

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user, logout_user

from portal import clock
from portal.actions import staff
from portal.actions.staff import StaffRefused
from portal.core.roles import Permission
from portal.web.access import SIGNED_IN, allow

pages = Blueprint("account", __name__, url_prefix="/account")


@pages.get("")
@allow(SIGNED_IN)
def show() -> str:
    return _page()


@pages.post("")
@allow(SIGNED_IN)
def rename() -> ResponseReturnValue:
    try:
        staff.rename_oneself(current_user.id, request.form.get("name", ""), clock.now())
    except StaffRefused as refused:
        return _page(refused), 422
    flash("Your name is changed.")
    return redirect(url_for("account.show"), 303)


@pages.post("/daily-line")
@allow(Permission.READ)
def choose_daily_line() -> ResponseReturnValue:
    wanted, with_names = bool(request.form.get("wanted")), bool(request.form.get("names"))
    staff.choose_daily_line(current_user.id, wanted, with_names, clock.now())
    comes = "comes by mail" if _can_mail() else "comes by mail once your administrator has set up mail"
    flash(f"The day's line {comes}." if wanted else "The day's line does not come by mail.")
    return redirect(url_for("account.show"), 303)


@pages.post("/sign-out-everywhere")
@allow(SIGNED_IN)
def sign_out_everywhere() -> ResponseReturnValue:
    staff.sign_out_everywhere(current_user.id)
    logout_user()
    flash("You are signed out everywhere.")
    return redirect(url_for("security.login"), 303)


def _can_mail() -> bool:
    return current_app.extensions["portal.settings"].smtp_url is not None


def _page(refused: StaffRefused | None = None) -> str:
    security = current_app.extensions["security"]
    return render_template(
        "staff/account.html",
        name=request.form.get("name", current_user.name),
        refused=refused,
        can_mail=_can_mail(),
        codes_left=len(security.mf_recovery_codes_util.get_recovery_codes(current_user)),
    )
