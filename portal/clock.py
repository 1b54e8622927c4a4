"""The one place that reads the machine's clock.

Only the edges (commands, jobs, web) call `now()`; everything below is handed the instant.
With PORTAL_TEST_CLOCK the clock starts at that instant when the process starts, and ticks on.
"""

import time
from datetime import UTC, datetime, timedelta

_offset = timedelta()


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC) + _offset


def start_at(instant: datetime) -> None:
    """Let this process's clock (and that of its forks) read `instant` now."""
    global _offset
    _offset = instant - datetime.now(UTC)


def is_shifted() -> bool:
    return bool(_offset)


def sleep(seconds: float) -> None:
    time.sleep(max(0.0, seconds))
