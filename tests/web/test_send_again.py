"""A message is sent again from its page or from the worklist, where that is safe; and what support is told of it."""

import html
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient

from portal import store
from portal.actions.remind import run_pass
from portal.core.reasons import Reason
from portal.core.reminders import Sending
from portal.core.roles import Role
from portal.core.states import Status
from portal.store.messages import Message
from tests.builders import PASS_AT, Clinic, a_practitioner

from .conftest import sign_in, visitor
from .patients import HTMX, in_one_line
from .test_diagnosis import the_form
from .test_texts import as_practitioner, field, typed
from .test_today import come_back, counted_queries
from .test_worklist import AFTER_HOURS, a_day_that_went_wrong, becomes

SAFE = ("refused", "expired", "missing")


@pytest.fixture
def clinic(client: FlaskClient, enqueued: list[int]) -> Clinic:
    """Mia's reminder is queued."""
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    return clinic


def stands(clinic: Clinic, status: Status, *reasons: Reason, **values: Any) -> str:
    """Message 1 is so now; where its page is."""
    with store.reading(clinic.id) as session:
        appointment = session.get_one(store.appointments.Appointment, 1)
    return f"/communications/{becomes(clinic, appointment, status, *reasons, **values).id}"


def again(client: FlaskClient, path: str, headers: dict[str, str] | None = None, **form: str) -> Any:
    state = field(client.get(path).text, "state")
    return client.post(f"{path}/send-again", data={"state": state} | form, headers=headers)


def status_of(clinic: Clinic, message_id: int = 1) -> Status:
    with store.reading(clinic.id) as session:
        return session.get_one(Message, message_id).status


def balance(clinic: Clinic) -> int:
    with store.reading(clinic.id) as session:
        return store.practices.get_practice(session, clinic.id).credits


# --- the message's page -------------------------------------------------------------------------------------


def test_the_outcome_stands_once(client: FlaskClient, clinic: Clinic) -> None:
    for status in (Status.DELIVERED, Status.UNDELIVERED, Status.UNKNOWN):
        page = client.get(stands(clinic, status, sent_at=PASS_AT)).text
        assert len(re.findall(r'class="outcome ', page)) == 1, status


def test_a_failed_message_goes_again_in_one_click(client: FlaskClient, clinic: Clinic, enqueued: list[int]) -> None:
    path = stands(clinic, Status.FAILED, Reason.PROVIDER_REFUSED, attempts=1)
    answer = again(client, path)
    assert (answer.status_code, answer.location) == (303, f"{path}?again=1")
    assert status_of(clinic) is Status.QUEUED
    assert enqueued == [1]
    page = client.get(answer.location).text
    assert "Mia Nguyen will be texted" in in_one_line(page)
    assert "Dana Owner" in in_one_line(page[page.index('id="history"') :])
    assert 'name="state"' not in page


def test_with_scripts_the_same_place_tells_what_became_of_it(client: FlaskClient, clinic: Clinic) -> None:
    path = stands(clinic, Status.FAILED, Reason.PROVIDER_REFUSED, attempts=1)
    answer = again(client, path, HTMX)
    page = client.get(answer.location, headers=HTMX).text
    assert page.lstrip().startswith('<div id="message"')
    assert "autofocus" in page


def test_it_is_not_sent_twice_by_two_who_look_at_the_same_page(client: FlaskClient, clinic: Clinic) -> None:
    path = stands(clinic, Status.FAILED, Reason.PROVIDER_REFUSED, attempts=1)
    state, credits = field(client.get(path).text, "state"), balance(clinic)
    first, second = (client.post(f"{path}/send-again", data={"state": state}) for _ in range(2))
    assert (second.status_code, second.location) == (first.status_code, first.location) == (303, f"{path}?again=1")
    page = in_one_line(client.get(second.location).text)
    assert "Mia Nguyen will be texted" in page
    assert "not sent" not in page
    assert balance(clinic) == credits - 1


