"""Messages to many in the pages: three steps without scripts, their progress, and the list, on both databases."""

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import clock, store
from portal.core.broadcasts import Whom
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.patients import Patient, PhoneRow
from tests.actions.broadcasting import a_day, press, texts
from tests.builders import Clinic, a_patient
from tests.web.conftest import form_token, sign_in, visitor

from .patients import in_one_line
from .test_today import counted_queries, read, text_of

ILL = "Hi {{Patient.FirstName}}, Dr Marsh is ill on Thursday."
THURSDAY = {"of": "day", "day": "2031-05-08"}
FORM = THURSDAY | {"text": ILL, "purpose": "care"}


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    clinic = Clinic()
    a_day(clinic)
    return clinic


def hidden(page: str, action: str) -> dict[str, str]:
    """What the page's form for that address holds."""
    form = next(part for part in page.split("<form")[1:] if f'action="{action}"' in part).split("</form>")[0]
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)}


def submit(client: FlaskClient, path: str, **form: Any) -> Any:
    token = form_token(client.get("/broadcasts/new").text)
    return client.post(path, data={"csrf_token": token} | form)


def test_from_a_day_to_the_text_in_three_steps_by_plain_forms(client: FlaskClient, clinic: Clinic) -> None:
    day = client.get("/appointments?day=2031-05-08").text
    link = re.search(r'href="([^"]+)">Text everybody on this day', day)
    assert link
    assert 'value="2031-05-08" required' in client.get(link[1].replace("&amp;", "&")).text

    page = client.get("/broadcasts/write", query_string=THURSDAY)
    assert "Everybody with an appointment tomorrow : 5 patients." in in_one_line(page.text)
    chosen = hidden(page.text, "/broadcasts/check")
    assert chosen.items() >= THURSDAY.items()

    page = client.post("/broadcasts/check", data=chosen | {"text": ILL, "purpose": "care", "at": ""})
    said = text_of(page)
    assert "2 patients will be texted, 3 will not." in said
    assert "2 credits of the 100 left." in said
    assert "It goes at 10:0" in said and "Until then you can take it back." in said
    for part in ("1 · No mobile number on file", "Ada Nguyen", "File it as Mobile", "1 · The patient is archived"):
        assert part in said
    assert texts() == []

    form = hidden(page.text, "/broadcasts")
    answers = [client.post("/broadcasts", data=form) for _ in range(2)]  # pressed twice
    assert {(one.status_code, one.location) for one in answers} == {(303, "/broadcasts/1")}
    assert len(texts()) == 2
    said = read(client, "/broadcasts/1")
    assert "Waiting. It goes today at 10:0" in said
    assert "Scheduled 2" in said and "Not reached 3" in said
    assert "2 credits are taken for it." in said

    form = hidden(client.get("/broadcasts/1").text, "/broadcasts/1/take-back")
    assert client.post("/broadcasts/1/take-back", data=form).status_code == 303
    said = read(client, "/broadcasts/1")
    assert "Taken back. Dana Owner took it back today at 10:0" in said
    assert "Withdrawn 2" in said and "0 credits are taken for it." in said
    assert {one.status for one in texts()} == {Status.CANCELLED}
    said = read(client, "/broadcasts")
    assert "Everybody with an appointment tomorrow" in said and "Taken back" in said


def test_the_text_is_kept_on_every_way_back(client: FlaskClient, clinic: Clinic) -> None:
    answer = submit(client, "/broadcasts/check", **THURSDAY, text="Hi {{Patient.Nmae}}")
    assert answer.status_code == 422
    assert "is not a placeholder: did you mean {{Patient.Name" not in answer.text
    assert "Hi {{Patient.Nmae}}</textarea>" in answer.text
    answer = submit(client, "/broadcasts/check", **THURSDAY, text=ILL)
    assert (answer.status_code, "Say whether it is about care, or marketing." in answer.text) == (422, True)
    answer = submit(client, "/broadcasts/check", **FORM, at="2031-05-07T08:00")
    assert (answer.status_code, "That time has passed" in answer.text) == (422, True)
    assert 'value="2031-05-07T08:00"' in answer.text
    checked = submit(client, "/broadcasts/check", **FORM, at="2031-05-08T08:00")
    assert "It goes at 8am tomorrow ." in in_one_line(checked.text)
    again = client.post("/broadcasts/write", data=hidden(checked.text, "/broadcasts/write"))
    assert f"{ILL}</textarea>" in again.text
    assert 'value="2031-05-08T08:00"' in again.text
    assert 'value="care" required checked' in again.text


