"""Real servers, workers and supervisors, in data directories of their own, ended whatever a test does."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis

from portal.config import Settings, load_settings
from portal.embedded import stop_redis
from portal.queue import Queue, connect

_numbers = count()

STANDIN = Path(__file__).with_name("standin.py")


def wait_until(holds: Callable[[], Any], seconds: float = 180) -> Any:
    """Poll until it holds; returns what it returned. The limit is for a wrong program, not for a slow machine."""
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return value


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and nobody waited for does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")


class Program:
    """A process that the test started, and what it printed so far."""

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._output = folder / f"output{next(_numbers)}"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", *arguments],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid = self.process.pid

    @property
    def output(self) -> str:
        return self._output.read_text()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 180) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it never ended, and said:\n{self.output}") from None


@pytest.fixture
def settings(short_tmp: Path) -> Iterator[Settings]:
    """An installation of its own whose embedded Redis, once started, is ended with the test."""
    data_dir = short_tmp / f"q{next(_numbers)}"
    data_dir.mkdir(mode=0o700)
    settings = load_settings({"PORTAL_DATA_DIR": str(data_dir)})
    yield settings
    stop_redis(settings)


@pytest.fixture
def connection(settings: Settings) -> Iterator[redis.Redis]:
    with connect(settings) as connection:
        yield connection


@pytest.fixture
def queue(connection: redis.Redis) -> Queue:
    return Queue(connection)


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., Program]]:
    """Start a Python program in the data directory; all of its session is killed with the test."""
    with ExitStack() as stack:

        def start(*arguments: str, **environment: str) -> Program:
            program = Program(
                list(arguments), settings.data_dir, {"PORTAL_DATA_DIR": str(settings.data_dir), **environment}
            )
            stack.callback(_kill_session, program)
            return program

        yield start


@pytest.fixture
def start_pool(start: Callable[..., Program]) -> Callable[..., Program]:
    """Start `worker.py` with the stand-in's jobs."""

    def start_pool(*arguments: str, **environment: str) -> Program:
        return start(str(STANDIN), *arguments, **environment)

    return start_pool


@pytest.fixture
def notes(settings: Settings) -> Callable[[str], list[list[Any]]]:
    """What the stand-in noted under a word, the word left out."""

    def notes(word: str) -> list[list[Any]]:
        path = settings.data_dir / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        return [rest for first, *rest in map(json.loads, lines) if first == word]

    return notes


def _kill_session(program: Program) -> None:
    for pid in session_pids(program.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    program.process.wait()


def session_pids(session: int) -> list[int]:
    """The processes of a session that run; children keep it, whatever group they are in."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,sess=,stat="], capture_output=True, text=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return [int(pid) for pid, its, state in rows if its == str(session) and not state.startswith("Z")]
