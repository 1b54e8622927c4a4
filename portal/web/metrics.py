"""What Prometheus reads: figures of the host, made anew at each request."""

from datetime import datetime

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from portal.actions.health import Health
from portal.actions.watch import Readiness
from portal.core.alarms import Code
from portal.core.reminders import Sending
from portal.core.states import Status
from portal.core.watching import Database, QueueSeen

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _Figures:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def put(self, name: str, says: str, value: float) -> None:
        Gauge(f"portal_{name}", says, registry=self.registry).set(value)

    def put_each(self, name: str, says: str, label: str, values: dict[str, int]) -> None:
        gauge = Gauge(f"portal_{name}", says, [label], registry=self.registry)
        for key, value in values.items():
            gauge.labels(key).set(value)


def exposition(found: Readiness, recent: dict[Status, int], can_send: bool, now: datetime) -> bytes:
    """What cannot be looked at is left out, not shown as nought."""
    figures = _Figures()
    figures.put("ready", "1 where /readyz says so", found.is_ready)
    figures.put("database_up", "1 where the database answers and is set up", found.codes["database"] == Database.OK)
    figures.put("redis_up", "1 where Redis answers", not found.queue.problem)
    figures.put("can_send", "1 where there are credentials, or a simulator", can_send)
    if not found.queue.problem:
        _put_queue(figures, found.queue)
    if found.health:
        _put_health(figures, found.health, now)
        codes = [alarm.code for alarm in found.alarms]
        figures.put_each("alarms", "Alarms that stand, by code", "code", {code: codes.count(code) for code in Code})
        figures.put_each(
            "messages_recent",
            "Messages that came into being within 24 hours, by outcome",
            "outcome",
            {status.value: recent.get(status, 0) for status in Status},
        )
    return generate_latest(figures.registry)


def _put_queue(figures: _Figures, queue: QueueSeen) -> None:
    oldest = queue.oldest_age.total_seconds() if queue.oldest_age else 0
    figures.put("queue_length", "Jobs that wait", queue.length)
    figures.put("queue_oldest_seconds", "How long the job at the front has waited", oldest)
    figures.put("workers_alive", "Workers that live", len(queue.alive))
    figures.put("workers_lost", "Workers that neither live nor signed off", queue.lost)


def _put_health(figures: _Figures, health: Health, now: datetime) -> None:
    due_for = max(0.0, (now - health.due_since).total_seconds()) if health.due_since else 0
    figures.put("messages_due", "Messages that are queued and due", health.due)
    figures.put("messages_oldest_due_seconds", "How long the first of them has been due", due_for)
    figures.put("messages_in_doubt", "Messages that the provider may have taken", health.in_doubt)
    figures.put("account_refused", "1 while the provider refuses the account", bool(health.account_refused))
    if health.last_pass_at:
        figures.put("last_pass_timestamp_seconds", "When a pass last ran", health.last_pass_at.timestamp())
    figures.put("unhandled_hours", "Reminder hours of the last day without a pass", health.unhandled_hours)
    figures.put("late_businesses", "Businesses whose newest hour no pass has met", health.late_businesses)
    figures.put("missed_days", "Days of businesses without any pass, of the last three", len(health.missed_days))
    unmet = sum(appointments for *_, appointments in health.missed_days)
    figures.put("missed_appointments", "Appointments of those days that no pass met", unmet)
    practices = health.practices
    sending = [practice.sending for practice in practices]
    figures.put_each(
        "practices", "Practices, by their main switch", "sending", {one.value: sending.count(one) for one in Sending}
    )
    figures.put(
        "practices_without_credits",
        "Practices that send, and have no credit left",
        sum(practice.sending is Sending.ON and practice.credits <= 0 for practice in practices),
    )
    figures.put(
        "practices_below_zero",
        "Practices whose balance is below zero: never by a message, only by a correction or an import",
        sum(practice.credits < 0 for practice in practices),
    )
