"""Checks every setting, server and credential, and says what to mend. Holds nothing of any patient."""

import os
import shutil
import stat
from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import datetime, timedelta

import tzdata
from sqlalchemy.exc import SQLAlchemyError

from portal import config, create_app, store
from portal.actions.health import Health, look
from portal.actions.settle import Way, find_way
from portal.config import SET_CREDENTIALS, Settings
from portal.core.phrases import counted, lasting, listed
from portal.core.receipts import cause
from portal.core.reminders import Sending
from portal.core.watching import Finding, Level, QueueSeen
from portal.jobs import account, gateway
from portal.mail import MailFailed, check_mail
from portal.notify import find_unusable
from portal.queue import watcher
from portal.sms.gateway import BalanceError
from portal.sms.reports import Reports, ReportsError
from portal.sms.session import AccountError

LONG_WAIT = timedelta(minutes=5)
_LOW_BALANCE = 5.0  # euros
_LOW_DISK = 200 * 2**20  # bytes


def _ok(about: str, says: str) -> Finding:
    return Finding(Level.OK, about, says)


def _note(about: str, says: str, mend: str = "") -> Finding:
    return Finding(Level.NOTE, about, says, mend)


def _mend(about: str, says: str, mend: str) -> Finding:
    return Finding(Level.MEND, about, says, mend)


def examine(settings: Settings, now: datetime) -> Iterator[Finding]:
    """In the order in which to mend. Nothing is started or changed, but the data directory is made."""
    config.make_data_dir(settings)
    app = create_app(settings)
    with app.app_context():
        try:
            yield from examine_host(settings, watcher(settings)(), now)
        finally:
            store.database.db.engine.dispose()


def examine_host(settings: Settings, queue: QueueSeen, now: datetime) -> Iterator[Finding]:
    """The same within an application, for whoever has looked at the queue already. Asks the provider."""
    yield _ok("settings", "every setting can be used")
    yield from _data_directory(settings)
    health = yield from _database(settings, now)
    yield from _redis(settings, queue)
    yield from _provider(settings)
    yield from _mail(settings)
    yield from _alarms(settings)
    if health:
        yield from _reports(settings, now)
        yield from _rows(settings, health, now)
    yield from _surroundings(settings)


def judge(settings: Settings, health: Health, queue: QueueSeen, now: datetime) -> Iterator[Finding]:
    """What can be said at once of what was just looked at: nobody is asked."""
    yield from _data_directory(settings)
    yield from _redis(settings, queue)
    if not settings.can_send:
        yield _no_credentials()
    yield from _rows(settings, health, now)
    yield from _surroundings(settings)


def _rows(settings: Settings, health: Health, now: datetime) -> Iterator[Finding]:
    yield from _practices(health, now)
    yield from _passes(health, now)
    yield from _messages(health, settings, now)


def _database(settings: Settings, now: datetime) -> Generator[Finding, None, Health | None]:
    kind = "SQLite" if settings.is_sqlite else "PostgreSQL"
    try:
        revision = store.revision.find_revision()
        if revision == store.revision.newest_revision():
            health = look(now)
            yield _ok("database", f"{kind}, up to date")
            return health
    except SQLAlchemyError as error:
        cause = " ".join(str(getattr(error, "orig", None) or type(error).__name__).split())
        yield _mend("database", f"cannot be used: {cause}", "start it, or correct PORTAL_DATABASE_URL")
        return None
    what = "is not set up" if revision is None else "is of another version of the portal"
    yield _mend("database", f"{kind}, {what}", "portal init")
    return None


