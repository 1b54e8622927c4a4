"""Appointments of an export: moves, cancellations, time zones, and those that it no longer holds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal import store
from portal.actions.import_practice import Counts
from portal.actions.remind import run_pass
from portal.core.reasons import Reason
from portal.core.states import Status
from portal.store.appointments import Appointment
from portal.store.practices import Business, Practitioner
from tests.actions.exports import Export, change, everything_stored, find, written_tables
from tests.actions.test_remind import balance, events, the_log
from tests.builders import PASS_AT

LATER = PASS_AT + timedelta(minutes=20)


@pytest.fixture
def export(app: Flask, tmp_path: Path) -> Export:
    """Imported once, with a second business and practitioner."""
    export = Export(tmp_path / "export")
    export.set("businesses.csv", {}, {"id": "b2", "name": "Quay", "timezone": "Australia/Perth"})
    export.set("practitioners.csv", {}, {"id": "d2"})
    export.run()
    return export


def set_times(export: Export, starts_at: str, ends_at: str, **others: str) -> None:
    export.set("appointments.csv", {"starts_at": starts_at, "ends_at": ends_at, **others})


def wall(appointment: Appointment) -> str:
    return f"{appointment.starts_wall:%d %H:%M}-{appointment.ends_wall:%H:%M}"


def changes(export: Export, **options: Any) -> Counts:
    return export.run(**options).counts["appointments.csv"]


# --- moves and cancellations ---


@pytest.mark.parametrize(
    "move",
    [
        {"starts_at": "2031-05-08 11:00", "ends_at": "2031-05-08 11:30"},
        {"starts_at": "2031-05-09 09:30", "ends_at": "2031-05-09 10:00"},
        {"business_id": "b2"},
    ],
)
def test_a_move_starts_a_revision_and_withdraws_what_is_queued(export: Export, move: dict[str, str]) -> None:
    assert run_pass("riverside", PASS_AT, PASS_AT)
    message = the_log()["a1"]
    assert (message.status, balance()) == (Status.QUEUED, 99)
    export.set("appointments.csv", move)
    assert changes(export, now=LATER) == Counts(read=1, changed=1)
    appointment = find(Appointment, "a1")
    assert (appointment.revision, appointment.moved_at) == (1, LATER)
    message = the_log()["a1"]
    assert (message.status, message.reasons, message.revision) == (Status.CANCELLED, (Reason.WITHDRAWN,), 0)
    assert events(message)[-1] == (LATER, "cancelled", "withdrawn")
    assert balance() == 100
    before = everything_stored()
    export.run(now=LATER + timedelta(hours=1))
    assert everything_stored() == before


def test_a_move_back_is_a_move_too(export: Export) -> None:
    set_times(export, "2031-05-08 11:00", "2031-05-08 11:30")
    export.run()
    set_times(export, "2031-05-08 09:30", "2031-05-08 10:00")
    export.run()
    assert (find(Appointment, "a1").revision, wall(find(Appointment, "a1"))) == (2, "08 09:30-10:00")


@pytest.mark.parametrize("other", [{"ends_at": "2031-05-08 10:15"}, {"practitioner_id": "d2"}])
def test_another_end_or_practitioner_is_no_move(export: Export, other: dict[str, str]) -> None:
    assert run_pass("riverside", PASS_AT, PASS_AT)
    export.set("appointments.csv", other)
    assert changes(export, now=LATER).changed == 1
    appointment = find(Appointment, "a1")
    assert appointment.revision == 0
    assert wall(appointment) == ("08 09:30-10:15" if "ends_at" in other else "08 09:30-10:00")
    assert (appointment.practitioner_id == find(Practitioner, "d2").id) == ("practitioner_id" in other)
    assert the_log()["a1"].status is Status.QUEUED


def test_the_same_time_written_in_another_way_is_no_change(export: Export) -> None:
    for starts_at, ends_at in (
        ("2031-05-08T09:30:00+10:00", "2031-05-08 10:00"),
        ("2031-05-07T23:30Z", "2031-05-08T07:30:00+07:30"),
        ("2031-05-08T09:30", "2031-05-08T10:00:00"),
    ):
        set_times(export, starts_at, ends_at)
        assert changes(export).unchanged == 1
    assert find(Appointment, "a1").revision == 0


def test_a_cancellation_withdraws_what_is_queued(export: Export) -> None:
    assert run_pass("riverside", PASS_AT, PASS_AT)
    export.set("appointments.csv", {"cancelled_at": "2031-05-07T10:15:00+10:00"})
    assert changes(export, now=LATER).changed == 1
    appointment = find(Appointment, "a1")
    assert (appointment.cancelled_at, appointment.revision) == (PASS_AT + timedelta(minutes=15), 0)
    assert (the_log()["a1"].status, balance()) == (Status.CANCELLED, 100)
    # Un-cancelling takes the same reminder up again.
    export.set("appointments.csv", {})
    export.run(now=LATER)
    assert find(Appointment, "a1").cancelled_at is None
    assert run_pass("riverside", PASS_AT + timedelta(hours=1), LATER)
    assert (the_log()["a1"].status, the_log()["a1"].revision) == (Status.QUEUED, 0)


def test_a_cancellation_that_lies_ahead_withdraws_too(export: Export) -> None:
    """The other system's clock may be ahead of ours. A pass before that time takes it up again."""
    assert run_pass("riverside", PASS_AT, PASS_AT)
    export.set("appointments.csv", {"cancelled_at": "2031-05-07T15:00:00+10:00"})
    export.run(now=LATER)
    assert (the_log()["a1"].status, balance()) == (Status.CANCELLED, 100)
    assert run_pass("riverside", PASS_AT + timedelta(hours=1), LATER)
    assert the_log()["a1"].status is Status.QUEUED


