"""What everyone should know who looks at sending."""

from flask import current_app

from portal.actions.notices import notices


def find_notices() -> list[str]:
    return notices(current_app.extensions["portal.settings"].can_send)
