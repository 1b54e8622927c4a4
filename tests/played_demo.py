"""The demo practice after today's pass and sending, played without processes of its own."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask

from portal import create_app, demo
from portal.actions.deliver import deliver
from portal.actions.remind import run_pass
from portal.config import Settings, load_settings
from portal.demo.practice import PRACTICE
from portal.embedded import stop_redis
from portal.limiter import Limiter
from portal.queue import connect
from portal.sms.gateway import Account, Gateway
from portal.sms.simulator import Simulator
from portal.store.database import db

# Both 11:30am on Tuesday 24 November.
SYDNEY = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
NEW_YORK = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)


@dataclass(frozen=True)
class PlayedDemo:
    app: Flask
    settings: Settings
    now: datetime
    says: str


@contextmanager
def played_demo(now: datetime = SYDNEY) -> Iterator[PlayedDemo]:
    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    settings = load_settings({"PORTAL_DATA_DIR": str(folder / "d"), "PORTAL_SECRET_KEY": "for tests"})
    try:
        says = demo.prepare(settings, now)
        with Simulator() as provider:
            provider.plan(json.loads(demo.plan_file(settings).read_text()))
            settings = replace(settings, vonage_base_url=provider.url)
            app = create_app(settings)
            with app.app_context():
                result = run_pass(PRACTICE, now, now)
                deliver(
                    PRACTICE,
                    result.message_ids if result else (),
                    sender=Gateway(Account(base_url=provider.url)),
                    limiter=Limiter(connect(settings), 100.0),
                    now=lambda: now,
                    stop_requested=lambda: False,
                )
            yield PlayedDemo(app, settings, now, says)
            with app.app_context():
                db.engine.dispose()
    finally:
        stop_redis(settings)
        shutil.rmtree(folder, ignore_errors=True)
