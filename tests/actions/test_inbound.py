"""What replies change at once: whose they are, opt-outs, confirmations, and the portal's own answers."""

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from portal import store
from portal.actions.inbound import LONGEST_TEXT, take_reply
from portal.actions.take_back import take_back
from portal.core.reasons import Reason
from portal.core.reminders import Sending
from portal.core.replies import Meaning
from portal.core.states import Direction, Kind, Status
from portal.store.appointments import Appointment
from portal.store.messages import Message
from portal.store.patients import OptOut, OptOutSource
from portal.store.replies import Reply, ReplySettings
from tests.actions.by_staff import DANA, write
from tests.actions.replies import LATER, MIA, SENDER, an_event, comes_in, message, remind, reply_of
from tests.builders import MOBILES, PASS_AT, Clinic


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    return Clinic(sender=SENDER)


def opt_outs(number: str = MIA) -> list[OptOut]:
    with store.reading("riverside") as session:
        return list(session.scalars(select(OptOut).where(OptOut.e164 == number).order_by(OptOut.id)))


def is_opted_out(number: str = MIA) -> bool:
    return any(one.lifted_at is None for one in opt_outs(number))


def appointment(external_id: str = "a") -> Appointment:
    with store.reading("riverside") as session:
        found = store.appointments.find_appointment(session, external_id)
    assert found
    return found


def answers() -> list[Message]:
    with store.reading("riverside") as session:
        return list(session.scalars(select(Message).where(Message.kind == Kind.AUTO_REPLY).order_by(Message.id)))


def balance() -> int:
    with store.reading("riverside") as session:
        return store.practices.get_practice(session, "riverside").credits


# --- whose it is ----------------------------------------------------------------------------------------------


def test_a_reply_joins_the_conversation_of_the_patient_who_has_the_number(clinic: Clinic) -> None:
    booked = clinic.book("a")
    taken = comes_in("Where do I park?", sms={"num_messages": "2"})
    row = message(taken.message_id)
    assert (row.direction, row.kind, row.status) == (Direction.INBOUND, Kind.REPLY, Status.RECEIVED)
    assert (row.patient_id, row.sender, row.to) == (booked.patient_id, MIA, SENDER)
    assert (row.body, row.segments, row.charged, row.created_at) == ("Where do I park?", 2, 0, LATER)
    reply = reply_of(taken)
    assert (reply.meaning, reply.read_at, taken.to_send, taken.is_forwarded) == (Meaning.OTHER, None, (), False)


def test_a_reply_is_taken_once(clinic: Clinic) -> None:
    clinic.book("a")
    event = an_event("STOP")
    assert take_reply(event, LATER)
    assert take_reply(event, LATER + timedelta(hours=1)) is None
    assert (len(opt_outs()), len(answers())) == (1, 1)


def test_a_familys_phone_waits_until_staff_say_whose_it_is(clinic: Clinic) -> None:
    remind(clinic, "a")
    clinic.book("b", patient={"first_name": "Ben"})
    taken = comes_in("yes")
    assert message(taken.message_id).patient_id is None
    assert reply_of(taken).read_at is None
    assert not appointment("a").is_confirmed and not appointment("b").is_confirmed


def test_who_was_texted_last_is_the_likeliest(clinic: Clinic) -> None:
    remind(clinic, "a")
    clinic.book("b", patient={"first_name": "Ben"})
    clinic.book("c", patient={"first_name": "Cleo", "archived": True})
    with store.reading(clinic.id) as session:
        found = store.replies.list_candidates(session, [MIA])
    assert [one.patient.external_id for one in found[MIA]] == ["a", "b", "c"]


def test_what_never_went_makes_nobody_likely(clinic: Clinic) -> None:
    """A text that was taken back is no text that the patient answers."""
    remind(clinic, "a")
    clinic.book("b", patient={"first_name": "Ben"})
    taken_back = write("The practice is closed.", "b")
    take_back(clinic.id, taken_back, DANA, LATER)
    with store.reading(clinic.id) as session:
        found = store.replies.list_candidates(session, [MIA])[MIA]
    assert [(one.patient.external_id, one.message is not None) for one in found] == [("a", True), ("b", False)]


def test_an_unknown_number_belongs_to_nobody(clinic: Clinic) -> None:
    clinic.book("a")
    taken = comes_in("Hello?", number="+61491570110")
    assert message(taken.message_id).patient_id is None


