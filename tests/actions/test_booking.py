"""Appointments that staff add, move, cancel and take up again, and what they are told of the reminder before."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from portal import store
from portal.actions.book import book, foresee_booking
from portal.actions.booking import FIRST, SECOND, AddedAnother, Asked, Changed, Twice, state_of
from portal.actions.cancel import cancel, show_cancel, take_up
from portal.actions.diagnose import NoSuchAppointment
from portal.actions.move import foresee_move, move, show_move
from portal.actions.patients import NoSuchPatient, Refused
from portal.actions.remind import run_pass
from portal.actions.who import Who
from portal.core.effects import Effect
from portal.core.reasons import Reason
from portal.core.reminders import Preference, Sending
from portal.core.states import Status
from portal.store.appointments import Appointment
from portal.store.changes import Subject, list_changes
from portal.store.imported import made_here_id
from portal.store.messages import Message
from portal.store.patients import OptOut, OptOutSource
from tests.builders import PASS_AT, Clinic, a_business, a_practitioner, a_type

from .by_staff import Line, at_once
from .test_remind import balance, events

HOUR = timedelta(hours=1)
EARLY = PASS_AT - HOUR  # before the first pass of the day
LATE = PASS_AT + 7 * HOUR  # after the last one
AGAIN = PASS_AT + HOUR
DANA = Who(2, "Dana")
WITHDRAWN = "The text that waits is withdrawn, and 1 credit comes back."


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    clinic = Clinic()
    clinic.book("a")
    return clinic


def asked(clinic: Clinic, **values: Any) -> Asked:
    own = Asked(clinic.business.id, clinic.practitioner.id, clinic.type.id, "2031-05-08", "09:30")
    return replace(own, **values)


def now_there(appointment_id: int = 1, practice_id: str = "riverside") -> Appointment:
    with store.reading(practice_id) as session:
        return session.get_one(Appointment, appointment_id)


def reminder(revision: int = 0, appointment_id: int = 1) -> Message | None:
    with store.reading("riverside") as session:
        return store.messages.find_reminder(session, appointment_id, revision)


def noted(appointment_id: int = 1) -> list[tuple[str, str, str, str]]:
    """(by, field, before, after), the oldest first."""
    with store.reading("riverside") as session:
        changes = list_changes(session, Subject.APPOINTMENT, appointment_id)
        return [(one.by, one.field, one.before, one.after) for one in reversed(changes)]


def add(clinic: Clinic, at: datetime = EARLY, *, patient_id: int = 1, **values: Any) -> tuple[int, Effect]:
    """As the form does it: what it says, then saving."""
    form = asked(clinic, **values)
    effect = foresee_booking(clinic.id, patient_id, form, at).effect
    return book(clinic.id, patient_id, form, "", effect.key, DANA, at), effect


def move_to(clinic: Clinic, at: datetime, appointment_id: int = 1, **values: Any) -> Effect:
    form = asked(clinic, **values)
    foreseen = foresee_move(clinic.id, appointment_id, form, at)
    assert foreseen is not None
    state = state_of(now_there(appointment_id))
    assert move(clinic.id, appointment_id, form, state, foreseen.effect.key, DANA, at)
    return foreseen.effect


def cancel_it(at: datetime, appointment_id: int = 1, *, cancels: bool = True) -> Effect:
    shown = show_cancel("riverside", appointment_id, at, cancels=cancels)
    act = cancel if cancels else take_up
    assert act("riverside", appointment_id, shown.state, shown.effect.key, DANA, at)
    return shown.effect


def run(at: datetime) -> tuple[int, ...]:
    done = run_pass("riverside", at, at)
    return done.message_ids if done else ()


# --- adding -------------------------------------------------------------------------------------------------


def test_one_that_is_added_is_reminded_when_the_form_said(clinic: Clinic) -> None:
    id_, effect = add(clinic, day="2031-05-09", time="14:00")
    assert effect.says == ("Mia is reminded tomorrow at 10am.",)
    added = now_there(id_)
    assert (added.booked_at, added.revision, added.cancelled_at) == (EARLY, 0, None)
    assert f"{added.starts_wall:%d %H:%M}-{added.ends_wall:%H:%M}" == "09 14:00-14:30"
    assert added.starts_on == added.starts_wall.date()
    assert added.external_id.startswith("portal-")
    assert noted(id_) == [("Dana", "added", "", "Friday 9 May 2031, 2pm, North Clinic")]
    run(PASS_AT + timedelta(days=1))
    message = reminder(appointment_id=id_)
    assert message is not None
    assert message.status is Status.QUEUED


def test_within_a_pass_hour_it_goes_within_that_hour(clinic: Clinic) -> None:
    _, effect = add(clinic, PASS_AT + timedelta(minutes=5))
    assert effect.says == ("Mia is reminded today before 11am.",)


def test_after_the_days_reminders_somebody_has_to_text(clinic: Clinic) -> None:
    _, effect = add(clinic, LATE, time="11:00")
    assert effect == Effect(("That day's reminders have gone: text Mia now, once this is saved.",), must_be_told=True)


def test_one_in_the_past_has_no_reminder(clinic: Clinic) -> None:
    _, effect = add(clinic, day="2031-05-06")
    assert effect.says == ("It begins in the past, so no reminder goes.",)


def test_why_none_will_go_is_said(app: Flask) -> None:
    clinic = Clinic(credits=0, business={"sms_reminders": False})
    clinic.book("a", patient={"mobile": None, "preference": Preference.EMAIL})
    _, effect = add(clinic)
    assert effect.says == (
        "No reminder goes, as things stand.",
        "Reminders are switched off for this business. North Clinic sends no appointment reminders.",
        "No mobile number on file. Mia has no phone number.",
        "Mia prefers email. Mia's own preference is Email.",
    )


def test_that_the_template_is_a_draft_is_said(clinic: Clinic) -> None:
    """Not that the type has none."""
    clinic.change(clinic.template, body="{{Foo}}", problem="{{Foo}} is unknown")
    clinic.change(clinic.template, name="Massage (draft)")
    draft = '"Initial consultation" uses "Massage (draft)", a draft that cannot be used: {{Foo}} is unknown'
    _, added = add(clinic, time="11:00")
    assert added.says[1] == f"This appointment type has no SMS template. {draft}"
    assert draft in move_to(clinic, EARLY, time="12:00").says[-1]
    cancel_it(EARLY)
    assert draft in cancel_it(EARLY, cancels=False).says[-1]


@pytest.mark.parametrize(
    ("practice", "heading"),
    [
        ({"sending": Sending.REHEARSAL}, "Sending is off for the whole practice. You are rehearsing"),
        ({"credits": 0}, "Not enough SMS credits. This message needs 1 credit; 0 are left."),
    ],
)
def test_what_holds_for_the_practice_is_said(app: Flask, practice: dict[str, Any], heading: str) -> None:
    clinic = Clinic(**practice)
    clinic.book("a")
    _, effect = add(clinic)
    assert effect.says[1].startswith(heading)


def test_an_opt_out_of_the_number_is_said(clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        session.add(OptOut(source=OptOutSource.REPLY, e164="+61491570006", recorded_at=EARLY))
    assert foresee_booking(clinic.id, 1, asked(clinic), EARLY).effect.says[1].startswith("Mia replied STOP.")


def test_a_form_that_comes_twice_adds_one(clinic: Clinic, app: Flask) -> None:
    form, key = asked(clinic, time="11:00"), made_here_id()
    effect = foresee_booking(clinic.id, 1, form, EARLY).effect
    results = at_once(app, *[lambda: book(clinic.id, 1, form, key, effect.key, DANA, EARLY)] * 2)
    assert len(set(results)) == 1
    assert now_there(results[0]).external_id == key


def test_a_form_that_comes_back_with_another_appointment_is_refused(clinic: Clinic) -> None:
    form, key = asked(clinic, time="11:00"), made_here_id()
    effect = foresee_booking(clinic.id, 1, form, EARLY).effect
    added = book(clinic.id, 1, form, key, effect.key, DANA, EARLY)
    with pytest.raises(AddedAnother, match="has added one already: Thursday 8 May 2031, 11am"):
        book(clinic.id, 1, replace(form, time="11:30"), key, effect.key, DANA, EARLY)
    assert book(clinic.id, 1, form, key, effect.key, DANA, EARLY) == added


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("business", {"business_id": 0}),
        ("business", {"business_id": 99}),
        ("practitioner", {"practitioner_id": 99}),
        ("type", {"type_id": 0}),
        ("day", {"day": ""}),
        ("day", {"day": "8 May"}),
        ("day", {"day": "1031-05-08"}),
        ("time", {"time": ""}),
        ("time", {"time": "25:00"}),
        ("time", {"time": "09:30+10:00"}),
        ("time", {"time": "09:30:15"}),
        ("time", {"day": "2031-10-05", "time": "02:30"}),  # the clocks are put forward from 2am to 3am
    ],
)
def test_what_is_missing_or_cannot_be_is_refused(clinic: Clinic, field: str, values: dict[str, Any]) -> None:
    form = asked(clinic, **values)
    for act in (
        lambda: foresee_booking(clinic.id, 1, form, EARLY),
        lambda: book(clinic.id, 1, form, "", "", DANA, EARLY),
        lambda: foresee_move(clinic.id, 1, form, EARLY),
        lambda: move(clinic.id, 1, form, "", "", DANA, EARLY),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.field == field


def test_of_two_times_that_look_alike_the_form_says_which(clinic: Clinic) -> None:
    """On 6 April 2031 Sydney's clocks go back from 3am to 2am."""
    twice: dict[str, Any] = {"day": "2031-04-06", "time": "02:30"}
    at = PASS_AT - timedelta(days=60)
    with pytest.raises(Twice):
        add(clinic, at, **twice)
    first, _ = add(clinic, at, **twice, which=FIRST)
    second, _ = add(clinic, at, **twice, which=SECOND)
    assert now_there(second).starts_at - now_there(first).starts_at == HOUR
    assert f"{now_there(first).starts_wall:%H:%M}" == f"{now_there(second).starts_wall:%H:%M}" == "02:30"
    # The other of the two is another time.
    assert show_move(clinic.id, first, at).asked.which == FIRST
    move_to(clinic, at, first, **twice, which=SECOND)
    assert (now_there(first).revision, now_there(first).starts_at) == (1, now_there(second).starts_at)
    assert noted(first)[-1][2:] == (
        "Sunday 6 April 2031, 2:30am (first of two)",
        "Sunday 6 April 2031, 2:30am (second of two)",
    )


