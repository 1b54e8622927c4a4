"""What somebody sees who looks at the host: the queue and its workers, findings, and whether all is ready."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"
    MEND = "mend"


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend` says what to do; empty where all is well."""

    level: Level
    about: str
    says: str
    mend: str = ""


@dataclass(frozen=True)
class WorkerSeen:
    name: str
    host: str
    pid: int
    state: str  # RQ's word: started, idle, busy, suspended
    last_heartbeat: datetime
    is_alive: bool


@dataclass(frozen=True, slots=True)
class QueueSeen:
    """`oldest_age`: how long the job that waits longest has waited. `workers`: those that signed on and not off;
    `expired`: how many more of these are known by name only. `problem`: why Redis cannot be looked at, in words; then
    the rest is empty."""

    length: int = 0
    oldest_age: timedelta | None = None
    workers: Sequence[WorkerSeen] = ()
    problem: str | None = None
    expired: int = 0

    @property
    def alive(self) -> Sequence[WorkerSeen]:
        return [worker for worker in self.workers if worker.is_alive]

    @property
    def lost(self) -> int:
        """Workers that neither live nor signed off."""
        return len(self.workers) - len(self.alive) + self.expired


class Database(StrEnum):
    OK = "ok"
    UNAVAILABLE = "unavailable"
    NOT_SET_UP = "not-set-up"
    OTHER_VERSION = "other-version"


class Passes(StrEnum):
    OK = "ok"
    NONE_YET = "none-yet"
    MISSED = "missed"
    UNKNOWN = "unknown"


def readiness(database: Database, queue: QueueSeen, passes: Passes) -> dict[str, str]:
    """A code for each part, as everyone may see them."""
    workers = "unknown" if queue.problem else "ok" if queue.alive else "none"
    return {
        "database": database,
        "redis": "unavailable" if queue.problem else "ok",
        "workers": workers,
        "last_pass": passes,
    }


def is_ready(codes: dict[str, str]) -> bool:
    """A new host, where nothing was due yet, is ready."""
    return set(codes.values()) <= {"ok", Passes.NONE_YET}
