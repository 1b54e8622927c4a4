"""Possible duplicate patients: who is listed and why, side by side, two people or one, on both databases."""

import re
from datetime import date
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import store
from portal.actions.duplicates import known_as
from portal.actions.remind import run_pass
from portal.core.duplicates import is_similar_name
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference
from portal.core.roles import Role
from portal.store.imported import made_here_id
from portal.store.patients import OptOut, OptOutSource
from tests.builders import MOBILES, PASS_AT, Clinic, a_number, a_patient

from .conftest import sign_in, visitor
from .patients import in_one_line, names, next_page
from .test_today import counted_queries

BORN = date(1980, 5, 4)


@pytest.fixture
def clinic(client: FlaskClient, app: Flask) -> Clinic:
    app.config["WTF_CSRF_ENABLED"] = False
    return Clinic()


def people(clinic: Clinic, *each: dict[str, Any]) -> list[int]:
    with store.transaction(clinic.id) as session:
        return [a_patient(session, f"p{i}", **{"mobile": None} | one).id for i, one in enumerate(each)]


def listed(client: FlaskClient, **asked: str) -> list[tuple[int, int]]:
    page = client.get("/tidy-up/duplicates", query_string=asked).text
    return [(int(one), int(other)) for one, other in re.findall(r'id="pair-(\d+)-(\d+)"', page)]


# --- who is listed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "is_similar"),
    [
        (("Jon", "Smith"), ("John", "Smith"), True),
        (("Mia", "Nguyen"), ("Nguyen", "Mia"), True),
        (("M.", "Nguyen"), ("Mia", "Nguyen"), True),
        (("Zoë", "Müller"), ("Zoe", "Muller"), True),
        (("Mia", ""), ("Mia", "Nguyen"), True),
        (("Maria Ana", "Silva"), ("Maria", "Silva"), True),
        (("Mia", "Nguyen"), ("Noah", "Nguyen"), False),
        (("Mia", "Nguyen"), ("Mia", "Okafor"), False),
        (("", ""), ("Mia", "Nguyen"), False),
        (("Mia", ""), ("", "Nguyen"), False),
    ],
)
def test_names_are_similar_where_one_person_may_have_written_them(
    one: tuple[str, str], other: tuple[str, str], is_similar: bool
) -> None:
    assert is_similar_name(*one, *other) is is_similar
    assert is_similar_name(*other, *one) is is_similar


def test_same_name_and_birth_date_and_one_number_with_similar_names(client: FlaskClient, clinic: Clinic) -> None:
    born = {"date_of_birth": BORN}
    a, b, c, d, e, f, g = people(
        clinic,
        born,
        born | {"first_name": "MIA"},
        {"date_of_birth": date(1981, 5, 4)},  # another Mia
        {"first_name": "Jon", "last_name": "Smith", "mobile": MOBILES[1]},
        {"first_name": "John", "last_name": "Smith", "mobile": "+61 491 570 110"},
        {"first_name": "Ann", "last_name": "Smith", "mobile": MOBILES[1]},  # who lives with them
        {},
    )
    assert listed(client) == [(a, b)]
    assert listed(client, by="number") == [(d, e)]
    page = in_one_line(client.get("/tidy-up/duplicates?by=number").text)
    assert "Listed for a number that both have, and similar names" in page
    assert {c, f, g}.isdisjoint({id_ for pair in listed(client) for id_ in pair})


def test_who_is_two_people_is_not_listed_again(client: FlaskClient, clinic: Clinic) -> None:
    born = {"date_of_birth": BORN}
    a, b, c = people(clinic, born, born, born)
    assert listed(client) == [(a, b), (a, c), (b, c)]
    done = client.post(f"/tidy-up/duplicates/{b}/{a}/two-people")
    assert (done.status_code, done.location) == (303, "/tidy-up/duplicates?two=1")
    assert "It is remembered that they are two people" in client.get(done.location).text
    assert listed(client) == [(a, c), (b, c)]
    client.post(f"/tidy-up/duplicates/{a}/{b}/two-people")
    assert listed(client) == [(a, c), (b, c)]


