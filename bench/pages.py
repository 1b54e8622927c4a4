"""Each page and search in a small practice and in a large one, and against a page that holds nothing."""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from statistics import median, quantiles

import waitress
from flask import render_template
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from bench import scene
from bench.databases import Database, Host
from bench.fill import appointment_ids, fill
from portal import clock, store
from portal.commands.host import HOST, THREADS, run_server
from portal.core.roles import Role
from portal.core.timing import PASSES_A_DAY
from portal.store.database import db
from portal.store.imports import ImportRun
from portal.store.passes import HandledHour, Pass
from portal.store.staff import User
from portal.web.access import SIGNED_IN, allow

AHEAD = 8  # days of appointments that are still to come
MESSAGES_A_PATIENT = 20
SMALL = 10_000  # messages
EMPTY = "an empty page"
WARMING_UP = 12  # rounds: after ten PostgreSQL plans a statement no more
_USER = "bench"


@dataclass(frozen=True)
class Size:
    """Of one practice, which is all there is: the hardest case, as nothing is spread over practices."""

    messages: int

    @property
    def days(self) -> int:
        return self.messages // scene.APPOINTMENTS

    @property
    def patients(self) -> int:
        return self.messages // MESSAGES_A_PATIENT


@dataclass(frozen=True)
class Timed:
    """Milliseconds, one for each request."""

    small: list[float]
    large: list[float]

    @property
    def ratio(self) -> float:
        return median(self.large) / median(self.small)


def make(on: Host, kind: str, name: str, size: Size) -> Database:
    database = on.create(kind, name)
    usual = scene.PATIENTS
    scene.PATIENTS = size.patients
    try:
        fill(database, 1, size.days, AHEAD)
    finally:
        scene.PATIENTS = usual
    with database.app().app_context():
        with store.everything(write=True) as session:
            _add_runs(session, size)
            names = {"email": "dana@example.org", "name": "Dana", "fs_uniquifier": _USER}
            owner = {"role": Role.OWNER, "practice_id": scene.practice_id(1)}
            session.add(User(**names, **owner, created_at=scene.pass_at(0)))
        db.engine.dispose()
    return database


def _add_runs(session: Session, size: Size) -> None:
    """The six passes of each day, and its nightly update of the appointments."""
    practice, day = {"practice_id": scene.practice_id(1)}, timedelta(days=1)
    updates, passes, hours = [], [], []
    for due in range(size.days):
        begins = scene.pass_at(due)
        updates.append(practice | {"at": begins - timedelta(hours=8), "counts": {}, "conflicts": [], "seconds": 1.0})
        for hour in range(PASSES_A_DAY):
            at, id_ = begins + timedelta(hours=hour), due * PASSES_A_DAY + hour + 1
            passes.append(practice | {"id": id_, "at": at, "started_at": at, "considered": 0 if hour else 100})
            there = {"local_date": scene.slot(due, 0).starts_wall.date() - day, "hour": 10 + hour}
            hours.append(practice | there | {"business_id": 1, "pass_id": id_})
    for model, rows in ((ImportRun, updates), (Pass, passes), (HandledHour, hours)):
        session.execute(insert(model), rows)
    session.execute(text("ANALYZE"))


