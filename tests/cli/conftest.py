"""The command `portal`, called as users call it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from portal import clock
from portal.cli import main
from portal.config import Settings
from portal.embedded import stop_redis


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Portal = Callable[..., Result]


@pytest.fixture
def portal(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Portal]:
    """`portal("log", "--json")`, on the installation of the test, with a stand-in provider's address."""
    monkeypatch.setenv("PORTAL_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("PORTAL_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("VONAGE_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(clock, "_offset", timedelta())

    def run(*arguments: str, at: datetime | None = None) -> Result:
        if at:
            clock.start_at(at)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        code = ended.value.code
        assert isinstance(code, int)
        return Result(code, said.out, said.err)

    yield run
    stop_redis(settings)