def test_a_number_of_the_whole_clinic_makes_no_pairs_and_the_lists_go_on(
    client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.web.duplicates.PAGE", 2)
    monkeypatch.setattr("portal.actions.duplicates.AT_ONCE", 3)
    people(clinic, *({"mobile": MOBILES[0]} for _ in range(14)))
    with store.transaction(clinic.id) as session:
        for i in range(9):
            for j in range(2):
                a_patient(
                    session,
                    f"n{i}{j}",
                    mobile=f"0491 571 1{i}0",
                    date_of_birth=BORN if i < 5 else None,
                    first_name=f"Ada{'bcdefghij'[i]}",
                )
    for by, count in (("name", 5), ("number", 4)):
        seen: list[str] = []
        at: str | None = f"/tidy-up/duplicates?by={by}"
        while at:
            page = client.get(at).text
            seen += re.findall(r'id="pair-([\d-]+)"', page)
            at = next_page(page)
        assert len(seen) == len(set(seen)) == count, by
    assert client.get("/tidy-up/duplicates?after=x-9999999999999999999999999&by=name").status_code == 200


# --- side by side, and merged ---------------------------------------------------------------------------------


def test_everything_that_differs_stands_side_by_side(client: FlaskClient, clinic: Clinic) -> None:
    mia = clinic.book("k", patient={"date_of_birth": BORN}).patient_id
    mira = clinic.book(
        "g", patient={"first_name": "Mira", "preference": Preference.NONE, "mobile": MOBILES[0]}
    ).patient_id
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.transaction(clinic.id) as session:
        session.add(OptOut(source=OptOutSource.STAFF, patient_id=mira, recorded_at=PASS_AT))
    page = in_one_line(client.get(f"/tidy-up/duplicates/{mia}/{mira}").text)
    for says in (
        "Their names are similar, and they share 0491 570 006 .",
        "Name , differs Mia Nguyen Mira Nguyen",
        "Born , differs 4 May 1980 not known",
        "Preference , differs the practice's default None",
        "Opt-outs , differs none asked staff for no texts",
        "Both have an appointment tomorrow, 9:30am. If it is the same visit, cancel one of them",
        "Messages 1 message, the last today, 10am 1 message",
    ):
        assert says in page, page


def test_two_are_merged_and_the_old_address_leads_on(client: FlaskClient, clinic: Clinic) -> None:
    kept = clinic.book("k", patient={"date_of_birth": BORN}).patient_id
    gone = clinic.book("g", patient={"date_of_birth": BORN, "mobile": MOBILES[1]}).patient_id
    path = f"/tidy-up/duplicates/{kept}/{gone}"
    for form, says in (
        ({}, "Choose which record stays."),
        ({"keep": "99", "confirm": "yes"}, "Choose which record stays."),
        ({"keep": str(kept)}, "Tick that they are one person: a merge cannot be undone."),
    ):
        refused = client.post(f"{path}/merge", data=form)
        assert refused.status_code == 422
        assert says in refused.text
    done = client.post(f"{path}/merge", data={"keep": str(kept), "confirm": "yes"})
    assert (done.status_code, done.location) == (303, f"/patients/{kept}?done=1#contact")
    page = in_one_line(client.get(done.location).text)
    assert "Done. Merged with the record of Mia Nguyen, patient number g." in page
    assert "0491 570 110" in page
    old = client.get(f"/patients/{gone}")
    assert (old.status_code, old.location) == (303, f"/patients/{kept}")
    assert client.get(path).status_code == 404
    assert client.post(f"{path}/merge", data={"keep": str(kept), "confirm": "yes"}).status_code == 404
    assert names(client.get("/patients").text) == ["Mia Nguyen"]
    lately = in_one_line(client.get("/tidy-up/duplicates").text)
    assert "Mia Nguyen, patient number g, into Mia Nguyen by Dana Owner, today, 10:05am" in lately
    assert listed(client) == []


def test_a_record_that_staff_added_is_known_as_that() -> None:
    assert known_as("4711") == "patient number 4711"
    assert known_as(made_here_id()) == "added in the portal"


def test_of_an_archived_record_and_an_active_one_the_page_asks_whether_the_patient_has_agreed(
    client: FlaskClient, clinic: Clinic
) -> None:
    kept, gone, third = people(clinic, {}, {"archived": True}, {})
    path = f"/tidy-up/duplicates/{kept}/{gone}"
    assert 'name="agreed"' in client.get(path).text
    assert 'name="agreed"' not in client.get(f"/tidy-up/duplicates/{kept}/{third}").text
    form = {"keep": str(kept), "confirm": "yes"}
    refused = client.post(f"{path}/merge", data=form)
    assert refused.status_code == 422
    assert "tick that the patient has agreed to be texted again, or keep that record" in refused.text
    assert client.post(f"{path}/merge", data=form | {"agreed": "yes"}).status_code == 303
    assert "Restored: no longer archived, by Dana Owner: “merged”" in in_one_line(
        client.get(f"/patients/{kept}").text
    )


def test_only_reception_and_owner_of_the_practice_may(client: FlaskClient, clinic: Clinic, app: Flask) -> None:
    a, b = people(clinic, {}, {})
    Clinic("northgate")
    outsider = sign_in(visitor(app), practice_id="northgate")
    practitioner = sign_in(visitor(app), Role.PRACTITIONER)
    form = {"keep": str(a), "confirm": "yes"}
    for someone, status in ((outsider, 404), (practitioner, 403)):
        assert someone.get(f"/tidy-up/duplicates/{a}/{b}").status_code == status
        for act in ("merge", "two-people"):
            assert someone.post(f"/tidy-up/duplicates/{a}/{b}/{act}", data=form).status_code == status
    assert client.get(f"/tidy-up/duplicates/{a}/{a}").status_code == 404
    assert client.post(f"/tidy-up/duplicates/{a}/{a}/two-people").status_code == 404
    reception = sign_in(visitor(app), Role.RECEPTION)
    assert reception.post(f"/tidy-up/duplicates/{a}/{b}/merge", data=form).status_code == 303


@pytest.mark.parametrize("path", ["?by=name&after=1-2", "?by=number&after=1", "/1/2"])
def test_each_page_takes_at_most_8_queries(client: FlaskClient, clinic: Clinic, path: str) -> None:
    people(clinic, *({"date_of_birth": BORN, "mobile": MOBILES[i % 3]} for i in range(9)))
    with store.transaction(clinic.id) as session:
        a_number(session, a_patient(session, "x"), MOBILES[3], PhoneType.HOME, position=1)
    client.get(f"/tidy-up/duplicates{path}")
    with counted_queries() as seen:
        assert client.get(f"/tidy-up/duplicates{path}").status_code == 200
    assert len(seen) <= 8, seen
