import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import redis

from portal.config import CANNOT_SEND, Settings
from portal.embedded import ensure_redis, redis_pid, stop_redis
from portal.pool import Pool, Worker
from portal.queue import SEND, Job, Queue, reach

from .conftest import Program, is_alive, session_pids, wait_until

Start = Callable[..., Program]
Notes = Callable[[str], list[list[Any]]]


def children(pid: int) -> set[int]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True).stdout
    pairs = [line.split() for line in listing.splitlines()]
    return {int(child) for child, parent in pairs if int(parent) == pid}


def release(settings: Settings) -> None:
    (settings.data_dir / "release").touch()


def idle_workers(queue: Queue) -> list[int]:
    return [worker.pid for worker in queue.workers() if worker.state == "idle"]


def test_a_burst_does_all_jobs_says_so_and_ends(queue: Queue, start_pool: Start, notes: Notes) -> None:
    queue.enqueue_sends("p1", range(1, 1801))
    pool = start_pool("--burst")
    assert pool.wait() == 0
    assert sorted(id_ for _, ids, _ in notes("sent") for id_ in ids) == list(range(1, 1801))
    assert "Nothing remains." in pool.output
    assert queue.length() == 0


def test_a_burst_waits_for_retries_and_says_what_remains(settings: Settings, start_pool: Start, notes: Notes) -> None:
    lines = [(0, 0.3, ()), (700, None, ()), (0, None, ["3 messages wait until 11:00.", "1 is in doubt."])]
    (settings.data_dir / "remaining").write_text("\n".join(map(json.dumps, lines)))
    pool = start_pool("--burst")
    assert pool.wait() == 0
    assert [len(ids) for _, ids, _ in notes("sent")] == [350, 350]
    assert pool.output.endswith("3 messages wait until 11:00.\n1 is in doubt.\n")
    assert [within for within, _ in notes("asked")] == [60, 60, 60]
    assert pool.pid not in [pid for _, pid in notes("asked")]


def test_in_a_burst_both_workers_do_what_a_pass_enqueues(
    settings: Settings, queue: Queue, start_pool: Start, notes: Notes
) -> None:
    queue.enqueue_pass("then-sends", datetime.now(UTC))
    pool = start_pool("--burst", "-n", "2")
    wait_until(lambda: len(notes("holding")) == 2)
    release(settings)
    assert pool.wait() == 0


def test_a_stopped_burst_does_not_wait_for_retries(settings: Settings, start_pool: Start, notes: Notes) -> None:
    (settings.data_dir / "remaining").write_text(json.dumps((0, 3600, ())))
    pool = start_pool("--burst")
    wait_until(lambda: notes("asked"))
    pool.send(signal.SIGTERM)
    assert pool.wait() == 0


def test_a_burst_that_cannot_tell_what_remains_fails_in_words(settings: Settings, start_pool: Start) -> None:
    (settings.data_dir / "no database").touch()
    pool = start_pool("--burst")
    assert pool.wait() == 1
    last = pool.output.splitlines()[-1]
    assert last.startswith("What remains cannot be told: builtins.ValueError in ")
    assert "Traceback" not in pool.output
    assert "Mia" not in pool.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_the_job_in_hand_end_and_starts_no_other(
    number: signal.Signals, queue: Queue, start_pool: Start, notes: Notes
) -> None:
    pool = start_pool("-n", "1")
    queue.enqueue_sends("hold", [1])
    queue.enqueue_sends("p1", [2])
    wait_until(lambda: notes("holding"))
    pool.send(number)
    assert pool.wait() == 0
    assert notes("stopped") == [["hold", [1], False]]
    assert notes("sent") == []
    waiting = [job.args for job in queue._queue.get_jobs() if job.func_name == SEND]
    assert [list(args) for args in waiting] == [["p1", [2], False]]
    assert queue.workers() == []


def test_ctrl_c_again_and_again_does_not_kill_the_job_in_hand(
    settings: Settings, queue: Queue, start_pool: Start, notes: Notes
) -> None:
    """A request that is killed leaves its message in doubt. A terminal signals all of its foreground group."""
    pool = start_pool()
    queue.enqueue_sends("hold on", [1])
    horse, worker = wait_until(lambda: notes("holding"))[0]
    for _ in range(3):
        os.killpg(pool.pid, signal.SIGINT)
        time.sleep(1.1)  # RQ takes what comes within a second for the same
    assert is_alive(horse)
    assert is_alive(worker)
    release(settings)
    assert pool.wait() == 0
    assert notes("stopped") == [["hold on", [1], False]]


