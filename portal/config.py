"""Settings, read once from the environment. A wrong one stops the program with a line that names it."""

import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from portal.mail import sender_of
from portal.sms.loopback import is_loopback

_APPRISE_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)

# RQ over a unix socket; the kernel's limit is 107 bytes on Linux, 103 on macOS.
LONGEST_SOCKET_PATH = 100


class ConfigError(Exception):
    """A setting that is wrong or missing; the text names it and says how to mend it."""


@dataclass(frozen=True)
class Settings:
    data_dir: Path
    database_url: str
    redis_url: str | None  # None: the embedded Redis in the data directory
    vonage_api_key: str | None
    vonage_api_secret: str | None
    vonage_application_id: str | None
    vonage_private_key: str | None  # a path, or the key itself
    vonage_signature_secrets: tuple[str, ...]
    vonage_base_url: str | None
    send_rate: float  # provider requests a second, over all workers on all hosts
    public_url: str | None
    smtp_url: str | None
    alarm_urls: tuple[str, ...]  # of Apprise; they hold passwords
    support_contact: str | None
    metrics_token: str | None
    test_clock: datetime | None

    @property
    def socket_path(self) -> Path:
        return self.data_dir / "broker.sock"

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def has_credentials(self) -> bool:
        basic = self.vonage_api_key and self.vonage_api_secret
        application = self.vonage_application_id and self.vonage_private_key
        return bool(basic or application)

    @property
    def can_send(self) -> bool:
        """Without credentials and without a base URL nothing can be sent; messages wait."""
        return self.has_credentials or self.vonage_base_url is not None

    @property
    def is_provider_on_loopback(self) -> bool:
        return self.vonage_base_url is not None and is_loopback(urlsplit(self.vonage_base_url).hostname)


_CREDENTIALS = "VONAGE_API_KEY and VONAGE_API_SECRET (or VONAGE_APPLICATION_ID and VONAGE_PRIVATE_KEY)"
SET_CREDENTIALS = f"set {_CREDENTIALS}"
CANNOT_SEND = (
    "Nothing can be sent: the portal has no account with the text provider yet, and messages wait. The administrator "
    f"sets {_CREDENTIALS}."
)


def load_settings(env: Mapping[str, str] = os.environ) -> Settings:
    """Read every setting. Raises ConfigError, one line, where one is wrong. Touches no disk."""

    def text(name: str) -> str | None:
        return env.get(name, "").strip() or None

    data_dir = Path(text("PORTAL_DATA_DIR") or "var").expanduser().absolute()
    base_url = _base_url(text("VONAGE_BASE_URL"))
    settings = Settings(
        data_dir=data_dir,
        database_url=_database_url(text("PORTAL_DATABASE_URL"), data_dir),
        redis_url=_url("PORTAL_REDIS_URL", text("PORTAL_REDIS_URL"), ("redis", "rediss", "unix")),
        vonage_api_key=text("VONAGE_API_KEY"),
        vonage_api_secret=text("VONAGE_API_SECRET"),
        vonage_application_id=text("VONAGE_APPLICATION_ID"),
        vonage_private_key=text("VONAGE_PRIVATE_KEY"),
        vonage_signature_secrets=_secrets(text("VONAGE_SIGNATURE_SECRET")),
        vonage_base_url=base_url,
        send_rate=_send_rate(text("PORTAL_SEND_RATE")),
        public_url=_public_url(text("PORTAL_PUBLIC_URL")),
        smtp_url=_smtp_url(text("PORTAL_SMTP_URL")),
        alarm_urls=_alarm_urls(text("PORTAL_ALARM_URLS")),
        support_contact=text("PORTAL_SUPPORT_CONTACT"),
        metrics_token=text("PORTAL_METRICS_TOKEN"),
        test_clock=_test_clock(text("PORTAL_TEST_CLOCK")),
    )
    for one, other in (
        ("VONAGE_API_KEY", "VONAGE_API_SECRET"),
        ("VONAGE_API_SECRET", "VONAGE_API_KEY"),
        ("VONAGE_APPLICATION_ID", "VONAGE_PRIVATE_KEY"),
        ("VONAGE_PRIVATE_KEY", "VONAGE_APPLICATION_ID"),
    ):
        if text(one) and not text(other):
            raise ConfigError(f"{other} is missing: {one} is set, and needs it.")
    if settings.test_clock and not settings.is_provider_on_loopback:
        raise ConfigError(
            "PORTAL_TEST_CLOCK is refused: it is for a provider on loopback only "
            "(set VONAGE_BASE_URL, e.g. http://127.0.0.1:8085)."
        )
    if settings.redis_url is None and len(str(settings.socket_path)) > LONGEST_SOCKET_PATH:
        raise ConfigError(
            f"PORTAL_DATA_DIR is too long a path for the embedded Redis's socket "
            f"({len(str(settings.socket_path))} characters, at most {LONGEST_SOCKET_PATH}): "
            "choose a shorter one, or set PORTAL_REDIS_URL."
        )
    return settings