def test_the_end_counts_real_minutes(clinic: Clinic) -> None:
    """Half an hour from 1:45am, as the clocks go forward from 2am to 3am."""
    id_, _ = add(clinic, day="2031-10-05", time="01:45")
    assert f"{now_there(id_).ends_wall:%H:%M}" == "03:15"


# --- moving -------------------------------------------------------------------------------------------------


def test_before_its_reminder_the_new_time_is_reminded(clinic: Clinic) -> None:
    effect = move_to(clinic, EARLY, day="2031-05-09", time="11:00")
    assert effect.says == ("Mia is reminded tomorrow at 10am.",)
    moved = now_there()
    assert (moved.revision, moved.moved_at) == (1, EARLY)
    assert f"{moved.starts_wall:%d %H:%M}-{moved.ends_wall:%H:%M} {moved.starts_on:%d}" == "09 11:00-11:30 09"
    assert noted() == [("Dana", "time", "Thursday 8 May 2031, 9:30am", "Friday 9 May 2031, 11am")]
    assert run(PASS_AT) == ()
    assert len(run(PASS_AT + timedelta(days=1))) == 1


def test_what_waits_for_the_old_time_is_withdrawn_and_its_credits_come_back(clinic: Clinic) -> None:
    run(PASS_AT)
    assert balance() == 99
    at = PASS_AT + timedelta(minutes=20)
    effect = move_to(clinic, at, time="15:00")
    assert effect.says == (WITHDRAWN, "Mia is reminded today at 11am.")
    old = reminder()
    assert old is not None
    assert (old.status, old.reasons, balance()) == (Status.CANCELLED, (Reason.WITHDRAWN,), 100)
    assert events(old)[-1] == (at, "cancelled", "withdrawn")
    assert len(run(AGAIN)) == 1
    new = reminder(1)
    assert new is not None
    assert (new.status, balance()) == (Status.QUEUED, 99)


