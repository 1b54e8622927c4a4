"""Appointment types: the SMS template of each."""

from flask import Blueprint, abort, g, request
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import appointment_types
from portal.actions.appointment_types import NoSuchTemplate, NoSuchType
from portal.actions.sending import NotConfirmed
from portal.core.roles import Permission
from portal.web.access import allow, who
from portal.web.row_ids import LARGEST_ID
from portal.web.setting_forms import done, is_confirmed, refused, render

_TYPE = f"/<int(max={LARGEST_ID}):type_id>"

pages = Blueprint("appointment_types", __name__, url_prefix="/settings/appointment-types")


@pages.get("")
@allow(Permission.SETTINGS)
def index(problem: str = "", field: str = "") -> str:
    found = appointment_types.list_types(g.practice.id, clock.now())
    return render("appointment_types", problem, field, shown=found.types, templates=found.templates, zone=found.zone)


@pages.post(f"{_TYPE}/template")
@allow(Permission.SETTINGS)
def choose_template(type_id: int) -> ResponseReturnValue:
    try:
        appointment_types.choose_template(
            g.practice.id, type_id, _template_id(), confirmed=is_confirmed(), who=who(), now=clock.now()
        )
    except NoSuchType:
        abort(404)
    except (NoSuchTemplate, NotConfirmed) as problem:
        return refused(index, str(problem), "confirm" if isinstance(problem, NotConfirmed) else "template")
    return done(index, ".index")


def _template_id() -> int | None:
    """0 for none; None where the form did not say."""
    asked = request.form.get("template", "")
    if asked == "none":
        return 0
    return min(int(asked), LARGEST_ID) if asked.isdecimal() and len(asked) < 20 else None
