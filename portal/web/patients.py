"""Patients: the list with its search, one patient, and every change of contact details and wishes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import patients
from portal.actions.add_patient import AddedAnother, Alike, Given, add_patient
from portal.actions.browse_patients import Order, browse
from portal.actions.merge_patients import find_kept
from portal.actions.patients import NoSuchPatient, Refused
from portal.actions.show_patient import MOST_SAID, show_contact, show_patient
from portal.actions.write import may_text
from portal.core import contacts
from portal.core.numbers import PhoneType, parse_phone_type
from portal.core.reminders import Preference
from portal.core.roles import Permission
from portal.core.text import MONTHS
from portal.store.changes import Change
from portal.store.imported import made_here_id
from portal.store.patient_list import Likeness
from portal.web.access import allow, who, writer
from portal.web.diagnosis import render_diagnosis
from portal.web.inside import inside, leave_for
from portal.web.row_ids import LARGEST_ID

PAGE = 50
_PATIENT = f"/<int(max={LARGEST_ID}):patient_id>"
_NUMBER = f"{_PATIENT}/numbers/<int(max={LARGEST_ID}):number_id>"

pages = Blueprint("patients", __name__, url_prefix="/patients")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be mended in which form, and what was typed there."""

    form: str
    field: str
    says: str
    given: dict[str, str]


NO_PROBLEM = Problem("", "", "", {})


@pages.get("")
@allow(Permission.READ)
def index() -> str:
    search = request.args.get("q", "").strip()
    order = Order.NAME if request.args.get("order") == Order.NAME else Order.NEWEST
    page = browse(
        g.practice.id, PAGE, clock.now().date(), search=search, order=order, after=request.args.get("after", "")
    )
    is_fragment = request.headers.get("HX-Request-Type") == "partial"
    template = "patients/_rows.html" if is_fragment else "patients/index.html"
    return render_template(
        template, page=page, search=search, order=order, is_further=bool(request.args.get("after"))
    )


@pages.get("/new")
@allow(Permission.PATIENTS)
def new() -> str:
    """`?next=`: where to go on with the patient."""
    return _new(NO_PROBLEM, [], "")


@pages.post("/new")
@allow(Permission.PATIENTS)
def add() -> ResponseReturnValue:
    given = Given(*(_given(name) for name in ("first_name", "last_name", "born", "email", "number", "preference")))
    try:
        patient_id = add_patient(
            g.practice.id,
            given,
            _given("form_id"),
            is_another=bool(_given("confirm")),
            who=who(),
            now=clock.now(),
        )
    except Refused as refused:
        problem = Problem("new", refused.field, str(refused), request.form.to_dict())
        form_id = "" if isinstance(refused, AddedAnother) else _given("form_id")
        return _new(problem, refused.found if isinstance(refused, Alike) else [], form_id), 422
    where = url_for("patients.show", patient_id=patient_id)
    if wanted := inside(_given("next"), ""):
        where = f"{wanted}{'&' if '?' in wanted else '?'}patient={patient_id}"
    return leave_for(where)


def _new(problem: Problem, alike: Sequence[Likeness], form_id: str) -> str:
    is_fragment = bool(request.headers.get("HX-Request"))
    return render_template(
        "patients/_new.html" if is_fragment else "patients/new.html",
        problem=problem,
        alike=alike,
        is_fragment=is_fragment,
        next=inside(request.values.get("next", ""), ""),
        form_id=made_here_id(form_id),
        default=g.practice.default_preference,
        today=clock.now().date(),
        **_CHOICES,
    )


@pages.post("/check-number")
@allow(Permission.PATIENTS)
def check_number() -> str:
    """By POST: addresses are logged on the way, and a number is not for logs."""
    try:
        type_ = parse_phone_type(request.form.get("type", ""))
    except ValueError:
        type_ = PhoneType.MOBILE
    check = contacts.check_number(type_, request.form.get("number", ""), g.practice.country, g.practice.countries)
    return render_template("patients/_number_check.html", check=check)


@pages.get(_PATIENT)
@allow(Permission.READ)
def show(patient_id: int) -> ResponseReturnValue:
    """A record that was merged into another leads to that one."""
    try:
        return _page(patient_id, NO_PROBLEM, is_done="done" in request.args)
    except NoSuchPatient:
        kept = find_kept(g.practice.id, patient_id)
        if kept is None:
            raise
        return redirect(url_for(".show", patient_id=kept), 303)


@pages.post(f"{_PATIENT}/numbers")
@allow(Permission.PATIENTS)
def add_number(patient_id: int) -> ResponseReturnValue:
    return _change(
        patient_id,
        "add-number",
        lambda: patients.add_number(
            g.practice.id, patient_id, _given("type"), _given("number"), who=who(), now=clock.now()
        ),
    )


@pages.post(_NUMBER)
@allow(Permission.PATIENTS)
def change_number(patient_id: int, number_id: int) -> ResponseReturnValue:
    return _change(
        patient_id,
        f"number-{number_id}",
        lambda: patients.change_number(
            g.practice.id,
            patient_id,
            number_id,
            _given("type"),
            _given("number"),
            seen=request.form.get("seen"),
            who=who(),
            now=clock.now(),
        ),
    )


@pages.post(f"{_NUMBER}/file-as-mobile")
@allow(Permission.PATIENTS)
def file_as_mobile(patient_id: int, number_id: int) -> ResponseReturnValue:
    return _change(
        patient_id,
        f"number-{number_id}",
        lambda: patients.file_as_mobile(g.practice.id, patient_id, number_id, who=who(), now=clock.now()),
    )


