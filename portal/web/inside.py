"""Redirects that stay inside the portal, whatever a form or an address names."""

from urllib.parse import urlsplit

from flask import redirect, request
from flask.typing import ResponseReturnValue


def inside(path: str | None, otherwise: str) -> str:
    """The path, where it is one of ours; else `otherwise`. Browsers take `\\` for `/` and leave out control
    characters, so what holds either is none."""
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
        return otherwise
    parts = urlsplit(path)
    return otherwise if parts.scheme or parts.netloc else path


def leave_for(where: str, status_of_a_fragment: int = 204) -> ResponseReturnValue:
    """Another page, not a part of this one: a fragment cannot hold it, so that the browser goes there itself."""
    if request.headers.get("HX-Request"):
        return "", status_of_a_fragment, {"HX-Redirect": where}
    return redirect(where, 303)


def wanted_page() -> str | None:
    """The page that the person is on, to come back to: for a form or a fragment the one that holds it."""
    if request.headers.get("HX-Request"):
        return _path_of(request.headers.get("HX-Current-URL"))
    if request.method == "GET":
        return request.full_path.rstrip("?")
    return _path_of(request.referrer)


def _path_of(address: str | None) -> str | None:
    parts = urlsplit(address or "")
    return inside(parts._replace(scheme="", netloc="", fragment="").geturl(), "") or None
