"""The worker pool: RQ's own, with workers that end with their pool and whose jobs learn of a stop."""

import argparse
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Any

import click
import redis
import rq
from rq.executions import Execution
from rq.serializers import JSONSerializer
from rq.worker_pool import WorkerPool
from sqlalchemy.orm import configure_mappers

from portal import clock, jobs, queue
from portal.config import CANNOT_SEND, ConfigError, Settings, load_settings
from portal.embedded import RedisUnavailable, ensure_redis, redis_pid
from portal.errors import describe
from portal.processes import STOP_SIGNALS, StopFlag, end_with_parent, end_with_supervisor, heed
from portal.sms.gateway import AccountError

BURST_WAIT = 60.0  # seconds that --burst waits for a retry

_fork = get_context("fork")
log = logging.getLogger(__name__)


class Worker(rq.Worker):
    """RQ's forking worker, tuned so that a job whose worker was killed is noticed in 90 seconds, not 810."""

    log_result_lifespan = False
    max_connection_wait_time = 5.0  # RQ's minute would leave it idle long after Redis is back

    def __init__(self, name: str, connection: redis.Redis) -> None:
        super().__init__(
            [queue.NAME],
            name=name,
            connection=connection,
            worker_ttl=30,
            maintenance_interval=30,
            job_monitoring_interval=10,
            job_class=queue.Job,
            serializer=JSONSerializer,
        )
        self.stop_flag = StopFlag()

    def handle_warm_shutdown_request(self) -> None:
        self.stop_flag.set()
        super().handle_warm_shutdown_request()

    def set_shutdown_requested_date(self) -> None:
        """Not noted in Redis: this runs in a signal handler, perhaps in the middle of another command."""

    def main_work_horse(self, job: rq.job.Job, queue: rq.Queue) -> None:
        heed(self.stop_flag)
        super().main_work_horse(job, queue)

    def maintain_heartbeats(self, job: rq.job.Job, execution: Execution) -> None:
        try:
            self._sign_on_again()
            super().maintain_heartbeats(job, execution)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            # RQ would end here and leave the job running without a worker.
            self.log.warning("Worker %s: Redis does not answer (%s)", self.name, error)

    def run_maintenance_tasks(self) -> None:
        """The sweep too: a retry that is due in seconds must not wait for cron, which may call once an hour."""
        self._sign_on_again()
        super().run_maintenance_tasks()
        ours = queue.Queue(self.connection)
        ours.enqueue_sweep()
        if ours.may_watch():
            ours.enqueue_watch()

    def _sign_on_again(self) -> None:
        """A Redis that was emptied, or was away for longer than it keeps a worker, would count this one as none."""
        if not self.connection.hexists(self.key, "birth"):
            self.connection.delete(self.key)  # a heartbeat may have left half of it
            self.register_birth()
            self.set_state(self.get_state())

    def subscribe(self) -> None:
        """No commands through Redis, and no thread that could hold a lock while the worker forks."""


class Pool(WorkerPool):
    """Keeps `count` workers running, and the embedded Redis where that is used; enqueues what was for this moment."""

    def __init__(self, settings: Settings, count: int) -> None:
        self.settings = settings
        self.was_stopped = False
        self.have_been_told = False
        self.is_redis_away = False
        connection = queue.connect(settings)
        self.jobs = queue.Queue(connection)
        super().__init__([queue.NAME], connection=connection, num_workers=count)
        self._install_signal_handlers()

    def request_stop(self, signum: int | None = None, frame: Any = None) -> None:
        """Only notes it. RQ would tell the workers here, and miss one that is just being forked."""
        self.was_stopped = True
        self.status = self.Status.STOPPED

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()
        if self.was_stopped:  # before start(), which has just forgotten it
            self.status = self.Status.STOPPED

    def all_workers_have_stopped(self) -> bool:
        if not self.have_been_told:
            self.have_been_told = True
            for worker in list(self.worker_dict.values()):
                self.stop_worker(worker, signal.SIGTERM)
        return super().all_workers_have_stopped()

    def check_workers(self, respawn: bool = True) -> None:
        try:
            if self.settings.redis_url is None and redis_pid(self.settings) is None:
                ensure_redis(self.settings)
            self.jobs.enqueue_come(clock.now())
        except (RedisUnavailable, ConfigError) as error:
            if not self.is_redis_away:  # looked at each second, and said once
                log.error("%s", error)
            self.is_redis_away = True
        else:
            if self.is_redis_away:
                log.info("Redis answers again.")
            self.is_redis_away = False
        if not respawn:
            # A burst's worker leaves when the queue is empty; the other's job may have filled it since.
            respawn = self.jobs.length() > 0
        super().check_workers(respawn)

    def start_worker(self, *args: Any, **kwargs: Any) -> None:
        self.connection.close()  # or the workers would share its socket
        # A stop must not reach a worker while it still has the pool's handlers.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            super().start_worker(*args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def get_worker_process(self, name: str, burst: bool, *args: Any, **kwargs: Any) -> BaseProcess:
        return _fork.Process(target=_run_worker, args=(self.settings, name, burst, os.getpid()))