def test_a_reminder_in_the_workers_hands_is_left_to_the_worker(export: Export) -> None:
    assert run_pass("riverside", PASS_AT, PASS_AT)
    message = the_log()["a1"]
    with store.transaction("riverside") as session:
        store.messages.mark_sending(session, [message.id], "claim", PASS_AT)
    set_times(export, "2031-05-08 11:00", "2031-05-08 11:30")
    export.run(now=LATER)
    assert the_log()["a1"].status is Status.SENDING


# --- staff's own times ---


def staff_move(starts: str, ends: str) -> None:
    """To other times of 8 May at the same business."""
    own = find(Appointment, "a1")
    day = datetime(2031, 5, 7, 14, tzinfo=UTC)  # midnight in Sydney
    hours = [timedelta(hours=int(text[:2]), minutes=int(text[3:])) for text in (starts, ends)]
    midnight = own.starts_wall.replace(hour=0, minute=0)
    change(
        Appointment,
        "a1",
        starts_wall=midnight + hours[0],
        ends_wall=midnight + hours[1],
        starts_at=day + hours[0],
        ends_at=day + hours[1],
        revision=own.revision + 1,
    )


def test_a_time_that_staff_set_stays_theirs(export: Export) -> None:
    staff_move("14:00", "14:30")
    before = everything_stored()
    with written_tables() as tables:
        assert changes(export).unchanged == 1
    assert tables == {"import_runs"}
    assert everything_stored() == before


def test_staffs_start_is_not_joined_to_the_exports_end(export: Export) -> None:
    staff_move("09:45", "10:00")  # the end is the export's, as it was
    set_times(export, "2031-05-08 08:00", "2031-05-08 08:30")
    result = export.run()
    assert [conflict.column for conflict in result.conflicts] == ["starts_at", "ends_at"]
    appointment = find(Appointment, "a1")
    assert (wall(appointment), appointment.revision) == ("08 09:45-10:00", 1)
    assert appointment.starts_at == datetime(2031, 5, 7, 23, 45, tzinfo=UTC)
    assert export.run().conflicts == ()


