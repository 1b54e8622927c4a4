"""Templates by the pages: written, previewed, mended, put back; and a test text to oneself."""

import html
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import store
from portal.actions.remind import run_pass
from portal.core.reminders import Sending
from portal.core.roles import Role
from portal.core.states import Kind, Status
from portal.store.changes import Change
from portal.store.messages import Message
from portal.store.practices import AppointmentType, SmsTemplate
from tests.builders import MOBILES, PASS_AT, Clinic, a_practice, a_template, a_type

from .conftest import sign_in, visitor
from .patients import HTMX as HX
from .patients import in_one_line
from .test_today import counted_queries

PAGE, LIST = "/settings/templates/1", "/settings/templates"
TEXT = "Dear {{Patient.FullName}}, see you {{Appointment.Date}}."
KEY = "a-form-of-ones-own"


@pytest.fixture
def clinic(client: FlaskClient, enqueued: list[int]) -> Clinic:
    """Mia's appointment, before its reminder; and two more the days after."""
    clinic = Clinic()
    for number, name in enumerate(("Mia", "Noah", "Ada")):
        clinic.book(str(number), starts=f"2031-05-{8 + number:02} 09:30", patient={"first_name": name})
    return clinic


def seen(client: FlaskClient, page: str = PAGE) -> dict[str, str]:
    """What the editor's form holds."""
    text = client.get(page).text
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text))
    return {name: html.unescape(value) for name, value in fields.items()}


def template() -> SmsTemplate:
    with store.reading("riverside") as session:
        return session.get_one(SmsTemplate, 1)


def changes() -> list[tuple[str, str, str]]:
    with store.reading("riverside") as session:
        found = session.scalars(select(Change).where(Change.subject == "template").order_by(Change.id))
        return [(one.field, one.before, one.after) for one in found]


def bubble(page: str) -> str:
    found = re.search(r'<p class="bubble" dir="auto">(.*?)</p>', page, flags=re.S)
    assert found, page
    return html.unescape(found[1])


