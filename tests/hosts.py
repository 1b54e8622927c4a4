"""An installation with real workers, a real Redis and a simulated provider, for tests of the whole."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Barrier, Thread

from flask import Flask
from sqlalchemy import func, select

from portal import create_app, store
from portal.actions.due import find_due
from portal.config import Settings
from portal.core.states import Status
from portal.embedded import stop_redis
from portal.enqueue import enqueue
from portal.queue import Queue, connect
from portal.sms.simulator import Options, Simulator
from portal.store.database import db
from portal.store.messages import Message
from tests.processes import ROOT, environment_of, wait_until


@dataclass
class Host:
    app: Flask
    settings: Settings
    queue: Queue
    simulator: Simulator
    workers: subprocess.Popen[bytes] | None = None

    def start_workers(self, count: int = 2, **environment: str) -> None:
        self.workers = subprocess.Popen(
            [sys.executable, "worker.py", "-n", str(count)],
            cwd=ROOT,
            env=environment_of(self.settings, **environment),
        )
        wait_until(lambda: sum(worker.is_alive for worker in self.queue.workers()) >= count, seconds=300)

    def stop_workers(self) -> None:
        if self.workers:
            self.workers.terminate()
            self.workers.wait(300)

    def call_cron(self, at: datetime, callers: int = 1) -> None:
        """Cron calls the script, `callers` times at once."""
        barrier = Barrier(callers)

        def call() -> None:
            with self.app.app_context():
                barrier.wait()
                enqueue(self.settings, self.queue, datetime.now(UTC), at)

        threads = [Thread(target=call) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def pass_at(self, at: datetime, callers: int = 1) -> None:
        """Cron calls the script; then the workers empty the queue."""
        self.call_cron(at, callers)
        wait_until(lambda: not find_due(at) and self.is_idle(), seconds=300)

    def is_idle(self) -> bool:
        if self.queue.length() or any(worker.state == "busy" for worker in self.queue.workers()):
            return False
        return not self.count(Status.QUEUED, Status.SENDING)

    def count(self, *statuses: Status) -> int:
        with store.everything() as session:
            found = session.scalar(select(func.count()).select_from(Message).where(Message.status.in_(statuses)))
        return found or 0


@contextmanager
def running(settings: Settings, *, latency_ms: float = 0.0, send_rate: float = 1000.0) -> Iterator[Host]:
    """A host whose workers are to be started; everything ends with the block."""
    with Simulator(Options(latency_ms=latency_ms)) as simulator:
        settings = replace(settings, vonage_base_url=simulator.url, send_rate=send_rate)
        app = create_app(settings)
        queue = Queue(connect(settings))
        host = Host(app, settings, queue, simulator)
        try:
            with app.app_context():
                yield host
                db.engine.dispose()
        finally:
            host.stop_workers()
            queue.connection.close()
            stop_redis(settings)
