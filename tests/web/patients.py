"""One patient of a practice for the tests of the pages, and what they read in them."""

import html
import re
from typing import Any

from flask.testing import FlaskClient

from portal import store
from portal.core.numbers import PhoneType
from portal.store.changes import Subject, list_changes
from portal.store.patients import OptOut, OptOutSource, Patient
from tests.builders import PASS_AT, Clinic, a_number, a_patient

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


def names(page: str) -> list[str]:
    return [html.unescape(name) for name in re.findall(r'class="who"><a href="[^"]*">([^<]*)</a>', page)]


def found(client: FlaskClient, **asked: str) -> list[str]:
    return names(client.get("/patients", query_string=asked).text)


def next_page(page: str) -> str | None:
    link = re.search(r'rel="next" href="([^"]*)"', page)
    return link[1].replace("&amp;", "&") if link else None


def in_one_line(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))).strip()


def row(clinic: Clinic, model: Any, id_: int) -> Any:
    with store.reading(clinic.id) as session:
        return session.get_one(model, id_)


def noted(clinic: Clinic, patient_id: int) -> list[tuple[str, str, str, str, str]]:
    """(by, field, before, after, note), the oldest first."""
    with store.reading(clinic.id) as session:
        changes = list_changes(session, Subject.PATIENT, patient_id)
        return [(one.by, one.field, one.before, one.after, one.note) for one in reversed(changes)]


class Case:
    """One patient of a practice, and forms posted about that patient."""

    def __init__(self, client: FlaskClient, **patient: Any) -> None:
        self.client = client
        self.clinic = Clinic()
        with store.transaction(self.clinic.id) as session:
            self.patient = a_patient(session, "p1", **patient)
            self.id = self.patient.id

    @property
    def numbers(self) -> list[tuple[str, str]]:
        with store.reading(self.clinic.id) as session:
            return [(one.type.value, one.number) for one in store.patients.list_number_rows(session, self.id)]

    def number_id(self, number: str) -> int:
        with store.reading(self.clinic.id) as session:
            rows = store.patients.list_all_number_rows(session, self.id)
            return next(one.id for one in rows if one.number == number)

    def add(self, number: str, type_: PhoneType) -> int:
        with store.transaction(self.clinic.id) as session:
            last = len(store.patients.list_all_number_rows(session, self.id))
            return a_number(session, self.patient, number, type_, position=last).id

    def opt_out(self, source: OptOutSource, **values: Any) -> int:
        with store.transaction(self.clinic.id) as session:
            one = OptOut(source=source, recorded_at=PASS_AT, **values)
            session.add(one)
            session.flush()
            return one.id

    def post(self, path: str, **form: str) -> Any:
        return self.client.post(f"/patients/{self.id}{path}", data=form)

    def htmx(self, path: str, **form: str) -> Any:
        return self.client.post(f"/patients/{self.id}{path}", data=form, headers=HTMX)

    def page(self) -> str:
        answer = self.client.get(f"/patients/{self.id}")
        assert answer.status_code == 200
        return in_one_line(answer.text)

    def now(self) -> Any:
        return row(self.clinic, Patient, self.id)

    @property
    def noted(self) -> list[tuple[str, str, str, str, str]]:
        return noted(self.clinic, self.id)
