"""A practice with everything running: its pages, real workers, a real Redis and a simulated provider."""

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from portal import clock, store
from portal.actions.credits import top_up
from portal.actions.deliver import deliver
from portal.actions.due import find_due
from portal.actions.import_practice import import_folder
from portal.actions.remind import run_pass
from portal.config import Settings, load_settings
from portal.core.roles import Role
from portal.limiter import Limiter
from portal.sms.gateway import Account, Gateway
from portal.sms.simulator.provider import Taken
from tests.actions.exports import Listener
from tests.builders import a_user
from tests.hosts import Host, running
from tests.processes import ROOT, environment_of, wait_until
from tests.web.browsing import served

RIVERSIDE = Path(__file__).parent.parent.parent / "practices" / "riverside"
PRACTICE = "riverside"
MINUTE = timedelta(minutes=1)


def at(clock_time: str, day: int = 7) -> datetime:
    """In May 2031, by Sydney's clocks."""
    return datetime.fromisoformat(f"2031-05-{day:02}T{clock_time}:00+10:00")


@dataclass
class Stack:
    """`host`: workers, queue, provider. `url`: where the pages answer."""

    host: Host
    url: str

    # --- what was, before a journey begins --------------------------------------------------------------------

    def import_practice(self, when: datetime, folder: Path = RIVERSIDE) -> None:
        """With one of each role who can sign in."""
        clock.start_at(when)
        assert import_folder(folder, when, report=Listener()).is_imported
        with store.everything(write=True) as session:
            session.add_all(a_user(role, PRACTICE) for role in (Role.OWNER, Role.RECEPTION))

    def top_up(self, credits: int, when: datetime) -> None:
        top_up(PRACTICE, credits, "before the journey", when)

    def ran(self, when: datetime) -> None:
        """A pass and its sending, without processes."""
        done = run_pass(PRACTICE, when, when)
        deliver(
            PRACTICE,
            done.message_ids if done else (),
            sender=Gateway(Account(base_url=self.host.simulator.url)),
            limiter=Limiter(self.host.queue.connection, 1000.0),
            now=lambda: when + MINUTE,
            stop_requested=lambda: False,
        )

    def keep(self) -> Path:
        """A copy of the database as it is; on SQLite."""
        kept = self._file.with_name(f"{len(list(self._file.parent.glob('*.kept')))}.kept")
        _copy(self._file, kept)
        return kept

    def put_back(self, kept: Path) -> None:
        self.host.queue.connection.flushdb()
        _copy(kept, self._file)

    @property
    def _file(self) -> Path:
        return self.host.settings.data_dir / "portal.db"

    # --- the journey's own ------------------------------------------------------------------------------------

    def start_workers(self, when: datetime) -> None:
        """Their clock starts then."""
        self.host.start_workers(1, PORTAL_TEST_CLOCK=when.isoformat())

    def next_pass(self, when: datetime) -> None:
        """Cron calls the script, and the workers do what it enqueued; somebody looks at the pages later,
        when the workers' clock, too, has gone on."""
        subprocess.run(
            [sys.executable, "-m", "portal", "enqueue"],
            cwd=ROOT,
            env=environment_of(self.host.settings, PORTAL_TEST_CLOCK=when.isoformat()),
            check=True,
            capture_output=True,
        )
        wait_until(lambda: not find_due(when) and self.host.is_idle(), seconds=90)
        clock.start_at(when + 12 * MINUTE)

    def texts_of(self, message_id: int, after: int = 0) -> list[Taken]:
        """What the provider took of that message, after so many others."""
        return [one for one in self.host.simulator.messages_since(after) if is_of(one, message_id)]

    @property
    def taken(self) -> int:
        """How many texts the provider took until now."""
        messages = self.host.simulator.messages
        return messages[-1].number if messages else 0


def is_of(text: Taken, message_id: int) -> bool:
    return (text.client_ref or "").startswith(f"{message_id}.")


def _copy(source: Path, to: Path) -> None:
    """In one transaction, beside whoever has it open."""
    with closing(sqlite3.connect(source)) as kept, closing(sqlite3.connect(to, timeout=30)) as live:
        kept.backup(live)


@contextmanager
def standing(settings: Settings) -> Iterator[Stack]:
    """Everything but the workers runs, and ends with the block."""
    shift = clock._offset
    try:
        with running(settings) as host, served(host.app) as url:
            yield Stack(host, url)
    finally:
        clock._offset = shift


def data_directory(parent: Path, template: Path) -> Path:
    """A new one, whose database is a copy of the migrated one."""
    folder = Path(tempfile.mkdtemp(dir=parent))
    (folder / "portal.db").write_bytes(template.read_bytes())
    return folder


@contextmanager
def on_sqlite(parent: Path, template: Path) -> Iterator[Stack]:
    """In a data directory of its own."""
    folder = data_directory(parent, template)
    with standing(load_settings({"PORTAL_DATA_DIR": str(folder), "PORTAL_SECRET_KEY": "for tests"})) as stack:
        yield stack
