"""Mail by SMTP, where PORTAL_SMTP_URL says how. A patient is named only where that was asked for."""

import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

from portal.sms.loopback import is_loopback

_SECONDS = 10
_TLS_PORT, _PORT = 465, 587


class MailFailed(Exception):
    """The mail did not go; the text says why, in words, without addresses."""


def sender_of(url: str) -> str | None:
    """Whom mail comes from: `?from=` of the address, else its user where that is an address itself."""
    parts = urlsplit(url)
    given = parse_qs(parts.query).get("from", [unquote(parts.username or "")])[0].strip()
    return given if "@" in given and given.isprintable() else None


def check_mail(url: str) -> None:
    """Reach the server and sign in, and send nothing. Raises MailFailed."""
    try:
        with _connect(url) as server:
            server.noop()
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise MailFailed(f"The mail server cannot be used ({type(error).__name__}).") from None


def send_mail(url: str, to: str, subject: str, text: str) -> None:
    """Raises MailFailed."""
    message = EmailMessage()
    try:
        message["From"], message["To"], message["Subject"] = sender_of(url), to, subject
        message.set_content(text)
        with _connect(url) as server:
            server.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise MailFailed(f"The mail server did not take it ({type(error).__name__}).") from None


def _connect(url: str) -> smtplib.SMTP:
    """With TLS from the start (smtps://), or from STARTTLS on (smtp://), which only this machine may lack."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    context = ssl.create_default_context()
    server: smtplib.SMTP
    if parts.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, parts.port or _TLS_PORT, timeout=_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, parts.port or _PORT, timeout=_SECONDS)
    try:
        if parts.scheme == "smtp":
            server.ehlo()
            if server.has_extn("starttls") or not is_loopback(host):
                server.starttls(context=context)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
    except BaseException:
        server.close()
        raise
    return server
