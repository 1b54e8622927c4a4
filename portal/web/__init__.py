"""The pages."""

import logging
from urllib.parse import SplitResult, urlsplit

from flask import Flask, Response, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException, NotFound, TooManyRequests

from portal.config import is_loopback
from portal.errors import describe
from portal.store import NotThere
from portal.web import (
    access,
    account,
    appointment_types,
    appointments,
    booking,
    broadcasts,
    businesses,
    communications,
    diagnosis,
    duplicates,
    first_run,
    going_live,
    help,
    host,
    imports,
    join,
    limits,
    patients,
    practices,
    practitioners,
    remembered,
    replies,
    sending,
    settings,
    sign_in,
    staff,
    static_files,
    templates,
    texts,
    tidy_up,
    today,
    webhooks,
    words,
)
from portal.web.access import ANYONE, allow
from portal.web.inside import inside, wanted_page
from portal.web.notices import find_notices

log = logging.getLogger(__name__)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
HSTS = "max-age=31536000"  # a year; of the portal's own name, where it has https


def register(app: Flask) -> None:
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    words.register(app)
    diagnosis.register(app)
    static_files.register(app)
    app.before_request(_only_known_names)
    sign_in.register(app, app.extensions["portal.settings"])
    app.register_blueprint(account.pages)
    app.register_blueprint(first_run.pages)
    app.register_blueprint(join.pages)
    app.register_blueprint(staff.pages)
    app.register_blueprint(communications.pages)
    app.register_blueprint(appointments.pages)
    app.register_blueprint(appointment_types.pages)
    app.register_blueprint(booking.pages)
    app.register_blueprint(broadcasts.pages)
    app.register_blueprint(businesses.pages)
    app.register_blueprint(practitioners.pages)
    app.register_blueprint(settings.pages)
    app.register_blueprint(imports.pages)
    app.register_blueprint(templates.pages)
    app.register_blueprint(host.pages)
    app.register_blueprint(going_live.pages)
    app.register_blueprint(sending.pages)
    app.register_blueprint(practices.pages)
    app.register_blueprint(patients.pages)
    app.register_blueprint(texts.pages)
    app.register_blueprint(replies.pages)
    app.register_blueprint(tidy_up.pages)
    app.register_blueprint(duplicates.pages)
    app.register_blueprint(today.pages)
    app.register_blueprint(webhooks.pages)
    help.register(app)
    sign_in.csrf.exempt(webhooks.pages)
    app.add_url_rule("/", "home", today.home)
    app.add_url_rule("/healthz", "healthz", _healthz)
    first_run.register(app)
    access.register(app)
    remembered.register(app)
    # After access, whose answer needs no file; before the forms' tokens, which are read with it.
    imports.register(app)
    sign_in.csrf.init_app(app)  # after access: who was signed out meanwhile is led to sign in, not refused
    limits.register(app)
    app.after_request(_protect)
    app.context_processor(lambda: {"find_notices": find_notices})
    app.register_error_handler(Exception, _apologise)


@allow(ANYONE)
def _healthz() -> Response:
    """The process answers."""
    return Response("ok\n", mimetype="text/plain")


def _only_known_names() -> Response | None:
    """A page of another site could give its own name our address, and so read ours."""
    asked = urlsplit(f"//{request.host}").hostname
    if asked and (is_loopback(asked) or asked == _public().hostname):
        return None
    return Response("This name is not the portal's: see PORTAL_PUBLIC_URL.\n", 421, mimetype="text/plain")


def _public() -> SplitResult:
    return urlsplit(current_app.extensions["portal.settings"].public_url or "//")


def _protect(response: Response) -> Response:
    response.headers.update(HEADERS)
    if _public().scheme == "https":
        response.headers["Strict-Transport-Security"] = HSTS
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
        response.headers["Vary"] = "HX-Request"
    return response


def _apologise(error: Exception) -> ResponseReturnValue:
    """A plain page in words. What failed goes to the log by type and place: its text may hold anything."""
    if isinstance(error, NotFound | NotThere):
        return render_template("errors/404.html"), 404
    if isinstance(error, CSRFError):
        return _old_page()
    if isinstance(error, TooManyRequests):
        return render_template("errors/too_often.html"), 429
    if isinstance(error, HTTPException):
        if error.code is not None and error.code < 400:
            return error.get_response()
        return render_template("errors/refused.html", error=error), error.code or 500
    log.error("A page failed: %s", describe(error))
    return render_template("errors/500.html"), 500


def _old_page() -> ResponseReturnValue:
    """A form without a token that is still good. A fragment takes the place of the whole page's content."""
    back = inside(wanted_page() or request.path, "/")
    if request.headers.get("HX-Request"):
        said = render_template("errors/_old_page.html", back=back)
        return said, 400, {"HX-Retarget": "#main", "HX-Reswap": "innerHTML"}
    return render_template("errors/old_page.html", back=back), 400
