"""What the editor shows is what goes; staff's text stands against the export; test texts from queue to end."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal import store
from portal.actions.sending import switch_sending
from portal.actions.show_message import show_message
from portal.actions.templates import (
    Draft,
    NoSuchTemplate,
    TemplateProblem,
    add_template,
    change_template,
    open_editor,
    preview,
    restore,
)
from portal.actions.test_text import send_test_text
from portal.actions.who import Who
from portal.core.reasons import Reason
from portal.core.reminders import Sending, decide
from portal.core.roles import MAY, Role
from portal.core.states import Kind, Status
from portal.core.text import PLACEHOLDERS
from portal.core.typed_text import tidy
from portal.store.appointments import Appointment
from portal.store.patients import Patient
from portal.store.practices import SmsTemplate
from tests.actions.exports import Export, find
from tests.actions.test_remind import balance
from tests.builders import MOBILES, PASS_AT, Clinic

from .by_staff import Line, message, write
from .replies import comes_in

DANA = Who(1, "Dana Lim")
NUMBER, E164 = "0491 570 157", "+61491570157"
TEXT = "Dear {{Patient.FullName}}, see you {{Appointment.Date}}."


def saved(text: str, template_id: int = 1) -> bool:
    seen = open_editor("riverside", Draft(template_id), DANA, PASS_AT).seen
    return change_template("riverside", template_id, "Short", text, seen, DANA, PASS_AT)


# --- the preview --------------------------------------------------------------------------------------------

written = st.lists(
    st.one_of(
        st.sampled_from([f"{{{{{name}}}}}" for name in PLACEHOLDERS]),
        st.sampled_from(["{", "}", "{%", "\n", " ", "ç", "€", "مرحبا", "🙂"]),
        st.text(max_size=20),
    ),
    max_size=8,
).map("".join)
names = st.text(st.characters(blacklist_categories=("Cc", "Cs")), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=written, first=names, last=names)
def test_the_preview_is_what_goes(clinic: Clinic, text: str, first: str, last: str) -> None:
    with store.transaction(clinic.id) as session:
        patient = session.get_one(Patient, 1)
        patient.first_name, patient.last_name = first, last
    typed = preview(clinic.id, Draft(1, "Short", text, 1), PASS_AT)
    if typed.problem or not tidy(text):
        with pytest.raises(TemplateProblem, match=re.escape(typed.problem or "Write the text first.")):
            saved(text)
        return
    saved(text)
    with store.reading(clinic.id) as session:
        found = store.facts.find(session, Appointment.id == 1)
        assert found
        decision = decide(found.reminder.facts, 1_000)
    shown = open_editor(clinic.id, Draft(1), DANA, PASS_AT).preview
    assert shown.text == typed.text == decision.text
    assert shown.weighed.parts == typed.weighed.parts == decision.parts
    assert shown.problem == typed.problem == ""


def test_what_is_queued_is_sent_with_the_new_text(clinic: Clinic, line: Line) -> None:
    assert saved(TEXT)
    line.send([1])
    saved("Another")
    assert line.taken == [("61491570006", "Dear Mia Nguyen, see you Thursday 8 May 2031.")]


def test_what_staff_wrote_is_not_counted_among_what_changes(clinic: Clinic) -> None:
    write("Please call us.")
    editor = open_editor(clinic.id, Draft(1), DANA, PASS_AT)
    assert editor.use and (editor.use.to_come, editor.use.queued) == (0, 1)
    assert editor.does == "0 reminders in the next 7 days use it; 1 already queued is sent with the new text, too."


def test_a_template_as_imported_is_shown_to_the_letter(clinic: Clinic) -> None:
    clinic.change(clinic.template, body=" Hi \n")
    assert open_editor(clinic.id, Draft(1), DANA, PASS_AT).preview.text == " Hi \n"
    assert preview(clinic.id, Draft(1, "Short", " Hi \n"), PASS_AT).text == "Hi"


# --- changes ------------------------------------------------------------------------------------------------


def test_an_import_leaves_staffs_text_and_says_so(app: Flask, tmp_path: Path) -> None:
    export = Export(tmp_path / "export")
    export.set("sms_templates.csv", {"body": "Hi {{Patient.Nick}}"})
    export.run()
    assert find(SmsTemplate, "t1").problem
    template_id = find(SmsTemplate, "t1").id
    saved(TEXT, template_id)
    assert find(SmsTemplate, "t1").problem is None
    assert not export.run().conflicts  # it is the same export
    export.set("sms_templates.csv", {"body": "Hi {{Patient.FirstName}}"})
    assert [(one.file, one.column) for one in export.run().conflicts] == [("sms_templates.csv", "body")]
    assert (find(SmsTemplate, "t1").body, find(SmsTemplate, "t1").problem) == (TEXT, None)
    new = add_template("riverside", "Ours", "Hello", DANA, PASS_AT)
    export.run()
    with store.reading("riverside") as session:
        assert session.get_one(SmsTemplate, new).body == "Hello"


def test_only_its_own_changes_are_put_back(clinic: Clinic) -> None:
    other = add_template(clinic.id, "Other", "Hello", DANA, PASS_AT)
    saved(TEXT)
    changes = open_editor(clinic.id, Draft(1), DANA, PASS_AT).changes
    assert [(one.by, one.field, one.after) for one in changes] == [("Dana Lim", "text", TEXT)]
    with pytest.raises(NoSuchTemplate):
        restore(clinic.id, other, changes[0].id, DANA, PASS_AT)
    restore(clinic.id, 1, changes[0].id, DANA, PASS_AT)
    assert find(SmsTemplate, "1").body == changes[0].before


# --- test texts ---------------------------------------------------------------------------------------------


def send_one(number: str = NUMBER, text: str = TEXT, *, key: str = "a-test-0001") -> int:
    return send_test_text("riverside", Draft(1, "Short", text), number, key, DANA, PASS_AT)


def test_while_rehearsing_only_a_test_text_goes(clinic: Clinic, line: Line) -> None:
    switch_sending(clinic.id, Sending.REHEARSAL, PASS_AT)
    id_ = send_one()
    line.send([1, id_])
    assert line.taken == [(E164[1:], "Dear Dana Lim, see you Thursday 8 May 2031.")]
    assert (message(1).status, message(1).reasons) == (Status.NOT_SENT, (Reason.SENDING_OFF,))
    sent = message(id_)
    assert (sent.kind, sent.status, sent.patient_id, sent.charged) == (Kind.TEST, Status.SENT, None, 1)
    assert balance() == 99  # the reminder's came back
    with pytest.raises(Exception, match="Sending is off"):
        write("Please call us.")
    shown = show_message(clinic.id, id_, PASS_AT, MAY[Role.OWNER])
    assert shown.sentence == "Dana Lim was texted today at 10am: the provider has it."


def test_a_pause_holds_a_test_text_back_too(clinic: Clinic, line: Line) -> None:
    id_ = send_one()
    switch_sending(clinic.id, Sending.PAUSED, PASS_AT)
    line.send([id_])
    assert line.taken == []
    held = message(id_)
    assert (held.status, held.reasons, held.charged) == (Status.NOT_SENT, (Reason.SENDING_OFF,), 0)
    with pytest.raises(TemplateProblem, match="Sending is off for the whole practice"):
        send_one(key="a-test-0002")


def test_a_number_that_said_stop_gets_no_test_text(clinic: Clinic, line: Line) -> None:
    clinic.change(clinic.practice, sender="+61480000099")
    id_ = send_one(MOBILES[0])
    comes_in("STOP")
    line.send([id_])
    assert (message(id_).status, message(id_).reasons) == (Status.NOT_SENT, (Reason.OPTED_OUT,))
    with pytest.raises(TemplateProblem, match="0491 570 006 replied STOP to this practice"):
        send_one(MOBILES[0], key="a-test-0002")
    assert line.taken == []


def test_a_form_sent_twice_writes_once_and_a_job_that_runs_twice_sends_once(clinic: Clinic, line: Line) -> None:
    assert send_one() == send_one()
    line.send([send_one()])
    line.send([send_one()])
    assert len(line.taken) == 1


def test_a_test_text_goes_at_any_hour(clinic: Clinic, line: Line) -> None:
    at_night = PASS_AT + timedelta(hours=13)
    id_ = send_test_text(clinic.id, Draft(1, "Short", TEXT), NUMBER, "a-test-0001", DANA, at_night)
    line.send([id_], at=at_night)
    assert len(line.taken) == 1


def test_one_that_came_too_late_expires_and_gives_back(clinic: Clinic, line: Line) -> None:
    id_, before = send_one(), balance()
    line.send([id_], at=PASS_AT + timedelta(hours=2))
    assert message(id_).status is Status.EXPIRED
    assert balance() == before + 1 and line.taken == []