def test_the_list_says_how_each_reads_and_who_uses_it(client: FlaskClient, clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        problem = "{{Patient.Nick}} is not a placeholder: did you mean {{Patient.LastName}}?"
        a_template(session, external_id="2", name="Draft", body="Hi {{Patient.Nick}}", problem=problem)
    page = in_one_line(client.get(LIST).text)
    assert "Hi Alex, see you 08/05/2031 9:30am." in page
    assert "1 part, so 1 credit · Used by Initial consultation" in page
    assert "A draft that cannot be used" in page and problem in html.unescape(page)
    assert "No appointment type uses it" in page
    assert f'href="{LIST}/2">Mend it</a>' in client.get(LIST).text


def test_an_empty_practice_writes_its_first_template(client: FlaskClient, enqueued: list[int]) -> None:
    a_practice()
    assert "There is no template yet." in client.get(LIST).text
    page = client.get(f"{LIST}/new").text
    assert "No appointment is to come" in page
    answer = client.post(LIST, data={"name": "First", "text": TEXT})
    assert (answer.status_code, answer.location) == (303, f"{PAGE}?saved=1")
    assert "Done." in client.get(answer.location).text
    shown = client.get(PAGE).text
    assert bubble(shown) == "Dear Alex Taylor, see you Thursday 8 May 2031."


def test_saving_says_first_what_it_does(client: FlaskClient, clinic: Clinic) -> None:
    assert "3 reminders in the next 7 days use it." in client.get(PAGE).text
    run_pass(clinic.id, PASS_AT, PASS_AT)
    said = "2 reminders in the next 7 days use it; 1 already queued is sent with the new text, too."
    assert said in client.get(PAGE).text


@pytest.mark.parametrize("headers", [HX, {}], ids=["scripts", "no scripts"])
def test_a_template_is_changed_and_put_back(client: FlaskClient, clinic: Clinic, headers: dict[str, str]) -> None:
    former = template().body
    answer = client.post(PAGE, data={**seen(client), "name": "Short", "text": f"  {TEXT}\r\n"}, headers=headers)
    where = answer.headers["HX-Redirect"] if headers else answer.location
    assert (answer.status_code, where) == (204 if headers else 303, f"{PAGE}?saved=1")
    assert "<strong>Done.</strong> 3 reminders in the next 7 days use it." in client.get(where).text
    assert template().body == TEXT
    page = in_one_line(client.get(PAGE).text)
    assert re.search(r"Dana Owner ?, today, 10:05am ?: changed the text\.", page)
    assert template().staff_changed == {"body": former}  # an import leaves it to the staff

    number = re.search(r'name="change" value="(\d+)"', client.get(PAGE).text)
    assert number
    answer = client.post(f"{PAGE}/restore", data={"change": number[1]})
    assert (answer.status_code, answer.location) == (303, f"{PAGE}?saved=1")
    assert template().body == former
    assert changes() == [("text", former, TEXT), ("text", TEXT, former)]
    for change in ("99", "x", "", "0", str(2**64)):
        assert client.post(f"{PAGE}/restore", data={"change": change}).status_code == 404


def test_what_cannot_be_put_back_says_why(client: FlaskClient, clinic: Clinic) -> None:
    clinic.change(clinic.template, body="Hi {{Patient.Nick}}", problem="it is a draft")
    client.post(PAGE, data={**seen(client), "name": "Short", "text": TEXT})
    answer = client.post(f"{PAGE}/restore", data={"change": "1"})
    assert answer.status_code == 422
    assert "It was not put back. {{Patient.Nick}} is not a placeholder" in answer.text
    assert template().body == TEXT


def test_a_draft_is_mended(client: FlaskClient, clinic: Clinic) -> None:
    clinic.change(clinic.template, body="Hi {{Patient.Nick}}", problem="{{Patient.Nick}} is not a placeholder")
    assert "It is a draft that cannot be used" in client.get(PAGE).text
    assert "3 reminders in the next 7 days wait until it is mended." in client.get(PAGE).text
    client.post(PAGE, data={**seen(client), "name": "Short", "text": "Hi {{Patient.FirstName}}"})
    assert template().problem is None
    assert "It is a draft" not in client.get(PAGE).text


REFUSED = {
    "no name": ({"name": " "}, "Give the template a name."),
    "long name": ({"name": "x" * 101}, "at most 100 characters"),
    "odd name": ({"name": "a\0b"}, "cannot be shown"),
    "taken name": ({"name": "OTHER"}, "There is another template of that name"),
    "nothing": ({"text": " "}, "Write the text first."),
    "unknown": ({"text": "Hi {{Patient.Firstname}}"}, "did you mean {{Patient.FirstName}}?"),
    "jinja": ({"text": "{{ 7*7 }}"}, "{{7*7}} is not a placeholder"),
    "open": ({"text": "Hi {{Patient.FirstName"}, "is not closed"),
    "null": ({"text": "Hi\0"}, "cannot be sent"),
    "long": ({"text": "x" * 20_000}, "10 are the most"),
}


@pytest.mark.parametrize("headers", [HX, {}], ids=["scripts", "no scripts"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_saved_is_refused_in_words(
    client: FlaskClient, clinic: Clinic, case: str, headers: dict[str, str]
) -> None:
    fields, says = REFUSED[case]
    with store.transaction(clinic.id) as session:
        a_template(session, external_id="2", name="Other")
    former = template().body
    for path in (PAGE, LIST):
        typed = {"name": "New", "text": TEXT} | fields
        answer = client.post(path, data={**seen(client), **typed}, headers=headers)
        assert answer.status_code == 422
        assert says in html.unescape(answer.text)
        assert ("<html" in answer.text) is not bool(headers)
        assert 'aria-invalid="true"' in answer.text
        if "\0" not in typed["text"]:
            assert html.escape(typed["text"], quote=False) in answer.text.replace("&#34;", '"')
    assert template().body == former and changes() == []


def test_who_comes_second_is_told_of_the_first(client: FlaskClient, clinic: Clinic) -> None:
    form = seen(client)
    client.post(PAGE, data={**form, "name": "Short", "text": TEXT})
    answer = client.post(PAGE, data={**form, "name": "Short", "text": "Mine"})
    assert answer.status_code == 422
    assert "Somebody has changed it since you opened the page." in answer.text
    assert template().body == TEXT
    assert client.post(PAGE, data={**form, "name": "Short", "text": TEXT}).status_code == 303  # the same twice


HOSTILE = {
    "braces": "{ {} } }} {%raw%} {# no #}",
    "jinja": "{% for x in y %}{{Patient.FirstName}}{% endfor %}",
    "right to left": "مرحبا {{Patient.FirstName}} \u202eabc",
    "markup": "<script>alert(1)</script> & {{Business.Name}} =1+1",
    "emoji": "👩‍👩‍👧 {{Patient.FirstName}}",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_texts_are_data(client: FlaskClient, clinic: Clinic, case: str) -> None:
    text = HOSTILE[case]
    assert client.post(PAGE, data={**seen(client), "name": "<b>", "text": text}).status_code == 303
    assert template().body == text
    filled = text.replace("{{Patient.FirstName}}", "Mia").replace("{{Business.Name}}", "North Clinic")
    assert bubble(client.get(PAGE).text) == filled
    for page in (LIST, PAGE, "/settings/appointment-types"):
        assert "<script>alert" not in client.get(page).text and "<b>" not in client.get(page).text
    run_pass(clinic.id, PASS_AT, PASS_AT)
    with store.reading(clinic.id) as session:
        assert session.scalars(select(Message.body)).first() == filled


# --- the preview --------------------------------------------------------------------------------------------


def test_the_preview_is_of_a_type_that_uses_it_and_of_another_that_is_chosen(
    client: FlaskClient, clinic: Clinic
) -> None:
    with store.transaction(clinic.id) as session:
        other = a_template(session, external_id="2", name="Other", body="Hello {{Patient.FirstName}}")
        type_ = a_type(session, other, external_id="2", name="Massage")
    with store.transaction(clinic.id) as session:
        unused = a_template(session, external_id="3", name="Unused", body="Hello {{Patient.FirstName}}")
    late = clinic.book("late", starts="2031-06-08 09:30", patient={"first_name": "Late"}, type=type_)
    assert bubble(client.get(f"{LIST}/{other.id}").text) == "Hello Late"
    assert bubble(client.get(f"{LIST}/{unused.id}").text) == "Hello Mia"
    assert bubble(client.get(f"{LIST}/{unused.id}?appointment=2").text) == "Hello Noah"
    chosen = {"template_id": "1", "text": "Hi {{Patient.FirstName}}", "appointment": str(late.id)}
    answer = client.post(f"{LIST}/weigh", data=chosen, headers=HX)
    assert bubble(answer.text) == "Hi Late" and "<html" not in answer.text
    assert "Late Nguyen, Sunday 8 June, 9:30am, Massage" in client.post(f"{LIST}/draft", data=chosen).text


def test_the_preview_says_what_makes_it_dearer_and_what_it_gives_away(client: FlaskClient, clinic: Clinic) -> None:
    typed = {"template_id": "1", "text": "ç" + "x" * 80}
    page = in_one_line(client.post(f"{LIST}/weigh", data=typed, headers=HX).text)
    assert "2 credits of the 100 left." in page and "“ç” makes it dearer: 2 credits instead of 1" in page
    for text, says in (
        ("Your {{AppointmentType.Name}}", "{{AppointmentType.Name}} names the kind of appointment: whoever holds"),
        ("your  INITIAL\nconsultation.", '"Initial consultation" is written out in it: whoever holds the phone'),
    ):
        page = html.unescape(client.post(f"{LIST}/weigh", data={"text": text}, headers=HX).text)
        assert says in page
        assert client.post(LIST, data={"name": text[:10], "text": text}).status_code == 303  # no more than a warning
    assert "whoever holds" not in client.post(f"{LIST}/weigh", data={"text": "Initial consultations"}).text
    page = client.post(f"{LIST}/weigh", data={"text": "Hi {{Patient.Name}}"}, headers=HX).text
    assert "is not a placeholder" in page


# --- a test text --------------------------------------------------------------------------------------------


def messages(clinic: Clinic) -> list[Message]:
    with store.reading(clinic.id) as session:
        return list(session.scalars(select(Message).order_by(Message.id)))


def a_test(**fields: str) -> dict[str, str]:
    return {"template_id": "1", "name": "x", "text": TEXT, "number": MOBILES[3], "form_key": KEY} | fields


@pytest.mark.parametrize("sending", [Sending.ON, Sending.REHEARSAL])
@pytest.mark.parametrize("headers", [HX, {}], ids=["scripts", "no scripts"])
def test_a_test_text_goes_to_oneself(
    client: FlaskClient, clinic: Clinic, enqueued: list[int], sending: Sending, headers: dict[str, str]
) -> None:
    clinic.change(clinic.practice, sending=sending)
    for _ in range(2):  # a form sent twice writes once
        answer = client.post(f"{LIST}/test", data=a_test(), headers=headers)
        assert answer.status_code == 200
    assert "The test text is on its way to 0491 570 157." in answer.text
    assert html.escape(TEXT) in answer.text  # what is typed stays
    (message,) = messages(clinic)
    assert (message.kind, message.status, message.to) == (Kind.TEST, Status.QUEUED, "+61491570157")
    assert message.body == "Dear Dana Owner, see you Thursday 8 May 2031."  # of no patient
    assert (message.patient_id, message.written_by, message.charged) == (None, "Dana Owner", 1)
    assert set(enqueued) == {message.id}
    assert 'value="0491 570 157"' in client.get(PAGE).text  # kept for the next
    log = client.get("/communications?kind=test").text
    assert "Test text" in log
    shown = client.get(f"/communications/{message.id}").text
    assert "Dana Owner will be texted: it is scheduled." in shown and message.body in shown


TESTS_REFUSED: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "no number": ({"number": ""}, {}, "Type a mobile number"),
    "a landline": ({"number": "02 5550 1234"}, {}, "is a landline: type a mobile number that you can look at."),
    "nonsense": ({"number": "abc"}, {}, "is not a phone number"),
    "abroad": ({"number": "+44 7400 123456"}, {}, "this practice sends only to Australia"),
    "no text": ({"text": ""}, {}, "Write the text first."),
    "unknown": ({"text": "{{Patient.Name}}"}, {}, "is not a placeholder"),
    "paused": ({}, {"sending": Sending.PAUSED}, "Sending is off for the whole practice"),
    "no form": ({"form_key": ""}, {}, "open the page anew"),
}


@pytest.mark.parametrize("case", TESTS_REFUSED)
def test_a_test_text_that_cannot_go_is_refused_in_words(
    client: FlaskClient, clinic: Clinic, enqueued: list[int], case: str
) -> None:
    fields, practice, says = TESTS_REFUSED[case]
    if practice:
        clinic.change(clinic.practice, **practice)
    answer = client.post(f"{LIST}/test", data=a_test(**fields), headers=HX)
    assert answer.status_code == 422
    assert says in html.unescape(answer.text) and 'aria-invalid="true"' in answer.text
    assert messages(clinic) == [] and enqueued == []


def test_a_test_text_needs_credits(client: FlaskClient, enqueued: list[int]) -> None:
    clinic = Clinic(credits=0)
    answer = client.post(f"{LIST}/test", data=a_test())
    assert answer.status_code == 422
    assert "Not enough SMS credits. This message needs 1 credit; 0 are left." in answer.text
    assert messages(clinic) == []


# --- who may ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.RECEPTION, Role.PRACTITIONER])
def test_only_the_owner_sees_and_changes_templates(app: Flask, clinic: Clinic, role: Role) -> None:
    client = sign_in(visitor(app), role)
    for path in (LIST, PAGE, f"{LIST}/new"):
        assert client.get(path).status_code == 403
    for path in (LIST, PAGE, f"{PAGE}/restore", f"{LIST}/weigh", f"{LIST}/draft", f"{LIST}/test"):
        assert client.post(path, data=a_test()).status_code == 403
    assert changes() == [] and messages(clinic) == []


def test_templates_of_another_practice_are_not_there(app: Flask, clinic: Clinic) -> None:
    Clinic("northgate")
    outsider = sign_in(visitor(app), practice_id="northgate")
    for path in (PAGE, f"{PAGE}/restore"):
        assert outsider.post(path, data=a_test(change="1")).status_code == 404
    for path in (f"{LIST}/weigh", f"{LIST}/draft", f"{LIST}/test"):
        assert outsider.post(path, data=a_test()).status_code == 404
    shown = outsider.post(f"{LIST}/weigh", data={"text": TEXT, "appointment": "1"})
    assert "Mia" not in shown.text
    assert outsider.post(LIST, data={"name": "x", "text": "x", "type": "1"}).status_code == 404


@pytest.mark.parametrize("path", [LIST, PAGE, f"{LIST}/new", "/settings/appointment-types"])
def test_each_page_takes_at_most_8_queries(client: FlaskClient, clinic: Clinic, path: str) -> None:
    client.post(PAGE, data={**seen(client), "name": "Short", "text": TEXT})
    client.get(path)
    with counted_queries() as asked:
        assert client.get(path).status_code == 200
    assert len(asked) <= 8, asked


def test_many_templates_come_in_pages(client: FlaskClient, clinic: Clinic) -> None:
    with store.transaction(clinic.id) as session:
        for number in range(2, 62):
            a_template(session, external_id=str(number), name=f"Number {number:02}")
        session.get_one(AppointmentType, 1)
    page = client.get(LIST).text
    assert page.count("<article") == 50 and 'rel="next"' in page
    assert client.get(f"{LIST}?from=50").text.count("<article") == 11
    assert client.get(f"{LIST}?from={2**70}").status_code == 200