def test_the_export_moves_what_staff_had_moved_to_the_same_time(export: Export) -> None:
    staff_move("14:00", "14:30")
    set_times(export, "2031-05-08 14:00", "2031-05-08 14:30")
    assert export.run().conflicts == ()
    assert (find(Appointment, "a1").revision, find(Appointment, "a1").staff_changed) == (1, None)
    set_times(export, "2031-05-08 15:00", "2031-05-08 15:30")
    export.run()
    assert (find(Appointment, "a1").revision, wall(find(Appointment, "a1"))) == (2, "08 15:00-15:30")


def test_a_cancellation_by_staff_stands(export: Export) -> None:
    change(Appointment, "a1", cancelled_at=PASS_AT)
    assert export.run().conflicts == ()
    export.set("appointments.csv", {"cancelled_at": "2031-05-06 09:00"})
    assert [conflict.column for conflict in export.run().conflicts] == ["cancelled_at"]
    assert find(Appointment, "a1").cancelled_at == PASS_AT


# --- time zones ---


def test_new_rules_of_a_zone_are_no_move(export: Export) -> None:
    # As if its instant had been read by older rules of the zone, an hour off.
    old = find(Appointment, "a1").starts_at + timedelta(hours=1)
    change(Appointment, "a1", starts_at=old, ends_at=old + timedelta(minutes=30))
    assert changes(export).unchanged == 1
    appointment = find(Appointment, "a1")
    assert (appointment.revision, wall(appointment)) == (0, "08 09:30-10:00")
    assert appointment.starts_at == old - timedelta(hours=1)


@pytest.mark.parametrize("has_file", [True, False])
def test_in_another_zone_a_local_time_keeps_its_place_on_the_clock(export: Export, has_file: bool) -> None:
    export.set("businesses.csv", {"timezone": "Australia/Perth"})
    if not has_file:
        export.rows["appointments.csv"] = None
    export.run()
    appointment = find(Appointment, "a1")
    assert (wall(appointment), appointment.timezone) == ("08 09:30-10:00", "Australia/Perth")
    assert appointment.starts_at == datetime(2031, 5, 8, 1, 30, tzinfo=UTC)
    assert appointment.ends_at == datetime(2031, 5, 8, 2, 0, tzinfo=UTC)
    assert appointment.revision == 0
    before = everything_stored()
    export.run()
    assert everything_stored() == before


def test_in_another_zone_a_time_with_its_offset_keeps_its_instant(export: Export) -> None:
    set_times(export, "2031-05-08T09:30:00+10:00", "2031-05-08T10:00:00+10:00")
    export.set("businesses.csv", {"timezone": "Australia/Perth"})
    export.run()
    appointment = find(Appointment, "a1")
    assert (wall(appointment), appointment.timezone) == ("08 07:30-08:00", "Australia/Perth")
    assert appointment.starts_at == datetime(2031, 5, 7, 23, 30, tzinfo=UTC)
    assert appointment.revision == 0
    before = everything_stored()
    export.run()
    assert everything_stored() == before


@pytest.mark.parametrize("offset", ["", "+10:00"])
def test_in_another_zone_staffs_time_stands_and_the_exports_has_not_changed(export: Export, offset: str) -> None:
    set_times(export, f"2031-05-08T09:30:00{offset}", f"2031-05-08T10:00:00{offset}")
    staff_move("14:00", "14:30")
    export.set("businesses.csv", {"timezone": "Australia/Perth"})
    assert export.run().conflicts == ()
    appointment = find(Appointment, "a1")
    assert (wall(appointment), appointment.timezone) == ("08 14:00-14:30", "Australia/Perth")
    assert appointment.starts_at == datetime(2031, 5, 8, 6, 0, tzinfo=UTC)
    assert export.run().conflicts == ()


