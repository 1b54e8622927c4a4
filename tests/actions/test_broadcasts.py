"""Messages to many: whom they reach, what they cost, that nobody gets one twice, and how they are taken back."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions.broadcast_recipients import DraftProblem
from portal.actions.broadcasts import NoSuchBroadcast, take_back
from portal.actions.patients import record_consent, withdraw_consent
from portal.actions.stop import withdraw
from portal.actions.sweep import take_due
from portal.core.broadcasts import Purpose, State, Whom
from portal.core.reasons import Reason
from portal.core.reminders import Sending
from portal.core.states import Status
from portal.store.appointments import Appointment
from tests.builders import DAY, MOBILES, PASS_AT, Clinic, a_business, a_patient, a_practitioner

from .broadcasting import DANA, GOES_AT, THURSDAY, a_day, credits, look, press, shown, texts
from .by_staff import Line, at_once, patient

EVERYBODY = Whom()


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    clinic = Clinic()
    a_day(clinic)
    return clinic


def went(clinic: Clinic) -> list[str]:
    return [f"{one.to}: {one.body}" for one in texts(clinic.id)]


# --- whom it reaches ------------------------------------------------------------------------------------------


def test_before_it_is_sent_all_is_said(clinic: Clinic) -> None:
    said = look()
    assert said.whom == "Everybody with an appointment tomorrow"
    assert said.example == "Hi Mia, Dr Marsh is ill: your 9:30am visit cannot take place."
    assert (said.reached, said.texts, said.cost, said.balance, said.not_reached) == (2, 2, 2, 100, 3)
    assert (said.goes, said.is_put_off) == ("10:02am today", False)
    assert [(group.reason, group.count, [one.name for one in group.people]) for group in said.left_out] == [
        (Reason.NO_MOBILE_NUMBER, 1, ["Ada Nguyen"]),
        (Reason.OPTED_OUT, 1, ["Noah Nguyen"]),
        (Reason.PATIENT_ARCHIVED, 1, ["Tom Nguyen"]),
    ]
    words = said.left_out[0].people[0].told[0].words
    assert (words.fix, words.place) == ("File it as Mobile", f"/patients/{patient('ada').id}")
    assert texts() == [] and credits() == 100


def test_each_patient_gets_one_text_and_who_prefers_email_too(clinic: Clinic) -> None:
    sent = press()
    assert sent.is_recorded
    assert went(clinic) == [
        "+61491570006: Hi Mia, Dr Marsh is ill: your 9:30am visit cannot take place.",
        "+61491570110: Hi Zoë, Dr Marsh is ill: your 10:00am visit cannot take place.",
    ]
    assert {(one.status, one.next_at, one.enqueued_at, one.written_by) for one in texts()} == {
        (Status.QUEUED, GOES_AT, None, "Dana")
    }
    assert credits() == 98
    after = shown(sent.broadcast_id)
    assert (after.row.state, after.by_status, after.credits) == (State.WAITING, {Status.QUEUED: 2}, 2)
    assert [(one.name, [told.reason for told in one.told]) for one in after.unreached] == [
        ("Ada Nguyen", [Reason.NO_MOBILE_NUMBER]),
        ("Noah Nguyen", [Reason.OPTED_OUT]),
        ("Tom Nguyen", [Reason.PATIENT_ARCHIVED]),
    ]


def test_only_the_practitioners_own_and_only_what_stands(clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        other = a_practitioner(session, external_id="2", first_name="Ken", last_name="Sato")
    own = {"first_name": "Leila", "mobile": MOBILES[5]}
    booked = clinic.book("leila", starts="2031-05-08 16:00", patient=own, practitioner=other)
    of_ken = replace(THURSDAY, practitioner_id=other.id)
    assert look(whom=of_ken).whom == "Everybody with an appointment tomorrow with Dr Ken Sato"
    assert look(whom=of_ken).reached == 1
    assert look(whom=replace(THURSDAY, practitioner_id=clinic.practitioner.id)).reached == 2
    clinic.change(booked, cancelled_at=PASS_AT - timedelta(hours=1))
    with pytest.raises(DraftProblem, match="Nobody is found so"):
        look(whom=of_ken)
    # Whoever cancelled the visits first, still tells the patients.
    assert look(whom=replace(of_ken, with_cancelled=True)).reached == 1


def test_a_cancelled_visit_does_not_withdraw_what_says_so(clinic: Clinic, line: Line) -> None:
    press()
    with store.transaction(clinic.id) as session:
        store.practices.lock_practice(session, clinic.id)
        for row in session.scalars(select(Appointment)):
            row.cancelled_at = PASS_AT
        withdraw(session, clinic.id, [row.id for row in session.scalars(select(Appointment))], PASS_AT)
    line.send([one.id for one in texts()], GOES_AT)
    assert len(line.taken) == 2


def test_a_family_at_one_number_gets_one_of_the_same_words_and_each_their_own(app: Flask) -> None:
    clinic = Clinic()
    for name in ("Mia", "Ken"):
        clinic.book(name, patient={"first_name": name, "mobile": MOBILES[0]})
    named = press(text="Hi {{Patient.FirstName}}, we are closed.")
    assert shown(named.broadcast_id).by_status == {Status.QUEUED: 2}
    assert (len(texts()), credits()) == (2, 98)
    said = look(text="We are closed.")
    assert (said.reached, said.texts, said.cost) == (2, 1, 1)
    same = press(text="We are closed.")
    assert (len(texts()), credits()) == (3, 97)
    assert shown(same.broadcast_id).by_status == {Status.QUEUED: 2}  # both are reached by it


def test_patients_are_chosen_by_where_and_when_they_were_seen(clinic: Clinic) -> None:
    long_ago = clinic.book("old", starts="2030-01-05 09:00", patient={"first_name": "Old", "mobile": MOBILES[2]})
    with store.transaction(clinic.id) as session:
        south = a_business(session, external_id="2", name="South Clinic")
    clinic.book(
        "south", business=south, starts="2031-05-01 09:00", patient={"first_name": "Sue", "mobile": MOBILES[4]}
    )
    text = "We move to Elm Street."
    everybody = look(text=text, whom=EVERYBODY)
    assert (everybody.whom, everybody.reached) == ("All patients", 5)  # Mia, Zoë, Ken, Old and Sue
    assert [group.reason for group in everybody.left_out] == [Reason.NO_MOBILE_NUMBER, Reason.OPTED_OUT]
    since = Whom(seen_since=DAY.replace(month=1, day=1))
    assert (look(text=text, whom=since).whom, look(text=text, whom=since).reached) == (
        "Patients seen since Wednesday 1 January 2031",
        1,
    )
    assert look(text=text, whom=Whom(business_id=south.id)).whom == "Patients at South Clinic"
    assert look(text=text, whom=Whom(business_id=south.id)).reached == 1
    of = Whom(seen_since=long_ago.starts_on, practitioner_id=clinic.practitioner.id)
    assert look(text=text, whom=of).reached == 2


@pytest.mark.parametrize(
    ("form", "field", "says"),
    [
        ({"text": " "}, "text", "Write the text first."),
        ({"text": "Hi {{Patient.Name}}"}, "text", "is not a placeholder: did you mean"),
        (
            {"text": "At {{Appointment.StartTime}}", "whom": EVERYBODY},
            "text",
            "cannot be filled in for these patients",
        ),
        ({"text": "x" * 2000}, "text", "shorten it"),
        ({"purpose": None}, "purpose", "Say whether it is about care, or marketing."),
        ({"at": "2031-05-07T09:59"}, "at", "That time has passed"),
        ({"at": "2031-09-07T09:59"}, "at", "more than 60 days ahead"),
        ({"at": "tomorrow"}, "at", "Type the time"),
        ({"whom": Whom(day=DAY + timedelta(days=1))}, "whom", "Nobody is found so"),
    ],
)
def test_what_cannot_be_sent_is_said_with_the_field_to_mend(
    clinic: Clinic, form: dict[str, object], field: str, says: str
) -> None:
    for act in (look, press):
        with pytest.raises(DraftProblem, match=says) as refused:
            act(**form)
        assert refused.value.field == field
    assert texts() == []


# --- consent, credits, the main switch ------------------------------------------------------------------------


def test_marketing_reaches_only_who_agreed_and_asks_once_more_when_it_goes(clinic: Clinic, line: Line) -> None:
    for name in ("mia", "zoe"):
        record_consent(clinic.id, patient(name).id, "2031-05-03", "form", who=DANA, now=PASS_AT)
    form = {"text": "Pilates in June, {{Patient.FirstName}}?", "whom": EVERYBODY, "purpose": Purpose.MARKETING}
    said = look(**form)
    assert said.reached == 2
    refused = next(group for group in said.left_out if group.reason is Reason.NO_CONSENT)
    assert [one.name for one in refused.people] == ["Ken Nguyen"]
    press(**form)
    withdraw_consent(clinic.id, patient("mia").id, "2031-05-07", "rang", who=DANA, now=PASS_AT)
    line.send([one.id for one in texts()], GOES_AT)
    assert [to for to, _ in line.taken] == ["61491570110"]
    assert [(one.status, one.reasons) for one in texts()] == [
        (Status.NOT_SENT, (Reason.NO_CONSENT,)),
        (Status.SENT, ()),
    ]
    assert credits() == 99


def test_who_does_not_fit_into_the_credits_is_said_before(app: Flask) -> None:
    clinic = Clinic(credits=1)
    a_day(clinic)
    said = look()
    assert (said.reached, said.cost, said.balance) == (1, 1, 1)
    assert [(group.reason, group.count) for group in said.left_out][-1] == (Reason.NO_CREDITS, 1)
    press()
    assert went(clinic) == ["+61491570006: Hi Mia, Dr Marsh is ill: your 9:30am visit cannot take place."]
    assert credits() == 0


def test_while_sending_is_off_nobody_is_reached_and_that_is_said_once(clinic: Clinic) -> None:
    clinic.change(clinic.practice, sending=Sending.PAUSED)
    said = look()
    assert (said.reached, said.cost) == (0, 0)
    assert [(group.reason, group.count) for group in said.left_out] == [(Reason.SENDING_OFF, 5)]
    assert said.left_out[0].says and said.left_out[0].says.fix == "Switch on"


# --- when it goes ---------------------------------------------------------------------------------------------


def test_at_a_set_time_and_out_of_hours_in_the_morning(clinic: Clinic) -> None:
    assert look(now=PASS_AT + timedelta(seconds=1)).goes == "10:03am today"  # a full minute, after the pause
    evening = PASS_AT.replace(hour=11, minute=30)  # 9:30pm in Sydney
    said = look(now=evening)
    assert (said.goes, said.is_put_off) == ("8am tomorrow", True)
    assert look(at="2031-05-07T15:20").goes == "3:20pm today"
    set_ = look(at="2031-05-08T06:00")
    assert (set_.goes, set_.is_put_off) == ("8am tomorrow", True)
    press(now=evening)
    assert [one.next_at for one in texts()] == [PASS_AT + timedelta(hours=22)] * 2


def test_the_sweep_hands_the_texts_to_the_workers_when_their_time_has_come(clinic: Clinic, line: Line) -> None:
    press()
    ids = [one.id for one in texts()]
    line.send(ids, GOES_AT - timedelta(seconds=1))
    assert line.taken == []
    assert list(take_due(GOES_AT - timedelta(seconds=1))) == []
    assert list(take_due(GOES_AT)) == [(clinic.id, ids, False)]
    line.send(ids, GOES_AT)
    assert len(line.taken) == 2


def test_what_is_left_when_the_hours_end_waits_for_the_morning(clinic: Clinic, line: Line) -> None:
    evening = PASS_AT.replace(hour=10, minute=57)  # 8:57pm in Sydney
    press(now=evening)
    line.send([one.id for one in texts()], PASS_AT.replace(hour=11, minute=0))
    assert line.taken == []
    morning = PASS_AT + timedelta(hours=22)
    assert {(one.status, one.next_at) for one in texts()} == {(Status.QUEUED, morning)}
    line.send([one.id for one in texts()], morning)
    assert len(line.taken) == 2


# --- twice, taken back, two practices -------------------------------------------------------------------------


def test_a_form_that_is_sent_twice_writes_once(app: Flask, clinic: Clinic) -> None:
    assert press("the-same-form") == press("the-same-form")
    results = at_once(app, *[lambda: press("another-form")] * 4)
    assert len(set(results)) == 1
    assert len(texts()) == 4
    with pytest.raises(DraftProblem, match="without its number"):
        press("short")


def test_taken_back_before_anything_went(clinic: Clinic, line: Line) -> None:
    sent = press()
    take_back(clinic.id, sent.broadcast_id, DANA, PASS_AT + timedelta(minutes=1))
    take_back(clinic.id, sent.broadcast_id, DANA, PASS_AT + timedelta(minutes=1))
    assert credits() == 100
    after = shown(sent.broadcast_id)
    assert (after.row.state, after.by_status, after.credits) == (State.TAKEN_BACK, {Status.CANCELLED: 2}, 0)
    assert after.row.broadcast.taken_back_by == "Dana"
    line.send([one.id for one in texts()], GOES_AT)
    assert line.taken == []


def test_taken_back_after_some_went(clinic: Clinic, line: Line) -> None:
    sent = press()
    line.send([texts()[0].id], GOES_AT)
    assert shown(sent.broadcast_id, GOES_AT).row.state is State.GOING
    take_back(clinic.id, sent.broadcast_id, DANA, GOES_AT)
    after = shown(sent.broadcast_id, GOES_AT)
    assert after.by_status == {Status.SENT: 1, Status.CANCELLED: 1}
    assert (credits(), after.credits) == (99, 1)
    line.send([one.id for one in texts()], GOES_AT)
    assert len(line.taken) == 1


def test_what_is_done_cannot_be_taken_back(clinic: Clinic, line: Line) -> None:
    sent = press()
    line.send([one.id for one in texts()], GOES_AT)
    take_back(clinic.id, sent.broadcast_id, DANA, GOES_AT)
    assert shown(sent.broadcast_id, GOES_AT).row.state is State.DONE


def test_two_practices_know_nothing_of_each_other(clinic: Clinic) -> None:
    theirs = Clinic("northgate")
    with store.transaction(theirs.id) as session:
        a_patient(session, "x", mobile=MOBILES[0])
    sent = press()
    press(practice_id="northgate", text="We are closed.", whom=EVERYBODY)
    assert len(texts("northgate")) == 1
    for act in (
        lambda: shown(sent.broadcast_id, practice_id="northgate"),
        lambda: take_back("northgate", sent.broadcast_id, DANA, PASS_AT),
    ):
        with pytest.raises(NoSuchBroadcast):
            act()
    # Nor are another practice's rows a filter.
    with pytest.raises(DraftProblem, match="Nobody is found"):
        look(practice_id="northgate", text="Hello.", whom=Whom(practitioner_id=clinic.practitioner.id))
