"""Real parts for every test: SQLite and PostgreSQL made by the migrations, a real Redis, a clock we set."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path

import flask_migrate
import pytest
import redis
from flask import Flask
from hypothesis import settings as hypothesis_settings
from werkzeug.routing import Rule

from portal import create_app
from portal.config import Settings, load_settings
from portal.embedded import ensure_redis, stop_redis
from tests import postgresql

_numbers = count()

# A change is judged by the same examples each time; `pytest --hypothesis-profile=default` draws new ones.
hypothesis_settings.register_profile("same", derandomize=True)
hypothesis_settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def _page_addresses_are_compiled_once() -> None:
    """Each application compiles how the addresses of its two hundred pages are built, for a tenth of a second; each
    test has an application of its own, with the same pages."""
    compile_builder, compiled = Rule._compile_builder, {}

    def compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = rule.rule, str(rule.defaults), append_unknown
        if key not in compiled:
            compiled[key] = compile_builder(rule, append_unknown)
        return compiled[key]

    Rule._compile_builder = compile_once


@pytest.fixture(scope="session")
def short_tmp() -> Iterator[Path]:
    """A folder with a path short enough for unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="portal-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    with ExitStack() as stack:
        yield postgresql.start(stack)


def _migrate(settings: Settings) -> None:
    app = create_app(settings)
    with app.app_context():
        flask_migrate.upgrade()
        from portal.store.database import db

        db.engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(short_tmp: Path) -> Path:
    """A migrated SQLite database to copy from."""
    folder = short_tmp / "template"
    _migrate(load_settings({"PORTAL_DATA_DIR": str(folder)}))
    return folder / "portal.db"


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: postgresql.Server, short_tmp: Path) -> str:
    """The name of a migrated PostgreSQL database to copy from."""
    name = f"template_{os.getpid()}"
    postgresql_server.execute(f"CREATE DATABASE {name}")
    _migrate(
        load_settings(
            {
                "PORTAL_DATA_DIR": str(short_tmp / "pg"),
                "PORTAL_DATABASE_URL": postgresql_server.url(name),
            }
        )
    )
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """A test that asks for a database, or for what is built on one, runs on both."""
    return request.param


@pytest.fixture
def settings(request: pytest.FixtureRequest, database: str, short_tmp: Path) -> Iterator[Settings]:
    """The settings of an installation of its own, with a migrated database."""
    data_dir = short_tmp / f"t{next(_numbers)}"
    data_dir.mkdir(mode=0o700)
    env = {"PORTAL_DATA_DIR": str(data_dir), "PORTAL_SECRET_KEY": "for tests"}
    if database == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), data_dir / "portal.db")
        yield load_settings(env)
        return
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    name = f"t{os.getpid()}_{data_dir.name}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {request.getfixturevalue('postgresql_template')}")
    yield replace(load_settings(env), database_url=server.url(name))
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The application on both databases, inside its context."""
    app = create_app(settings)
    with app.app_context():
        yield app
        from portal.store.database import db

        db.engine.dispose()


@pytest.fixture(scope="session")
def redis_server(short_tmp: Path) -> Iterator[str]:
    """The address of a real Redis, the embedded one, for this test process."""
    settings = load_settings({"PORTAL_DATA_DIR": str(short_tmp / "redis")})
    yield ensure_redis(settings)
    stop_redis(settings)


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """A Redis that is empty."""
    with redis.Redis.from_url(redis_server) as connection:
        connection.flushall()
    return redis_server


def _left_out(config: pytest.Config) -> list[pytest.TestReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter.stats.get("skipped", []) if reporter else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What this machine lacks is named loudly, at the end."""
    left_out = _left_out(config)
    if not left_out:
        return
    terminalreporter.write_sep(
        "!", f"{len(left_out)} TESTS WERE LEFT OUT: this machine lacks something", red=True, bold=True
    )
    for reason in sorted({str(report.longrepr[2]) for report in left_out if isinstance(report.longrepr, tuple)}):
        terminalreporter.write_line(reason, red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where nothing may be left out, leaving something out is a failure."""
    if os.environ.get("PORTAL_TESTS_MAY_SKIP") == "no" and _left_out(session.config) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
