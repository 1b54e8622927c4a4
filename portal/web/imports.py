"""The import in the browser: a file is uploaded, checked, looked at, confirmed; and the imports until now."""

import re
from contextlib import suppress
from datetime import date, datetime
from pathlib import PurePath
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
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
from portal.actions.upload_matching import go_on, match, show_matching
from portal.actions.upload_receive import receive
from portal.actions.uploads import (
    MOST_BYTES,
    TOO_LARGE,
    NoSuchUpload,
    UploadRefused,
    confirm,
    discard,
    read_rejects,
    show_overview,
    show_upload,
)
from portal.core import phrases
from portal.core.lists import ENCODINGS, FIELDS, ORDERS_IN_WORDS, PLACES, SEPARATORS, DateOrder, Matching
from portal.core.roles import Permission
from portal.store.uploads import AT_WORK, UploadState
from portal.web.access import allow, who
from portal.web.row_ids import LARGEST_ID

RUNS = 20
_FORM = 256 * 1024  # bytes, of the rest of the form
_ID = f"/<int(max={LARGEST_ID}):upload_id>"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")

FILES = {
    "practice.json": "Practice",
    "businesses.csv": "Businesses",
    "practitioners.csv": "Practitioners",
    "sms_templates.csv": "Templates",
    "appointment_types.csv": "Appointment types",
    "patients.csv": "Patients",
    "phone_numbers.csv": "Phone numbers",
    "appointments.csv": "Appointments",
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
    try:
        if file is None:
            raise UploadRefused("Choose a file first.")
        name = PurePath((file.filename or "").replace("\\", "/")).name
        received = receive(g.practice.id, name, file.stream, who(), clock.now())
    except UploadRefused as refused:
        return _index(str(refused)), 422
    if received.state in AT_WORK:
        _enqueue(received.id)
    return redirect(url_for(".show", upload_id=received.id), 303)


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
    try:
        problem = match(g.practice.id, upload_id, _matching(), clock.now())
    except NoSuchUpload:
        abort(404)
    except UploadRefused as refused:
        return _show(upload_id, refused), 422
    if problem:
        return _show(upload_id, UploadRefused(problem[1], problem[0])), 422
    return redirect(url_for(".show", upload_id=upload_id, _anchor="understood"), 303)


@pages.post(f"{_ID}/check")
@allow(Permission.SETTINGS)
def check_it(upload_id: int) -> ResponseReturnValue:
    try:
        go_on(g.practice.id, upload_id, request.form.get("seen", ""), who(), clock.now())
    except NoSuchUpload:
        abort(404)
    except UploadRefused as refused:
        return _show(upload_id, refused), 422
    _enqueue(upload_id)
    return redirect(url_for(".show", upload_id=upload_id), 303)


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
    try:
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
    except NoSuchUpload:
        abort(404)
    except UploadRefused as refused:
        return _show(upload_id, refused), 422
    _enqueue(upload_id)
    return redirect(url_for(".show", upload_id=upload_id), 303)


@pages.post(f"{_ID}/discard")
@allow(Permission.SETTINGS)
def discard_it(upload_id: int) -> ResponseReturnValue:
    try:
        discard(g.practice.id, upload_id, clock.now())
    except NoSuchUpload:
        abort(404)
    except UploadRefused as refused:
        return _show(upload_id, refused), 422
    return redirect(url_for(".index"), 303)


@pages.get(f"{_ID}/rejects.csv")
@allow(Permission.SETTINGS)
def rejects(upload_id: int) -> Response:
    try:
        found = read_rejects(g.practice.id, upload_id)
    except NoSuchUpload:
        abort(404)
    answer = Response(stream_with_context(found), mimetype="text/csv")
    answer.headers["Content-Disposition"] = 'attachment; filename="rejects.csv"'
    return answer


def _show(upload_id: int, refused: UploadRefused | None = None) -> str:
    try:
        shown = show_upload(g.practice.id, upload_id)
    except NoSuchUpload:
        abort(404)
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
        said=_said,
        born=lambda day: phrases.day(date.fromisoformat(day), None),
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


def _progress(upload_id: int) -> int | None:
    """Per cent; None where no worker has begun, or none says so."""
    told = current_app.extensions["portal.upload_progress"](g.practice.id, upload_id)
    return None if told is None else 100 * told[0] // max(told[1], 1)


def _switches_on(found: dict[str, Any]) -> bool:
    """Whether the file would switch sending on: that is not to be overlooked."""
    examples = found.get("examples", [])
    changes = [change for one in examples if one["file"] == "practice.json" for change in one["changes"]]
    return any(name == "sending" and after == "on" for name, _, after in changes)


def _said(value: object) -> str:
    """A value of a row, as people read it."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if _TIME.match(text):
        with suppress(ValueError):  # a name may begin like a time
            return phrases.day_and_time(datetime.fromisoformat(text), None)
    return phrases.plain(text, 80)


def _enqueue(upload_id: int) -> None:
    current_app.extensions["portal.enqueue_upload"](g.practice.id, upload_id)
