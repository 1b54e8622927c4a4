"""Scripts and style sheets cross the wire compressed.

Pages do not: one that holds both a form's token and what a stranger put into its address would give the token away
by its size (BREACH).
"""

from flask import Flask, Response
from flask_compress import Compress

_KINDS = ["text/css", "text/javascript"]


def register(app: Flask) -> None:
    app.config["COMPRESS_MIMETYPES"] = _KINDS
    app.config["COMPRESS_ALGORITHM"] = ["gzip"]
    Compress(app)
    app.after_request(_read_whole)  # what is registered last comes first


def _read_whole(response: Response) -> Response:
    """The library leaves the file open of what it compresses piece by piece."""
    if response.mimetype in _KINDS and response.status_code == 200:
        response.direct_passthrough = False
        response.make_sequence()
    return response
