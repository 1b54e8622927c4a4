"""Two records of one person become one: all that hangs on them, wishes, what waits, on both databases."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal import store
from portal.actions import patients
from portal.actions.broadcasts import send as send_to_many
from portal.actions.merge_patients import CannotMerge, find_kept, merge, say_they_are_two
from portal.actions.patients import NoSuchPatient
from portal.actions.remind import run_pass
from portal.core import contacts
from portal.core.numbers import PhoneType
from portal.core.patient_search import parse
from portal.core.reasons import Reason
from portal.core.reminders import Preference
from portal.core.search import parse as parse_search
from portal.core.states import Status
from portal.store.appointments import Appointment
from portal.store.broadcasts import Broadcast, BroadcastRecipient
from portal.store.changes import Subject, list_changes
from portal.store.merges import Merge
from portal.store.messages import Message
from portal.store.patients import OptOut, OptOutSource, Patient
from tests.builders import MOBILES, PASS_AT, Clinic, a_number, a_patient

from .broadcasting import GOES_AT, credits, draft
from .by_staff import Line, write
from .merging import DANA, HOW, count_references, merged, two, with_everything

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    return Clinic()


def patient(id_: int) -> Patient:
    with store.reading("riverside") as session:
        return session.get_one(Patient, id_)


def numbers(id_: int) -> list[tuple[str, str]]:
    with store.reading("riverside") as session:
        return [(one.type.value, one.number) for one in store.patients.list_number_rows(session, id_)]


def log() -> list[Message]:
    with store.reading("riverside") as session:
        return list(session.scalars(select(Message).order_by(Message.id)))


def found(typed: str) -> list[int]:
    query = parse(typed, "AU", PASS_AT.date())
    assert query
    with store.reading("riverside") as session:
        return [line.id for line in store.patient_list.find(session, "riverside", query, 50)]


# --- all that hangs on it -------------------------------------------------------------------------------------


def test_everything_that_refers_to_a_patient_comes_along(clinic: Clinic) -> None:
    kept, gone = with_everything(clinic)
    before, mine = count_references(gone), count_references(kept)
    only_as_a_trace = {("merges", "gone_id")}
    lacking = {name for name, count in before.items() if not count}
    # Or this test would not see that it is forgotten.
    assert lacking == only_as_a_trace | {("two_people", "second_id")}
    merged(kept, gone)
    after, all_of_it = count_references(gone), count_references(kept)
    assert {name for name, count in after.items() if count} == only_as_a_trace
    for name, count in before.items():
        if name[0] not in ("two_people", "broadcast_recipients", "merges"):
            assert all_of_it[name] == mine[name] + count, name
    assert all_of_it["broadcast_recipients", "patient_id"] == 1  # both were of the same message to many
    assert all_of_it["merges", "kept_id"] == 3
    with store.reading(clinic.id) as session:
        assert session.get(Patient, gone) is None
        assert list_changes(session, Subject.PATIENT, gone) == []
        assert len(list_changes(session, Subject.PATIENT, kept)) >= 4


def test_the_record_that_went_is_a_trace_that_leads_on(clinic: Clinic) -> None:
    kept, gone = two(clinic, gone={"first_name": "Mira", "email": "mia@example.org"})
    assert found("mira") == [gone]
    merged(kept, gone)
    assert (found("mira"), found("mia"), found("570 110"), found("g")) == ([], [kept], [kept], [kept])
    assert find_kept(clinic.id, gone) == kept
    assert find_kept(clinic.id, kept) is None
    with store.reading(clinic.id) as session:
        named = store.patients.find_patient(session, "g")
        assert named and named.id == kept
        [one] = store.merges.list_merges(session, 10)
        listed = store.patient_list.list_newest(session, 50), store.patient_list.list_by_name(session, 50)
    assert (one.merge.by, one.merge.at, one.gone.full_name, one.kept.id) == ("Dana", PASS_AT, "Mira Nguyen", kept)
    assert [[line.id for line in lines] for lines in listed] == [[kept], [kept]]
    assert patient(kept).email == "mia@example.org"  # it was blank
    with store.reading(clinic.id) as session:
        last = list_changes(session, Subject.PATIENT, kept, most=1)[0]
    says = contacts.change_in_words(last.field, last.before, last.after)
    assert (says, last.by) == ("Merged with the record of Mira Nguyen, patient number g", "Dana")


def test_who_was_merged_before_leads_to_the_last_who_was_kept(clinic: Clinic) -> None:
    kept, gone = two(clinic)
    with store.transaction(clinic.id) as session:
        first = a_patient(session, "first", mobile=MOBILES[2])
    merged(gone, first.id)
    merged(kept, gone)
    assert find_kept(clinic.id, first.id) == find_kept(clinic.id, gone) == kept
    assert [number for _, number in numbers(kept)] == [MOBILES[0], MOBILES[1], MOBILES[2]]
    with store.reading(clinic.id) as session:
        assert [one.first_place for one in store.merges.list_aliases(session, [kept])] == [10_000, 20_000]


def test_messages_are_found_by_the_name_that_stays(clinic: Clinic) -> None:
    kept, gone = two(clinic, gone={"last_name": "Okafor"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    merged(kept, gone)
    with store.reading(clinic.id) as session:
        entries = [
            store.communications.list_newest(
                session, clinic.id, store.communications.Filter(), 50, query=parse_search(name)
            ).entries
            for name in ("okafor", "nguyen")
        ]
    assert [len(some) for some in entries] == [0, 2]


def test_numbers_come_without_doubles_and_what_was_a_mobile_stays_one(clinic: Clinic) -> None:
    kept, gone = two(clinic, kept={"mobile": None}, gone={"mobile": "+61 491 570 006"})
    with store.transaction(clinic.id) as session:
        a_number(session, session.get_one(Patient, kept), MOBILES[0], PhoneType.HOME)
        a_number(session, session.get_one(Patient, kept), "02 5550 1234", PhoneType.WORK, position=1)
        a_number(session, session.get_one(Patient, gone), "02 5550 1234", PhoneType.HOME, position=1)
        a_number(session, session.get_one(Patient, gone), MOBILES[3], PhoneType.MOBILE, position=2)
    merged(kept, gone)
    assert numbers(kept) == [("Mobile", MOBILES[0]), ("Work", "02 5550 1234"), ("Mobile", MOBILES[3])]


# --- wishes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs", "holds"),
    [
        (None, Preference.NONE, Preference.NONE),
        (Preference.SMS, Preference.NONE, Preference.NONE),
        (Preference.NONE, Preference.SMS, Preference.NONE),
        (Preference.EMAIL, Preference.SMS, Preference.EMAIL),
        (Preference.SMS_AND_EMAIL, Preference.EMAIL, Preference.EMAIL),
        (Preference.EMAIL, Preference.NONE, Preference.NONE),
        (Preference.SMS, None, Preference.SMS),
        (Preference.SMS_AND_EMAIL, Preference.SMS, Preference.SMS_AND_EMAIL),
        (None, None, None),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_stricter_wish_holds(
    clinic: Clinic, mine: Preference | None, theirs: Preference | None, holds: Preference | None
) -> None:
    kept, gone = two(clinic, kept={"preference": mine}, gone={"preference": theirs})
    merged(kept, gone)
    assert patient(kept).preference is holds


def test_no_opt_out_is_lost_and_nobody_is_texted_against_it(clinic: Clinic, line: Line) -> None:
    kept, gone = two(clinic)
    patients.record_opt_out(clinic.id, gone, note="at the desk", **HOW)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    queued = [one.id for one in log() if one.status is Status.QUEUED]
    assert len(queued) == 1  # the kept record's own
    merged(kept, gone)
    line.send(queued)
    assert line.taken == []
    assert {one.reasons for one in log()} == {(Reason.OPTED_OUT,)}
    assert credits() == 100
    with store.reading(clinic.id) as session:
        [opt_out] = session.scalars(select(OptOut))
        change = list_changes(session, Subject.PATIENT, kept, [contacts.OPT_OUT])[0]
    assert (opt_out.patient_id, opt_out.source, opt_out.lifted_at) == (kept, OptOutSource.STAFF, None)
    assert change.note == "at the desk"


def test_a_consent_comes_along_and_one_withdrawn_since_does_not(clinic: Clinic) -> None:
    kept, gone = two(clinic)
    patients.record_consent(clinic.id, gone, "2031-05-01", "a form", **HOW)
    merged(kept, gone)
    assert (str(patient(kept).consented_on), patient(kept).consent_source) == ("2031-05-01", "a form")
    with store.transaction(clinic.id) as session:
        other = a_patient(session, "other")
    patients.record_consent(clinic.id, other.id, "2031-05-02", "a call", **HOW)
    patients.withdraw_consent(clinic.id, other.id, "2031-05-07", "a call", **HOW)
    merged(kept, other.id)
    assert patient(kept).consented_on is None


# --- what waits -----------------------------------------------------------------------------------------------


def test_reminders_that_wait_go_once_each_to_the_number_that_is_kept(clinic: Clinic, line: Line) -> None:
    kept, gone = two(clinic)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    queued = [one.id for one in log()]
    merged(kept, gone)
    line.send(queued)
    line.send(queued)
    run_pass(clinic.id, PASS_AT + timedelta(hours=1), PASS_AT + timedelta(hours=1))
    assert [to for to, _ in line.taken] == ["61491570006", "61491570006"]
    assert sorted(text.rsplit(" ", 1)[1] for _, text in line.taken) == ["11:00am.", "9:30am."]
    assert {(one.status, one.patient_id) for one in log()} == {(Status.SENT, kept)}
    assert credits() == 98


def test_what_could_not_go_for_the_number_goes_with_the_next_pass(clinic: Clinic) -> None:
    kept, gone = two(clinic, gone={"mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    merged(kept, gone)
    later = PASS_AT + timedelta(hours=1)
    run_pass(clinic.id, later, later)
    assert {(one.status, one.to) for one in log()} == {(Status.QUEUED, "+61491570006")}


def test_what_staff_wrote_to_both_in_the_same_words_goes_once(clinic: Clinic, line: Line) -> None:
    kept, gone = two(clinic)
    ids = [write("Please call us.", to="k"), write("Please call us.", to="g"), write("Bring your card.", to="g")]
    merged(kept, gone)
    line.send(ids)
    assert sorted(line.taken) == [("61491570006", "Bring your card."), ("61491570006", "Please call us.")]
    assert [one.status for one in log()] == [Status.SENT, Status.CANCELLED, Status.SENT]
    assert credits() == 98


def to_many() -> int:
    return send_to_many("riverside", draft("Hi {{Patient.FirstName}}."), "a-form-of-many", DANA, PASS_AT).broadcast_id


def recipients() -> list[tuple[int, int | None]]:
    with store.reading("riverside") as session:
        rows = session.scalars(select(BroadcastRecipient).order_by(BroadcastRecipient.patient_id))
        return [(one.patient_id, one.message_id) for one in rows]


def counted() -> tuple[int, int]:
    with store.reading("riverside") as session:
        one = session.scalars(select(Broadcast)).one()
        return one.reached, one.left_out


def test_a_message_to_many_goes_once_to_who_was_two(clinic: Clinic, line: Line) -> None:
    kept, gone = two(clinic)
    to_many()
    mine, theirs = (one.id for one in log())
    merged(kept, gone)
    assert recipients() == [(kept, mine)]
    assert counted() == (1, 0)
    line.send([mine, theirs], at=GOES_AT)
    assert line.taken == [("61491570006", "Hi Mia.")]
    assert credits() == 99


def test_where_one_of_the_two_was_texted_already_the_other_text_is_withdrawn(clinic: Clinic, line: Line) -> None:
    kept, gone = two(clinic)
    to_many()
    mine, theirs = (one.id for one in log())
    line.send([theirs], at=GOES_AT)
    merged(kept, gone)
    line.send([mine, theirs], at=GOES_AT)
    assert line.taken == [("61491570110", "Hi Mia.")]
    assert [one.status for one in log()] == [Status.CANCELLED, Status.SENT]
    assert recipients() == [(kept, theirs)]
    assert counted() == (1, 0)


def test_a_text_that_another_relies_on_is_never_withdrawn_and_keeps_its_number(clinic: Clinic, line: Line) -> None:
    """Mia's mother, another Mia, has the number of the record that goes: one text reaches both."""
    kept, gone = two(clinic)
    mother = clinic.book("mother", starts="2031-05-08 12:00", patient={"mobile": MOBILES[1]}).patient_id
    to_many()
    mine, shared = (one.id for one in log())
    assert recipients() == [(kept, mine), (gone, shared), (mother, shared)]
    merged(kept, gone)
    line.send([mine, shared], at=GOES_AT)
    assert ("61491570110", "Hi Mia.") in line.taken
    assert (mother, shared) in recipients()
    assert len(line.taken) == 1  # Mia reads it on that phone, too


