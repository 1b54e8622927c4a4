"""The check-list of going live: each line's state, words and mend; and the days another system has reminded."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from portal.core.going_live import (
    LONGEST_LEFT_OUT,
    Item,
    Readiness,
    State,
    check_list,
    problem_with_left_out,
    suggested,
)
from portal.core.reminders import LeftOut

TODAY = date(2031, 5, 7)
NOW = datetime(2031, 5, 7, 10, 20, tzinfo=UTC)
HOSTILE = "\x1b[31m\u202ex\n" * 30
READY = Readiness(
    can_send=True,
    is_simulated=False,
    refused_with="",
    sender="+61491570006",
    sender_refused="",
    sender_if_registered=False,
    sender_warnings=(),
    businesses=[("North Clinic", "Australia/Sydney", "(02) 5550 9325", True)],
    types=2,
    without_template=(),
    lead_days=1,
    window_start=10,
    has_run=True,
    credits=1200,
    needed=80,
    runs_out_on=None,
    updated_at=NOW,
    is_old=False,
    patients=75,
    reached=75,
    is_part=False,
    tested_at=NOW,
    today=TODAY,
)


def item(label: str, **changed: object) -> Item:
    found = check_list(replace(READY, **changed))  # type: ignore[arg-type]
    return next(one for one in found if one.label == label)


def test_all_is_well() -> None:
    assert [(one.label, one.says) for one in check_list(READY)] == [
        ("Provider", "The account is set up, and the provider has not refused it."),
        ("Sender", "Texts come from +61491570006."),
        ("Businesses", "1 business, by the clocks of Sydney."),
        ("Templates", "Each appointment type of the coming week has a template."),
        (
            "Hours",
            "Reminders go at 10am, 1 day before the appointment; what fails is tried again each hour until 3pm.",
        ),
        ("Credits", "1,200 credits left; the reminders of the next 7 days need 80."),
        ("Appointments", "Last updated today."),
        ("Patients", "Of 75 patients with reminders in the next 7 days, 75 would be texted."),
        ("Test text", "One went to a phone of yours today."),
    ]
    assert {one.state for one in check_list(READY)} == {State.OK}


@pytest.mark.parametrize(
    ("label", "changed", "state", "says"),
    [
        ("Provider", {"can_send": False}, State.BLOCKS, "no account with the provider yet"),
        ("Provider", {"refused_with": "http-401"}, State.WARNS, "refuses our account now (http-401)"),
        ("Provider", {"is_simulated": True}, State.WARNS, "no text reaches a phone"),
        ("Sender", {"sender": "Clinic", "sender_refused": "The US takes no names."}, State.WARNS, "takes no names"),
        ("Sender", {"sender": "Clinic", "sender_if_registered": True}, State.WARNS, "allowed, if registered"),
        ("Sender", {"sender": "Clinic", "sender_warnings": ("Nobody can reply.",)}, State.OK, "Nobody can reply."),
        ("Businesses", {"businesses": ()}, State.WARNS, "no business yet"),
        ("Businesses", {"businesses": [("North", "UTC", "", True)]}, State.WARNS, "North has no contact number"),
        ("Businesses", {"businesses": [("North", "UTC", "1", False)]}, State.WARNS, "switched off for every"),
        (
            "Businesses",
            {"businesses": [("North", "UTC", "1", False), ("South", "Australia/Lord_Howe", "1", True)]},
            State.OK,
            "2 businesses, by the clocks of Lord Howe and UTC. North sends no reminders.",
        ),
        ("Templates", {"without_template": ["A", "B"]}, State.WARNS, '"A" and "B" have no SMS template'),
        ("Templates", {"without_template": list("ABCDEFG")}, State.WARNS, '"E" and 2 more have no'),
        ("Templates", {"types": 0}, State.OK, "No appointment of the coming week"),
        ("Hours", {"has_run": False}, State.WARNS, "The hourly run has not been seen yet"),
        ("Credits", {"credits": 0}, State.WARNS, "No credit is left"),
        ("Credits", {"runs_out_on": TODAY + timedelta(days=1)}, State.WARNS, "they run out tomorrow."),
        ("Credits", {"is_part": True}, State.OK, "need more than 80."),
        ("Appointments", {"is_old": True}, State.WARNS, "is not known here"),
        ("Appointments", {"updated_at": None}, State.WARNS, "No export was ever imported"),
        ("Appointments", {"updated_at": None, "patients": 0}, State.WARNS, "There are no appointments yet."),
        ("Patients", {"reached": 70}, State.WARNS, "70 would be texted. Open a day below"),
        ("Patients", {"patients": 1, "reached": 1}, State.OK, "Of 1 patient with"),
        ("Patients", {"patients": 0, "reached": 0}, State.OK, "Nobody has an appointment"),
        ("Test text", {"tested_at": None}, State.WARNS, "You have not sent a text to your own phone yet."),
    ],
)
def test_each_line_says_what_lacks(label: str, changed: dict[str, object], state: State, says: str) -> None:
    found = item(label, **changed)
    assert found.state is state
    assert says in found.says
    assert bool(found.fix) == bool(found.place)


def test_hostile_names_stay_one_line() -> None:
    businesses = [(HOSTILE, "UTC", "", True)] * 9
    seen = replace(READY, sender=HOSTILE, businesses=businesses, without_template=[HOSTILE] * 9, refused_with=HOSTILE)
    for one in check_list(seen):
        assert one.says.isprintable() and len(one.says) < 700


@pytest.mark.parametrize(
    ("at", "zone", "lead_days", "day"),
    [
        ("2031-05-07T09:59", "UTC", 1, date(2031, 5, 7)),
        ("2031-05-07T10:00", "UTC", 1, date(2031, 5, 8)),
        ("2031-05-07T10:00", "UTC", 3, date(2031, 5, 10)),
        ("2031-05-07T10:00", "Australia/Sydney", 1, date(2031, 5, 8)),
        ("2031-05-07T10:00", "America/New_York", 1, date(2031, 5, 7)),
    ],
)
def test_the_days_begun_by_the_clocks_there_are_suggested(at: str, zone: str, lead_days: int, day: date) -> None:
    assert suggested(datetime.fromisoformat(at).replace(tzinfo=UTC), zone, lead_days, 10) == day


def test_only_days_ahead_can_be_left_out() -> None:
    assert problem_with_left_out(TODAY, TODAY) == problem_with_left_out(TODAY + LONGEST_LEFT_OUT, TODAY) == ""
    assert problem_with_left_out(TODAY - timedelta(days=1), TODAY) == "That day is over: choose today or later."
    assert "within the next 60 days" in problem_with_left_out(date.max, TODAY)


def test_left_out_is_what_stood_in_the_calendar_when_it_was_said() -> None:
    left_out = LeftOut(date(2031, 5, 9), NOW)
    assert left_out.covers(date(2031, 5, 9), NOW)
    assert not left_out.covers(date(2031, 5, 10), NOW)
    assert not left_out.covers(date(2031, 5, 9), NOW + timedelta(seconds=1))
