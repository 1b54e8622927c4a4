"""The composer: what it fills in, what it warns of, what stands in the way."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from portal import store
from portal.actions.diagnose import NoSuchAppointment
from portal.actions.patients import NoSuchPatient
from portal.actions.remind import run_pass
from portal.actions.show_message import NoSuchMessage, show_message
from portal.actions.write import Composer, MayNotSend, TextProblem, open_composer
from portal.core.reasons import Reason
from portal.core.reminders import Preference, Sending
from portal.core.states import Direction, Kind, Status
from portal.store.messages import Message
from tests.actions.test_remind import the_log
from tests.builders import MOBILES, PASS_AT, Clinic, a_business, a_patient, a_template, an_appointment
from tests.web.test_today import counted_queries

from .by_staff import DANA, message, patient, practitioner, write

HOUR = timedelta(hours=1)


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    clinic = Clinic()
    clinic.book("a")
    return clinic


def opened(to: str = "a", at: Any = PASS_AT, **options: Any) -> Composer:
    return open_composer("riverside", patient(to).id, options.pop("writer", DANA), at, **options)


def appointment_id(external_id: str = "a") -> int:
    with store.reading("riverside") as session:
        found = store.appointments.find_appointment(session, external_id)
        assert found
        return found.id


def ways(composer: Composer) -> list[Reason | None]:
    return [obstacle.reason for obstacle in composer.stands_in_the_way]


def test_it_opens_empty_and_says_to_whom_it_goes(clinic: Clinic) -> None:
    composer = opened()
    assert (composer.patient, composer.first_name, composer.to) == ("Mia Nguyen", "Mia", "+61491570006")
    assert (composer.text, composer.template_id, composer.templates) == ("", None, ((clinic.template.id, "Short"),))
    assert (composer.country, composer.sender, composer.weighed.credits) == ("AU", "Clinic", 100)
    assert (composer.stands_in_the_way, composer.warning, composer.is_reminder) == ((), "", False)
    assert composer.visit and composer.visit.appointment_id == appointment_id()
    assert composer.form_key != opened().form_key


def test_a_template_is_filled_with_the_next_appointments_details(clinic: Clinic) -> None:
    mia = patient()
    for starts in ("2031-05-06 08:00", "2031-05-20 08:00"):
        own = {"business": clinic.business, "practitioner": clinic.practitioner, "type": clinic.type, "patient": mia}
        with store.transaction(clinic.id) as session:
            an_appointment(session, starts, starts=starts, **own)
    composer = opened(template_id=clinic.template.id)
    assert composer.text == "Hi Mia, see you 08/05/2031 9:30am."
    assert (composer.template_id, composer.warning, composer.is_reminder) == (clinic.template.id, "", False)
    composer = opened(template_id=clinic.template.id, appointment_id=appointment_id("2031-05-20 08:00"))
    assert composer.text == "Hi Mia, see you 20/05/2031 8:00am."


def test_without_an_appointment_what_is_not_known_stays_in_braces_and_cannot_be_sent(clinic: Clinic) -> None:
    body = "Hi {{Patient.FirstName}}, {{ Appointment.Date }} at {{Business.Name}} with {{Practitioner.FullName}}."
    with store.transaction(clinic.id) as session:
        a_patient(session, "new", first_name="Noa", mobile=MOBILES[1])
        template = a_template(session, external_id="2", name="Long", body=body)
    composer = opened("new", template_id=template.id)
    assert composer.text == "Hi Noa, {{Appointment.Date}} at North Clinic with {{Practitioner.FullName}}."
    assert composer.visit is None
    assert composer.warning == (
        "Noa has no appointment ahead: write out what is to stand for "
        "{{Practitioner.FullName}} and {{Appointment.Date}}."
    )
    with pytest.raises(TextProblem):
        write(composer.text, "new")
    assert opened("new", template_id=template.id, text="Hi Noa").warning == ""


def test_of_several_businesses_only_that_is_named_which_saw_the_patient(clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        a_business(session, external_id="2", name="South Clinic")
        a_patient(session, "new", mobile=MOBILES[1])
        template = a_template(session, external_id="2", name="Call", body="Call {{Business.Name}}.")
    clinic.book("past", starts="2031-04-08 09:00")
    assert opened("new", template_id=template.id).text == "Call {{Business.Name}}."
    assert opened("past", template_id=template.id).text == "Call North Clinic."


def test_a_template_that_cannot_be_used_or_is_not_there_fills_nothing(clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        draft = a_template(session, external_id="2", name="Draft", body="{{Foo}}", problem="{{Foo}} is unknown")
    for template_id in (draft.id, 9_999, 0, 2**62):
        composer = opened(template_id=template_id)
        assert (composer.text, composer.template_id) == ("", None)
    assert [name for _, name in composer.templates] == ["Short"]


def test_what_was_typed_goes_before_all_else(clinic: Clinic) -> None:
    id_ = write("Before")
    composer = opened(
        text="Typed\r\n", template_id=clinic.template.id, message_id=id_, appointment_id=appointment_id()
    )
    assert composer.text == "Typed\r\n"
    assert composer.weighed.units == 5


def test_the_appointments_reminder_is_there_to_be_sent_now(clinic: Clinic) -> None:
    composer = opened(appointment_id=appointment_id())
    assert (composer.text, composer.is_reminder) == ("Hi Mia, see you 08/05/2031 9:30am.", True)
    assert composer.template_id == clinic.template.id
    clinic.change(clinic.type, reminder_template_id=None)
    composer = opened(appointment_id=appointment_id())
    assert (composer.text, composer.is_reminder, composer.stands_in_the_way) == ("", True, ())


def test_what_staff_wrote_as_the_reminder_is_there_again(clinic: Clinic) -> None:
    id_ = write("See you at nine.", appointment_id=appointment_id())
    clinic.change(message(id_), status=Status.EXPIRED, reasons=(Reason.DEADLINE_PASSED,), charged=0)
    assert opened(appointment_id=appointment_id()).text == "See you at nine."


def test_a_reminder_that_went_already_becomes_a_text_with_a_warning(clinic: Clinic) -> None:
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clinic.change(the_log()["a"], status=Status.DELIVERED, sent_at=PASS_AT)
    composer = opened(at=PASS_AT + HOUR, appointment_id=appointment_id())
    assert (composer.is_reminder, composer.stands_in_the_way) == (False, ())
    assert composer.warning == "It was sent today at 10am: Mia may get it twice."


@pytest.mark.parametrize(
    ("status", "says"), [(Status.QUEUED, "Its reminder is on its way"), (Status.UNKNOWN, "Its reminder is in doubt")]
)
def test_a_reminder_that_is_out_of_hand_stands_in_the_way(clinic: Clinic, status: Status, says: str) -> None:
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clinic.change(the_log()["a"], status=status)
    composer = opened(appointment_id=appointment_id())
    assert [one.words.heading for one in composer.stands_in_the_way] == [says]
    assert composer.is_reminder


def test_the_same_text_once_more_warns_that_it_went(clinic: Clinic) -> None:
    id_ = write("Call us.")
    clinic.change(message(id_), status=Status.UNDELIVERED, sent_at=PASS_AT)
    composer = opened(at=PASS_AT + 20 * HOUR, message_id=id_)
    assert composer.text == "Call us."
    assert composer.warning == (
        "It was sent yesterday at 10am and reported as not delivered. If that is wrong, Mia gets it twice."
    )


def test_only_a_message_to_this_patient_is_taken_up(clinic: Clinic) -> None:
    clinic.book("b", starts="2031-05-09 09:30")
    theirs = write(to="b")
    with store.transaction(clinic.id) as session:
        reply = Message(
            direction=Direction.INBOUND,
            kind=Kind.REPLY,
            status=Status.RECEIVED,
            reasons=(),
            created_at=PASS_AT,
            body="STOP",
            patient_id=store.patients.find_patient(session, "a").id,  # type: ignore[union-attr]
        )
        session.add(reply)
    for id_ in (theirs, reply.id, 9_999, 2**62):
        with pytest.raises(NoSuchMessage):
            opened(message_id=id_)


def test_it_says_what_stands_in_the_way_and_what_the_patient_wishes(clinic: Clinic) -> None:
    clinic.change(clinic.practice, sending=Sending.REHEARSAL)
    clinic.change(patient(), preference=Preference.NONE, archived=True)
    composer = opened(text="Hi")
    assert ways(composer) == [Reason.SENDING_OFF, Reason.PATIENT_ARCHIVED]
    assert composer.stands_in_the_way[0].words.fix == "Go live"
    assert composer.warning == "Mia wants no reminders; a text that you write goes all the same."


def test_it_says_that_the_credits_do_not_suffice(app: Flask) -> None:
    clinic = Clinic(credits=1)
    clinic.book("a")
    assert ways(opened(text="a" * 160)) == []
    assert ways(opened(text="a" * 161)) == [Reason.NO_CREDITS]


def test_it_opens_for_who_may_text_the_patient_only(clinic: Clinic) -> None:
    assert opened(writer=practitioner(clinic)).patient == "Mia Nguyen"
    with pytest.raises(MayNotSend):
        opened(writer=practitioner(clinic, 9_999))


def test_neither_patients_nor_appointments_of_others_are_shown(clinic: Clinic) -> None:
    Clinic("harbour").book("a")
    theirs = patient("a", "harbour").id
    with pytest.raises(NoSuchPatient):
        open_composer("riverside", theirs, DANA, PASS_AT)
    clinic.book("b", starts="2031-05-09 09:30")
    for id_ in (appointment_id("b"), 9_999, 2**62):
        with pytest.raises(NoSuchAppointment):
            opened(appointment_id=id_)


def test_few_queries_whatever_stands_in_the_way(clinic: Clinic) -> None:
    """Two more are the page's own: who is signed in, and where."""
    clinic.book("past", starts="2031-04-08 09:00")
    helen = practitioner(clinic)
    for name in ("a", "past"):
        id_ = write(to=name)
        clinic.change(message(id_), status=Status.NOT_SENT, reasons=(Reason.PATIENT_ARCHIVED,), charged=0)
        clinic.change(patient(name), archived=True)
        opened(name, writer=helen)
        with counted_queries() as seen:
            composer = opened(name, writer=helen, message_id=id_, template_id=clinic.template.id)
        assert ways(composer) == [Reason.PATIENT_ARCHIVED]
        assert len(seen) - 1 <= 6, "\n".join(seen)  # but for the patient's id, that the test asks
        with counted_queries() as seen:
            assert show_message(clinic.id, id_, PASS_AT, helen.permissions).explained
        assert len(seen) <= 5, "\n".join(seen)
