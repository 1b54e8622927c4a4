"""Tidy up: what keeps texts from patients, as lists; mended on each row or many at once after a look, and undone."""

from typing import Any

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import tidy, tidy_numbers
from portal.actions.patients import Refused
from portal.actions.tidy_numbers import NoSuchBatch, ShownBatch, Tidied
from portal.core import contacts
from portal.core.roles import Permission
from portal.core.tidying import Fault
from portal.web.access import allow, who
from portal.web.row_ids import LARGEST_ID, row_id

PAGE = 50
BATCH_PAGE = 200
_LAST_PAGE = 1000
_NONE_CHOSEN = "Choose at least one number first."
_BATCH = f"/batches/<int(max={LARGEST_ID}):batch_id>"

pages = Blueprint("tidy_up", __name__, url_prefix="/tidy-up")


@pages.get("")
@allow(Permission.PATIENTS)
def index() -> str:
    return render_template("tidy_up/index.html", overview=tidy.look_over(g.practice, clock.now()))


@pages.get("/types")
@allow(Permission.PATIENTS)
def types() -> str:
    """Appointment types without a template."""
    return render_template("tidy_up/types.html", types=tidy.list_types(g.practice, clock.now()))


# --- the lists ------------------------------------------------------------------------------------------------


@pages.get(f"/{Fault.TO_FILE}")
@allow(Permission.PATIENTS)
def mobiles() -> str:
    return _list(Fault.TO_FILE)


@pages.get(f"/{Fault.NO_NUMBER}")
@allow(Permission.PATIENTS)
def numbers() -> str:
    return _list(Fault.NO_NUMBER)


@pages.get(f"/{Fault.NO_WAY}")
@allow(Permission.PATIENTS)
def unreachable() -> str:
    return _list(Fault.NO_WAY)


def _list(fault: Fault, problem: Refused | None = None, row: int = 0, done: int | None = None) -> str:
    """The page, or the part of it that one of its forms swaps. `row`: whose form was refused."""
    are_others = bool(request.values.get("others"))
    number = max(1, min(request.values.get("page", 1, int), _LAST_PAGE))
    before = row_id(request.values.get("before", type=int))
    if are_others:
        found = tidy.list_others(g.practice, fault, clock.now(), PAGE, before)
    else:
        found = tidy.list_coming(g.practice, fault, clock.now(), PAGE, number)
    is_fragment = bool(request.headers.get("HX-Request")) and request.method == "POST"
    return render_template(
        "tidy_up/_list.html" if is_fragment else "tidy_up/list.html",
        fault=fault,
        found=found,
        are_others=are_others,
        page_number=number,
        before=before,
        problem=problem,
        problem_row=row,
        given=request.form if problem else {},
        done=_find_batch(done if done is not None else row_id(request.args.get("done", type=int))),
        longest_number=contacts.LONGEST_NUMBER,
        most=tidy.MOST,
    )


def _find_batch(batch_id: int | None) -> ShownBatch | None:
    """What an address says was done, where there is such a batch."""
    if not batch_id:
        return None
    try:
        return tidy_numbers.show_batch(g.practice.id, batch_id, 1)
    except NoSuchBatch:
        return None


def _here() -> dict[str, Any]:
    """Where in the list the form was."""
    return {name: request.form[name] for name in ("others", "page", "before") if request.form.get(name)}


def _done(fault: Fault, tidied: Tidied) -> ResponseReturnValue:
    if request.headers.get("HX-Request"):
        return _list(fault, done=tidied.batch_id or 0)
    return redirect(url_for(f".{fault}", **_here(), done=tidied.batch_id), 303)


# --- mended on its row ----------------------------------------------------------------------------------------


@pages.post(f"/{Fault.TO_FILE}/<int(max={LARGEST_ID}):number_id>")
@allow(Permission.PATIENTS)
def file_one(number_id: int) -> ResponseReturnValue:
    if not tidy_numbers.is_there(g.practice.id, number_id):
        abort(404)
    seen = {number_id: request.form.get("seen", "")}
    return _done(Fault.TO_FILE, tidy_numbers.file_numbers(g.practice.id, seen, who(), clock.now()))


