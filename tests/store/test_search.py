"""The full-text index: an upgrade files what is there, and whatever writes messages files them."""

from datetime import timedelta
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import select, text

from portal import store
from portal.actions.browse_log import Asked, browse
from portal.actions.remind import run_pass
from portal.core.patient_search import parse
from portal.core.states import Direction, Kind, Status
from portal.store import search
from portal.store.database import db
from portal.store.messages import Message
from portal.store.patients import Patient
from tests.actions.exports import Export, find
from tests.builders import PASS_AT, Clinic


def found(practice_id: str, typed: str) -> list[str]:
    return [entry.full_name for entry in browse(practice_id, 50, Asked(search=typed)).entries]


def index() -> tuple[list[tuple[int, str]], list[tuple[object, ...]]]:
    """(message, its words), with the volumes."""
    with db.engine.connect() as connection:
        id_ = "rowid" if connection.dialect.name == "sqlite" else "id"
        columns = "words" if connection.dialect.name == "sqlite" else "tsvector_to_array(words)"
        words = connection.execute(text(f"SELECT {id_}, {columns} FROM message_words ORDER BY 1"))
        filed = [(i, " ".join(sorted(w.split() if isinstance(w, str) else w))) for i, w in words]
        volumes = connection.execute(text("SELECT practice_id, first_id, size, since, until FROM search_volumes"))
        return filed, sorted(tuple(map(str, row)) for row in volumes)


def test_an_upgrade_files_the_messages_that_are_there(app: Flask) -> None:
    riverside, northgate = Clinic("riverside"), Clinic("northgate")
    riverside.book("a", patient={"first_name": "Łukasz"})
    northgate.book("a", patient={"first_name": "Zoë", "mobile": None})
    for clinic in (northgate, riverside):
        run_pass(clinic.id, PASS_AT, PASS_AT)
    volumes = index()[1]
    flask_migrate.downgrade(revision="0004")
    flask_migrate.upgrade()
    assert index()[1] == volumes
    assert found("riverside", "lukasz see") == ["Łukasz Nguyen"]
    assert found("riverside", "570 006") == ["Łukasz Nguyen"]
    assert found("northgate", "zoe") == ["Zoë Nguyen"]
    assert found("northgate", "lukasz") == []


