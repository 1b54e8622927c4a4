"""Whatever is killed, nobody is texted twice and nobody is silently forgotten."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal import store
from portal.actions.remind import run_pass
from portal.actions.sweep import LEASE, sweep
from portal.config import Settings
from portal.core.states import Status
from portal.embedded import redis_pid
from portal.queue import Queue, connect
from portal.store.messages import Message
from tests.builders import PASS_AT, Clinic, a_patient, an_appointment
from tests.hosts import Host, running
from tests.processes import wait_until

MESSAGES = 240


@pytest.fixture
def host(settings: Settings) -> Iterator[Host]:
    with running(settings, latency_ms=30, send_rate=120.0) as host:
        yield host


def book_many(count: int) -> Clinic:
    clinic = Clinic(credits=count)
    with store.transaction(clinic.id) as session:
        for number in range(count):
            an_appointment(
                session,
                f"{number:04}",
                business=clinic.business,
                practitioner=clinic.practitioner,
                type=clinic.type,
                patient=a_patient(session, f"{number:04}", first_name=f"P{number:04}"),
            )
    return clinic


def children_of(pid: int) -> list[int]:
    """The live children of a process, from /proc; none where there is no /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(folder.name))
    return found


def kill(pid: int | None) -> None:
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find the workers' processes")
def test_kills_make_no_duplicate_and_lose_nothing(host: Host) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    clinic = book_many(MESSAGES)
    host.start_workers()
    host.call_cron(PASS_AT)
    wait_until(lambda: len(host.simulator.messages) > 5, seconds=300)

    for _ in range(8):
        workers = children_of(host.workers.pid) if host.workers else []
        horses = [horse for worker in workers for horse in children_of(worker)]
        victim = chance.choice(["horse", "worker", "both", "flush", "redis", "pool"])
        if victim in ("worker", "both"):
            kill(chance.choice(workers or [0]))
        if victim in ("horse", "both"):
            kill(chance.choice(horses or [0]))
        if victim == "flush":
            with suppress(Exception):
                host.queue.connection.flushall()
        if victim == "redis":
            kill(redis_pid(host.settings))
            host.queue = Queue(connect(host.settings))
        if victim == "pool" and host.workers:
            kill(host.workers.pid)
            host.workers.wait()
            host.start_workers()
        time.sleep(chance.uniform(0.1, 0.4))
        # What the next call of the script does with rows that Redis lost, without waiting two minutes for it.
        with store.everything(write=True) as session:
            forget_their_jobs(session)
        host.call_cron(PASS_AT)

    def is_settled() -> bool:
        host.call_cron(PASS_AT)
        with store.everything(write=True) as session:
            forget_their_jobs(session)
        return not host.count(Status.QUEUED) and not host.queue.length()

    wait_until(is_settled, seconds=400)
    host.stop_workers()
    # Attempts whose worker was killed are in doubt once their lease is over.
    sweep(datetime.now(UTC) + LEASE + timedelta(seconds=300))

    with store.reading(clinic.id) as session:
        rows = session.scalars(select(Message)).all()
        credits = store.practices.get_practice(session, clinic.id).credits
    taken = Counter(message.text for message in host.simulator.messages)
    assert [text for text, times in taken.items() if times > 1] == [], f"texted twice (seed {seed})"
    assert len(rows) == MESSAGES
    assert {row.status for row in rows} <= {Status.SENT, Status.UNKNOWN}
    # Nothing that the provider has is called anything but sent or in doubt, and nothing is called sent that it
    # does not have.
    sent = {row.body for row in rows if row.status is Status.SENT}
    in_doubt = {row.body for row in rows if row.status is Status.UNKNOWN}
    assert sent <= set(taken)
    assert set(taken) <= sent | in_doubt
    assert len(in_doubt) < MESSAGES / 2
    assert credits == 0


def forget_their_jobs(session: Session) -> None:
    session.execute(
        update(Message)
        .where(Message.status == Status.QUEUED)
        .values(enqueued_at=None)
        .execution_options(synchronize_session=False)
    )


def test_pausing_holds_back_what_is_queued_within_seconds(settings: Settings) -> None:
    with running(settings, send_rate=10.0) as host:
        clinic = book_many(60)
        host.start_workers()
        host.call_cron(PASS_AT)
        wait_until(lambda: len(host.simulator.messages) > 3, seconds=300)
        clinic.change(clinic.practice, sending="paused")
        at_most = len(host.simulator.messages) + 2 * 10 * 2  # what two workers had claimed: seconds, not minutes
        wait_until(host.is_idle, seconds=300)
        assert len(host.simulator.messages) <= min(at_most, 50)
        assert host.count(Status.NOT_SENT) == 60 - len(host.simulator.messages)
        with store.reading(clinic.id) as session:
            held_back = store.practices.get_practice(session, clinic.id).credits
        assert held_back == host.count(Status.NOT_SENT)  # their credits came back


def test_a_stop_signal_lets_requests_in_flight_finish_and_leaves_the_rest(settings: Settings) -> None:
    with running(settings, latency_ms=300, send_rate=40.0) as host:
        clinic = book_many(120)
        host.start_workers()
        host.call_cron(PASS_AT)
        wait_until(lambda: len(host.simulator.messages) > 3, seconds=300)
        host.stop_workers()
        assert host.workers
        assert host.workers.returncode == 0
        assert host.count(Status.SENDING, Status.UNKNOWN) == 0
        assert host.count(Status.SENT) == len(host.simulator.messages) < 120
        assert host.count(Status.QUEUED) == 120 - len(host.simulator.messages)
        assert run_pass(clinic.id, PASS_AT, PASS_AT) is None
