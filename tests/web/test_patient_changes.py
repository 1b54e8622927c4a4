"""What staff change on a patient's page, and what is refused and why, on both databases."""

import re
from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import store
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference
from portal.core.roles import Role
from portal.store.changes import Subject, list_changes
from portal.store.patients import OptOut, OptOutSource, Patient, PhoneRow
from tests.builders import MOBILES, Clinic, a_number, a_patient

from .conftest import sign_in, visitor
from .patients import HTMX, Case, in_one_line, row


@pytest.fixture
def forms(app: Flask) -> None:
    """Forms are taken without their token."""
    app.config["WTF_CSRF_ENABLED"] = False


# --- numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "number", "says"),
    [
        ("Mobile", "0491 570 156", "✓ 0491 570 156 can be texted."),
        ("Home", "0491 570 156", "! 0491 570 156 is a mobile. Filed as Home it is not texted: file it as Mobile."),
        ("Mobile", "02 5550 1234", "! (02) 5550 1234 is a landline: file it as Home or Work."),
        ("Mobile", "0491 570 15", '! "0491 570 15" has a digit too few for Australia.'),
        ("Home", "02 5550 1234", "✓ (02) 5550 1234 is a landline; it is not texted."),
        ("nonsense", "<b>", '! "<b>" is not a phone number.'),
        ("Mobile", "", ""),
        ("Mobile", "0" * 4000, "! A number has at most 60 characters."),
    ],
)
def test_a_number_is_looked_at_while_it_is_typed(
    client: FlaskClient, forms: None, type_: str, number: str, says: str
) -> None:
    Clinic()
    answer = client.post("/patients/check-number", data={"type": type_, "number": number})
    assert answer.status_code == 200
    assert client.get("/patients/check-number").status_code in (404, 405)  # nothing of it in an address
    assert in_one_line(answer.text) == says