def test_an_upgrade_files_as_writing_does(app: Flask) -> None:
    clinic = Clinic()
    for number in range(5):
        clinic.book(str(number), patient={"first_name": f"Ada{number} Ç"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    written = index()
    flask_migrate.downgrade(revision="0004")
    flask_migrate.upgrade()
    assert index() == written


def test_an_upgrade_files_a_dotless_i_as_a_plain_one(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Elif", "last_name": "Yılmaz"})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    written = index()
    flask_migrate.downgrade(revision="0022")
    with db.engine.begin() as connection:  # as it was filed then
        connection.execute(text("UPDATE patients SET searched = 'yılmaz elif'"))
        words = "words" if connection.dialect.name == "sqlite" else "CAST(words AS text)"
        old = f"replace({words}, 'yilmaz', 'yılmaz')"
        cast = old if connection.dialect.name == "sqlite" else f"CAST({old} AS tsvector)"
        connection.execute(text(f"UPDATE message_words SET words = {cast}"))
    assert found("riverside", "yilmaz") == []
    flask_migrate.upgrade()
    assert index() == written
    query = parse("yilmaz", "AU", PASS_AT.date())
    assert query
    with store.reading("riverside") as session:
        assert (
            len(store.name_index.find_by_name(session, "riverside", query.words, 9, store.name_index.ABOVE_ALL)) == 1
        )
    assert found("riverside", "yilmaz") == found("riverside", "Yılmaz") == ["Elif Yılmaz"]


@pytest.mark.parametrize(
    ("typed", "named"), [("obrien", ["a"]), ("obri conor", ["a"]), ("brien", ["a", "b"]), ("odorant", [])]
)
def test_a_name_is_found_without_its_apostrophe(app: Flask, typed: str, named: list[str]) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "Conor", "last_name": "O'Brien"})
    clinic.book("b", patient={"first_name": "Otto", "last_name": "Briend"})  # whose O is a name of its own
    with store.reading(clinic.id) as session:
        ids = store.name_index.find_by_name(session, clinic.id, typed.split(), 9, store.name_index.ABOVE_ALL)
        assert sorted(session.get_one(Patient, id_).external_id for id_ in ids) == named


def test_filing_anew_leaves_the_index_as_it_is(app: Flask) -> None:
    clinic = Clinic()
    clinic.book("a")
    ids = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert ids
    written = index()
    with store.transaction(clinic.id) as session:
        store.messages.index_messages(session, ids.message_ids)
    assert index() == written


def test_an_import_that_renames_a_patient_files_their_messages_anew(app: Flask, tmp_path: Path) -> None:
    export = Export(tmp_path / "export")
    export.run()
    row = {"direction": Direction.OUTBOUND, "kind": Kind.MANUAL, "status": Status.SENT, "reasons": ()}
    row |= {"to": "+61491570006", "body": "Hello", "segments": 1, "created_at": PASS_AT}
    patient_id = find(Patient, "p1").id
    with store.transaction("riverside") as session:
        session.add(Message(**row, patient_id=patient_id))
    export.set("patients.csv", {"first_name": "Zoë", "last_name": "Quist"})
    export.run()
    assert found("riverside", "quist hel") == ["Zoë Quist"]
    assert found("riverside", "nguyen") == []


def lists() -> set[int]:
    """The volumes whose words are listed."""
    return {-id_ for id_, _ in index()[0] if id_ < 0}


def a_clinic_with_volumes(monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """Ten full ones of three messages each, to Ada00 and on, and one that is begun."""
    monkeypatch.setattr(search, "VOLUME", 3)
    clinic = Clinic(credits=500)
    for number in range(31):
        clinic.book(f"{number:02}", patient={"first_name": f"Ada{number:02}"})
    monkeypatch.setattr(search, "_LISTED_AT_ONCE", 100)
    run_pass(clinic.id, PASS_AT, PASS_AT)
    return clinic


def test_the_words_of_volumes_that_are_full_are_listed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = a_clinic_with_volumes(monkeypatch)
    with db.engine.connect() as connection:
        volumes = connection.scalars(text("SELECT id FROM search_volumes ORDER BY first_id")).all()
    assert len(volumes) == 11
    assert lists() == set(volumes[:-1])
    for few in (0, 64):  # of those with the rarest word: all words by the index, or one by one
        monkeypatch.setattr(search, "_FEW", few)
        assert found(clinic.id, "ada01") == ["Ada01 Nguyen"]
        assert found(clinic.id, "nguyen ada01") == found(clinic.id, "ada01 ngu") == ["Ada01 Nguyen"]
        assert len(found(clinic.id, "ada")) == len(found(clinic.id, "ada nguyen")) == 31
        assert found(clinic.id, "ada01 ada02") == found(clinic.id, "nguyen zebra") == found(clinic.id, "zebra") == []
    Clinic("northgate").book("a", patient={"first_name": "Zoë"})
    run_pass("northgate", PASS_AT, PASS_AT)
    assert found("northgate", "ada01") == found(clinic.id, "zoe") == []


def test_a_word_that_comes_into_an_older_volume_is_found(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = a_clinic_with_volumes(monkeypatch)
    before = lists()
    with store.transaction(clinic.id) as session:
        patient = session.scalars(select(Patient).where(Patient.first_name == "Ada01")).one()
        patient.first_name = "Zoë"
    assert len(lists()) == len(before) - 1
    assert found(clinic.id, "zoe") == found(clinic.id, "zoe nguyen") == ["Zoë Nguyen"]
    for number in range(4):
        clinic.book(f"later{number}", patient={"first_name": "Bea"})
    run_pass(clinic.id, PASS_AT + timedelta(hours=1), PASS_AT + timedelta(hours=1))
    assert lists() > before  # listed anew with the next one that is full
    assert found(clinic.id, "zoe nguyen") == ["Zoë Nguyen"]


def test_a_volume_with_too_many_words_for_a_list_is_searched_without(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_LONGEST_LIST", 10)
    clinic = a_clinic_with_volumes(monkeypatch)
    assert lists() == set()
    assert found(clinic.id, "ada01 nguyen") == ["Ada01 Nguyen"]
