"""A message to many, in three steps: whom, the text, a check of both; then its progress. And the list of them."""

from datetime import date

from flask import Blueprint, abort, current_app, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions.broadcast_check import check, list_choices, open_writing, weigh_example
from portal.actions.broadcast_recipients import Draft, DraftProblem
from portal.actions.broadcast_show import list_broadcasts, show_broadcast
from portal.actions.broadcasts import send, take_back
from portal.core.broadcasts import STATES_IN_WORDS, Purpose, Whom
from portal.core.roles import Permission
from portal.core.timing import TimeError, parse_date
from portal.web.access import allow, who
from portal.web.row_ids import LARGEST_ID, row_id
from portal.web.texts import as_typed, cost_of

PAGE = 20
UNREACHED = 100
_LONGEST_KEY = 64
_OF_DAY, _OF_PATIENTS = "day", "patients"
_ID = f"/<int(max={LARGEST_ID}):broadcast_id>"

pages = Blueprint("broadcasts", __name__, url_prefix="/broadcasts")


@pages.get("")
@allow(Permission.READ)
def index() -> str:
    before = row_id(request.args.get("before", type=int))
    page = list_broadcasts(g.practice.id, clock.now(), PAGE, before)
    return render_template("broadcasts/index.html", page=page, before=before, states=STATES_IN_WORDS)


# --- whom, the text, the check ------------------------------------------------------------------------------


@pages.get("/new")
@allow(Permission.SEND)
def new() -> str:
    """`?day=` and the other conditions, where a page leads here from a day."""
    return _choose()


@pages.get("/write")
@allow(Permission.SEND)
def write() -> ResponseReturnValue:
    """Whom it is for stands in the address: days and ids, and no name."""
    if "of" not in request.args:
        return redirect(url_for(".new"), 303)
    return _write()


@pages.post("/write")
@allow(Permission.SEND)
def write_again() -> ResponseReturnValue:
    """The same form with a template filled in, with its cost, or after a look at whom it reaches."""
    return _write()


@pages.post("/weigh")
@allow(Permission.SEND)
def weigh() -> str:
    """What is typed so far: how one of the patients would read it, and what that one costs."""
    try:
        example, weighed = weigh_example(g.practice.id, _draft(), clock.now())
    except DraftProblem:
        abort(404)
    return render_template("texts/_weighed.html", sender=g.practice.sender, **cost_of(example, weighed))


@pages.post("/check")
@allow(Permission.SEND)
def look() -> ResponseReturnValue:
    try:
        draft = _draft()
        checked = check(g.practice.id, draft, clock.now())
    except DraftProblem as problem:
        return _refused(problem)
    return render_template("broadcasts/check.html", checked=checked, draft=draft, chosen=_chosen(draft.whom))


@pages.post("")
@allow(Permission.SEND)
def send_it() -> ResponseReturnValue:
    try:
        sent = send(g.practice.id, _draft(), request.form.get("form_key", "")[:_LONGEST_KEY], who(), clock.now())
    except DraftProblem as problem:
        return _refused(problem)
    if not sent.is_recorded:
        current_app.extensions["portal.enqueue_broadcast"](g.practice.id, sent.broadcast_id)
    return redirect(url_for(".show", broadcast_id=sent.broadcast_id), 303)


# --- its progress -------------------------------------------------------------------------------------------


@pages.get(_ID)
@allow(Permission.READ)
def show(broadcast_id: int) -> str:
    after = row_id(request.args.get("after", type=int)) or 0
    shown = show_broadcast(g.practice.id, broadcast_id, clock.now(), UNREACHED, after)
    is_fragment = request.headers.get("HX-Request-Type") == "partial"
    return render_template(
        "broadcasts/_progress.html" if is_fragment else "broadcasts/show.html",
        shown=shown,
        after=after,
        states=STATES_IN_WORDS,
    )


@pages.post(f"{_ID}/take-back")
@allow(Permission.SEND)
def take_it_back(broadcast_id: int) -> ResponseReturnValue:
    stopped = take_back(g.practice.id, broadcast_id, who(), clock.now())
    if not stopped:
        flash("It had gone already: nothing could be taken back.", "broadcast")
    return redirect(url_for(".show", broadcast_id=broadcast_id), 303)


# --- what the forms hold --------------------------------------------------------------------------------------


def _draft() -> Draft:
    """Raises DraftProblem of `whom`."""
    purpose = request.form.get("purpose")
    return Draft(
        _whom(),
        as_typed("text"),
        Purpose(purpose) if purpose in list(Purpose) else None,
        request.form.get("at", ""),
    )


def _whom() -> Whom:
    given = request.values
    of_day = given.get("of") != _OF_PATIENTS
    day = _date("day", "Choose the day.") if of_day else None
    if of_day and day is None:
        raise DraftProblem("whom", "Choose the day.")
    return Whom(
        day=day,
        with_cancelled=of_day and bool(given.get("cancelled")),
        seen_since=None if of_day else _date("since", "Type the day as a date."),
        business_id=_row_id("business"),
        practitioner_id=_row_id("practitioner"),
        appointment_type_id=_row_id("type") if of_day else None,
    )


def _date(name: str, problem: str) -> date | None:
    text = request.values.get(name, "").strip()
    try:
        return parse_date(text) if text else None
    except TimeError:
        raise DraftProblem("whom", problem) from None


def _row_id(name: str) -> int | None:
    return row_id(request.values.get(name, type=int)) or None


def _chosen(whom: Whom) -> dict[str, object]:
    """As the forms of the next step, and an address, hand it on; `_whom` reads it."""
    values = {
        "of": _OF_PATIENTS if whom.day is None else _OF_DAY,
        "day": whom.day,
        "cancelled": 1 if whom.with_cancelled else None,
        "since": whom.seen_since,
        "business": whom.business_id,
        "practitioner": whom.practitioner_id,
        "type": whom.appointment_type_id,
    }
    return {name: value for name, value in values.items() if value is not None}


def _refused(problem: DraftProblem) -> ResponseReturnValue:
    if problem.field == "whom":
        return _choose(str(problem)), 422
    return _write(problem)


def _choose(problem: str = "") -> str:
    choices = list_choices(g.practice.id, clock.now())
    return render_template(
        "broadcasts/new.html",
        today=choices.today,
        businesses=[(one.id, one.name) for one in choices.businesses],
        practitioners=[(one.id, one.full_name) for one in choices.practitioners],
        types=[(one.id, one.name) for one in choices.types],
        given=request.values,
        problem=problem,
    )


def _write(problem: DraftProblem | None = None) -> ResponseReturnValue:
    try:
        draft = _draft()
        writing = open_writing(g.practice.id, draft, clock.now(), _row_id("template") if _fills() else None)
    except DraftProblem as nobody:
        return _choose(str(nobody)), 422
    page = render_template(
        "broadcasts/write.html",
        writing=writing,
        draft=draft,
        chosen=_chosen(draft.whom),
        template_id=_row_id("template"),
        problem=problem,
        sender=g.practice.sender,
        **cost_of(writing.example, writing.weighed),
    )
    return page, 422 if problem else 200


def _fills() -> bool:
    return request.form.get("do") == "fill"
