"""The bare SDK: the same texts from as many threads and processes, and no database."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any
from urllib.parse import urlsplit

from requests import Response, Session
from requests.adapters import HTTPAdapter
from vonage import Auth, HttpClientOptions, Vonage
from vonage_messages.models import Sms

Text = tuple[str, str, str]  # to, sender, text

_spawn = get_context("spawn")


def texts_a_second(url: str, texts: Sequence[Text], processes: int, threads: int) -> float:
    """From the first request to the last answer; clients are made before."""
    together = _spawn.Barrier(processes)
    spans: Any = _spawn.SimpleQueue()
    shares = [texts[i::processes] for i in range(processes)]
    children = [_spawn.Process(target=_send_all, args=(url, share, threads, together, spans)) for share in shares]
    for child in children:
        child.start()
    begun, ended = zip(*[spans.get() for _ in children], strict=True)
    for child in children:
        child.join()
    return len(texts) / (max(ended) - min(begun))


def _send_all(url: str, texts: Sequence[Text], threads: int, together: Barrier, spans: Any) -> None:
    waiting = deque(texts)
    ready = threading.Barrier(threads + 1)

    def send() -> None:
        client = _client(url)
        ready.wait()
        while True:
            try:
                to, sender, text = waiting.popleft()
            except IndexError:
                return
            client.messages.send(Sms(to=to.removeprefix("+"), from_=sender, text=text, ttl=3600))

    senders = [threading.Thread(target=send) for _ in range(threads)]
    for sender in senders:
        sender.start()
    together.wait()
    begun = time.time()
    ready.wait()
    for sender in senders:
        sender.join()
    spans.put((begun, time.time()))


def _client(url: str) -> Vonage:
    host = urlsplit(url).netloc
    # One attempt a text: with more, a connection that closes without an answer makes the SDK send it again.
    options = HttpClientOptions(api_host=host, rest_host=host, pool_maxsize=1, max_retries=0, timeout=20)
    client = Vonage(Auth(api_key="simulator", api_secret="not-a-secret"), options)
    client.http_client._session = _PlainSession()
    return client


class _PlainSession(Session):
    """For a provider on loopback: the SDK itself speaks https only."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=1))

    def request(self, method: str, url: Any, *args: Any, **kwargs: Any) -> Response:
        return super().request(method, url.replace("https://", "http://", 1), *args, **kwargs)