def test_a_number_is_added_after_the_others_and_parsed(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    answer = case.post("/numbers", type="home", number=" 02 5550\t1234 ")
    assert (answer.status_code, answer.location) == (303, f"/patients/{case.id}?done=1#contact")
    assert case.numbers == [("Mobile", MOBILES[0]), ("Home", "02 5550 1234")]
    added = row(case.clinic, PhoneRow, case.number_id("02 5550 1234"))
    assert (added.e164, added.from_export, added.position) == ("+61255501234", False, 1)
    assert case.noted == [("Dana Owner", "number", "", "Home 02 5550 1234", "")]
    done = in_one_line(client.get(answer.location).text)
    assert "Done. Added 02 5550 1234 (Home)." in done
    assert "Done." not in case.page()


def test_an_address_that_says_done_where_nothing_was_is_harmless(client: FlaskClient) -> None:
    case = Case(client)
    assert "Done." not in in_one_line(client.get(f"/patients/{case.id}?done=1").text)


@pytest.mark.parametrize(
    ("form", "field", "says"),
    [
        ({"type": "Mobile", "number": ""}, "number", "Type the number."),
        ({"type": "Mobile", "number": "02 5550 1234"}, "number", "(02) 5550 1234 is a landline: file it as Home or"),
        ({"type": "Mobile", "number": "0491 570 15"}, "number", "has a digit too few for Australia."),
        ({"type": "Pager", "number": MOBILES[1]}, "type", "This is not a type of number: use Mobile, Home,"),
        ({"type": "Home", "number": "ask her sister"}, "number", "is not a phone number."),
        ({"type": "Home", "number": "1" * 61}, "number", "A number has at most 60 characters."),
        ({"type": "Home", "number": MOBILES[0]}, "number", "is on file already, as Mobile: change it there."),
        ({"type": "Home", "number": "+61 491 570 006"}, "number", "is on file already, as Mobile: change it there."),
        ({}, "type", "This is not a type of number"),
    ],
)
def test_a_number_that_cannot_be_right_is_refused_beside_its_field(
    client: FlaskClient, forms: None, form: dict[str, str], field: str, says: str
) -> None:
    case = Case(client)
    fragment = case.htmx("/numbers", **form)
    page = case.post("/numbers", **form)
    assert (fragment.status_code, page.status_code) == (422, 422)
    assert fragment.text.lstrip().startswith('<div id="contact"')
    for answer in (fragment, page):
        beside = re.search(rf'id="add-number-{field}-problem" role="alert">([^<]*)<', answer.text)
        assert beside and says in beside[1].replace("&#34;", '"')
        assert f'aria-describedby="add-number-{field}-problem' in answer.text
    assert page.text.count("<h1>") == 1
    if form.get("number"):
        assert f'value="{form["number"]}"' in page.text  # as typed, to be mended
    assert case.numbers == [("Mobile", MOBILES[0])]
    assert case.noted == []


def test_a_number_is_changed_and_filed_as_mobile(client: FlaskClient, forms: None) -> None:
    case = Case(client, mobile=None)
    number_id = case.add(MOBILES[0], PhoneType.HOME)
    assert "it is a mobile" in case.page()
    fragment = case.htmx(f"/numbers/{number_id}/file-as-mobile")
    assert fragment.status_code == 200
    assert "Done. Changed 0491 570 006 (Home) to 0491 570 006 (Mobile)." in in_one_line(fragment.text)
    assert "Reminders go to 0491 570 006" in in_one_line(fragment.text)
    case.post(f"/numbers/{number_id}", type="Mobile", number=MOBILES[1], seen=f"Mobile {MOBILES[0]}")
    changed = row(case.clinic, PhoneRow, number_id)
    assert (changed.number, changed.e164, changed.type) == (MOBILES[1], "+61491570110", PhoneType.MOBILE)
    assert changed.staff_changed == {"type": "Home", "number": MOBILES[0]}
    assert [one[2:4] for one in case.noted] == [
        ("Home 0491 570 006", "Mobile 0491 570 006"),
        ("Mobile 0491 570 006", "Mobile 0491 570 110"),
    ]


def test_a_landline_is_not_filed_as_mobile(client: FlaskClient, forms: None) -> None:
    case = Case(client, mobile=None)
    number_id = case.add("02 5550 1234", PhoneType.HOME)
    answer = case.htmx(f"/numbers/{number_id}/file-as-mobile")
    assert answer.status_code == 422
    assert "Nothing was changed. (02) 5550 1234 is a landline: file it as Home or Work." in in_one_line(answer.text)
    assert case.numbers == [("Home", "02 5550 1234")]


def test_a_removed_number_keeps_its_row_and_is_put_back_where_it_was(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    case.add(MOBILES[1], PhoneType.MOBILE)
    number_id = case.number_id(MOBILES[0])
    fragment = case.htmx(f"/numbers/{number_id}/remove", seen=f"Mobile {MOBILES[0]}")
    assert "Done. Removed 0491 570 006 (Mobile). Put it back" in in_one_line(fragment.text)
    assert case.numbers == [("Mobile", MOBILES[1])]
    assert row(case.clinic, PhoneRow, number_id).removed_at is not None
    assert case.post(f"/numbers/{number_id}/remove").status_code == 303  # twice: nothing more happens
    undo = re.search(r'id="form-undo".*?</form>', fragment.text, re.DOTALL)
    assert undo
    form = dict(re.findall(r'name="(type|number)" value="([^"]*)"', undo[0]))
    case.post("/numbers", **form)
    assert case.numbers == [("Mobile", MOBILES[0]), ("Mobile", MOBILES[1])]
    assert case.number_id(MOBILES[0]) == number_id
    assert [one[1:4] for one in case.noted] == [
        ("number", "Mobile 0491 570 006", ""),
        ("number", "", "Mobile 0491 570 006"),
    ]


def test_the_order_says_which_mobile_is_texted(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    second = case.add(MOBILES[1], PhoneType.MOBILE)
    assert "Reminders go to 0491 570 006" in case.page()
    answer = case.htmx(f"/numbers/{second}/up")
    assert "Done. Put 0491 570 110 (Mobile) before 0491 570 006 (Mobile)." in in_one_line(answer.text)
    assert "Reminders go to 0491 570 110" in case.page()
    assert case.post(f"/numbers/{second}/up").location == f"/patients/{case.id}#contact"  # it is the first
    assert len(case.noted) == 1


def test_what_another_changed_meanwhile_is_not_overwritten(client: FlaskClient, app: Flask, forms: None) -> None:
    case = Case(client)
    number_id = case.number_id(MOBILES[0])
    seen = f"Mobile {MOBILES[0]}"
    reception = sign_in(visitor(app), Role.RECEPTION)
    path = f"/patients/{case.id}/numbers/{number_id}"
    reception.post(path, data={"type": "Mobile", "number": MOBILES[1], "seen": seen})
    for answer in (
        case.htmx(f"/numbers/{number_id}", type="Work", number=MOBILES[0], seen=seen),
        case.htmx(f"/numbers/{number_id}/remove", seen=seen),
    ):
        assert answer.status_code == 422
        assert (
            "Dana Reception has changed this meanwhile: it is now Mobile 0491 570 110. Look again, then save."
            in in_one_line(answer.text)
        )
    assert case.numbers == [("Mobile", MOBILES[1])]
    # The same once more is no conflict.
    assert case.post(f"/numbers/{number_id}", type="Mobile", number=MOBILES[1], seen=seen).status_code == 303
    reception.post(f"{path}/remove")
    gone = case.htmx(f"/numbers/{number_id}", type="Work", number=MOBILES[0], seen=f"Mobile {MOBILES[1]}")
    assert gone.status_code == 422
    assert "it is now removed" in in_one_line(gone.text)
    assert len(case.noted) == 2


def test_an_old_preference_does_not_overwrite_a_newer_one(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    case.post("/preference", preference="Email", seen="")
    answer = case.htmx("/preference", preference="SMS", seen="", note="x", confirm="yes")
    assert answer.status_code == 422
    assert "Dana Owner has changed this meanwhile: it is now Email. Look again" in in_one_line(answer.text)
    assert case.now().preference is Preference.EMAIL


# --- the preference -----------------------------------------------------------------------------------------


def test_a_preference_is_set_and_shown_with_who_when_and_why(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    case.post("/preference", preference="None", note="patient asked for no texts", seen="")
    assert case.now().preference is Preference.NONE
    assert "None Set by Dana Owner today at 10:05am : “patient asked for no texts”." in case.page()
    assert case.noted == [
        ("Dana Owner", "preference", "the practice's default (SMS)", "None", "patient asked for no texts")
    ]


@pytest.mark.parametrize(
    ("own", "new", "asks"),
    [
        (Preference.NONE, "SMS", True),
        (Preference.NONE, "", True),
        (Preference.NONE, "Email", True),
        (Preference.EMAIL, "SMS & Email", True),
        (Preference.EMAIL, "", True),
        (Preference.EMAIL, "None", False),
        (Preference.SMS, "Email", False),
        (None, "None", False),
        (None, "SMS & Email", False),
    ],
)
def test_what_turns_against_the_patients_own_wish_asks_for_a_note_and_a_confirmation(
    client: FlaskClient, forms: None, own: Preference | None, new: str, asks: bool
) -> None:
    case = Case(client, preference=own)
    bare = case.htmx("/preference", preference=new)
    assert bare.status_code == (422 if asks else 200)
    if not asks:
        return
    assert "Say why: " in bare.text
    unconfirmed = case.htmx("/preference", preference=new, note="rang")
    assert unconfirmed.status_code == 422
    assert "Tick that the patient has agreed." in unconfirmed.text
    assert case.now().preference is own
    assert case.htmx("/preference", preference=new, note="rang", confirm="yes").status_code == 200
    assert case.now().preference == (new or None)
    assert case.noted[-1][4] == "rang"


def test_a_senseless_preference_or_a_long_note_is_refused(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    assert "Choose the practice's default, or None, SMS" in in_one_line(case.htmx("/preference", preference="X").text)
    long = case.htmx("/preference", preference="Email", note="x" * 501)
    assert long.status_code == 422
    assert "A note has at most 500 characters." in long.text
    assert case.now().preference is None


# --- opt-outs, the archive ----------------------------------------------------------------------------------


def test_staff_record_an_opt_out_and_lift_it_with_a_note_and_a_confirmation(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    case.post("/opt-outs", note="at the desk")
    case.post("/opt-outs", note="at the desk")  # twice: still one
    page = case.page()
    assert "Mia asked for no texts. Recorded by Dana Owner today at 10:05am : “at the desk”." in page
    assert "Reminders would go to 0491 570 006 , but something stands in the way." in page
    for form, says in (({}, "Say why"), ({"note": "rang"}, "Tick that the patient has agreed")):
        answer = case.htmx("/opt-outs/1/lift", **form)
        assert answer.status_code == 422
        assert says in answer.text
    assert case.post("/opt-outs/1/lift", note="rang", confirm="yes").status_code == 303
    assert case.post("/opt-outs/1/lift", note="rang", confirm="yes").status_code == 303  # twice
    page = case.page()
    assert "Lifted by Dana Owner today at 10:05am : “rang”." in page
    assert "Reminders go to 0491 570 006" in page
    assert [one[1:] for one in case.noted] == [
        ("opt-out", "none", "asked for no texts", "at the desk"),
        ("opt-out", "asked for no texts", "none", "rang"),
    ]


@pytest.mark.parametrize("source", [OptOutSource.REPLY, OptOutSource.CARRIER])
def test_nobody_lifts_what_was_not_recorded_by_staff(client: FlaskClient, forms: None, source: OptOutSource) -> None:
    case = Case(client)
    opt_out = case.opt_out(source, e164="+61491570006")
    assert f"/opt-outs/{opt_out}/lift" not in client.get(f"/patients/{case.id}").text
    answer = case.htmx(f"/opt-outs/{opt_out}/lift", note="x", confirm="yes")
    assert answer.status_code == 422
    assert "Only whoever has that phone can undo it, by texting START." in answer.text
    assert row(case.clinic, OptOut, opt_out).lifted_at is None


def test_an_archived_patient_is_restored_with_a_note_and_a_confirmation(client: FlaskClient, forms: None) -> None:
    case = Case(client, archived=True)
    assert (
        "Mia is archived, and archived patients are not texted. It came so with the practice's export." in case.page()
    )
    assert case.htmx("/restore", confirm="yes").status_code == 422
    assert case.htmx("/restore", note="came back").status_code == 422
    assert case.now().archived
    answer = case.htmx("/restore", note="came back", confirm="yes")
    assert "Done. Restored: no longer archived." in in_one_line(answer.text)
    assert '<span id="archived" hx-swap-oob="true"></span>' in answer.text  # the heading's own
    assert not case.now().archived
    assert case.noted == [("Dana Owner", "archived", "yes", "no", "came back")]
    assert case.post("/restore").status_code == 303  # it is no longer archived: nothing to do


# --- from the diagnosis -------------------------------------------------------------------------------------


def test_a_mend_from_the_diagnosis_answers_with_the_diagnosis(client: FlaskClient, forms: None) -> None:
    clinic = Clinic()
    appointment = clinic.book("a", patient={"mobile": None})
    with store.transaction(clinic.id) as session:
        patient = session.get_one(Patient, appointment.patient_id)
        number_id = a_number(session, patient, MOBILES[0], PhoneType.HOME).id
    path = f"/patients/{appointment.patient_id}/numbers"
    form = {"appointment": str(appointment.id), "next": f"/appointments/{appointment.id}?mended=no-mobile-number"}
    wrong = client.post(path, data=form | {"type": "Mobile", "number": "0491"}, headers=HTMX)
    assert wrong.status_code == 422
    assert f'id="diagnosis-{appointment.id}"' in wrong.text
    mended = client.post(f"{path}/{number_id}/file-as-mobile", data=form, headers=HTMX)
    assert mended.status_code == 200
    assert f'id="diagnosis-{appointment.id}"' in mended.text
    assert 'id="contact"' not in mended.text
    plain = client.post(f"{path}/{number_id}/file-as-mobile", data=form)
    assert (plain.status_code, plain.location) == (303, form["next"])


@pytest.mark.parametrize("place", ["https://example.org/", "//example.org", "/\\example.org", "/\t/example.org", "x"])
def test_a_form_leads_inside_only(client: FlaskClient, forms: None, place: str) -> None:
    case = Case(client)
    answer = case.post("/opt-outs", note="x", next=place)
    assert answer.location == f"/patients/{case.id}?done=1#contact"


@pytest.mark.parametrize(
    "path",
    [
        *("/patients/9/numbers", "/patients/1/numbers/9", "/patients/2/numbers/1", "/patients/2/numbers/1/up"),
        *("/patients/2/numbers/1/file-as-mobile", "/patients/2/numbers/1/remove", "/patients/9/preference"),
        *(
            "/patients/9/opt-outs",
            "/patients/1/opt-outs/9/lift",
            "/patients/2/opt-outs/1/lift",
            "/patients/9/restore",
        ),
        f"/patients/{2**63 - 1}/restore",
        f"/patients/{2**63}/restore",
    ],
)
def test_what_is_not_there_or_not_the_patients_is_404(client: FlaskClient, forms: None, path: str) -> None:
    case = Case(client)
    with store.transaction(case.clinic.id) as session:
        a_patient(session, "p2", mobile=None)
    case.opt_out(OptOutSource.STAFF, patient_id=case.id)
    form = {"type": "Mobile", "number": MOBILES[1], "note": "x", "confirm": "yes", "preference": "SMS"}
    assert client.post(path, data=form).status_code == 404
    assert client.post(path, data=form, headers=HTMX).status_code == 404
    assert case.numbers == [("Mobile", MOBILES[0])]


def test_the_age_of_a_change_is_told_by_the_clinics_clock(client: FlaskClient, forms: None) -> None:
    case = Case(client)
    case.post("/opt-outs", note="x")
    with store.reading(case.clinic.id) as session:
        (change,) = list_changes(session, Subject.PATIENT, case.id)
    assert change.at == datetime(2031, 5, 7, 0, 5, change.at.second, change.at.microsecond, tzinfo=UTC)
    assert "today at 10:05am" in case.page()


# --- consent to marketing -----------------------------------------------------------------------------------


def test_consent_to_marketing_has_its_day_and_how_it_was_given_and_is_taken_back_so(
    client: FlaskClient, forms: None
) -> None:
    case = Case(client)
    assert "Mia has not agreed to it: only texts about care go there." in case.page()
    for form, says in (
        ({"day": "yesterday", "note": "form"}, "Type the day as a date."),
        ({"day": "2031-05-09", "note": "form"}, "That day is still to come."),
        ({"day": "2031-05-03"}, "Say how, in words"),
    ):
        answer = case.htmx("/consent", **form)
        assert answer.status_code == 422
        assert says in answer.text
    assert case.now().consented_on is None

    given = {"day": "2031-05-03", "note": "Form signed at the desk"}
    assert case.post("/consent", **given).status_code == 303
    assert case.post("/consent", **given).status_code == 303  # twice
    page = case.page()
    assert (
        "Mia agreed to it on 3 May 2031: “Form signed at the desk”. Recorded by Dana Owner today at 10:05am" in page
    )
    assert case.htmx("/consent/withdraw", day="2031-05-07").status_code == 422
    case.post("/consent/withdraw", day="2031-05-07", note="rang")
    page = case.page()
    assert "Mia has taken the consent back: only texts about care go there." in page
    assert "Consent to marketing withdrawn on Wednesday 7 May 2031" in page
    assert (case.now().consented_on, case.now().consent_source) == (None, None)
    assert [one[1:] for one in case.noted] == [
        ("consent", "not given", "given on Saturday 3 May 2031", "Form signed at the desk"),
        ("consent", "given on Saturday 3 May 2031", "withdrawn on Wednesday 7 May 2031", "rang"),
    ]
