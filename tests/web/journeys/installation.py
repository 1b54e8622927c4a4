"""A machine with nothing on it but the portal, every program a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from portal.config import Settings
from tests.cli.test_together import answers
from tests.processes import ROOT, environment_of, wait_until


@dataclass
class Installation:
    """A machine with nothing on it but the portal."""

    settings: Settings
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, when: datetime, *program: str) -> str:
        """What the program printed."""
        done = subprocess.run(
            [sys.executable, *program],
            cwd=ROOT,
            env=environment_of(self.settings, PORTAL_TEST_CLOCK=when.isoformat()),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def terminal(self, when: datetime) -> Iterator[Path]:
        """The web server runs; what it printed."""
        printed = self.folder / "printed"
        with printed.open("w") as out:
            web = subprocess.Popen(
                [sys.executable, "-m", "portal", "web", "--port", str(self.port)],
                cwd=ROOT,
                env=environment_of(self.settings, PORTAL_TEST_CLOCK=when.isoformat()),
                stdout=out,
                stderr=out,
            )
        try:
            wait_until(lambda: answers(self.port), seconds=60)
            yield printed
        finally:
            web.terminate()
            web.wait(60)