def test_who_was_left_out_under_one_record_is_reached_under_the_other(clinic: Clinic, line: Line) -> None:
    kept, gone = two(clinic, kept={"mobile": None})
    to_many()
    assert counted() == (1, 1)
    merged(kept, gone)
    assert recipients() == [(kept, log()[0].id)]
    assert counted() == (1, 0)
    line.send([log()[0].id], at=GOES_AT)
    assert line.taken == [("61491570110", "Hi Mia.")]


# --- what is refused ------------------------------------------------------------------------------------------


def test_nothing_is_merged_without_a_word_or_with_oneself_or_twice(clinic: Clinic) -> None:
    kept, gone = two(clinic)
    with pytest.raises(CannotMerge, match="Tick that they are one person"):
        merge(clinic.id, kept, gone, confirmed=False, **HOW)
    for mine, theirs in ((kept, kept), (kept, 999), (999, gone)):
        with pytest.raises(NoSuchPatient):
            merged(mine, theirs)
    merged(kept, gone)
    for mine, theirs in ((kept, gone), (gone, kept)):
        with pytest.raises(NoSuchPatient):
            merged(mine, theirs)
    with pytest.raises(NoSuchPatient):  # a page that is still open
        patients.set_preference(clinic.id, gone, "SMS", **HOW)


