"""Status webhooks as Vonage signs them, from the simulated provider to this machine only."""

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import jwt
import requests

from portal.sms.loopback import is_loopback

TIMEOUT = 5.0  # seconds


class ReceiptError(Exception):
    """The receipt could not be sent; the text says why."""


class Receipts:
    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.trust_env = False

    def send(self, url: str | None, body: Mapping[str, Any], account: Mapping[str, str]) -> int:
        """The status code that the webhook answered. Raises ReceiptError."""
        if url is None or not is_loopback(urlsplit(url).hostname):
            raise ReceiptError("Receipts go to a webhook on this machine only.")
        raw = json.dumps(body).encode()
        claims = {
            "iat": int(time.time()),
            "jti": str(uuid4()),
            "iss": "Vonage",
            "payload_hash": hashlib.sha256(raw).hexdigest(),
            **account,
        }
        headers = {
            "Authorization": f"Bearer {jwt.encode(claims, self._secret, algorithm='HS256')}",
            "Content-Type": "application/json",
        }
        try:
            with self._lock:
                answer = self._session.post(url, data=raw, headers=headers, timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            raise ReceiptError(f"The webhook could not be reached ({type(error).__name__}).") from None
        return answer.status_code

    def close(self) -> None:
        self._session.close()
