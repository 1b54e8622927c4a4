"""The communications log and a message's page, on both databases."""

import logging
import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from portal import store
from portal.actions.account import account_refused
from portal.actions.remind import run_pass
from portal.actions.stop import withdraw
from portal.core.reminders import Sending
from portal.core.roles import Role
from portal.store.database import db
from portal.web import HEADERS
from tests.builders import MOBILES, PASS_AT, Clinic, a_practice

from .conftest import sign_in, visitor

HOUR = timedelta(hours=1)


def rows(page: str) -> list[str]:
    """The patients listed, in their order."""
    return re.findall(r'class="who"><a href="[^"]*">([^<]*)</a>', page)


def link(page: str, label: str) -> str:
    found = re.search(rf'<a[^>]*href="([^"]*)"[^>]*>{label}</a>', page)
    assert found, f"no link {label}"
    return found[1].replace("&amp;", "&")


def ids(client: FlaskClient, path: str = "/communications") -> list[int]:
    return [int(found) for found in re.findall(r'class="who"><a href="/communications/(\d+)', client.get(path).text)]


def test_an_id_from_below_or_above_all_others_is_no_error(client: FlaskClient) -> None:
    a_practice()
    for before in ("-99999999999999999999", "0", "99999999999999999999"):
        assert client.get(f"/communications?before={before}").status_code == 200


