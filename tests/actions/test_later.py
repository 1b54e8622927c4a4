"""A text to one patient at a set time, or as marketing."""

from datetime import datetime, timedelta

import pytest
from flask import Flask

from portal.actions.patients import record_consent, withdraw_consent
from portal.actions.sweep import take_due
from portal.actions.take_back import take_back
from portal.actions.write import CannotGo, open_composer
from portal.core.broadcasts import NotThen
from portal.core.reasons import Reason
from portal.core.states import Status
from tests.actions.test_remind import balance
from tests.builders import PASS_AT, Clinic

from .by_staff import DANA, Line, message, patient, write

HOUR = timedelta(hours=1)
FRIDAY_9AM = "2031-05-09T09:00"  # PASS_AT is Wednesday, 10am


def due(at: datetime) -> list[int]:
    return [id_ for _, ids, _ in take_due(at) for id_ in ids]


def test_it_goes_at_its_time_and_not_before(clinic: Clinic, line: Line) -> None:
    opened = open_composer(clinic.id, patient().id, DANA, PASS_AT, when=FRIDAY_9AM)
    assert opened.goes == "9am on Friday 9 May"
    id_ = write(when=FRIDAY_9AM)
    then = PASS_AT + 47 * HOUR
    row = message(id_)
    assert (row.status, row.next_at, row.deadline_at) == (Status.QUEUED, then, then + HOUR)
    line.send([id_], at=PASS_AT)
    assert line.taken == []
    assert id_ in due(then)
    line.send([id_], at=then)
    assert [text for _, text in line.taken] == ["Please call us."]


def test_at_a_time_outside_the_hours_it_waits_for_the_morning(clinic: Clinic) -> None:
    id_ = write(when="2031-05-09T22:30")
    assert message(id_).next_at == PASS_AT + 70 * HOUR  # Saturday, 8am


def test_until_then_it_can_be_taken_back(clinic: Clinic, line: Line) -> None:
    before = balance()
    id_ = write(when=FRIDAY_9AM)
    take_back(clinic.id, id_, DANA, PASS_AT + HOUR)
    assert (message(id_).status, balance()) == (Status.CANCELLED, before)


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("2031-05-07T09:59", "has passed"),
        ("2032-05-07T10:00", "60 days"),
        ("tomorrow", "date and a time"),
        ("2031-04-31T10:00", "date and a time"),
    ],
)
def test_a_time_that_cannot_be_is_refused_in_words_and_nothing_is_recorded(
    clinic: Clinic, when: str, says: str
) -> None:
    before = balance()
    with pytest.raises(NotThen, match=says):
        write(when=when)
    assert balance() == before
    assert open_composer(clinic.id, patient().id, DANA, PASS_AT, when=when).when == when  # as it was typed


def test_as_marketing_it_needs_consent_also_when_it_goes(app: Flask, line: Line) -> None:
    clinic = Clinic()
    clinic.book("a")
    mia = patient().id
    with pytest.raises(CannotGo, match="Mia has not agreed to marketing"):
        write("Pilates in June?", is_marketing=True)
    record_consent(clinic.id, mia, "2031-05-03", "form", who=DANA.who, now=PASS_AT)
    id_ = write("Pilates in June?", is_marketing=True, when=FRIDAY_9AM)
    withdraw_consent(clinic.id, mia, "2031-05-08", "rang", who=DANA.who, now=PASS_AT + 24 * HOUR)
    line.send([id_], at=PASS_AT + 47 * HOUR)
    assert line.taken == []
    assert (message(id_).status, message(id_).reasons) == (Status.NOT_SENT, (Reason.NO_CONSENT,))


def test_what_is_written_in_the_place_of_marketing_is_marketing(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    record_consent(clinic.id, patient().id, "2031-05-03", "form", who=DANA.who, now=PASS_AT)
    first = write("Pilates in June?", is_marketing=True)
    assert message(write("Pilates in July?", at=PASS_AT + HOUR, in_place_of=first)).is_marketing
