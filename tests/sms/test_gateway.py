"""The gateway's clients, credentials and limits, tried against a server on loopback."""

import datetime
import json
import logging
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from portal.sms.answers import Accepted, InDoubt, NotReached, Refused
from portal.sms.gateway import Account, AccountError, BalanceError, Gateway, Outgoing

UUID = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


def outgoing(**changes: object) -> Outgoing:
    values = {
        "message_id": 7,
        "to": "+61491570156",
        "sender": "Riverside",
        "text": "See you tomorrow at 9:30am.",
        "client_ref": "m7",
    }
    return Outgoing(**(values | changes))


# What can never be sent.


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": "61491570156"}, "number"),
        ({"to": "+0491570156"}, "number"),
        ({"to": "+61 491 570 156"}, "number"),
        ({"to": "+61491570156\n"}, "number"),
        ({"to": "+６１491570156"}, "number"),
        ({"to": "+6149157015612345"}, "number"),
        ({"to": ""}, "number"),
        ({"sender": ""}, "sender"),
        ({"sender": "Riverside Clinic"}, "sender"),
        ({"sender": "Río"}, "sender"),
        ({"sender": "0123"}, "sender"),
        ({"text": ""}, "no-text"),
        ({"text": " \n "}, "no-text"),
        ({"text": "x" * 3201}, "text-too-long"),
        ({"client_ref": "m" * 41}, "client-ref"),
        ({"text": "half a pair \ud83d"}, "unusable"),
    ],
)
def test_what_can_never_be_sent_is_refused_before_anything_is_claimed(changes, code):
    refused = Gateway.prepare(outgoing(**changes))
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert "61491570156" not in refused.title


@pytest.mark.parametrize(
    ("sender", "written"),
    [
        ("Riverside", "Riverside"),
        ("+12025550187", "12025550187"),
        ("12025550187", "12025550187"),
        ("12345", "12345"),
    ],
)
def test_sender_is_written_as_the_provider_wants_it(sender, written):
    assert Gateway.prepare(outgoing(sender=sender)).from_ == written


def test_text_of_the_longest_length_is_taken():
    assert Gateway.prepare(outgoing(text="x" * 3200)).text == "x" * 3200


@pytest.mark.parametrize(
    ("seconds", "ttl"),
    [(-5, 20), (0, 20), (19.9, 20), (3600.7, 3600), (604_801, 604_800), (1e12, 604_800)],
)
def test_time_left_is_clamped_to_what_the_provider_takes(seconds, ttl, server, make_gateway):
    gateway = make_gateway()
    assert gateway.send(gateway.prepare(outgoing()), seconds) == Accepted(UUID)
    assert f'"ttl": {ttl}'.encode() in server.requests[0].body


def test_receipts_are_asked_for_at_our_own_address_where_we_have_one(server, make_gateway, send):
    send(make_gateway())
    assert b"webhook_url" not in server.requests[0].body
    here = "https://reminders.example/webhooks/vonage/status"
    send(make_gateway(Account(base_url=server.url, webhook_url=here)))
    message = json.loads(server.requests[1].body)
    assert (message["webhook_url"], message["webhook_version"]) == (here, "v1")


# One client a thread of a process.


def test_messages_of_one_thread_share_a_connection(server, make_gateway, send):
    gateway = make_gateway()
    for _ in range(5):
        send(gateway)
    assert server.connections == 1


def test_every_thread_has_a_connection_of_its_own(server, make_gateway, send):
    gateway = make_gateway()
    together = threading.Barrier(4)

    def send_two(_: int) -> list[object]:
        together.wait(60)
        return [send(gateway), send(gateway)]

    with ThreadPoolExecutor(4) as pool:
        outcomes = [outcome for two in pool.map(send_two, range(4)) for outcome in two]
    assert outcomes == [Accepted(UUID)] * 8
    assert server.connections == 4


def test_fork_does_not_use_its_parents_connection(server):
    script = (
        "import os, sys\n"
        "from portal.sms.gateway import Account, Gateway, Outgoing\n"
        "gateway = Gateway(Account(base_url=sys.argv[1]))\n"
        "def send():\n"
        "    prepared = gateway.prepare(Outgoing(1, '+61491570156', 'Riverside', 'Hi', 'm1'))\n"
        "    print(type(gateway.send(prepared, 60)).__name__, flush=True)\n"
        "send()\n"
        "child = os.fork()\n"
        "if child:\n"
        "    os.waitpid(child, 0)\n"
        "send()\n"
        "os._exit(0)\n"
    )
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", script, server.url], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert ran.stdout.split() == ["Accepted"] * 3, ran.stderr
    assert server.connections == 2


def test_closed_gateway_closes_its_connections(server, make_gateway, send):
    gateway = make_gateway()
    send(gateway)
    gateway.close()
    assert server.closed.acquire(timeout=60)
    assert send(gateway) == Accepted(UUID)
    assert server.connections == 2


# What the environment and the log may not do.


