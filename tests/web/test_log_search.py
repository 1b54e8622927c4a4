"""The log searched and narrowed, on both databases: what is found, in whose practice, by which index."""

import html
import re
from datetime import timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, event, text

from portal import store
from portal.actions.remind import run_pass
from portal.core.reasons import Reason
from portal.core.reminders import Preference
from portal.core.roles import Role
from portal.core.states import Direction, Kind, Status
from portal.store import communications, search
from portal.store.database import db
from portal.store.messages import Message
from tests.builders import MOBILES, PASS_AT, Clinic, a_business, a_patient, a_user

from .conftest import sign_in, visitor
from .test_communications import ids, link, rows

DAY = timedelta(days=1)
_patients = count()
HOSTILE = [
    *("'", '"', "''; DROP TABLE messages; --", '"unclosed', "a OR b", "NEAR(a b)", "a NOT b", "words:ada", "ada*"),
    *("^ada", "{ada}", "(ada", "ada)", "ada:*", "ada & !bea", "a|b", "\\", "a\\'b", "@", "1/ada", "#6510", "@/ada"),
    *(
        "%",
        "_",
        "100%",
        "%%%s",
        "{{ 7*7 }}",
        "<script>alert(1)</script>",
        "😀",
        "👩‍👩‍👧 ada",
        "\u202eada",
        "עדה",
        "مرحبا",
    ),
    *("\x00", "a\x00b", "\ud7ff", "x" * 5000, "ada " * 1250, "9" * 5000, "-1", "+", "٣٤٥", "１２３４", "²", "½"),
]


def found(client: FlaskClient, **asked: str) -> list[str]:
    return sorted(rows(client.get("/communications", query_string={k.rstrip("_"): v for k, v in asked.items()}).text))


def write(clinic: Clinic, first_name: str, body: str, **values: Any) -> Message:
    """A text of staff's, or a reply."""
    with store.transaction(clinic.id) as session:
        patient = a_patient(session, f"w{next(_patients)}", first_name=first_name)
        defaults: dict[str, Any] = {
            "direction": Direction.OUTBOUND,
            "kind": Kind.MANUAL,
            "status": Status.SENT,
            "reasons": (),
            "business_id": clinic.business.id,
            "patient_id": patient.id,
            "to": "+61491570156",
            "body": body,
            "segments": 1,
            "created_at": PASS_AT,
        }
        message = Message(**defaults | values)
        session.add(message)
        session.flush()
    return message


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    """Ada is queued, Bea has no number, Cem prefers email and has none; of a second business."""
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        south = a_business(session, external_id="south", name="South", timezone="Australia/Perth")
    clinic.book("a", patient={"first_name": "Ada"})
    clinic.book("b", patient={"first_name": "Bea", "mobile": None})
    clinic.book("c", business=south, patient={"first_name": "Cem", "mobile": None, "preference": Preference.EMAIL})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    run_pass(clinic.id, PASS_AT + timedelta(hours=2), PASS_AT + timedelta(hours=2))  # South's first hour
    write(clinic, "Dora", "Please bring your X-ray", created_at=PASS_AT + DAY)
    inbound = {"direction": Direction.INBOUND, "kind": Kind.REPLY, "status": Status.RECEIVED}
    numbers = {"sender": "+61491570156", "to": "+61480000099"}
    write(clinic, "Emil", "Thanks, I will", created_at=PASS_AT + 2 * DAY, **inbound, **numbers)
    return clinic


