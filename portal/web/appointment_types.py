"""Appointment types: their names and durations, and the SMS template of each."""

from collections.abc import Sequence

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import appointment_types
from portal.actions.appointment_types import LONGEST_DURATION, NoSuchTemplate, ShownType, TypeProblem
from portal.actions.sending import NotConfirmed
from portal.core.roles import Permission
from portal.web.access import allow, who
from portal.web.row_ids import LARGEST_ID, row_id
from portal.web.setting_forms import done, is_confirmed, refused, render

PAGE = 50
_TYPE = f"/<int(max={LARGEST_ID}):type_id>"

pages = Blueprint("appointment_types", __name__, url_prefix="/settings/appointment-types")


@pages.get("")
@allow(Permission.SETTINGS)
def index(problem: str = "", field: str = "") -> str:
    found = appointment_types.list_types(g.practice.id, clock.now())
    shown, begin = _page_of(found.types)
    return render(
        "appointment_types",
        problem,
        field,
        shown=shown,
        begin=begin,
        all=len(found.types),
        templates=found.templates,
        zone=found.zone,
        longest=LONGEST_DURATION,
    )


@pages.post("")
@allow(Permission.SETTINGS)
def add() -> ResponseReturnValue:
    form = request.form
    try:
        appointment_types.add_type(
            g.practice.id, form.get("name", ""), form.get("minutes", ""), _template_id(), who(), clock.now()
        )
    except NoSuchTemplate as problem:
        return refused(index, str(problem), "template")
    except TypeProblem as problem:
        return refused(index, str(problem), problem.field)
    return done(index, ".index")


@pages.post(_TYPE)
@allow(Permission.SETTINGS)
def change(type_id: int) -> ResponseReturnValue:
    form = request.form
    try:
        appointment_types.change_type(
            g.practice.id, type_id, form.get("name", ""), form.get("minutes", ""), who(), clock.now()
        )
    except TypeProblem as problem:
        return refused(index, str(problem), problem.field)
    return done(index, ".index")


@pages.post(f"{_TYPE}/template")
@allow(Permission.SETTINGS)
def choose_template(type_id: int) -> ResponseReturnValue:
    try:
        appointment_types.choose_template(
            g.practice.id, type_id, _template_id(), confirmed=is_confirmed(), who=who(), now=clock.now()
        )
    except (NoSuchTemplate, NotConfirmed) as problem:
        return refused(index, str(problem), "confirm" if isinstance(problem, NotConfirmed) else "template")
    return done(index, ".index")


def _page_of(types: Sequence[ShownType]) -> tuple[Sequence[ShownType], int]:
    """Those that the address asks for: the page with the type of which a form speaks, else from so many on."""
    asked = request.values.get("row", "")
    begin = row_id(request.values.get("from", type=int)) or 0
    places = [place for place, one in enumerate(types) if str(one.type.id) == asked]
    if places:
        begin = places[0] // PAGE * PAGE
    return types[begin : begin + PAGE], begin


def _template_id() -> int | None:
    """0 for none; None where the form did not say."""
    asked = request.form.get("template", "")
    if asked == "none":
        return 0
    return min(int(asked), LARGEST_ID) if asked.isdecimal() and len(asked) < 20 else None
