import json
import zlib
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import redis
import rq

from portal.config import Settings
from portal.embedded import RedisUnavailable
from portal.errors import describe
from portal.queue import Queue

from .conftest import Program, wait_until

AT = datetime(2031, 5, 8, 10, tzinfo=ZoneInfo("Australia/Sydney"))
SECRET = "Mia Novak, 0491 570 156"


def stored_jobs(connection: redis.Redis) -> list[dict[str, bytes]]:
    """The jobs in the order of the queue, as Redis holds them."""
    ids = connection.lrange("rq:queue:portal", 0, -1)
    rows = [connection.hgetall(b"rq:job:" + id_) for id_ in ids]
    return [{name.decode(): value for name, value in row.items()} for row in rows]


def call(job: dict[str, bytes]) -> tuple[str, list[object]]:
    function, _, arguments, keywords = json.loads(zlib.decompress(job["data"]))
    assert keywords == {}
    return function, arguments


def unpacked(value: bytes) -> bytes:
    for unpack in (zlib.decompress, lambda packed: zlib.decompress(b64decode(packed))):
        with suppress(ValueError, zlib.error):
            return unpack(value)
    return value


def everything_in(connection: redis.Redis) -> str:
    """All keys and values, unpacked, as one text."""
    found = []
    for key in connection.scan_iter():
        match connection.type(key):
            case b"hash":
                values = [part for pair in connection.hgetall(key).items() for part in pair]
            case b"stream":
                values = [part for _, row in connection.xrange(key) for pair in row.items() for part in pair]
            case _:
                values = [connection.dump(key)]
        found += [key, *map(unpacked, values)]
    return b"\n".join(found).decode(errors="replace")


def test_a_pass_is_a_practice_and_an_instant(queue: Queue, connection: redis.Redis) -> None:
    assert queue.enqueue_pass("p1", AT) is True
    [job] = stored_jobs(connection)
    assert call(job) == ("portal.jobs.run_pass", ["p1", "2031-05-08T00:00:00+00:00"])
    assert job["description"] == b"pass of practice p1 at 2031-05-08T00:00:00+00:00"


def test_messages_go_in_chunks_of_like_size(queue: Queue, connection: redis.Redis) -> None:
    assert queue.enqueue_sends("p1", range(1, 1202)) == 3
    calls = [call(job) for job in stored_jobs(connection)]
    assert {function for function, _ in calls} == {"portal.jobs.send"}
    assert [arguments for _, arguments in calls] == [
        ["p1", list(range(1, 402)), False],
        ["p1", list(range(402, 803)), False],
        ["p1", list(range(803, 1202)), False],
    ]


def test_a_probe_says_that_it_is_one(queue: Queue, connection: redis.Redis) -> None:
    queue.enqueue_sends("p1", [7], is_probe=True)
    assert [call(job)[1] for job in stored_jobs(connection)] == [["p1", [7], True]]


def test_no_message_is_no_job(queue: Queue) -> None:
    assert queue.enqueue_sends("p1", []) == 0
    assert queue.length() == 0


def test_what_is_for_later_is_a_job_from_its_moment_on_and_once(queue: Queue, connection: redis.Redis) -> None:
    queue.enqueue_sends_at("p1", [1, 2], AT)
    queue.enqueue_sends_at("p2", [3], AT + timedelta(seconds=5))
    queue.enqueue_sends_at("p1", [4], AT - timedelta(seconds=5))
    queue.enqueue_sends_at("p1", [4], AT + timedelta(hours=1))  # sent again: then, and not before
    queue.enqueue_come(AT - timedelta(seconds=1))
    assert queue.length() == 0
    for seconds in (0, 1, 5):
        queue.enqueue_come(AT + timedelta(seconds=seconds))
    assert [call(job)[1] for job in stored_jobs(connection)] == [["p1", [1, 2], False], ["p2", [3], False]]


def test_jobs_are_kept_briefly_and_never_retried(queue: Queue, connection: redis.Redis) -> None:
    queue.enqueue_pass("p1", AT)
    queue.enqueue_sends("p1", [1])
    for job in stored_jobs(connection):
        assert (job["result_ttl"], job["failure_ttl"], job["timeout"]) == (b"60", b"86400", b"18000")
        assert "retries_left" not in job


def test_a_pass_that_waits_is_not_enqueued_again(queue: Queue) -> None:
    assert queue.enqueue_pass("p1", AT) is True
    for minute in range(1, 15):
        assert queue.enqueue_pass("p1", AT + timedelta(minutes=minute)) is False
    assert queue.length() == 1


def test_another_practice_or_quarter_of_an_hour_is_another_pass(queue: Queue) -> None:
    assert queue.enqueue_passes([("p1", AT), ("p2", AT), ("p1", AT + timedelta(minutes=15))]) == 3
    assert queue.enqueue_passes([("p1", AT), ("p3", AT), ("p2", AT)]) == 1
    assert queue.length() == 4


def test_every_one_of_a_thousand_practices_is_enqueued(queue: Queue, connection: redis.Redis) -> None:
    assert queue.enqueue_passes((f"p{i}", AT) for i in range(1000)) == 1000
    practices = [arguments[0] for _, arguments in map(call, stored_jobs(connection))]
    assert practices == [f"p{i}" for i in range(1000)]


def test_an_emptied_redis_forgets_that_a_pass_waits(queue: Queue, connection: redis.Redis) -> None:
    queue.enqueue_pass("p1", AT)
    connection.flushall()
    assert queue.enqueue_pass("p1", AT) is True