def test_an_archived_record_comes_to_an_active_one_only_where_the_patient_has_agreed(clinic: Clinic) -> None:
    kept, gone = two(clinic, gone={"archived": True})
    with pytest.raises(CannotMerge, match="One of them is archived"):
        merged(kept, gone)
    merge(clinic.id, kept, gone, confirmed=True, has_agreed=True, **HOW)
    assert not patient(kept).archived
    with store.reading(clinic.id) as session:
        noted = [(one.field, one.before, one.after, one.by) for one in list_changes(session, Subject.PATIENT, kept)]
    assert (contacts.ARCHIVED, "yes", "no", "Dana") in noted


@pytest.mark.parametrize("is_gone_archived", [False, True])
def test_an_archived_record_that_stays_is_archived_still(clinic: Clinic, is_gone_archived: bool) -> None:
    kept, gone = two(clinic, kept={"archived": True}, gone={"archived": is_gone_archived})
    merged(kept, gone)
    assert patient(kept).archived
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result and not result.message_ids
    with store.reading(clinic.id) as session:
        assert contacts.ARCHIVED not in {one.field for one in list_changes(session, Subject.PATIENT, kept)}


def test_a_merge_waits_for_a_message_to_many_that_is_being_prepared(clinic: Clinic) -> None:
    kept, gone = two(clinic)
    to_many()
    with store.transaction(clinic.id) as session:
        session.execute(update(Broadcast).values(recorded_at=None).execution_options(synchronize_session=False))
    with pytest.raises(CannotMerge, match="being prepared"):
        merged(kept, gone)


def test_another_practices_patient_is_not_merged(clinic: Clinic) -> None:
    kept, gone = two(clinic)
    Clinic("northgate")
    with pytest.raises(NoSuchPatient):
        merge("northgate", kept, gone, confirmed=True, **HOW)
    with pytest.raises(NoSuchPatient):
        say_they_are_two("northgate", kept, gone, DANA, PASS_AT)
    with store.reading(clinic.id) as session:
        assert session.scalars(select(Merge)).all() == []
        assert session.scalars(select(Appointment.patient_id).order_by(Appointment.id)).all() == [kept, gone]
