"""The practice's practitioners, and the name of each."""

from functools import partial

from flask import Blueprint, g, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import practitioners
from portal.actions.asking import SettingRefused
from portal.actions.practitioners import Name
from portal.core.roles import Permission
from portal.web.access import allow, who
from portal.web.inside import leave_for
from portal.web.row_ids import LARGEST_ID
from portal.web.setting_forms import attempt, given, refused, render

_MOST_PAGES = 1000
_PRACTITIONER = f"/<int(max={LARGEST_ID}):practitioner_id>"

pages = Blueprint("practitioners", __name__, url_prefix="/settings/practitioners")


@pages.get("")
@allow(Permission.SETTINGS)
def index(problem: str = "", field: str = "") -> str:
    page = max(0, min(request.args.get("page", 0, type=int), _MOST_PAGES))
    shown, has_more = practitioners.list_practitioners(g.practice.id, page)
    return render("practitioners", problem, field, shown=shown, page=page, has_more=has_more)


@pages.post("")
@allow(Permission.SETTINGS)
def add() -> ResponseReturnValue:
    try:
        practitioner_id = practitioners.add_practitioner(g.practice.id, _name(), who=who(), now=clock.now())
    except SettingRefused as problem:
        return refused(index, str(problem), problem.field)
    own = url_for(".show", practitioner_id=practitioner_id, row="added")
    return leave_for(own)


@pages.get(_PRACTITIONER)
@allow(Permission.SETTINGS)
def show(practitioner_id: int) -> str:
    return _one(practitioner_id)


def _one(practitioner_id: int, problem: str = "", field: str = "") -> str:
    shown = practitioners.show_practitioner(g.practice.id, practitioner_id)
    return render("practitioner", problem, field, shown=shown)


@pages.post(_PRACTITIONER)
@allow(Permission.SETTINGS)
def rename(practitioner_id: int) -> ResponseReturnValue:
    return attempt(
        partial(_one, practitioner_id),
        lambda: practitioners.rename(g.practice.id, practitioner_id, _name(), who=who(), now=clock.now()),
        ".show",
        practitioner_id=practitioner_id,
    )


def _name() -> Name:
    return Name(given("title"), given("first_name"), given("last_name"))
