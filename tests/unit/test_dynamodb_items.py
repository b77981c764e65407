"""Whatever the domain can say, an item keeps to the letter; and it is of the document's attributes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.examples import START, intent, order, outbox_entry, record, reservation, seat

from reservation_api.adapters.dynamodb.items import (
    Item,
    guard_key,
    is_guard,
    is_past,
    order_item,
    order_of,
    record_item,
    record_of,
    reservation_item,
    reservation_key,
    reservation_of,
    unix_seconds,
)
from reservation_api.adapters.dynamodb.outbox_items import outbox_entry_of, outbox_item, outbox_key
from reservation_api.application.command import Answer
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import ConfirmIntent, Reservation, Status
from reservation_api.domain.values import (
    EventId,
    Money,
    OrderId,
    OutboxId,
    PaymentIntentId,
    RecordKey,
    ReservationId,
    Seat,
    SeatId,
    UserId,
    total_price,
)
from reservation_api.ports.outbox import OutboxEntry, OutboxStatus, OutboxType
from reservation_api.ports.store import IdempotencyRecord

MAX_ITEM_BYTES = 400 * 1024
"""DynamoDB's limit for an item."""
LONG_ID = "x" * 64
LONG_SUBJECT = "\N{SNOWMAN}" * 255
LONG_TOKEN = "t" * 4096
LARGEST_NUMBER = 10**38 - 1
"""DynamoDB keeps 38 digits."""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
instants = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001 (bounds have no zone)
    lambda instant: instant.replace(microsecond=instant.microsecond // 1000 * 1000)
)
amounts = st.integers(0, LARGEST_NUMBER // 10)
seats = st.builds(Seat, names.map(SeatId), texts, texts, texts, amounts.map(lambda n: Money(n, "KRW")))
seat_lists = st.lists(seats, min_size=1, max_size=10).map(tuple)
intents = st.builds(
    ConfirmIntent,
    names.map(OrderId),
    names.map(PaymentIntentId),
    names.map(RecordKey),
    texts,
    texts,
    instants,
)
reservations = seat_lists.flatmap(
    lambda held: st.builds(
        Reservation,
        names.map(ReservationId),
        names.map(EventId),
        names.map(UserId),
        st.sampled_from(Status),
        st.just(held),
        st.just(total_price(held)),
        instants,
        names.map(RecordKey),
        instants,
        instants,
        st.integers(0, 9),
        st.integers(0, 9),
        st.none() | intents,
        st.none() | names.map(OrderId),
        st.none() | names.map(PaymentIntentId),
        st.none() | texts,
    )
)
orders = seat_lists.flatmap(
    lambda sold: st.builds(
        Order,
        names.map(OrderId),
        names.map(ReservationId),
        names.map(EventId),
        names.map(UserId),
        st.just(sold),
        st.just(total_price(sold)),
        texts,
        names.map(PaymentIntentId),
        instants,
    )
)
records = st.builds(IdempotencyRecord, names.map(RecordKey), texts, st.none() | texts, st.integers(0, 2**40))
entries = st.builds(
    OutboxEntry,
    names.map(OutboxId),
    st.sampled_from(OutboxType),
    texts,
    texts,
    texts,
    instants,
    instants,
    instants,
    st.sampled_from(OutboxStatus),
    st.integers(0, 99),
    st.none() | texts,
    texts,
)


def _sent(item: Item) -> Item:
    """Return an item as the other side reads it."""
    decoded: Item = msgspec.json.decode(msgspec.json.encode(item))
    return decoded


def _values(value: Any) -> list[tuple[str, Any]]:
    """Return every typed value in an item, containers too."""
    found = []
    for kind, content in value.items():
        found.append((kind, content))
        inner = content if kind == "L" else content.values() if kind == "M" else ()
        found += [pair for each in inner for pair in _values(each)]
    return found


PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine makes rows slowly; that says nothing of them."""


@PATIENT
@given(reservations)
def test_a_reservation_comes_back_as_it_was(row: Reservation) -> None:
    assert reservation_of(_sent(reservation_item(row, f"{row.status}#07"))) == row
    assert reservation_of(_sent(reservation_item(row, row.status))) == row


@PATIENT
@given(orders)
def test_an_order_comes_back_as_it_was(row: Order) -> None:
    assert order_of(_sent(order_item(row))) == row


@given(records)
def test_a_record_comes_back_as_it_was(row: IdempotencyRecord) -> None:
    assert record_of(_sent(record_item(row))) == row


@given(entries)
def test_an_outbox_row_comes_back_as_it_was(row: OutboxEntry) -> None:
    assert outbox_entry_of(_sent(outbox_item(row, f"{row.status}#31"))) == row


@PATIENT
@given(reservations)
def test_numbers_are_text_and_no_value_is_empty_handed(row: Reservation) -> None:
    item = reservation_item(row, "HOLD")
    for kind, content in (pair for value in item.values() for pair in _values(value)):
        assert kind in {"S", "N", "L", "M"}
        assert kind != "N" or content == str(int(content))


@given(instants)
def test_an_instant_is_compared_with_a_ttl_to_the_millisecond(instant: datetime) -> None:
    (text,) = unix_seconds(instant).values()
    seconds, milliseconds = text.split(".")
    again = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(seconds), milliseconds=int(milliseconds))
    assert again == instant
    assert len(milliseconds) == 3
    assert is_past(int(seconds), instant)
    assert not is_past(int(seconds) + 1, instant)


def test_items_have_the_documents_attributes() -> None:
    held = reservation(extensions=1).with_intent(intent())
    assert reservation_item(held, "HOLD").keys() >= {
        *("pk", "sk", "user_id", "qty", "seat_ids", "status", "hold_expires_at", "idempotency_key"),
        *("created_at", "updated_at"),
    }
    assert order_item(order()).keys() >= {
        *("pk", "sk", "event_id", "user_id", "seat_ids", "total_amount", "status", "payment_intent_id"),
        "created_at",
    }
    assert record_item(record()).keys() == {"pk", "request_hash", "response_snapshot", "ttl"}
    assert outbox_item(outbox_entry(last_error="no"), "PENDING").keys() == {
        *("pk", "sk", "type", "aggregate_type", "aggregate_id", "payload", "status", "attempts"),
        *("next_retry_at", "last_error", "trace_id", "created_at", "updated_at"),
    }


def test_values_have_the_documents_types() -> None:
    item = reservation_item(reservation(seats=(seat("A-1-2", 5), seat("A-1-1", 7))), "HOLD")
    assert item["qty"] == {"N": "2"}
    assert item["seat_ids"] == {"L": [{"S": "A-1-2"}, {"S": "A-1-1"}]}
    assert item["total_amount"] == {"N": "12"}
    assert item["currency"] == {"S": "KRW"}
    assert item["hold_expires_at"] == {"S": "2026-11-23T12:01:00.000Z"}
    assert record_item(record(ttl=0))["ttl"] == {"N": str(int(START.timestamp()))}


def test_what_is_absent_takes_no_attribute() -> None:
    absent = {"intent", "intent_order_id", "order_id", "payment_intent_id", "reservation_token"}
    assert absent.isdisjoint(reservation_item(reservation(), "HOLD"))
    assert "response_snapshot" not in record_item(record(snapshot=None))
    assert "last_error" not in outbox_item(outbox_entry(), "PENDING")


def test_a_row_is_found_by_its_id_alone() -> None:
    entry = outbox_entry("rsv_1")
    item = outbox_item(entry, "PENDING")
    assert outbox_key(entry.outbox_id) == {"pk": {"S": "rsv_1.1"}, "sk": {"S": "reservation#rsv_1"}}
    assert {name: item[name] for name in ("pk", "sk")} == outbox_key(entry.outbox_id)
    held = reservation()
    item = reservation_item(held, "HOLD")
    assert {name: item[name] for name in ("pk", "sk")} == reservation_key(held)


def test_a_guard_is_in_no_index_and_no_order() -> None:
    key = guard_key(PaymentIntentId("pi_1"))
    assert key == {"pk": {"S": "payment#pi_1"}, "sk": {"S": "payment_guard"}}
    assert is_guard(key)
    assert not is_guard(order_item(order()))


def _largest_reservation() -> Reservation:
    places = tuple(
        Seat(SeatId(f"{n}{LONG_ID[:-1]}"), LONG_ID, LONG_ID, LONG_ID, Money(2**63, "KRW")) for n in range(10)
    )
    fenced = reservation(LONG_ID, LONG_SUBJECT, seats=places, event_id=EventId(LONG_ID)).with_intent(
        intent(payment="p" * 128)
    )
    return replace(
        fenced,
        total_amount=Money(2**63, "KRW"),
        record_key=RecordKey(LONG_ID),
        reservation_token=LONG_TOKEN,
    )


@pytest.mark.parametrize("part", ["reservation", "record", "event"])
def test_the_largest_rows_are_far_below_dynamodbs_limit(part: str) -> None:
    largest = _largest_reservation()
    answer = Answer(as_of=START, reservation=largest)
    items = {
        "reservation": reservation_item(largest, "CONFIRMED#99"),
        "record": record_item(record(snapshot=msgspec.json.encode(answer).decode())),
        "event": outbox_item(outbox_entry(payload=msgspec.json.encode(largest).decode()), "PENDING#99"),
    }
    # The JSON of an item is longer than what DynamoDB counts.
    assert len(msgspec.json.encode(items[part])) < MAX_ITEM_BYTES / 20
