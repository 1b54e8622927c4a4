"""Appointments as staff change them: added, moved, cancelled, un-cancelled; each form says first what that does to
the reminder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, abort, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions.book import book, foresee_booking, show_booking
from portal.actions.booking import FIRST, SECOND, AddedAnother, Asked, Changed, Foreseen, Twice
from portal.actions.browse_patients import browse
from portal.actions.cancel import cancel, show_cancel, take_up
from portal.actions.move import foresee_move, move, show_move
from portal.actions.patients import Refused
from portal.core.roles import Permission
from portal.store.imported import made_here_id
from portal.web.access import allow, who
from portal.web.inside import leave_for
from portal.web.row_ids import LARGEST_ID, row_id

MOST_FOUND = 10
_APPOINTMENT = f"/<int(max={LARGEST_ID}):appointment_id>"
_LONGEST = 30  # of what a field of a time holds

pages = Blueprint("booking", __name__, url_prefix="/appointments")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the form says to what was typed: what saving does, and what is to be mended in which field, `all` for the
    form itself. `is_twice`: the clocks show the time twice that day."""

    foreseen: Foreseen | None = None
    field: str = ""
    problem: str = ""
    is_twice: bool = False


# --- adding -------------------------------------------------------------------------------------------------


@pages.get("/new")
@allow(Permission.PATIENTS)
def new() -> ResponseReturnValue:
    """`?patient=`, and whatever else is known of it: `?day=`, `?business=`, ids being rows'."""
    return _booking(_Answer()) if _id("patient") else _whose()


@pages.post("/new/patient")
@allow(Permission.PATIENTS)
def find_patient() -> str:
    """By POST: addresses are logged on the way, and a name is not for logs."""
    return _whose()


@pages.post("/new/effect")
@allow(Permission.PATIENTS)
def effect_of_new() -> str:
    return _effect(lambda asked: foresee_booking(g.practice.id, _id("patient"), asked, clock.now()), is_new=True)


@pages.post("/new")
@allow(Permission.PATIENTS)
def add() -> ResponseReturnValue:
    patient_id, asked, now, form_id = _id("patient"), _asked(), clock.now(), request.form.get("form_id", "")
    try:
        if not _saves():
            return _booking(_shown(foresee_booking(g.practice.id, patient_id, asked, now)), form_id)
        added = book(g.practice.id, patient_id, asked, form_id, request.form.get("effect", ""), who(), now)
    except (Refused, Changed) as refused:
        answer = _refused(refused, lambda: foresee_booking(g.practice.id, patient_id, asked, now))
        return _booking(answer, "" if isinstance(refused, AddedAnother) else form_id), 422
    return _go(added, "added")


def _whose() -> str:
    """The first step: whom it is for."""
    search = request.values.get("q", "").strip()
    found = browse(g.practice.id, MOST_FOUND, clock.now().date(), search=search) if search else None
    is_fragment = request.headers.get("HX-Request-Type") == "partial"
    template = "appointments/_found.html" if is_fragment else "appointments/whose.html"
    known = {name: request.values.get(name) for name in ("day", "business")}
    return render_template(template, found=found, search=search, known=known)


def _booking(answer: _Answer, form_id: str = "") -> str:
    asked = _asked()
    shown = show_booking(g.practice.id, _id("patient"), asked)
    if shown.parts.patient is None:
        abort(404)
    return _form(
        "new",
        answer,
        asked,
        choices=shown.choices,
        patient=shown.parts.patient,
        numbers=shown.parts.numbers,
        form_id=made_here_id(form_id),
    )


# --- moving -------------------------------------------------------------------------------------------------


@pages.get(f"{_APPOINTMENT}/move")
@allow(Permission.PATIENTS)
def show_moving(appointment_id: int) -> str:
    return _moving(appointment_id, _Answer(), None)


@pages.post(f"{_APPOINTMENT}/move/effect")
@allow(Permission.PATIENTS)
def effect_of_move(appointment_id: int) -> str:
    return _effect(lambda asked: foresee_move(g.practice.id, appointment_id, asked, clock.now()), is_new=False)


@pages.post(f"{_APPOINTMENT}/move")
@allow(Permission.PATIENTS)
def move_it(appointment_id: int) -> ResponseReturnValue:
    asked, now = _asked(), clock.now()
    try:
        if not _saves():
            return _moving(appointment_id, _shown(foresee_move(g.practice.id, appointment_id, asked, now)), asked)
        seen, seen_effect = request.form.get("seen", ""), request.form.get("effect", "")
        is_changed = move(g.practice.id, appointment_id, asked, seen, seen_effect, who(), now)
    except (Refused, Changed) as refused:
        answer = _refused(refused, lambda: foresee_move(g.practice.id, appointment_id, asked, now))
        return _moving(appointment_id, answer, asked), 422
    return _go(appointment_id, "changed" if is_changed else None)