def paths(size: Size) -> dict[str, str]:
    """By what is done there; alike for both sizes."""
    last_id = appointment_ids(1, size.days - 1)[-1]  # of a message too
    patient = f"mia+{size.patients - 1}"  # no other patient's number begins so
    first_day, last_day = (scene.slot(day, 0).starts_wall.date() for day in (0, size.days - 1))
    narrow = f"from={last_day - timedelta(days=7)}&to={last_day}"
    log = "/communications"
    return {
        EMPTY: "/empty",
        "Today": "/",
        "Today: to deal with": "/today/worklist",
        "Today: the credits": "/today/credits",
        "Today: the last 30 days": "/today/chart",
        "patients": "/patients",
        "patients, by last name": "/patients?order=name",
        "patients, a name": "/patients?q=nguy",
        "patients, one patient": f"/patients?q={patient}",
        "patients, the end of a number": "/patients?q=0001",
        "patients, nobody": "/patients?q=zebra",
        "a patient": f"/patients/{size.patients // 2}",
        "appointments": "/appointments",
        "an appointment": f"/appointments/{last_id - 50}",
        "a message": f"{log}/{last_id - 50}",
        "to add an appointment": "/appointments/new",
        "to move an appointment": f"/appointments/{appointment_ids(1, size.days)[-1]}/move",
        "tidy up": "/tidy-up",
        "tidy up: mobiles": "/tidy-up/mobiles",
        "tidy up: mobiles, the others": "/tidy-up/mobiles?others=1",
        "tidy up: numbers": "/tidy-up/numbers",
        "tidy up: unreachable": "/tidy-up/unreachable",
        "tidy up: types": "/tidy-up/types",
        "duplicates": "/tidy-up/duplicates",
        "duplicates, by number": "/tidy-up/duplicates?by=number",
        "going live": "/going-live",
        "a day of the rehearsal": f"/going-live/days?day={last_day + timedelta(days=1)}",
        "sending": "/sending",
        "settings: sending": "/settings/sms",
        "settings: businesses": "/settings/businesses",
        "settings: practitioners": "/settings/practitioners",
        "settings: types": "/settings/appointment-types",
        "settings: templates": "/settings/templates",
        "settings: a template": "/settings/templates/1",
        "settings: import": "/settings/import",
        "help": "/help?q=reminder",
        "the log": log,
        "the log, in its middle": f"{log}?before={last_id // 2}",
        "the log, its end": f"{log}?before=60",
        "an outcome": f"{log}?status=not-sent",
        "an outcome that none has": f"{log}?status=undelivered",
        "a reason": f"{log}?reason=opted-out",
        "a business": f"{log}?business=1",
        "a kind": f"{log}?kind=reminder",
        "replies": f"{log}?direction=inbound",
        "the last week": f"{log}?{narrow}",
        "the first week": f"{log}?from={first_day - timedelta(days=1)}&to={first_day + timedelta(days=7)}",
        "a common word": f"{log}?q=reminder",
        "the beginning of a common word": f"{log}?q=r",
        "two common words": f"{log}?q=nguyen+consultation",
        "a rare word": f"{log}?q={patient}",
        "a word that is nowhere": f"{log}?q=zebra",
        "a common and a missing word": f"{log}?q=reminder+zebra",
        "the end of a number": f"{log}?q=570+156",
        "a message's number": f"{log}?q={last_id // 2}",
        "a word and an outcome": f"{log}?q=reminder&status=not-sent",
        "everything at once": f"{log}?q=mia&status=delivered&kind=reminder&business=1&direction=outbound&{narrow}",
    }


def time_pages(small: Database, large: Database, sizes: tuple[Size, Size], rounds: int) -> dict[str, Timed]:
    """Every page in each round, small and large in turn: each first in every other round."""
    timed = {name: Timed([], []) for name in paths(sizes[0])}
    paths_of_small, paths_of_large = map(paths, sizes)
    with _browser(small, sizes[0]) as of_small, _browser(large, sizes[1]) as of_large:
        for round_ in range(rounds + WARMING_UP):
            for name, one in timed.items():
                both = [(of_small, paths_of_small[name], one.small), (of_large, paths_of_large[name], one.large)]
                for browser, path, kept in both if round_ % 2 else both[::-1]:
                    took = browser.get(path)
                    if round_ >= WARMING_UP:
                        kept.append(took)
    return timed


def p95(milliseconds: list[float]) -> float:
    return quantiles(milliseconds, n=20)[-1]


@dataclass(frozen=True)
class _Browser:
    """One connection to a web server of its own, in a process of its own, as the browser of who is signed in."""

    connection: HTTPConnection
    cookie: str

    def get(self, path: str) -> float:
        """The milliseconds until all of the page is there."""
        started = time.perf_counter()
        self.connection.request("GET", path, headers={"Cookie": self.cookie})
        answer = self.connection.getresponse()
        answer.read()
        took = time.perf_counter() - started
        assert answer.status == 200, (path, answer.status)
        return took * 1000


@contextmanager
def _browser(database: Database, size: Size) -> Iterator[_Browser]:
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(database, size, there), daemon=True)
    server.start()
    try:
        port, cookie = here.recv()
        yield _Browser(HTTPConnection(HOST, port), cookie)
    finally:
        server.kill()
        server.join()


def _serve(database: Database, size: Size, tell: Connection) -> None:
    """As `portal web` does, on a port that is free."""
    app = database.app()
    now = scene.pass_at(size.days) - timedelta(minutes=5)  # before the first day's reminders that are still to go
    app.before_request(lambda: clock.start_at(now))
    app.add_url_rule("/empty", "empty", allow(SIGNED_IN)(lambda: render_template("page.html", section="")))
    client = app.test_client()
    with client.session_transaction() as session:
        session.update({"_user_id": _USER, "_fresh": True, "fs_cc": "set"})
    name = app.config["SESSION_COOKIE_NAME"]
    cookie = client.get_cookie(name)
    assert cookie is not None
    server = waitress.create_server(app, host=HOST, port=0, threads=THREADS, ident=None)
    tell.send((server.effective_port, f"{name}={cookie.value}"))
    run_server(server)
