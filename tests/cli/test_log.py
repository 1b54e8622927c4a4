"""`portal log` searches and narrows as the page does."""

from datetime import timedelta

import pytest
from flask import Flask

from portal.actions.remind import run_pass
from tests.builders import PASS_AT, Clinic
from tests.cli.conftest import Portal


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Ada"})
    clinic.book("b", patient={"first_name": "Bea", "mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    clinic.book("c", patient={"first_name": "Cem", "mobile": None, "archived": True}, booked_at=PASS_AT)
    run_pass(clinic.id, PASS_AT + timedelta(hours=1), PASS_AT + timedelta(hours=1))
    return clinic


def found(portal: Portal, *asked: str) -> list[str]:
    return [message["appointment"] for message in portal("log", "--json", *asked).json_lines]


def test_the_log_is_searched_and_narrowed(portal: Portal, clinic: Clinic) -> None:
    for asked, expected in (
        (["--search", "ada"], ["a"]),
        (["--search", "nguyen"], ["a", "b", "c"]),
        (["--search", "nguyen", "--most", "2"], ["b", "c"]),
        (["--search", "570 006"], ["a"]),
        (["--search", '"; DROP'], []),
        (["--reason", "no-mobile-number"], ["b", "c"]),
        (["--reason", "patient-archived"], ["c"]),
        (["--business", "1"], ["a", "b", "c"]),
        (["--business", "2"], []),
        (["--kind", "manual"], []),
        (["--direction", "outbound", "--search", "bea"], ["b"]),
        (["--from", "2031-05-07", "--to", "2031-05-07"], ["a", "b", "c"]),
        (["--from", "2031-05-08"], []),
        (["--to", "2031-05-06"], []),
    ):
        assert found(portal, *asked) == expected, asked


def test_people_read_what_was_found_and_where_nothing_was(portal: Portal, clinic: Clinic) -> None:
    assert "Ada Nguyen" in portal("log", "--search", "ada").out
    assert "Bea" not in portal("log", "--search", "ada").out
    assert portal("log", "--search", "zebra").out.rstrip().endswith("Nothing was found.")


@pytest.mark.parametrize(
    "wrong", [["--reason", "nix"], ["--reason", "booked-too-late"], ["--from", "7 May"], ["--kind", "x"]]
)
def test_what_cannot_be_asked_is_wrong_usage(portal: Portal, clinic: Clinic, wrong: list[str]) -> None:
    assert portal("log", *wrong).code == 2
