"""The import in the browser: a file is uploaded, checked, looked at, confirmed; and the imports until now."""

from pathlib import PurePath
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from portal import clock
from portal.actions.import_conflicts import ShownConflict
from portal.actions.upload_matching import go_on, match, match_otherwise, show_matching
from portal.actions.upload_receive import receive
from portal.actions.uploads import (
    MOST_BYTES,
    TOO_LARGE,
    UploadRefused,
    confirm,
    discard,
    read_rejects,
    show_overview,
    show_run,
    show_upload,
)
from portal.core import phrases
from portal.core.import_words import FILES, column_in_words, value_in_words
from portal.core.lists import ENCODINGS, FIELDS, ORDERS_IN_WORDS, PLACES, SEPARATORS, DateOrder, Matching
from portal.core.roles import Permission
from portal.store.uploads import AT_WORK, UploadState
from portal.web.access import allow, who
from portal.web.row_ids import LARGEST_ID

RUNS = 20
_FORM = 256 * 1024  # bytes, of the rest of the form
_ID = f"/<int(max={LARGEST_ID}):upload_id>"

# Where a row of that file is changed, and what its page calls the row's id.
_PLACES = {
    "businesses.csv": ("businesses.show", "business_id"),
    "practitioners.csv": ("practitioners.show", "practitioner_id"),
    "sms_templates.csv": ("templates.show", "template_id"),
    "patients.csv": ("patients.show", "patient_id"),
    "phone_numbers.csv": ("patients.show", "patient_id"),
    "appointments.csv": ("appointments.show", "appointment_id"),
}

pages = Blueprint("imports", __name__, url_prefix="/settings/import")


def register(app: Flask) -> None:
    app.before_request(_take_a_large_file)


def _take_a_large_file() -> None:
    """Here only; it is read into a temporary file, not into memory."""
    if request.endpoint == "imports.upload":
        request.max_content_length = MOST_BYTES + _FORM


@pages.get("", endpoint="index")
@allow(Permission.SETTINGS)
def _index(problem: str = "") -> str:
    overview = show_overview(g.practice.id, RUNS)
    updated = next((run for run in overview.runs if "appointments.csv" in run.counts), None)
    return render_template(
        "imports/index.html",
        overview=overview,
        updated=updated,
        files=FILES,
        problem=problem,
        most=MOST_BYTES,
        too_large=TOO_LARGE,
    )


@pages.post("")
@allow(Permission.SETTINGS)
def upload() -> ResponseReturnValue:
    file = request.files.get("file")
    if file is None:
        raise UploadRefused("Choose a file first.")
    name = PurePath((file.filename or "").replace("\\", "/")).name
    received = receive(g.practice.id, name, file.stream, who(), clock.now())
    if received.state in AT_WORK:
        _enqueue(received.id)
    return redirect(url_for(".show", upload_id=received.id), 303)


@pages.errorhandler(UploadRefused)
def _refused(refused: UploadRefused) -> ResponseReturnValue:
    """Beside the form that it is about."""
    upload_id = (request.view_args or {}).get("upload_id")
    return _index(str(refused)) if upload_id is None else _show(upload_id, refused), 422


@pages.errorhandler(RequestEntityTooLarge)
def _too_large(_: RequestEntityTooLarge) -> ResponseReturnValue:
    return _index(TOO_LARGE), 413


@pages.get(_ID)
@allow(Permission.SETTINGS)
def show(upload_id: int) -> str:
    return _show(upload_id)


@pages.post(f"{_ID}/columns")
@allow(Permission.SETTINGS)
def match_it(upload_id: int) -> ResponseReturnValue:
    """What the columns of a list hold; then its first rows are shown as they are understood."""
    problem = match(g.practice.id, upload_id, _matching(), clock.now())
    if problem:
        raise UploadRefused(problem[1], problem[0])
    return redirect(url_for(".show", upload_id=upload_id, _anchor="understood"), 303)


@pages.post(f"{_ID}/check")
@allow(Permission.SETTINGS)
def check_it(upload_id: int) -> ResponseReturnValue:
    go_on(g.practice.id, upload_id, request.form.get("seen", ""), who(), clock.now())
    _enqueue(upload_id)
    return redirect(url_for(".show", upload_id=upload_id), 303)


@pages.post(f"{_ID}/otherwise")
@allow(Permission.SETTINGS)
def match_it_otherwise(upload_id: int) -> ResponseReturnValue:
    match_otherwise(g.practice.id, upload_id, clock.now())
    return redirect(url_for(".show", upload_id=upload_id, columns="open", _anchor="columns"), 303)


