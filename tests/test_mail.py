"""Mail by a real SMTP server of the test's own."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from portal.config import ConfigError, load_settings
from portal.mail import MailFailed, send_mail, sender_of


@dataclass
class Server:
    """Speaks as much SMTP as a client needs, to one after the other. `refuses`: whom it does not take."""

    port: int
    refuses: str = "nobody"
    said: list[str] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b"220 test\r\n")
                in_text = False
                for line in lines:
                    said = line.decode().rstrip("\r\n")
                    self.said.append(said)
                    if in_text:
                        in_text = said != "."
                        answer = "250 taken" if not in_text else ""
                    elif said.upper() == "DATA":
                        in_text, answer = True, "354 go on"
                    elif said == "QUIT":
                        connection.sendall(b"221 bye\r\n")
                        break
                    else:
                        answer = "550 no" if self.refuses in said and said.upper().startswith("RCPT") else "250 well"
                    if answer:
                        connection.sendall(f"{answer}\r\n".encode())


@pytest.fixture
def server() -> Iterator[Server]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = Server(listener.getsockname()[1])
        thread = threading.Thread(target=server.serve, args=(listener,), daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def address(server: Server) -> str:
    return f"smtp://127.0.0.1:{server.port}?from=reminders@clinic.example"


def test_a_letter_reaches_the_server(server: Server) -> None:
    send_mail(address(server), "robin@clinic.example", "Your way in", "Hello Robin,\n\nhttp://x/join/y\n")
    assert "mail FROM:<reminders@clinic.example>" in server.said
    assert "To: robin@clinic.example" in server.said
    assert "Subject: Your way in" in server.said
    assert "http://x/join/y" in server.said


@pytest.mark.parametrize("subject", ["Practice\r\nBcc: all@clinic.example", "a\nb"])
def test_no_header_is_smuggled_in(server: Server, subject: str) -> None:
    with pytest.raises(MailFailed):
        send_mail(address(server), "robin@clinic.example", subject, "text")
    assert server.said == []


def test_a_server_that_refuses_or_is_away_is_told_in_words(server: Server) -> None:
    server.refuses = "robin"
    with pytest.raises(MailFailed) as failed:
        send_mail(address(server), "robin@clinic.example", "s", "t")
    assert "robin" not in str(failed.value)
    with pytest.raises(MailFailed):
        send_mail("smtp://127.0.0.1:1?from=a@b.example", "robin@clinic.example", "s", "t")


def test_mail_is_not_sent_in_clear_to_another_machine() -> None:
    # The name is of nobody; what is asked is that STARTTLS is wanted before anything else is said.
    with pytest.raises(MailFailed):
        send_mail("smtp://mail.invalid:1?from=a@b.example", "robin@clinic.example", "s", "t")


@pytest.mark.parametrize(
    ("url", "sender"),
    [
        ("smtps://user:pw@host:465", None),
        ("smtps://clinic%40host.example:pw@host:465", "clinic@host.example"),
        ("smtps://user:pw@host:465?from=reminders@clinic.example", "reminders@clinic.example"),
        ("smtp://host", None),
        ("smtp://host?from=a%0d%0aBcc:b@c", None),
    ],
)
def test_the_setting_says_whom_mail_comes_from(url: str, sender: str | None) -> None:
    assert sender_of(url) == sender
    if sender:
        assert load_settings({"PORTAL_SMTP_URL": url}).smtp_url == url
    else:
        with pytest.raises(ConfigError, match="PORTAL_SMTP_URL"):
            load_settings({"PORTAL_SMTP_URL": url})


@pytest.mark.parametrize("url", ["http://host", "smtp://", "smtp://host:x?from=a@b.c", "nonsense"])
def test_a_wrong_setting_is_named(url: str) -> None:
    with pytest.raises(ConfigError, match="PORTAL_SMTP_URL"):
        load_settings({"PORTAL_SMTP_URL": url})


@pytest.mark.parametrize("url", ["ftp://x", "https://x/path", "https://x?y", "https://u@x", "https://"])
def test_a_public_address_is_a_scheme_and_a_host(url: str) -> None:
    with pytest.raises(ConfigError, match="PORTAL_PUBLIC_URL"):
        load_settings({"PORTAL_PUBLIC_URL": url})
