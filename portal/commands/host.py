"""Commands for the host: the database, what cron calls, and each program on its own."""

import gc
import json
import logging
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import flask_migrate
import waitress
from flask import Flask

from portal import clock, create_app, pool, store
from portal.actions import first_run
from portal.actions.uploads import MOST_BYTES
from portal.commands.base import Failed, installation, json_option, print_json
from portal.config import Settings, load_settings, read_test_clock
from portal.core.phrases import counted
from portal.embedded import RedisUnavailable
from portal.enqueue import enqueue
from portal.errors import describe
from portal.processes import end_with_supervisor
from portal.queue import Queue, connect
from portal.set_up_code import end_set_up_code, set_up_code
from portal.sms.simulator import Options, PlanError, Simulator

CLOCK_SECONDS = 60.0
WEB_PORT = 8080
SIMULATOR_PORT = 8085
LARGEST_BODY = MOST_BYTES + 1024 * 1024  # more is not even read; each page has a limit of its own
HOST = "127.0.0.1"  # for others a web server with https stands in front
THREADS = 8

port_type = click.IntRange(1, 65535)


@click.command()
@json_option
def init(as_json: bool) -> None:
    """Make the database, or upgrade it."""
    settings = load_settings()
    app = create_app(settings)
    with app.app_context():
        before, after = upgrade(app)
        store.database.db.engine.dispose()
    kind = "sqlite" if settings.is_sqlite else "postgresql"
    if as_json:
        print_json({"database": kind, "before": before, "revision": after})
    elif before == after:
        click.echo("The database is up to date.")
    else:
        where = f" in {settings.data_dir}" if settings.is_sqlite else ""
        click.echo(f"The database{where} is {'made' if before is None else 'upgraded'}.")


def upgrade(app: Flask) -> tuple[str | None, str | None]:
    """The revision before and after."""
    before = store.revision.find_revision()
    flask_migrate.upgrade(directory=app.extensions["migrate"].directory)
    return before, store.revision.find_revision()


class _Instant(click.ParamType):
    name = "time"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None or not 1970 < instant.year < 9999:
            self.fail("not a time with its offset, e.g. 2031-05-07T10:00:00+10:00.", param, ctx)
        return instant


@click.command("enqueue")
@click.option("--at", metavar="TIME", type=_Instant(), help="Stands for now in passes and due days (ISO 8601).")
@json_option
def enqueue_(at: datetime | None, as_json: bool) -> None:
    """What cron calls: enqueue what is due.

    It also settles what time alone has settled.
    """
    with installation(concerns_sending=True) as here:
        done = enqueue(here.settings, Queue(connect(here.settings)), clock.now(), at)
    if as_json:
        print_json(asdict(done))
        return
    click.echo(
        f"{counted(done.practices, 'practice')} due for a pass, "
        f"{counted(done.requeued, 'message')} enqueued again, "
        f"{done.swept:,} settled by time ({done.seconds:.2f} s)."
    )


@click.command()
@click.option("--burst", is_flag=True, help="End when nothing is left to do now.")
@click.option("-n", "count", type=click.IntRange(1), default=2, show_default=True, help="Number of workers.")
def worker(burst: bool, count: int) -> None:
    """The workers, which decide and send.

    The same as python worker.py.
    """
    sys.exit(pool.main([*(["--burst"] if burst else []), "-n", str(count)]))


@click.command()
@click.option("--port", type=port_type, default=SIMULATOR_PORT, show_default=True)
@click.option("--latency", type=click.FloatRange(0), default=0.0, metavar="MS", help="Before each answer.")
@click.option("--rate-limit", type=click.IntRange(1), help="Requests a second; more are answered 429.")
@click.option("--receipts", is_flag=True, help="Report each message as delivered.")
@click.option("--webhook-url", help="Where receipts go; on this machine only.")
@click.option("--inbound-url", help="Where replies go; on this machine only. Default: beside the receipts.")
@click.option(
    "--plan",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON file of rules: what to refuse.",
)
def simulator(
    port: int,
    latency: float,
    rate_limit: int | None,
    receipts: bool,
    webhook_url: str | None,
    inbound_url: str | None,
    plan: Path | None,
) -> None:
    """A stand-in for the provider.

    It speaks the Messages API, on this machine only.
    """
    end_with_supervisor()
    if test_clock := read_test_clock():
        clock.start_at(test_clock)  # its records are asked for by the portal's
    options = Options(
        latency_ms=latency,
        rate_limit=rate_limit,
        receipts=receipts,
        webhook_url=webhook_url,
        inbound_url=inbound_url,
        now=clock.now,
    )
    try:
        stand_in = Simulator(options, HOST, port)
        if plan:
            stand_in.plan(json.loads(plan.read_text()))
    except OSError as error:
        raise Failed(f"Port {port} cannot be used ({error.strerror}): choose another with --port.") from None
    except (PlanError, ValueError) as error:
        raise Failed(f"{plan}: {error}") from None
    click.echo(f"The simulator answers at {stand_in.url}: set VONAGE_BASE_URL={stand_in.url}.")
    stand_in.serve()


@click.command(hidden=True)
@click.option("--port", type=port_type, default=WEB_PORT, show_default=True)
def web(port: int) -> None:
    """The web server."""
    end_with_supervisor()
    with installation(concerns_sending=True) as here:
        app = here.app
        _say_the_set_up_code(here.settings, port)
    try:
        server = waitress.create_server(
            app,
            host=HOST,
            port=port,
            threads=THREADS,
            ident=None,
            max_request_body_size=LARGEST_BODY,
            **proxy_options(here.settings),
        )
    except OSError as error:
        raise Failed(f"Port {port} cannot be used ({error.strerror}): choose another with --port.") from None
    run_server(server)


def run_server(server: Any) -> None:
    """What there is by now stays until the end: the collector need not look through all of it while a page waits,
    which takes a tenth of a second."""
    gc.collect()
    gc.freeze()
    server.run()


def _say_the_set_up_code(settings: Settings, port: int) -> None:
    """While nobody can sign in; whoever reads the terminal makes the first account."""
    if first_run.is_empty():
        address = f"{settings.public_url or f'http://{HOST}:{port}'}/set-up"
        click.echo(f"\n  Nobody can sign in yet. Open {address}\n  and type this code: {set_up_code(settings)}\n")
    else:
        end_set_up_code(settings)


def proxy_options(settings: Settings) -> dict[str, object]:
    """With PORTAL_PUBLIC_URL a web server on this machine stands in front; it says whose the request is, so that
    tries are counted by address."""
    if settings.public_url is None:
        return {}
    return {
        "trusted_proxy": HOST,
        "trusted_proxy_count": 1,
        "trusted_proxy_headers": {"x-forwarded-for"},
        "clear_untrusted_proxy_headers": True,
    }


@click.command("clock", hidden=True)
def clock_() -> None:
    """Calls the script every minute, as cron does elsewhere."""
    end_with_supervisor()
    with installation() as here:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s clock: %(message)s", datefmt="%H:%M:%S")
        while True:
            _tick(here.settings)
            time.sleep(CLOCK_SECONDS)


def _tick(settings: Settings) -> None:
    """Whatever fails, the next minute tries again."""
    try:
        done = enqueue(settings, Queue(connect(settings)), clock.now())
        if done.practices or done.requeued or done.swept:
            logging.info(
                "%d due for a pass, %d enqueued again, %d settled", done.practices, done.requeued, done.swept
            )
    except RedisUnavailable as error:
        logging.error("%s", error)
    except Exception as error:
        logging.error("The schedule failed, and is tried again: %s", describe(error))
