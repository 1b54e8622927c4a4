"""`portal up`, `demo`, `down` and `simulator` as real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from portal import demo
from portal.config import Settings, load_settings
from portal.core.replies import Meaning, read
from portal.core.roles import Role
from portal.demo.accounts import ACCOUNTS, PASSWORD
from portal.demo.practice import NUMBERS, replies
from portal.embedded import redis_pid
from tests.processes import ROOT, environment_of, wait_until
from tests.web.conftest import form_token

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """`start("up", "--port", "1234")`; whatever still runs is ended as Ctrl-C would."""
    started: list[subprocess.Popen[str]] = []

    def start_(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        with (tmp_path / "out").open("a") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "portal", *arguments],
                cwd=tmp_path,
                env=environment_of(settings, PYTHONPATH=str(ROOT), **environment),
                stdout=out,
                stderr=out,
                text=True,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start_
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(180)


def run(settings: Settings, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "portal", *arguments],
        cwd=ROOT,
        env=environment_of(settings, **environment),
        capture_output=True,
        text=True,
        timeout=300,
    )


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, host: str = "127.0.0.1") -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(5)
        return probe.connect_ex((host, port)) == 0


def signed_in(port: int, email: str, password: str) -> requests.Session:
    """A browser that went through the sign-in page."""
    session = requests.Session()
    address = f"http://127.0.0.1:{port}/sign-in"
    token = form_token(session.get(address, timeout=30).text)
    answer = session.post(address, data={"csrf_token": token, "email": email, "password": password}, timeout=30)
    assert "/sign-in" not in answer.url
    return session


def test_up_runs_everything_on_this_machine_only_and_down_ends_it(
    settings: Settings, start: Start, tmp_path: Path
) -> None:
    (settings.data_dir / "portal.db").unlink()  # a fresh machine
    port = free_port()
    up = start("up", "--port", str(port), "-n", "1", VONAGE_BASE_URL="http://127.0.0.1:1")
    wait_until(lambda: answers(port), 240)
    assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).text == "ok\n"
    # The first run: whoever reads the terminal makes the first account.
    assert requests.get(f"http://127.0.0.1:{port}/", timeout=10).url.endswith("/set-up")
    code = (settings.data_dir / "set_up_code").read_text()
    wait_until(lambda: f"type this code: {code}" in (tmp_path / "out").read_text())
    assert not answers(port, "127.0.0.2")

    def has_workers() -> bool:
        found = json.loads(run(settings, "doctor", "--json", VONAGE_BASE_URL="http://127.0.0.1:1").stdout)
        return any(one["about"] == "workers" and one["level"] == "ok" for one in found["findings"])

    wait_until(has_workers, 240)
    taken = run(settings, "up", "--port", str(port))
    assert (taken.returncode, taken.stdout) == (1, "")
    assert "is taken" in taken.stderr
    again = run(settings, "up", "--port", str(free_port()))
    assert again.returncode == 1
    assert "It runs already" in again.stderr

    down = run(settings, "down", "--json")
    assert "portal up" in json.loads(down.stdout)["ended"]
    assert up.wait(180) == 0
    assert not answers(port)
    assert redis_pid(settings) is None
    assert json.loads(run(settings, "down", "--json").stdout) == {"ended": []}


def test_the_demo_sends_to_its_stand_in_whatever_is_set_and_ctrl_c_ends_it_all(
    settings: Settings, start: Start, tmp_path: Path
) -> None:
    port = free_port()
    real = {"VONAGE_API_KEY": "real", "VONAGE_API_SECRET": "secret", "PORTAL_REDIS_URL": "redis://127.0.0.1:1"}
    process = start("demo", "--port", str(port), **real, PORTAL_TEST_CLOCK="nonsense")
    wait_until(lambda: answers(port), 240)
    wait_until(lambda: f"The pages are at http://127.0.0.1:{port}/" in (tmp_path / "out").read_text())
    assert "no real text is sent" in (tmp_path / "out").read_text()
    for _, email in ACCOUNTS.values():
        said = (tmp_path / "out").read_text()
        assert email in said and PASSWORD in said
        signed_in(port, email, PASSWORD)
    owner = signed_in(port, ACCOUNTS[Role.OWNER][1], PASSWORD)

    def all_sent() -> bool:
        page = owner.get(f"http://127.0.0.1:{port}/communications?status=sent", timeout=30).text
        return all(name in page for name in ("Mia Nguyen", "Arjun Patel", "Owen Hughes"))

    wait_until(all_sent, 480)  # the refused account may hold some back until it is tried again

    def all_replied() -> bool:
        inbox = owner.get(f"http://127.0.0.1:{port}/replies", timeout=30).text
        log = owner.get(f"http://127.0.0.1:{port}/communications?status=received", timeout=30).text
        to_read = [text for _, _, text in replies(NUMBERS["AU"]) if read(text) is Meaning.OTHER]
        return all(text in inbox for text in to_read) and "Mei Chen" in log and "Owen Hughes" in log

    wait_until(all_replied, 240)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(180) == 0
    assert not answers(port)
    own = load_settings({"PORTAL_DATA_DIR": str(settings.data_dir / "demo")})
    assert redis_pid(own) is None
    assert demo.plan_file(own).exists()
    children = subprocess.run(["pgrep", "-f", "--", f"--port {port}"], capture_output=True, text=True).stdout
    assert children == ""


def test_the_simulator_follows_a_plan_and_says_where_it_is(settings: Settings, start: Start, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('[{"to": "+61491570006", "status": 422, "code": "1170"}]')
    port = free_port()
    start("simulator", "--port", str(port), "--plan", str(plan))
    wait_until(lambda: answers(port), 240)
    message = {"channel": "sms", "message_type": "text", "from": "Clinic", "text": "Hi"}
    url = f"http://127.0.0.1:{port}/v1/messages"
    refused = requests.post(url, json=message | {"to": "61491570006"}, auth=("key", "secret"), timeout=10)
    taken = requests.post(url, json=message | {"to": "61491570110"}, auth=("key", "secret"), timeout=10)
    assert (refused.status_code, taken.status_code) == (422, 202)
    assert f"VONAGE_BASE_URL=http://127.0.0.1:{port}" in (tmp_path / "out").read_text()

    occupied = run(settings, "simulator", "--port", str(port))
    assert (occupied.returncode, occupied.stdout) == (1, "")
    assert f"Port {port} cannot be used" in occupied.stderr


@pytest.mark.parametrize("plan", ["not JSON", '{"to": 1}', '[{"nonsense": 1}]'])
def test_a_plan_that_cannot_be_followed_is_refused(settings: Settings, tmp_path: Path, plan: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(plan)
    result = run(settings, "simulator", "--port", str(free_port()), "--plan", str(file))
    assert (result.returncode, result.stdout) == (1, "")
    assert str(file) in result.stderr
    assert "Traceback" not in result.stderr
