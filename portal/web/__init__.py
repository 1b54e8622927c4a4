"""The pages. Until there is sign-in they are served to this machine only."""

import logging
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, render_template, request
from flask.typing import ResponseReturnValue
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException, NotFound

from portal.config import is_loopback
from portal.errors import describe
from portal.web import access, communications, sign_in, words
from portal.web.access import ANYONE, allow
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


def register(app: Flask) -> None:
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    words.register(app)
    sign_in.register(app, app.extensions["portal.settings"])
    app.register_blueprint(communications.pages)
    app.add_url_rule("/", "home", communications.home)
    app.add_url_rule("/healthz", "healthz", _healthz)
    app.before_request(_only_known_names)
    access.register(app)
    app.after_request(_protect)
    app.context_processor(lambda: {"find_notices": find_notices})
    app.register_error_handler(Exception, _apologise)


@allow(ANYONE)
def _healthz() -> Response:
    """The process answers."""
    return Response("ok\n", mimetype="text/plain")


def _only_known_names() -> Response | None:
    """A page of another site could give its own name our address, and so read ours."""
    public_url = current_app.extensions["portal.settings"].public_url
    asked = urlsplit(f"//{request.host}")
    if is_loopback(asked.hostname) or (public_url and asked.netloc == urlsplit(public_url).netloc):
        return None
    return Response("This name is not the portal's: see PORTAL_PUBLIC_URL.\n", 421, mimetype="text/plain")


def _protect(response: Response) -> Response:
    response.headers.update(HEADERS)
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
        response.headers["Vary"] = "HX-Request"
    return response


def _apologise(error: Exception) -> ResponseReturnValue:
    """A plain page in words. What failed goes to the log by type and place: its text may hold anything."""
    if isinstance(error, NotFound):
        return render_template("errors/404.html"), 404
    if isinstance(error, HTTPException):
        if error.code is not None and error.code < 400:
            return error.get_response()
        return render_template("errors/refused.html", error=error), error.code or 500
    log.error("A page failed: %s", describe(error))
    return render_template("errors/500.html"), 500
