"""Whole days of whole practices: every appointment must come out as the rules demand, on both databases, with
each pass called twice at once and two real workers."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from portal import store
from portal.actions.credits import top_up
from portal.actions.import_practice import import_folder
from portal.actions.sending import switch_sending
from portal.config import Settings
from portal.core.reasons import Reason
from portal.core.reminders import Sending
from portal.core.states import Status
from portal.store.appointments import Appointment
from portal.store.credits import CreditEntry
from portal.store.messages import Message
from portal.store.passes import Pass
from tests.actions.exports import Listener
from tests.hosts import Host, running

PRACTICES = Path(__file__).parent / "practices"


@pytest.fixture
def host(settings: Settings) -> Iterator[Host]:
    with running(settings) as host:
        host.start_workers()
        yield host


def import_practice(folder: Path) -> None:
    result = import_folder(folder, datetime.now(UTC), report=Listener())
    assert result.is_imported


def the_outcomes(practice_id: str) -> dict[str, dict[str, object]]:
    with store.reading(practice_id) as session:
        rows = session.execute(
            select(Appointment.external_id, Message).join(Message, Message.appointment_id == Appointment.id)
        ).all()
    assert len(rows) == len({external_id for external_id, _ in rows})
    return {
        external_id: {
            "outcome": message.status.value,
            "reasons": ";".join(message.reasons),
            "to": message.to or "",
            "segments": "" if message.segments is None else str(message.segments),
            "pass_at": message.pass_at,
            "body": message.body or "",
        }
        for external_id, message in rows
    }


def the_expected(folder: Path) -> dict[str, dict[str, object]]:
    with (folder / "expected.csv").open(encoding="utf-8-sig", newline="") as file:
        return {
            row.pop("appointment_id"): row | {"pass_at": datetime.fromisoformat(row["pass_at"])}
            for row in csv.DictReader(file)
        }


@pytest.mark.parametrize("callers", [1, 2], ids=["called once", "called twice at once"])
@pytest.mark.parametrize("practice", ["riverside", "northgate"])
def test_every_appointment_comes_out_as_the_rules_demand(host: Host, practice: str, callers: int) -> None:
    folder = PRACTICES / practice
    import_practice(folder)
    for step in json.loads((folder / "scenario.json").read_text(encoding="utf-8")):
        at = datetime.fromisoformat(step["at"])
        if step["do"] == "pass":
            host.pass_at(at, callers)
        else:
            top_up(practice, step["credits"], "scenario", at)

    expected = the_expected(folder)
    outcomes = the_outcomes(practice)
    assert outcomes.keys() == expected.keys()
    for appointment, row in expected.items():
        assert outcomes[appointment] == row, appointment

    totals = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    sent = [row for row in outcomes.values() if row["outcome"] == "sent"]
    assert {
        "considered": len(outcomes),
        "sent": len(sent),
        "not_sent": sum(row["outcome"] == "not-sent" for row in outcomes.values()),
        "failed": sum(row["outcome"] == "failed" for row in outcomes.values()),
        "segments_sent": sum(int(str(row["segments"])) for row in sent),
        "credits_left": balance(practice),
    } == totals
    # The provider has each of them once, to the same number and with the same text.
    taken = sorted((f"+{message.to}", message.text) for message in host.simulator.messages)
    assert taken == sorted((str(row["to"]), str(row["body"])) for row in sent)


def balance(practice_id: str) -> int:
    with store.reading(practice_id) as session:
        credits = store.practices.get_practice(session, practice_id).credits
        assert credits == sum(session.scalars(select(CreditEntry.amount)))
        return credits


@pytest.mark.parametrize(
    ("topped_up_at", "status"), [("14:59", Status.SENT), ("15:01", Status.FAILED)], ids=["14:59", "15:01"]
)
def test_a_top_up_before_the_last_retry_still_sends_and_after_it_does_not(
    host: Host, topped_up_at: str, status: Status
) -> None:
    def at(clock: str) -> datetime:
        return datetime.fromisoformat(f"2031-05-07T{clock}:00+10:00")

    folder = PRACTICES / "riverside"
    import_practice(folder)
    host.pass_at(at("10:00"), 1)
    failed = {id_ for id_, row in the_outcomes("riverside").items() if row["outcome"] == "failed"}
    # Perth's passes are later; the day's last at Sydney's businesses is at three.
    failed_in_the_east = {id_ for id_ in failed if id_ not in perths_appointments()}
    assert len(failed_in_the_east) > 20
    for clock in ("11:00", "12:00", "13:00", "14:00"):
        host.pass_at(at(clock), 1)
    if topped_up_at < "15:00":
        top_up("riverside", 500, "before the last retry", at(topped_up_at))
    host.pass_at(at("15:00"), 1)
    if topped_up_at > "15:00":
        top_up("riverside", 500, "after the last retry", at(topped_up_at))
    host.pass_at(at("16:00"), 1)
    with store.reading("riverside") as session:
        rows = session.execute(
            select(Message)
            .join(Appointment, Appointment.id == Message.appointment_id)
            .where(Appointment.external_id.in_(failed_in_the_east))
        ).all()
        assert {message.status for (message,) in rows} == {status}
        reasons = {message.reasons for (message,) in rows}
        assert reasons == ({()} if status is Status.SENT else {(Reason.NO_CREDITS,)})
        events = store.messages.list_events(session, [message.id for (message,) in rows])
    for message_id, story in events.items():
        assert (story[0].event, story[0].detail) == ("failed", "no-credits"), message_id


def perths_appointments() -> set[str]:
    with store.reading("riverside") as session:
        return set(session.scalars(select(Appointment.external_id).where(Appointment.timezone == "Australia/Perth")))


def test_a_rehearsal_decides_everything_sends_nothing_and_takes_no_credit(host: Host) -> None:
    folder = PRACTICES / "northgate"
    import_practice(folder)
    switch_sending("northgate", Sending.REHEARSAL, datetime.now(UTC))
    host.pass_at(datetime.fromisoformat("2031-03-08T09:00:00-06:00"), 1)
    decided = the_outcomes("northgate")
    assert len(decided) > 50
    assert {row["outcome"] for row in decided.values()} == {"not-sent"}
    assert all(str(row["reasons"]).startswith("sending-off") for row in decided.values())
    assert (balance("northgate"), host.simulator.messages) == (400, [])
    switch_sending("northgate", Sending.ON, datetime.now(UTC))
    host.pass_at(datetime.fromisoformat("2031-03-08T10:00:00-06:00"), 1)
    assert len(host.simulator.messages) > 30
    with store.reading("northgate") as session:
        assert len(session.scalars(select(Pass)).all()) == 2
