"""RQ's dashboard at `/rq`, tamed: it shows our queue to the sysadmin, and changes nothing.

As it comes, it shows what is in Redis unescaped, changes jobs on a GET, unpickles what it reads and connects to
Redis anew at each request. So only the views named here are reached, each with what it is asked for checked, and
everything that it reads goes through the classes below.
"""

import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any

import rq
from flask import Flask, Response, abort, g, make_response, render_template, request
from flask.typing import ResponseReturnValue
from redis import Redis, RedisError
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.serializers import JSONSerializer
from rq.worker_registration import get_keys
from rq_dashboard import web as dashboard

from portal import queue
from portal.config import Settings
from portal.core.roles import Permission
from portal.embedded import redis_pid
from portal.web.access import UNATTENDED, allow

# Whatever else the dashboard has, now or in a later version, is refused.
SHOWS = frozenset(
    {
        "queues_overview",
        "workers_overview",
        "jobs_overview",
        "job_view",
        "list_queues",
        "list_workers",
        "list_jobs",
        "job_info",
    }
)
FILES = frozenset({"static"})

# Its templates are compiled in the browser, hence unsafe-eval; a script that was planted lacks the nonce.
POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
POLL_MILLISECONDS = 5_000
REGISTRIES = frozenset({"queued", "scheduled", "deferred", "started", "finished", "failed", "canceled"})
MOST_A_PAGE = 200
MOST_PAGES = 100_000

_BLUEPRINT = dashboard.blueprint.name


class _Job(queue.Job):
    """A job of our queue, read as JSON; another's, in a Redis that is shared, is not there."""

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: Any = None) -> rq.job.Job:
        job = super().fetch(id, connection, JSONSerializer)
        if job.origin != queue.NAME:
            raise NoSuchJobError
        return job

    def get_meta(self, refresh: bool = True) -> dict[str, Any]:
        """Nothing: ours have none, and nothing else is to be shown."""
        return {}

    def return_value(self, *_: Any, **__: Any) -> None:
        """The same."""


class _Queue(rq.Queue):
    """Our queue, which is not tidied up by a look."""

    job_class = _Job

    @classmethod
    def all(cls, connection: Redis, *_: Any, **__: Any) -> list[rq.Queue]:
        return [cls(queue.NAME, connection=connection, serializer=JSONSerializer)]

    def remove(self, *_: Any, **__: Any) -> int:
        return 0


class _Worker(rq.Worker):
    """The workers of our queue."""

    @classmethod
    def all(cls, connection: Redis | None = None, *_: Any, **__: Any) -> list[Any]:
        assert connection is not None
        # find_by_key() takes a key off the list that is gone.
        keys = [key for key in get_keys(_Queue(queue.NAME, connection=connection)) if connection.exists(key)]
        found = [
            cls.find_by_key(key, connection=connection, job_class=_Job, serializer=JSONSerializer) for key in keys
        ]
        return [worker for worker in found if worker]

    def _set_connection(self, connection: Redis) -> Redis:
        """As it is: RQ would have every look at Redis wait for seven minutes."""
        return connection


def register(app: Flask, settings: Settings) -> None:
    """To be called before the pages' own `after_request`: what was registered first has the last word."""
    dashboard.Job, dashboard.Queue, dashboard.Worker = _Job, _Queue, _Worker
    dashboard.config.serializer = JSONSerializer
    app.config["RQ_DASHBOARD_POLL_INTERVAL"] = POLL_MILLISECONDS
    app.config["RQ_DASHBOARD_DISABLE_DELETE"] = True
    app.register_blueprint(dashboard.blueprint, url_prefix="/rq")
    # Its own connects to Redis at each request. (Changing the blueprint itself would break a second application.)
    app.before_request_funcs.pop(_BLUEPRINT, None)
    app.redis_conn = queue.reach(settings)  # type: ignore[attr-defined]
    for endpoint, view in app.view_functions.items():
        blueprint, _, name = endpoint.partition(".")
        if blueprint == _BLUEPRINT:
            tamed = view if name in FILES else _looking(view, app, settings) if name in SHOWS else _refuse
            app.view_functions[endpoint] = allow(Permission.HOST)(_copy(tamed))
    words = {"rq_script_nonce": _nonce, "unattended": UNATTENDED}
    app.template_context_processors[_BLUEPRINT].append(lambda: words)
    app.after_request(_protect)


def _copy(view: Callable[..., Any]) -> Callable[..., Any]:
    """A function of this application's own, to say of it who may see it."""

    @wraps(view)
    def own(**arguments: Any) -> Any:
        return view(**arguments)

    return own


def _looking(view: Callable[..., Any], app: Flask, settings: Settings) -> Callable[..., Any]:
    @wraps(view)
    def look(**arguments: Any) -> ResponseReturnValue:
        checked = _checked(arguments)
        if settings.redis_url is None and redis_pid(settings) is None:
            return _away("The embedded Redis does not run: portal up, or portal worker, starts it.")
        try:
            app.redis_conn.ping()  # type: ignore[attr-defined]
            response = make_response(view(**checked))
        except (NoSuchJobError, DeserializationError, ValueError):  # or one that we could not have enqueued
            abort(404)
        except RedisError as error:
            return _away(f"Redis: {error}")
        if response.is_json:
            # So written, no text is ever markup, whatever reads it.
            data = response.get_data()
            response.set_data(data.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026"))
        return response

    return look


def _checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """What the view is asked for, of our queue; its scripts would hold any other name as it is."""
    checked = dict(arguments)
    if checked.get("instance_number", 0) != 0:
        abort(404)
    if "queue_name" in checked:
        if checked["queue_name"] not in (None, queue.NAME):
            abort(404)
        checked["queue_name"] = queue.NAME
        if checked["registry_name"] not in REGISTRIES or checked["order"] not in ("asc", "dsc"):
            abort(404)
        checked["per_page"] = _number(checked["per_page"], MOST_A_PAGE)
        checked["page"] = _number(checked["page"], MOST_PAGES)
    return checked


def _number(text: str | int, most: int) -> int:
    try:
        number = int(text)
    except ValueError:
        abort(404)
    if not 1 <= number <= most:
        abort(404)
    return number


def _refuse(**_: Any) -> Response:
    return Response(
        "The dashboard only shows: jobs are not changed by hand. What is to be sent is in the database, and what "
        "Redis lost is enqueued again by itself.\n",
        405,
        {"Allow": ""},
        mimetype="text/plain",
    )


def _away(says: str) -> ResponseReturnValue:
    return render_template("host/redis_away.html", says=says), 503


def _nonce() -> str:
    """For the one script of this answer."""
    g.rq_script_nonce = secrets.token_urlsafe(16)
    return str(g.rq_script_nonce)


def _protect(response: Response) -> Response:
    if request.blueprint == _BLUEPRINT and "rq_script_nonce" in g:
        response.headers["Content-Security-Policy"] = POLICY.format(nonce=g.rq_script_nonce)
    return response
