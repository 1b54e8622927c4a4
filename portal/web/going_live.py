"""Going live: what should be in order before, each day as it would go, and the step itself."""

from datetime import date

from flask import Blueprint, abort, current_app, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import going_live
from portal.actions.going_live import CannotGoLive, Provider
from portal.actions.rehearsal import rehearse
from portal.actions.sending import NotConfirmed
from portal.core.roles import Permission
from portal.web.access import allow, who
from portal.web.remembered import remembered
from portal.web.setting_forms import is_confirmed

pages = Blueprint("going_live", __name__, url_prefix="/going-live")


@pages.get("")
@allow(Permission.SETTINGS)
def index(problem: str = "", field: str = "") -> str:
    provider = _provider()
    seen = remembered(lambda: going_live.look_at_readiness(g.practice, provider, clock.now()), "going-live", provider)
    return render_template(
        "going_live/index.html",
        seen=seen,
        problem=problem,
        problem_field=field,
        given=request.form if problem else {},
    )


@pages.post("")
@allow(Permission.SETTINGS)
def go_live() -> ResponseReturnValue:
    try:
        going_live.go_live(
            g.practice,
            _provider(),
            _left_out(),
            confirmed=is_confirmed(),
            accepted=bool(request.form.get("accept")),
            who=who(),
            now=clock.now(),
        )
    except CannotGoLive as refused:
        return index(str(refused), refused.field), 422
    except NotConfirmed as refused:
        return index(str(refused), "confirm"), 422
    flash("You are live. Reminders go from the next hour for reminders on.", "going-live")
    return redirect(url_for(".index"), 303)


@pages.post("/left-out")
@allow(Permission.SETTINGS)
def leave_out() -> ResponseReturnValue:
    try:
        going_live.leave_out(g.practice.id, _left_out(), who(), clock.now())
    except CannotGoLive as refused:
        return index(str(refused), refused.field), 422
    flash("Saved. It holds from the next hour for reminders on.", "going-live")
    return redirect(url_for(".index"), 303)


@pages.get("/days")
@allow(Permission.READ)
def days() -> str:
    """Who would have been texted on one day, and who not."""
    try:
        day = _day(request.args.get("day", ""))
        shown = remembered(lambda: rehearse(g.practice, day, clock.now()), "rehearsal", day)
    except ValueError:
        abort(404)
    return render_template("going_live/day.html", shown=shown)


def _provider() -> Provider:
    settings, refused = current_app.extensions["portal.settings"], g.frame.account_refused
    return Provider(settings.can_send, settings.is_provider_on_loopback, refused["code"] if refused else "")


def _left_out() -> date | None:
    """Up to which day, as the form says. Raises CannotGoLive."""
    if request.form.get("reminded") != "elsewhere":
        return None
    try:
        day = _day(request.form.get("until", ""))
    except ValueError:
        day = None
    if day is None:
        raise CannotGoLive("Say up to which day, like 2031-05-09.", "until")
    return day


def _day(typed: str) -> date | None:
    """None where nothing was typed. Raises ValueError."""
    return date.fromisoformat(typed.strip()) if typed.strip() else None
