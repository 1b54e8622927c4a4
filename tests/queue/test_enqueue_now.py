"""What the pages hand to the workers, by the function that the application gives them."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import redis

from portal.config import Settings, load_settings
from portal.queue import Queue, enqueue_now, notifier


def settings_with(folder: Path, url: str) -> Settings:
    settings = load_settings({"PORTAL_DATA_DIR": str(folder)})
    return replace(settings, redis_url=url, vonage_base_url="http://127.0.0.1:8085")


def test_what_a_page_recorded_waits_for_the_workers(short_tmp: Path, redis_url: str) -> None:
    settings = settings_with(short_tmp, redis_url)
    enqueue_now(settings, "riverside", (1, 2, 3))
    enqueue_now(settings, "riverside", ())
    enqueue_now(replace(settings, vonage_base_url=None), "riverside", (4,))
    with redis.Redis.from_url(redis_url) as connection:
        assert connection.llen("rq:queue:portal") == 1


def test_what_is_to_be_sent_later_waits_for_a_pool(short_tmp: Path, redis_url: str) -> None:
    now = datetime.now(UTC)
    settings = settings_with(short_tmp, redis_url)
    enqueue_now(settings, "riverside", (1,), now)
    enqueue_now(replace(settings, vonage_base_url=None), "riverside", (2,), now)
    with redis.Redis.from_url(redis_url) as connection:
        assert (connection.llen("rq:queue:portal"), connection.zcard("portal:later")) == (0, 1)


def test_without_redis_the_page_answers_all_the_same(short_tmp: Path) -> None:
    for at in (None, datetime.now(UTC)):
        enqueue_now(settings_with(short_tmp, "redis://127.0.0.1:1/0"), "riverside", (1,), at)


def test_what_the_provider_reports_waits_in_one_job(short_tmp: Path, redis_url: str) -> None:
    settings = settings_with(short_tmp, redis_url)
    notify = notifier(settings)
    for _ in range(3):
        notify()
    with closing(redis.Redis.from_url(redis_url)) as connection:
        assert connection.llen("rq:queue:portal") == 1
        Queue(connection).enqueue_events()
        assert connection.llen("rq:queue:portal") == 1
        assert Queue(connection).enqueue_asking() is True
        assert Queue(connection).enqueue_asking() is False
        assert connection.llen("rq:queue:portal") == 2


def test_without_redis_the_provider_is_answered_all_the_same(short_tmp: Path) -> None:
    notifier(settings_with(short_tmp, "redis://127.0.0.1:1/0"))()
    notifier(replace(settings_with(short_tmp, ""), redis_url=None))()  # the embedded one does not run