def test_log_holds_neither_number_nor_text_nor_credentials(server, make_gateway, send, caplog):
    gateway = make_gateway()
    for name in (None, "vonage", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=name)
    send(gateway)
    server.behaviour = server.answer(422, {"title": "Refused", "detail": "61491570156 is barred: Mia"})
    send(gateway)
    server.behaviour = server.drop
    send(gateway)
    for secret in ("61491570156", "Mia", "Riverside", "Basic"):
        assert secret not in caplog.text


def test_netrc_does_not_replace_the_credentials(server, make_gateway, send, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login other password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    send(make_gateway(Account(api_key="k", api_secret="s", base_url=server.url)))
    assert server.requests[0].headers["authorization"] == "Basic azpz"


def test_proxies_of_the_environment_are_not_used_on_loopback(server, make_gateway, send, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy.invalid:3128")
    assert send(make_gateway()) == Accepted(UUID)


# Credentials.


def test_base_url_alone_sends_with_credentials_that_are_clearly_false(server, make_gateway, send):
    send(make_gateway())
    assert server.requests[0].headers["authorization"] == "Basic c2ltdWxhdG9yOm5vdC1hLXNlY3JldA=="


def test_no_credentials_and_no_base_url_is_an_error():
    with pytest.raises(AccountError, match="no credentials"):
        Gateway(Account())


@pytest.mark.parametrize("as_path", [False, True])
def test_application_signs_a_token_and_keeps_it_for_a_while(as_path, server, make_gateway, send, tmp_path):
    path = tmp_path / "key_without_extension"
    path.write_text(PEM)
    gateway = make_gateway(
        Account(application_id="app-1", private_key=str(path) if as_path else PEM, base_url=server.url)
    )
    send(gateway)
    send(gateway)
    first, second = (request.headers["authorization"] for request in server.requests)
    assert first == second
    claims = jwt.decode(first.removeprefix("Bearer "), KEY.public_key(), algorithms=["RS256"])
    assert claims["application_id"] == "app-1"


def test_token_is_signed_anew_before_it_ends(server, make_gateway, send, monkeypatch):
    gateway = make_gateway(Account(application_id="app-1", private_key=PEM, base_url=server.url))
    send(gateway)
    monkeypatch.setattr("portal.sms.gateway.TOKEN_AGE", 0.0)
    send(gateway)
    first, second = (request.headers["authorization"] for request in server.requests)
    assert first != second


@pytest.mark.parametrize("key", ["missing.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_private_key_that_cannot_sign_is_named_at_once(key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AccountError, match="VONAGE_PRIVATE_KEY") as caught:
        Gateway(Account(application_id="app-1", private_key=key))
    assert PEM.split()[4] not in str(caught.value)


# Over TLS.


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate that nobody signed: its file, and a server's context with it."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, KEY.public_key(), 1, now, now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(KEY, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_text(PEM + signed.public_bytes(serialization.Encoding.PEM).decode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return path, context


def test_provider_whose_certificate_is_not_trusted_is_never_told_anything(certificate, server, make_gateway, send):
    server.secure(certificate[1])
    gateway = make_gateway(Account(base_url=server.url.replace("http:", "https:")))
    assert send(gateway) == NotReached("certificate")
    assert server.requests == []


def test_certificates_of_the_environment_are_trusted(certificate, server, make_gateway, send, monkeypatch):
    path, context = certificate
    server.secure(context)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    gateway = make_gateway(Account(base_url=server.url.replace("http:", "https:")))
    assert send(gateway) == Accepted(UUID)
    assert send(gateway) == Accepted(UUID)
    assert server.connections == 1


def test_dropped_connection_over_tls_leaves_the_message_in_doubt(
    certificate, server, make_gateway, send, monkeypatch
):
    path, context = certificate
    server.secure(context)
    server.behaviour = server.drop
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    gateway = make_gateway(Account(base_url=server.url.replace("http:", "https:")))
    assert send(gateway) == InDoubt("dropped")
    assert server.lines == ["POST /v1/messages HTTP/1.1"]


def test_certificates_that_are_not_there_are_named_at_once(server, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "missing.pem")
    with pytest.raises(AccountError, match="REQUESTS_CA_BUNDLE"):
        Gateway(Account(base_url=server.url))


# The balance.


def test_balance_is_read_from_the_same_host(server, make_gateway):
    server.behaviour = server.answer(200, {"value": 12.5, "autoReload": False})
    assert make_gateway().balance() == 12.5
    assert server.lines == ["GET /account/get-balance HTTP/1.1"]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"", "refuses the account"),
        (500, b"", "gave no balance"),
        (200, b"nonsense", "gave no balance"),
        (429, b"", "asks to wait 1 seconds"),
    ],
)
def test_balance_that_cannot_be_read_says_why(status, body, words, server, make_gateway):
    server.behaviour = server.answer(status, body)
    with pytest.raises(BalanceError, match=words):
        make_gateway().balance()


def test_balance_needs_a_key_and_its_secret(make_gateway):
    gateway = make_gateway(Account(application_id="app-1", private_key=PEM))
    with pytest.raises(BalanceError, match="VONAGE_API_KEY"):
        gateway.balance()
