"""A provider on loopback that misbehaves on demand, and the gateway to try it with."""

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO

import pytest

from portal.sms.answers import Outcome
from portal.sms.gateway import Account, Gateway, Outgoing

UUID = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"
TO = "+61491570156"
TEXT = "Hi Mia, see you on Thursday 8 May 2031 at 9:30am."

# Told what to do with a connection whose request was read whole; False closes it afterwards.
Behaviour = Callable[[socket.socket], bool]


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict[str, str]  # names in lower case
    body: bytes


class MisbehavingServer:
    """Reads each request whole, writes it down, then does what `behaviour` says."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = self.accept
        self.requests: list[Request] = []
        self.connections = 0
        self.closed = threading.Semaphore(0)  # released for each connection that has ended
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context: ssl.SSLContext | None = None
        self._open: list[socket.socket] = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._listen)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS from here on."""
        self._context = context

    @property
    def lines(self) -> list[str]:
        return [request.line for request in self.requests]

    def __enter__(self) -> "MisbehavingServer":
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        socket.create_connection(self._listener.getsockname()).close()  # wakes the listener
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    # What it can do.

    @staticmethod
    def answer(status: int, body: bytes | dict[str, object] = b"", **headers: str) -> Behaviour:
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        raw = "\r\n".join(lines).encode() + b"\r\n\r\n" + content

        def behave(connection: socket.socket) -> bool:
            connection.sendall(raw)
            return True

        return behave

    def accept(self, connection: socket.socket) -> bool:
        return self.answer(202, {"message_uuid": UUID})(connection)

    def accept_then_close(self, connection: socket.socket) -> bool:
        """As a server does whose keep-alive time is over: without a word in the answer."""
        self.accept(connection)
        return False

    @staticmethod
    def drop(connection: socket.socket) -> bool:
        return False

    @staticmethod
    def drop_midway(connection: socket.socket) -> bool:
        connection.sendall(b'HTTP/1.1 202 Accepted\r\nContent-Length: 55\r\n\r\n{"message_uu')
        return False

    @staticmethod
    def reset(connection: socket.socket) -> bool:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def hang(self, connection: socket.socket) -> bool:
        self._stopping.wait(30)
        return False

    def hang_midway(self, connection: socket.socket) -> bool:
        connection.sendall(b'HTTP/1.1 202 Accepted\r\nContent-Length: 55\r\n\r\n{"message_uu')
        return self.hang(connection)

    # How it does it.

    def _listen(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopping.is_set():
                connection.close()
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._context:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    self._open.append(secured)
                    self._converse(secured)
            else:
                self._converse(connection)
        self.closed.release()

    def _converse(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while request := _read(stream):
                self.requests.append(request)
                if not self.behaviour(connection):
                    return


def _read(stream: BinaryIO) -> Request | None:
    line = stream.readline().decode().strip()
    if not line:
        return None
    headers: dict[str, str] = {}
    while header := stream.readline().decode().strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Request(line, headers, stream.read(int(headers.get("content-length", 0))))


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


MakeGateway = Callable[..., Gateway]


@pytest.fixture
def make_gateway(server: MisbehavingServer) -> Iterator[MakeGateway]:
    """A gateway to the misbehaving server, or to the account given; closed at the end."""
    made: list[Gateway] = []

    def make(account: Account | None = None, **timeouts: float) -> Gateway:
        gateway = Gateway(account or Account(base_url=server.url), **timeouts)
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        gateway.close()


Send = Callable[[Gateway], Outcome]


@pytest.fixture
def send() -> Send:
    def send_one(gateway: Gateway) -> Outcome:
        prepared = gateway.prepare(Outgoing(7, TO, "Riverside", TEXT, "m7"))
        return gateway.send(prepared, 3600)

    return send_one