def make_data_dir(settings: Settings) -> None:
    """The data directory, its owner's only. Raises ConfigError where it cannot be made so."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if stat.S_IMODE(settings.data_dir.stat().st_mode) & 0o077:
            settings.data_dir.chmod(0o700)
    except OSError as error:
        raise ConfigError(f"PORTAL_DATA_DIR: {settings.data_dir} cannot be used: {error.strerror}.") from None


def secret_key(settings: Settings, env: Mapping[str, str] = os.environ) -> str:
    """PORTAL_SECRET_KEY, else one made once and kept in the data directory."""
    given = env.get("PORTAL_SECRET_KEY", "").strip()
    if given:
        return given
    make_data_dir(settings)
    path = settings.data_dir / "secret_key"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(f"PORTAL_SECRET_KEY: {path} cannot be written: {error.strerror}.") from None
    return path.read_text()


def _url(name: str, value: str | None, schemes: tuple[str, ...]) -> str | None:
    if value is None:
        return None
    wrong = ConfigError(f"{name} is not an address that starts with {' or '.join(f'{s}://' for s in schemes)}.")
    try:
        parts = urlsplit(value)
    except ValueError:  # e.g. a bracket that is not closed
        raise wrong from None
    if parts.scheme not in schemes or not (parts.hostname or parts.scheme == "unix"):
        raise wrong
    try:
        _ = parts.port
    except ValueError:
        raise ConfigError(f"{name}: its port is not a number from 0 to 65535.") from None
    return value


def _public_url(value: str | None) -> str | None:
    url = _url("PORTAL_PUBLIC_URL", value, ("http", "https"))
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise ConfigError("PORTAL_PUBLIC_URL is a scheme and a host only, e.g. https://reminders.clinic.example.")
    return url.rstrip("/")


def _smtp_url(value: str | None) -> str | None:
    url = _url("PORTAL_SMTP_URL", value, ("smtps", "smtp"))
    if url is not None and sender_of(url) is None:
        raise ConfigError(
            "PORTAL_SMTP_URL does not say whom mail comes from: add ?from=reminders@clinic.example at its end."
        )
    return url


def _alarm_urls(value: str | None) -> tuple[str, ...]:
    """Only their form: what each service wants is Apprise's to say, and `portal doctor` asks it."""
    found = tuple((value or "").split())
    for number, url in enumerate(found, 1):
        if not _APPRISE_URL.fullmatch(url):
            raise ConfigError(
                f"PORTAL_ALARM_URLS: number {number} is not an address of Apprise, e.g. mailtos://… "
                "Spaces stand between several."
            )
    return found


def _database_url(value: str | None, data_dir: Path) -> str:
    if value is None:
        return f"sqlite:///{data_dir / 'portal.db'}"
    if value.startswith("sqlite:///"):
        path = value.removeprefix("sqlite:///")
        if not path or path.startswith(":") or "?" in path:
            raise ConfigError("PORTAL_DATABASE_URL: sqlite:/// is followed by a file's path, and nothing else.")
        return f"sqlite:///{Path(path).absolute()}"
    if value.startswith("sqlite:"):
        raise ConfigError("PORTAL_DATABASE_URL: a path follows sqlite:///, e.g. sqlite:////srv/portal/portal.db.")
    url = _url("PORTAL_DATABASE_URL", value.split("?")[0].replace("@/", "@localhost/"), ("postgresql+psycopg",))
    return value if url else ""


def _base_url(value: str | None) -> str | None:
    url = _url("VONAGE_BASE_URL", value, ("http", "https"))
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigError("VONAGE_BASE_URL: plain http is taken on loopback only; use https.")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise ConfigError("VONAGE_BASE_URL is a scheme, host and port only, e.g. http://127.0.0.1:8085.")
    return url.rstrip("/")


def _secrets(value: str | None) -> tuple[str, ...]:
    found = tuple(part.strip() for part in (value or "").split(",") if part.strip())
    if len(found) > 2:
        raise ConfigError("VONAGE_SIGNATURE_SECRET holds more than two secrets.")
    return found


def _send_rate(value: str | None) -> float:
    try:
        rate = float(value or "25")
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 100_000:
        raise ConfigError("PORTAL_SEND_RATE is not a number above 0 (provider requests a second).")
    return rate


def read_test_clock(env: Mapping[str, str] = os.environ) -> datetime | None:
    """For a program that needs no other setting. Raises ConfigError."""
    return _test_clock(env.get("PORTAL_TEST_CLOCK", "").strip() or None)


def _test_clock(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None or not 1970 < instant.year < 9999:
        raise ConfigError("PORTAL_TEST_CLOCK is not a time with its offset, e.g. 2031-05-07T10:00:00+10:00.")
    return instant
