"""The code that the first run asks for: who can read the terminal or the data directory may set the portal up."""

import hmac
import os
import secrets
from pathlib import Path

from portal.config import Settings, make_data_dir

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another
_GROUPS, _GROUP = 4, 4


def set_up_code(settings: Settings) -> str:
    """The code, made once; in a file that only its owner can read."""
    make_data_dir(settings)
    path = _path(settings)
    made = "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made)
    except FileExistsError:
        return path.read_text()
    return made


def is_set_up_code(settings: Settings, typed: str) -> bool:
    try:
        code = _path(settings).read_text()
    except FileNotFoundError:
        return False
    plain = "".join(typed.lower().split()).replace("-", "")
    return hmac.compare_digest(plain.encode(), code.replace("-", "").encode())


def end_set_up_code(settings: Settings) -> None:
    _path(settings).unlink(missing_ok=True)


def _path(settings: Settings) -> Path:
    return settings.data_dir / "set_up_code"