@pages.post(f"{_NUMBER}/remove")
@allow(Permission.PATIENTS)
def remove_number(patient_id: int, number_id: int) -> ResponseReturnValue:
    return _change(
        patient_id,
        f"number-{number_id}",
        lambda: patients.remove_number(
            g.practice.id, patient_id, number_id, seen=request.form.get("seen"), who=who(), now=clock.now()
        ),
    )


@pages.post(f"{_NUMBER}/up")
@allow(Permission.PATIENTS)
def move_number_up(patient_id: int, number_id: int) -> ResponseReturnValue:
    return _change(
        patient_id,
        f"number-{number_id}",
        lambda: patients.move_number_up(g.practice.id, patient_id, number_id, who=who(), now=clock.now()),
    )


@pages.post(f"{_PATIENT}/preference")
@allow(Permission.PATIENTS)
def set_preference(patient_id: int) -> ResponseReturnValue:
    return _change(
        patient_id,
        "preference",
        lambda: patients.set_preference(
            g.practice.id,
            patient_id,
            _given("preference"),
            note=_given("note"),
            confirmed=bool(_given("confirm")),
            seen=request.form.get("seen"),
            who=who(),
            now=clock.now(),
        ),
    )


@pages.post(f"{_PATIENT}/opt-outs")
@allow(Permission.PATIENTS)
def record_opt_out(patient_id: int) -> ResponseReturnValue:
    return _change(
        patient_id,
        "opt-out",
        lambda: patients.record_opt_out(g.practice.id, patient_id, note=_given("note"), who=who(), now=clock.now()),
    )


@pages.post(f"{_PATIENT}/opt-outs/<int(max={LARGEST_ID}):opt_out_id>/lift")
@allow(Permission.PATIENTS)
def lift_opt_out(patient_id: int, opt_out_id: int) -> ResponseReturnValue:
    return _change(
        patient_id,
        f"lift-{opt_out_id}",
        lambda: patients.lift_opt_out(
            g.practice.id,
            patient_id,
            opt_out_id,
            note=_given("note"),
            confirmed=bool(_given("confirm")),
            who=who(),
            now=clock.now(),
        ),
    )


@pages.post(f"{_PATIENT}/consent")
@allow(Permission.PATIENTS)
def record_consent(patient_id: int) -> ResponseReturnValue:
    return _change(
        patient_id,
        "consent",
        lambda: patients.record_consent(
            g.practice.id, patient_id, _given("day"), _given("note"), who=who(), now=clock.now()
        ),
    )


@pages.post(f"{_PATIENT}/consent/withdraw")
@allow(Permission.PATIENTS)
def withdraw_consent(patient_id: int) -> ResponseReturnValue:
    return _change(
        patient_id,
        "withdraw-consent",
        lambda: patients.withdraw_consent(
            g.practice.id, patient_id, _given("day"), _given("note"), who=who(), now=clock.now()
        ),
    )


@pages.post(f"{_PATIENT}/restore")
@allow(Permission.PATIENTS)
def restore(patient_id: int) -> ResponseReturnValue:
    return _change(
        patient_id,
        "restore",
        lambda: patients.restore(
            g.practice.id,
            patient_id,
            note=_given("note"),
            confirmed=bool(_given("confirm")),
            who=who(),
            now=clock.now(),
        ),
    )


def _given(name: str) -> str:
    return request.form.get(name, "").strip()


def _change(patient_id: int, form: str, act: Callable[[], bool]) -> ResponseReturnValue:
    """Do it, and answer as whoever asked wants it: the diagnosis again, the part of the page, or the page."""
    try:
        is_changed = act()
    except Refused as refused:
        problem = Problem(form, refused.field, str(refused), request.form.to_dict())
        return _again(patient_id, problem, is_done=False), 422
    if request.headers.get("HX-Request"):
        # A text that is being written on the same page asks anew what stands in its way.
        return _again(patient_id, NO_PROBLEM, is_done=is_changed), _CHANGED
    own = url_for("patients.show", patient_id=patient_id, done=1 if is_changed else None, _anchor="contact")
    return redirect(inside(_given("next"), own), 303)


def _again(patient_id: int, problem: Problem, *, is_done: bool) -> str:
    if not request.headers.get("HX-Request"):
        return _page(patient_id, problem, is_done=is_done)
    if appointment := _given("appointment"):
        return render_diagnosis(appointment, problem.says, problem.field)
    contact = show_contact(g.practice.id, patient_id, clock.now())
    return render_template(
        "patients/_contact.html",
        contact=contact,
        problem=problem,
        is_done=is_done,
        is_fragment=True,
        may_write=may_text(g.practice.id, patient_id, writer()),
        **_CHOICES,
    )


def _page(patient_id: int, problem: Problem, *, is_done: bool) -> str:
    shown = show_patient(g.practice.id, patient_id, clock.now())
    return render_template(
        "patients/show.html",
        shown=shown,
        contact=shown.contact,
        problem=problem,
        is_done=is_done,
        is_fragment=False,
        may_write=may_text(g.practice.id, patient_id, writer()),
        most_said=MOST_SAID,
        **_CHOICES,
    )


_CHANGED = {"HX-Trigger": '{"contact-changed": {"target": "body"}}'}

_CHOICES = {
    "types": list(PhoneType),
    "preferences": list(Preference),
    "longest_note": contacts.LONGEST_NOTE,
    "longest_number": contacts.LONGEST_NUMBER,
    "most_changes": 20,
}


@pages.app_template_filter("birth_date")
def _birth_date(day: date) -> str:
    """4 May 1980"""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


@pages.app_template_filter("said")
def _said(change: Change) -> str:
    """What was changed, in words."""
    return contacts.change_in_words(change.field, change.before, change.after)


@pages.app_template_filter("filed_before")
def _filed_before(change: Change) -> tuple[str, str]:
    """The type and the number that were removed, to put them back."""
    return contacts.parse_filed(change.before)
