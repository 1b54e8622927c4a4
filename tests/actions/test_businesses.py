"""Businesses that staff add and change; a new time zone leaves appointments where they stand in the diary."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import store
from portal.actions.asking import Asked, SettingRefused
from portal.actions.businesses import (
    Details,
    NoSuchBusiness,
    add_business,
    change_business,
    show_business,
    switch_business,
)
from portal.actions.practitioners import Name, NoSuchPractitioner, add_practitioner, list_practitioners, rename
from portal.actions.remind import run_pass
from portal.actions.who import Who
from portal.store.appointments import Appointment
from portal.store.changes import Subject, list_changes
from portal.store.imported import is_made_here
from portal.store.messages import Message
from portal.store.practices import Business, Practitioner
from tests.actions.exports import NOW, Export, find
from tests.builders import PASS_AT, ZONE, Clinic, a_patient, an_appointment

DANA = Who(1, "Dana")
BY_DANA: dict[str, Any] = {"who": DANA, "now": PASS_AT}
NORTH = Details("North Clinic", ZONE, "(02) 5550 9325")
PERTH = "Australia/Perth"


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    return Clinic()


def get(clinic: Clinic, model: Any, id_: int) -> Any:
    with store.reading(clinic.id) as session:
        return session.get_one(model, id_)


def noted(clinic: Clinic, subject: Subject, id_: int) -> list[tuple[str, str, str]]:
    with store.reading(clinic.id) as session:
        return [(one.field, one.before, one.after) for one in reversed(list_changes(session, subject, id_))]


def test_a_business_is_added_and_its_reminders_go(clinic: Clinic) -> None:
    id_ = add_business("riverside", Details("South", PERTH, ""), **BY_DANA)
    business = get(clinic, Business, id_)
    assert is_made_here(business.external_id)
    assert (business.name, business.timezone, business.sms_reminders) == ("South", PERTH, True)
    assert noted(clinic, Subject.BUSINESS, id_) == [("added", "", "South")]
    with store.transaction(clinic.id) as session:
        patient = a_patient(session, "p")
        own = {"practitioner": clinic.practitioner, "type": clinic.type, "patient": patient}
        an_appointment(session, "a", business=business, **own)
    in_perth = datetime(2031, 5, 7, 2, 0, tzinfo=UTC)
    assert run_pass("riverside", in_perth, in_perth)


def test_a_short_number_that_is_called_all_over_the_country_is_taken(clinic: Clinic) -> None:
    assert add_business("riverside", Details("South", ZONE, "13 11 14"), **BY_DANA)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        (Details("", ZONE, ""), "name"),
        (Details("x" * 201, ZONE, ""), "name"),
        (Details("North Clinic", ZONE, ""), "name"),
        (Details("South", "", ""), "timezone"),
        (Details("South", "australia/sydney", ""), "timezone"),
        (Details("South", "../../etc/passwd", ""), "timezone"),
        (Details("South", ZONE, "ask at the desk"), "contact_number"),
        (Details("South", ZONE, "1" * 61), "contact_number"),
        (Details("South", ZONE, "12"), "contact_number"),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(clinic: Clinic, typed: Details, field: str) -> None:
    other = add_business("riverside", Details("Another", ZONE, ""), **BY_DANA)
    for act in (
        lambda: add_business("riverside", typed, **BY_DANA),
        lambda: change_business("riverside", other, typed, confirmed=True, **BY_DANA),
    ):
        with pytest.raises(SettingRefused) as refused:
            act()
        assert refused.value.field == field


def test_a_new_time_zone_is_asked_about_and_keeps_the_diary(clinic: Clinic) -> None:
    coming, cancelled = clinic.book("a"), clinic.book("b", cancelled_at=PASS_AT)
    clinic.book("past", starts="2031-04-01 09:30")
    run_pass("riverside", PASS_AT, PASS_AT)
    typed = Details("North Clinic", PERTH, "08 5550 9325")

    def change(*, confirmed: bool) -> bool:
        return change_business("riverside", clinic.business.id, typed, confirmed=confirmed, **BY_DANA)

    with pytest.raises(Asked) as asked:
        change(confirmed=False)
    says = " ".join(asked.value.effects)
    assert "It is 8am in Perth now, and 10am by the clocks until now." in says
    assert "1 appointment to come keeps its time as in the diary: 9:30am stays 9:30am, now of Perth." in says
    assert get(clinic, Business, clinic.business.id).timezone == ZONE

    assert change(confirmed=True)
    assert not change(confirmed=False)
    for before in (coming, cancelled):
        after = get(clinic, Appointment, before.id)
        assert (after.starts_wall, after.timezone, after.revision) == (before.starts_wall, PERTH, 0)
        assert after.starts_at == datetime(2031, 5, 8, 1, 30, tzinfo=UTC)
        assert after.ends_at == datetime(2031, 5, 8, 2, 0, tzinfo=UTC)
    assert noted(clinic, Subject.BUSINESS, clinic.business.id) == [
        ("timezone", ZONE, PERTH),
        ("contact_number", "(02) 5550 9325", "08 5550 9325"),
    ]
    later = datetime(2031, 5, 7, 2, 0, tzinfo=UTC)  # 10am there: the one reminder is not given twice
    run_pass("riverside", later, later)
    with store.reading(clinic.id) as session:
        assert session.scalars(select(Message.appointment_id)).all() == [coming.id]


def test_a_name_and_a_number_are_changed_at_once(clinic: Clinic) -> None:
    typed = Details("North", ZONE, "")
    assert change_business("riverside", clinic.business.id, typed, confirmed=False, **BY_DANA)
    shown = show_business("riverside", clinic.business.id)
    assert (shown.business.name, shown.business.contact_number) == ("North", "")
    assert shown.changed is not None and shown.changed.by == "Dana"


def test_nothing_of_another_practice_is_changed(clinic: Clinic) -> None:
    Clinic("northgate")
    with pytest.raises(NoSuchBusiness):
        change_business("northgate", clinic.business.id, NORTH, confirmed=True, **BY_DANA)
    with pytest.raises(NoSuchBusiness):
        show_business("northgate", clinic.business.id)
    with pytest.raises(NoSuchPractitioner):
        rename("northgate", clinic.practitioner.id, Name("", "", "X"), **BY_DANA)


def test_an_import_leaves_what_staff_changed_and_lists_the_conflicts(app: Flask, tmp_path: Path) -> None:
    export = Export(tmp_path / "export")
    export.run()
    business, practitioner = find(Business, "b1"), find(Practitioner, "d1")
    own = Details("North of the river", PERTH, "08 5550 1111")
    change_business("riverside", business.id, own, confirmed=True, who=DANA, now=NOW)
    switch_business("riverside", business.id, False, confirmed=True, who=DANA, now=NOW)
    rename("riverside", practitioner.id, Name("Prof", "Helen", "Marsh-Ito"), who=DANA, now=NOW)
    added = add_business("riverside", Details("South", ZONE, ""), who=DANA, now=NOW)
    assert export.run().conflicts == ()
    assert find(Appointment, "a1").starts_at == datetime(2031, 5, 8, 1, 30, tzinfo=UTC)  # 9:30am in Perth
    assert find(Appointment, "a1").revision == 0

    export.set("businesses.csv", {"name": "N", "timezone": "Australia/Darwin", "contact_number": "1"})
    export.set("practitioners.csv", {"title": "Mx", "last_name": "Marsh-Other"})
    found = {(one.file, one.id, one.column) for one in export.run().conflicts}
    assert found == {
        *(("businesses.csv", "b1", column) for column in ("name", "timezone", "contact_number")),
        *(("practitioners.csv", "d1", column) for column in ("title", "last_name")),
    }
    after = find(Business, "b1")
    assert (after.name, after.timezone, after.contact_number, after.sms_reminders) == (
        own.name,
        own.timezone,
        own.contact_number,
        False,
    )
    assert find(Practitioner, "d1").full_name == "Prof Helen Marsh-Ito"
    assert show_business("riverside", added).business.name == "South"


def test_practitioners_are_added_renamed_and_listed_by_page(clinic: Clinic) -> None:
    id_ = add_practitioner("riverside", Name("Ms", "Mary", "Abel"), **BY_DANA)
    assert is_made_here(get(clinic, Practitioner, id_).external_id)
    assert rename("riverside", id_, Name("", "Mary", "Abel"), **BY_DANA)
    assert not rename("riverside", id_, Name("", "Mary", "Abel"), **BY_DANA)
    assert noted(clinic, Subject.PRACTITIONER, id_) == [
        ("added", "", "Ms Mary Abel"),
        ("name", "Ms Mary Abel", "Mary Abel"),
    ]
    for typed, field in ((Name("", "Mary", " "), "last_name"), (Name("x" * 41, "", "Abel"), "title")):
        with pytest.raises(SettingRefused) as refused:
            rename("riverside", id_, typed, **BY_DANA)
        assert refused.value.field == field
    with store.transaction(clinic.id) as session:
        session.add_all(
            Practitioner(external_id=f"x{i}", title="", first_name="", last_name=f"Z{i:03}") for i in range(60)
        )
    first, has_more = list_practitioners("riverside", 0)
    rest, has_still_more = list_practitioners("riverside", 1)
    assert (len(first), has_more, len(rest), has_still_more) == (50, True, 12, False)
    assert first[0].full_name == "Mary Abel"


def test_times_with_their_offset_stay_instants_for_the_next_import(app: Flask, tmp_path: Path) -> None:
    """As the form says of them: the wall time that staff saw is kept only where the export writes wall times."""
    export = Export(tmp_path / "export")
    export.set("appointments.csv", {"starts_at": "2031-05-08T09:30:00+10:00", "ends_at": "2031-05-08T10:00:00+10:00"})
    export.run()
    own = Details("North Clinic", PERTH, "(02) 5550 9325")
    change_business("riverside", find(Business, "b1").id, own, confirmed=True, who=DANA, now=NOW)
    assert find(Appointment, "a1").starts_wall.hour == 9
    export.run()
    assert find(Appointment, "a1").starts_wall.hour == 7
    assert find(Business, "b1").timezone == PERTH
