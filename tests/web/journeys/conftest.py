"""What journeys begin with that are of no practice yet."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from portal.config import load_settings
from portal.embedded import ensure_redis, stop_redis
from portal.sms.simulator import Simulator
from tests.cli.test_together import free_port

from .installation import Installation
from .stack import RIVERSIDE


@pytest.fixture
def provider() -> Iterator[Simulator]:
    with Simulator() as provider:
        yield provider


@pytest.fixture
def installation(short_tmp: Path, tmp_path: Path, provider: Simulator) -> Iterator[Installation]:
    folder = short_tmp / f"first{len(list(short_tmp.iterdir()))}"
    settings = load_settings({"PORTAL_DATA_DIR": str(folder), "VONAGE_BASE_URL": provider.url})
    with ExitStack() as stack:
        stack.callback(stop_redis, settings)
        ensure_redis(settings)
        yield Installation(settings, free_port(), tmp_path)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Riverside's, as a new practice's: it does not say that it sends."""
    folder = tmp_path / "export"
    shutil.copytree(RIVERSIDE, folder)
    practice = json.loads((folder / "practice.json").read_text())
    del practice["sending"]
    (folder / "practice.json").write_text(json.dumps(practice))
    return folder