ASKED: list[tuple[dict[str, str], list[str]]] = [
    ({"status": "not-sent"}, ["Bea Nguyen", "Cem Nguyen"]),
    ({"reason": "no-mobile-number"}, ["Bea Nguyen", "Cem Nguyen"]),
    ({"reason": "prefers-email"}, ["Cem Nguyen"]),
    ({"reason": "booked-too-late"}, ["Ada Nguyen", "Bea Nguyen", "Cem Nguyen", "Dora Nguyen", "Emil Nguyen"]),
    ({"business": "south"}, ["Cem Nguyen"]),
    ({"business": "nix"}, []),
    ({"kind": "manual"}, ["Dora Nguyen"]),
    ({"kind": "reminder"}, ["Ada Nguyen", "Bea Nguyen", "Cem Nguyen"]),
    ({"direction": "inbound"}, ["Emil Nguyen"]),
    ({"direction": "outbound"}, ["Ada Nguyen", "Bea Nguyen", "Cem Nguyen", "Dora Nguyen"]),
    ({"direction": "inbound", "kind": "manual"}, []),
    ({"from_": "2031-05-08"}, ["Dora Nguyen", "Emil Nguyen"]),
    ({"to": "2031-05-07"}, ["Ada Nguyen", "Bea Nguyen", "Cem Nguyen"]),
    ({"from_": "2031-05-08", "to": "2031-05-08"}, ["Dora Nguyen"]),
    ({"from_": "2031-05-09", "to": "2031-05-08"}, []),
    ({"from_": "2040-01-01"}, []),
    (
        {"from_": "0001-01-01", "to": "9999-12-31"},
        ["Ada Nguyen", "Bea Nguyen", "Cem Nguyen", "Dora Nguyen", "Emil Nguyen"],
    ),
    ({"reason": "no-mobile-number", "business": "south", "status": "not-sent"}, ["Cem Nguyen"]),
    ({"reason": "prefers-email", "from_": "2031-05-08"}, []),
    ({"q": "nguyen", "status": "not-sent", "reason": "prefers-email"}, ["Cem Nguyen"]),
    ({"q": "nguyen", "from_": "2031-05-08", "kind": "manual"}, ["Dora Nguyen"]),
    ({"q": "x ray bring"}, ["Dora Nguyen"]),
    ({"q": "emi tha"}, ["Emil Nguyen"]),
    ({"q": "dora 156"}, ["Dora Nguyen"]),
    ({"q": "dora 157"}, []),
    ({"q": "0491 570 156", "direction": "inbound"}, ["Emil Nguyen"]),
]


def test_what_is_asked_for_is_found(client: FlaskClient, clinic: Clinic) -> None:
    for asked, expected in ASKED:
        assert found(client, **asked) == expected, asked


def test_a_day_is_that_of_the_practices_clocks(client: FlaskClient, clinic: Clinic) -> None:
    """11:30 PM in Sydney is 9:30 PM in Perth, and still the day before in London."""
    late = PASS_AT.replace(hour=13, minute=30) + 3 * DAY
    write(clinic, "Fay", "Late", created_at=late)
    write(clinic, "Gus", "Later", created_at=late + timedelta(hours=1))
    assert found(client, from_="2031-05-10", to="2031-05-10") == ["Fay Nguyen"]
    assert found(client, from_="2031-05-11", to="2031-05-11") == ["Gus Nguyen"]


def test_a_message_is_found_by_the_day_it_was_sent(client: FlaskClient, clinic: Clinic) -> None:
    (bea,) = ids(client, "/communications?q=bea")
    row = {"id": bea, "practice_id": clinic.id, "status": Status.SENT, "reasons": (), "to_number": "+61491570006"}
    with store.transaction(clinic.id) as session:
        changed = row | {"body": "Hi Bea", "segments": 1, "sent_at": PASS_AT + 30 * DAY}
        store.messages.update_messages(session, [changed])
    assert found(client, from_="2031-06-06", to="2031-06-06") == ["Bea Nguyen"]
    with store.transaction(clinic.id) as session:
        changed = {"id": bea, "practice_id": clinic.id, "sent_at": PASS_AT + 30 * DAY + timedelta(hours=15)}
        store.messages.update_messages(session, [changed])
    assert found(client, from_="2031-06-07") == ["Bea Nguyen"]
    assert found(client, q="bea", from_="2031-06-07") == ["Bea Nguyen"]


def test_a_new_name_text_or_number_is_found_and_the_old_one_is_not(client: FlaskClient, clinic: Clinic) -> None:
    appointment = clinic.book("z", patient={"first_name": "Zoë", "last_name": "Ødegård"})
    run_pass(clinic.id, PASS_AT + timedelta(hours=1), PASS_AT + timedelta(hours=1))
    assert found(client, q="zoe odeg") == ["Zoë Ødegård"]
    with store.transaction(clinic.id) as session:
        patient = session.get_one(store.patients.Patient, appointment.patient_id)
        patient.last_name = "Quist"
    assert found(client, q="zoe odeg") == []
    assert found(client, q="quist see") == ["Zoë Quist"]
    (id_,) = ids(client, "/communications?q=quist")
    with store.transaction(clinic.id) as session:
        message = session.get_one(Message, id_)
        message.body, message.to = "Quite another text", "+61491570110"
    assert found(client, q="quist quite") == ["Zoë Quist"]
    assert found(client, q="570 110") == ["Zoë Quist"]
    assert found(client, q="quist hi") == []


