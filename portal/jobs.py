"""What the workers run: one action each. Jobs carry ids, may run twice, and claim before they act."""

from datetime import datetime
from functools import cache

from flask import Flask

from portal import clock, create_app
from portal.actions import deliver, remind
from portal.config import Settings
from portal.limiter import Limiter
from portal.processes import stop_requested
from portal.queue import Queue, connect
from portal.sms.gateway import Account, Gateway


@cache
def worker_app() -> Flask:
    return create_app()


def _settings() -> Settings:
    settings: Settings = worker_app().extensions["portal.settings"]
    return settings


@cache
def gateway(settings: Settings) -> Gateway:
    """Raises AccountError where the credentials cannot be used."""
    return Gateway(
        Account(
            settings.vonage_api_key,
            settings.vonage_api_secret,
            settings.vonage_application_id,
            settings.vonage_private_key,
            settings.vonage_base_url,
        )
    )


def run_pass(practice_id: str, at: str) -> None:
    """Decide on a practice's due reminders, then enqueue those that go."""
    settings = _settings()
    with worker_app().app_context():
        result = remind.run_pass(practice_id, datetime.fromisoformat(at), clock.now())
    if result and settings.can_send:
        Queue(connect(settings)).enqueue_sends(practice_id, result.message_ids)


def send(practice_id: str, message_ids: list[int], is_probe: bool = False) -> None:
    """Send those that are still queued and due."""
    settings = _settings()
    if not settings.can_send:
        return
    with worker_app().app_context():
        deliver.deliver(
            practice_id,
            message_ids,
            sender=gateway(settings),
            limiter=Limiter(connect(settings), settings.send_rate),
            now=clock.now,
            stop_requested=stop_requested,
            is_probe=is_probe,
        )
