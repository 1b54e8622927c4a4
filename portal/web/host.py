"""The host's pages for the sysadmin, and what a monitor asks. Nothing of any patient."""

import hmac
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal import clock
from portal.actions.health import count_recent
from portal.actions.watch import Readiness, check_readiness, watch
from portal.core.roles import Permission
from portal.web.access import ANYONE, UNATTENDED, allow

PRACTICES = 50

pages = Blueprint("host", __name__)


@pages.get("/host")
@allow(Permission.HOST)
def index() -> str:
    now = clock.now()
    after = request.args.get("after", "")
    seen = watch(_look_at_queue(), current_app.extensions["portal.judge"], now, most=PRACTICES, after=after)
    is_fragment = request.headers.get("HX-Request-Type") == "partial"
    return render_template(
        "host/_look.html" if is_fragment else "host/index.html",
        seen=seen,
        now=now,
        real_now=datetime.now(UTC),  # workers sign by the machine's clock
        after=after,
        refreshes=request.args.get("refresh") != "off" and not after,
        unattended=UNATTENDED,
    )


@pages.get("/host/doctor")
@allow(Permission.HOST)
def doctor() -> str:
    examine = current_app.extensions["portal.examine"]
    return render_template("host/doctor.html", findings=list(examine(_look_at_queue(), clock.now())))


@pages.get("/rq")
@allow(Permission.HOST)
def queue() -> ResponseReturnValue:
    return redirect(url_for("rq_dashboard.queues_overview"), 303)


@pages.get("/readyz")
@allow(ANYONE)  # codes only, but for who may watch
def readyz() -> ResponseReturnValue:
    """Whether the host does its work: 200, or 503 with what is amiss."""
    now = clock.now()
    found = check_readiness(_look_at_queue(), now)
    answer: dict[str, Any] = {"ready": found.is_ready, **found.codes, "alarms": sorted({*_codes(found)})}
    if _may_watch():
        answer["detail"] = _detail(found, now)
    return answer, 200 if found.is_ready else 503


@pages.get("/metrics")
@allow(ANYONE)  # who may watch
def metrics() -> ResponseReturnValue:
    if not _may_watch():
        return _ask_for_the_token()
    from portal.web.metrics import CONTENT_TYPE, exposition  # 60 ms that no command should pay

    now = clock.now()
    found = check_readiness(_look_at_queue(), now)
    text = exposition(found, count_recent(now) if found.health else {}, _settings().can_send, now)
    return Response(text, content_type=CONTENT_TYPE)


def _codes(found: Readiness) -> list[str]:
    return [alarm.code.value for alarm in found.alarms]


def _detail(found: Readiness, now: datetime) -> dict[str, Any]:
    queue, health = found.queue, found.health
    detail: dict[str, Any] = {
        "redis": queue.problem,
        "queue_length": queue.length,
        "queue_oldest_seconds": queue.oldest_age.total_seconds() if queue.oldest_age else None,
        "workers_alive": len(queue.alive),
        "workers_lost": queue.lost,
        "alarms": [
            {
                "code": alarm.code,
                "practice": alarm.practice_id,
                "since": alarm.since.isoformat(),
                "says": f"{alarm.said.heading}. {alarm.said.says}",
            }
            for alarm in found.alarms
        ],
    }
    if health:
        judged = current_app.extensions["portal.judge"](health, queue, now)
        detail |= {
            "messages_due": health.due,
            "oldest_due_seconds": (now - health.due_since).total_seconds() if health.due_since else None,
            "messages_in_doubt": health.in_doubt,
            "last_pass_at": health.last_pass_at.isoformat() if health.last_pass_at else None,
            "unhandled_hours": health.unhandled_hours,
            "missed_days": len(health.missed_days),
            "account_refused": health.account_refused["code"] if health.account_refused else None,
            "findings": [
                {"level": found.level, "about": found.about, "says": found.says, "mend": found.mend}
                for found in judged
            ],
        }
    return detail


def _may_watch() -> bool:
    """The sysadmin, or a monitor with the token."""
    token, header = _settings().metrics_token, request.headers.get("Authorization", "")
    scheme, _, given = header.partition(" ")
    if token and scheme.lower() == "bearer":
        return hmac.compare_digest(given.strip().encode(), token.encode())
    return bool(current_user.is_authenticated and current_user.may(Permission.HOST))


def _ask_for_the_token() -> Response:
    return Response(
        "For the system administrator, or a monitor with PORTAL_METRICS_TOKEN as bearer.\n",
        401,
        {"WWW-Authenticate": 'Bearer realm="metrics"'},
        mimetype="text/plain",
    )


def _look_at_queue() -> Any:
    return current_app.extensions["portal.look_at_queue"]()


def _settings() -> Any:
    return current_app.extensions["portal.settings"]
