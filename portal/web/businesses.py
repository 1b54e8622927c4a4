"""The practice's businesses: the list with each one's switch, and the details of one."""

from functools import partial

from flask import Blueprint, g, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import businesses
from portal.actions.asking import Asked, SettingRefused
from portal.actions.businesses import Details
from portal.actions.sending import NotConfirmed
from portal.core.roles import Permission
from portal.core.zones import zones_to_offer
from portal.web.access import allow, who
from portal.web.inside import leave_for
from portal.web.row_ids import LARGEST_ID
from portal.web.setting_forms import attempt, done, given, is_confirmed, is_confirmed_as, refused, render

_BUSINESS = f"/<int(max={LARGEST_ID}):business_id>"

pages = Blueprint("businesses", __name__, url_prefix="/settings/businesses")


@pages.get("")
@allow(Permission.SETTINGS)
def index(problem: str = "", field: str = "") -> str:
    shown = businesses.list_businesses(g.practice.id, clock.now())
    return render("businesses", problem, field, shown=shown)


@pages.post(f"{_BUSINESS}/reminders")
@allow(Permission.SETTINGS)
def switch(business_id: int) -> ResponseReturnValue:
    on = {"on": True, "off": False}.get(request.form.get("reminders", ""))
    try:
        businesses.switch_business(
            g.practice.id, business_id, on, confirmed=is_confirmed(), who=who(), now=clock.now()
        )
    except NotConfirmed as problem:
        return refused(index, str(problem), "confirm")
    return done(index, ".index")


@pages.get("/new")
@allow(Permission.SETTINGS)
def new(problem: str = "", field: str = "") -> str:
    zones = zones_to_offer(g.practice.country)
    return render("business", problem, field, shown=None, zones=zones, asked=None)


@pages.post("/new")
@allow(Permission.SETTINGS)
def add() -> ResponseReturnValue:
    try:
        business_id = businesses.add_business(g.practice.id, _details(), who=who(), now=clock.now())
    except SettingRefused as problem:
        return refused(new, str(problem), problem.field)
    own = url_for(".show", business_id=business_id, row="added")
    return leave_for(own)


@pages.get(_BUSINESS)
@allow(Permission.SETTINGS)
def show(business_id: int) -> str:
    return _one(business_id)


def _one(business_id: int, problem: str = "", field: str = "", asked: Asked | None = None) -> str:
    shown = businesses.show_business(g.practice.id, business_id)
    zones = zones_to_offer(shown.country, shown.business.timezone)
    return render("business", problem, field, shown=shown, zones=zones, asked=asked)


@pages.post(_BUSINESS)
@allow(Permission.SETTINGS)
def change(business_id: int) -> ResponseReturnValue:
    return attempt(
        partial(_one, business_id),
        lambda: businesses.change_business(
            g.practice.id,
            business_id,
            _details(),
            confirmed=is_confirmed_as("timezone"),
            who=who(),
            now=clock.now(),
        ),
        ".show",
        business_id=business_id,
    )


def _details() -> Details:
    return Details(given("name"), given("timezone"), given("contact_number"))
