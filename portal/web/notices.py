"""What everyone should know who looks at sending."""

from flask import current_app, g
from flask_security import current_user

from portal.actions.notices import notices, notices_to_staff
from portal.core.roles import Permission


def find_notices() -> list[str]:
    can_send = current_app.extensions["portal.settings"].can_send
    if "frame" not in g:  # whoever has no practice looks after the host
        return notices(can_send)
    with_code = current_user.may(Permission.SETTINGS)
    return notices_to_staff(can_send, g.frame.account_refused, with_code=with_code)
