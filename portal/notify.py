"""Telling whoever looks after the portal, by what PORTAL_ALARM_URLS names: email, chat, push. The only Apprise."""

import logging
from collections.abc import Sequence

_OWN_LOG = "apprise"


def find_unusable(urls: Sequence[str]) -> list[int]:
    """Which of them no service can be made of, counted from 1: an address may hold a password, so none is named."""
    apprise = _apprise()
    return [i for i, url in enumerate(urls, 1) if not apprise.Apprise().add(url)]


def tell(urls: Sequence[str], title: str, text: str) -> bool:
    """Whether any of them took it. What one takes is not sent anew for another that did not."""
    apprise = _apprise()
    told = False
    for url in urls:
        service = apprise.Apprise()
        is_taken = service.add(url) and service.notify(title=title, body=text, body_format=apprise.NotifyFormat.TEXT)
        told = told or bool(is_taken)
    return told


def _apprise():  # type: ignore[no-untyped-def]
    import apprise  # a tenth of a second that no command should pay

    # Its lines hold the services' addresses.
    logging.getLogger(_OWN_LOG).setLevel(logging.CRITICAL + 1)
    return apprise
