"""SMS templates: the list, the editor, a test text to oneself, and the way back to what stood before."""

from flask import Blueprint, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock
from portal.actions import templates
from portal.actions.templates import Draft, Preview, TemplateProblem
from portal.actions.test_text import send_test_text
from portal.core.roles import Permission
from portal.core.text import PLACEHOLDERS
from portal.web.access import allow, who
from portal.web.inside import inside, leave_for
from portal.web.row_ids import LARGEST_ID, row_id
from portal.web.texts import as_typed, cost_of

PAGE = 50
IN_PLACE = "here"
_LONGEST_KEY = 64
_ID = f"/<int(max={LARGEST_ID}):template_id>"

pages = Blueprint("templates", __name__, url_prefix="/settings/templates")


@pages.get("")
@allow(Permission.SETTINGS)
def index() -> str:
    shown = templates.list_templates(g.practice.id, clock.now())
    begin = row_id(request.args.get("from", type=int)) or 0
    return render_template("templates/index.html", shown=shown[begin : begin + PAGE], begin=begin, all=len(shown))


@pages.get("/new")
@allow(Permission.SETTINGS)
def new() -> str:
    """`?type=`: the appointment type that it is written for; `?next=`: where saving it leads. Also in place, on the
    page of the types."""
    return render_editor()


@pages.get(_ID)
@allow(Permission.SETTINGS)
def show(template_id: int) -> str:
    return render_editor(template_id)


@pages.post("/draft")
@allow(Permission.SETTINGS)
def draft() -> str:
    """The same form with a template filled in, or with its cost."""
    return render_editor(_row_id("template_id"))


@pages.post("/weigh")
@allow(Permission.SETTINGS)
def weigh() -> str:
    """What is typed so far: how an appointment's reminder would read, and what it costs."""
    preview = templates.preview(g.practice.id, _draft(_row_id("template_id")), clock.now())
    shown = {"preview": preview, "problem_field": "", "at": _at(), **_weighed(preview)}
    return render_template("templates/_preview.html", **shown)


@pages.post("/test")
@allow(Permission.SETTINGS)
def test() -> ResponseReturnValue:
    """What is typed stays, saved or not."""
    typed = _draft(_row_id("template_id"))
    key = request.form.get("form_key", "")[:_LONGEST_KEY]
    try:
        sent = send_test_text(g.practice.id, typed, request.form.get("number", ""), key, who(), clock.now())
    except TemplateProblem as problem:
        return render_editor(typed.template_id, problem), 422
    current_app.extensions["portal.enqueue_sends"](g.practice.id, [sent])
    return render_editor(typed.template_id, sent=sent)


@pages.post("")
@allow(Permission.SETTINGS)
def add() -> ResponseReturnValue:
    name, text, type_id = request.form.get("name", ""), as_typed("text"), _row_id("type")
    try:
        if type_id:
            template_id = templates.add_for_type(g.practice.id, type_id, name, text, who(), clock.now())
        else:
            template_id = templates.add_template(g.practice.id, name, text, who(), clock.now())
    except TemplateProblem as problem:
        return render_editor(None, problem), 422
    own = url_for("appointment_types.index", row=type_id) if type_id else _saved(template_id)
    return leave_for(inside(request.form.get("next", ""), own))


@pages.post(_ID)
@allow(Permission.SETTINGS)
def change(template_id: int) -> ResponseReturnValue:
    name, text, seen = request.form.get("name", ""), as_typed("text"), request.form.get("seen", "")
    try:
        templates.change_template(g.practice.id, template_id, name, text, seen, who(), clock.now())
    except TemplateProblem as problem:
        return render_editor(template_id, problem), 422
    return leave_for(_saved(template_id))


@pages.post(f"{_ID}/restore")
@allow(Permission.SETTINGS)
def restore(template_id: int) -> ResponseReturnValue:
    try:
        templates.restore(g.practice.id, template_id, _row_id("change") or 0, who(), clock.now())
    except TemplateProblem as problem:
        return render_editor(template_id, TemplateProblem("restore", str(problem))), 422
    return redirect(_saved(template_id), 303)


def render_editor(
    template_id: int | None = None, problem: TemplateProblem | None = None, *, sent: int | None = None
) -> str:
    """The page, or the editor alone. `sent`: the test text's message."""
    form, typed = request.form, _draft(template_id)
    fill = _row_id("template") if form.get("do") == "fill" else None
    editor = templates.open_editor(
        g.practice.id, typed, who(), clock.now(), fill_from=fill, seen=form.get("seen", "")
    )
    is_fragment = request.headers.get("HX-Request-Type") == "partial"
    return render_template(
        "templates/_editor.html" if is_fragment else "templates/show.html",
        editor=editor,
        preview=editor.preview,
        placeholders=PLACEHOLDERS,
        problem=str(problem) if problem else "",
        problem_field=problem.field if problem else "",
        number=form.get("number", editor.number),
        template_id=_row_id("template"),
        sent=sent,
        is_saved="saved" in request.args,
        next=inside(request.values.get("next", ""), ""),
        at=_at() if is_fragment else "",
        **_weighed(editor.preview),
    )


def _at() -> str:
    """What tells the ids of an editor apart that is in place, of which a page may have several."""
    return f"-{_row_id('type')}" if request.values.get("place") == IN_PLACE else ""


def _draft(template_id: int | None) -> Draft:
    """What the form holds; where none was sent, nothing is typed yet."""
    is_typed = "text" in request.form
    return Draft(
        template_id=template_id,
        name=request.form.get("name", "") if is_typed else None,
        text=as_typed("text") if is_typed else None,
        appointment_id=_row_id("appointment"),
        type_id=_row_id("type"),
    )


def _weighed(preview: Preview) -> dict[str, object]:
    return {**cost_of(preview.text, preview.weighed), "text": preview.text, "sender": g.practice.sender}


def _saved(template_id: int) -> str:
    return url_for(".show", template_id=template_id, saved=1)


def _row_id(name: str) -> int | None:
    return row_id(request.values.get(name, type=int)) or None
