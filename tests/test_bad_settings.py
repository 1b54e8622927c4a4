"""Settings that are wrong: each is named, and nothing is touched."""

from pathlib import Path

import pytest

from portal import create_app
from portal.config import ConfigError, load_settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VONAGE_BASE_URL", "http://[::1"),
        ("PORTAL_PUBLIC_URL", "http://[x"),
        ("PORTAL_DATABASE_URL", "postgresql+psycopg://u@h:abc/db"),
        ("PORTAL_DATABASE_URL", "sqlite:///"),
        ("PORTAL_DATABASE_URL", "sqlite:///:memory:"),
        ("PORTAL_DATABASE_URL", "sqlite:////nonexistent/x.db"),
        ("PORTAL_TEST_CLOCK", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_a_malformed_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        create_app(load_settings({"PORTAL_DATA_DIR": str(tmp_path / "d"), name: value}))


def test_a_relative_database_lies_where_the_command_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    env = {"PORTAL_DATA_DIR": str(tmp_path / "d"), "PORTAL_DATABASE_URL": "sqlite:///own.db"}
    assert load_settings(env).database_url == f"sqlite:///{tmp_path}/own.db"


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "passwd"
    file.write_text("root:x:0:0")
    file.chmod(0o644)
    env = {"PORTAL_DATA_DIR": str(tmp_path / "d"), "PORTAL_DATABASE_URL": f"sqlite:///{file}"}
    with pytest.raises(ConfigError, match="no SQLite database"):
        create_app(load_settings(env))
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("root:x:0:0", 0o644)