def _matching() -> Matching:
    """As the form has it; what it may not be is left out, and asked for again."""
    given = request.form
    separator, encoding, dates = (given.get(name, "") for name in ("separator", "encoding", "dates"))
    return Matching(
        separator=separator if separator in SEPARATORS else ",",
        encoding=encoding if encoding in ENCODINGS else "utf-8",
        dates=DateOrder(dates) if dates in list(DateOrder) else None,
        columns={field: column for field in FIELDS if (column := given.get(f"column-{field}", ""))},
        same={place: name for place in PLACES if (name := phrases.plain(given.get(f"same-{place}", ""), 150))},
        cancelled=phrases.plain(given.get("cancelled", ""), 150),
        zone=given.get("zone", ""),
        template=given.get("template", ""),
    )


@pages.post(f"{_ID}/confirm")
@allow(Permission.SETTINGS)
def confirm_it(upload_id: int) -> ResponseReturnValue:
    confirm(
        g.practice.id,
        upload_id,
        seen=request.form.get("seen", ""),
        accepts_valid=bool(request.form.get("accept")),
        withdraws_missing=bool(request.form.get("withdraw")),
        creates=bool(request.form.get("create")),
        who=who(),
        now=clock.now(),
    )
    _enqueue(upload_id)
    return redirect(url_for(".show", upload_id=upload_id), 303)


@pages.post(f"{_ID}/discard")
@allow(Permission.SETTINGS)
def discard_it(upload_id: int) -> ResponseReturnValue:
    discard(g.practice.id, upload_id, clock.now())
    return redirect(url_for(".index"), 303)


@pages.get(f"/runs/<int(max={LARGEST_ID}):run_id>")
@allow(Permission.SETTINGS)
def run(run_id: int) -> str:
    """What staff and the export both changed, of an import that is over, however it was made."""
    shown = show_run(g.practice.id, run_id)
    return render_template("imports/run.html", shown=shown, files=FILES, settled_at=_settled_at)


@pages.get(f"{_ID}/rejects.csv")
@allow(Permission.SETTINGS)
def rejects(upload_id: int) -> Response:
    found = read_rejects(g.practice.id, upload_id)
    answer = Response(stream_with_context(found), mimetype="text/csv")
    answer.headers["Content-Disposition"] = 'attachment; filename="rejects.csv"'
    return answer


def _show(upload_id: int, refused: UploadRefused | None = None) -> str:
    shown = show_upload(g.practice.id, upload_id, clock.now())
    is_fragment = request.headers.get("HX-Request-Type") == "partial"
    is_at_work = shown.upload.state in AT_WORK
    return render_template(
        "imports/_upload.html" if is_fragment else "imports/show.html",
        shown=shown,
        upload=shown.upload,
        found=shown.found,
        is_at_work=is_at_work,
        progress=_progress(upload_id) if is_at_work else None,
        has_switched_on=_switches_on(shown.found),
        files=FILES,
        settled_at=_settled_at,
        column_in_words=column_in_words,
        value_in_words=value_in_words,
        columns_open=request.args.get("columns") == "open",
        given=request.form,
        problem=str(refused or ""),
        problem_field=refused.field if refused else "",
        list=show_matching(g.practice.id, upload_id) if shown.upload.state is UploadState.MATCHING else None,
        fields=FIELDS,
        separators=SEPARATORS,
        encodings=ENCODINGS,
        orders=ORDERS_IN_WORDS,
        places=PLACES,
    )


def _settled_at(one: ShownConflict) -> str | None:
    """The page on which staff change it; None where it is gone."""
    if one.file == "practice.json":
        return url_for("settings.sms")
    if one.row_id is None:
        return None
    if one.file == "appointment_types.csv":
        return url_for("appointment_types.index", _anchor=f"type-{one.row_id}")
    endpoint, name = _PLACES[one.file]
    values: dict[str, Any] = {name: one.row_id}
    return url_for(endpoint, **values)


def _progress(upload_id: int) -> int | None:
    """Per cent; None where no worker has begun, or none says so."""
    told = current_app.extensions["portal.upload_progress"](g.practice.id, upload_id)
    return None if told is None else 100 * told[0] // max(told[1], 1)


def _switches_on(found: dict[str, Any]) -> bool:
    """Whether the file would switch sending on: that is not to be overlooked."""
    examples = found.get("examples", [])
    changes = [change for one in examples if one["file"] == "practice.json" for change in one["changes"]]
    return any(name == "sending" and after == "on" for name, _, after in changes)


def _enqueue(upload_id: int) -> None:
    current_app.extensions["portal.enqueue_upload"](g.practice.id, upload_id)
