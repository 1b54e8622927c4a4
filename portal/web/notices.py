"""What everyone should know who looks at sending."""

from flask import current_app, g

from portal.actions.notices import notices, notices_of


def find_notices() -> list[str]:
    can_send = current_app.extensions["portal.settings"].can_send
    return notices_of(can_send, g.frame.account_refused) if "frame" in g else notices(can_send)
