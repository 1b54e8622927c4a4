"""What the owner sets for the whole practice: asked about before it is changed, noted, and kept by an import."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal import store
from portal.actions import credits, practice_settings
from portal.actions.asking import Asked, SettingRefused
from portal.actions.reminder_times import set_reminder_times
from portal.actions.who import Who
from portal.core.numbers import PhoneType
from portal.core.reminders import Preference
from portal.store.changes import Subject
from portal.store.patients import Patient
from portal.store.practices import Practice
from portal.store.reminders import Reach
from tests.actions.exports import NOW, Export
from tests.builders import DAY, PASS_AT, Clinic, a_number, a_practice

DANA = Who(1, "Dana")
BY_DANA: dict[str, Any] = {"who": DANA, "now": PASS_AT}


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    return Clinic()


def practice(id: str = "riverside") -> Practice:
    with store.reading(id) as session:
        return store.practices.get_practice(session, id)


def noted(field: str) -> list[tuple[str, str, str]]:
    with store.reading("riverside") as session:
        changes = store.changes.list_changes(session, Subject.PRACTICE, None, [field])
        return [(one.by, one.before, one.after) for one in reversed(changes)]


def effects(act: Callable[[], object]) -> str:
    with pytest.raises(Asked) as asked:
        act()
    return " ".join(asked.value.effects)


def set_times(window_start: int, lead_days: int, *, confirmed: bool = False, now: Any = PASS_AT) -> bool:
    return set_reminder_times("riverside", window_start, lead_days, confirmed=confirmed, who=DANA, now=now)


def test_more_days_ahead_says_whose_reminders_will_not_go(clinic: Clinic) -> None:
    for number, day in enumerate(("08", "09", "09", "10", "11")):
        clinic.book(f"{number}", starts=f"2031-05-{day} 09:30")
    says = effects(lambda: set_times(10, 3))
    assert "Reminders go from 10am to 11am, retries until 3pm, 3 days before the appointment" in says
    assert "The next go today, for the appointments of Saturday 10 May." in says
    assert "3 reminders for the appointments of Thursday 8 May to Friday 9 May will not go" in says
    assert practice().lead_days == 1
    assert set_times(10, 3, confirmed=True)
    assert not set_times(10, 3)  # nothing to ask any more
    assert practice().lead_days == 3
    before, after = "10am to 11am, retries until 3pm, 1 day ahead", "10am to 11am, retries until 3pm, 3 days ahead"
    assert noted("reminder_times") == [("Dana", before, after)]


def test_who_gets_no_reminder_loses_none(clinic: Clinic) -> None:
    clinic.book("mia")
    clinic.book("email", patient={"preference": Preference.EMAIL})
    clinic.book("archived", patient={"archived": True})
    assert "1 reminder for the appointments of Thursday 8 May to Friday 9 May will" in effects(
        lambda: set_times(10, 3)
    )


def test_fewer_days_ahead_says_whose_have_gone_already(clinic: Clinic) -> None:
    clinic.change(clinic.practice, lead_days=3)
    clinic.book("tomorrow")
    says = effects(lambda: set_times(10, 1))
    assert "The appointments of Thursday 8 May to Friday 9 May have had their day for reminders" in says
    assert "1 reminder that did not go, or of later bookings, will be tried then." in says


def test_an_hour_that_is_over_today_says_what_is_lost(clinic: Clinic) -> None:
    clinic.book("tomorrow")
    at_two = PASS_AT + timedelta(hours=4)
    assert "1 reminder for the appointments of Thursday 8 May" in effects(lambda: set_times(6, 1, now=at_two))
    assert "will not go" not in effects(lambda: set_times(11, 1, now=at_two))


@pytest.mark.parametrize(("window_start", "lead_days", "field"), [(5, 1, "window_start"), (10, 15, "lead_days")])
def test_times_that_cannot_be_are_refused(clinic: Clinic, window_start: int, lead_days: int, field: str) -> None:
    with pytest.raises(SettingRefused) as refused:
        set_times(window_start, lead_days, confirmed=True)
    assert refused.value.field == field


def test_a_practice_without_a_business_has_times_as_well(app: Flask) -> None:
    a_practice()
    assert "Reminders go from 9am to 10am" in effects(lambda: set_times(9, 2))
    assert set_times(9, 2, confirmed=True)


def test_the_default_says_how_many_patients_it_changes(clinic: Clinic) -> None:
    clinic.book("follows")
    clinic.book("follows-too", starts="2031-06-20 09:30")
    clinic.book("archived", patient={"archived": True})
    clinic.book("wishes", patient={"preference": Preference.SMS})

    def to(wanted: str, *, confirmed: bool = False) -> bool:
        return practice_settings.set_default_preference("riverside", wanted, confirmed=confirmed, **BY_DANA)

    says = effects(lambda: to("Email"))
    assert "It changes what 2 patients get, who have no wish of their own; 1 with appointments" in says
    assert "They get no reminder by text any more" in says
    assert "For texts it makes no difference." in effects(lambda: to("SMS & Email"))
    assert to("None", confirmed=True)
    assert "They are texted from the next reminders on" in effects(lambda: to("SMS"))
    assert "no reminder by text, as now" in effects(lambda: to("Email"))
    assert noted("default_preference") == [("Dana", "SMS", "None")]
    with pytest.raises(SettingRefused):
        to("Fax")


def test_the_patients_of_another_practice_are_not_counted(clinic: Clinic) -> None:
    clinic.book("a")
    other = Clinic("northgate")
    for number in range(3):
        other.book(f"{number}")
    for id_, count in (("riverside", 1), ("northgate", 3)):
        with store.reading(id_) as session:
            businesses = [one.id for one in store.practices.list_businesses(session)]
            weeks = dict.fromkeys([clinic.business.id, other.business.id, *businesses], (DAY, DAY))
            assert store.reminders.count_reach(session, id_, weeks) == Reach(count, count, count)


def test_a_sender_is_checked_and_asked_about(clinic: Clinic) -> None:
    def to(typed: str, *, confirmed: bool = False) -> bool:
        return practice_settings.set_sender("riverside", typed, confirmed=confirmed, **BY_DANA)

    a_practice("northgate", sender="+61491570110")
    for typed, says in (
        ("Riverside Clinic", "at most 11 letters"),
        ("0491 570", "not a phone number of Australia"),
        ("0491 570 110", "another practice's"),
    ):
        with pytest.raises(SettingRefused, match=says) as refused:
            to(typed, confirmed=True)
        assert refused.value.field == "sender"
    assert "comes from +61491570006, also reminders that wait" in effects(lambda: to("0491 570 006"))
    assert to("0491 570 006", confirmed=True)
    says = effects(lambda: to("Riverside"))
    assert "Nobody can reply to a name" in says
    assert "In Australia a name must be registered" in says
    assert noted("sender") == [("Dana", "Clinic", "+61491570006")]
    clinic.change(clinic.practice, country="US")
    with pytest.raises(SettingRefused, match="The United States takes no texts from a name"):
        to("Riverside", confirmed=True)


def test_countries_are_added_and_taken_away(clinic: Clinic) -> None:
    def sends(code: str, sends_to: bool, *, confirmed: bool = False) -> bool:
        return practice_settings.set_country("riverside", code, sends_to=sends_to, confirmed=confirmed, **BY_DANA)

    for code in ("AU", "XX", ""):
        with pytest.raises(SettingRefused):
            sends(code, True)
    assert sends("GB", True)  # a name is taken there as it is: nothing to ask
    assert "Texts to numbers of the United States will fail" in effects(lambda: sends("US", True))
    assert practice().countries == {"AU", "GB"}
    appointment = clinic.book("a", patient={"mobile": None})
    with store.transaction(clinic.id) as session:
        patient = session.get_one(Patient, appointment.patient_id)
        for position, type_ in enumerate((PhoneType.MOBILE, PhoneType.MOBILE, PhoneType.HOME)):
            a_number(session, patient, "+44 7400 123456", type_, position)
    assert "1 patient with a mobile number of the United Kingdom" in effects(lambda: sends("GB", False))
    assert sends("GB", False, confirmed=True)
    assert not sends("GB", False)
    assert noted("also_sends_to") == [("Dana", "none", "the United Kingdom"), ("Dana", "the United Kingdom", "none")]


def test_a_practice_has_a_name(clinic: Clinic) -> None:
    for typed in ("", " \n", "x" * 201):
        with pytest.raises(SettingRefused):
            practice_settings.set_name("riverside", typed, **BY_DANA)
    assert practice_settings.set_name("riverside", " River \x00Side\n", **BY_DANA)
    assert practice().name == "River Side"
    assert noted("name") == [("Dana", "Riverside", "River Side")]


def test_an_import_leaves_staffs_settings_and_lists_what_it_would_have_changed(app: Flask, tmp_path: Path) -> None:
    export = Export(tmp_path / "export")
    export.run()
    set_times(8, 2, confirmed=True, now=NOW)
    practice_settings.set_default_preference("riverside", "Email", confirmed=True, who=DANA, now=NOW)
    practice_settings.set_sender("riverside", "0491 570 006", confirmed=True, who=DANA, now=NOW)
    practice_settings.set_name("riverside", "River", who=DANA, now=NOW)
    practice_settings.set_country("riverside", "GB", sends_to=True, confirmed=True, who=DANA, now=NOW)
    assert export.run().conflicts == ()
    own = (8, 2, Preference.EMAIL, "+61491570006", "River", "GB")

    def now() -> tuple[object, ...]:
        one = practice()
        return (one.window_start, one.lead_days, one.default_preference, one.sender, one.name, one.also_sends_to)

    assert now() == own
    assert export.practice is not None
    export.practice |= {
        "name": "Riverside 2",
        "lead_days": 4,
        "window_start": "12:00",
        "default_reminder": "None",
        "sender": "Other",
    }
    found = {(one.file, one.column) for one in export.run().conflicts}
    columns = ("name", "lead_days", "window_start", "default_reminder", "sender")
    assert found == {("practice.json", column) for column in columns}
    assert now() == own


def test_a_practice_tops_up_by_itself_only_where_it_is_alone(clinic: Clinic) -> None:
    assert credits.may_top_up("riverside")
    assert credits.top_up_own("riverside", 5, "", PASS_AT, DANA) == 105
    a_practice("northgate")
    assert not credits.may_top_up("riverside")
    with pytest.raises(credits.OnlyTheSysadminGrants):
        credits.top_up_own("riverside", 5, "", PASS_AT, DANA)
    assert credits.top_up("riverside", 5, "invoice 7", PASS_AT) == 110  # as the sysadmin does
