"""The appointments of a day, each with what became of its reminder or what will, on both databases."""

import re
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import store
from portal.actions.remind import run_pass
from portal.core.reminders import Preference
from portal.core.roles import Role
from tests.builders import PASS_AT, Clinic, a_business, a_practice

from .conftest import sign_in, visitor

HOUR = timedelta(hours=1)


def rows(page: str) -> list[str]:
    """Each appointment of the list, as it is read."""
    body = page.partition("<tbody")[2].partition("</tbody>")[0]
    return [
        " ".join(unescape(re.sub(r"<[^>]*>", " ", row)).split())
        for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    ]


def link(page: str, label: str) -> str:
    found = re.search(rf'<a[^>]*href="([^"]*)"[^>]*>[^<]*{label}[^<]*</a>', page)
    assert found, f"no link {label}"
    return unescape(found[1])


def test_before_the_pass_the_list_says_who_will_be_texted_and_what_will_stop_the_others(client: FlaskClient) -> None:
    clinic = Clinic(credits=2)
    clinic.book("a", patient={"first_name": "Ada"})
    clinic.book("b", starts="2031-05-08 10:00", patient={"mobile": None, "preference": Preference.NONE})
    clinic.book("c", starts="2031-05-08 10:30", patient={"first_name": "Cem"})
    clinic.book("d", starts="2031-05-08 11:00", patient={"first_name": "Dan"})
    clinic.book("e", starts="2031-05-08 12:00", cancelled_at=PASS_AT - HOUR)
    clinic.book("f", starts="2031-05-09 09:00")
    assert rows(client.get("/appointments").text) == [
        "9:30am Ada Nguyen Initial consultation ◔ Goes before 11am",
        "10am Mia Nguyen Initial consultation ⊘ Will not go No mobile number on file and 1 more",
        "10:30am Cem Nguyen Initial consultation ◔ Goes before 11am",
        "11am Dan Nguyen Initial consultation ⊘ Will not go Not enough SMS credits",
        "12pm Mia Nguyen Initial consultation (cancelled) ○ No reminder yet The appointment is cancelled",
    ]


def test_a_cancellation_that_is_still_ahead_is_not_told(client: FlaskClient) -> None:
    clinic = Clinic()
    booked = clinic.book("a", cancelled_at=PASS_AT + 3 * HOUR)
    assert "cancelled" not in client.get("/appointments").text
    assert "cancelled" not in client.get(f"/appointments/{booked.id}").text
    assert "Cancelled" not in client.get(f"/patients/{booked.patient_id}").text
    clinic.change(booked, cancelled_at=PASS_AT - HOUR)
    assert "(cancelled)" in client.get("/appointments").text
    assert ", cancelled" in client.get(f"/appointments/{booked.id}").text
    assert "Cancelled" in client.get(f"/patients/{booked.patient_id}").text


def test_after_the_pass_it_says_what_became_of_each_and_what_would_now(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Ada"})
    mended = clinic.book("b", starts="2031-05-08 10:00", patient={"archived": True})
    clinic.book("c", starts="2031-05-08 11:00", patient={"mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.transaction(clinic.id) as session:
        session.get_one(store.patients.Patient, mended.patient_id).archived = False
    assert rows(client.get("/appointments").text) == [
        "9:30am Ada Nguyen Initial consultation ◔ Scheduled",
        "10am Mia Nguyen Initial consultation ◔ Goes today at 11am",
        "11am Mia Nguyen Initial consultation ⊘ Not sent No mobile number on file",
    ]


def test_what_stands_on_no_pass_is_said_so(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a", starts="2031-05-07 16:00")
    (row,) = rows(client.get("/appointments?day=2031-05-07").text)
    assert "The reminders did not run that day" in row


def test_the_days_are_turned_over(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a", starts="2031-05-09 09:00")
    page = client.get("/appointments").text
    assert "No appointments on this day." in page
    page = client.get(link(page, "Friday 9 May")).text
    assert len(rows(page)) == 1
    assert rows(client.get(link(page, "tomorrow")).text) == []


def test_a_full_day_is_paged_and_its_credits_go_on_being_counted(client: FlaskClient) -> None:
    clinic = Clinic(credits=70)
    for number in range(120):
        clinic.book(f"{number:03}", starts=f"2031-05-08 {9 + number // 12:02}:{number % 12 * 5:02}")
    path, shown = "/appointments", []
    for expected in (50, 50, 20):
        page = client.get(path).text
        assert len(rows(page)) == expected
        shown += rows(page)
        if expected == 50:
            path = link(page, "Later that day")
    assert "Later that day" not in page
    assert ["Goes" in row for row in shown] == [True] * 70 + [False] * 50
    assert link(page, "first") == "/appointments?day=2031-05-08"


def test_one_business_is_shown_alone_and_clocks_that_differ_are_named(client: FlaskClient) -> None:
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        perth = a_business(session, external_id="2", name="Perth Clinic", timezone="Australia/Perth")
    clinic.book("a")
    clinic.book("b", business=perth)
    page = client.get("/appointments").text
    assert ["9:30am Sydney" in row for row in rows(page)] == [True, False]
    assert "9:30am Perth" in rows(page)[1]
    alone = client.get(f"/appointments?business={perth.id}").text
    assert len(rows(alone)) == 1
    assert "9:30am Mia" in rows(alone)[0]


@pytest.mark.parametrize(
    "query",
    [
        "day=x",
        "day=2031-02-30",
        "day=0001-01-01",
        "day=9999-12-31",
        "business=x",
        "business=-1",
        "business=" + "9" * 30,
    ],
)
def test_an_address_with_a_slip_is_no_failure(client: FlaskClient, query: str) -> None:
    Clinic().book("a")
    assert client.get(f"/appointments?{query}").status_code == 200


@pytest.mark.parametrize("after", ["x", "1.2", "1.2.3.4", "9" * 30 + ".1.1", "1.x.3"])
def test_a_page_that_is_none_is_not_found(client: FlaskClient, after: str) -> None:
    Clinic().book("a")
    assert client.get(f"/appointments?after={after}").status_code == 404


@pytest.mark.parametrize("id_", ["9", str(2**63 - 1), str(2**63), "x", "-1"])
def test_an_unknown_appointment_is_not_found(client: FlaskClient, id_: str) -> None:
    Clinic().book("a")
    assert client.get(f"/appointments/{id_}").status_code == 404


def test_an_empty_practice_is_told_where_appointments_come_from(client: FlaskClient) -> None:
    a_practice()
    assert ">Import</a> your appointments" in client.get("/appointments").text


def test_another_practices_appointments_are_not_there(app: Flask, at_pass_time: None) -> None:
    clinic = Clinic()
    clinic.book("a")
    Clinic("northgate")
    outsider = sign_in(visitor(app), Role.OWNER, "northgate")
    assert rows(outsider.get("/appointments").text) == []
    assert rows(outsider.get(f"/appointments?business={clinic.business.id}").text) == []
    assert outsider.get("/appointments/1").status_code == 404
