"""A practice goes live: what is in order before, what another system has reminded, and what a pause holds back."""

from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions.claim import claim
from portal.actions.diagnose import diagnose
from portal.actions.going_live import CannotGoLive, GoingLive, Provider, go_live, leave_out, look_at_readiness
from portal.actions.held_back import list_held_back
from portal.actions.missed import record_missed_days
from portal.actions.preview import preview
from portal.actions.rehearsal import NoSuchDay, rehearse
from portal.actions.remind import run_pass
from portal.actions.sending import NotConfirmed, NotLive, pause, resume, switch_sending
from portal.actions.today import look_ahead
from portal.actions.who import Who
from portal.actions.worklist import look_at_worklist
from portal.core.going_live import State
from portal.core.reasons import Reason
from portal.core.reminders import Preference, Sending
from portal.core.states import Status
from portal.store.changes import LEFT_OUT, SENDING, Subject, list_changes
from portal.store.messages import Message
from portal.store.practices import Practice
from tests.builders import DAY, MOBILES, PASS_AT, Clinic, a_practice

HOUR = timedelta(hours=1)
NOW = PASS_AT + timedelta(minutes=5)
DANA = Who(1, "Dana Owner")
READY = Provider(can_send=True, is_simulated=False, refused_with="")
FRIDAY = date(2031, 5, 9)


def the_practice(clinic: Clinic) -> Practice:
    with store.reading(clinic.id) as session:
        return store.practices.get_practice(session, clinic.id)


def just_live() -> Clinic:
    clinic = Clinic()
    clinic.change(clinic.practice, live_since=NOW)
    return clinic


def live(clinic: Clinic, left_out: date | None = None, at: Any = NOW) -> None:
    go_live(the_practice(clinic), READY, left_out, confirmed=True, accepted=True, who=DANA, now=at)


def outcome(clinic: Clinic, appointment_id: int) -> tuple[Status | None, tuple[Reason, ...]]:
    with store.reading(clinic.id) as session:
        found = store.facts.list_of_appointments(session, the(session, clinic), [appointment_id])[appointment_id]
    return (found.message.status, found.message.reasons) if found.message else (None, ())


def the(session: Any, clinic: Clinic) -> Practice:
    practice: Practice = store.practices.get_practice(session, clinic.id)
    return practice


def noted(clinic: Clinic, field: str) -> list[tuple[str, str, str, str]]:
    with store.reading(clinic.id) as session:
        changes = list_changes(session, Subject.PRACTICE, None, [field])
    return [(one.by, one.before, one.after, one.note) for one in reversed(changes)]


def item(seen: GoingLive, label: str) -> tuple[State, str]:
    return next((one.state, one.says) for one in seen.items if one.label == label)


# --- the check-list -----------------------------------------------------------------------------------------


def test_a_new_practice_sees_what_is_to_be_done(app: Flask) -> None:
    practice = a_practice(credits=0, sending=Sending.REHEARSAL)
    seen = look_at_readiness(practice, Provider(False, False, ""), NOW)
    assert seen.is_blocked
    assert [(one.label, one.state) for one in seen.items if one.state is not State.OK] == [
        ("Provider", State.BLOCKS),
        ("Sender", State.WARNS),  # a name, which Australia wants registered
        ("Businesses", State.WARNS),
        ("Hours", State.WARNS),
        ("Credits", State.WARNS),
        ("Appointments", State.WARNS),
        ("Test text", State.WARNS),
    ]
    with pytest.raises(CannotGoLive, match="no account with the provider"):
        go_live(practice, Provider(False, False, ""), None, confirmed=True, accepted=True, who=DANA, now=NOW)


