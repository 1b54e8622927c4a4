"""What takes long to work out is kept for as long as nothing was done in the practice, and five minutes at most."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

from flask import Flask, current_app, g, request

from portal import clock

T = TypeVar("T")

KEPT_FOR = 300  # seconds
_MOST = 200  # of all practices: a plan of a full day takes a megabyte
_A_QUARTER = 15  # minutes: passes fall due when a quarter of an hour begins, in whatever zone


class _Kept:
    """Of one process."""

    def __init__(self) -> None:
        self._all: OrderedDict[Hashable, tuple[Hashable, float, Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, version: Hashable, work: Callable[[], T]) -> T:
        with self._lock:
            kept = self._all.get(key)
        if kept and kept[0] == version and time.monotonic() - kept[1] < KEPT_FOR:
            value: T = kept[2]
            return value
        value = work()
        with self._lock:
            self._all[key] = version, time.monotonic(), value
            self._all.move_to_end(key)
            if len(self._all) > _MOST:
                self._all.popitem(last=False)
        return value


def register(app: Flask) -> None:
    app.extensions["portal.remembered"] = _Kept()


def remembered(work: Callable[[], T], *key: Hashable) -> T:
    """What `work` finds for the practice whose page is shown: as it was found before under this key, where all is as
    it was then. The answer to an act works it out: the frame was read before the act."""
    if request.method != "GET":
        return work()
    now = clock.now()
    quarter = now.replace(minute=now.minute - now.minute % _A_QUARTER, second=0, microsecond=0)
    kept: _Kept = current_app.extensions["portal.remembered"]
    return kept.get((g.practice.id, *key), (g.frame.version, quarter), work)
