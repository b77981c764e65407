"""Reservations, records and outbox rows that tests take as they are, or with a field replaced."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.support.clock import FakeClock

from reservation_api.application.outbox_entries import event_entry, recovery_entry
from reservation_api.domain.order import Order, order_of
from reservation_api.domain.reservation import ConfirmIntent, NewHold, Reservation, held
from reservation_api.domain.values import (
    EventId,
    Money,
    OrderId,
    PaymentIntentId,
    RecordKey,
    ReservationId,
    Seat,
    SeatId,
    UserId,
)
from reservation_api.ports.outbox import OutboxEntry
from reservation_api.ports.store import IdempotencyRecord

START = FakeClock().now()
TRACE = "0af7651916cd43dd8448eb211c80319c"


def seat(seat_id: str = "A-1-1", amount: int = 120_000) -> Seat:
    return Seat(SeatId(seat_id), "A", "1", seat_id.rpartition("-")[2], Money(amount, "KRW"))


def reservation(reservation_id: str = "rsv_1", user_id: str = "alice", **changes: Any) -> Reservation:
    hold = NewHold(
        ReservationId(reservation_id),
        EventId("evt_test"),
        UserId(user_id),
        RecordKey(f"record of {reservation_id}"),
    )
    seats = changes.pop("seats", (seat(),))
    return replace(held(hold, seats, START, START + timedelta(seconds=60)), **changes)


def intent(order_id: str = "ord_1", payment: str = "pi_1") -> ConfirmIntent:
    return ConfirmIntent(OrderId(order_id), PaymentIntentId(payment), RecordKey("k"), "hash", TRACE, START)


def order(
    reservation_id: str = "rsv_1", order_id: str = "ord_1", payment: str = "pi_1", **changes: Any
) -> Order:
    fenced = reservation(reservation_id).with_intent(intent(order_id, payment))
    return replace(order_of(fenced.confirmed(START)), **changes)


def record(
    key: str = "key", request_hash: str = "hash", snapshot: str | None = "{}", ttl: int = 300
) -> IdempotencyRecord:
    return IdempotencyRecord(RecordKey(key), request_hash, snapshot, int(START.timestamp()) + ttl)


def outbox_entry(reservation_id: str = "rsv_1", **changes: Any) -> OutboxEntry:
    return replace(event_entry(reservation(reservation_id), TRACE), **changes)


def recovery(reservation_id: str = "rsv_1", order_id: str = "ord_1") -> OutboxEntry:
    return recovery_entry(reservation(reservation_id), OrderId(order_id), TRACE)
