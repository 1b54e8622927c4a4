"""The practices of the host, for the sysadmin: add one, invite its owner, grant credits, pause. Nothing of any
patient."""

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import credits, sending, staff
from portal.actions.add_practice import NewPractice, PracticeRefused, add_practice
from portal.actions.credits import CreditsRefused
from portal.actions.host import show_practice
from portal.actions.sending import NotConfirmed, NotLive
from portal.actions.staff import StaffRefused
from portal.core.numbers import list_countries
from portal.core.roles import Permission, Role
from portal.core.zones import list_zones
from portal.web.access import allow, who
from portal.web.hand_over import mail_or_keep, take_link
from portal.web.setting_forms import given, given_amount, is_confirmed

pages = Blueprint("practices", __name__, url_prefix="/host")


@pages.get("/practices/new")
@allow(Permission.HOST, fresh=True)
def new(refused: PracticeRefused | None = None) -> str:
    return render_template("host/new.html", refused=refused, countries=list_countries(), zones=list_zones())


@pages.post("/practices/new")
@allow(Permission.HOST, fresh=True)
def add() -> ResponseReturnValue:
    try:
        practice_id = add_practice(typed_practice(), who(), clock.now())
    except PracticeRefused as refused:
        return new(refused), 422
    return _back(practice_id, "added")


def typed_practice() -> NewPractice:
    return NewPractice(*(request.form.get(name, "") for name in ("id", "practice", "country", "timezone", "sender")))


@pages.get("/practice")
@allow(Permission.HOST, fresh=True)
def show(problem: str = "", field: str = "") -> str:
    """Its id may hold any character, so it is no part of the path."""
    shown = show_practice(_practice_id())
    given = request.form if problem else {}
    did = "" if problem else request.args.get("did", "")
    return render_template(
        "host/practice.html", shown=shown, problem=problem, problem_field=field, given=given, did=did
    )


@pages.post("/practice/invite")
@allow(Permission.HOST, fresh=True)
def invite_owner() -> ResponseReturnValue:
    shown = show_practice(_practice_id())
    name, email = request.form.get("name", ""), request.form.get("email", "")
    try:
        invited = staff.invite(shown.practice.id, name, email, Role.OWNER, "", who(), clock.now())
    except StaffRefused as refused:
        return show(str(refused), refused.field), 422
    if mail_or_keep(invited, shown.practice.name):
        flash(f"{invited.name} has been sent a link, which works for 7 days.", "owners")
        return _back(shown.practice.id)
    return redirect(url_for(".link", id=shown.practice.id), 303)


@pages.get("/practice/link")
@allow(Permission.HOST, fresh=True)
def link() -> ResponseReturnValue:
    practice_id = _practice_id()
    user_id, link = take_link()
    if user_id is None:
        return _back(practice_id)
    shown = show_practice(practice_id)
    owner = next((one for one in shown.owners if one.id == user_id), None) or abort(404)
    return render_template("host/link.html", practice=shown.practice, owner=owner, link=link)


@pages.post("/practice/credits")
@allow(Permission.HOST, fresh=True)
def grant() -> ResponseReturnValue:
    try:
        credits.top_up(_practice_id(), given_amount(), given("reference"), clock.now(), who())
    except CreditsRefused as refused:
        return show(str(refused), refused.field), 422
    return _back(_practice_id(), "credits")


@pages.post("/practice/pause")
@allow(Permission.HOST, fresh=True)
def pause() -> ResponseReturnValue:
    try:
        sending.pause(_practice_id(), request.form.get("why", ""), who(), clock.now())
    except NotLive:
        return show("It rehearses: nothing is sent, and there is nothing to pause.", "why"), 422
    return _back(_practice_id(), "pause")


@pages.post("/practice/resume")
@allow(Permission.HOST, fresh=True)
def resume() -> ResponseReturnValue:
    try:
        sending.resume(_practice_id(), confirmed=is_confirmed(), who=who(), now=clock.now())
    except NotConfirmed as refused:  # or it is not live
        return show(str(refused), "confirm"), 422
    return _back(_practice_id(), "resume")


@pages.get("/balance")
@allow(Permission.HOST)
def balance() -> str:
    """The provider's own, asked now."""
    is_fragment = bool(request.headers.get("HX-Request"))
    says = current_app.extensions["portal.provider_balance"]()
    return render_template("host/_balance.html" if is_fragment else "host/balance.html", says=says)


def _practice_id() -> str:
    """As it was asked for: no practice has what PostgreSQL cannot even be asked for."""
    return request.values.get("id", "").replace("\0", "")


def _back(practice_id: str, did: str | None = None) -> ResponseReturnValue:
    """`did`: which form, which then says so in its place."""
    return redirect(url_for(".show", id=practice_id, did=did), 303)
