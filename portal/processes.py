"""What our processes know of each other: who holds a pid file, whether the parent lives, when to stop."""

import fcntl
import mmap
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
PARENT_VARIABLE = "PORTAL_PARENT_PID"
WATCH_SECONDS = 1.0


class PidFile:
    """A pid that is true: its process holds a lock on the file.

    The kernel lets go of a lock when its process ends, however it ends. A pid left by a crash or before a
    reboot, and now perhaps another program's, is never taken for ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def owner(self) -> int | None:
        """The pid of the process that holds the file, None where none does; 0 until it is written."""
        try:
            with self.path.open() as file:
                try:
                    # Shared, so that two who look at once do not take each other for the owner.
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or 0)
        except FileNotFoundError:
            pass
        return None

    @contextmanager
    def held(self) -> Iterator[int]:
        """Hold the file; yields its descriptor, through which a child process can hold it too.

        Raises BlockingIOError where another process holds it.
        """
        with self.path.open("a") as file:
            for is_last in (False,) * 9 + (True,):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if is_last:
                        raise
                    time.sleep(0.01)  # perhaps only somebody looking
            file.truncate(0)
            yield file.fileno()

    def write(self, pid: int) -> None:
        self.path.write_text(str(pid))


def end_with_parent(parent: int) -> None:
    """SIGTERM this process once `parent`, which started it, is gone: after a kill -9 nobody else tells it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="watch parent").start()


def end_with_supervisor() -> None:
    """End with `portal up` or `portal demo`, where one of them started this process."""
    parent = os.environ.pop(PARENT_VARIABLE, None)  # its own children have another parent
    if parent:
        end_with_parent(int(parent))


class StopFlag:
    """A flag that a worker and the process of its job share."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)
        self._worker_pid = os.getpid()

    def set(self) -> None:
        self._shared[0] = 1

    def is_set(self) -> bool:
        """Set, or the worker is gone and can set it no more."""
        return self._shared[0] == 1 or os.getppid() != self._worker_pid


_flag: StopFlag | None = None


def heed(flag: StopFlag) -> None:
    """From now on this process, which runs a job, heeds `flag`."""
    global _flag
    _flag = flag


def stop_requested() -> bool:
    """For a long job, between its steps: leave the rest. Always False in a process that is no worker's."""
    return _flag is not None and _flag.is_set()
