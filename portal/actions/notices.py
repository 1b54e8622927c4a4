"""What everyone should know who looks at sending: why nothing goes."""

from typing import Any

from portal import store
from portal.config import CANNOT_SEND


def notices(can_send: bool) -> list[str]:
    """Of the whole host, in sentences. `can_send`: there are credentials, or a simulator."""
    with store.everything() as session:
        return notices_of(can_send, store.host.find_state(session, store.host.ACCOUNT_REFUSED))


def notices_of(can_send: bool, refused: dict[str, Any] | None) -> list[str]:
    """`refused`: as `store/host.py` holds it."""
    found = [] if can_send else [CANNOT_SEND]
    if refused:
        found.append(
            f"All sending waits: the provider refuses our account ({refused['code']}). "
            "It goes on by itself once that is mended."
        )
    return found