@pytest.mark.parametrize("named", ["61480000099", "+61480000099"])
def test_numbers_are_known_with_and_without_their_plus_sign(clinic: Clinic, named: str) -> None:
    clinic.book("a")
    assert message(comes_in("hi", to=named, number=f"+{MIA[1:]}").message_id).patient_id


def test_a_sender_that_the_practice_had_before_still_leads_to_it(clinic: Clinic) -> None:
    remind(clinic, "a")
    clinic.change(clinic.practice, sender="Riverside")
    assert take_reply(an_event("STOP"), LATER)
    assert is_opted_out()


def test_what_came_to_nobodys_number_is_not_taken(clinic: Clinic) -> None:
    clinic.book("a")
    assert take_reply(an_event("STOP", to="61480000001"), LATER) is None
    assert not is_opted_out()


@pytest.mark.parametrize(
    "values",
    [
        {"from": None},
        {"from": ""},
        {"to": 61480000099},
        {"message_uuid": None},
        {"message_uuid": "\0"},
        {"text": None},
        {"text": ["STOP"]},
        {"text": "\0\ud800 hello"},
        {"text": "x" * 3 * LONGEST_TEXT},
        {"timestamp": "yesterday"},
        {"timestamp": 12},
        {"timestamp": "0001-01-01T00:00:00"},
        {"timestamp": "2031-05-07T00:20:00"},
        {"sms": None},
        {"sms": {"num_messages": "²"}},
        {"sms": {"num_messages": -1}},
        {"sms": {"num_messages": True}},
        {"from": "Vodafone"},
        {"from": "12345"},
    ],
)
def test_whatever_the_event_holds_is_taken_or_left(clinic: Clinic, values: dict[str, Any]) -> None:
    clinic.book("a")
    take_reply(an_event("hello") | values, LATER)


def test_another_practices_patient_is_not_looked_for(clinic: Clinic) -> None:
    Clinic("northgate", sender="+61480000098").book("a")
    assert message(comes_in("hello").message_id).patient_id is None


# --- opt-outs -------------------------------------------------------------------------------------------------


def test_stop_binds_the_number_at_once_and_has_one_answer(clinic: Clinic) -> None:
    clinic.book("a")
    clinic.book("b", patient={"first_name": "Ben"})
    taken = comes_in("Stop!")
    (opt_out,) = opt_outs()
    assert (opt_out.source, opt_out.patient_id, opt_out.recorded_at) == (OptOutSource.REPLY, None, LATER)
    assert reply_of(taken).opt_out_id == opt_out.id
    (answer,) = answers()
    assert taken.to_send == (answer.id,) and reply_of(taken).answer_id == answer.id
    assert (answer.status, answer.to, answer.charged, balance()) == (Status.QUEUED, MIA, 1, 99)
    assert answer.body == "Riverside: you will get no more texts from us. Text START to get them again."
    assert comes_in("STOP", LATER + timedelta(minutes=1)).to_send == ()
    assert len(opt_outs()) == 1


def test_start_undoes_a_stop_and_what_the_phone_company_reported(clinic: Clinic) -> None:
    clinic.book("a")
    comes_in("STOP")
    with store.transaction(clinic.id) as session:
        session.add(OptOut(source=OptOutSource.CARRIER, e164=MIA, recorded_at=LATER))
    taken = comes_in("start", LATER + timedelta(minutes=5))
    assert not is_opted_out()
    assert reply_of(taken).read_by == "the portal"
    assert answers()[-1].body == "Riverside: you will get our texts again. Text STOP to end them."


def test_start_does_not_lift_what_staff_recorded(clinic: Clinic) -> None:
    booked = clinic.book("a")
    with store.transaction(clinic.id) as session:
        session.add(OptOut(source=OptOutSource.STAFF, patient_id=booked.patient_id, recorded_at=PASS_AT))
    taken = comes_in("START")
    with store.reading(clinic.id) as session:
        assert store.patients.find_staff_opt_out(session, booked.patient_id)
    assert (taken.to_send, reply_of(taken).read_at) == ((), None)


def test_a_yes_lifts_no_opt_out(clinic: Clinic) -> None:
    remind(clinic, "a")
    comes_in("STOP")
    comes_in("Yes", LATER + timedelta(minutes=5))
    assert is_opted_out() and appointment().is_confirmed


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_what_was_sent_last_holds_in_whatever_order_it_comes(clinic: Clinic, order: tuple[int, ...]) -> None:
    clinic.book("a")
    texts = ["STOP", "START", "stop", "start"]
    for at in order:
        comes_in(texts[at], PASS_AT + timedelta(minutes=at))
    assert not is_opted_out()