def test_what_changed_and_did_not_go_is_said_to_have_changed(client: FlaskClient, clinic: Clinic) -> None:
    path = stands(clinic, Status.FAILED, Reason.PROVIDER_REFUSED, attempts=1)
    answer = client.post(f"{path}/send-again", data={"state": "failed;provider-refused;0"})
    assert answer.status_code == 422
    assert "It was not sent. It has changed since you opened the page." in in_one_line(answer.text)


def test_what_stands_in_the_way_is_said_with_what_mends_it(client: FlaskClient, clinic: Clinic) -> None:
    path = stands(clinic, Status.FAILED, Reason.PROVIDER_REFUSED, attempts=1)
    clinic.change(clinic.practice, sending=Sending.PAUSED)
    for headers in (None, HTMX):
        answer = again(client, path, headers)
        assert answer.status_code == 422
        assert "It was not sent. Sending is off for the whole practice." in in_one_line(answer.text)
    assert status_of(clinic) is Status.FAILED


def test_it_leads_only_to_where_the_reader_may_mend_it(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    path = stands(clinic, Status.FAILED, Reason.PROVIDER_REFUSED, attempts=1)
    clinic.change(clinic.practice, sending=Sending.REHEARSAL, live_since=None)
    answer = again(sign_in(visitor(app), Role.RECEPTION), path, HTMX)
    assert answer.status_code == 422
    refused = answer.text[answer.text.index('id="refused"') : answer.text.index('id="again"')]
    assert "Dana Owner can mend this." in in_one_line(refused)
    assert "/settings" not in refused


def test_a_mend_renews_the_page_around_it(client: FlaskClient, clinic: Clinic) -> None:
    path = stands(clinic, Status.FAILED, Reason.PROVIDER_REFUSED, attempts=1)
    clinic.change(clinic.practice, sending=Sending.PAUSED)
    for page in (again(client, path).text, client.get(path).text):  # a refusal's forms lead back to the message too
        form = the_form(page, "/sending/resume")
        assert form.fields["next"] == f"{path}?mended=sending-off"
    answer = client.post(form.action, data=form.fields | {"confirm": "yes"}, headers=HTMX)
    assert f'hx-get="{path}?mended=sending-off" hx-trigger="load" hx-target="#message"' in answer.text
    assert '<div id="sending-notice" hx-swap-oob="true">\n</div>' in answer.text  # what the page said at its top
    page = client.get(f"{path}?mended=sending-off", headers=HTMX).text
    assert 'hx-trigger="load"' not in page
    assert "Done. " in in_one_line(page)
    assert 'id="again" class="mend"' in page


def test_in_doubt_it_goes_only_with_a_tick(client: FlaskClient, clinic: Clinic) -> None:
    path = stands(clinic, Status.UNKNOWN, attempts=1)
    page = client.get(path).text
    assert "Mia may get it twice, and that is all right" in in_one_line(page)
    assert again(client, path).status_code == 422
    assert status_of(clinic) is Status.UNKNOWN
    assert again(client, path, confirm="yes").status_code == 303
    assert status_of(clinic) is Status.QUEUED


@pytest.mark.parametrize("status", [Status.SENT, Status.DELIVERED, Status.UNDELIVERED, Status.UNCONFIRMED])
def test_what_was_taken_is_written_anew_with_a_warning(client: FlaskClient, clinic: Clinic, status: Status) -> None:
    path = stands(clinic, status, sent_at=PASS_AT, attempts=1)
    page = client.get(path).text
    assert 'action="/communications/1/send-again"' not in page
    assert "twice" in in_one_line(page)
    assert 'href="/patients/1/text?message=1"' in page
    composer = client.get("/patients/1/text?message=1").text
    assert typed(composer) == "Hi Mia, see you 08/05/2031 9:30am."
    assert "twice" in in_one_line(composer)
    form = {name: field(composer, name) for name in ("form_key", "message")}
    answer = client.post("/patients/1/text", data=form | {"text": typed(composer)})
    assert (answer.status_code, answer.location) == (303, "/communications/2")
    assert status_of(clinic) is status


def test_what_is_on_its_way_renews_itself_and_has_no_button(client: FlaskClient, clinic: Clinic) -> None:
    for status in (Status.QUEUED, Status.SENDING):
        with store.transaction(clinic.id) as session:
            session.get_one(Message, 1).status = status
        page = client.get("/communications/1").text
        assert re.search(r'hx-get="/communications/1" hx-trigger="every \d+s"', page)
        assert "X-Unattended" in page
        assert "/1/send-again" not in page
    assert 'id="renewal"' not in client.get(stands(clinic, Status.DELIVERED, sent_at=PASS_AT)).text
    fragment = client.get("/communications/1", headers=HTMX).text
    assert fragment.lstrip().startswith('<div id="message"')


def test_it_asks_seldom_once_it_takes_long(client: FlaskClient, clinic: Clinic, monkeypatch: Any) -> None:
    come_back(client, monkeypatch, PASS_AT + timedelta(minutes=1))
    assert 'hx-trigger="every 2s"' in client.get("/communications/1").text
    come_back(client, monkeypatch, PASS_AT + timedelta(minutes=3))
    assert 'hx-trigger="every 20s"' in client.get("/communications/1").text


def test_a_practitioner_sends_again_to_own_patients_only(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    path = stands(clinic, Status.FAILED, Reason.PROVIDER_REFUSED, attempts=1)
    helen = as_practitioner(app, clinic, clinic.practitioner.id)
    with store.transaction(clinic.id) as session:
        other = a_practitioner(session, external_id="2", first_name="Ivo")
    state = field(helen.get(path).text, "state")
    ivo = as_practitioner(app, clinic, other.id)
    assert f"{path}/send-again" not in ivo.get(path).text
    answer = ivo.post(f"{path}/send-again", data={"state": state})
    assert answer.status_code == 403
    assert "You may text the patients of your own appointments." in in_one_line(answer.text)
    helen = as_practitioner(app, clinic, clinic.practitioner.id)
    assert again(helen, path).status_code == 303


# --- copy for support ---------------------------------------------------------------------------------------


def support(page: str) -> str:
    found = re.search(r'<textarea id="for-support"[^>]*>\n(.*?)</textarea>', page, flags=re.S)
    assert found, page
    return html.unescape(found[1])


def test_support_is_told_ids_codes_and_times_and_nothing_of_the_patient(
    app: Flask, client: FlaskClient, clinic: Clinic
) -> None:
    path = stands(clinic, Status.SENT, sent_at=PASS_AT, provider_id="aaaa-bbbb", attempts=1)
    told = support(client.get(path).text)
    for line in (
        "Message: 1",
        "Practice: riverside",
        "Status: sent",
        "Provider's id: aaaa-bbbb",
        "Attempts: 1",
        "Sent: 2031-05-07T00:00:00Z",
        "2031-05-07T00:00:00Z queued",
    ):
        assert line in told.splitlines()
    for personal in ("Mia", "Nguyen", "0491", "61491", "see you"):
        assert personal not in told
    page = client.get(f"{path}?with=text").text
    assert "To: +61491570006\nText: Hi Mia, see you 08/05/2031 9:30am." in support(page)
    assert re.search(r'name="with" value="text" checked', page)


def test_support_is_named_where_it_is_set(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    assert "Send this to whoever looks after the portal for you." in in_one_line(client.get("/communications/1").text)
    settings = app.extensions["portal.settings"]
    app.extensions["portal.settings"] = type(settings)(
        **{name: getattr(settings, name) for name in settings.__dataclass_fields__}
        | {"support_contact": "help@portal.example"}
    )
    assert "Send this to help@portal.example." in in_one_line(client.get("/communications/1").text)


# --- the worklist -------------------------------------------------------------------------------------------


@pytest.fixture
def went_wrong(
    client: FlaskClient,
    enqueued: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Clinic, dict[str, Message]]:
    clinic, messages = a_day_that_went_wrong()
    come_back(client, monkeypatch, AFTER_HOURS)
    return clinic, messages


def test_each_safe_one_has_its_button_and_the_others_lead_to_the_message(
    client: FlaskClient,
    went_wrong: tuple[Clinic, dict[str, Message]],
    enqueued: list[int],
) -> None:
    clinic, messages = went_wrong
    page = client.get("/today/worklist").text
    for name, is_safe in (("refused", True), ("expired", True), ("missing", True), ("undelivered", False)):
        assert (f"/today/worklist/{messages[name].id}/send-again" in page) is is_safe, name
    assert f'id="again-{messages["doubt"].id}" class="more" href="/communications/{messages["doubt"].id}"' in page
    row = page[page.index(f"/today/worklist/{messages['expired'].id}/send-again") :]
    answer = client.post(f"/today/worklist/{messages['expired'].id}/send-again", data={"state": field(row, "state")})
    assert (answer.status_code, answer.location) == (303, "/today/worklist")
    assert status_of(clinic, messages["expired"].id) is Status.QUEUED
    assert enqueued == [messages["expired"].id]
    said = in_one_line(client.get("/today/worklist").text)
    assert "Done. It goes again in 10 seconds. Look at it, or take it back" in said
    assert "Expired Nguyen" not in said


def test_what_cannot_go_is_said_on_the_worklist(
    client: FlaskClient, went_wrong: tuple[Clinic, dict[str, Message]]
) -> None:
    _, messages = went_wrong
    page = client.get("/today/worklist").text
    path = f"/today/worklist/{messages['missing'].id}/send-again"
    state = field(page[page.index(path) :], "state")
    for headers in (None, HTMX):
        answer = client.post(path, data={"state": state}, headers=headers)
        assert answer.status_code == 422
        assert "Not sent: No mobile number on file" in in_one_line(answer.text)
        assert ("<html" in answer.text) is not headers
    answer = client.post(path, data={"state": "nix"})
    assert "It has changed since you opened the page." in in_one_line(answer.text)


def test_a_second_press_on_the_worklist_is_no_failure(
    client: FlaskClient, went_wrong: tuple[Clinic, dict[str, Message]], enqueued: list[int]
) -> None:
    clinic, messages = went_wrong
    page, id_ = client.get("/today/worklist").text, messages["expired"].id
    path = f"/today/worklist/{id_}/send-again"
    form = {"state": field(page[page.index(path) :], "state")}
    for status, said in (
        (Status.QUEUED, "Done. It goes again in 10 seconds."),
        (Status.QUEUED, "It went already, or is on its way."),
        (Status.DELIVERED, "It went already, or is on its way."),
    ):
        if status is Status.DELIVERED:
            with store.transaction(clinic.id) as session:
                session.get_one(Message, id_).status = status
        answer = client.post(path, data=form)
        assert (answer.status_code, answer.location) == (303, "/today/worklist")
        page = client.get("/today/worklist").text
        assert said in in_one_line(page)
        assert f'href="/communications/{id_}">Look at it' in page
    assert enqueued == [id_]


def test_all_that_are_safe_go_at_once_and_the_rest_is_said(
    client: FlaskClient,
    went_wrong: tuple[Clinic, dict[str, Message]],
    enqueued: list[int],
) -> None:
    clinic, messages = went_wrong
    page = client.get("/today/worklist").text
    form = page[page.index('id="all-again"') : page.index("</details>")]
    assert "3 texts go" in in_one_line(form)
    assert "They take about 3 credits; " in in_one_line(form)
    seen = {
        "message": re.findall(r'name="message" value="(\d+)"', form),
        "state": [html.unescape(one) for one in re.findall(r'name="state" value="([^"]*)"', form)],
    }
    assert len(seen["message"]) == len(seen["state"]) == 3
    answer = client.post("/today/worklist/send-again", data=seen, headers=HTMX, follow_redirects=True)
    said = in_one_line(answer.text)
    assert "Done. 2 texts go again in 10 seconds. Not sent: Missing Nguyen: No mobile number on file." in said
    assert sorted(enqueued) == sorted(messages[name].id for name in ("refused", "expired"))
    assert status_of(clinic, messages["doubt"].id) is Status.UNKNOWN
    said = in_one_line(client.post("/today/worklist/send-again", data=seen).text)  # sent twice, it goes once
    assert len(enqueued) == 2
    assert "2 texts went already, or are on their way. Not sent: Missing Nguyen: No mobile number on file." in said
    assert "None was sent" not in said
    went = [i for i, id_ in enumerate(seen["message"]) if int(id_) != messages["missing"].id]
    client.post("/today/worklist/send-again", data={name: [ones[i] for i in went] for name, ones in seen.items()})
    said = in_one_line(client.get("/today/worklist").text)
    assert "2 texts went already, or are on their way." in said
    assert "ot sent:" not in said


def test_the_browser_keeps_nothing_of_any_patient(
    app: Flask, client: FlaskClient, went_wrong: tuple[Clinic, dict[str, Message]]
) -> None:
    _, messages = went_wrong
    page = client.get("/today/worklist").text

    def kept() -> str:
        """What the session's cookie holds, as whoever has it can read it."""
        cookie = client.get_cookie("session")
        assert cookie
        serializer = SecureCookieSessionInterface().get_signing_serializer(app)
        assert serializer
        return json.dumps(serializer.loads(cookie.value), default=str)

    states = [field(page[page.index(f"/today/worklist/{messages[n].id}/send-again") :], "state") for n in SAFE]
    all_ = {"message": [messages[name].id for name in SAFE], "state": states}
    refused = str(messages["refused"].id)
    for path, form in (
        (f"/today/worklist/{messages['missing'].id}/send-again", {"state": states[2]}),
        (f"/today/worklist/{messages['expired'].id}/send-again", {"state": states[1]}),
        (f"/today/worklist/{messages['expired'].id}/send-again", {"state": states[1]}),
        (f"/today/worklist/{messages['doubt'].id}/send-again", {"state": "unknown;0"}),
        (f"/communications/{messages['missing'].id}/send-again", {"state": states[2]}),
        ("/today/worklist/send-again", all_),
        ("/today/worklist/send-again", {"message": refused, "state": states[0]}),
        (f"/today/worklist/{messages['doubt'].id}/dealt-with", {}),
        (f"/patients/{messages['doubt'].patient_id}/text", {"text": "Hi Doubt Nguyen", "form_key": "of-ones-own"}),
        (f"/patients/{messages['doubt'].patient_id}/text", {"text": "", "form_key": "of-ones-own"}),
        ("/today/file-as-mobile", {"patient": messages["missing"].patient_id}),
    ):
        assert client.post(path, data=form).status_code in (200, 303, 422), path
        assert not re.search("Nguyen|Expired|Missing|Doubt|0491|61491", kept()), path


def test_forms_of_nonsense_send_nothing(client: FlaskClient, went_wrong: tuple[Clinic, dict[str, Message]]) -> None:
    for data in ({}, {"message": ["x", "-1", str(10**30)], "state": ["a", "b", "c"]}, {"message": "1"}):
        answer = client.post("/today/worklist/send-again", data=data)
        assert answer.status_code == 303
    assert "None was sent." in in_one_line(client.get("/today/worklist").text)
    assert client.post("/today/worklist/99/send-again").status_code == 404


def test_who_only_reads_sends_nothing_from_the_worklist(
    app: Flask, client: FlaskClient, went_wrong: tuple[Clinic, dict[str, Message]]
) -> None:
    practitioner = sign_in(visitor(app), Role.PRACTITIONER)
    page = practitioner.get("/today/worklist").text
    assert "/1/send-again" not in page
    assert practitioner.post("/today/worklist/send-again").status_code == 403


def test_each_page_takes_at_most_8_queries(
    client: FlaskClient, went_wrong: tuple[Clinic, dict[str, Message]]
) -> None:
    _, messages = went_wrong
    for path in ("/today/worklist", *(f"/communications/{one.id}" for one in messages.values())):
        client.get(path)
        with counted_queries() as seen:
            assert client.get(path).status_code == 200
        assert len(seen) <= 8, (path, "\n".join(seen))