def test_a_message_that_was_not_sent_after_all_is_not_found_by_its_text(client: FlaskClient, clinic: Clinic) -> None:
    assert found(client, q="ada 2031") == ["Ada Nguyen"]
    (ada,) = ids(client, "/communications?q=ada")
    with store.transaction(clinic.id) as session:
        emptied = {"to_number": None, "body": None, "segments": None, "status": Status.NOT_SENT, "charged": 0}
        row = {"id": ada, "practice_id": clinic.id, "reasons": (Reason.PREFERS_NONE,)} | emptied
        store.messages.update_messages(session, [row])
    assert found(client, q="ada 2031") == []
    assert found(client, q="ada") == ["Ada Nguyen"]
    assert found(client, q=MOBILES[0]) == []


def test_whatever_is_typed_is_only_looked_for(client: FlaskClient, clinic: Clinic) -> None:
    for typed in HOSTILE:
        filters = {"reason": typed, "business": typed, "kind": typed, "from": typed, "to": typed, "before": typed}
        for path, asked in (
            ("/communications", {"q": typed}),
            ("/communications", {"q": typed} | filters),
            ("/communications/export.csv", {"q": typed, "status": "sent"}),
        ):
            answer = client.get(path, query_string=asked)
            assert answer.status_code == 200, typed
            assert "<script>alert" not in answer.text
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM messages")) == 5


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "\u202eadA", "مريم", "😀", 'O\'Brien "Bob"', "ß" * 5000]
)
def test_whatever_a_name_or_text_holds_is_filed_and_found(client: FlaskClient, name: str) -> None:
    clinic = Clinic()
    write(clinic, name, f"Text {name}")
    assert len(ids(client)) == 1
    words = re.findall(r"\w+", name)
    if words:
        assert len(ids(client, f"/communications?q={words[0][:90]}")) == 1
    assert len(ids(client, "/communications?q=text")) == 1