def test_the_list_counts_who_would_be_texted_and_names_what_lacks(app: Flask) -> None:
    clinic = Clinic(credits=1, sending=Sending.REHEARSAL, business={"contact_number": " "})
    clinic.book("a")
    clinic.book("b", patient={"mobile": None})
    clinic.book("c", starts="2031-05-12 09:30")
    with store.transaction(clinic.id) as session:
        session.add(type(clinic.type)(external_id="2", name="Dry needling", duration_minutes=30))
        session.flush()
    other = store_type(clinic, "Dry needling")
    clinic.book("d", starts="2031-05-13 09:30", type=other)
    seen = look_at_readiness(the_practice(clinic), Provider(True, False, "http-401"), NOW)
    assert item(seen, "Provider")[0] is State.WARNS
    assert item(seen, "Businesses") == (
        State.WARNS,
        "North Clinic has no contact number, which patients are told to call.",
    )
    assert item(seen, "Templates") == (
        State.WARNS,
        '"Dry needling" has no SMS template that can be used. Patients with these appointments get no text.',
    )
    assert item(seen, "Patients") == (
        State.WARNS,
        "Of 4 patients with reminders in the next 7 days, 1 would be texted. "
        "Open a day below to see why the others would not.",
    )
    assert item(seen, "Credits")[1].startswith("1 credit left: the coming days need 2, and they run out ")
    assert [(one.day, one.would, one.would_not) for one in seen.days] == [
        (DAY, 1, 1),
        (date(2031, 5, 12), 0, 1),
        (date(2031, 5, 13), 0, 1),
    ]


def store_type(clinic: Clinic, name: str) -> Any:
    with store.reading(clinic.id) as session:
        return next(one for one in store.practices.list_types(session) if one.name == name)


def test_what_warns_is_read_and_ticked(app: Flask) -> None:
    clinic = Clinic(sending=Sending.REHEARSAL)
    practice = the_practice(clinic)
    with pytest.raises(CannotGoLive, match="although not every line is well"):
        go_live(practice, READY, None, confirmed=True, accepted=False, who=DANA, now=NOW)
    with pytest.raises(NotConfirmed):
        go_live(practice, READY, None, confirmed=False, accepted=True, who=DANA, now=NOW)
    for day in (DAY - timedelta(days=2), DAY + timedelta(days=90)):
        with pytest.raises(CannotGoLive):
            live(clinic, day)
    assert the_practice(clinic).sending is Sending.REHEARSAL
    live(clinic)
    after = the_practice(clinic)
    assert (after.sending, after.live_since, after.left_out) == (Sending.ON, NOW, None)
    assert noted(clinic, SENDING) == [("Dana Owner", "rehearsal", "on", "")]
    assert noted(clinic, LEFT_OUT) == []


@pytest.mark.parametrize(("hours", "day"), [(-1, date(2031, 5, 7)), (0, DAY), (9, DAY)])
def test_the_days_whose_reminders_have_begun_are_suggested(app: Flask, hours: int, day: date) -> None:
    clinic = Clinic(sending=Sending.REHEARSAL)
    assert look_at_readiness(the_practice(clinic), READY, PASS_AT + hours * HOUR).suggested == day


# --- left out -----------------------------------------------------------------------------------------------


def a_rehearsed_clinic() -> tuple[Clinic, list[int]]:
    """Appointments of Thursday, Friday and Saturday; Thursday's first pass was rehearsed."""
    clinic = Clinic(sending=Sending.REHEARSAL)
    ids = [clinic.book(str(day), starts=f"2031-05-{day:02} 09:30").id for day in (8, 9, 10)]
    run_pass(clinic.id, PASS_AT, PASS_AT)
    return clinic, ids


def test_what_another_system_has_reminded_is_left_out_up_to_its_day(app: Flask) -> None:
    clinic, (thursday, friday, saturday) = a_rehearsed_clinic()
    assert outcome(clinic, thursday) == (Status.NOT_SENT, (Reason.SENDING_OFF,))
    live(clinic, FRIDAY)
    for days in range(3):
        run_pass(clinic.id, PASS_AT + timedelta(days=days, hours=1), PASS_AT + timedelta(days=days, hours=1))
    assert outcome(clinic, thursday) == (Status.NOT_SENT, (Reason.REMINDED_ELSEWHERE,))
    assert outcome(clinic, friday) == (Status.NOT_SENT, (Reason.REMINDED_ELSEWHERE,))
    assert outcome(clinic, saturday) == (Status.QUEUED, ())
    assert the_practice(clinic).credits == 99