@pages.post(f"/{Fault.NO_NUMBER}/<int(max={LARGEST_ID}):number_id>")
@allow(Permission.PATIENTS)
def correct(number_id: int) -> ResponseReturnValue:
    """`type`: Mobile, or what a landline is filed as."""
    try:
        tidied = tidy_numbers.correct_number(
            g.practice.id,
            number_id,
            request.form.get("type", ""),
            request.form.get("number", ""),
            seen=request.form.get("seen"),
            who=who(),
            now=clock.now(),
        )
    except Refused as refused:
        return _list(Fault.NO_NUMBER, refused, number_id), 422
    return _done(Fault.NO_NUMBER, tidied)


@pages.post(f"/{Fault.NO_WAY}/<int(max={LARGEST_ID}):patient_id>")
@allow(Permission.PATIENTS)
def add_mobile(patient_id: int) -> ResponseReturnValue:
    try:
        tidied = tidy_numbers.add_mobile(
            g.practice.id, patient_id, request.form.get("number", ""), who=who(), now=clock.now()
        )
    except Refused as refused:
        return _list(Fault.NO_WAY, refused, patient_id), 422
    return _done(Fault.NO_WAY, tidied)


# --- many at once ---------------------------------------------------------------------------------------------


@pages.post(f"/{Fault.TO_FILE}/check")
@allow(Permission.PATIENTS)
def check() -> ResponseReturnValue:
    """What filing them would do to each, before it is done."""
    chosen = {id_ for id_ in request.form.getlist("number", int) if 0 < id_ <= LARGEST_ID}
    is_all = request.form.get("which") == "all"
    if not chosen and not is_all:
        return _nothing_done(_NONE_CHOSEN)
    plan = tidy_numbers.plan_filing(g.practice, None if is_all else chosen, clock.now())
    return render_template("tidy_up/check.html", plan=plan, gone=0 if is_all else len(chosen) - len(plan))


@pages.post(f"/{Fault.TO_FILE}")
@allow(Permission.PATIENTS)
def file_all() -> ResponseReturnValue:
    ids, shown = request.form.getlist("number"), request.form.getlist("seen")
    seen = {
        int(id_): filed
        for id_, filed in zip(ids, shown, strict=False)
        if id_.isascii() and id_.isdigit() and len(id_) < 19
    }
    if not seen:
        return _nothing_done(_NONE_CHOSEN)
    tidied = tidy_numbers.file_numbers(g.practice.id, seen, who(), clock.now())
    if tidied.batch_id is None:
        return _nothing_done("Somebody has mended them meanwhile: nothing was changed.")
    return redirect(url_for(".batch", batch_id=tidied.batch_id, left=tidied.left or None), 303)


def _nothing_done(says: str) -> ResponseReturnValue:
    return _list(Fault.TO_FILE, Refused("choice", says)), 422


# --- what was done, and undone --------------------------------------------------------------------------------


@pages.get(_BATCH)
@allow(Permission.PATIENTS)
def batch(batch_id: int) -> str:
    after = row_id(request.args.get("after", type=int)) or 0
    shown = tidy_numbers.show_batch(g.practice.id, batch_id, BATCH_PAGE, after)
    left = row_id(request.args.get("left", type=int)) or 0
    return render_template("tidy_up/batch.html", shown=shown, after=after, left_out=left)


@pages.post(f"{_BATCH}/undo")
@allow(Permission.PATIENTS)
def undo(batch_id: int) -> ResponseReturnValue:
    tidy_numbers.undo(g.practice.id, batch_id, who(), clock.now())
    return redirect(url_for(".batch", batch_id=batch_id), 303)


@pages.app_template_filter("filed_as")
def _filed_as(kept: str) -> tuple[str, str]:
    """The type and the number."""
    return contacts.parse_filed(kept)
