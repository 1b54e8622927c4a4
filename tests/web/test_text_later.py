"""A text for later, or as marketing, from the composer's form."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from tests.builders import PASS_AT, Clinic

from .patients import HTMX, in_one_line
from .test_texts import KEY, messages, send, typed


@pytest.fixture
def clinic(client: FlaskClient, enqueued: list[int]) -> Clinic:
    clinic = Clinic()
    clinic.book("a")
    return clinic


def test_it_is_queued_for_its_time_and_its_page_says_so(client: FlaskClient, clinic: Clinic) -> None:
    answer = send(client, "See you at the gym.", at="2031-05-09T09:00")
    assert answer.status_code == 303
    (row,) = messages(clinic)
    assert row.next_at == PASS_AT + timedelta(hours=47)
    assert "9am on Friday 9 May" in in_one_line(client.get(answer.location).text)


def test_a_time_that_cannot_be_is_said_beside_it_and_all_that_was_typed_stays(
    client: FlaskClient, clinic: Clinic
) -> None:
    form = {"form_key": KEY, "text": "See you.", "at": "2031-05-01T09:00", "purpose": "care"}
    for headers in ({}, HTMX):
        answer = client.post("/patients/1/text", data=form, headers=headers)
        page = answer.text
        assert answer.status_code == 422
        assert 'id="at-problem" role="alert">It was not sent. That time has passed' in page
        assert 'value="2031-05-01T09:00" aria-invalid="true"' in page
        assert typed(answer.text) == "See you."
    assert messages(clinic) == []


def test_marketing_without_consent_is_refused_in_words_and_stays_ticked(client: FlaskClient, clinic: Clinic) -> None:
    answer = send(client, "Pilates in June?", purpose="marketing")
    assert answer.status_code == 422
    assert "Mia has not agreed to marketing" in answer.text
    assert 'value="marketing" checked' in answer.text
    assert messages(clinic) == []


def test_a_reminder_by_hand_has_no_other_time(client: FlaskClient, clinic: Clinic) -> None:
    assert 'name="at"' in client.get("/patients/1/text").text
    assert 'name="at"' not in client.get("/patients/1/text?appointment=1").text
