import os
import signal
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from portal.config import Settings
from portal.embedded import ensure_redis, redis_pid
from portal.processes import PidFile
from portal.supervisor import stop_running

from .conftest import Program, session_pids, wait_until

Start = Callable[..., Program]

UP = """
import sys
from portal.config import load_settings
from portal.supervisor import Child, SupervisorError, run

children = [Child(name, [sys.executable, *argv], stop_seconds=seconds) for name, seconds, argv in CHILDREN]
try:
    run(load_settings(), children)
except SupervisorError as error:
    print(error)
    sys.exit(1)
"""

# Notes its start, and on SIGTERM its end and whether Redis still runs.
CHILD = """
import os, signal, sys, time
from portal.config import load_settings
from portal.embedded import redis_pid
from portal.processes import end_with_supervisor

end_with_supervisor()
name = sys.argv[1]
settings = load_settings()

def note(*words):
    with open(settings.data_dir / "notes", "a") as file:
        print(name, *words, file=file)

def end(*_):
    note("ends", redis_pid(settings) is not None)
    sys.exit()

signal.signal(signal.SIGTERM, end)
note("starts", os.getpid(), os.environ.get("PORTAL_TEST_CLOCK"))
time.sleep(1000)
"""

STUBBORN = CHILD.replace("    sys.exit()\n", "")
FAILING = "import sys; sys.exit(3)"


@pytest.fixture
def up(start: Start) -> Start:
    """Start a supervisor of children (name, stop_seconds, source)."""

    def up(*children: tuple[str, float, str], **environment: str) -> Program:
        given = [(name, seconds, ["-c", source, name]) for name, seconds, source in children]
        return start("-c", f"CHILDREN = {given!r}\n{UP}", **environment)

    return up


@pytest.fixture
def notes(settings: Settings) -> Callable[[str], list[list[str]]]:
    """The noted lines that hold a word, as lists of words."""

    def notes(word: str) -> list[list[str]]:
        path = settings.data_dir / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split() for line in lines if word in line.split()]

    return notes


Notes = Callable[[str], list[list[str]]]


def pid_of(name: str, notes: Notes) -> int:
    return int([words for words in notes("starts") if words[0] == name][-1][2])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_children_end_in_the_reverse_order_and_redis_last(
    number: signal.Signals, settings: Settings, up: Start, notes: Notes
) -> None:
    program = up(("web", 10, CHILD), ("workers", 10, CHILD), ("clock", 10, CHILD))
    wait_until(lambda: len(notes("starts")) == 3)
    program.send(number)
    assert program.wait() == 0
    assert notes("ends") == [["clock", "ends", "True"], ["workers", "ends", "True"], ["web", "ends", "True"]]
    assert redis_pid(settings) is None
    assert session_pids(program.pid) == []


def test_ctrl_c_reaches_the_supervisor_only_and_twice_changes_nothing(
    settings: Settings, up: Start, notes: Notes
) -> None:
    program = up(("web", 10, CHILD), ("clock", 10, CHILD))
    wait_until(lambda: len(notes("starts")) == 2)
    for _ in range(3):
        os.killpg(program.pid, signal.SIGINT)
    assert program.wait() == 0
    assert [words[0] for words in notes("ends")] == ["clock", "web"]
    assert "KeyboardInterrupt" not in program.output
    assert session_pids(program.pid) == []
    assert redis_pid(settings) is None


def test_a_child_that_is_killed_starts_again(up: Start, notes: Notes) -> None:
    program = up(("web", 10, CHILD))
    wait_until(lambda: notes("starts"))
    os.kill(pid_of("web", notes), signal.SIGKILL)
    wait_until(lambda: len(notes("starts")) == 2)
    assert "web ended (killed by SIGKILL); it starts again in 1 s." in program.output


def test_a_child_that_fails_again_and_again_starts_again_ever_later(up: Start) -> None:
    program = up(("web", 10, FAILING))
    wait_until(lambda: "web ended (exit status 3); it starts again in 4 s." in program.output)
    assert [line.split()[-2] for line in program.output.splitlines()] == ["1", "2", "4"]
    program.send(signal.SIGTERM)
    assert program.wait() == 0


