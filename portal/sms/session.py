"""How the provider is spoken to: one connection, nothing sent twice, nothing of the environment by chance."""

import os
import time
from typing import Any

import requests
from requests import Response
from requests.adapters import HTTPAdapter

# Servers and the boxes between drop a silent connection, often without a word: a text written
# to it would be in doubt. Five seconds is the shortest such limit in wide use.
LONGEST_IDLE = 4.0


class AccountError(Exception):
    """The account's settings cannot be used; the text says which, in words, with no secret in it."""


class Session(requests.Session):
    """One connection to the provider: the SDK's session with what the SDK has no option for.

    `timeout`: to connect and to read, in seconds. `is_plain`: http, whatever the address says.
    """

    def __init__(
        self, timeout: tuple[float, float], is_plain: bool, proxies: dict[str, str], verify: str | bool
    ) -> None:
        super().__init__()
        self._timeout = timeout
        self._is_plain = is_plain
        self._used_at = time.monotonic()
        # Left to requests, the environment is read at each call, and a .netrc with an entry for the
        # host replaces our Authorization.
        self.trust_env = False
        self.proxies = proxies
        self.verify = verify
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
        self.mount("https://", self._adapter)
        self.mount("http://", self._adapter)

    def request(self, method: str, url: Any, *args: Any, **kwargs: Any) -> Response:
        if self._is_plain:
            url = url.replace("https://", "http://", 1)  # the SDK knows https only
        if time.monotonic() - self._used_at > LONGEST_IDLE:
            self.close()
        try:
            return super().request(method, url, *args, **kwargs | {"timeout": self._timeout})
        finally:
            self._used_at = time.monotonic()

    def close(self) -> None:
        """Close the sockets too: requests only forgets its pools, and the SDK's last answer holds one."""
        for manager in (self._adapter.poolmanager, *self._adapter.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 (its __iter__ raises)
                manager.pools[key].close()
        super().close()

    def get_redirect_target(self, resp: Response) -> None:
        """Never follow: a 307 or 308 would POST again."""


def certificates() -> str | bool:
    """The certificates to trust, as requests reads them from the environment; True: its own."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := os.environ.get(name):
            if not os.path.exists(path):
                raise AccountError(f"{name} names a file that is not there.")
            return path
    return True