def _moving(appointment_id: int, answer: _Answer, asked: Asked | None) -> str:
    """`asked`: what was typed; None for how it stands."""
    shown = show_move(g.practice.id, appointment_id, clock.now())
    if asked is None:
        answer = _Answer(is_twice=bool(shown.asked.which))
    return _form(
        "move",
        answer,
        asked or shown.asked,
        choices=shown.choices,
        patient=shown.found.patient,
        numbers=shown.found.numbers,
        shown=shown,
    )


# --- cancelling ---------------------------------------------------------------------------------------------


@pages.get(f"{_APPOINTMENT}/cancel")
@allow(Permission.PATIENTS)
def show_cancelling(appointment_id: int) -> str:
    return _standing(appointment_id, "", cancels=True)


@pages.post(f"{_APPOINTMENT}/cancel")
@allow(Permission.PATIENTS)
def cancel_it(appointment_id: int) -> ResponseReturnValue:
    return _stand(appointment_id, cancel, "cancelled", cancels=True)


@pages.get(f"{_APPOINTMENT}/un-cancel")
@allow(Permission.PATIENTS)
def show_taking_up(appointment_id: int) -> str:
    return _standing(appointment_id, "", cancels=False)


@pages.post(f"{_APPOINTMENT}/un-cancel")
@allow(Permission.PATIENTS)
def take_it_up(appointment_id: int) -> ResponseReturnValue:
    return _stand(appointment_id, take_up, "un-cancelled", cancels=False)


def _stand(appointment_id: int, do: Callable[..., bool], done: str, *, cancels: bool) -> ResponseReturnValue:
    seen, seen_effect = request.form.get("seen", ""), request.form.get("effect", "")
    try:
        is_changed = do(g.practice.id, appointment_id, seen, seen_effect, who(), clock.now())
    except Changed as changed:
        return _standing(appointment_id, str(changed), cancels=cancels), 422
    return _go(appointment_id, done if is_changed else None)


def _standing(appointment_id: int, problem: str, *, cancels: bool) -> str:
    shown = show_cancel(g.practice.id, appointment_id, clock.now(), cancels=cancels)
    is_fragment = bool(request.headers.get("HX-Request"))
    template = "appointments/_cancel.html" if is_fragment else "appointments/cancel.html"
    return render_template(template, shown=shown, cancels=cancels, problem=problem)


# --- what the forms have in common --------------------------------------------------------------------------


def _id(name: str) -> int:
    """0 where none is named."""
    return row_id(request.values.get(name, type=int)) or 0


def _asked() -> Asked:
    given = request.values
    day, time, which = (given.get(name, "")[:_LONGEST] for name in ("day", "time", "which"))
    return Asked(_id("business"), _id("practitioner"), _id("type"), day, time, which)


def _saves() -> bool:
    return request.form.get("do") == "save"


def _refused(refused: Refused | Changed, foresee: Callable[[], Foreseen | None]) -> _Answer:
    """With what saving does now, where only that was another than was shown."""
    if isinstance(refused, Refused):
        return _Answer(field=refused.field, problem=str(refused), is_twice=isinstance(refused, Twice))
    try:
        answer = _shown(foresee())
    except Changed:  # it cannot be moved any more
        answer = _Answer()
    return replace(answer, field="all", problem=str(refused))


def _effect(foresee: Callable[[Asked], Foreseen | None], *, is_new: bool) -> str:
    """What saving would do, while the form is filled in."""
    asked = _asked()
    try:
        answer = _shown(foresee(asked))
    except (Refused, Changed) as refused:
        answer = _Answer(field="all", problem=str(refused), is_twice=isinstance(refused, Twice))
    return render_template("appointments/_effect.html", is_new=is_new, **_said(answer, asked))


def _shown(foreseen: Foreseen | None) -> _Answer:
    return _Answer(foreseen, is_twice=foreseen is not None and foreseen.is_twice)


def _form(name: str, answer: _Answer, asked: Asked, **shown: Any) -> str:
    is_fragment = bool(request.headers.get("HX-Request"))
    template = "appointments/_form.html" if is_fragment else f"appointments/{name}.html"
    return render_template(template, is_new=name == "new", **_said(answer, asked), **shown)


def _said(answer: _Answer, asked: Asked) -> dict[str, object]:
    """`here`: where the form is sent."""
    here = request.path.removesuffix("/effect")
    return {"answer": answer, "asked": asked, "here": here, "first": FIRST, "second": SECOND}


def _go(appointment_id: int, done: str | None) -> ResponseReturnValue:
    where = url_for("appointments.show", appointment_id=appointment_id, done=done)
    return leave_for(where)