def test_the_second_of_two_hours_that_look_alike_is_another_time(export: Export) -> None:
    for offset, revision in (("+11:00", 1), ("+10:00", 2), ("+10:00", 2)):
        set_times(export, f"2031-04-06T02:30:00{offset}", f"2031-04-06T02:45:00{offset}")
        export.run()
        appointment = find(Appointment, "a1")
        assert (wall(appointment), appointment.revision) == ("06 02:30-02:45", revision)
    assert appointment.starts_at == datetime(2031, 4, 5, 16, 30, tzinfo=UTC)


def test_times_are_local_to_the_zone_that_staff_gave_the_business(export: Export) -> None:
    change(Business, "b1", timezone="Australia/Perth")
    set_times(export, "2031-05-09 09:30", "2031-05-09 10:00")
    export.run()
    appointment = find(Appointment, "a1")
    assert (wall(appointment), appointment.timezone) == ("09 09:30-10:00", "Australia/Perth")
    assert appointment.starts_at == datetime(2031, 5, 9, 1, 30, tzinfo=UTC)


# --- what a later export no longer holds ---


@pytest.fixture
def shorter(export: Export) -> Export:
    """Imported with four appointments, and then written with one of them."""
    starts = {
        "a1": "2031-05-08 09:30",
        "past": "2031-04-30 09:30",
        "gone": "2031-05-08 11:00",
        "off": "2031-05-08 12:00",
    }
    rows = [{"id": id_, "starts_at": at, "ends_at": at[:-2] + "45"} for id_, at in starts.items()]
    rows[-1]["cancelled_at"] = "2031-05-01 08:00"
    export.set("appointments.csv", *rows)
    export.run()
    export.set("appointments.csv", rows[0])
    return export


def test_future_appointments_that_are_gone_are_listed(shorter: Export) -> None:
    assert run_pass("riverside", PASS_AT, PASS_AT)
    before = everything_stored()
    for _ in range(2):
        assert shorter.run(now=LATER).missing == ("gone",)
    assert everything_stored() == before


def test_they_are_withdrawn_where_that_is_asked_for(shorter: Export) -> None:
    assert run_pass("riverside", PASS_AT, PASS_AT)
    assert shorter.run(now=LATER, withdraw_missing=True).missing == ("gone",)
    assert find(Appointment, "gone").cancelled_at == LATER
    assert {id_: message.status for id_, message in the_log().items()} == {
        "a1": Status.QUEUED,
        "gone": Status.CANCELLED,
    }
    assert shorter.run(now=LATER, withdraw_missing=True).missing == ()
    # It is there again: so it was not cancelled after all.
    shorter.set(
        "appointments.csv", {}, {"id": "gone", "starts_at": "2031-05-08 11:00", "ends_at": "2031-05-08 11:45"}
    )
    assert shorter.run(now=LATER).conflicts == ()
    assert find(Appointment, "gone").cancelled_at is None


def test_without_the_file_nothing_is_missing(shorter: Export) -> None:
    shorter.rows["appointments.csv"] = None
    assert shorter.run(withdraw_missing=True).missing == ()
    assert find(Appointment, "gone").cancelled_at is None


def test_an_appointment_that_staff_took_up_again_is_theirs(shorter: Export) -> None:
    change(Appointment, "off", cancelled_at=None)
    assert shorter.run(withdraw_missing=True).missing == ("gone",)
    assert find(Appointment, "off").cancelled_at is None


def test_a_rejected_row_is_not_missing(shorter: Export, tmp_path: Path) -> None:
    shorter.set("appointments.csv", {"id": "gone", "starts_at": "tomorrow"}, {"id": "a1"})
    options: dict[str, Any] = {"accept_valid": True, "withdraw_missing": True, "rejects": tmp_path / "rejects.csv"}
    assert shorter.run(**options).missing == ()
    # Whose row this is cannot be read, so of no appointment is it known that it is missing.
    shorter.set("appointments.csv", {"id": ""}, {"id": "a1"})
    assert shorter.run(**options).missing == ()
    assert find(Appointment, "gone").cancelled_at is None