def test_the_portal_says_why_wherever_it_is_asked(app: Flask) -> None:
    clinic, (thursday, *_) = a_rehearsed_clinic()
    live(clinic, FRIDAY)
    explained = diagnose(clinic.id, "9", NOW)
    crossed = [check for check in explained.checks if not check.ok]
    assert [check.code for check in crossed] == [Reason.REMINDED_ELSEWHERE]
    assert crossed[0].heading == "Another system has reminded Mia"
    assert crossed[0].detail == "Dana Owner left out appointments up to Friday 9 May when going live."
    assert (crossed[0].fix, crossed[0].place[:10]) == ("Text Mia now", "/patients/")

    assert {one.appointment: one.reasons for one in preview(clinic.id, DAY, NOW).lines} == {
        "8": (Reason.REMINDED_ELSEWHERE,)
    }
    (day,) = look_ahead(the_practice(clinic), NOW).days
    assert day.elsewhere and [line.appointment_id for line in day.elsewhere.lines] == [thursday]
    assert (day.to_mend, day.wishes, day.will) == ((), (), ())
    seen = look_at_readiness(the_practice(clinic), READY, NOW)
    assert item(seen, "Patients")[1] == "Of 1 patient with reminders in the next 7 days, 1 would be texted."
    assert item(seen, "Credits")[1] == "100 credits left; the reminders of the next 7 days need 1."
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert look_at_worklist(the_practice(clinic), PASS_AT + 7 * HOUR).open == []


def test_who_is_left_out_is_not_asked_for_a_number_and_the_wish_of_others_stands_apart(app: Flask) -> None:
    clinic = just_live()
    clinic.book("a", patient={"mobile": None, "preference": Preference.NONE})
    leave_out(clinic.id, DAY, DANA, NOW)
    (day,) = look_ahead(the_practice(clinic), NOW).days
    assert day.elsewhere and day.elsewhere.lines[0].reasons == (
        Reason.REMINDED_ELSEWHERE,
        Reason.NO_MOBILE_NUMBER,
        Reason.PREFERS_NONE,
    )


def test_what_is_booked_or_moved_after_it_was_said_is_reminded(app: Flask) -> None:
    clinic = just_live()
    before = clinic.book("before")
    after = clinic.book("after", booked_at=NOW + timedelta(minutes=1))
    moved = clinic.book("moved", moved_at=NOW + timedelta(minutes=1))
    leave_out(clinic.id, DAY, DANA, NOW)
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert outcome(clinic, before.id) == (Status.NOT_SENT, (Reason.REMINDED_ELSEWHERE,))
    assert outcome(clinic, after.id) == outcome(clinic, moved.id) == (Status.QUEUED, ())


def test_it_is_changed_and_lifted_while_it_matters(app: Flask) -> None:
    clinic, (thursday, friday, _) = a_rehearsed_clinic()
    live(clinic, FRIDAY)
    leave_out(clinic.id, FRIDAY, DANA, NOW)  # as it is already
    leave_out(clinic.id, DAY, DANA, NOW)
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert outcome(clinic, thursday) == (Status.NOT_SENT, (Reason.REMINDED_ELSEWHERE,))
    leave_out(clinic.id, None, DANA, NOW + HOUR)
    explained = diagnose(clinic.id, "8", NOW + HOUR)
    assert explained.explained[0].words.says.startswith("No longer so. Sending: On for the practice. Changed by Dana")
    run_pass(clinic.id, PASS_AT + 2 * HOUR, PASS_AT + 2 * HOUR)
    assert outcome(clinic, thursday) == (Status.QUEUED, ())
    run_pass(clinic.id, PASS_AT + timedelta(days=1), PASS_AT + timedelta(days=1))
    assert outcome(clinic, friday) == (Status.QUEUED, ())
    assert [one[1:3] for one in noted(clinic, LEFT_OUT)] == [
        ("none", "up to 2031-05-09"),
        ("up to 2031-05-09", "up to 2031-05-08"),
        ("up to 2031-05-08", "none"),
    ]


