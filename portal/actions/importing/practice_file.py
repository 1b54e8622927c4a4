"""practice.json: read it, and merge it into the practice."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal import store
from portal.actions.importing.fields import read_preference, read_required_text
from portal.actions.importing.merge import Merged, merge
from portal.actions.importing.problems import CannotImport, Problem
from portal.core.numbers import country_name
from portal.core.reminders import Sending
from portal.core.senders import read_sender
from portal.store.credits import EntryKind
from portal.store.imported import as_json
from portal.store.practices import Practice

FILE = "practice.json"
_LONGEST = 64 * 1024  # bytes
_MOST_CREDITS = 1_000_000_000
SENDER_TAKEN = "this number is another practice's: replies to it would reach both."


@dataclass(frozen=True, slots=True)
class PracticeFile:
    """`id` is None where it cannot be read; `values` by field, without what the file does not hold."""

    id: str | None
    values: dict[str, Any]
    credits: int
    problems: tuple[Problem, ...]
    lines: Mapping[str, int]  # of each key


def read_practice(path: Path) -> PracticeFile:
    try:
        text = _read(path)
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError('it must hold one object: {"id": …, "name": …}.')
    except (ValueError, RecursionError, OSError) as error:
        return PracticeFile(None, {}, 0, (_unreadable(error),), {})
    lines = {
        key: number
        for number, line in enumerate(text.splitlines(), 1)
        for key in re.findall(r'"([a-z_]+)"\s*:', line)
    }
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, (fills, read, is_required) in _KEYS.items():
        try:
            if key in found:
                values[fills] = read(found[key])
            elif is_required:
                raise ValueError("it is missing.")
        except ValueError as error:
            value = found.get(key)
            problems.append(Problem(FILE, lines.get(key, 1), key, str(error), None if value is None else str(value)))
    if values.get("sender") and "country" in values:
        try:
            values["sender"] = read_sender(values["sender"], values["country"])
        except ValueError as error:
            problems.append(Problem(FILE, lines.get("sender", 1), "sender", str(error), values["sender"]))
    return PracticeFile(values.pop("id", None), values, values.pop("credits", 0), tuple(problems), lines)


def _read(path: Path) -> str:
    if not path.is_file():
        raise ValueError("it is not a file.")
    with path.open("rb") as stream:
        raw = stream.read(_LONGEST + 1)
    if len(raw) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST // 1024} KB.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8. Save it as UTF-8 and import it again.") from None


def _unreadable(error: Exception) -> Problem:
    if isinstance(error, json.JSONDecodeError):
        return Problem(FILE, error.lineno, "", f"it is not well-formed JSON: {error.msg}.")
    if isinstance(error, OSError):
        return Problem(FILE, 1, "", f"it cannot be read: {error.strerror}.")
    return Problem(FILE, 1, "", str(error) if isinstance(error, ValueError) else "it is nested too deeply.")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it must be a text in quotation marks.")
    return value


def _number(value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"it must be a whole number from {least} to {most}.")
    return value


def read_id(value: Any) -> str:
    """Raises ValueError, as the others."""
    value = _text(value)
    if not (0 < len(value) <= 64 and value.isprintable() and not any(map(str.isspace, value))):
        raise ValueError("it must be 1 to 64 printable characters without spaces.")
    return value


def read_country(value: Any) -> str:
    code = _text(value).strip().upper()
    if country_name(code) == code:
        raise ValueError("not a country: use its two letters of ISO 3166, e.g. AU or GB.")
    return code


def _read_window_start(value: Any) -> int:
    found = re.fullmatch("([0-9]{1,2}):00", _text(value).strip())
    if not found or not 6 <= int(found[1]) <= 15:
        raise ValueError("it must be a full hour from 06:00 to 15:00.")
    return int(found[1])


def _read_sending(value: Any) -> Sending:
    try:
        return Sending(_text(value).strip().casefold())
    except ValueError:
        raise ValueError(f"write one of {', '.join(Sending)}.") from None


# Key of the file: the field that it fills, how to read it, and whether it must be there.
_KEYS: dict[str, tuple[str, Callable[[Any], Any], bool]] = {
    "id": ("id", read_id, True),
    "name": ("name", lambda value: read_required_text(_text(value)), True),
    "country": ("country", read_country, True),
    "default_reminder": ("default_preference", lambda value: read_preference(_text(value)), True),
    "lead_days": ("lead_days", lambda value: _number(value, 1, 14), False),
    "window_start": ("window_start", _read_window_start, False),
    "credits": ("credits", lambda value: _number(value, -_MOST_CREDITS, _MOST_CREDITS), False),
    "sending": ("sending", _read_sending, False),
    "sender": ("sender", lambda value: read_required_text(_text(value)), True),
}
_KEY_OF = {fills: key for key, (fills, _, _) in _KEYS.items()}


def key_of(filled: str) -> str:
    return _KEY_OF[filled]


def merge_practice(practice: Practice, values: Mapping[str, Any]) -> Merged:
    current = {field: as_json(getattr(practice, field)) for field in values}
    return merge(current, practice.staff_changed, values)


def find_taken_sender(session: Session, practice_id: str, file: PracticeFile) -> Problem | None:
    """Where the import would give the practice a number that another one has."""
    practice = store.practices.find_practice(session, practice_id)
    new = merge_practice(practice, file.values).values if practice else file.values
    if "sender" in new and store.practices.is_sender_taken(session, practice_id, new["sender"]):
        return Problem(FILE, file.lines.get("sender", 1), "sender", SENDER_TAKEN, new["sender"])
    return None


def record_new_practice(session: Session, practice_id: str, file: PracticeFile, now: datetime) -> bool:
    """False where there is one already. The opening balance is taken here only."""
    if store.practices.find_practice(session, practice_id):
        return False
    live_since = now if file.values.get("sending") is Sending.ON else None
    new = {"id": practice_id, "created_at": now, "live_since": live_since} | file.values
    is_new = store.practices.record_practice(session, new)
    if is_new and file.credits:
        entry = {
            "practice_id": practice_id,
            "at": now,
            "kind": EntryKind.OPENING,
            "amount": file.credits,
            "message_id": None,
            "reference": "",
        }
        store.credits.record_entries(session, [entry])
    return is_new


def apply_practice(session: Session, practice: Practice, file: PracticeFile, now: datetime) -> Merged:
    """Merge the file into the practice. Raises CannotImport where its number was taken meanwhile."""
    merged = merge_practice(practice, file.values)
    for field, value in merged.values.items():
        if field == "sending":
            practice.switch(value, now, None)
        else:
            setattr(practice, field, value)
    if practice.staff_changed != merged.staff_changed:
        practice.staff_changed = merged.staff_changed
    try:
        session.flush()
    except IntegrityError:
        raise CannotImport(f"{FILE}: sender: {SENDER_TAKEN}") from None
    return merged
