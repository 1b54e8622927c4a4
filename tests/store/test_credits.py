"""The ledger: the database itself keeps the balance, and no message takes it below zero."""

from threading import Barrier, Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from portal import store
from portal.actions.remind import run_pass
from portal.store.credits import CreditEntry
from portal.store.database import db
from tests.builders import PASS_AT, Clinic


def entry(kind: str, amount: int, message_id: int | None = None) -> dict[str, Any]:
    own = {"practice_id": "riverside", "at": PASS_AT, "kind": kind, "amount": amount}
    return own | {"message_id": message_id, "reference": ""}


def write(*entries: dict[str, Any]) -> None:
    with store.transaction("riverside") as session:
        store.credits.record_entries(session, entries)


def balance() -> int:
    with store.reading("riverside") as session:
        credits = store.practices.get_practice(session, "riverside").credits
        assert credits == sum(session.scalars(select(CreditEntry.amount)))
        return credits


@pytest.fixture
def message_id(app: Flask) -> int:
    clinic = Clinic(credits=3)
    clinic.book("a")
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result and balance() == 2
    return result.message_ids[0]


def test_entries_move_the_balance(message_id: int) -> None:
    write(entry("top-up", 5), entry("message", -4, message_id), entry("refund", 1, message_id))
    assert balance() == 4


def test_no_message_takes_the_balance_below_zero(message_id: int) -> None:
    with pytest.raises(IntegrityError):
        write(entry("message", -3, message_id))
    assert balance() == 2
    write(entry("message", -2, message_id))
    assert balance() == 0


def test_a_correction_may_go_below_zero_and_a_refund_still_comes(message_id: int) -> None:
    write(entry("correction", -10))
    write(entry("refund", 1, message_id))
    assert balance() == -7


@pytest.mark.parametrize(
    ("kind", "amount", "of_message"),
    [("message", 1, True), ("message", -1, False), ("refund", -1, True), ("top-up", -1, False), ("gift", 1, False)],
)
def test_an_entry_that_makes_no_sense_is_refused(message_id: int, kind: str, amount: int, of_message: bool) -> None:
    with pytest.raises((IntegrityError, LookupError, DBAPIError)):
        write(entry(kind, amount, message_id if of_message else None))
    assert balance() == 2


@pytest.mark.parametrize("statement", ["UPDATE credit_entries SET amount = 9", "DELETE FROM credit_entries"])
def test_the_ledger_is_never_changed(message_id: int, statement: str) -> None:
    with pytest.raises(IntegrityError), db.engine.begin() as connection:
        connection.execute(text(statement))
    assert balance() == 2


def test_a_race_for_the_last_credits_has_no_more_winners_than_credits(app: Flask, message_id: int) -> None:
    barrier = Barrier(6)
    won: list[bool] = []

    def take() -> None:
        with app.app_context():
            barrier.wait()
            try:
                write(entry("message", -1, message_id))
                won.append(True)
            except IntegrityError:
                won.append(False)

    threads = [Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (won.count(True), won.count(False)) == (2, 4)
    assert balance() == 0