def test_what_was_booked_since_is_reminded_from_here_however_the_day_is_changed(app: Flask) -> None:
    clinic, _ = a_rehearsed_clinic()
    live(clinic, FRIDAY)
    since = clinic.book("since", starts="2031-05-09 11:00", booked_at=NOW + HOUR, patient={"mobile": MOBILES[5]})
    leave_out(clinic.id, FRIDAY + timedelta(days=1), DANA, NOW + 2 * HOUR)
    run_pass(clinic.id, PASS_AT + timedelta(days=1), PASS_AT + timedelta(days=1))
    assert outcome(clinic, since.id) == (Status.QUEUED, ())


@pytest.mark.parametrize("paused", [True, False])
def test_an_old_form_neither_ends_a_pause_nor_takes_in_what_is_left_out(app: Flask, paused: bool) -> None:
    clinic, _ = a_rehearsed_clinic()
    seen = the_practice(clinic)
    live(clinic, FRIDAY)
    if paused:
        pause(clinic.id, "wrong texts", DANA, NOW)
    with pytest.raises(CannotGoLive, match="has gone live already"):
        go_live(seen, READY, None, confirmed=True, accepted=True, who=DANA, now=NOW)
    practice = the_practice(clinic)
    assert (practice.sending, practice.left_out_until) == (Sending.PAUSED if paused else Sending.ON, FRIDAY)


def test_what_no_pass_met_was_reminded_elsewhere_all_the_same(app: Flask) -> None:
    clinic = just_live()
    a = clinic.book("a")
    clinic.change(clinic.business, watched_since=PASS_AT - timedelta(days=3))
    leave_out(clinic.id, DAY, DANA, NOW)
    assert diagnose(clinic.id, "a", PASS_AT + 8 * HOUR).reasons == (Reason.REMINDED_ELSEWHERE,)
    assert look_ahead(the_practice(clinic), PASS_AT + 8 * HOUR).too_late == ()
    record_missed_days(PASS_AT + timedelta(days=1), PASS_AT + timedelta(days=1))
    assert outcome(clinic, a.id) == (Status.NOT_SENT, (Reason.REMINDED_ELSEWHERE,))


# --- days as they would have gone -----------------------------------------------------------------------------


def test_a_day_is_shown_as_it_would_go_and_as_it_was_played(app: Flask) -> None:
    clinic = Clinic(sending=Sending.REHEARSAL)
    clinic.book("a")
    clinic.book("b", patient={"mobile": None})
    clinic.book("gone", cancelled_at=PASS_AT - HOUR)
    shown = rehearse(the_practice(clinic), None, PASS_AT - HOUR)
    assert (shown.day.day, shown.is_played, len(shown.day.will)) == (DAY, False, 1)
    assert [group.reason for group in shown.day.to_mend] == [Reason.NO_MOBILE_NUMBER]
    run_pass(clinic.id, PASS_AT, PASS_AT)
    later = rehearse(the_practice(clinic), DAY, PASS_AT + timedelta(days=2))
    assert (later.is_played, len(later.day.will), later.day.did) == (True, 1, ())
    assert [group.reason for group in later.day.to_mend] == [Reason.NO_MOBILE_NUMBER]
    assert (later.before, later.after) == (DAY - timedelta(days=1), FRIDAY)
    with pytest.raises(NoSuchDay):
        rehearse(the_practice(clinic), date(2040, 1, 1), NOW)


# --- the pause --------------------------------------------------------------------------------------------------


