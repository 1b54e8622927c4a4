"""What everyone should know who looks at sending: why nothing goes."""

from typing import Any

from portal import store
from portal.config import CANNOT_SEND
from portal.core.phrases import plain


def notices(can_send: bool) -> list[str]:
    """Of the whole host, for the administrator. `can_send`: there are credentials, or a simulator."""
    with store.everything() as session:
        refused = store.host.find_state(session, store.host.ACCOUNT_REFUSED)
    found = [] if can_send else [CANNOT_SEND]
    if refused:
        found.append(
            f"All sending waits: the provider refuses our account ({refused['code']}). "
            "It goes on by itself once that is mended."
        )
    return found


def notices_to_staff(can_send: bool, refused: dict[str, Any] | None, *, with_code: bool) -> list[str]:
    """What it means for a practice. `refused`: as `store/host.py` holds it; `with_code`: for who speaks to the
    administrator."""
    found = []
    if not can_send:
        found.append(
            "No text goes out: the portal has no account with the text provider yet. Texts wait until your "
            "administrator has set it up."
        )
    if refused:
        code = f" The code for your administrator: {plain(str(refused['code']), 40)}." if with_code else ""
        found.append(
            "No text goes out at the moment: the provider, which carries our texts, refuses our account. Nobody need "
            "do anything for the patients: what is due waits, and goes by itself once that is mended. What has not "
            f"gone by 9pm is listed on Today. Your administrator mends it, and sees it as an alarm.{code}"
        )
    return found
