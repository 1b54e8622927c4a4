"""For tests of texts that staff send: who sends, one call for each form, and the provider's simulator."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from threading import Barrier, Thread
from typing import Any

from flask import Flask

from portal import store
from portal.actions.queue_text import PAUSE
from portal.actions.who import Who
from portal.actions.write import Writer, send_text
from portal.core.roles import MAY, Role
from portal.sms.gateway import Account, Gateway
from portal.sms.simulator import Simulator
from portal.store.messages import Message
from portal.store.patients import Patient
from tests.builders import PASS_AT, Clinic

from .test_deliver_in_trouble import send

DANA = Writer(Who(1, "Dana"), MAY[Role.RECEPTION])
_keys = count()


def patient(external_id: str = "a", practice_id: str = "riverside") -> Patient:
    with store.reading(practice_id) as session:
        found = store.patients.find_patient(session, external_id)
        assert found
        return found


def message(message_id: int, practice_id: str = "riverside") -> Message:
    with store.reading(practice_id) as session:
        found = store.messages.find_message(session, message_id)
        assert found
        return found


def write(text: str = "Please call us.", to: str = "a", *, at: datetime = PASS_AT, **options: Any) -> int:
    """As from a form of its own, where none is named."""
    writer, key = options.pop("writer", DANA), options.pop("form_key", f"a-form-{next(_keys):04}")
    return send_text("riverside", patient(to).id, text, key, writer, at, **options)


def practitioner(clinic: Clinic, practitioner_id: int | None = None) -> Writer:
    """Of the clinic's only one."""
    return Writer(Who(3, "Helen"), MAY[Role.PRACTITIONER], practitioner_id or clinic.practitioner.id)


class Line:
    """What goes out to the provider, and what it takes."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self._gateway = Gateway(Account(base_url=simulator.url), read_timeout=1)

    def send(self, ids: Sequence[int], at: datetime = PASS_AT + PAUSE) -> None:
        """As soon as what was written at PASS_AT may go, where no time is named."""
        send(ids, self._gateway, at=at)  # type: ignore[arg-type]

    @property
    def taken(self) -> list[tuple[str, str]]:
        """(to, text)"""
        return [(one.to, one.text) for one in self.simulator.messages]

    def close(self) -> None:
        self._gateway.close()


@contextmanager
def a_line() -> Iterator[Line]:
    with Simulator() as simulator:
        line = Line(simulator)
        yield line
        line.close()


def at_once(app: Flask, *calls: Callable[[], Any]) -> list[Any]:
    """What each returned or raised, in no order."""
    barrier, results = Barrier(len(calls)), []

    def run(call: Callable[[], Any]) -> None:
        with app.app_context():
            barrier.wait()
            try:
                results.append(call())
            except Exception as error:
                results.append(error)

    threads = [Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
