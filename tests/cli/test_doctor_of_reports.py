"""The doctor says how receipts and replies reach the portal, and what is to mend."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from portal import store
from portal.config import Settings
from portal.doctor import Level, examine
from portal.sms.simulator import Simulator
from portal.store.host import ACCOUNT_REPORTED, STALE_WEBHOOK
from portal.store.provider_events import EventKind
from tests.builders import PASS_AT, a_practice
from tests.reported import SECRET, a_receipt, a_reply, report


@pytest.fixture
def here(app: Flask, settings: Settings) -> Iterator[Settings]:
    a_practice()
    with Simulator() as provider:
        yield replace(settings, vonage_base_url=provider.url)


def said(settings: Settings) -> list[tuple[Level, str]]:
    return [(one.level, one.says) for one in examine(settings, PASS_AT) if one.about == "reports"]


PUBLIC: dict[str, Any] = {"public_url": "https://reminders.example", "vonage_signature_secrets": (SECRET,)}


def test_before_any_webhook_the_records_are_read(here: Settings) -> None:
    assert said(here) == [
        (Level.NOTE, "PORTAL_PUBLIC_URL is not set: the provider cannot call this portal"),
        (
            Level.OK,
            "no webhook has ever brought receipts and replies: receipts and replies are fetched from the "
            "provider's records every few minutes",
        ),
    ]


def test_once_each_came_webhooks_are_in_use(here: Settings) -> None:
    report(a_receipt("delivered", PASS_AT), PASS_AT - timedelta(minutes=3))
    report(a_reply(PASS_AT), PASS_AT - timedelta(hours=2), EventKind.INBOUND)
    assert said(replace(here, **PUBLIC)) == [
        (
            Level.NOTE,
            "in Vonage's dashboard the inbound webhook must be https://reminders.example/webhooks/vonage/inbound, "
            "as POST",
        ),
        (Level.OK, "receipts come by webhook, the last 3 minutes ago"),
        (Level.OK, "replies come by webhook, the last 2 hours ago"),
    ]
    with store.everything(write=True) as session:
        store.host.record_state(session, STALE_WEBHOOK, {"at": PASS_AT.isoformat()}, PASS_AT)
    assert said(here)[-1][1].startswith("a webhook came too late: receipts and replies are fetched")


def test_replies_that_no_webhook_brings_are_told_apart_from_receipts(here: Settings) -> None:
    report(a_receipt("delivered", PASS_AT), PASS_AT - timedelta(minutes=3))
    assert said(replace(here, **PUBLIC))[1:] == [
        (Level.OK, "receipts come by webhook, the last 3 minutes ago"),
        (
            Level.OK,
            "no webhook has ever brought replies: replies are fetched from the provider's records every few minutes",
        ),
    ]


def test_a_secret_that_is_missing_is_named(here: Settings) -> None:
    found = said(replace(here, public_url="https://reminders.example"))
    assert found[0][0] is Level.MEND
    assert found[0][1].startswith("VONAGE_SIGNATURE_SECRET is not set")


def test_records_that_cannot_be_read_are_to_mend(here: Settings) -> None:
    away = said(replace(here, vonage_base_url="http://127.0.0.1:1"))
    assert away[-1][0] is Level.MEND
    assert "the provider's records cannot be read: Vonage cannot be reached" in away[-1][1]


def test_a_fault_of_the_account_is_told_with_its_code(here: Settings) -> None:
    state = {"code": "1070", "since": (PASS_AT - timedelta(hours=2)).isoformat(), "at": PASS_AT.isoformat()}
    with store.everything(write=True) as session:
        store.host.record_state(session, ACCOUNT_REPORTED, state, PASS_AT)
    assert (
        Level.MEND,
        "for 2 hours texts have not been delivered for a fault of our account "
        "(1070: our account with the provider has no money left)",
    ) in said(here)
