"""The simulated provider over HTTP: its own API, and one under /simulator/ that steers it."""

import contextlib
import json
import logging
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

from portal.sms.loopback import is_loopback
from portal.sms.simulator import records
from portal.sms.simulator.checks import NOT_FOUND, UNAUTHORIZED, Answer, Fault, account_of, problem
from portal.sms.simulator.plan import PlanError
from portal.sms.simulator.provider import Options, Provider
from portal.sms.simulator.receipts import ReceiptError

BALANCE = 100.0  # euros
LONGEST_BODY = 1_000_000  # bytes

log = logging.getLogger(__name__)


class Simulator(Provider):
    """Binds at once. `serve()` answers until `stop()`; as a context manager, in a thread of its own."""

    def __init__(self, options: Options | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        """`port` 0 takes a free one. Raises ValueError for a host that others could reach, OSError
        where the port is taken."""
        if not is_loopback(host):
            raise ValueError("The simulator listens on loopback only.")
        super().__init__(options or Options())
        self.stopping = threading.Event()
        self._server = _Server((host, port), self)
        self.url = f"http://{host}:{self._server.server_port}"

    def __enter__(self) -> "Simulator":
        self._thread = threading.Thread(target=self.serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join()

    def serve(self) -> None:
        reporter = threading.Thread(target=self.errands.run, daemon=True)
        reporter.start()
        try:
            self._server.serve_forever(poll_interval=0.02)
        finally:
            self.stopping.set()
            self.errands.stop()
            self._server.close_connections()
            self._server.server_close()
            reporter.join()
            self._receipts.close()

    def stop(self) -> None:
        """To be called from another thread than the one that serves."""
        self._server.shutdown()


def serve(
    host: str, port: int, options: Options | None = None, *, ready: Callable[[str], None] = lambda url: None
) -> None:
    """Answer until interrupted (KeyboardInterrupt). `ready` is told the address. Raises as Simulator does."""
    simulator = Simulator(options, host, port)
    ready(simulator.url)
    simulator.serve()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024  # a pool connects all at once; the default of 5 would turn some away

    def __init__(self, address: tuple[str, int], simulator: Simulator) -> None:
        self.simulator = simulator
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's asks DNS for the host's name
        self.server_port = self.socket.getsockname()[1]

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # those are of clients that went away
            log.error("A request to the simulator failed: %s", type(error).__name__)

    def close_connections(self) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # buffered: headers and body leave in one packet
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Silent: a line for each request would cost more than the request."""

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > LONGEST_BODY:
            self.close_connection = True
            self._write(problem(413, "payload-too-large", "The body is too large."))
            return
        answer = self._route(self.rfile.read(int(length)))
        if answer.fault in (None, Fault.GARBAGE):
            self._write(answer)
        else:
            self._fail(answer)

    do_GET = do_PUT = do_DELETE = do_POST

    def _route(self, raw: bytes) -> Answer:
        simulator = self.server.simulator
        authorization = self.headers.get("Authorization", "")
        url = urlsplit(self.path)
        match self.command, url.path:
            case "POST", "/v1/messages":
                answer = simulator.take(authorization, self.headers.get("Content-Type", ""), raw)
                time.sleep(simulator.options.latency_ms / 1000)
                return answer
            case "GET", "/account/get-balance":
                is_known = account_of(authorization) is not None
                return Answer(200, {"value": BALANCE, "autoReload": False}) if is_known else UNAUTHORIZED
            case "GET", records.PATH:
                query = {name: values[-1] for name, values in parse_qs(url.query).items()}
                return simulator.records(authorization, query)
            case "GET", "/simulator/counts":
                return Answer(200, simulator.counts)
            case "GET", "/simulator/outcomes":
                return Answer(200, simulator.outcomes)
            case "GET", "/simulator/messages":
                since = parse_qs(url.query).get("since", ["0"])[0]
                taken = simulator.messages_since(int(since) if since.isdigit() else 0)
                return Answer(200, {"messages": [one.as_json() for one in taken]})
            case "DELETE", "/simulator/messages":
                simulator.clear()
                return Answer(200, {})
            case ("PUT", "/simulator/plan") | ("POST", "/simulator/receipts" | "/simulator/replies"):
                return self._steer(simulator, raw)
        return NOT_FOUND

    def _steer(self, simulator: Simulator, raw: bytes) -> Answer:
        # A page of another site, open in a browser on this machine, cannot send this type unasked.
        if self.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            return problem(415, "unsupported-media-type", "Send application/json.")
        try:
            body = json.loads(raw)
            if self.command == "PUT":
                simulator.plan(body)
                return Answer(200, {})
            if self.path == "/simulator/replies":
                return Answer(200, {"status": simulator.reply(body["from"], body["to"], body["text"])})
            status = simulator.receipt(body["message_uuid"], body["status"], body.get("code"))
            return Answer(200, {"status": status})
        except ReceiptError as error:
            return problem(409, "receipt", str(error))
        except PlanError as error:
            return problem(400, "plan", str(error))
        except (TypeError, KeyError, ValueError, AttributeError):
            return problem(400, "invalid-params", "The body cannot be understood.")

    def _write(self, answer: Answer) -> None:
        body = b"<html>Accepted</html>" if answer.fault else json.dumps(answer.body).encode()
        self.send_response_only(answer.status)
        kind = "application/json" if answer.status < 400 else "application/problem+json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _fail(self, answer: Answer) -> None:
        self.close_connection = True
        if answer.fault is Fault.HANG:
            self.server.simulator.stopping.wait(answer.hang)
        if answer.fault is Fault.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # a proper close would say goodbye first
