import math
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import pytest
import redis

from portal.config import Settings
from portal.embedded import RedisUnavailable, stop_redis
from portal.limiter import KEY, Limiter
from portal.queue import connect

RATE = 10


def starts(limiter: Limiter, connection: redis.Redis, most: int, within: float) -> list[float]:
    """The instants of reserved slots on Redis's clock. Nobody else may reserve meanwhile."""
    before = math.fsum(part / unit for part, unit in zip(connection.time(), (1, 1e6), strict=True))
    slots = limiter.reserve(most, within)
    after = math.fsum(part / unit for part, unit in zip(connection.time(), (1, 1e6), strict=True))
    next_free = int(connection.get(KEY)) / 1e6
    first = next_free - len(slots.delays) * limiter.interval
    assert before - 1e-5 <= first - slots.delays[0] <= after + 1e-5
    return [first + delay - slots.delays[0] for delay in slots.delays]


def reserve_repeatedly(settings: Settings, lock: Any, results: Any) -> None:
    with connect(settings) as connection:
        limiter = Limiter(connection, RATE)
        for _ in range(20):
            with lock:
                found = starts(limiter, connection, most=7, within=600)
            results.put(found)


def test_four_processes_together_stay_under_the_rate_and_above_95_percent_of_it(
    settings: Settings, connection: redis.Redis
) -> None:
    # Ten minutes are given out in less than one: that the processes are slow cannot show.
    Limiter(connection, RATE).reserve(600, within=600)
    context = get_context("spawn")
    lock, results = context.Lock(), context.SimpleQueue()
    processes = [context.Process(target=reserve_repeatedly, args=(settings, lock, results)) for _ in range(4)]
    for process in processes:
        process.start()
    instants = sorted(instant for _ in range(80) for instant in results.get())
    for process in processes:
        process.join()
        assert process.exitcode == 0

    assert len(instants) == 80 * 7
    for first, last in zip(instants, instants[RATE:], strict=False):
        assert last - first >= 1, "more than the rate within a second"
    assert (len(instants) - 1) / (instants[-1] - instants[0]) >= 0.95 * RATE


@pytest.mark.parametrize("rate", [1, 2, 5, 10, 25, 30, 33, 50, 100, 1000])
def test_no_second_holds_more_than_the_rate(rate: int, connection: redis.Redis) -> None:
    delays = Limiter(connection, rate).reserve(3 * rate, within=10).delays
    assert len(delays) == 3 * rate
    assert all(last - first > 1 for first, last in zip(delays, delays[rate:], strict=False))
    assert all(later - earlier <= 1 / (0.95 * rate) for earlier, later in pairwise(delays))


def test_a_pause_is_not_made_up_for_by_a_burst(connection: redis.Redis) -> None:
    connection.set(KEY, 1_000_000)  # the next slot was free in 1970
    limiter = Limiter(connection, 10)
    delays = limiter.reserve(5, within=10).delays
    assert delays[0] == pytest.approx(limiter.lead)
    assert delays[-1] == pytest.approx(limiter.lead + 4 / 9.7, rel=1e-3)


def test_no_slot_starts_later_than_asked_for(connection: redis.Redis) -> None:
    limiter = Limiter(connection, 10)
    delays = limiter.reserve(600, within=30).delays
    assert len(delays) < 600
    assert max(delays) <= 30
    slots = limiter.reserve(1, within=0.2)
    assert slots.delays == ()
    assert 0 < slots.retry_in <= 30


def test_after_a_slow_down_the_whole_pool_waits(settings: Settings, connection: redis.Redis) -> None:
    with connect(settings) as elsewhere:
        Limiter(elsewhere, 10).slow_down(3600)
    slots = Limiter(connection, 10).reserve(1)
    assert slots.delays == ()
    assert 3000 < slots.retry_in <= 3600
    assert min(Limiter(connection, 10).reserve(1, within=4000).delays) > 3000


def test_a_shorter_slow_down_does_not_shorten_a_longer_one(connection: redis.Redis) -> None:
    limiter = Limiter(connection, 10)
    limiter.slow_down(3600)
    limiter.slow_down(1)
    assert limiter.reserve(1).retry_in > 3000


def test_a_slow_down_outlasts_a_restart_of_redis(settings: Settings, connection: redis.Redis) -> None:
    Limiter(connection, 10).slow_down(3600)
    stop_redis(settings)
    with connect(settings) as again:
        assert Limiter(again, 10).reserve(1).delays == ()


def test_an_emptied_redis_starts_again_from_now(connection: redis.Redis) -> None:
    limiter = Limiter(connection, 10)
    limiter.reserve(600, within=600)
    connection.flushall()
    connection.script_flush()
    assert limiter.reserve(3, within=600).delays[0] == pytest.approx(limiter.lead)


def test_the_time_to_claim_is_short_beside_the_rate(connection: redis.Redis) -> None:
    assert Limiter(connection, 1).lead == 0.1
    assert Limiter(connection, 10_000).lead < 0.001


def test_a_redis_that_does_not_answer_is_reported_in_words(settings: Settings) -> None:
    gone = redis.Redis(unix_socket_path=str(settings.socket_path), retry=None)
    with pytest.raises(RedisUnavailable, match="Redis"):
        Limiter(gone, 10).reserve(1)
    with pytest.raises(RedisUnavailable, match="Redis"):
        Limiter(gone, 10).slow_down(1)
