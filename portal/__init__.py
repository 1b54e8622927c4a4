"""The SMS reminder portal: every due appointment is accounted for."""

from functools import partial
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate

from portal import clock, config
from portal.config import Settings

__version__ = "0.1.0"

_HERE = Path(__file__).parent


def _folder(name: str) -> str:
    """`templates/`, `static/` and `docs/`: inside an installed wheel, beside the package in a checkout."""
    inside = _HERE / name
    return str(inside if inside.is_dir() else _HERE.parent / name)


def create_app(settings: Settings | None = None) -> Flask:
    """The application: settings, database and pages. Raises ConfigError."""
    from portal.embedded import counters_address
    from portal.store.database import db, make_owner_only

    settings = settings or config.load_settings()
    config.make_data_dir(settings)
    if settings.test_clock and not clock.is_shifted():
        clock.start_at(settings.test_clock)

    app = Flask("portal", template_folder=_folder("templates"), static_folder=_folder("static"))
    app.config.update(
        SECRET_KEY=config.secret_key(settings),
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        # The connection used last comes first: it holds the statements that were prepared on it.
        SQLALCHEMY_ENGINE_OPTIONS={"pool_use_lifo": True, "pool_pre_ping": not settings.is_sqlite},
        MAX_CONTENT_LENGTH=1024 * 1024,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        RATELIMIT_STORAGE_URI=counters_address(settings),
    )
    app.extensions["portal.settings"] = settings
    app.extensions["portal.docs"] = _folder("docs")
    if settings.is_sqlite:
        try:
            make_owner_only(settings.database_url.removeprefix("sqlite:///"))
        except OSError as error:
            raise config.ConfigError(f"PORTAL_DATABASE_URL: its file cannot be used ({error.strerror}).") from None
    db.init_app(app)
    Migrate(app, db, directory=str(_HERE / "migrations"), render_as_batch=True, compare_type=True)

    from portal import doctor, queue, rq_dashboard
    from portal.web import register

    # What the host's pages need, and may not import.
    app.extensions["portal.enqueue_sends"] = partial(queue.enqueue_now, settings)
    app.extensions["portal.enqueue_broadcast"] = partial(queue.enqueue_broadcast_now, settings)
    app.extensions["portal.enqueue_upload"] = partial(queue.enqueue_upload_now, settings)
    app.extensions["portal.upload_progress"] = queue.progress_reader(settings)
    app.extensions["portal.enqueue_events"] = queue.notifier(settings)
    app.extensions["portal.look_at_queue"] = queue.watcher(settings)
    app.extensions["portal.judge"] = partial(doctor.judge, settings)
    app.extensions["portal.examine"] = partial(doctor.examine_host, settings)
    app.extensions["portal.provider_balance"] = partial(doctor.provider_balance, settings)
    rq_dashboard.register(app, settings)
    register(app)
    return app
