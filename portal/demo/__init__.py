"""The demo: a practice whose last days have been played with the real pass, gateway and stand-in provider."""

import json
import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

from flask_migrate import upgrade

from portal import create_app, store
from portal.actions.credits import top_up
from portal.actions.deliver import deliver
from portal.actions.due import watch_new_businesses
from portal.actions.import_practice import Problem, import_folder
from portal.actions.missed import record_missed_days
from portal.actions.preview import preview
from portal.actions.remind import run_pass
from portal.actions.sending import switch_sending
from portal.actions.sweep import sweep
from portal.config import ConfigError, Settings
from portal.core.numbers import parse_number
from portal.core.phrases import clock_time
from portal.core.reasons import Reason
from portal.core.reminders import Sending
from portal.core.states import Status
from portal.core.timing import local, resolve
from portal.demo.accounts import accounts_in_words, make_accounts
from portal.demo.cities import City, late_morning
from portal.demo.practice import LAST_WITH_CREDITS, NEVER_REACHED, NUMBERS, PRACTICE, replies, write_export
from portal.embedded import stop_redis
from portal.limiter import Limiter
from portal.queue import connect
from portal.sms.gateway import Account, Gateway
from portal.sms.simulator import Simulator
from portal.store.patients import OptOut, OptOutSource

__all__ = ["accounts_in_words", "clear", "plan_file", "prepare"]

FIRST_REPLY = 5  # seconds after the reminder; the next ones follow each other
_OURS = ".demo"  # marks a folder that may be deleted
_NOWHERE = "http://127.0.0.1:9"  # the port of a service that throws everything away, and that nobody runs


def plan_file(settings: Settings) -> Path:
    """What the stand-in for the provider refuses, and what patients reply, for `portal simulator --plan`."""
    return settings.data_dir / "plan.json"


def clear(settings: Settings) -> None:
    """Delete the demo. Raises ConfigError where the folder holds something else."""
    folder = settings.data_dir
    if folder.exists() and any(folder.iterdir()) and not (folder / _OURS).exists():
        raise ConfigError(f"PORTAL_DATA_DIR: {folder} holds what no demo put there; name another folder.")
    shutil.rmtree(folder, ignore_errors=True)


def prepare(settings: Settings, now: datetime) -> str:
    """Make the demo practice, unless the data directory holds it already; says in words what there is."""
    made = settings.data_dir / "demo.json"
    if not made.exists():
        clear(settings)  # what an interrupted one left
        settings.data_dir.mkdir(parents=True)
        (settings.data_dir / _OURS).touch()
        city = late_morning(now)
        try:
            _make(settings, city, now)
        except BaseException:
            stop_redis(settings)
            raise
        made.write_text(
            json.dumps({"city": city.name, "zone": city.zone, "day": f"{local(now, city.zone):%Y-%m-%d}"})
        )
    kept = json.loads(made.read_text())
    there = local(now, kept["zone"])
    if there.date() != date.fromisoformat(kept["day"]):
        return f"The demo practice is of {kept['day']}: `portal demo --fresh` makes one of today."
    return (
        f"Harbour Physiotherapy is in {kept['city']}, where it is {clock_time(there)}. "
        "Its reminders for tomorrow go out now, to a stand-in for the provider: no real text is sent. Some patients "
        "reply."
    )


def _make(settings: Settings, city: City, now: datetime) -> None:
    app = create_app(settings)
    with app.app_context():
        upgrade(directory=app.extensions["migrate"].directory)
        _Days(settings, city, now).play()
        make_accounts(now)
        store.database.db.engine.dispose()
    numbers = NUMBERS[city.country]

    def rule(number: str, **answer: object) -> dict[str, object]:
        return {"to": parse_number(number, city.country).e164} | answer

    rules = [
        rule(numbers.refused, status=422, code="1170", title="Invalid number"),
        rule(numbers.dropped, fault="drop"),
        rule(numbers.account, status=401, code="unauthorized", times=1),
    ]
    for after, (to, by, text) in enumerate(replies(numbers), FIRST_REPLY):
        number = parse_number(by, city.country).e164
        rules.append(rule(to, times=1, reply=text, reply_from=number, reply_after=after))
    plan_file(settings).write_text(json.dumps(rules))


