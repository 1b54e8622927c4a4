"""The invitation, taken: a name and a password, and its link ends."""

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import login_user, logout_user

from portal import clock
from portal.actions import staff
from portal.actions.staff import NoSuchColleague, StaffRefused
from portal.invitations import find_invited
from portal.store.staff import User
from portal.web.access import ANYONE, allow
from portal.web.sign_in import hash_password

pages = Blueprint("join", __name__, url_prefix="/join")


@pages.get("/<token>")
@allow(ANYONE)
def show(token: str) -> ResponseReturnValue:
    invited = _invited(token)
    return _form(token, invited) if invited else _ended()


@pages.post("/<token>")
@allow(ANYONE)
def join(token: str) -> ResponseReturnValue:
    invited = _invited(token)
    if invited is None:
        return _ended()
    name, password = request.form.get("name", ""), request.form.get("password", "")
    try:
        if password != request.form.get("again", ""):
            raise StaffRefused("The two are not the same.", "again")
        user = staff.join(invited.fs_uniquifier, name, password, hash_password, clock.now())
    except StaffRefused as refused:
        return _form(token, invited, refused), 422
    except NoSuchColleague:
        return _ended()
    logout_user()  # whoever was at this desk
    login_user(user, remember=False, authn_via=["password"])
    flash("Welcome. A second step at sign-in keeps patients' details safe if your password gets out.")
    return redirect(url_for("account.show"), 303)


def _invited(token: str) -> User | None:
    uniquifier = find_invited(current_app.config["SECRET_KEY"], token, clock.now())
    return staff.find_invitation(uniquifier) if uniquifier else None


def _form(token: str, invited: User, refused: StaffRefused | None = None) -> str:
    return render_template(
        "staff/join.html", token=token, invited=invited, name=request.form.get("name", invited.name), refused=refused
    )


def _ended() -> ResponseReturnValue:
    return render_template("staff/ended.html"), 410