def test_an_idle_pool_stops_at_once(queue: Queue, start_pool: Start) -> None:
    pool = start_pool("-n", "2")
    wait_until(lambda: len(idle_workers(queue)) == 2)
    pool.send(signal.SIGTERM)
    assert pool.wait() == 0
    assert queue.workers() == []


def test_a_pool_stopped_while_it_starts_stops(start_pool: Start, notes: Notes) -> None:
    pool = start_pool("-n", "2")
    wait_until(lambda: "Starting worker pool" in pool.output)
    pool.send(signal.SIGTERM)
    assert pool.wait() == 0
    wait_until(lambda: session_pids(pool.pid) == [])


def test_a_killed_worker_is_replaced_and_its_job_learns_of_it(queue: Queue, start_pool: Start, notes: Notes) -> None:
    pool = start_pool("-n", "1")
    queue.enqueue_sends("hold", [1])
    _horse, worker = wait_until(lambda: notes("holding"))[0]
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: notes("stopped") == [["hold", [1], False]])
    queue.enqueue_sends("p1", [2])
    wait_until(lambda: notes("sent") == [["p1", [2], False]])
    assert pool.process.poll() is None


def test_a_killed_job_fails_and_its_worker_goes_on(
    queue: Queue, connection: redis.Redis, start_pool: Start, notes: Notes
) -> None:
    start_pool("-n", "1")
    queue.enqueue_sends("hold", [1])
    horse, worker = wait_until(lambda: notes("holding"))[0]
    os.kill(horse, signal.SIGKILL)
    queue.enqueue_sends("p1", [2])
    wait_until(lambda: notes("sent") == [["p1", [2], False]])
    assert is_alive(worker)
    assert connection.zcard("rq:failed:portal") == 1


def test_a_killed_pool_leaves_no_worker_and_no_job_behind(queue: Queue, start_pool: Start, notes: Notes) -> None:
    pool = start_pool("-n", "2")
    queue.enqueue_sends("hold", [1])
    wait_until(lambda: notes("holding") and idle_workers(queue))
    pool.send(signal.SIGKILL)
    wait_until(lambda: session_pids(pool.pid) == [])
    assert notes("stopped") == [["hold", [1], False]]
    assert queue.workers() == []


def test_a_killed_redis_comes_back_and_the_pool_with_it(
    settings: Settings, queue: Queue, start_pool: Start, notes: Notes
) -> None:
    pool = start_pool("-n", "2")
    queue.enqueue_sends("hold", [1])
    wait_until(lambda: notes("holding") and idle_workers(queue))
    killed = redis_pid(settings)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: redis_pid(settings) not in (None, 0, killed))
    release(settings)
    wait_until(lambda: notes("sent") == [["hold", [1], False]])
    queue.enqueue_sends("p1", range(2, 802))
    wait_until(lambda: len(notes("sent")) == 3)
    assert pool.process.poll() is None


def test_workers_outlive_a_redis_that_does_not_answer_for_long(
    settings: Settings, queue: Queue, start_pool: Start, notes: Notes
) -> None:
    """One that is set by its address is not the pool's to start again."""
    url = f"unix://{settings.socket_path}"
    pool = start_pool("-n", "1", PORTAL_REDIS_URL=url)
    [worker] = wait_until(lambda: idle_workers(queue))
    os.rename(settings.socket_path, settings.data_dir / "gone")
    os.kill(worker, signal.SIGKILL)  # its successor finds no Redis
    wait_until(lambda: "Redis does not answer" in pool.output)
    os.rename(settings.data_dir / "gone", settings.socket_path)
    queue.enqueue_sends("p1", [1])
    wait_until(lambda: notes("sent"))
    assert pool.process.poll() is None


def test_a_worker_is_counted_again_after_redis_was_emptied(queue: Queue, connection: redis.Redis) -> None:
    """Also one that has a job in hand, which may last for hours."""
    worker = Worker("w1", connection)
    worker.register_birth()
    queue.enqueue_sends("p1", [1])
    job = Job.fetch(connection.lindex("rq:queue:portal", 0).decode(), connection=connection, serializer="json")
    execution = worker.prepare_execution(job)
    for live_on in (worker.run_maintenance_tasks, lambda: worker.maintain_heartbeats(job, execution)):
        connection.flushall()
        worker.heartbeat()
        assert queue.workers() == []
        live_on()
        [seen] = queue.look().alive
        assert (seen.name, seen.state, queue.look().lost) == ("w1", "busy", 0)


