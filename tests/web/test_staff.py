"""Inviting colleagues, and what ends their access."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from portal import clock, store
from portal.core.roles import Role
from portal.store.changes import Change
from portal.store.database import db
from tests.builders import Clinic, a_practice, a_user
from tests.web.conftest import sign_in, submit, visitor
from tests.web.people import ANOTHER, PASSWORD, give_password, look_up, signed_in_by_hand

STAFF = "/settings/staff"
OWNER, RECEPTION = "owner@riverside.example", "reception@riverside.example"


@pytest.fixture
def clinic(app: Flask, at_pass_time: None) -> Clinic:
    return Clinic()


def changes() -> list[Change]:
    with store.reading("riverside") as session:
        return list(store.staff.list_staff_changes(session))


def invite(client: FlaskClient, **fields: str) -> Any:
    defaults = {"name": "Robin Park", "email": "Robin@Clinic.Example", "role": "reception", "practitioner": ""}
    return submit(client, STAFF, **defaults | fields)


def link_of(client: FlaskClient, answer: Any) -> str:
    """The path of the link that the inviter is shown."""
    assert (answer.status_code, answer.location) == (303, f"{STAFF}/link"), answer.text
    shown = re.search(r'readonly value="(http://127.0.0.1:80/join/[^"]+)"', client.get(answer.location).text)
    assert shown
    return html.unescape(shown[1]).removeprefix("http://127.0.0.1:80")


def test_an_invited_colleague_chooses_a_password_and_is_in(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    link = link_of(client, invite(client))
    robin = visitor(app)
    answer = submit(robin, link, name="Robin P", password=PASSWORD, again=PASSWORD)
    assert (answer.status_code, answer.location) == (303, "/account")
    assert "robin@clinic.example" in robin.get("/account").text
    assert robin.get("/communications").status_code == 200
    assert robin.get(STAFF).status_code == 403
    user = look_up("robin@clinic.example")
    assert (user.name, user.role, user.practice_id) == ("Robin P", Role.RECEPTION, "riverside")
    assert user.password and user.password.startswith("$argon2id$")
    signed_in_by_hand(app, "robin@clinic.example")
    assert [(c.by, c.field, c.after) for c in changes()] == [("Dana Owner", "invitation", "Robin Park, reception")]


def test_the_link_is_shown_once(client: FlaskClient, clinic: Clinic) -> None:
    link_of(client, invite(client))
    assert client.get(f"{STAFF}/link").location == STAFF
    assert "/join/" not in client.get(STAFF).text


def test_a_link_works_once(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    link = link_of(client, invite(client))
    submit(visitor(app), link, name="Robin", password=PASSWORD, again=PASSWORD)
    second = visitor(app)
    assert second.get(link).status_code == 410
    token = {"csrf_token": ""}
    app.config["WTF_CSRF_ENABLED"] = False
    assert second.post(link, data=token | {"name": "Eve", "password": ANOTHER, "again": ANOTHER}).status_code == 410
    assert look_up("robin@clinic.example").name == "Robin"


def test_a_link_works_for_a_week(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    link = link_of(client, invite(client))
    clock.start_at(clock.now() + timedelta(days=6, hours=23))
    assert visitor(app).get(link).status_code == 200
    clock.start_at(clock.now() + timedelta(hours=2))
    assert visitor(app).get(link).status_code == 410


@pytest.mark.parametrize(
    "token", ["x", "WyJvd25lckByaXZlcnNpZGUiLDk5OTk5OTk5OTldCg.AAAA", "%00", "a" * 5000, "'--", "[1]"]
)
def test_a_link_that_is_not_ours_is_refused(app: Flask, clinic: Clinic, token: str) -> None:
    assert visitor(app).get(f"/join/{token}").status_code == 410


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password": "short", "again": "short"}, "12 characters"),
        ({"password": "Password1234!", "again": "Password1234!"}, "easy to guess"),
        ({"password": "robin robin robin", "again": "robin robin robin"}, "easy to guess"),
        ({"password": PASSWORD, "again": ANOTHER}, "not the same"),
        ({"name": "  "}, "Type a name"),
        ({"name": "x" * 5000}, "Type a name"),
    ],
)
def test_what_is_typed_wrong_is_said_beside_its_field_and_the_link_stays(
    app: Flask, client: FlaskClient, clinic: Clinic, fields: dict[str, str], says: str
) -> None:
    link = link_of(client, invite(client))
    robin = visitor(app)
    answer = submit(robin, link, **{"name": "Robin", "password": PASSWORD, "again": PASSWORD} | fields)
    assert answer.status_code == 422
    assert says in answer.text
    assert robin.get("/account").status_code == 303
    assert submit(robin, link, name="Robin", password=PASSWORD, again=PASSWORD).status_code == 303


def test_who_joins_at_a_desk_where_somebody_is_signed_in_takes_their_place(
    app: Flask, client: FlaskClient, clinic: Clinic
) -> None:
    link = link_of(client, invite(client))
    submit(client, link, name="Robin", password=PASSWORD, again=PASSWORD)
    assert "robin@clinic.example" in client.get("/account").text
    assert client.get(STAFF).status_code == 403


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"email": "robin"}, "not an email address"),
        ({"email": "a@b\nBcc: c@d"}, "not an email address"),
        ({"email": OWNER.upper()}, "signs in with this address already"),
        ({"name": ""}, "Type a name"),
        ({"role": "sysadmin"}, "Choose a role"),
        ({"role": "king"}, "Choose a role"),
        ({"role": "practitioner"}, "Choose which practitioner"),
        ({"role": "practitioner", "practitioner": "999"}, "Choose which practitioner"),
        ({"role": "practitioner", "practitioner": "1 OR 1=1"}, "Choose which practitioner"),
    ],
)
def test_an_invitation_that_cannot_be_is_refused_beside_its_field(
    client: FlaskClient, clinic: Clinic, fields: dict[str, str], says: str
) -> None:
    answer = invite(client, **fields)
    assert answer.status_code == 422
    assert says in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert changes() == []


def test_no_practitioner_of_another_practice_can_be_linked(client: FlaskClient, clinic: Clinic) -> None:
    other = Clinic("northgate")
    assert invite(client, role="practitioner", practitioner=str(other.practitioner.id)).status_code == 422
    assert invite(client, role="practitioner", practitioner=str(clinic.practitioner.id)).status_code == 303
    assert look_up("robin@clinic.example").practitioner_id == clinic.practitioner.id


def test_hostile_names_are_harmless(client: FlaskClient, clinic: Clinic) -> None:
    answer = invite(client, name="<script>alert(1)</script> \u202e'\"", email="a&b@clinic.example")
    page = client.get(answer.location).text + client.get(STAFF).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_another_role_signs_out_and_is_noted(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    give_password(app, Role.RECEPTION)
    reception = signed_in_by_hand(app, RECEPTION)
    user = look_up(RECEPTION)
    answer = submit(client, f"{STAFF}/{user.id}/role", f"{STAFF}/{user.id}", role="owner", practitioner="")
    assert (answer.status_code, answer.location) == (303, STAFF)
    assert reception.get("/account").status_code == 303
    assert signed_in_by_hand(app, RECEPTION).get(STAFF).status_code == 200
    role = str(clinic.practitioner.id)
    submit(client, f"{STAFF}/{user.id}/role", f"{STAFF}/{user.id}", role="practitioner", practitioner=role)
    assert [(c.by, c.field, c.before, c.after) for c in changes()] == [
        ("Dana Owner", "role", "owner", "practitioner (Dr Helen Marsh)"),
        ("Dana Owner", "role", "reception", "owner"),
    ]
    assert "from owner" in client.get(STAFF).text


def test_the_same_role_again_signs_nobody_out(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    give_password(app, Role.RECEPTION)
    reception = signed_in_by_hand(app, RECEPTION)
    user = look_up(RECEPTION)
    submit(client, f"{STAFF}/{user.id}/role", f"{STAFF}/{user.id}", role="reception")
    assert reception.get("/account").status_code == 200
    assert changes() == []


def test_the_last_owner_stays_an_owner(client: FlaskClient, clinic: Clinic) -> None:
    mine = f"{STAFF}/{look_up(OWNER).id}"
    for path, fields in ((f"{mine}/role", {"role": "reception"}), (f"{mine}/off", {})):
        answer = submit(client, path, mine, **fields)
        assert answer.status_code == 422
        assert "the last owner who can sign in" in answer.text
    with store.everything(write=True) as session:
        session.add(a_user(Role.OWNER, "riverside", email="off@x.example", fs_uniquifier="off", active=False))
        session.add(a_user(Role.OWNER, "riverside", email="new@x.example", fs_uniquifier="new", joined_at=None))
    assert submit(client, f"{mine}/off", mine).status_code == 422  # neither of them can sign in
    with store.everything(write=True) as session:
        session.add(a_user(Role.OWNER, "riverside", email="two@x.example", fs_uniquifier="two"))
    assert submit(client, f"{mine}/role", mine, role="reception").status_code == 303
    assert client.get(STAFF).status_code == 303  # signed out


def test_who_is_switched_off_is_out_until_switched_on(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    give_password(app, Role.RECEPTION)
    reception = signed_in_by_hand(app, RECEPTION)
    theirs = f"{STAFF}/{look_up(RECEPTION).id}"
    submit(client, f"{theirs}/off", theirs)
    assert reception.get("/account").status_code == 303
    assert "is not right" in submit(visitor(app), "/sign-in", email=RECEPTION, password=PASSWORD).text
    assert "switched off" in client.get(STAFF).text
    submit(client, f"{theirs}/on", theirs)
    assert reception.get("/account").status_code == 303  # the old session stays ended
    signed_in_by_hand(app, RECEPTION)
    assert [(c.field, c.before, c.after) for c in changes()] == [("access", "off", "on"), ("access", "on", "off")]


def test_a_new_link_ends_password_second_step_and_sessions(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    give_password(app, Role.RECEPTION, tf_primary_method="authenticator", tf_totp_secret="x", mf_recovery_codes=["y"])
    reception = sign_in(visitor(app), Role.RECEPTION)
    assert reception.get("/account/password").status_code == 200
    theirs = f"{STAFF}/{look_up(RECEPTION).id}"
    first = link_of(client, submit(client, f"{theirs}/link", theirs))
    assert reception.get("/account").status_code == 303
    assert "is not right" in submit(visitor(app), "/sign-in", email=RECEPTION, password=PASSWORD).text
    second = link_of(client, submit(client, f"{theirs}/link", theirs))
    assert visitor(app).get(first).status_code == 410
    submit(visitor(app), second, name="Dana R", password=ANOTHER, again=ANOTHER)
    user = look_up(RECEPTION)
    assert (user.tf_primary_method, user.mf_recovery_codes) == (None, None)
    assert signed_in_by_hand(app, RECEPTION, ANOTHER).get("/account").status_code == 200


def test_who_is_switched_off_cannot_take_an_old_link(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    link = link_of(client, invite(client))
    with store.everything(write=True) as session:
        user = store.staff.find_by(session, "email", "robin@clinic.example")
        assert user
        user.active = False
    assert visitor(app).get(link).status_code == 410


def test_nobody_gives_themselves_a_link(client: FlaskClient, clinic: Clinic) -> None:
    mine = f"{STAFF}/{look_up(OWNER).id}"
    assert submit(client, f"{mine}/link", mine).status_code == 422


def test_an_invitation_is_withdrawn_until_it_is_taken(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    link = link_of(client, invite(client))
    theirs = f"{STAFF}/{look_up('robin@clinic.example').id}"
    assert submit(client, f"{theirs}/withdraw", theirs).status_code == 303
    assert visitor(app).get(link).status_code == 410
    assert client.get(theirs).status_code == 404
    reception = f"{STAFF}/{look_up(RECEPTION).id}"
    assert submit(client, f"{reception}/withdraw", reception).status_code == 422


def test_no_colleague_of_another_practice_is_there(app: Flask, client: FlaskClient, clinic: Clinic) -> None:
    a_practice("northgate")
    theirs = look_up("reception@northgate.example").id
    app.config["WTF_CSRF_ENABLED"] = False
    assert client.get(f"{STAFF}/{theirs}").status_code == 404
    for act in ("role", "off", "on", "link", "withdraw"):
        assert client.post(f"{STAFF}/{theirs}/{act}", data={"role": "owner"}).status_code == 404
    user = look_up("reception@northgate.example")
    assert user.active and user.role is Role.RECEPTION
    assert "northgate" not in client.get(STAFF).text


def test_ones_own_name_is_changed_and_noted(client: FlaskClient, clinic: Clinic) -> None:
    assert submit(client, "/account", name=" Dana  Field ").status_code == 303
    assert look_up(OWNER).name == "Dana Field"
    assert "Your name is changed" in client.get("/account").text
    assert submit(client, "/account", name="").status_code == 422
    assert [(c.by, c.field, c.before, c.after) for c in changes()] == [
        ("Dana Field", "name", "Dana Owner", "Dana Field")
    ]
    assert changes()[0].subject_id == look_up(OWNER).id


def test_a_sysadmin_has_an_account_too(app: Flask, clinic: Clinic) -> None:
    with store.everything(write=True) as session:
        session.add(a_user(Role.SYSADMIN, None))
    sysadmin = sign_in(visitor(app), Role.SYSADMIN, None)
    assert submit(sysadmin, "/account", name="Sam").status_code == 303
    assert "Sam" in sysadmin.get("/account").text
    assert sysadmin.get(STAFF).status_code == 403


@pytest.mark.parametrize("path", [STAFF, f"{STAFF}/1", "/account"])
def test_a_page_takes_at_most_8_queries(client: FlaskClient, clinic: Clinic, path: str) -> None:
    for name in ("a", "b", "c"):
        invite(client, name=name, email=f"{name}@clinic.example")
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert client.get(path).status_code == 200
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len([one for one in asked if not one.startswith("BEGIN")]) <= 8