def test_nothing_of_another_practice_is_found(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    other = Clinic("northgate")
    other.book("a", patient={"first_name": "Ada", "last_name": "Other"})
    run_pass(other.id, PASS_AT, PASS_AT)
    write(clinic, "Ada", "One more")
    outsider = sign_in(visitor(app), practice_id=other.id)
    assert found(outsider, q="ada") == ["Ada Other"]
    assert found(client, q="ada") == ["Ada Nguyen", "Ada Nguyen"]
    (theirs,) = ids(outsider)
    assert found(client, q=str(theirs)) == []
    assert "Other" not in client.get("/communications/export.csv").text


def test_a_message_whose_number_is_typed_comes_first_and_once(client: FlaskClient) -> None:
    clinic = Clinic()
    for n in range(170):
        write(clinic, f"Bea{n}", "Two")  # to a number that ends with 156, as does the id of one of them
    all_ids = [n for n in range(170, 0, -1) if n != 156]
    page = client.get("/communications?q=156").text
    assert ids(client, "/communications?q=156") == [156, *all_ids[:50]]
    assert ids(client, link(page, "Older messages")) == all_ids[50:100]


def test_a_search_is_paged_over_volumes_and_shows_each_message_once(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "VOLUME", 7)
    clinic = Clinic(credits=500)
    for n in range(130):
        clinic.book(f"{n:03}", patient={"first_name": "Ada" if n % 2 else "Bea"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    for n in range(30):
        write(clinic, "Ada", f"Text {n}")
    with db.engine.connect() as connection:
        sizes = connection.scalars(text("SELECT size FROM search_volumes ORDER BY first_id")).all()
    assert sizes == [7] * 22 + [6]
    shown: list[int] = []
    path = "/communications?q=ada"
    while True:
        page = client.get(path).text
        shown += ids(client, path)
        if "Older messages" not in page:
            break
        path = link(page, "Older messages")
    assert len(shown) == len(set(shown)) == 65 + 30
    assert shown == sorted(shown, reverse=True)


def test_a_search_that_would_look_at_too_much_stops_and_goes_on_from_there(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(communications, "REACH", 4)
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Ada", "mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    for n in range(9):
        write(clinic, "Ada", f"Text {n}")
    for asked in ("q=ada&status=not-sent", "kind=reminder", "q=ada&to=2031-05-30&status=not-sent"):
        page = client.get(f"/communications?{asked}").text
        assert rows(page) == []
        assert "Nothing was found so far." in page
        for _ in range(2):
            page = client.get(link(page, "Search older messages")).text
        assert rows(page) == ["Ada Nguyen"]
        assert "Search older" not in page


def test_the_address_holds_what_is_asked_for_and_no_more(client: FlaskClient, clinic: Clinic) -> None:
    asked = {"q": "ada & co", "status": "", "reason": "", "business": "1", "kind": "", "from": "2031-05-01", "to": ""}
    partial = {"HX-Request": "true", "HX-Request-Type": "partial"}
    answer = client.get("/communications", query_string=asked, headers=partial)
    address = answer.headers["HX-Push-Url"]
    assert parse_qs(urlsplit(address).query) == {"q": ["ada & co"], "business": ["1"], "from": ["2031-05-01"]}
    page = client.get(address).text
    assert answer.text.strip() in page
    assert 'value="ada &amp; co"' in page
    assert re.search(r'<option value="1" selected>', page)
    assert '<details class="more-filters" open>' in page
    assert link(page, "Show all messages") == "/communications"


def test_the_filters_offer_the_practices_businesses(client: FlaskClient, clinic: Clinic) -> None:
    page = html.unescape(client.get("/communications").text)
    offered = re.findall(r'<option value="([^"]*)"', page.partition('name="business"')[2].partition("</select>")[0])
    assert offered == ["", "1", "south"]


# --- cost ---------------------------------------------------------------------------------------------------

PATHS = [
    *("", "?before=99999", "?status=failed", "?reason=opted-out", "?business=1", "?kind=reply", "?direction=inbound"),
    *("?kind=reminder", "?q=ada", "?q=570156", "?q=17", "?q=ada+156", "?from=2031-05-01&to=2031-05-09"),
    "?q=ada&status=failed&reason=no-credits&business=1&kind=reminder&direction=outbound&from=2031-05-01&to=2031-05-09",
]


def statements_of(client: FlaskClient, path: str) -> list[tuple[str, Any]]:
    noted: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            noted.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    assert client.get(path).status_code == 200
    event.remove(db.engine, "before_cursor_execute", note)
    return noted


def plan_of(connection: Connection, statement: str, parameters: Any) -> str:
    if connection.dialect.name == "sqlite":
        return "\n".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # tables are small here
    return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters))


def of_the_log(noted: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """But for what stands around every page, which asks for the newest message, too."""
    return [one for one in noted if "messages" in one[0] and "host_state" not in one[0]]


def test_each_page_takes_few_queries_and_each_reads_by_an_index(client: FlaskClient, clinic: Clinic) -> None:
    client.get("/communications")
    for path in PATHS:
        _reads_by_indexes(client, path)


def _reads_by_indexes(client: FlaskClient, path: str) -> None:
    noted = statements_of(client, f"/communications{path}")
    assert len(noted) <= 8, "\n".join(statement for statement, _ in noted)
    with db.engine.begin() as connection:
        plans = [plan_of(connection, *one) for one in of_the_log(noted)]
    assert plans
    for plan in plans:
        # Only what is in hand already is read from end to end; FTS5 calls each of its answers a scan.
        assert not re.search(r"Seq Scan|SCAN (?!at_hand|ids|found|seen|message_words VIRTUAL|\(subquery)", plan), plan
    if "q=ada" in path or "570156" in path:
        assert any("VIRTUAL TABLE INDEX" in plan or "ix_message_words_words" in plan for plan in plans)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("path", "index"),
    [
        ("", "ix_messages_log"),
        ("?status=failed", "ix_messages_status"),
        ("?reason=opted-out", "ix_messages_opted_out"),
        ("?reason=opted-out&status=not-sent", "ix_messages_opted_out"),
        ("?business=1", "ix_messages_business"),
        ("?kind=reply", "ix_messages_kind"),
        ("?direction=inbound", "ix_messages_kind"),
    ],
)
def test_each_filter_has_its_index(client: FlaskClient, clinic: Clinic, path: str, index: str) -> None:
    noted = statements_of(client, f"/communications{path}")
    with db.engine.begin() as connection:
        plans = [plan_of(connection, *one) for one in of_the_log(noted)]
    assert all(f"INDEX {index} (" in plan for plan in plans), plans


# --- roles --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.OWNER, Role.RECEPTION, Role.PRACTITIONER])
def test_who_may_read_may_search_and_export(app: Flask, at_pass_time: None, clinic: Clinic, role: Role) -> None:
    client = sign_in(visitor(app), role)
    assert found(client, q="ada") == ["Ada Nguyen"]
    assert client.get("/communications/export.csv").status_code == 200


def test_the_sysadmin_sees_and_exports_nothing_of_patients(app: Flask, at_pass_time: None, clinic: Clinic) -> None:
    with store.everything(write=True) as session:
        session.add(a_user(Role.SYSADMIN, None))
    client = sign_in(visitor(app), Role.SYSADMIN, None)
    for path in ("/communications?q=ada", "/communications/export.csv"):
        answer = client.get(path)
        assert answer.status_code == 403
        assert "Ada" not in answer.text
