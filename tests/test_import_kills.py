"""A worker is killed in the midst of an import: nothing is half there, and the sweep has it taken up again."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal import store
from portal.actions.uploads import LEASE, list_lost
from portal.config import Settings
from portal.embedded import ensure_redis, stop_redis
from portal.store.patients import Patient
from portal.store.uploads import UploadState
from tests.actions.uploads import PRACTICE, a_zip_of, agree, look, upload, work
from tests.builders import a_practice
from tests.processes import ROOT, environment_of

MANY = 20_000
HEADER = "id,first_name,last_name,date_of_birth,email,automated_reminder,archived\n"


def patients() -> int:
    with store.reading(PRACTICE) as session:
        return session.scalar(select(func.count()).select_from(Patient)) or 0


@pytest.mark.parametrize("state", [UploadState.CHECKING, UploadState.IMPORTING])
def test_a_worker_killed_halfway_leaves_nothing_half_done(app: Flask, settings: Settings, state: UploadState) -> None:
    a_practice(PRACTICE)
    rows = "".join(f"{number},Mia,Nguyen,,,,\n" for number in range(MANY))
    now = datetime.now(UTC)
    id_ = upload(a_zip_of(patients_csv=HEADER + rows), now=now)
    if state is UploadState.IMPORTING:
        work(id_, now=now)
        agree(id_, now=now)
    ensure_redis(settings)
    try:
        job = (
            "from portal.actions import upload_work as w; from portal import jobs;"
            "w._TELLS = 0;"
            "from portal.queue import Queue;"
            "tell = Queue.tell_progress;"
            "Queue.tell_progress = lambda self, p, u, done, total: "
            "(tell(self, p, u, done, total), print(100 * done // total, flush=True));"
            f"jobs.work_on_upload({PRACTICE!r}, {id_})"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", job], cwd=ROOT, env=environment_of(settings), stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                if int(line) >= 70:  # all is read, and some is merged
                    break
            process.send_signal(signal.SIGKILL)
            process.wait()
    finally:
        stop_redis(settings)
    assert process.returncode == -signal.SIGKILL
    assert (look(id_).state, patients()) == (state, 0)

    later = datetime.now(UTC) + LEASE + timedelta(seconds=1)
    assert list_lost(later) == [(PRACTICE, id_)]
    done = work(id_, now=later)
    if state is UploadState.CHECKING:
        assert (done.state, patients()) == (UploadState.CHECKED, 0)
    else:
        assert (done.state, patients()) == (UploadState.IMPORTED, MANY)
    assert list_lost(later + LEASE) == []
