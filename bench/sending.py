"""Messages a second from queued to sent, against the simulator with 50 ms latency in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import requests
import rq
from rq.serializers import JSONSerializer
from sqlalchemy import func, select

from bench import naive, scene
from bench.bare import Text, texts_a_second
from bench.databases import Host
from bench.fill import fill
from portal import store
from portal.actions.remind import run_pass
from portal.config import load_settings
from portal.core.states import Status
from portal.embedded import stop_redis
from portal.queue import Queue, connect
from portal.sms.simulator import Options, serve
from portal.store.database import db
from portal.store.messages import Message

WORKERS = 2
LATENCY_MS = 50
_ROOT = Path(__file__).resolve().parents[1]
_spawn = get_context("spawn")

Batch = list[tuple[str, list[int]]]  # (practice, message ids)


@contextmanager
def simulator() -> Iterator[str]:
    """Its address."""
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=_simulate, args=(theirs,), daemon=True)
    process.start()
    yield ours.recv()
    process.terminate()
    process.join()


def _simulate(connection: Any) -> None:
    serve("127.0.0.1", 0, Options(latency_ms=LATENCY_MS), ready=connection.send)


def _counts(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(f"{url}/simulator/counts", timeout=10).json()
    return answer


def _forget(url: str) -> None:
    requests.delete(f"{url}/simulator/messages", timeout=10).raise_for_status()


class Clinics:
    """Practices whose reminders can be queued and sent, a day's at a time."""

    def __init__(self, host: Host, kind: str, provider_url: str, practices: int, days: int) -> None:
        self.url = provider_url
        database = host.create(kind, f"sending_{kind}")
        fill(database, practices, 0, days)
        self.database = replace(database, env=database.env | {"VONAGE_BASE_URL": provider_url})
        self.practices = practices
        self.settings = load_settings(self.database.env)
        self._days = iter(range(days))

    def close(self) -> None:
        stop_redis(self.settings)

    def queue_up(self, practices: int, days: int = 1) -> Batch:
        """Run the passes of the next days for the first of them."""
        queued: dict[str, list[int]] = {scene.practice_id(number): [] for number in range(1, practices + 1)}
        with self.database.app().app_context():
            for at in (scene.pass_at(next(self._days)) for _ in range(days)):
                for id_, ids in queued.items():
                    if result := run_pass(id_, at, _now()):
                        ids += result.message_ids
            db.engine.dispose()
        return [(id_, ids) for id_, ids in queued.items() if ids]

    def texts(self, batch: Batch) -> list[Text]:
        with self.database.app().app_context(), store.everything() as session:
            queued = _is_of(batch), Message.status == Status.QUEUED
            rows = session.execute(select(Message.to, Message.sender, Message.body).where(*queued))
            return [(to, sender, body) for to, sender, body in rows]

    def send(self, batch: Batch, rate: float | None = None) -> float:
        """Messages a second through the worker pool; by default at the default rate."""
        env = {} if rate is None else {"PORTAL_SEND_RATE": str(rate)}
        with self._workers("portal", ["worker.py", "-n", str(WORKERS)], env) as connection:
            queue = Queue(connection)
            return self._time(batch, lambda: [queue.enqueue_sends(practice, ids) for practice, ids in batch])

    def send_naively(self, batch: Batch) -> float:
        """Messages a second with a job for each."""
        with self._workers(naive.QUEUE, ["-m", "bench.naive", str(WORKERS)], {}) as connection:
            queue = rq.Queue(naive.QUEUE, connection=connection, serializer=JSONSerializer)
            jobs = [
                rq.Queue.prepare_data("bench.naive.send_one", (practice, id_))
                for practice, ids in batch
                for id_ in ids
            ]
            return self._time(batch, lambda: queue.enqueue_many(jobs))

    @contextmanager
    def _workers(self, queue: str, command: list[str], env: dict[str, str]) -> Iterator[Any]:
        connection = connect(self.settings)
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **self.database.env, **env},
            cwd=_ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until(lambda: connection.scard(f"rq:workers:{queue}") == WORKERS)
            time.sleep(0.5)
            yield connection
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            connection.close()

    def _time(self, batch: Batch, enqueue: Callable[[], Any]) -> float:
        _forget(self.url)
        with self.database.app().app_context():
            begun = _now()
            enqueue()
            _wait_until(lambda: not _count_unsent(batch))
            with store.everything() as session:
                sent, ended = session.execute(
                    select(func.count(), func.max(Message.sent_at)).where(
                        _is_of(batch), Message.status == Status.SENT
                    )
                ).one()
            db.engine.dispose()
        counts = _counts(self.url)
        assert sent == counts["requests"] == counts["accepted"] == sum(len(ids) for _, ids in batch)
        return float(sent / (ended - begun).total_seconds())


def bare_rate(url: str, texts: list[Text], threads: int) -> float:
    """Texts a second from as many processes as the pool has workers, with as many threads."""
    _forget(url)
    rate = texts_a_second(url, texts, WORKERS, threads)
    assert _counts(url)["accepted"] == len(texts)
    return rate


def most_in_one_second(url: str) -> int:
    """Requests, of those since the last measurement began."""
    return int(_counts(url)["most_in_one_second"])


def _is_of(batch: Batch) -> Any:
    ids = [id_ for _, of_practice in batch for id_ in of_practice]
    return Message.id.between(min(ids), max(ids))


def _count_unsent(batch: Batch) -> int:
    with store.everything() as session:
        unsent = Message.status.in_((Status.QUEUED, Status.SENDING))
        return session.scalar(select(func.count()).where(_is_of(batch), unsent)) or 0


def _now() -> datetime:
    return datetime.now(UTC)


def _wait_until(holds: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("it never came")
        time.sleep(0.2)