def test_a_template_is_filled_in_with_its_placeholders_and_shown_as_a_patient_reads_it(
    client: FlaskClient, clinic: Clinic
) -> None:
    page = submit(client, "/broadcasts/write", **THURSDAY, do="fill", template=str(clinic.template.id))
    assert "Hi {{Patient.FirstName}}, see you {{Appointment.DateShort}}" in page.text
    assert "Hi Mia, see you 08/05/2031 9:30am." in page.text
    weighed = submit(client, "/broadcasts/weigh", **FORM)
    assert "Hi Mia, Dr Marsh is ill on Thursday." in weighed.text
    assert "1 credit" in in_one_line(weighed.text)
    # Of no appointment there is nothing to name.
    everybody = client.get("/broadcasts/write?of=patients").text
    assert "Begin from a template" not in everybody
    assert "Appointment.Date" not in everybody


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/broadcasts/write", 303),
        ("/broadcasts/write?of=day", 422),
        ("/broadcasts/write?of=day&day=soon", 422),
        ("/broadcasts/write?of=day&day=2031-05-20", 422),
        ("/broadcasts/write?of=patients&practitioner=99999999999999999999", 422),
        ("/broadcasts/write?of=patients&since=2031-13-01", 422),
        ("/broadcasts/99", 404),
        ("/broadcasts?before=0", 200),
    ],
)
def test_addresses_with_a_slip_in_them(client: FlaskClient, clinic: Clinic, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_practitioners_read_and_do_not_send_to_many(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    press()
    helen = sign_in(visitor(app), Role.PRACTITIONER)
    assert helen.get("/broadcasts/new").status_code == 403
    assert "Reception writes to many at once." in read(helen, "/broadcasts")
    assert "Take it back" not in read(helen, "/broadcasts/1")


def test_five_thousand_patients_in_few_queries(client: FlaskClient, app: Flask) -> None:
    clinic = Clinic(credits=20_000)
    with store.transaction(clinic.id) as session:
        patients = [
            Patient(external_id=str(i), first_name=f"P{i}", last_name="Many", email="", archived=False)
            for i in range(5000)
        ]
        session.add_all(patients)
        session.flush()
        for i, one in enumerate(patients[10:]):  # ten without a number
            row = PhoneRow(patient_id=one.id, position=0, type="Mobile", from_export=True)
            row.retype(f"04{91000000 + i:08}", "AU")
            session.add(row)
    enqueued: list[tuple[str, int]] = []
    app.extensions["portal.enqueue_broadcast"] = lambda *job: enqueued.append(job)
    form = {"of": "patients", "text": "We move to Elm Street, {{Patient.FirstName}}.", "purpose": "care"}
    token = form_token(client.get("/broadcasts/new").text)

    def within_8(answer: Any, seen: list[str]) -> Any:
        assert len(seen) <= 8, "\n".join(seen)
        return answer

    for path in ("/broadcasts/new", "/broadcasts/write?of=patients", "/broadcasts"):
        with counted_queries() as seen:
            within_8(client.get(path), seen)
    with counted_queries() as seen:
        page = within_8(client.post("/broadcasts/check", data=form | {"csrf_token": token}), seen)
    assert "4,990 patients will be texted, 10 will not." in text_of(page)
    sent = client.post("/broadcasts", data=hidden(page.text, "/broadcasts"))
    assert (sent.status_code, enqueued) == (303, [(clinic.id, 1)])
    with counted_queries() as seen:
        page = within_8(client.get(sent.location), seen)
    assert "Being prepared. 500 patients are looked at so far" in text_of(page)


@pytest.mark.parametrize(
    "path", ["/broadcasts", "/broadcasts/1", "/broadcasts/new", "/broadcasts/write?of=day&day=2031-05-08"]
)
def test_each_page_takes_at_most_8_queries(client: FlaskClient, clinic: Clinic, path: str) -> None:
    press()
    client.get(path)
    with counted_queries() as seen:
        assert client.get(path).status_code == 200
    assert len(seen) <= 8, "\n".join(seen)


def test_the_check_of_a_narrow_choice_takes_at_most_8_queries(client: FlaskClient, clinic: Clinic) -> None:
    narrow = {"practitioner": clinic.practitioner.id, "business": clinic.business.id, "type": clinic.type.id}
    for path in ("/broadcasts/check", "/broadcasts/write", "/broadcasts/weigh"):
        token = form_token(client.get("/broadcasts/new").text)
        with counted_queries() as seen:
            answer = client.post(path, data=FORM | narrow | {"csrf_token": token})
        assert answer.status_code == 200
        assert len(seen) <= 8, (path, "\n".join(seen))


def test_who_may_not_mend_it_reads_who_can_within_8_queries(app: Flask, client: FlaskClient) -> None:
    clinic = Clinic(credits=1)
    a_day(clinic)
    press()
    reception = sign_in(visitor(app), Role.RECEPTION)
    narrow = {"practitioner": clinic.practitioner.id, "business": clinic.business.id, "type": clinic.type.id}
    token = form_token(reception.get("/broadcasts/new").text)
    for ask in (
        lambda: reception.get("/broadcasts/1"),
        lambda: reception.post("/broadcasts/check", data=FORM | narrow | {"csrf_token": token}),
    ):
        with counted_queries() as seen:
            page = ask()
        assert len(seen) <= 8, "\n".join(seen)
        assert "Not enough SMS credits" in page.text
        assert "Dana Owner can" in in_one_line(page.text)


def test_the_unreached_are_paged(client: FlaskClient, app: Flask) -> None:
    clinic = Clinic()
    with store.transaction(clinic.id) as session:
        for i in range(150):
            a_patient(session, str(i), mobile=None, first_name=f"P{i:03}")
        a_patient(session, "x")
    press(text="Hello.", whom=Whom())
    page = client.get("/broadcasts/1").text
    assert ("P000" in page, "P099" in page, "P100" in page) == (True, True, False)
    further = re.search(r'rel="next" href="([^"#]+)', page)
    assert further
    page = client.get(further[1]).text
    assert ("P099" in page, "P100" in page, "P149" in page) == (False, True, True)


def test_the_list_is_paged(client: FlaskClient, clinic: Clinic) -> None:
    for i in range(25):
        press(text=f"Number {i:02}.")
    page = client.get("/broadcasts").text
    assert ("Number 24." in page, "Number 05." in page, "Number 04." in page) == (True, True, False)
    older = re.search(r'rel="next" href="([^"]+)', page)
    assert older
    assert "Number 00." in client.get(older[1]).text


def test_it_renews_itself_while_it_goes(client: FlaskClient, clinic: Clinic) -> None:
    press(now=clock.now())
    part = client.get("/broadcasts/1", headers={"HX-Request-Type": "partial", "HX-Request": "true"}).text
    assert part.lstrip().startswith('<div id="progress">')
    assert 'hx-trigger="every 3s"' in part
