"""What the workers run: one action each. Jobs carry ids, may run twice, and claim before they act."""

import logging
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial

from flask import Flask

from portal import clock, create_app, store
from portal.actions import broadcasts, deliver, forward, inbound, receipts, remind, settle, upload_work
from portal.alarms import look_for_alarms
from portal.config import CANNOT_SEND, Settings
from portal.enqueue import run_sweeps
from portal.limiter import Limiter
from portal.mail import MailFailed, send_mail
from portal.processes import stop_requested
from portal.queue import Queue, connect
from portal.sms.gateway import Account, Gateway
from portal.sms.reports import Reports, ReportsError
from portal.sms.session import AccountError

log = logging.getLogger(__name__)


@cache
def worker_app() -> Flask:
    return create_app()


def _settings() -> Settings:
    settings: Settings = worker_app().extensions["portal.settings"]
    return settings


@cache
def gateway(settings: Settings) -> Gateway:
    """Raises AccountError where the credentials cannot be used."""
    return Gateway(account(settings))


def account(settings: Settings) -> Account:
    can_verify = settings.public_url and settings.vonage_signature_secrets
    return Account(
        settings.vonage_api_key,
        settings.vonage_api_secret,
        settings.vonage_application_id,
        settings.vonage_private_key,
        settings.vonage_base_url,
        f"{settings.public_url}/webhooks/vonage/status" if can_verify else None,
    )


def run_pass(practice_id: str, at: str) -> None:
    """Decide on a practice's due reminders, then enqueue those that go."""
    settings = _settings()
    with worker_app().app_context():
        result = remind.run_pass(practice_id, datetime.fromisoformat(at), clock.now(), enqueues=settings.can_send)
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


def record_broadcast(practice_id: str, broadcast_id: int) -> None:
    """Decide on the patients of a message to very many; the sweep takes up what is left undone."""
    settings = _settings()
    is_done = False
    while not is_done and not stop_requested():
        with worker_app().app_context():
            recorded = broadcasts.record_more(practice_id, broadcast_id, clock.now())
        is_done = recorded.is_done
        if recorded.due and settings.can_send:
            Queue(connect(settings)).enqueue_sends(practice_id, recorded.due)


def work_on_upload(practice_id: str, upload_id: int) -> None:
    """Check or import an uploaded file; the sweep takes it up again where its worker was killed."""
    queue = Queue(connect(_settings()))
    try:
        with worker_app().app_context():
            upload_work.work_on(
                practice_id, upload_id, clock.now, partial(queue.tell_progress, practice_id, upload_id)
            )
    finally:
        queue.end_progress(practice_id, upload_id)


def sweep() -> None:
    """Settle what time alone changes, and enqueue what is due and waits in no job."""
    settings = _settings()
    queue = Queue(connect(settings))
    with worker_app().app_context():
        run_sweeps(settings, queue, clock.now())
        if settings.can_send and settle.is_due(clock.now()):
            queue.enqueue_asking()


def ask_provider() -> None:
    """Ask the provider's records for what no webhook has brought; then work on that."""
    settings = _settings()
    try:
        reports = Reports(account(settings))
        with closing(reports), worker_app().app_context():
            settle.ask(clock.now(), reports)
    except (AccountError, ReportsError) as error:
        log.warning("The provider's records could not be read: %s", error)
    with worker_app().app_context():
        is_any_to_do = receipts.is_any_to_do(clock.now())  # also where only some could be read
    if is_any_to_do:
        Queue(connect(settings)).enqueue_events()


def work_on_events() -> None:
    """Work on what the provider has reported, then enqueue the answers to replies."""
    settings = _settings()
    queue = Queue(connect(settings))
    with worker_app().app_context():
        while (worked := receipts.work_on_events(clock.now(), inbound.take_reply)).events:
            for reply in worked.replies:
                if reply.to_send and settings.can_send:
                    queue.enqueue_sends(reply.practice_id, reply.to_send)
                if reply.is_forwarded and settings.smtp_url:
                    queue.enqueue_forward(reply.practice_id, reply.message_id)
            if stop_requested():
                break


def watch() -> None:
    """Look for what is amiss, and tell of it."""
    settings = _settings()
    with worker_app().app_context():
        look_for_alarms(settings, Queue(connect(settings)).look(), clock.now())


def forward_reply(practice_id: str, message_id: int) -> None:
    """Mail a reply to the practice, once: the page of replies holds it in any case."""
    settings = _settings()
    with worker_app().app_context():
        letter = forward.write_letter(practice_id, message_id, settings.public_url)
    if letter is None or settings.smtp_url is None:
        return
    try:
        send_mail(settings.smtp_url, letter.to, letter.subject, letter.text)
    except MailFailed as error:
        log.warning("Reply %d of practice %s was not mailed: %s", message_id, practice_id, error)


@dataclass(frozen=True, slots=True)
class Remaining:
    """What a burst leaves. `queued`: messages; `enqueued`: of them, just now; `next_in`: seconds until the first
    that comes due within the wait; `sentences`: what stays queued, for people."""

    queued: int
    enqueued: int
    next_in: float | None
    sentences: tuple[str, ...]


def requeue_due(within_seconds: float) -> Remaining:
    """Enqueue the messages that are due now; say when the next one is, if that is soon."""
    settings = _settings()
    now = clock.now()
    with worker_app().app_context():
        enqueued = run_sweeps(settings, Queue(connect(settings)), now).requeued
        count, first_due_at = store.messages.count_queued()
        with store.everything() as session:
            refused = store.host.find_state(session, store.host.ACCOUNT_REFUSED)
    if not count or first_due_at is None:
        return Remaining(0, 0, None, ())
    if not settings.can_send:
        return Remaining(count, 0, None, (f"{_messages(count)} queued.", CANNOT_SEND))
    if refused:
        return Remaining(
            count,
            enqueued,
            None,
            (f"{_messages(count)} queued: the provider refuses our account ({refused['code']}).",),
        )
    pause = first_due_at - now
    said = (f"{_messages(count)} queued, the first is due at {first_due_at:%H:%M:%S} UTC.",)
    next_in = max(0.5, pause.total_seconds()) if pause <= timedelta(seconds=within_seconds) else None
    return Remaining(count, enqueued, next_in, said)


def _messages(count: int) -> str:
    return "1 message is still" if count == 1 else f"{count} messages are still"
