"""Real processes for tests: their environment, and waiting for what they do."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from portal.config import Settings

ROOT = Path(__file__).parent.parent


def environment_of(settings: Settings, **more: str) -> dict[str, str]:
    """The environment in which a program of ours has these settings, and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "VONAGE_"))}
    own = {
        "PORTAL_DATA_DIR": str(settings.data_dir),
        "PORTAL_DATABASE_URL": settings.database_url,
        "PORTAL_SECRET_KEY": "for tests",
        "PORTAL_SEND_RATE": str(settings.send_rate),
    }
    if settings.vonage_base_url:
        own["VONAGE_BASE_URL"] = settings.vonage_base_url
    if settings.redis_url:
        own["PORTAL_REDIS_URL"] = settings.redis_url
    return kept | own | more


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Poll; the limit is generous, since machines are slow at times."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
