"""The web server itself, in a process of its own, under requests of strangers to the webhooks: none is taken, none is
an error of ours, and they cost no memory."""

import http.client
import json
import os
import random
import socket
import string
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from portal import create_app, store
from portal.actions.webhooks import LARGEST
from portal.config import Settings
from portal.store.provider_events import ProviderEvent
from tests.builders import Clinic
from tests.cli.test_together import answers, free_port
from tests.processes import ROOT, environment_of, wait_until
from tests.reported import a_receipt
from tests.reported import signed as signed_with

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to see a process's memory")

# One takes the other's place.
OLD, NEW = "the secret that the account had until today", "the secret that it is to have from today on"
MANY = int(os.environ.get("PORTAL_TEST_ABUSE", "20000"))
AT_ONCE = 4
STATUS, INBOUND = "/webhooks/vonage/status", "/webhooks/vonage/inbound"
JSON = {"Content-Type": "application/json"}
MOST_GROWTH = 20_000_000  # bytes, from the first tenth of the requests to the last

# What each is answered; a replay is one that we have, and is not kept again.
ANSWERS = {
    "malformed": {400},
    "oversized": {413},
    "unsigned": {429},
    "wrongly signed": {429},
    "stale": {429},
    "replayed": {200},
    "bare": {429},
    "header": {429},
    "not for posting": {405},
}


def now() -> datetime:
    return datetime.now(UTC)


def signed(raw: bytes, secret: str = NEW, age: timedelta = timedelta()) -> dict[str, str]:
    return signed_with(raw, now(), secret, age=age)


@dataclass(frozen=True)
class Server:
    settings: Settings
    port: int
    pid: int
    printed: Path

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def shout(self, raw: bytes) -> bytes:
        """Bytes that may be no HTTP at all; returns the first line that comes back, if any does."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        with closing(connection), suppress(OSError):
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(4096).partition(b"\r\n")[0]
        return b""

    @property
    def memory(self) -> int:
        """In bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def kept(self) -> list[str]:
        with create_app(self.settings).app_context():
            with store.everything() as session:
                kept = list(session.scalars(select(ProviderEvent.uuid)))
            store.database.db.engine.dispose()
        return sorted(kept)


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def server(settings: Settings, redis_url: str, tmp_path: Path) -> Iterator[Server]:
    settings = replace(settings, redis_url=redis_url, vonage_base_url="http://127.0.0.1:9")
    account = {
        "VONAGE_API_KEY": "abcd1234",
        "VONAGE_API_SECRET": "not-a-secret",
        "VONAGE_SIGNATURE_SECRET": f"{OLD},{NEW}",
    }
    with create_app(settings).app_context():
        Clinic()  # or every page leads to the set-up
        store.database.db.engine.dispose()
    port = free_port()
    with (tmp_path / "printed").open("w") as out:
        web = subprocess.Popen(
            [sys.executable, "-m", "portal", "web", "--port", str(port)],
            cwd=ROOT,
            env=environment_of(settings, **account),
            stdout=out,
            stderr=out,
        )
    try:
        wait_until(lambda: answers(port), seconds=120)
        yield Server(settings, port, web.pid, tmp_path / "printed")
    finally:
        web.terminate()
        web.wait(60)


def a_request(chance: random.Random, genuine: bytes) -> tuple[str, str, bytes, dict[str, str]]:
    """(what is wrong, method, body, headers) of one that must not be taken. `genuine`: the body of one that was."""
    raw = json.dumps(a_receipt("delivered", now(), uuid="".join(chance.choices(string.hexdigits, k=12)))).encode()
    noise = chance.randbytes(chance.randrange(0, 400))
    what = chance.choice(list(ANSWERS))
    match what:
        case "malformed":
            raw = raw[: chance.randrange(len(raw))] + noise
            headers = signed(raw)
        case "oversized":
            raw += b" " * LARGEST
            headers = signed(raw)
        case "unsigned":
            headers = JSON
        case "wrongly signed":
            headers = signed(raw, "".join(chance.choices(string.printable, k=40)))
        case "stale":
            headers = signed(raw, age=timedelta(minutes=chance.randrange(7, 100_000)))
        case "replayed":
            raw, headers = genuine, signed(genuine, chance.choice([OLD, NEW]))
        case "bare":
            raw, headers = noise, {"Content-Type": "text/plain"}
        case "header":
            token = "".join(chance.choices(string.ascii_letters + ".-_= {}\"'", k=chance.randrange(1, 3000)))
            headers = {"Authorization": f"{chance.choice(['Bearer', 'Basic', 'bearer', ''])} {token}"}
        case _:
            return what, chance.choice(["PUT", "DELETE", "PATCH"]), raw, signed(raw)
    return what, "POST", raw, headers


