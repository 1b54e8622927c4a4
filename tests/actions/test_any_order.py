"""Whatever a provider reports of a message, in whatever order and however often: the rows end alike."""

import json
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from portal import store
from portal.actions.inbound import take_reply
from portal.actions.receipts import work_on_events
from portal.actions.remind import run_pass
from portal.actions.webhooks import keep_event
from portal.core.receipts import reference
from portal.core.states import Status
from portal.sms.answers import Accepted, InDoubt
from portal.sms.reports import as_receipt
from portal.store.messages import Message
from portal.store.patients import OptOut, PhoneRow
from portal.store.provider_events import EventKind, EventSource, ProviderEvent
from tests.actions.test_receipts import send
from tests.actions.test_remind import balance, the_log
from tests.builders import PASS_AT, Clinic
from tests.reported import of

LATER = PASS_AT + timedelta(minutes=2)
CODES = ("", "9999", "1070", "1170", "1180", "1240", "1360", "1490")


class Said(NamedTuple):
    """`by_record`: of the Reports API. `after`: minutes; beyond 72 hours, too."""

    status: str
    code: str
    parts: int
    price: str | None
    after: int
    by_record: bool
    has_reference: bool


reports = st.builds(
    Said,
    st.sampled_from(["submitted", "delivered", "rejected", "undeliverable"]),
    st.sampled_from(CODES),
    st.integers(1, 3),
    st.sampled_from([None, "0.0500", "0.1000", "x"]),
    st.sampled_from([0, 1, 2, 90, 5000]),
    st.booleans(),
    st.booleans(),
)
some_twice = st.lists(reports, max_size=4).flatmap(
    lambda some: (
        st.lists(st.sampled_from(some), max_size=2).map(lambda again: [*some, *again]) if some else st.just([])
    )
)


@pytest.fixture(params=[Accepted("uuid-1"), InDoubt("read-timeout")], ids=["taken", "in doubt"])
def message(request: pytest.FixtureRequest, app: Flask) -> Message:
    clinic = Clinic()
    clinic.book("a")
    result = run_pass(clinic.id, PASS_AT, PASS_AT)
    assert result
    send(result.message_ids, request.param)
    return the_log()["a"]


def tell(message: Message, said: Said) -> None:
    assert message.claim
    at = LATER + timedelta(minutes=said.after)
    if said.by_record:
        record = {
            "message_id": "uuid-1",
            "client_ref": reference(message.id, message.claim),
            "to": "61491570006",
            "date_received": LATER.isoformat(),
            "date_finalized": None if said.status == "submitted" else at.isoformat(),
            "status": said.status,
            "error_code": said.code or "0",
            "currency": "EUR",
            "total_price": said.price,
        }
        body = as_receipt(record)
    else:
        body = of(message, said.status, at, said.code or None, uuid="uuid-1", parts=said.parts)
        body["usage"] = {"currency": "EUR", "price": said.price}
        if not said.has_reference:
            del body["client_ref"]
    source = EventSource.RECORDS if said.by_record else EventSource.WEBHOOK
    keep_event(EventKind.STATUS, source, body, json.dumps(body), LATER)


def work(minutes: int) -> None:
    while work_on_events(LATER + timedelta(minutes=minutes), take_reply).events:
        pass


def ends(message: Message, told: list[Said], in_one_go: bool) -> tuple[Any, ...]:
    """The rows, after all that; then they are as they were before."""
    for minutes, said in enumerate(told):
        tell(message, said)
        if not in_one_go:
            work(minutes)
    for minutes in (55, 120):  # what came before its message was known is tried again, for an hour
        work(minutes)
    with store.transaction("riverside") as session:
        row = session.get_one(Message, message.id)
        phone = session.scalars(select(PhoneRow)).one()
        carriers = [(one.e164, one.source) for one in session.scalars(select(OptOut))]
        found = (row.status, row.provider_code, row.billed_parts, row.billed_price, row.billed_currency)
        found += (row.provider_id, row.charged, row.attempts, row.next_at, phone.out_of_service, *carriers)
        row.status, row.provider_code, row.provider_id = message.status, message.provider_code, message.provider_id
        row.billed_parts = row.billed_price = row.billed_currency = None
        phone.out_of_service = phone.out_of_service_at = None
        session.execute(delete(OptOut))
    with store.everything(write=True) as session:
        session.execute(delete(ProviderEvent))
    return *found, balance()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), some_twice, st.booleans())
def test_any_order_of_any_of_its_reports_leaves_the_same_rows(
    message: Message, data: st.DataObject, told: list[Said], in_one_go: bool
) -> None:
    in_order = ends(message, told, in_one_go)
    shuffled = data.draw(st.permutations(told))
    assert ends(message, shuffled, not in_one_go) == in_order
    # What says that it was delivered is believed, and nothing is made up.
    is_known = message.provider_id or any(said.has_reference or said.by_record for said in told)
    heard = {said.status for said in told} if is_known else set()
    assert (in_order[0] is Status.DELIVERED) == ("delivered" in heard)
    assert heard or in_order[0] is message.status