def _data_directory(settings: Settings) -> Iterator[Finding]:
    secrets = ["secret_key", "set_up_code"]
    names = [*secrets, "portal.db", "portal.db-wal", "portal.db-shm", "broker.sock", "appendonlydir"]
    open_to_others = [
        path.name
        for path in [settings.data_dir, *(settings.data_dir / name for name in names)]
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if open_to_others:
        inside = ", ".join(open_to_others)
        yield _mend("data directory", f"others can reach {inside}", f"chmod -R go-rwx {settings.data_dir}")
    elif not os.access(settings.data_dir, os.W_OK):
        yield _mend("data directory", f"{settings.data_dir} cannot be written", "give it to the user of the portal")
    elif (free := shutil.disk_usage(settings.data_dir).free) < _LOW_DISK:
        says = f"{settings.data_dir}: {free // 2**20} MB are left on its disk; on a full one nothing is sent"
        yield _mend("data directory", says, "make room there")
    else:
        yield _ok("data directory", f"{settings.data_dir}, its owner's only")


def _redis(settings: Settings, queue: QueueSeen) -> Iterator[Finding]:
    start = "portal up, or portal worker"
    if queue.problem:
        yield _mend("Redis", queue.problem, "start it, or correct PORTAL_REDIS_URL" if settings.redis_url else start)
        return
    yield _ok("Redis", "answers" if settings.redis_url else "the embedded one runs")
    gone = f"; {queue.lost} did not sign off" if queue.lost else ""
    if queue.alive:
        hosts = len({worker.host for worker in queue.alive})
        yield _ok("workers", f"{counted(len(queue.alive), 'worker')} on {counted(hosts, 'host')}{gone}")
    else:
        yield _mend("workers", f"none runs{gone}", start)
    waits = f", the oldest for {lasting(queue.oldest_age)}" if queue.oldest_age else ""
    says = f"{counted(queue.length, 'job')} waiting{waits}"
    if queue.oldest_age and queue.oldest_age > LONG_WAIT:
        yield _mend("queue", says, "start more workers (portal worker -n 4)")
    else:
        yield _ok("queue", says)


def provider_balance(settings: Settings) -> str:
    """Asked now, in words."""
    if not settings.can_send:
        return "There are no credentials to ask with."
    try:
        return f"{gateway(settings).balance():.2f} euros are left."
    except (AccountError, BalanceError) as error:
        return str(error)


def _provider(settings: Settings) -> Iterator[Finding]:
    if not settings.can_send:
        yield _no_credentials()
        return
    where = settings.vonage_base_url or "Vonage"
    try:
        balance = gateway(settings).balance()
    except AccountError as error:
        yield _mend("provider", str(error), "correct the credentials")
    except BalanceError as error:
        if settings.vonage_api_key or settings.vonage_base_url:
            yield _mend("provider", f"{where}: {error}", "correct the credentials, or the way to it")
        else:
            yield _note("provider", f"{where}: the credentials can be used; the balance was not asked for: {error}")
    else:
        if balance < _LOW_BALANCE:
            yield _mend("provider", f"{where}: only {balance:.2f} euros are left", "top up the provider's account")
        else:
            yield _ok("provider", f"{where}: the credentials work, {balance:.2f} euros are left")
    if settings.vonage_base_url is None:
        yield _note("provider", "in Vonage's dashboard the account's SMS setting must be Messages API")


def _reports(settings: Settings, now: datetime) -> Iterator[Finding]:
    """How receipts and replies reach us. Asks the provider."""
    if not settings.can_send:
        return
    if settings.public_url is None:
        yield _note("reports", "PORTAL_PUBLIC_URL is not set: the provider cannot call this portal")
    elif not settings.vonage_signature_secrets:
        yield _mend(
            "reports",
            "VONAGE_SIGNATURE_SECRET is not set: what the provider sends is refused, for it cannot be verified",
            "set it to the signature secret of Vonage's dashboard",
        )
    else:
        where = f"{settings.public_url}/webhooks/vonage/"
        yield _note("reports", f"in Vonage's dashboard the inbound webhook must be {where}inbound, as POST")
    with store.everything() as session:
        way = find_way(session, now)
        reported = store.host.find_state(session, store.host.ACCOUNT_REPORTED)
    if reported:
        since = lasting(now - datetime.fromisoformat(reported["since"]))
        yield _mend(
            "reports",
            f"for {since} texts have not been delivered for a fault of our account "
            f"({reported['code']}: {cause(reported['code']).says})",
            "mend the account in Vonage's dashboard",
        )
    for what, last_at in (("receipts", way.receipt_at), ("replies", way.reply_at)):
        if last_at:
            yield _ok("reports", f"{what} come by webhook, the last {lasting(now - last_at)} ago")
    if way.asks_for_receipts or way.asks_for_replies:
        yield from _polling(settings, way, now)


def _polling(settings: Settings, way: Way, now: datetime) -> Iterator[Finding]:
    asked = {"receipts": way.asks_for_receipts, "replies": way.asks_for_replies}
    what = listed([name for name, is_asked in asked.items() if is_asked])
    why = "a webhook came too late" if way.is_late else f"no webhook has ever brought {what}"
    try:
        with closing(Reports(account(settings))) as reports:
            list(reports.list_receipts(now - timedelta(minutes=1), now))
    except (AccountError, ReportsError) as error:
        yield _mend(
            "reports",
            f"{why}, and the provider's records cannot be read: {error}",
            "mend what it says of the provider, or let the provider reach PORTAL_PUBLIC_URL",
        )
    else:
        yield _ok("reports", f"{why}: {what} are fetched from the provider's records every few minutes")


def _mail(settings: Settings) -> Iterator[Finding]:
    if settings.smtp_url is None:
        yield _note("mail", "PORTAL_SMTP_URL is not set: links for staff are shown to whoever invites them")
        return
    try:
        check_mail(settings.smtp_url)
    except MailFailed as error:
        yield _mend("mail", str(error), "correct PORTAL_SMTP_URL, or start the mail server")
    else:
        yield _ok("mail", "the mail server answers")


def _alarms(settings: Settings) -> Iterator[Finding]:
    if not settings.alarm_urls:
        yield _note(
            "alarms", "PORTAL_ALARM_URLS is not set: alarms are shown on the pages, and nobody is told of them"
        )
    elif unusable := find_unusable(settings.alarm_urls):
        which = listed([f"number {number}" for number in unusable])
        yield _mend("alarms", f"of PORTAL_ALARM_URLS Apprise cannot use {which}", "correct it")
    else:
        yield _ok("alarms", f"{counted(len(settings.alarm_urls), 'service')} of Apprise will be told")


def _no_credentials() -> Finding:
    return _mend("provider", "there are no credentials: nothing can be sent, and messages wait", SET_CREDENTIALS)


def _practices(health: Health, now: datetime) -> Iterator[Finding]:
    if not health.practices:
        yield _mend("practices", "there is none", "portal import DIR, or make one in the browser")
        return
    businesses = f"{health.businesses} business{'' if health.businesses == 1 else 'es'}"
    yield _ok("practices", f"{counted(len(health.practices), 'practice')}, {businesses}")
    for practice in health.practices:
        if not practice.sender:
            yield _mend("practices", f"{practice.id} has no sender", "set it in practice.json and import that")
        if practice.imported_at is None:
            yield _note("practices", f"{practice.id}: no export was imported yet", "portal import DIR")
        else:
            yield _ok(
                "practices",
                f"{practice.id}: appointments were last updated {lasting(now - practice.imported_at)} ago",
            )
        if practice.sending is Sending.REHEARSAL:
            yield _note("practices", f"{practice.id} rehearses: nobody is texted", "its owner goes live")
        elif practice.sending is not Sending.ON:
            yield _note(
                "practices",
                f"{practice.id}: sending is {practice.sending}",
                f"portal sending on --practice {practice.id}",
            )
        elif practice.credits <= 0:
            yield _mend(
                "practices",
                f"{practice.id}: {practice.credits} credits",
                f"portal credits top-up N --practice {practice.id}",
            )


def _passes(health: Health, now: datetime) -> Iterator[Finding]:
    every_minute = "let cron call `portal enqueue`, or run portal up; and see that workers run"
    if health.unhandled_hours:
        yield _mend(
            "passes",
            f"in the last day {counted(health.unhandled_hours, 'reminder hour')} of a business ended without a pass",
            every_minute,
        )
    elif health.last_pass_at is None:
        yield from _first_pass(health, now, every_minute)
    else:
        yield _ok(
            "passes", f"the last ran {lasting(now - health.last_pass_at)} ago, and no hour of the last day was missed"
        )
    for practice_id, business, day, appointments in health.missed_days:
        if not appointments:
            continue
        yield _mend(
            "passes",
            f"{practice_id}, business {business}: none ran on {day}; {counted(appointments, 'appointment')} unmet",
            f"portal log --status not-sent --practice {practice_id}",
        )


def _first_pass(health: Health, now: datetime, every_minute: str) -> Iterator[Finding]:
    """Just after the start all is well, though nothing has run."""
    if not health.businesses:
        return
    if health.first_due_at is None:
        yield _note("passes", "none has run yet, nor has the schedule", every_minute)
    elif health.first_due_at <= now:
        yield _note("passes", "none has run yet; the first is due now", "wait a minute; then see that workers run")
    else:
        yield _ok("passes", f"none was due yet; the first comes in {lasting(health.first_due_at - now)}")


def _messages(health: Health, settings: Settings, now: datetime) -> Iterator[Finding]:
    if health.account_refused:
        since = datetime.fromisoformat(health.account_refused["since"])
        code = health.account_refused["code"]
        yield _mend(
            "provider",
            f"began to refuse our account {lasting(now - since)} ago ({code}): all sending waits",
            "mend the account or the credentials; sending then goes on by itself",
        )
    waits = now - health.due_since if health.due_since else timedelta()
    says = f"{counted(health.due, 'message')} due" + (f", the oldest for {lasting(waits)}" if health.due else "")
    if waits > LONG_WAIT and settings.can_send and not health.account_refused:
        yield _mend("messages", says, "see that workers run and the provider is reached")
    else:
        yield _ok("messages", says)
    if health.in_doubt:
        yield _note(
            "messages",
            f"{counted(health.in_doubt, 'message')} in doubt: the provider may have taken "
            f"{'it' if health.in_doubt == 1 else 'them'}",
            "portal log --status unknown; staff send again or leave it",
        )


def _surroundings(settings: Settings) -> Iterator[Finding]:
    yield _ok("time zones", f"rules of {tzdata.IANA_VERSION}")
    if settings.test_clock:
        yield _note("clock", "PORTAL_TEST_CLOCK is set: this is no real clock")
    if settings.public_url is None:
        yield _note("pages", "PORTAL_PUBLIC_URL is not set: links and the provider's reports need it")