def abuse(server: Server, seed: int, times: int, genuine: bytes) -> set[tuple[str, int]]:
    """What each kind was answered, over one connection."""
    chance = random.Random(seed)
    answered = set()
    with closing(server.connect()) as connection:
        for _ in range(times):
            what, method, raw, headers = a_request(chance, genuine)
            path = STATUS if what == "replayed" else chance.choice([STATUS, INBOUND])
            connection.request(method, path, raw, headers)
            answer = connection.getresponse()
            answer.read()
            answered.add((what, answer.status))
    return answered


def test_many_abusive_requests_change_nothing_and_cost_no_memory(server: Server) -> None:
    genuine = json.dumps(a_receipt("delivered", now(), uuid="genuine")).encode()
    with closing(server.connect()) as connection:
        connection.request("POST", STATUS, genuine, signed(genuine))
        assert connection.getresponse().status == 200
    answered: set[tuple[str, int]] = set()
    memory = []
    share = MANY // 10 // AT_ONCE
    with ThreadPoolExecutor(AT_ONCE) as strangers:
        for turn in range(10):
            seeds = range(turn * AT_ONCE, (turn + 1) * AT_ONCE)
            for some in strangers.map(lambda seed: abuse(server, seed, share, genuine), seeds):
                answered |= some
            memory.append(server.memory)
    assert answered == {(what, code) for what, codes in ANSWERS.items() for code in codes}
    assert max(memory) - memory[0] < MOST_GROWTH, memory
    assert server.kept() == ["genuine"]
    printed = server.printed.read_text()
    assert "Traceback" not in printed and "61491570006" not in printed


HEAD = f"POST {STATUS} HTTP/1.1\r\nHost: portal\r\n".encode()


HARDLY_REQUESTS = (
    b"\x16\x03\x01\x02\x00\x01\x00",  # it wants TLS
    b"POST\r\n\r\n",
    HEAD + b"Content-Length: -1\r\n\r\n{}",
    HEAD + b"Content-Length: many\r\n\r\n{}",
    HEAD + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\n{}",
    HEAD + b"Content-Length: 500\r\n\r\n{",  # and goes away
    HEAD + b"Content-Length: 99999999999999\r\n\r\n{",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: gzip\r\n\r\n{}",
    HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    HEAD + b"Authorization: Bearer " + b"x" * 500_000 + b"\r\n\r\n",
    HEAD + b"Authorization\x00: Bearer x\r\nContent-Length: 2\r\n\r\n{}",
    HEAD + b"Authorization: Bearer \xff\xfe.\xe9.\x80\r\nContent-Length: 2\r\n\r\n{}",
    HEAD.replace(b"/status", b"/status/../../\xff%00") + b"Content-Length: 0\r\n\r\n",
)


def test_what_is_hardly_a_request_harms_nothing(server: Server) -> None:
    for at, raw in enumerate(HARDLY_REQUESTS):
        words = server.shout(raw).split(b" ")
        assert words == [b""] or words[1].startswith(b"4") or words[1] == b"501", (at, words)
        genuine = json.dumps(a_receipt("delivered", now(), uuid=f"genuine-{at}")).encode()
        with closing(server.connect()) as connection:
            connection.request("POST", STATUS, genuine, signed(genuine))
            assert connection.getresponse().status == 200, at
    assert server.kept() == sorted(f"genuine-{at}" for at in range(len(HARDLY_REQUESTS)))