def test_that_redis_is_away_and_back_is_said_once(
    settings: Settings, queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The pool looks each second."""
    monkeypatch.setattr(Pool, "_install_signal_handlers", lambda pool: None)  # they are the test run's
    given = replace(settings, redis_url=f"unix://{settings.socket_path}")
    pool = Pool(given, 0)
    pool.jobs = Queue(reach(given))
    caplog.set_level(logging.INFO, "portal.pool")
    for _ in range(2):
        pool.check_workers()
        assert caplog.messages == []
        stop_redis(settings)
        for _ in range(3):
            pool.check_workers()
        ensure_redis(settings)
        for _ in range(3):
            pool.check_workers()
        away, back = caplog.messages
        assert away.startswith("Redis: ")
        assert back == "Redis answers again."
        caplog.clear()


def test_a_worker_whose_heartbeat_fails_stays_with_its_job(settings: Settings, queue: Queue) -> None:
    impatient = redis.Redis(unix_socket_path=str(settings.socket_path), retry=None)
    worker = Worker("w1", impatient)
    worker.register_birth()
    queue.enqueue_sends("p1", [1])
    [id_] = impatient.lrange("rq:queue:portal", 0, 0)
    job = Job.fetch(id_.decode(), connection=impatient, serializer="json")
    execution = worker.prepare_execution(job)
    stop_redis(settings)
    worker.maintain_heartbeats(job, execution)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_process_shares_a_socket_with_another(queue: Queue, start_pool: Start, notes: Notes) -> None:
    def sockets(pid: int) -> set[str]:
        links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        return {link for link in links if link.startswith("socket:")}

    queue.enqueue_sends("hold on", range(1001))
    pool = start_pool("--burst", "-n", "2")
    _horse, worker = wait_until(lambda: len(notes("holding")) == 2 and notes("holding"))[0]
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(notes("holding")) == 3)  # a worker was forked while the pool used Redis
    workers = {parent for _, parent in notes("holding")[-2:]}
    assert workers <= children(pool.pid)
    for one, other in combinations([pool.pid, *workers], 2):
        assert not sockets(one) & sockets(other)
    assert all(map(sockets, workers))


def test_two_pools_enqueue_what_is_for_later_at_its_moment_and_once(
    queue: Queue, start_pool: Start, notes: Notes
) -> None:
    for _ in range(2):
        start_pool("-n", "1")
    wait_until(lambda: len(idle_workers(queue)) == 2)
    moment = datetime.now(UTC) + timedelta(seconds=3)
    for id_ in range(20):
        queue.enqueue_sends_at("p1", [id_], moment)
    wait_until(lambda: notes("sent"))
    assert datetime.now(UTC) >= moment
    wait_until(lambda: len(notes("sent")) >= 20)
    queue.enqueue_sends("p2", [1])
    wait_until(lambda: any(practice == "p2" for practice, _, _ in notes("sent")))
    assert sorted(ids for practice, ids, _ in notes("sent") if practice == "p1") == [[id_] for id_ in range(20)]


def test_without_credentials_it_says_loudly_that_nothing_can_be_sent(start_pool: Start) -> None:
    pool = start_pool("--burst")
    assert pool.wait() == 0
    assert CANNOT_SEND in pool.output


def test_with_a_provider_it_does_not(start_pool: Start) -> None:
    pool = start_pool("--burst", VONAGE_BASE_URL="http://127.0.0.1:8085")
    assert pool.wait() == 0
    assert CANNOT_SEND not in pool.output


def test_a_wrong_setting_ends_it_with_the_line_that_names_it(start_pool: Start) -> None:
    pool = start_pool(PORTAL_SEND_RATE="many")
    assert pool.wait() == 1
    assert pool.output == "PORTAL_SEND_RATE is not a number above 0 (provider requests a second).\n"


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_a_pool_has_at_least_one_worker(number: str, start_pool: Start) -> None:
    pool = start_pool("-n", number)
    assert pool.wait() == 2
    assert "-n" in pool.output


def test_the_log_names_jobs_by_ids(queue: Queue, start_pool: Start) -> None:
    queue.enqueue_sends("p1", [41, 42])
    pool = start_pool("--burst")
    assert pool.wait() == 0
    assert "send 2 of practice p1: 41 to 42" in pool.output


def test_credentials_that_cannot_be_used_stop_the_pool_at_once(start_pool: Start) -> None:
    pool = start_pool("--burst", VONAGE_APPLICATION_ID="abc", VONAGE_PRIVATE_KEY="/nonexistent.key")
    assert pool.wait() == 1
    assert "VONAGE_PRIVATE_KEY cannot be read" in pool.output
    assert "Traceback" not in pool.output


def test_the_number_of_workers_is_a_number(start_pool: Start) -> None:
    for wrong in ("0", "x", "-1"):
        pool = start_pool("-n", wrong)
        assert pool.wait() == 2
        assert "must be a whole number from 1 to 1000" in pool.output