def _run_worker(settings: Settings, name: str, burst: bool, pool_pid: int) -> None:
    for stop_signal in STOP_SIGNALS:
        signal.signal(stop_signal, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    os.setpgrp()  # Ctrl-C reaches the pool only, which tells its workers
    end_with_parent(pool_pid)
    jobs.worker_app()  # made before the worker forks for each job; it connects to nothing yet
    configure_mappers()
    gc.freeze()  # or the first collection in each fork would copy all of the worker's memory
    try:
        Worker(name, queue.connect(settings)).work(burst=burst, with_scheduler=False)
    except (redis.RedisError, RedisUnavailable) as error:
        log.error("Worker %s ends, Redis does not answer: %s", name, error)
        sys.exit(1)


def run(settings: Settings, count: int, burst: bool) -> int:
    """Work until told to stop, or with `burst` until nothing is left to do now. Returns the exit status."""
    if settings.test_clock and not clock.is_shifted():
        clock.start_at(settings.test_clock)
    if settings.can_send:
        jobs.gateway(settings)  # credentials that cannot be used are said now, not by each job
    else:
        click.secho(CANNOT_SEND, err=True, fg="red", bold=True)
    pool = Pool(settings, count)
    if burst:
        _work_off(pool)
    else:
        pool.start()
    return 0


def _work_off(pool: Pool) -> None:
    """Ends when the queue is empty and no retry is due within BURST_WAIT; then says what remains.

    What is due and does not go, however often it is looked at, is not waited for longer than that either.
    """
    waited_for, deadline = -1, 0.0
    while True:
        pool.start(burst=True)
        if pool.was_stopped:
            return
        # In a fork: the pool must hold no database connection when it forks again.
        with ProcessPoolExecutor(1, mp_context=_fork) as executor:
            remaining = executor.submit(_requeue_due).result()
        if not remaining.enqueued:
            if remaining.queued != waited_for:
                waited_for, deadline = remaining.queued, time.monotonic() + BURST_WAIT
            if remaining.next_in is None or time.monotonic() > deadline:
                click.echo("\n".join(remaining.sentences) or "Nothing remains.")
                return
            _wait(pool, remaining.next_in)


def _requeue_due() -> jobs.Remaining:
    """Raises JobFailed: an error of the database can quote a row."""
    try:
        return jobs.requeue_due(BURST_WAIT)
    except Exception as error:
        raise queue.JobFailed(f"What remains cannot be told: {describe(error)}") from None


def _wait(pool: Pool, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not pool.was_stopped and time.monotonic() < deadline:
        time.sleep(0.2)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("worker.py", description="The workers: they decide and send reminders.")
    parser.add_argument("--burst", action="store_true", help="end when nothing is left to do now")
    parser.add_argument("-n", type=_positive, default=2, metavar="N", help="number of workers (default: 2)")
    options = parser.parse_args(arguments)
    os.umask(0o077)  # whatever we write is our user's only
    end_with_supervisor()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("vonage").setLevel(logging.WARNING)  # its DEBUG prints texts, numbers and the key
    try:
        return run(load_settings(), options.n, options.burst)
    except (AccountError, ConfigError, RedisUnavailable, queue.JobFailed) as error:
        click.echo(error, err=True)
        return 1


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 1000")
    return int(text)