def test_the_last_credit_that_comes_back_pays_the_new_reminder(app: Flask) -> None:
    clinic = Clinic(credits=1)
    clinic.book("a")
    run(PASS_AT)
    effect = move_to(clinic, PASS_AT + timedelta(minutes=20), time="15:00")
    assert effect.says == (WITHDRAWN, "Mia is reminded today at 11am.")


def test_after_the_text_the_new_time_is_reminded_anew(clinic: Clinic, line: Line) -> None:
    line.send(run(PASS_AT))
    assert len(line.taken) == 1
    effect = move_to(clinic, AGAIN - timedelta(minutes=30), time="15:00")
    assert effect.says == ("Mia has been texted the old time, today at 10am.", "A new reminder goes today at 11am.")
    line.send(run(AGAIN), AGAIN)
    assert [text.rpartition(" ")[2] for _, text in line.taken] == ["9:30am.", "3:00pm."]
    assert balance() == 98


def test_moved_back_it_is_reminded_once_more(clinic: Clinic, line: Line) -> None:
    line.send(run(PASS_AT))
    move_to(clinic, PASS_AT + timedelta(minutes=10), time="15:00")
    move_to(clinic, PASS_AT + timedelta(minutes=20), time="09:30")
    assert now_there().revision == 2
    line.send(run(AGAIN), AGAIN)
    assert len(line.taken) == 2