def test_the_log_shows_each_message_with_its_outcome_and_first_reason(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Ada"})
    clinic.book("b", patient={"first_name": "Bea", "mobile": None, "archived": True})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    page = client.get("/communications").text
    assert rows(page) == ["Bea Nguyen", "Ada Nguyen"]
    assert "Scheduled" in page
    assert '<span class="number" title="+61491570006">0491 570 006</span>' in page
    assert "No mobile number on file" in page
    assert "and 1 more" in page
    assert "tomorrow, 9:30am" in page


def test_the_log_is_paged_by_50_and_no_message_is_shown_twice(client: FlaskClient) -> None:
    clinic = Clinic(credits=200)
    for number in range(120):
        clinic.book(f"{number:03}")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    shown: list[int] = []
    path = "/communications"
    for expected in (50, 50, 20):
        found = ids(client, path)
        assert len(found) == expected
        shown += found
        page = client.get(path).text
        if expected == 50:
            path = link(page, "Older messages")
    assert "Older messages" not in page
    assert link(page, "Newest") == "/communications"
    assert shown == sorted(shown, reverse=True)
    assert len(set(shown)) == 120


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("ada", ["Ada Nguyen"]),
        ("nguyen see", ["Bea Nguyen", "Ada Nguyen"]),
        ("9:30am", ["Ada Nguyen"]),
        ("0491 570 110", ["Bea Nguyen"]),
        ("570110", ["Bea Nguyen"]),
        ("guyen", []),
        ("%", ["Cem Yilmaz", "Bea Nguyen", "Ada Nguyen"]),
        ("yılmaz", ["Cem Yilmaz"]),
        ("<script>", []),
    ],
)
def test_the_search_finds_beginnings_of_words_and_ends_of_numbers(
    client: FlaskClient, asked: str, found: list[str]
) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Ada"})
    clinic.book("b", starts="2031-05-08 10:00", patient={"first_name": "Bea", "mobile": MOBILES[1]})
    clinic.book("c", patient={"first_name": "Cem", "last_name": "Yilmaz", "mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert sorted(rows(client.get("/communications", query_string={"q": asked}).text)) == sorted(found)


def test_the_search_finds_a_message_by_its_number(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a")
    clinic.book("b")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    newest, oldest = ids(client)
    assert ids(client, f"/communications?q={oldest}") == [oldest]
    assert newest != oldest


def test_the_log_is_narrowed_to_an_outcome(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Ada"})
    clinic.book("b", patient={"first_name": "Bea", "mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert rows(client.get("/communications?status=not-sent").text) == ["Bea Nguyen"]
    assert rows(client.get("/communications?status=not-sent&q=ada").text) == []
    assert len(rows(client.get("/communications?status=nonsense").text)) == 2


def test_scripts_get_the_same_fragment_that_the_page_includes(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    page = client.get("/communications?q=mia").text
    fragment = client.get("/communications?q=mia", headers={"HX-Request": "true", "HX-Request-Type": "partial"})
    assert fragment.text.strip() in page
    assert fragment.text.lstrip().startswith('<section id="rows"')


def test_a_message_tells_what_happened_why_and_what_holds_now(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    (message_id,) = ids(client)
    page = client.get(f"/communications/{message_id}").text
    assert "Mia Nguyen was not texted about the appointment tomorrow, 9:30am: no mobile number on file." in page
    assert "Mia has no phone number." in page
    assert "Add as Mobile" in page
    assert "today, 10am" in page
    assert "Next try: today at 11am, if nothing above is crossed." in page


def test_a_message_shows_its_text_cost_and_number(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "M" * 150})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    (message_id,) = ids(client)
    page = re.sub(r"\s+", " ", client.get(f"/communications/{message_id}").text)
    assert "2 parts · 2 credits taken" in page
    assert "see you 08/05/2031 9:30am." in page
    assert f"<dt>Message number</dt><dd>{message_id}</dd>" in page


def test_a_withdrawn_message_leads_to_the_reminder_of_the_new_time(client: FlaskClient) -> None:
    clinic = Clinic()
    appointment = clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    (old,) = ids(client)
    clinic.change(
        appointment,
        revision=1,
        moved_at=PASS_AT,
        starts_wall=appointment.starts_wall + 2 * HOUR,
        starts_at=appointment.starts_at + 2 * HOUR,
    )
    with store.transaction(clinic.id) as session:
        store.practices.lock_practice(session, clinic.id)
        withdraw(session, clinic.id, [appointment.id], PASS_AT)
    assert "Show the new reminder" not in client.get(f"/communications/{old}").text
    run_pass(clinic.id, PASS_AT + HOUR, PASS_AT + HOUR)
    new = max(ids(client))
    page = client.get(f"/communications/{old}").text
    assert "The appointment was moved to tomorrow 11:30am." in page
    assert "about the appointment at its former time was withdrawn" in page
    assert link(page, "Show the new reminder") == f"/communications/{new}"
    assert "What holds now" not in page


def test_hostile_names_and_texts_are_shown_as_text(client: FlaskClient) -> None:
    clinic = Clinic()
    name = "<script>alert(1)</script>{{ 7*7 }}"
    clinic.book("<b>a", patient={"first_name": name, "last_name": '"><img src=x onerror=alert(2)>'})
    clinic.book("b", patient={"first_name": name, "mobile": "<i>0491</i>"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    for path in ["/communications", *(f"/communications/{id_}" for id_ in ids(client))]:
        page = client.get(path, query_string={"q": ""}).text
        assert "&lt;script&gt;" in page
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "<i>" not in page
        assert "{{ 7*7 }}" in page
    found = client.get("/communications", query_string={"q": '"><script>x</script>'}).text
    assert "<script>x" not in found


# --- practices ----------------------------------------------------------------------------------------------


def test_no_page_shows_another_practices_message(client: FlaskClient, app: Flask) -> None:
    riverside, northgate = Clinic("riverside"), Clinic("northgate")
    riverside.book("a")
    run_pass(riverside.id, PASS_AT, PASS_AT)
    outsider = sign_in(visitor(app), practice_id=northgate.id)
    (message_id,) = ids(client)
    assert client.get(f"/communications/{message_id}").status_code == 200
    assert outsider.get(f"/communications/{message_id}").status_code == 404
    assert rows(outsider.get("/communications").text) == []


# --- every page ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/nix", "/communications/0", "/communications/99999999999999999999", "/static/nix"])
def test_what_is_not_there_is_said_in_words(client: FlaskClient, path: str) -> None:
    a_practice()
    answer = client.get(path)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert HEADERS.items() <= dict(answer.headers).items()


def test_a_senseless_place_in_the_log_shows_its_newest(client: FlaskClient) -> None:
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    for before in ("99999999999999999999", "nix"):
        assert len(ids(client, f"/communications?before={before}")) == 1
    assert ids(client, "/communications?before=-1") == []


def test_a_method_that_is_not_served_is_refused_in_words(client: FlaskClient) -> None:
    a_practice()
    answer = client.post("/communications")
    assert answer.status_code == 405
    assert "That cannot be done here" in answer.text


def test_what_fails_is_apologised_for_and_logged_without_its_values(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    a_practice()
    with db.engine.begin() as connection:
        connection.execute(text("DROP TABLE message_events"))
        connection.execute(text("ALTER TABLE messages RENAME TO lost"))
    with caplog.at_level(logging.DEBUG):
        answer = client.get("/communications?q=Secret")
    assert answer.status_code == 500
    assert "Something failed on our side" in answer.text
    assert "Traceback" not in answer.text
    assert "A page failed" in caplog.text
    assert "Secret" not in caplog.text


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080"])
def test_this_machines_own_names_are_served(client: FlaskClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["example.org", "localhost.example.org", "127.0.0.1.nip.io", "10.0.0.1:8080", ""])
def test_other_names_for_this_machine_are_refused(client: FlaskClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code in (400, 421)


def test_pages_say_where_nothing_can_be_sent(client: FlaskClient) -> None:
    clinic = Clinic()
    assert (
        "No text goes out: the portal has no account with the text provider yet."
        in client.get("/communications").text
    )
    assert "You are rehearsing" not in client.get("/communications").text
    clinic.change(clinic.practice, sending=Sending.REHEARSAL)
    assert "You are rehearsing" in client.get("/communications").text
    clinic.change(clinic.practice, sending=Sending.PAUSED)
    assert "All sending is paused" in client.get("/communications").text


def test_of_a_refused_account_staff_read_what_it_means_and_the_owner_the_code(
    app: Flask, client: FlaskClient
) -> None:
    Clinic()
    with store.everything(write=True) as session:
        account_refused(session, "http-401", PASS_AT)
    says = "refuses our account. Nobody need do anything for the patients: what is due waits, and goes by itself"
    reception = sign_in(visitor(app), Role.RECEPTION).get("/communications").text
    assert says in reception and "Your administrator mends it" in reception
    assert "http-401" not in reception
    owner = client.get("/communications").text
    assert says in owner and "The code for your administrator: http-401." in owner
