"""For tests of messages to many: a day on which a practitioner is ill, and one call for each form."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import select

from portal import store
from portal.actions.broadcast_check import Checked, check
from portal.actions.broadcast_recipients import Draft
from portal.actions.broadcast_show import Shown, show_broadcast
from portal.actions.broadcasts import Sent, send
from portal.actions.patients import record_opt_out
from portal.actions.who import Who
from portal.core.broadcasts import Purpose, Whom
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference
from portal.store.messages import Message
from portal.store.patients import Patient
from tests.builders import DAY, MOBILES, PASS_AT, Clinic, a_number, a_patient, an_appointment

DANA = Who(2, "Dana")
THURSDAY = Whom(day=DAY)
ILL = "Hi {{Patient.FirstName}}, Dr Marsh is ill: your {{Appointment.StartTime}} visit cannot take place."
GOES_AT = PASS_AT + timedelta(minutes=2)
_keys = count()


def a_day(clinic: Clinic) -> None:
    """Mia, who comes twice, and Zoë, who prefers email, are reached. Ada has no mobile, Noah opted out, Tom is
    archived, and Ken comes another day."""
    mia = clinic.book("mia", starts="2031-05-08 09:30", patient={"mobile": MOBILES[0]})
    with store.transaction(clinic.id) as session:
        an_appointment(
            session,
            "mia again",
            business=clinic.business,
            practitioner=clinic.practitioner,
            type=clinic.type,
            patient=session.get_one(Patient, mia.patient_id),
            starts="2031-05-08 15:00",
        )
        a_patient(session, "elsewhere", mobile=MOBILES[5], first_name="Ken")
    email = {"first_name": "Zoë", "mobile": MOBILES[1], "preference": Preference.EMAIL}
    clinic.book("zoe", starts="2031-05-08 10:00", patient=email)
    ada = clinic.book("ada", starts="2031-05-08 11:00", patient={"first_name": "Ada", "mobile": None})
    with store.transaction(clinic.id) as session:
        a_number(session, session.get_one(Patient, ada.patient_id), MOBILES[2], PhoneType.HOME)
    noah = clinic.book("noah", starts="2031-05-08 12:00", patient={"first_name": "Noah", "mobile": MOBILES[3]})
    record_opt_out(clinic.id, noah.patient_id, who=DANA, now=PASS_AT)
    clinic.book(
        "tom", starts="2031-05-08 13:00", patient={"first_name": "Tom", "mobile": MOBILES[4], "archived": True}
    )


def draft(text: str = ILL, whom: Whom = THURSDAY, purpose: Purpose = Purpose.CARE, at: str = "") -> Draft:
    return Draft(whom, text, purpose, at)


def look(now: datetime = PASS_AT, practice_id: str = "riverside", **form: Any) -> Checked:
    return check(practice_id, draft(**form), now)


def press(key: str | None = None, now: datetime = PASS_AT, practice_id: str = "riverside", **form: Any) -> Sent:
    """Send it, as from a form of its own where none is named."""
    return send(practice_id, draft(**form), key or f"a-form-{next(_keys):05}", DANA, now)


def shown(broadcast_id: int, at: datetime = PASS_AT, practice_id: str = "riverside") -> Shown:
    return show_broadcast(practice_id, broadcast_id, at, 100)


def texts(practice_id: str = "riverside") -> list[Message]:
    """By id; those that staff wrote."""
    with store.reading(practice_id) as session:
        return list(session.scalars(select(Message).where(Message.own_words).order_by(Message.id)))


def credits(practice_id: str = "riverside") -> int:
    with store.reading(practice_id) as session:
        return store.practices.get_practice(session, practice_id).credits
