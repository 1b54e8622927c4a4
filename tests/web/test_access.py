"""Every page, tried by everyone: the list of pages is the application's own."""

import pytest
from flask import Flask

from portal import store
from portal.actions.remind import run_pass
from portal.core.roles import MAY, Role
from portal.web import HEADERS
from portal.web.access import ANYONE, SIGNED_IN, access_of
from tests.builders import PASS_AT, Clinic, a_user

from .conftest import sign_in, visitor

# `readyz` tells everyone no more than codes, and `metrics` nothing, without the token (test_host.py).
# The webhooks ask for the provider's signature (test_webhooks.py).
OPEN_TO_ANYONE = {
    *("webhooks.status", "webhooks.inbound"),
    *("healthz", "static", "host.readyz", "host.metrics"),
    *("join.show", "join.join", "first_run.show", "first_run.set_up"),
}

# One of several practices of a host, as here, gives itself no credits (test_practice_settings.py).
LEFT_TO_THE_SYSADMIN = "settings.top_up"


def may_be_away(endpoint: str) -> bool:
    """Whether it answers 503, in words, without Redis and workers, or without a signature secret, as here."""
    return endpoint == "host.readyz" or endpoint.startswith(("rq_dashboard.", "webhooks."))


def pages(app: Flask) -> list[tuple[str, str, str, bool]]:
    """(endpoint, method, path with ids of the builders' practice, whether it names a row)."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static" or rule.endpoint.startswith("security."):
            continue
        values = dict.fromkeys(rule.arguments, 1)
        built = rule.build(values)
        assert built, rule
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            names_a_row = bool(rule.arguments) and not rule.endpoint.startswith("rq_dashboard.")  # that names jobs
            found.append((rule.endpoint, method, built[1], names_a_row))
    assert len(found) >= 4
    found.sort(key=lambda page: page[0] == "account.sign_out_everywhere")  # after which nothing is allowed
    return found


@pytest.fixture
def practices() -> None:
    riverside = Clinic("riverside")
    riverside.book("a")
    run_pass(riverside.id, PASS_AT, PASS_AT)
    Clinic("northgate")
    with store.everything(write=True) as session:
        session.add(a_user(Role.SYSADMIN, None))
        helen = store.staff.find_by(session, "fs_uniquifier", f"{Role.PRACTITIONER}@riverside")
        assert helen
        helen.practitioner_id = riverside.practitioner.id  # who texts her own patients, and these are


def test_every_page_says_who_may_see_it(app: Flask) -> None:
    for endpoint in app.view_functions:
        access = access_of(app, endpoint)
        assert isinstance(access, frozenset) or access in (ANYONE, SIGNED_IN), endpoint
        if access == ANYONE and not endpoint.startswith("security."):
            assert endpoint in OPEN_TO_ANYONE, endpoint


def test_nobody_sees_a_page_without_signing_in(app: Flask, practices: None) -> None:
    for endpoint, method, path, _ in pages(app):
        if endpoint in OPEN_TO_ANYONE:
            continue
        answer = visitor(app).open(path, method=method)
        assert answer.status_code in (303, 400), path  # 400: a form without its token
        if answer.status_code == 303:
            assert answer.location.startswith("/sign-in"), path


@pytest.mark.parametrize("role", list(Role))
def test_each_role_sees_what_the_table_says(app: Flask, practices: None, at_pass_time: None, role: Role) -> None:
    client = sign_in(visitor(app), role, None if role is Role.SYSADMIN else "riverside")
    app.config["WTF_CSRF_ENABLED"] = False
    for endpoint, method, path, _ in pages(app):
        access = access_of(app, endpoint)
        answer = client.open(path, method=method)
        is_allowed = not isinstance(access, frozenset) or bool(access & MAY[role])
        is_allowed = is_allowed and endpoint != LEFT_TO_THE_SYSADMIN
        assert (answer.status_code != 403) is is_allowed, (path, answer.status_code)
        assert answer.status_code < 500 or (answer.status_code == 503 and may_be_away(endpoint)), path
        assert HEADERS.items() <= dict(answer.headers).items(), path


def test_no_row_of_another_practice_is_there(app: Flask, practices: None, at_pass_time: None) -> None:
    outsider = sign_in(visitor(app), practice_id="northgate")
    app.config["WTF_CSRF_ENABLED"] = False
    for endpoint, method, path, names_a_row in pages(app):
        if names_a_row and endpoint not in OPEN_TO_ANYONE:
            assert outsider.open(path, method=method).status_code == 404, path
