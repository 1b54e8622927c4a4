"""What receipts make of a message: whatever order they come in, and however often."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core import receipts, wording
from portal.core.receipts import (
    CAUSES,
    Fault,
    Receipt,
    Reported,
    Standing,
    Unreadable,
    apply,
    cause,
    parse_event,
    parse_receipt,
)
from portal.core.states import Status, may_change
from portal.sms.answers import ACCOUNT_CODES
from tests.reported import a_receipt

AT = datetime(2031, 5, 7, 0, 0, 5, tzinfo=UTC)


def receipt(status: Reported, code: str = "") -> Receipt:
    return Receipt("u", "+61491570006", status, AT, code)


def after(*reported: Receipt, start: Status = Status.SENDING) -> Standing:
    standing = Standing(start)
    for one in reported:
        standing = apply(standing, one)
    return standing


any_receipt = st.builds(
    receipt, st.sampled_from(list(Reported)), st.sampled_from(["", "9999", "1170", "1180", "1240", "1360", "1490"])
)

# What happens to a message on our own side while receipts come: each a change from one state to another.
OURS = {
    "accepted": ({Status.SENDING, Status.UNKNOWN}, Status.SENT),
    "no answer": ({Status.SENDING}, Status.UNKNOWN),
}


def ours(standing: Standing, what: str) -> Standing:
    before, then = OURS[what]
    return Standing(then) if standing.status in before else standing


# --- any order ------------------------------------------------------------------------------------------------


@given(st.data(), st.lists(any_receipt, max_size=5), st.sampled_from(list(OURS)))
def test_any_order_of_any_of_its_events_ends_in_the_same_state(
    data: st.DataObject, reported: list[Receipt], own: str
) -> None:
    def play(events: list[Any]) -> Standing:
        standing = Standing(Status.SENDING)
        for event in events:
            before = standing
            standing = ours(standing, event) if isinstance(event, str) else apply(standing, event)
            assert standing.status is before.status or may_change(before.status, standing.status)
        return standing

    events = [*reported, own]
    shuffled = data.draw(st.permutations(events))
    assert play(shuffled) == play(events)
    assert play([*shuffled, *reported]) == play(events)  # and once more


@given(st.lists(any_receipt, min_size=1, max_size=6))
def test_a_final_state_never_goes_back(reported: list[Receipt]) -> None:
    standing = Standing(Status.SENT)
    for one in reported:
        before, standing = standing, apply(standing, one)
        assert before.status is not Status.DELIVERED or standing == before
        assert before.status is not Status.UNDELIVERED or standing.status in (Status.UNDELIVERED, Status.DELIVERED)


@given(any_receipt, st.sampled_from(list(Status)))
def test_what_never_went_is_left_alone(one: Receipt, status: Status) -> None:
    reachable = {
        Status.SENDING,
        Status.UNKNOWN,
        Status.SENT,
        Status.UNCONFIRMED,
        Status.UNDELIVERED,
        Status.DELIVERED,
    }
    if status not in reachable:
        assert apply(Standing(status), one) == Standing(status)


def test_each_report_has_its_state() -> None:
    assert after(receipt(Reported.SUBMITTED)) == Standing(Status.SENT)
    assert after(receipt(Reported.DELIVERED)) == Standing(Status.DELIVERED)
    assert after(receipt(Reported.UNDELIVERABLE, "1170")) == Standing(Status.UNDELIVERED, "1170")
    assert after(receipt(Reported.REJECTED, "1360")) == Standing(Status.UNDELIVERED, "1360")
    assert after(receipt(Reported.UNDELIVERABLE, "1490")) == Standing(Status.UNCONFIRMED, "1490")  # nobody knows
    for status in (Status.UNKNOWN, Status.SENT, Status.UNCONFIRMED):
        assert after(receipt(Reported.DELIVERED), start=status) == Standing(Status.DELIVERED)


def test_what_arrived_stands_over_what_a_carrier_guessed() -> None:
    both = receipt(Reported.UNDELIVERABLE, "1180"), receipt(Reported.DELIVERED)
    for order in permutations(both):
        assert after(*order) == Standing(Status.DELIVERED)


def test_of_two_causes_the_one_that_asks_more_of_people_is_kept() -> None:
    two = receipt(Reported.REJECTED, "1180"), receipt(Reported.UNDELIVERABLE, "1240")
    for order in permutations(two):
        assert after(*order) == Standing(Status.UNDELIVERED, "1240")


# --- codes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        (Fault.NUMBER, {"1050", "1170", "1190", "1280"}),
        (Fault.OPT_OUT, {"1240"}),
        (Fault.PASSING, {"1000", "1180", "1220", "1230", "1331"}),
        (Fault.LATE, {"1360"}),
        (Fault.UNSURE, {"1490"}),
        (Fault.ACCOUNT, {code for code in ACCOUNT_CODES if code.isdigit()}),
    ],
)
def test_whose_fault_a_code_is(fault: Fault, codes: set[str]) -> None:
    assert {code for code in codes if cause(code).fault is fault} == codes


def test_every_code_is_told_in_words_with_what_to_do() -> None:
    for code, one in CAUSES.items():
        said = wording.event("undelivered", f"undeliverable;{code}")
        assert one.says in said and code in said, code
        assert one.do.endswith("."), code
    assert cause("4711").fault is Fault.NOT_SAID
    assert "no cause" in wording.event("undelivered", "undeliverable;")
    assert wording.event("delivered", "delivered;").startswith("Delivered")
    for name in (receipts.ALSO_REPORTED, receipts.EARLIER_ATTEMPT):
        for reported in Reported:
            assert wording.event(name, f"{reported};1180").startswith("The provider"), name


# --- reading --------------------------------------------------------------------------------------------------


def test_a_receipt_is_read() -> None:
    found = parse_receipt(
        a_receipt("undeliverable", AT, code="1170", uuid="ab-1", ref="12.0a1b", parts=3, price="0.15")
    )
    assert found == Receipt("ab-1", "+61491570006", Reported.UNDELIVERABLE, AT, "1170", 12, "0a1b", 3, 150_000, "EUR")
    assert parse_receipt(a_receipt("delivered", AT, ref="another's own")).message_id is None


@pytest.mark.parametrize(
    "change",
    [
        {"message_uuid": None},
        {"message_uuid": ""},
        {"message_uuid": "a" * 65},
        {"message_uuid": "\x00"},
        {"message_uuid": ["a"]},
        {"timestamp": None},
        {"timestamp": "yesterday"},
        {"timestamp": "0001-01-01T00:00:00Z"},
        {"timestamp": "9999-12-31T23:59:59-14:00"},
        {"timestamp": 1_900_000_000},
        {"status": "\ud800"},
        {"status": 7},
        {"status": "read"},
    ],
)
def test_what_is_no_receipt_is_not_read(change: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        parse_receipt(a_receipt("delivered", AT) | change)


def test_what_is_beside_the_point_and_strange_is_left_out() -> None:
    strange = {"usage": {"price": "NaN", "currency": "€"}, "sms": [], "error": "x", "client_ref": 12, "to": "+1"}
    found = parse_receipt(a_receipt("delivered", AT, uuid="u") | strange)
    assert found == Receipt("u", "", Reported.DELIVERED, AT)
    for price in ("1e999999", "-1", "Infinity", "9" * 40, {}, [1]):
        assert parse_receipt(a_receipt("delivered", AT) | {"usage": {"price": price}}).price is None
    for count in ("0", "-1", "1e3", "٣", "99999", None, {}):
        assert parse_receipt(a_receipt("delivered", AT) | {"sms": {"count_total": count}}).parts is None


names = st.sampled_from(["message_uuid", "status", "timestamp", "usage", "sms", "error", "to"]) | st.text()
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda deep: st.lists(deep) | st.dictionaries(names, deep),
    max_leaves=8,
)


@given(anything)
def test_anything_at_all_is_read_or_refused(body: Any) -> None:
    for read in (parse_event, parse_receipt):
        try:
            read(body)
        except Unreadable:
            continue


def test_a_time_without_its_offset_is_utc() -> None:
    bare = a_receipt("delivered", AT) | {"timestamp": "2031-05-07T00:00:05"}
    assert parse_receipt(bare).at == AT
    offset = a_receipt("delivered", AT) | {"timestamp": (AT + timedelta(hours=0)).isoformat()}
    assert parse_receipt(offset).at == AT