def test_a_pass_that_began_can_be_enqueued_again(queue: Queue, start_pool: Callable[..., Program]) -> None:
    queue.enqueue_pass("p1", AT)
    assert start_pool("--burst").wait() == 0
    assert queue.enqueue_pass("p1", AT) is True


def test_replies_alarms_and_passes_go_before_what_waits_to_be_sent(queue: Queue, connection: redis.Redis) -> None:
    queue.enqueue_sends("p1", range(1, 1201))
    queue.enqueue_passes([("p1", AT), ("p2", AT)])
    queue.enqueue_forward("p1", 7)
    queue.enqueue_events()
    queue.enqueue_watch()
    queue.enqueue_broadcast("p1", 3)
    names = [call(job)[0].removeprefix("portal.jobs.") for job in stored_jobs(connection)]
    urgent = ["watch", "work_on_events", "forward_reply", "run_pass", "run_pass"]
    assert names == [*urgent, "send", "send", "send", "record_broadcast"]


def test_a_message_to_many_waits_in_one_job(queue: Queue, start_pool: Callable[..., Program]) -> None:
    added = [queue.enqueue_broadcast("p1", 3) for _ in range(3)]
    assert added == [True, False, False]
    assert queue.enqueue_broadcast("p1", 4) is True
    assert queue.enqueue_broadcast("p2", 3) is True
    assert queue.length() == 3
    assert start_pool("--burst").wait() == 0
    assert queue.enqueue_broadcast("p1", 3) is True


def test_no_text_of_an_exception_or_a_result_reaches_redis_or_the_log(
    queue: Queue, connection: redis.Redis, start_pool: Callable[..., Program]
) -> None:
    queue.enqueue_sends("raises", [1])
    queue.enqueue_sends("returns", [2])
    pool = start_pool("--burst")
    assert pool.wait() == 0
    held = everything_in(connection)
    for text in (held, pool.output):
        assert "builtins.ValueError in" in text
        assert "builtins.LookupError in __main__:" in text
        assert "Mia" not in text
        assert "0491" not in text


def test_an_exception_is_described_by_type_and_place() -> None:
    try:
        try:
            int(SECRET)
        except ValueError as cause:
            raise KeyError(SECRET) from cause
    except KeyError as error:
        description = describe(error)
    here = f"{__name__}:"
    assert description.startswith(f"builtins.KeyError in {here}")
    assert f"; from builtins.ValueError in {here}" in description
    assert "test_an_exception_is_described_by_type_and_place" in description
    assert "Mia" not in description


def test_the_age_is_that_of_the_job_that_waits_longest(queue: Queue, connection: redis.Redis) -> None:
    assert queue.oldest_age() is None
    queue.enqueue_sends("p1", [1])
    queue.enqueue_sends("p1", [2])
    [oldest, _] = connection.lrange("rq:queue:portal", 0, -1)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    connection.hset(b"rq:job:" + oldest, "enqueued_at", an_hour_ago.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    assert timedelta(hours=1) <= queue.oldest_age() < timedelta(hours=2)
    queue.enqueue_passes((f"p{i}", AT) for i in range(5))
    queue.enqueue_watch()
    assert timedelta(hours=1) <= queue.oldest_age() < timedelta(hours=2)


@pytest.mark.parametrize("ages", [[5], [1, 2, 9, 4, 3], [1, 2, 3, 9, 4], [9, 5, 3, 1], [1, 3, 5, 9], [1, 9], [9, 1]])
def test_the_oldest_is_found_between_the_urgent_and_the_others(
    ages: list[int], queue: Queue, connection: redis.Redis
) -> None:
    for id_ in ages:
        queue.enqueue_sends("p1", [id_])
    for id_, age in zip(connection.lrange("rq:queue:portal", 0, -1), ages, strict=True):
        at = datetime.now(UTC) - timedelta(hours=age)
        connection.hset(b"rq:job:" + id_, "enqueued_at", at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    oldest = queue.oldest_age()
    assert oldest is not None
    assert round(oldest / timedelta(hours=1)) == max(ages)


def test_workers_are_listed_with_their_last_sign_of_life(
    queue: Queue, connection: redis.Redis, start_pool: Callable[..., Program]
) -> None:
    assert queue.workers() == []
    timeout = connection.connection_pool.connection_kwargs["socket_timeout"]
    start_pool("-n", "2")
    wait_until(lambda: [worker.state for worker in queue.workers()] == ["idle", "idle"])
    first, second = queue.workers()
    assert first.name < second.name
    assert first.is_alive
    assert second.is_alive
    assert datetime.now(UTC) - first.last_heartbeat < timedelta(minutes=1)
    assert connection.connection_pool.connection_kwargs["socket_timeout"] == timeout


def test_a_worker_without_a_sign_of_life_is_listed_as_dead(queue: Queue, connection: redis.Redis) -> None:
    worker = rq.Worker(["portal"], connection=connection)
    worker.register_birth()
    worker.set_state("idle")
    [listed] = queue.workers()
    assert listed.is_alive
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    connection.hset(worker.key, "last_heartbeat", long_ago.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    [listed] = queue.workers()
    assert not listed.is_alive
    connection.delete(worker.key)  # RQ lets it expire after 90 seconds
    assert queue.workers() == []
    assert queue.look().lost == 1


def test_a_redis_that_does_not_answer_is_reported_in_words(settings: Settings) -> None:
    queue = Queue(redis.Redis(unix_socket_path=str(settings.socket_path), retry=None))
    for use in (
        queue.length,
        queue.oldest_age,
        queue.workers,
        lambda: queue.enqueue_pass("p1", AT),
        lambda: queue.enqueue_sends("p1", [1]),
    ):
        with pytest.raises(RedisUnavailable, match="Redis"):
            use()
