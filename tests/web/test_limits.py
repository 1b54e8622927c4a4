"""Who tries too often is stopped: by address and by account, counted in the embedded Redis, or in memory."""

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import redis
import waitress
from flask import Flask

from portal import create_app
from portal.commands.host import proxy_options
from portal.config import Settings
from portal.embedded import counters_address, redis_pid
from portal.store.database import db
from tests.builders import a_practice
from tests.web.conftest import submit, visitor
from tests.web.people import PASSWORD, give_password

OWNER, NOBODY = "owner@riverside.example", "nobody@riverside.example"
MOST_BY_ACCOUNT, MOST_BY_ADDRESS = 10, 30


@pytest.fixture
def counted(settings: Settings, redis_url: str, at_pass_time: None) -> Settings:
    """An installation whose counters are in a real Redis."""
    return replace(settings, redis_url=redis_url)


def start(settings: Settings) -> Flask:
    app = create_app(settings)
    app.config["WTF_CSRF_ENABLED"] = False
    return app


def attempt(app: Flask, email: str, address: str = "10.0.0.1", password: str = "wrong") -> Any:
    fields = {"email": email, "password": password}
    return visitor(app).post("/sign-in", data=fields, environ_overrides={"REMOTE_ADDR": address})


@pytest.mark.parametrize("email", [OWNER, NOBODY])
def test_an_account_is_shut_after_ten_tries_whether_it_exists_or_not(counted: Settings, email: str) -> None:
    app = start(counted)
    with app.app_context():
        a_practice()
        give_password(app)
        statuses = [attempt(app, email, f"10.0.0.{n}").status_code for n in range(MOST_BY_ACCOUNT + 1)]
        assert statuses == [200] * MOST_BY_ACCOUNT + [429]
        refused = attempt(app, f" {email.upper()} ", "10.0.0.99", PASSWORD)  # however it is written
        assert refused.status_code == 429
        assert "Too many tries" in refused.text
        db.engine.dispose()


def test_the_count_outlives_the_web_server(counted: Settings) -> None:
    first = start(counted)
    with first.app_context():
        a_practice()
        for n in range(MOST_BY_ACCOUNT):
            attempt(first, OWNER, f"10.0.0.{n}")
        db.engine.dispose()
    second = start(counted)
    with second.app_context():
        assert attempt(second, OWNER, "10.0.0.99").status_code == 429
        db.engine.dispose()


def test_redis_holds_nobodys_address(counted: Settings) -> None:
    app = start(counted)
    with app.app_context():
        a_practice()
        give_password(app)
        attempt(app, OWNER)
        db.engine.dispose()
    with closing(redis.Redis.from_url(str(counted.redis_url))) as server:
        keys = [str(key) for key in server.keys("*")]
    assert any("_account" in key for key in keys)
    assert not any("@" in key for key in keys)


def test_an_address_is_shut_after_thirty_tries_and_others_are_not(counted: Settings) -> None:
    app = start(counted)
    with app.app_context():
        a_practice()
        statuses = [attempt(app, f"{n}@x.example").status_code for n in range(MOST_BY_ADDRESS + 1)]
        assert statuses == [200] * MOST_BY_ADDRESS + [429]
        assert attempt(app, OWNER, "10.0.0.2").status_code == 200
        looked_at = visitor(app).get("/sign-in", environ_overrides={"REMOTE_ADDR": "10.0.0.1"})
        assert looked_at.status_code == 200  # looking is free
        db.engine.dispose()


def test_codes_of_the_second_step_are_counted_by_account(counted: Settings) -> None:
    app = start(counted)
    with app.app_context():
        a_practice()
        secret = app.extensions["security"].totp_factory.generate_totp_secret()
        give_password(app, tf_primary_method="authenticator", tf_totp_secret=secret)
        client = visitor(app)
        client.post("/sign-in", data={"email": OWNER, "password": PASSWORD})
        statuses = [
            client.post(
                f"/sign-in/{page}", data={"code": f"{n:06}"}, environ_overrides={"REMOTE_ADDR": f"10.0.0.{n}"}
            ).status_code
            for n, page in enumerate(["code", "recovery-code"] * 6)
        ]
        assert statuses == [200] * MOST_BY_ACCOUNT + [429] * 2
        db.engine.dispose()


def test_set_up_codes_and_links_are_counted_by_address(counted: Settings) -> None:
    app = start(counted)
    with app.app_context():
        statuses = {visitor(app).post("/set-up", data={"code": str(n)}).status_code for n in range(MOST_BY_ADDRESS)}
        assert statuses == {422}
        assert visitor(app).post("/set-up", data={"code": "x"}).status_code == 429
        assert visitor(app).post("/join/x").status_code == 429
        db.engine.dispose()


def test_without_redis_it_is_counted_in_memory_and_none_is_started(app: Flask, settings: Settings) -> None:
    a_practice()
    app.config["WTF_CSRF_ENABLED"] = False
    statuses = [attempt(app, OWNER, f"10.0.0.{n}").status_code for n in range(MOST_BY_ACCOUNT + 1)]
    assert statuses == [200] * MOST_BY_ACCOUNT + [429]
    assert redis_pid(settings) is None


def test_the_embedded_one_is_reached_by_its_socket(settings: Settings) -> None:
    assert counters_address(settings) == f"redis+unix://{settings.socket_path}"
    assert counters_address(replace(settings, redis_url="rediss://x:1/2")) == "rediss://x:1/2"
    assert counters_address(replace(settings, redis_url="unix:///x")) == "redis+unix:///x"


def test_a_colleague_at_the_same_desk_is_not_kept_out(counted: Settings) -> None:
    app = start(counted)
    with app.app_context():
        a_practice()
        give_password(app)
        for _ in range(MOST_BY_ACCOUNT + 1):
            attempt(app, NOBODY)
        app.config["WTF_CSRF_ENABLED"] = True
        assert submit(visitor(app), "/sign-in", email=OWNER, password=PASSWORD).status_code == 302
        db.engine.dispose()


@pytest.mark.parametrize(
    ("public_url", "forwarded", "seen"),
    [
        ("https://reminders.clinic.example", "203.0.113.7", "203.0.113.7"),
        (
            "https://reminders.clinic.example",
            "6.6.6.6, 203.0.113.7",
            "203.0.113.7",
        ),  # the first is the visitor's word
        ("https://reminders.clinic.example", None, "127.0.0.1"),
        (None, "203.0.113.7", "127.0.0.1"),  # nobody stands in front
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_behind_a_web_server_tries_are_counted_by_the_visitors_address(
    settings: Settings, public_url: str | None, forwarded: str | None, seen: str
) -> None:
    def tell(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        return [environ["REMOTE_ADDR"].encode()]

    options = proxy_options(replace(settings, public_url=public_url))
    with closing(waitress.create_server(tell, host="127.0.0.1", port=0, **options)) as server:
        environ = {"REMOTE_ADDR": "127.0.0.1"} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {})
        assert server.application(environ, None) == [seen.encode()]
