"""A day's appointments, and one of them with its reminder's diagnosis."""

from datetime import UTC, date, datetime, timedelta

from flask import Blueprint, g, render_template, request
from werkzeug.exceptions import abort

from portal import clock
from portal.actions.appointments import Cursor, list_day
from portal.core.appointment_changes import change_in_words
from portal.core.roles import Permission
from portal.store.changes import Change
from portal.store.imported import is_made_here
from portal.web.access import allow
from portal.web.diagnosis import context, load
from portal.web.row_ids import LARGEST_ID, row_id

PAGE = 50
_YEARS = range(1900, 2200)

pages = Blueprint("appointments", __name__, url_prefix="/appointments")


@pages.get("")
@allow(Permission.READ)
def index() -> str:
    business = request.args.get("business", type=int)
    business_id = min(business, LARGEST_ID) if business else None
    page = list_day(g.practice.id, _day(), clock.now(), PAGE, business_id=business_id, after=_after())
    step = timedelta(days=1)
    return render_template(
        "appointments/index.html",
        page=page,
        business=business_id,
        before=page.day - step,
        next=page.day + step,
        is_first="after" not in request.args,
        after=_written(page.after) if page.after else None,
    )


@pages.get(f"/<int(max={LARGEST_ID}):appointment_id>")
@allow(Permission.READ)
def show(appointment_id: int) -> str:
    explanation = load(appointment_id)
    return render_template("appointments/show.html", done=request.args.get("done", ""), **context(explanation))


@pages.app_template_filter("appointment_change")
def _appointment_change(change: Change) -> str:
    """What was changed, in words."""
    return change_in_words(change.field, change.before, change.after)


@pages.app_template_test("made_here")
def _is_made_here(external_id: str) -> bool:
    """Whether staff made the row, and no export has a number for it."""
    return is_made_here(external_id)


def _day() -> date | None:
    """What is no day, as in an address with a slip in it, is as none."""
    try:
        day = date.fromisoformat(request.args.get("day", ""))
    except ValueError:
        return None
    return day if day.year in _YEARS else None


def _written(cursor: Cursor) -> str:
    return f"{cursor.starts_at.timestamp():.0f}.{cursor.id}.{cursor.credits}"


def _after() -> Cursor | None:
    if "after" not in request.args:
        return None
    try:
        seconds, id_, credits = map(int, request.args["after"].split("."))
        return Cursor(datetime.fromtimestamp(seconds, UTC), row_id(id_) or 0, credits)
    except (ValueError, OverflowError, OSError):
        abort(404)
