"""Mail by a real SMTP server of the test's own."""

import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from flask import Flask

from portal import clock
from portal.config import ConfigError, Settings, load_settings
from portal.core.watching import Finding, Level
from portal.doctor import examine
from portal.mail import MailFailed, check_mail, send_mail, sender_of

GOOD_LOGIN = b64encode(b"\0robin\0secret").decode()


@dataclass
class Server:
    """Speaks as much SMTP as a client needs, to one after the other. `refuses`: whom it does not take. `tls`: speaks
    TLS from the start, or from STARTTLS on; `clear`: what was said before that."""

    port: int
    refuses: str = "nobody"
    tls: ssl.SSLContext | None = None
    is_tls_from_the_start: bool = False
    said: list[str] = field(default_factory=list)
    clear: list[str] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError):  # e.g. a client that does not trust the certificate
                self._serve_one(connection)

    def _serve_one(self, connection: socket.socket) -> None:
        if self.tls and self.is_tls_from_the_start:
            connection = self._wrapped(connection)
        with connection:
            connection.sendall(b"220 test\r\n")
            if self._talk(connection, may_start_tls=bool(self.tls) and not self.is_tls_from_the_start):
                self.clear, self.said = self.said, []
                with self._wrapped(connection) as secret:
                    self._talk(secret, may_start_tls=False)

    def _wrapped(self, connection: socket.socket) -> ssl.SSLSocket:
        assert self.tls
        wrapped = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        try:
            wrapped.do_handshake()
        except OSError:
            wrapped.close()
            raise
        return wrapped

    def _talk(self, connection: socket.socket, *, may_start_tls: bool) -> bool:
        """Until the client leaves, or wants TLS."""
        in_text = False
        with connection.makefile("rb") as lines:
            for line in lines:
                said = line.decode().rstrip("\r\n")
                self.said.append(said)
                answer = "250 well"
                if in_text:
                    in_text = said != "."
                    answer = "250 taken" if not in_text else ""
                elif said.lower().startswith("ehlo"):
                    answer = "250-test\r\n250 STARTTLS" if may_start_tls else "250-test\r\n250 AUTH PLAIN"
                elif said == "STARTTLS":
                    connection.sendall(b"220 go on\r\n")
                    return True
                elif said.startswith("AUTH"):
                    answer = "235 welcome" if said.endswith(GOOD_LOGIN) else "535 no"
                elif said.upper() == "DATA":
                    in_text, answer = True, "354 go on"
                elif said == "QUIT":
                    connection.sendall(b"221 bye\r\n")
                    return False
                elif self.refuses in said and said.upper().startswith("RCPT"):
                    answer = "550 no"
                if answer:
                    connection.sendall(f"{answer}\r\n".encode())
        return False


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


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of this machine, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        made.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
def test_mail_and_password_go_through_tls(
    server: Server, certificate: Path, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(certificate)
    server.is_tls_from_the_start = scheme == "smtps"
    url = f"{scheme}://robin:secret@127.0.0.1:{server.port}?from=reminders@clinic.example"
    for act in (lambda: send_mail(url, "robin@clinic.example", "s", "t"), lambda: check_mail(url)):
        with pytest.raises(MailFailed, match="SSL"):
            act()  # nobody vouches for the certificate
    assert not any("AUTH" in line or "robin" in line for line in server.said + server.clear)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    send_mail(url, "robin@clinic.example", "s", "t")
    assert "mail FROM:<reminders@clinic.example>" in server.said
    assert not any("AUTH" in line or "robin" in line for line in server.clear)
    check_mail(url)
    with pytest.raises(MailFailed, match="SMTPAuthenticationError"):
        check_mail(url.replace("secret", "wrong"))


def test_the_doctor_tries_the_mail_server(server: Server, app: Flask, settings: Settings) -> None:
    def found(**changed: str) -> Finding:
        findings = examine(replace(settings, **changed), clock.now())
        return next(finding for finding in findings if finding.about == "mail")

    assert found().level is Level.NOTE
    assert found(smtp_url=address(server)).level is Level.OK
    away = found(smtp_url="smtp://127.0.0.1:1?from=a@b.example")
    assert (away.level, away.says) == (Level.MEND, "The mail server cannot be used (ConnectionRefusedError).")


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
