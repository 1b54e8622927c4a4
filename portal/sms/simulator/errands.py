"""What the simulated provider does a while after it took a message: receipts and replies, each at its time."""

import heapq
import threading
import time
from collections.abc import Callable
from itertools import count


class Errands:
    """Run by one thread, in the order of their times. Safe to share between threads."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        self._is_running = False
        self._is_over = False

    def put(self, errand: Callable[[], None], after: float = 0.0) -> None:
        """`after`: in so many seconds."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + after, next(self._numbers), errand))
            self._changed.notify_all()

    def run(self) -> None:
        """Until `stop()`."""
        while (errand := self._next()) is not None:
            errand()
            with self._changed:
                self._is_running = False
                self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def wait_until_done(self, timeout: float) -> bool:
        """Whether nothing was left to do within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._due and not self._is_running, timeout)

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._is_over:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    self._is_running = True
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait)
        return None