def test_moved_after_the_days_reminders_somebody_has_to_text(clinic: Clinic, line: Line) -> None:
    line.send(run(PASS_AT))
    effect = move_to(clinic, LATE, time="15:00")
    assert effect.says == (
        "Mia has been texted the old time, today at 10am.",
        "That day's reminders have gone: text Mia now, once this is saved.",
    )
    assert effect.must_be_told


def test_a_move_to_another_business_is_one_and_goes_by_its_clocks(clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        perth = a_business(session, external_id="2", name="Perth Clinic", timezone="Australia/Perth")
    run(PASS_AT)
    effect = move_to(clinic, PASS_AT + timedelta(minutes=20), business_id=perth.id)
    assert effect.says == (WITHDRAWN, "Mia is reminded today at 10am.")
    moved = now_there()
    assert (moved.revision, moved.timezone, f"{moved.starts_wall:%H:%M}") == (1, "Australia/Perth", "09:30")
    assert moved.starts_at == PASS_AT + timedelta(hours=25, minutes=30)
    assert [change[1:] for change in noted()] == [("business", "North Clinic", "Perth Clinic")]


def test_another_practitioner_or_type_is_no_move(clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        other = a_practitioner(session, external_id="2", first_name="Ana", last_name="Berg")
        longer = a_type(session, None, external_id="2", name="Dry needling", duration_minutes=45)
    run(PASS_AT)
    at = PASS_AT + timedelta(minutes=20)
    effect = move_to(clinic, at, practitioner_id=other.id)
    assert effect.says == ("The text that waits says what holds when it goes.",)
    effect = move_to(clinic, at, practitioner_id=other.id, type_id=longer.id)
    assert effect.says[0] == "The text that waits is held back."
    assert effect.says[1].startswith("This appointment type has no SMS template.")
    changed = now_there()
    assert (changed.revision, f"{changed.ends_wall:%H:%M}") == (0, "10:15")
    message = reminder()
    assert message is not None
    assert message.status is Status.QUEUED
    assert [change[1:] for change in noted()] == [
        ("practitioner", "Dr Helen Marsh", "Dr Ana Berg"),
        ("type", "Initial consultation", "Dry needling"),
    ]


def test_a_longer_appointment_of_the_export_stays_as_long(clinic: Clinic) -> None:
    long = clinic.book("b", minutes=50)
    move_to(clinic, EARLY, long.id, time="11:00")
    assert f"{now_there(long.id).ends_wall:%H:%M}" == "11:50"


def test_nothing_changed_is_nothing_done(clinic: Clinic) -> None:
    assert foresee_move(clinic.id, 1, asked(clinic), EARLY) is None
    assert not move(clinic.id, 1, asked(clinic), "", "", DANA, EARLY)
    assert (noted(), now_there().staff_changed) == ([], None)


# --- cancelling and taking up again -------------------------------------------------------------------------


def test_cancelled_before_its_reminder_none_goes_and_un_cancelled_it_does(clinic: Clinic) -> None:
    assert cancel_it(EARLY).says == (
        "No reminder goes.",
        "The portal does not tell Mia that it is cancelled.",
    )
    assert now_there().cancelled_at == EARLY
    assert run(PASS_AT) == ()
    assert reminder() is None
    assert cancel_it(PASS_AT + timedelta(minutes=20), cancels=False).says == ("Mia is reminded today at 11am.",)
    assert (now_there().cancelled_at, now_there().revision) == (None, 0)
    assert len(run(AGAIN)) == 1
    assert [change[1:] for change in noted()] == [
        ("standing", "stands", "cancelled"),
        ("standing", "cancelled", "stands"),
    ]


def test_cancelled_while_it_waits_it_is_withdrawn_and_taken_up_in_its_row(clinic: Clinic) -> None:
    run(PASS_AT)
    at = PASS_AT + timedelta(minutes=20)
    assert cancel_it(at).says == (WITHDRAWN, "Nothing else tells Mia of it.")
    old = reminder()
    assert old is not None
    assert (old.status, balance()) == (Status.CANCELLED, 100)
    assert cancel_it(at, cancels=False).says == ("Mia is reminded today at 11am.",)
    assert run(AGAIN) == (old.id,)
    assert balance() == 99


def test_cancelled_after_its_reminder_somebody_tells_and_un_cancelled_no_other_goes(
    clinic: Clinic, line: Line
) -> None:
    line.send(run(PASS_AT))
    effect = cancel_it(LATE)
    assert effect.says == (
        "Mia has been reminded of it, today at 10am.",
        "The portal does not tell Mia that it is cancelled: text or ring.",
    )
    assert effect.must_be_told
    effect = cancel_it(LATE, cancels=False)
    assert effect.says == ("Mia has been reminded of it, today at 10am.", "No other goes.")
    assert run(AGAIN) == ()
    assert balance() == 99


def test_un_cancelled_after_the_days_reminders_somebody_has_to_text(clinic: Clinic) -> None:
    cancel_it(EARLY)
    assert cancel_it(LATE, cancels=False).must_be_told


def test_what_is_so_already_is_not_done_again(clinic: Clinic) -> None:
    assert not take_up(clinic.id, 1, "", "", DANA, EARLY)
    cancel_it(EARLY)
    assert not cancel(clinic.id, 1, "", "", DANA, LATE)
    assert now_there().cancelled_at == EARLY
    with pytest.raises(Changed, match="un-cancel it first"):
        move(clinic.id, 1, asked(clinic, time="11:00"), state_of(now_there()), "", DANA, LATE)


def test_a_text_in_the_workers_hands_is_left_to_the_worker(clinic: Clinic) -> None:
    ids = run(PASS_AT)
    with store.transaction(clinic.id) as session:
        store.messages.mark_sending(session, ids, "claim", PASS_AT)
    effect = move_to(clinic, PASS_AT + timedelta(minutes=1), time="15:00")
    assert effect.says[0] == "Mia is being texted the old time this very minute."
    message = reminder()
    assert message is not None
    assert (message.status, balance()) == (Status.SENDING, 99)


# --- two people at once -------------------------------------------------------------------------------------


def test_what_changed_since_the_form_was_opened_is_not_overwritten(clinic: Clinic) -> None:
    form = asked(clinic, time="15:00")
    seen = state_of(now_there())
    foreseen = foresee_move(clinic.id, 1, form, EARLY)
    assert foreseen is not None
    shown = show_cancel(clinic.id, 1, EARLY, cancels=True)
    move_to(clinic, EARLY, time="11:00")
    with pytest.raises(Changed, match="since you opened this page"):
        move(clinic.id, 1, form, seen, foreseen.effect.key, DANA, EARLY)
    with pytest.raises(Changed, match="since you opened this page"):
        cancel(clinic.id, 1, shown.state, shown.effect.key, DANA, EARLY)
    assert f"{now_there().starts_wall:%H:%M}" == "11:00"
    assert now_there().cancelled_at is None


def test_saving_that_would_do_another_thing_than_was_shown_is_refused(clinic: Clinic, line: Line) -> None:
    """The reminder went while the form was open."""
    ids = run(PASS_AT)
    form, at = asked(clinic, time="15:00"), PASS_AT + timedelta(minutes=10)
    foreseen = foresee_move(clinic.id, 1, form, at)
    assert foreseen is not None
    line.send(ids)
    with pytest.raises(Changed, match="Read it once more"):
        move(clinic.id, 1, form, state_of(now_there()), foreseen.effect.key, DANA, at)
    assert now_there().revision == 0


def test_of_two_at_once_one_moves_it(clinic: Clinic, app: Flask) -> None:
    forms = [asked(clinic, time=time) for time in ("11:00", "12:00", "13:00", "14:00")]
    seen = state_of(now_there())

    def mover(form: Asked) -> Callable[[], Any]:
        foreseen = foresee_move(clinic.id, 1, form, EARLY)
        assert foreseen is not None
        key = foreseen.effect.key
        return lambda: move(clinic.id, 1, form, seen, key, DANA, EARLY)

    results = at_once(app, *map(mover, forms))
    assert results.count(True) == 1
    assert sum(isinstance(one, Changed) for one in results) == 3
    assert (now_there().revision, len(noted())) == (1, 1)


def test_nothing_of_another_practice_is_there(clinic: Clinic) -> None:
    other = Clinic("northgate")
    form = asked(other)
    with pytest.raises(NoSuchPatient):
        foresee_booking(other.id, 1, form, EARLY)
    for act in (
        lambda: show_move(other.id, 1, EARLY),
        lambda: foresee_move(other.id, 1, form, EARLY),
        lambda: show_cancel(other.id, 1, EARLY, cancels=True),
    ):
        with pytest.raises(NoSuchAppointment):
            act()
    with pytest.raises(Refused) as refused:
        foresee_move(clinic.id, 1, replace(asked(clinic), practitioner_id=other.practitioner.id), EARLY)
    assert refused.value.field == "practitioner"
