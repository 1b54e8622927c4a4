"""A link by which somebody takes an account: by mail, or else shown once to whoever made it."""

from flask import current_app, flash, session

from portal import clock
from portal.actions.staff import Invited
from portal.core.phrases import plain
from portal.invitations import link_for
from portal.mail import MailFailed, send_mail
from portal.web.access import who
from portal.web.sign_in import base_url

_KEPT = "link_to_hand_over"


def mail_or_keep(invited: Invited, practice_name: str) -> bool:
    """Whether it went by mail. Where there is none, or it fails, the session keeps it for `take_link`."""
    link = link_for(current_app.config["SECRET_KEY"], base_url(), invited.uniquifier, clock.now())
    smtp_url = current_app.extensions["portal.settings"].smtp_url
    if smtp_url:
        try:
            subject = f"Your way in to the SMS reminders of {plain(practice_name)}"
            send_mail(smtp_url, invited.email, subject, _letter(invited.name, practice_name, link))
            return True
        except MailFailed as failed:
            flash(f"{failed} Hand the link over yourself.")
    session[_KEPT] = [invited.user_id, link]
    return False


def take_link() -> tuple[int | None, str]:
    """Whose it is, and the link: once."""
    user_id, link = session.pop(_KEPT, (None, ""))
    return user_id, link


def _letter(name: str, practice_name: str, link: str) -> str:
    return (
        f"Hello {name},\n\n{who().name} invites you to the SMS reminders of {plain(practice_name)}. "
        f"Choose a password here; the link works once, for 7 days:\n\n{link}\n\n"
        "If you do not know what this is about, do nothing.\n"
    )