def test_a_child_that_does_not_end_is_killed(up: Start, notes: Notes) -> None:
    program = up(("web", 10, CHILD), ("clock", 0.5, STUBBORN))
    wait_until(lambda: len(notes("starts")) == 2)
    program.send(signal.SIGTERM)
    assert program.wait() == 0
    assert "clock does not end and is killed." in program.output
    assert session_pids(program.pid) == []


def test_children_end_with_a_killed_supervisor(up: Start, notes: Notes) -> None:
    program = up(("web", 10, CHILD), ("clock", 10, CHILD))
    wait_until(lambda: len(notes("starts")) == 2)
    program.send(signal.SIGKILL)
    wait_until(lambda: session_pids(program.pid) == [])
    assert sorted(words[0] for words in notes("ends")) == ["clock", "web"]


def test_a_real_pool_ends_with_a_killed_supervisor(start: Start, up: Start, settings: Settings) -> None:
    standin = Path(__file__).with_name("standin.py")
    source = f"import runpy, sys; sys.argv = ['worker.py']; runpy.run_path({str(standin)!r}, run_name='__main__')"
    program = up(("workers", 10, source))
    wait_until(lambda: program.output.count("Listening on portal") == 2)
    program.send(signal.SIGKILL)
    wait_until(lambda: session_pids(program.pid) == [])


def test_after_a_kill_9_it_starts_again(settings: Settings, up: Start, notes: Notes) -> None:
    killed = up(("web", 10, CHILD))
    wait_until(lambda: notes("starts"))
    killed.send(signal.SIGKILL)
    killed.wait()
    again = up(("web", 10, CHILD))
    wait_until(lambda: len(notes("starts")) == 2)
    assert stop_running(settings) == ["portal up"]
    assert again.wait() == 0


def test_a_second_one_in_the_same_data_directory_is_refused(up: Start, notes: Notes) -> None:
    first = up(("web", 10, CHILD))
    wait_until(lambda: notes("starts"))
    second = up(("web", 10, CHILD))
    assert second.wait() == 1
    assert f"(process {first.pid}); `portal down` ends it." in second.output
    assert first.process.poll() is None
    assert len(notes("starts")) == 1


def test_down_ends_everything_and_says_what(settings: Settings, up: Start, notes: Notes) -> None:
    program = up(("web", 10, CHILD))
    wait_until(lambda: notes("starts"))
    assert stop_running(settings) == ["portal up"]
    assert program.wait() == 0
    assert redis_pid(settings) is None
    assert stop_running(settings) == []


def test_down_ends_a_redis_that_a_single_command_started(settings: Settings) -> None:
    ensure_redis(settings)
    assert stop_running(settings) == ["embedded Redis"]
    assert redis_pid(settings) is None


def test_down_leaves_a_process_alone_that_has_the_pid_of_a_dead_one(settings: Settings) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (settings.data_dir / "up.pid").write_text(str(stranger.pid))
        assert stop_running(settings) == []
        assert stranger.poll() is None
        stranger.kill()


def test_down_where_nothing_ever_ran_makes_nothing(settings: Settings) -> None:
    settings.data_dir.rmdir()
    assert stop_running(settings) == []
    assert not settings.data_dir.exists()
    settings.data_dir.mkdir()


def test_a_child_that_starts_again_goes_on_with_the_clock(up: Start, notes: Notes) -> None:
    begin = datetime.fromisoformat("2031-05-07T10:00:00+10:00")
    up(
        ("web", 10, CHILD),
        PORTAL_TEST_CLOCK=begin.isoformat(),
        VONAGE_BASE_URL="http://127.0.0.1:8085",
    )
    wait_until(lambda: notes("starts"))
    os.kill(pid_of("web", notes), signal.SIGKILL)
    wait_until(lambda: len(notes("starts")) == 2)
    first, second = (datetime.fromisoformat(words[3]) for words in notes("starts"))
    assert begin <= first
    assert first + timedelta(seconds=1) <= second < begin + timedelta(hours=1)


def test_a_pid_file_tells_its_owner_for_as_long_as_it_lives(tmp_path: Path) -> None:
    pid_file = PidFile(tmp_path / "some.pid")
    assert pid_file.owner() is None
    with pid_file.held():
        pid_file.write(4711)
        assert PidFile(tmp_path / "some.pid").owner() == 4711
        with pytest.raises(BlockingIOError), PidFile(tmp_path / "some.pid").held():
            pass
        assert pid_file.owner() == 4711
    assert pid_file.owner() is None