replies = st.lists(
    st.tuples(
        st.sampled_from(["STOP", "START", "CANCEL", "yes", "can't make it", "HELP", "hello"]),
        st.integers(0, 4).map(lambda minutes: PASS_AT + timedelta(minutes=minutes)),
    ),
    max_size=5,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(replies, st.randoms())
def test_any_order_of_replies_ends_in_the_same_state(clinic_with_mia: Clinic, sent: Any, random: Any) -> None:
    ends = []
    for _ in range(2):
        random.shuffle(sent)
        for text, at in sent:
            comes_in(text, at)
        ends.append((is_opted_out(), appointment().is_confirmed))
        _forget_replies()
    assert ends[0] == ends[1]


@pytest.fixture
def clinic_with_mia(clinic: Clinic) -> Clinic:
    remind(clinic, "a")
    with store.transaction(clinic.id) as session:
        store.practices.lock_practice(session, clinic.id)
        reminder = session.scalars(select(Message)).one()
        reminder.created_at = PASS_AT - timedelta(days=1)
    return clinic


def _forget_replies() -> None:
    with store.transaction("riverside") as session:
        session.execute(delete(Reply))
        session.execute(delete(OptOut))
        row = session.scalars(select(Appointment)).one()
        row.confirmed_at = row.confirmed_revision = None


def test_cancel_alone_is_both_and_staff_are_told(clinic: Clinic) -> None:
    remind(clinic, "a")
    taken = comes_in("CANCEL")
    reply = reply_of(taken)
    assert is_opted_out() and reply.appointment_id == appointment().id
    assert reply.read_at is None
    assert appointment().cancelled_at is None


def test_cancel_please_opts_nobody_out(clinic: Clinic) -> None:
    remind(clinic, "a")
    assert comes_in("cancel please").to_send == ()
    assert not is_opted_out()


# --- confirmations ------------------------------------------------------------------------------------------


def test_a_yes_confirms_the_appointment_of_the_newest_reminder(clinic: Clinic) -> None:
    remind(clinic, "a")
    taken = comes_in("Yes, thanks!")
    assert appointment().is_confirmed and appointment().confirmed_at == LATER
    reply = reply_of(taken)
    assert (reply.appointment_id, reply.read_by, taken.to_send) == (appointment().id, "the portal", ())


@pytest.mark.parametrize(
    ("status", "minutes", "is_confirmed"),
    [
        (Status.SENT, 10, False),
        (Status.DELIVERED, 10, False),
        (Status.UNCONFIRMED, 10, False),
        (Status.UNKNOWN, 10, False),
        (Status.SENT, -10, True),  # before the reminder
        (Status.SENT, 40, True),  # after the yes
    ],
)
def test_a_yes_to_a_later_text_by_staff_is_left_for_them(
    clinic: Clinic, status: Status, minutes: int, is_confirmed: bool
) -> None:
    remind(clinic, "a")
    sent_at = PASS_AT + timedelta(minutes=minutes)
    clinic.change(message(write("Dr Marsh is ill, we will call you.")), status=status, sent_at=sent_at, next_at=None)
    reply = reply_of(comes_in("Ok thanks"))
    assert (appointment().is_confirmed, reply.read_at is not None) == (is_confirmed, is_confirmed)
    assert (reply.appointment_id is not None) is is_confirmed


def test_a_no_to_a_later_text_by_staff_and_a_yes_after_one_to_another_number_are_as_ever(clinic: Clinic) -> None:
    remind(clinic, "a")
    clinic.book("ben", patient={"mobile": MOBILES[2]})
    clinic.change(message(write(to="ben")), status=Status.SENT, sent_at=PASS_AT, next_at=None)
    comes_in("Yes", LATER)
    assert appointment().is_confirmed
    clinic.change(message(write()), status=Status.SENT, sent_at=LATER, next_at=None)
    assert reply_of(comes_in("can't make it", LATER + timedelta(minutes=1))).appointment_id
    assert not appointment().is_confirmed


def test_a_confirmation_is_of_the_time_that_the_reminder_said(clinic: Clinic) -> None:
    remind(clinic, "a")
    clinic.change(appointment(), revision=1)
    taken = comes_in("Yes")
    assert not appointment().is_confirmed
    assert reply_of(taken).read_at is None  # staff look


def test_a_move_takes_the_confirmation_back(clinic: Clinic) -> None:
    remind(clinic, "a")
    comes_in("Yes")
    clinic.change(appointment(), revision=1)
    assert not appointment().is_confirmed


@pytest.mark.parametrize(
    "values",
    [
        {"cancelled_at": PASS_AT},
        {"starts_at": LATER - timedelta(minutes=1)},
    ],
)
def test_a_yes_confirms_nothing_that_is_over_or_cancelled(clinic: Clinic, values: dict[str, datetime]) -> None:
    remind(clinic, "a")
    clinic.change(appointment(), **values)
    comes_in("Yes")
    assert not appointment().is_confirmed


def test_a_yes_without_a_reminder_is_for_staff(clinic: Clinic) -> None:
    clinic.book("a")
    taken = comes_in("Yes")
    assert not appointment().is_confirmed and reply_of(taken).read_at is None


def test_a_no_cancels_nothing_and_takes_a_confirmation_back(clinic: Clinic) -> None:
    remind(clinic, "a")
    comes_in("Yes")
    taken = comes_in("Sorry, can't make it", LATER + timedelta(minutes=5))
    assert not appointment().is_confirmed and appointment().cancelled_at is None
    assert (reply_of(taken).appointment_id, reply_of(taken).read_at) == (appointment().id, None)


# --- the portal's own answers ---------------------------------------------------------------------------------


def test_help_says_who_texts(clinic: Clinic) -> None:
    remind(clinic, "a")
    comes_in("HELP")
    (answer,) = answers()
    assert answer.body == (
        "Riverside texts you about your appointments. Call us on (02) 5550 9325. Text STOP to end these texts."
    )


def test_no_number_gets_more_than_a_few_answers_a_day(clinic: Clinic) -> None:
    clinic.book("a")
    for minute in range(10):
        comes_in("HELP", LATER + timedelta(minutes=minute))
    assert len(answers()) == 3
    comes_in("HELP", LATER + timedelta(days=1, hours=1))
    assert len(answers()) == 4


def test_our_own_senders_are_not_answered(clinic: Clinic) -> None:
    Clinic("northgate", sender="+61480000098")
    assert comes_in("HELP", number="+61480000098").to_send == ()
    assert answers() == []


def test_whoever_wants_no_texts_gets_no_help_by_text(clinic: Clinic) -> None:
    clinic.book("a")
    comes_in("STOP")
    taken = comes_in("HELP", LATER + timedelta(minutes=5))
    assert taken.to_send == ()
    assert (answers()[-1].status, answers()[-1].reasons) == (Status.NOT_SENT, (Reason.OPTED_OUT,))


@pytest.mark.parametrize(
    ("values", "status", "reason"),
    [
        ({"sending": Sending.PAUSED}, Status.NOT_SENT, Reason.SENDING_OFF),
        ({"country": "NZ"}, Status.NOT_SENT, Reason.INVALID_MOBILE_NUMBER),
    ],
)
def test_an_answer_that_may_not_go_says_why(
    clinic: Clinic, values: dict[str, Any], status: Status, reason: Reason
) -> None:
    clinic.book("a")
    clinic.change(clinic.practice, **values)
    taken = comes_in("STOP")
    assert is_opted_out() and taken.to_send == ()
    assert [(one.status, one.reasons) for one in answers()] == [(status, (reason,))]


def test_without_credits_a_stop_holds_and_is_not_confirmed(app: Flask) -> None:
    Clinic(sender=SENDER, credits=0).book("a")
    taken = comes_in("STOP")
    assert is_opted_out() and taken.to_send == ()
    assert [(one.status, one.reasons) for one in answers()] == [(Status.FAILED, (Reason.NO_CREDITS,))]


def test_a_practice_answers_in_its_own_words(clinic: Clinic) -> None:
    clinic.book("a")
    with store.transaction(clinic.id) as session:
        session.add(ReplySettings(stop_text="Adiós.", in_full=False, forward_to="desk@riverside.example"))
    assert comes_in("STOP").is_forwarded
    assert answers()[0].body == "Adiós."


def test_a_search_finds_a_reply_by_its_number_and_its_words(clinic: Clinic) -> None:
    from portal.actions.browse_log import Asked, browse

    taken = comes_in("Where is the car park?", number="+61491570110")
    for search in ("0491 570 110", "car park"):
        page = browse(clinic.id, 10, Asked(search=search), None)
        assert [entry.message.id for entry in page.entries] == [taken.message_id], search


assert MOBILES[0].replace(" ", "").removeprefix("0") == MIA.removeprefix("+61")
