"""Migrated databases of both kinds, made for a run and removed after it."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import flask_migrate
import psycopg
from flask import Flask

from portal import create_app
from portal.config import load_settings
from portal.store.database import db
from tests import postgresql

KINDS = ("sqlite", "postgresql")

# As on a careful host: what is committed is on the disk. The sizes suit a machine with some gigabytes to spare.
DURABLE = (
    "-c fsync=on -c synchronous_commit=on -c full_page_writes=on -c shared_buffers=512MB -c max_wal_size=4GB"
    " -c maintenance_work_mem=256MB -c max_connections=60 -c listen_addresses=''"
)


@dataclass(frozen=True)
class Database:
    """One database; cheap to hand to another process, which makes its own application."""

    kind: str
    name: str
    env: dict[str, str]

    @property
    def label(self) -> str:
        return {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[self.kind]

    def app(self) -> Flask:
        return create_app(load_settings(self.env))


class Host:
    """Makes databases. Below the folder, short enough for a socket's path, lies everything that they write."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack

    @cached_property
    def _server(self) -> postgresql.Server:
        postgresql.SPEED = DURABLE  # the tests' own options give up durability for speed
        return postgresql.start(self._stack)

    def create(self, kind: str, name: str) -> Database:
        env = {"PORTAL_DATA_DIR": str(self.folder / name), "PORTAL_SECRET_KEY": "for benchmarks"}
        if kind == "postgresql":
            self._server.execute(f"CREATE DATABASE {name}")
            env["PORTAL_DATABASE_URL"] = self._server.url(name)
        database = Database(kind, name, env)
        with database.app().app_context():
            flask_migrate.upgrade()
            db.engine.dispose()
        return database

    def copy(self, database: Database, name: str) -> Database:
        """The same rows in a database of its own, so that every run begins alike."""
        env = database.env | {"PORTAL_DATA_DIR": str(self.folder / name)}
        if database.kind == "postgresql":
            self._server.execute(f"CREATE DATABASE {name} TEMPLATE {database.name} STRATEGY FILE_COPY")
            env["PORTAL_DATABASE_URL"] = self._server.url(name)
        shutil.copytree(self.folder / database.name, self.folder / name)
        return Database(database.kind, name, env)

    def drop(self, database: Database) -> None:
        shutil.rmtree(self.folder / database.name)
        if database.kind == "postgresql":
            self._server.execute(f"DROP DATABASE {database.name} WITH (FORCE)")

    def version(self, kind: str) -> str:
        if kind == "sqlite":
            return sqlite3.sqlite_version
        with psycopg.connect(self._server.admin) as connection:
            row: Any = connection.execute("SHOW server_version").fetchone()
        return str(row[0]).split()[0]


@contextmanager
def host() -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder, ExitStack() as stack:
        yield Host(Path(folder), stack)
