"""A text that staff write in the place of one that did not arrive: that one is dealt with."""

from datetime import timedelta

from portal.actions.sweep import sweep
from portal.actions.worklist import look_at_worklist
from tests.builders import PASS_AT, Clinic

from .by_staff import Line, write

HOUR = timedelta(hours=1)


def open_and_done(clinic: Clinic) -> tuple[list[int], list[int]]:
    worklist = look_at_worklist(clinic.practice, PASS_AT + HOUR)
    return [row.message.id for row in worklist.open], [row.message.id for row in worklist.done]


def test_the_one_that_stopped_leaves_the_worklist(clinic: Clinic) -> None:
    first, other = write(), write("Bring your scans, please.")
    assert sweep(PASS_AT + HOUR) == 2
    write("Please call us today.", at=PASS_AT + HOUR, in_place_of=first)
    assert open_and_done(clinic) == ([other], [first])


def test_what_went_or_is_another_patients_or_is_not_there_is_left(clinic: Clinic, line: Line) -> None:
    clinic.book("ben", patient={"mobile": "+61491570110", "first_name": "Ben"})
    went, bens = write(), write(to="ben")
    line.send([went])
    assert sweep(PASS_AT + HOUR) == 1
    for id_ in (went, bens, 10**12):
        write("Please call us today.", at=PASS_AT + HOUR, in_place_of=id_)
    assert open_and_done(clinic) == ([bens], [])
