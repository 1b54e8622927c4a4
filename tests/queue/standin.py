"""`worker.py` with jobs that do what their practice is called, and note it in a file."""

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import portal
from portal.config import load_settings
from portal.jobs import gateway  # noqa: F401  the pool asks for it here
from portal.processes import stop_requested
from portal.queue import Queue, connect

FOLDER = Path(os.environ["PORTAL_DATA_DIR"])
SECRET = "Mia Novak, 0491 570 156"


class Remaining(NamedTuple):
    enqueued: int
    next_in: float | None
    sentences: list[str]
    queued: int = 1


def note(*words: object) -> None:
    with (FOLDER / "notes").open("a") as file:
        file.write(json.dumps(words) + "\n")


def worker_app() -> None:
    """The workers make it before they fork."""


def sweep() -> None:
    """Not noted: it comes by itself."""


def watch() -> None:
    """Nor this."""


def run_pass(practice: str, at: str) -> None:
    note("pass", practice, at)
    if practice == "then-sends":
        time.sleep(1)  # long enough for the other worker to find the queue empty
        Queue(connect(load_settings())).enqueue_sends("hold", range(1, 1001))


def record_broadcast(practice: str, broadcast: int) -> None:
    note("broadcast", practice, broadcast)


def send(practice: str, ids: list[int], is_probe: bool) -> str:
    match practice:
        case "raises":
            try:
                raise LookupError(SECRET)
            except LookupError as error:
                raise ValueError(SECRET) from error
        case "hold" | "hold on":
            note("holding", os.getpid(), os.getppid())
            while not (FOLDER / "release").exists() and not (practice == "hold" and stop_requested()):
                time.sleep(0.02)
    note("stopped" if stop_requested() else "sent", practice, ids, is_probe)
    return SECRET


def requeue_due(within: float) -> Remaining:
    """What the test has laid down, the first line first."""
    if (FOLDER / "no database").exists():
        raise ValueError(SECRET)
    path = FOLDER / "remaining"
    lines = path.read_text().splitlines() if path.exists() else []
    if not lines:
        return Remaining(0, None, [])
    path.write_text("\n".join(lines[1:]))
    note("asked", within, os.getpid())
    remaining = Remaining(*json.loads(lines[0]))
    if remaining.enqueued:
        Queue(connect(load_settings())).enqueue_sends("later", range(remaining.enqueued))
    return remaining


if __name__ == "__main__":
    sys.modules["portal.jobs"] = portal.jobs = sys.modules["__main__"]
    from portal.pool import main

    note("pool", os.getpid(), datetime.now(UTC).isoformat())
    sys.exit(main())
