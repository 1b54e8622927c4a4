"""A text that staff write in the place of one that did not arrive: that one is dealt with."""

from datetime import timedelta

import pytest
from flask import Flask

from portal import store
from portal.actions.patients import record_consent, withdraw_consent
from portal.actions.sweep import sweep
from portal.actions.take_back import take_back
from portal.actions.worklist import look_at_worklist, mark_dealt_with
from portal.actions.write import CannotGo, open_composer
from portal.core.broadcasts import Purpose, Whom
from portal.store.changes import Subject
from tests.builders import PASS_AT, Clinic

from .broadcasting import press, texts
from .by_staff import DANA, Line, patient, write

HOUR = timedelta(hours=1)


def open_and_done(clinic: Clinic) -> tuple[list[int], list[int]]:
    worklist = look_at_worklist(clinic.practice, PASS_AT + HOUR)
    return [row.message.id for row in worklist.open], [row.message.id for row in worklist.done]


def test_the_one_that_stopped_leaves_the_worklist(clinic: Clinic) -> None:
    first, other = write(), write("Bring your scans, please.")
    assert sweep(PASS_AT + HOUR) == 2
    write("Please call us today.", at=PASS_AT + HOUR, in_place_of=first)
    assert open_and_done(clinic) == ([other], [first])


def test_it_is_back_once_what_went_in_its_place_is_taken_back(clinic: Clinic) -> None:
    first, other = write(), write("Bring your scans, please.")
    assert sweep(PASS_AT + HOUR) == 2
    mark_dealt_with(clinic.id, other, DANA.who, PASS_AT)
    instead = write("Please call us today.", at=PASS_AT + HOUR, in_place_of=first)
    assert open_and_done(clinic)[0] == []
    take_back(clinic.id, instead, DANA, PASS_AT + HOUR)
    assert open_and_done(clinic) == ([first], [other])
    with store.reading(clinic.id) as session:
        changes = store.changes.list_changes(session, Subject.MESSAGE, first)
    assert [(one.before, one.after) for one in changes] == [
        ("dealt with", "to deal with"),
        ("to deal with", "dealt with"),
    ]


def test_what_goes_in_the_place_of_what_was_taken_back_replaces_the_same(clinic: Clinic) -> None:
    first, at = write(), PASS_AT + HOUR
    assert sweep(at) == 1
    instead = first
    for _ in range(3):
        at += timedelta(minutes=1)
        instead = write("Please call us today.", at=at, in_place_of=instead)
        assert open_and_done(clinic) == ([], [first])
        take_back(clinic.id, instead, DANA, at)
        assert open_and_done(clinic) == ([first], [])


def test_what_went_or_is_another_patients_or_is_not_there_is_left(clinic: Clinic, line: Line) -> None:
    clinic.book("ben", patient={"mobile": "+61491570110", "first_name": "Ben"})
    went, bens = write(), write(to="ben")
    line.send([went])
    assert sweep(PASS_AT + HOUR) == 1
    for id_ in (went, bens, 10**12):
        write("Please call us today.", at=PASS_AT + HOUR, in_place_of=id_)
    assert open_and_done(clinic) == ([bens], [])


def test_in_the_place_of_marketing_consent_is_asked_as_well(app: Flask, line: Line) -> None:
    clinic = Clinic()
    clinic.book("a")
    mia = patient().id
    record_consent(clinic.id, mia, "2031-05-03", "form", who=DANA.who, now=PASS_AT)
    press(text="Pilates in June?", whom=Whom(), purpose=Purpose.MARKETING)
    withdraw_consent(clinic.id, mia, "2031-05-07", "rang", who=DANA.who, now=PASS_AT)
    (marketing,) = texts()
    line.send([marketing.id], PASS_AT + HOUR)
    in_the_way = open_composer(clinic.id, mia, DANA, PASS_AT + HOUR, message_id=marketing.id).stands_in_the_way
    assert [one.words.heading for one in in_the_way] == ["Mia has not agreed to marketing"]
    with pytest.raises(CannotGo, match="Mia has not agreed to marketing"):
        write("Pilates in June?", at=PASS_AT + HOUR, in_place_of=marketing.id)
    assert open_composer(clinic.id, mia, DANA, PASS_AT + HOUR).stands_in_the_way == ()