class _Days:
    """The days before today, played in order."""

    def __init__(self, settings: Settings, city: City, now: datetime) -> None:
        self.settings, self.city = settings, city
        self.today = local(now, city.zone).date()
        self.folder = settings.data_dir / "export"

    def at(self, day: int, clock: str) -> datetime:
        """That many days from today."""
        wall = datetime.fromisoformat(f"{self.today + timedelta(days=day)} {clock}")
        return resolve(wall, self.city.zone)

    def play(self) -> None:
        self._take_export(self.at(-6, "09:00"), after_the_first_pass=False)
        watch_new_businesses(self.at(-6, "09:00"))
        self._opt_out(self.at(-6, "10:04"))
        self._mark_the_dead_number(self.at(-6, "10:30"))

        # It rehearses for a day, then goes live.
        run_pass(PRACTICE, self.at(-5, "10:00"), self.at(-5, "10:00"))
        switch_sending(PRACTICE, Sending.ON, self.at(-5, "16:30"))

        with Simulator() as provider:
            # No receipt comes for the first day's texts within 72 hours.
            self._pass_and_send(-4, "10:00", provider.url)
            self._pass_and_send(-3, "15:00", provider.url)
            # Two days ago the machine was down.
            record_missed_days(self.at(-1, "09:00"), self.at(-1, "09:00"))
            self._yesterday(provider.url)
        sweep(self.at(0, "10:15"))
        self._run_short_of_credits(self.at(0, "10:15"))

    def _take_export(self, at: datetime, *, after_the_first_pass: bool) -> None:
        write_export(self.folder, self.city, self.today, after_the_first_pass=after_the_first_pass)
        import_folder(self.folder, at, report=_Silent())

    def _opt_out(self, at: datetime) -> None:
        number = parse_number(NUMBERS[self.city.country].opted_out, self.city.country).e164
        with store.transaction(PRACTICE) as session:
            session.add(OptOut(source=OptOutSource.REPLY, e164=number, recorded_at=at))

    def _mark_the_dead_number(self, at: datetime) -> None:
        """As the phone company reports it."""
        number = parse_number(NUMBERS[self.city.country].dead, self.city.country).e164
        with store.transaction(PRACTICE) as session:
            store.patients.mark_out_of_service(session, [number] if number else [], at)

    def _yesterday(self, provider: str) -> None:
        """One reminder is withdrawn, one moved, one never reaches the provider."""
        at = self.at(-1, "10:00")
        result = run_pass(PRACTICE, at, at)
        self._take_export(self.at(-1, "10:05"), after_the_first_pass=True)
        for hour in range(11, 16):
            run_pass(PRACTICE, self.at(-1, f"{hour}:00"), self.at(-1, f"{hour}:00"))
        with store.reading(PRACTICE) as session:
            entries = store.communications.list_by_id(session, result.message_ids if result else ())
        unreached = [entry.message.id for entry in entries if entry.full_name == NEVER_REACHED]
        rest = [entry.message.id for entry in entries if entry.message.id not in unreached]
        self._send(rest, self.at(-1, "10:06"), provider)
        for clock in ("10:06", "12:40", "18:20"):
            self._send(unreached, self.at(-1, clock), _NOWHERE)
        sweep(self.at(-1, "21:01"))

    def _pass_and_send(self, day: int, clock: str, provider: str) -> None:
        at = self.at(day, clock)
        result = run_pass(PRACTICE, at, at)
        self._send(list(result.message_ids if result else ()), at + timedelta(minutes=1), provider)

    def _send(self, message_ids: list[int], at: datetime, provider: str) -> None:
        deliver(
            PRACTICE,
            message_ids,
            sender=Gateway(Account(base_url=provider)),
            limiter=Limiter(connect(self.settings), self.settings.send_rate),
            now=lambda: at,
            stop_requested=lambda: False,
        )

    def _run_short_of_credits(self, at: datetime) -> None:
        """Leave exactly what tomorrow's reminders need, up to and with one of them."""
        found = preview(PRACTICE, self.today + timedelta(days=1), at)
        wanted = 0
        for line in found.lines:
            if line.status is Status.QUEUED or line.reasons == (Reason.NO_CREDITS,):
                wanted += line.segments or 0
            if line.patient == LAST_WITH_CREDITS:
                break
        top_up(PRACTICE, wanted - found.credits, "invoice 1041", at)


class _Silent:
    """The demo's export has a draft among its templates, and nothing wrong."""

    def problem(self, problem: Problem) -> None:
        raise AssertionError(str(problem))

    def warning(self, warning: Problem) -> None:
        pass

    def progress(self, file: str, done: int, total: int) -> None:
        pass
