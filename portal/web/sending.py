"""Pause all sending, see what that holds back, and switch it on again."""

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import sending
from portal.actions.held_back import HeldBack, count_texts, list_held_back, paused_at
from portal.actions.sending import NotConfirmed, NotLive
from portal.core.phrases import counted
from portal.core.reminders import Sending
from portal.core.roles import Permission
from portal.core.timing import local
from portal.web.access import allow, who
from portal.web.setting_forms import done, is_confirmed, refused

pages = Blueprint("sending", __name__, url_prefix="/sending")


@pages.get("")
@allow(Permission.SEND, Permission.SETTINGS)
def index(problem: str = "", field: str = "") -> str:
    now = clock.now()
    held = list_held_back(g.practice, now) if g.practice.sending is Sending.PAUSED else None
    since = local(paused_at(g.practice), g.frame.zone or "UTC")
    return render_template("sending/index.html", held=held, since=since, now=now, problem=problem)


@pages.post("/pause")
@allow(Permission.SEND, Permission.SETTINGS)
def pause() -> ResponseReturnValue:
    try:
        sending.pause(g.practice.id, request.form.get("why", ""), who(), clock.now())
    except NotLive as not_live:
        flash(str(not_live), "sending")
    return redirect(url_for(".index"), 303)


@pages.post("/resume")
@allow(Permission.SEND, Permission.SETTINGS)
def resume() -> ResponseReturnValue:
    now = clock.now()
    is_told = g.practice.sending is Sending.PAUSED and not request.form.get("appointment")
    held = list_held_back(g.practice, now) if is_told else None
    texts = count_texts(g.practice) if is_told else 0
    try:
        is_on_again = sending.resume(g.practice.id, confirmed=is_confirmed(), who=who(), now=now)
    except (NotConfirmed, NotLive) as problem:
        return refused(index, str(problem), "confirm")
    if is_on_again and held:
        flash(_now_goes(held, texts), "sending")
    return done(index, ".index")


def _now_goes(held: HeldBack, texts: int) -> str:
    says = "Sending is on again."
    if held.will_go:
        says += f" {counted(held.will_go, 'reminder')} held back will go at the next hour of their day."
    if held.too_late:
        says += f" {counted(len(held.too_late), 'reminder')} came too late for that: see To deal with, on Today."
    if texts:
        goes = "text by staff does" if texts == 1 else "texts by staff do"
        says += f" {texts:,} {goes} not go without you: see To deal with, on Today."
    return says
