"""The practice's staff: who they are, what they may do, and their way in."""

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import staff
from portal.actions.staff import PRACTICE_ROLES, Invited, StaffRefused
from portal.core.roles import IN_WORDS, Permission
from portal.web.access import allow, who
from portal.web.hand_over import mail_or_keep, take_link
from portal.web.row_ids import LARGEST_ID

pages = Blueprint("staff", __name__, url_prefix="/settings/staff")


@pages.get("")
@allow(Permission.STAFF, fresh=True)
def index() -> str:
    return _page()


@pages.post("")
@allow(Permission.STAFF, fresh=True)
def invite() -> ResponseReturnValue:
    typed = {name: request.form.get(name, "") for name in ("name", "email", "role", "practitioner")}
    try:
        invited = staff.invite(g.practice.id, who=who(), now=clock.now(), **typed)
    except StaffRefused as refused:
        return _page(refused), 422
    return _hand_over(invited)


@pages.get(f"/<int(max={LARGEST_ID}):user_id>")
@allow(Permission.STAFF, fresh=True)
def show(user_id: int) -> str:
    return _one(user_id)


@pages.post(f"/<int(max={LARGEST_ID}):user_id>/role")
@allow(Permission.STAFF, fresh=True)
def change_role(user_id: int) -> ResponseReturnValue:
    role, practitioner = request.form.get("role", ""), request.form.get("practitioner", "")
    try:
        user = staff.change_role(g.practice.id, user_id, role, practitioner, who(), clock.now())
    except StaffRefused as refused:
        return _one(user_id, refused), 422
    return _done(f"{user.name} is now: {IN_WORDS[user.role]}.")


@pages.post(f"/<int(max={LARGEST_ID}):user_id>/off")
@allow(Permission.STAFF, fresh=True)
def switch_off(user_id: int) -> ResponseReturnValue:
    try:
        user = staff.switch_off(g.practice.id, user_id, who(), clock.now())
    except StaffRefused as refused:
        return _one(user_id, refused), 422
    return _done(f"{user.name} is switched off, and signed out everywhere.")


@pages.post(f"/<int(max={LARGEST_ID}):user_id>/on")
@allow(Permission.STAFF, fresh=True)
def switch_on(user_id: int) -> ResponseReturnValue:
    user = staff.switch_on(g.practice.id, user_id, who(), clock.now())
    return _done(f"{user.name} can sign in again.")


@pages.post(f"/<int(max={LARGEST_ID}):user_id>/link")
@allow(Permission.STAFF, fresh=True)
def give_new_link(user_id: int) -> ResponseReturnValue:
    try:
        invited = staff.give_new_link(g.practice.id, user_id, who(), clock.now())
    except StaffRefused as refused:
        return _one(user_id, refused), 422
    return _hand_over(invited)


@pages.post(f"/<int(max={LARGEST_ID}):user_id>/withdraw")
@allow(Permission.STAFF, fresh=True)
def withdraw(user_id: int) -> ResponseReturnValue:
    try:
        user = staff.withdraw_invitation(g.practice.id, user_id, who(), clock.now())
    except StaffRefused as refused:
        return _one(user_id, refused), 422
    return _done(f"The invitation of {user.name} is withdrawn.")


def _hand_over(invited: Invited) -> ResponseReturnValue:
    if mail_or_keep(invited, g.practice.name):
        return _done(f"{invited.name} has been sent a link, which works for 7 days.")
    return redirect(url_for("staff.hand_over"), 303)


@pages.get("/link")
@allow(Permission.STAFF, fresh=True)
def hand_over() -> ResponseReturnValue:
    user_id, link = take_link()
    if user_id is None:
        return redirect(url_for("staff.index"), 303)
    return render_template("staff/link.html", colleague=staff.get_colleague(g.practice.id, user_id), link=link)


def _done(says: str) -> ResponseReturnValue:
    flash(says)
    return redirect(url_for("staff.index"), 303)


def _page(refused: StaffRefused | None = None) -> str:
    found = staff.list_colleagues(g.practice.id)
    return render_template("staff/index.html", found=found, refused=refused, **_choices())


def _one(user_id: int, refused: StaffRefused | None = None) -> str:
    found = staff.list_colleagues(g.practice.id)
    colleague = next((user for user in found.staff if user.id == user_id), None) or abort(404)
    return render_template("staff/show.html", found=found, colleague=colleague, refused=refused, **_choices())


def _choices() -> dict[str, object]:
    return {"roles": PRACTICE_ROLES, "role_in_words": IN_WORDS}
