"""Possible duplicate patients: the lists, two side by side, and what staff say of them: two people, or one."""

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import merge_patients
from portal.actions.duplicates import compare, list_pairs
from portal.actions.merge_patients import CannotMerge
from portal.core.duplicates import Alike
from portal.core.roles import Permission
from portal.web.access import allow, who
from portal.web.remembered import remembered
from portal.web.row_ids import LARGEST_ID

PAGE = 20
_PAIR = f"/<int(max={LARGEST_ID}):first_id>/<int(max={LARGEST_ID}):second_id>"

pages = Blueprint("duplicates", __name__, url_prefix="/tidy-up/duplicates")


@pages.get("")
@allow(Permission.PATIENTS)
def index() -> str:
    alike = Alike.NUMBER_AND_NAME if request.args.get("by") == Alike.NUMBER_AND_NAME else Alike.NAME_AND_BIRTH
    after = request.args.get("after", "")
    place = [
        min(int(part), LARGEST_ID)
        for part in after.split("-")[:2]
        if part.isascii() and part.isdigit() and len(part) < 30
    ]
    return render_template(
        "tidy_up/duplicates.html",
        found=remembered(lambda: list_pairs(g.practice.id, alike, PAGE, place), "duplicates", alike, *place),
        alike=alike,
        is_further=bool(after),
        are_two="two" in request.args,
    )


@pages.get(_PAIR)
@allow(Permission.PATIENTS)
def show(first_id: int, second_id: int, problem: str = "") -> str:
    compared = compare(g.practice, first_id, second_id, clock.now())
    return render_template(
        "tidy_up/compare.html", compared=compared, problem=problem, kept=request.form.get("keep", 0, int)
    )


@pages.post(f"{_PAIR}/two-people")
@allow(Permission.PATIENTS)
def two_people(first_id: int, second_id: int) -> ResponseReturnValue:
    merge_patients.say_they_are_two(g.practice.id, first_id, second_id, who(), clock.now())
    by = Alike.NUMBER_AND_NAME if request.form.get("by") == Alike.NUMBER_AND_NAME else None
    return redirect(url_for(".index", by=by, two=1), 303)


@pages.post(f"{_PAIR}/merge")
@allow(Permission.PATIENTS)
def merge(first_id: int, second_id: int) -> ResponseReturnValue:
    """`keep`: the row id of the one that stays."""
    kept = request.form.get("keep", 0, int)
    try:
        if kept not in (first_id, second_id):
            raise CannotMerge("Choose which record stays.")
        merge_patients.merge(
            g.practice.id,
            kept,
            first_id if kept == second_id else second_id,
            confirmed=bool(request.form.get("confirm")),
            has_agreed=bool(request.form.get("agreed")),
            who=who(),
            now=clock.now(),
        )
    except CannotMerge as refused:
        return show(first_id, second_id, str(refused)), 422
    return redirect(url_for("patients.show", patient_id=kept, done=1, _anchor="contact"), 303)
