"""Large uploads to the real web server: read to disk, not into memory; above the limit not read at all."""

import http.client
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface

from portal.actions.uploads import MOST_BYTES
from portal.config import Settings
from portal.embedded import ensure_redis, stop_redis
from portal.store.uploads import UploadState
from tests.actions.test_upload_hostile import MEGABYTE, highest_memory
from tests.actions.uploads import look
from tests.builders import Clinic
from tests.cli.test_together import answers, free_port
from tests.processes import ROOT, environment_of, wait_until

from .conftest import _signed_in

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs /proc to see a process's memory"
)
ROOM = 60 * MEGABYTE
PART = "--edge\r\nContent-Disposition: form-data; name="


class Server:
    def __init__(self, port: int, pid: int, cookie: str) -> None:
        self.port, self.pid, self.cookie = port, pid, cookie

    @property
    def memory(self) -> int:
        return highest_memory(Path(f"/proc/{self.pid}/status").read_text())

    def get(self, path: str) -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", path, headers={"Cookie": self.cookie})
            answer = connection.getresponse()
            self.cookie = (answer.getheader("Set-Cookie") or self.cookie).partition(";")[0]
            return answer.read().decode()

    def send(self, size: int) -> tuple[int, str]:
        """A list of that many bytes, in parts; the status and the page, or 0 where the server hung up."""
        page = self.get("/settings/import")
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found, page
        begin = f'{PART}"csrf_token"\r\n\r\n{found[1]}\r\n{PART}"file"; filename="list.csv"\r\n\r\n'.encode()
        end = b"\r\n--edge--\r\n"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.putrequest("POST", "/settings/import")
        connection.putheader("Cookie", self.cookie)
        connection.putheader("Content-Type", "multipart/form-data; boundary=edge")
        connection.putheader("Content-Length", str(len(begin) + size + len(end)))
        connection.endheaders()
        piece = b"a;b;c;d;e;f;g;h\n" * (MEGABYTE // 16)
        try:
            connection.send(begin)
            for _ in range(size // MEGABYTE):
                connection.send(piece)
            connection.send(end)
        except OSError:  # it does not read on
            pass
        try:
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()


@pytest.fixture
def server(app: Flask, settings: Settings) -> Iterator[Server]:
    Clinic()
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer
    cookie = f"{app.config['SESSION_COOKIE_NAME']}={serializer.dumps(_signed_in('owner@riverside'))}"
    ensure_redis(settings)
    port = free_port()
    web = subprocess.Popen(
        [sys.executable, "-m", "portal", "web", "--port", str(port)],
        cwd=ROOT,
        env=environment_of(settings, PORTAL_SECRET_KEY=app.config["SECRET_KEY"]),
    )
    try:
        wait_until(lambda: answers(port), seconds=60)
        yield Server(port, web.pid, cookie)
    finally:
        web.terminate()
        web.wait(60)
        stop_redis(settings)


def test_a_large_file_is_kept_and_a_larger_one_is_refused_with_memory_flat(server: Server) -> None:
    server.get("/settings/import")
    before = server.memory
    assert server.send(300 * MEGABYTE)[0] in (0, 413)
    status, page = server.send(MOST_BYTES)
    assert status == 303, page
    assert look(1).state is UploadState.MATCHING
    assert look(1).size == MOST_BYTES
    print(f"{before // MEGABYTE} MB before, {server.memory // MEGABYTE} MB at most")
    assert server.memory - before < ROOM
    assert "What do its columns hold?" in server.get("/settings/import/1")
