"""For tests of texts that staff send."""

from collections.abc import Iterator

import pytest
from flask import Flask

from portal.actions.remind import run_pass
from tests.builders import PASS_AT, Clinic

from .by_staff import Line, a_line


@pytest.fixture
def line() -> Iterator[Line]:
    with a_line() as line:
        yield line


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    """Mia's appointment tomorrow, whose reminder is queued."""
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    return clinic
