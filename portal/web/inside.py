"""Redirects that stay inside the portal, whatever a form or an address names."""

from urllib.parse import urlsplit

from flask import request


def inside(path: str | None, otherwise: str) -> str:
    """The path, where it is one of ours; else `otherwise`. Browsers take `\\` for `/` and leave out control
    characters, so what holds either is none."""
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
        return otherwise
    parts = urlsplit(path)
    return otherwise if parts.scheme or parts.netloc else path


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
