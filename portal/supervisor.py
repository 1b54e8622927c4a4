"""Several programs as one: what `portal up` and `portal demo` start, keep running and end together."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

import click

from portal import clock
from portal.config import Settings, make_data_dir
from portal.embedded import ensure_redis, stop_redis
from portal.processes import PARENT_VARIABLE, STOP_SIGNALS, PidFile

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
STEADY_SECONDS = 60.0  # a program that ran so long starts again after the first pause
POLL_SECONDS = 0.2
DOWN_SECONDS = 120.0


class SupervisorError(Exception):
    """`portal up` cannot start or end; the text says why in words."""


@dataclass(frozen=True)
class Child:
    """A program to run. It calls `portal.processes.end_with_supervisor` when it starts.

    `argv` begins with `sys.executable`. `environment` is added to ours. After `stop_seconds` without an end it
    is killed.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: float = 10.0


def run(settings: Settings, children: Sequence[Child]) -> None:
    """Run the children until SIGINT, SIGTERM or SIGHUP: start them in order, end them in the reverse order.

    One that ends by itself is started again, after growing pauses. The embedded Redis, where one is used, is
    the first to start and the last to end; the workers keep it running. Further signals change nothing, so
    that nobody is left behind. Raises SupervisorError where one runs already, RedisUnavailable, ConfigError.
    """
    make_data_dir(settings)
    if settings.test_clock and not clock.is_shifted():
        clock.start_at(settings.test_clock)
    pid_file = _pid_file(settings)
    try:
        with pid_file.held():
            pid_file.write(os.getpid())
            _run(settings, [_Program(child, settings) for child in children])
    except BlockingIOError:
        raise SupervisorError(
            f"It runs already in {settings.data_dir} (process {pid_file.owner()}); `portal down` ends it."
        ) from None


def stop_running(settings: Settings) -> list[str]:
    """End what runs in this data directory: `portal up`, and an embedded Redis that a command left behind.

    Returns the names of what was ended. Raises SupervisorError where it goes on, RedisUnavailable.
    """
    ended = []
    pid_file = _pid_file(settings)
    pid = pid_file.owner()
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + DOWN_SECONDS
        while pid_file.owner() == pid:
            if time.monotonic() > deadline:
                raise SupervisorError(f"Process {pid} has not ended after {DOWN_SECONDS:.0f} seconds.")
            time.sleep(0.05)
        ended.append("portal up")
    if stop_redis(settings):
        ended.append("embedded Redis")
    return ended


def _run(settings: Settings, programs: Sequence["_Program"]) -> None:
    is_stopping = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal is_stopping
        is_stopping = True

    for stop_signal in STOP_SIGNALS:
        signal.signal(stop_signal, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, stop)
    try:
        ensure_redis(settings)
        while not is_stopping:
            for program in programs:
                program.keep_running()
            time.sleep(POLL_SECONDS)
        _say("Ending; what is being sent is waited for.")
    finally:
        for program in reversed(programs):
            program.end()
        stop_redis(settings)


class _Program:
    """A child and its process."""

    def __init__(self, child: Child, settings: Settings) -> None:
        self.child = child
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.starts_at: float | None = 0.0  # None: it runs
        self.pause = FIRST_PAUSE

    def keep_running(self) -> None:
        now = time.monotonic()
        if self.starts_at is None:
            self._look(now)
        elif now >= self.starts_at:
            self._start(now)

    def end(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(self.child.stop_seconds)
        except subprocess.TimeoutExpired:
            _say(f"{self.child.name} does not end and is killed.")
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _start(self, now: float) -> None:
        environment = {**os.environ, **self.child.environment, PARENT_VARIABLE: str(os.getpid())}
        if self.settings.test_clock:
            # The clock as it is now: one that starts later must not start at the beginning again.
            environment["PORTAL_TEST_CLOCK"] = clock.now().isoformat()
        self.process = subprocess.Popen(  # noqa: S603 - our own programs
            self.child.argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C reaches only us: the order of the end is ours
        )
        self.started_at, self.starts_at = now, None

    def _look(self, now: float) -> None:
        code = self.process.poll() if self.process else None
        if code is None:
            return
        if now - self.started_at >= STEADY_SECONDS:
            self.pause = FIRST_PAUSE
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        _say(f"{self.child.name} ended ({how}); it starts again in {self.pause:.0f} s.")
        self.starts_at = now + self.pause
        self.pause = min(2 * self.pause, LONGEST_PAUSE)


def _say(sentence: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        click.echo(sentence, err=True)


def _pid_file(settings: Settings) -> PidFile:
    return PidFile(settings.data_dir / "up.pid")
