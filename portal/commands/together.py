"""`portal up`, `portal demo`, `portal down`: everything on one machine, started and ended together."""

import os
import socket
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click

from portal import clock, create_app, demo, store
from portal.commands.base import Failed, json_option, print_json, warn
from portal.commands.host import HOST, WEB_PORT, port_type, upgrade
from portal.config import CANNOT_SEND, Settings, load_settings
from portal.sms.simulator import SIGNATURE_SECRET
from portal.supervisor import Child, run, stop_running

# The longest request to the provider, and what its answer changes.
_WORKER_STOP_SECONDS = 40.0


def _child(name: str, *arguments: str, stop_seconds: float = 10.0) -> Child:
    return Child(name, [sys.executable, "-m", "portal", *arguments], stop_seconds=stop_seconds)


def _children(port: int, workers: int) -> list[Child]:
    return [
        _child("workers", "worker", "-n", str(workers), stop_seconds=_WORKER_STOP_SECONDS),
        _child("web server", "web", "--port", str(port)),
        _child("clock", "clock"),
    ]


@click.command()
@click.option("--port", type=port_type, default=WEB_PORT, show_default=True, help="Of the pages.")
@click.option("-n", "workers", type=click.IntRange(1), default=2, show_default=True, help="Number of workers.")
def up(port: int, workers: int) -> None:
    """Everything together, for one machine.

    Web, workers, schedule and embedded Redis. Ctrl-C ends them.
    """
    settings = load_settings()
    _check_port(port)
    _prepare(settings)
    if not settings.can_send:
        warn([CANNOT_SEND])
    _announce(port)
    run(settings, _children(port, workers))


def _prepare(settings: Settings) -> None:
    """The database, made where there is none; one of another version is not changed unasked."""
    app = create_app(settings)
    with app.app_context():
        revision = store.revision.find_revision()
        if revision is None:
            upgrade(app)
        elif revision != store.revision.newest_revision():
            raise Failed("The database is of another version of the portal: run `portal init` to upgrade it.")
        store.database.db.engine.dispose()


def _announce(port: int, accounts: str = "") -> None:
    """Say where the pages are once they are there: what the programs print would push it out of sight."""

    def wait() -> None:
        while _is_free(port):
            time.sleep(0.2)
        click.echo(f"\n  The pages are at http://{HOST}:{port}/\n{accounts}  Ctrl-C ends everything.\n")

    threading.Thread(target=wait, daemon=True, name="announce").start()


@click.command("demo")
@click.option("--port", type=port_type, help=f"Of the pages. Default: {WEB_PORT}, or another that is free.")
@click.option("--fresh", is_flag=True, help="Make the demo practice anew.")
def demo_(port: int | None, fresh: bool) -> None:
    """Everything together, with a demo practice.

    A stand-in takes the provider's place: no real text is sent.
    """
    port = _check_port(port) if port else _free_port(WEB_PORT)
    simulator_port = _free_port(0)
    settings = demo_settings(simulator_port)
    if fresh:
        stop_running(settings)
        demo.clear(settings)
    made = demo.prepare(settings, clock.now())
    click.echo(made)
    _announce(port, demo.accounts_in_words())
    plan = ["--plan", str(demo.plan_file(settings))]
    plan += ["--inbound-url", f"http://{HOST}:{port}/webhooks/vonage/inbound"]
    simulator = _child("simulator", "simulator", "--port", str(simulator_port), *plan)
    run(settings, [simulator, *_children(port, 2)])


def demo_settings(simulator_port: int) -> Settings:
    """Of an installation of its own. Whatever else is set, this process and its children see nothing real."""
    data_dir = _demo_dir(Path(os.environ.get("PORTAL_DATA_DIR") or "var"))
    for name in [name for name in os.environ if name.startswith(("VONAGE_", "PORTAL_"))]:
        if name not in ("PORTAL_SEND_RATE", "PORTAL_SUPPORT_CONTACT"):
            del os.environ[name]
    os.environ["PORTAL_DATA_DIR"] = str(data_dir)
    os.environ["VONAGE_BASE_URL"] = f"http://{HOST}:{simulator_port}"
    os.environ["VONAGE_SIGNATURE_SECRET"] = SIGNATURE_SECRET  # so that patients may reply
    return load_settings()


def _demo_dir(data_dir: Path) -> Path:
    return data_dir / "demo"


@click.command()
@json_option
def down(as_json: bool) -> None:
    """End what runs in this data directory.

    What `up`, `demo` or a single command started.
    """
    settings = load_settings()
    ended = stop_running(settings)
    ended += [f"demo: {name}" for name in stop_running(replace(settings, data_dir=_demo_dir(settings.data_dir)))]
    if as_json:
        print_json({"ended": ended})
    else:
        click.echo(f"Ended: {', '.join(ended)}." if ended else "Nothing was running here.")


def _check_port(port: int) -> int:
    if not _is_free(port):
        raise Failed(f"Port {port} is taken: choose another with --port.")
    return port


def _free_port(wanted: int) -> int:
    """That one, or another."""
    if wanted and _is_free(wanted):
        return wanted
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
