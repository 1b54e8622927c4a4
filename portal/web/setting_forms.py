"""What the settings' pages of several forms share: the page, or the part of it that one of its forms swaps."""

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.actions.asking import Asked, SettingRefused
from portal.web.diagnosis import render_diagnosis
from portal.web.inside import inside

Page = Callable[..., str]  # with what is wrong in which field, where a form of it was refused


def render(name: str, problem: str, field: str, **shown: object) -> str:
    """`settings/NAME.html`, or of it `settings/_NAME.html`."""
    is_fragment = bool(request.headers.get("HX-Request")) and request.method == "POST"
    return render_template(
        f"settings/{'_' if is_fragment else ''}{name}.html",
        problem=problem,
        problem_field=field,
        given=request.form if problem else {},
        is_fragment=is_fragment,
        row=request.values.get("row", ""),
        is_saved=bool(request.values.get("row")) and not problem,
        **shown,
    )


def attempt(page: Page, act: Callable[[], object], endpoint: str, **values: Any) -> ResponseReturnValue:
    """Do it; where it is refused, or asks first, `page` says so: it takes `asked`, too."""
    try:
        act()
    except SettingRefused as problem:
        return refused(page, str(problem), problem.field)
    except Asked as asked:
        return refused(partial(page, asked=asked), str(asked), "confirm")
    return done(page, endpoint, **values)


def done(page: Page, endpoint: str, **values: Any) -> ResponseReturnValue:
    """The diagnosis again where a form of it asked, the part of the page, or the page."""
    appointment = request.form.get("appointment")
    if request.headers.get("HX-Request"):
        return render_diagnosis(appointment) if appointment else page()
    own = url_for(endpoint, row=request.form.get("row"), **values)
    return redirect(inside(request.form.get("next", ""), own), 303)


def refused(page: Page, problem: str, field: str, status: int = 422) -> ResponseReturnValue:
    appointment = request.form.get("appointment")
    if request.headers.get("HX-Request") and appointment:
        return render_diagnosis(appointment, problem, field), status
    return page(problem, field), status


def is_confirmed() -> bool:
    return bool(request.form.get("confirm"))


def given(field: str) -> str:
    return request.form.get(field, "").strip()


def given_amount() -> int:
    """Of credits, as people type it: 1,000. 0 where it is none."""
    amount = request.form.get("amount", "").replace(",", "").replace(" ", "")
    return int(amount) if amount.isdecimal() and len(amount) < 10 else 0


def is_confirmed_as(*fields: str) -> bool:
    """Whether what the form holds now is what was asked about, and was ticked."""
    return request.form.get("confirm") == " ".join(map(given, fields))