def test_whoever_pauses_says_why_and_whoever_resumes_does_it_from_a_pause_only(app: Flask) -> None:
    clinic = Clinic()
    assert pause(clinic.id, "  water\nin the server room " + "x" * 300, DANA, NOW)
    assert not pause(clinic.id, "again", Who(2, "Sam"), NOW + HOUR)
    paused = the_practice(clinic)
    assert (paused.sending, paused.sending_changed_at, paused.sending_changed_by) == (
        Sending.PAUSED,
        NOW,
        "Dana Owner",
    )
    assert paused.sending_note.startswith("water in the server room xxx") and len(paused.sending_note) == 200
    with pytest.raises(NotConfirmed):
        resume(clinic.id, confirmed=False, who=DANA, now=NOW)
    assert resume(clinic.id, confirmed=True, who=Who(2, "Sam"), now=NOW + HOUR)
    assert not resume(clinic.id, confirmed=True, who=DANA, now=NOW + HOUR)
    assert [one[:3] for one in noted(clinic, SENDING)] == [
        ("Dana Owner", "on", "paused"),
        ("Sam", "paused", "on"),
    ]
    on = the_practice(clinic)
    assert (on.sending, on.sending_note, on.sending_changed_by) == (Sending.ON, "", "Sam")


def test_a_pause_is_no_way_around_going_live(app: Flask) -> None:
    clinic = Clinic(sending=Sending.REHEARSAL)
    with pytest.raises(NotLive):
        pause(clinic.id, "", DANA, NOW)
    switch_sending(clinic.id, Sending.PAUSED, NOW)  # on the command line
    assert not the_practice(clinic).may_resume
    with pytest.raises(NotLive):
        resume(clinic.id, confirmed=True, who=DANA, now=NOW)
    live(clinic)
    switch_sending(clinic.id, Sending.REHEARSAL, NOW)
    assert the_practice(clinic).live_since is None


def test_what_a_pause_held_back_goes_is_too_late_or_stands_at_something_else(app: Flask) -> None:
    clinic = Clinic()
    queued = clinic.book("queued")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    pause(clinic.id, "", DANA, NOW)
    clinic.book("new", starts="2031-05-08 10:30", booked_at=NOW)
    clinic.book("blocked", starts="2031-05-08 11:30", patient={"mobile": None}, booked_at=NOW)
    a_worker_asks_again(clinic)
    assert outcome(clinic, queued.id) == (Status.NOT_SENT, (Reason.SENDING_OFF,))
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)

    held = list_held_back(the_practice(clinic), PASS_AT + HOUR)
    ((at, lines),) = held.goes
    assert at == PASS_AT + 2 * HOUR
    assert [line.starts_local.hour for line in lines] == [9, 10]
    assert [group.reason for group in held.blocked] == [Reason.NO_MOBILE_NUMBER]
    assert (held.too_late, held.over) == ([], 0)

    evening = PASS_AT + 7 * HOUR
    held = list_held_back(the_practice(clinic), evening)
    assert (held.will_go, len(held.too_late), held.over) == (0, 3, 0)
    assert look_at_worklist(the_practice(clinic), evening).open == []
    resume(clinic.id, confirmed=True, who=DANA, now=evening)
    assert len(look_at_worklist(the_practice(clinic), evening).open) == 3  # for staff to text
    assert list_held_back(the_practice(clinic), PASS_AT + timedelta(days=2)).goes == []


def test_switched_on_again_in_time_the_next_hours_pass_sends(app: Flask) -> None:
    clinic = Clinic()
    pause(clinic.id, "", DANA, NOW - HOUR)
    a = clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert outcome(clinic, a.id) == (Status.NOT_SENT, (Reason.SENDING_OFF,))
    resume(clinic.id, confirmed=True, who=DANA, now=NOW)
    assert look_at_worklist(the_practice(clinic), NOW).open == []
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    assert outcome(clinic, a.id) == (Status.QUEUED, ())


def test_what_was_held_back_before_this_pause_is_not_listed(app: Flask) -> None:
    clinic, _ = a_rehearsed_clinic()
    live(clinic)
    pause(clinic.id, "", DANA, NOW)
    assert list_held_back(the_practice(clinic), NOW).will_go == 0


def a_worker_asks_again(clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        practice = store.practices.lock_practice(session, clinic.id)
        ids = session.scalars(select(Message.id)).all()
        assert claim(session, practice, practice.credits, ids, Nobody(), NOW + timedelta(minutes=1)) == []


class Nobody:
    """Nothing comes so far that it is prepared."""

    def prepare(self, message: object) -> Any:
        raise AssertionError(message)
