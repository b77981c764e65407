"""Domain objects to items and back. Numbers travel as text, money as whole minor units, instants as text."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from reservation_api.adapters.dynamodb.shards import word_of
from reservation_api.adapters.dynamodb.tables import PK, SK, TTL
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import ConfirmIntent, Reservation, Status
from reservation_api.domain.values import (
    EventId,
    Money,
    OrderId,
    PaymentIntentId,
    RecordKey,
    ReservationId,
    Seat,
    UserId,
    from_iso,
    to_iso,
)
from reservation_api.ports.store import IdempotencyRecord

T = TypeVar("T")
Item = dict[str, Any]
"""An item, or its key, as DynamoDB's JSON has it: each value with its type."""

GUARD_SK: Final = "payment_guard"
"""What makes a row of the orders table the guard of a payment. It has no attribute that an index goes by, so
no list shows it."""
_STATUSES: Final = {status.value: status for status in Status}
"""To ask the enum itself costs a reader two frames more."""
_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def unix_seconds(instant: datetime) -> Item:
    """Write an instant as a `ttl` is compared with it: exact to the millisecond, and never a float."""
    seconds, milliseconds = divmod((instant - _UNIX_EPOCH) // _MILLISECOND, 1000)
    return {"N": f"{seconds}.{milliseconds:03d}"}


def is_past(ttl: int, instant: datetime) -> bool:
    """Compare a `ttl` as conditions do."""
    return ttl * 1000 <= (instant - _UNIX_EPOCH) // _MILLISECOND


def reservation_key(reservation: Reservation) -> Item:
    """Return the key of a reservation's row."""
    return {PK: {"S": reservation.reservation_id}, SK: {"S": reservation.event_id}}


def reservation_item(reservation: Reservation, status: str) -> Item:
    """Write a reservation with its status as it is stored (document section 1.1)."""
    item = {
        PK: {"S": reservation.reservation_id},
        SK: {"S": reservation.event_id},
        "user_id": {"S": reservation.user_id},
        "qty": {"N": str(len(reservation.seats))},
        **_seats(reservation.seats, reservation.total_amount),
        "idempotency_key": {"S": reservation.record_key},
        "created_at": {"S": to_iso(reservation.created_at)},
        **moving(reservation, status),
    }
    if reservation.reservation_token is not None:
        item["reservation_token"] = {"S": reservation.reservation_token}
    return item


def moving(reservation: Reservation, status: str) -> Item:
    """Write what a move may change; what is left out is not there any more."""
    item: Item = {
        "status": {"S": status},
        "hold_expires_at": {"S": to_iso(reservation.hold_expires_at)},
        "updated_at": {"S": to_iso(reservation.updated_at)},
        "version": {"N": str(reservation.version)},
        "extensions": {"N": str(reservation.extensions)},
    }
    intent = reservation.intent
    if intent is not None:
        item["intent_order_id"] = {"S": intent.order_id}
        item["intent"] = {"M": _intent(intent)}
    if reservation.order_id is not None:
        item["order_id"] = {"S": reservation.order_id}
    if reservation.payment_intent_id is not None:
        item["payment_intent_id"] = {"S": reservation.payment_intent_id}
    return item


OPTIONALLY_MOVING: Final = ("intent_order_id", "intent", "order_id", "payment_intent_id")
"""What `moving` may leave out."""


def reservation_of(item: Item) -> Reservation:
    """Read what `reservation_item` wrote."""
    seats, total_amount = _seats_of(item)
    return Reservation(
        reservation_id=ReservationId(item[PK]["S"]),
        event_id=EventId(item[SK]["S"]),
        user_id=UserId(item["user_id"]["S"]),
        status=_STATUSES[word_of(item["status"]["S"])],
        seats=seats,
        total_amount=total_amount,
        hold_expires_at=from_iso(item["hold_expires_at"]["S"]),
        record_key=RecordKey(item["idempotency_key"]["S"]),
        created_at=from_iso(item["created_at"]["S"]),
        updated_at=from_iso(item["updated_at"]["S"]),
        version=int(item["version"]["N"]),
        extensions=int(item["extensions"]["N"]),
        intent=_intent_of(item),
        order_id=optional(item, "order_id", OrderId),
        payment_intent_id=optional(item, "payment_intent_id", PaymentIntentId),
        reservation_token=optional(item, "reservation_token", str),
    )


def order_item(order: Order) -> Item:
    """Write an order (document section 1.2)."""
    return {
        PK: {"S": order.order_id},
        SK: {"S": order.reservation_id},
        "event_id": {"S": order.event_id},
        "user_id": {"S": order.user_id},
        **_seats(order.seats, order.total_amount),
        "status": {"S": order.status},
        "payment_intent_id": {"S": order.payment_intent_id},
        "created_at": {"S": to_iso(order.created_at)},
    }


def order_of(item: Item) -> Order:
    """Read what `order_item` wrote."""
    seats, total_amount = _seats_of(item)
    return Order(
        order_id=OrderId(item[PK]["S"]),
        reservation_id=ReservationId(item[SK]["S"]),
        event_id=EventId(item["event_id"]["S"]),
        user_id=UserId(item["user_id"]["S"]),
        seats=seats,
        total_amount=total_amount,
        status=item["status"]["S"],
        payment_intent_id=PaymentIntentId(item["payment_intent_id"]["S"]),
        created_at=from_iso(item["created_at"]["S"]),
    )


def guard_key(payment_intent_id: PaymentIntentId) -> Item:
    """Return the key of a payment's guard, in the orders table."""
    return {PK: {"S": f"payment#{payment_intent_id}"}, SK: {"S": GUARD_SK}}


def is_guard(item: Item) -> bool:
    """Tell a payment's guard from an order."""
    return bool(item[SK]["S"] == GUARD_SK)


def record_item(record: IdempotencyRecord) -> Item:
    """Write an idempotency record (document section 1.3); a pending one has no snapshot."""
    item = {
        PK: {"S": record.key},
        "request_hash": {"S": record.request_hash},
        TTL: {"N": str(record.ttl)},
    }
    if record.response_snapshot is not None:
        item["response_snapshot"] = {"S": record.response_snapshot}
    return item


def record_of(item: Item) -> IdempotencyRecord:
    """Read what `record_item` wrote."""
    snapshot = optional(item, "response_snapshot", str)
    return IdempotencyRecord(
        RecordKey(item[PK]["S"]), item["request_hash"]["S"], snapshot, int(item[TTL]["N"])
    )


def optional(item: Item, name: str, read: Callable[[str], T]) -> T | None:
    """Read a String that may not be there."""
    value = item.get(name)
    return None if value is None else read(value["S"])


def _seats(seats: Sequence[Seat], total_amount: Money) -> Item:
    """Write the document's `seat_ids`, with what else is known of each seat beside it, in the same order."""
    return {
        "seat_ids": {"L": [{"S": seat.seat_id} for seat in seats]},
        "seats": {"L": [{"M": _seat(seat)} for seat in seats]},
        "total_amount": {"N": str(total_amount.amount)},
        "currency": {"S": total_amount.currency},
    }


def _seat(seat: Seat) -> Item:
    return {
        "section": {"S": seat.section},
        "row": {"S": seat.row},
        "number": {"S": seat.number},
        "price": {"N": str(seat.price.amount)},
    }


def _seats_of(item: Item) -> tuple[tuple[Seat, ...], Money]:
    currency = item["currency"]["S"]
    places = [seat["M"] for seat in item["seats"]["L"]]
    seats = [
        Seat(
            seat_id["S"],
            place["section"]["S"],
            place["row"]["S"],
            place["number"]["S"],
            Money(int(place["price"]["N"]), currency),
        )
        for seat_id, place in zip(item["seat_ids"]["L"], places, strict=True)
    ]
    return tuple(seats), Money(int(item["total_amount"]["N"]), currency)


def _intent(intent: ConfirmIntent) -> Item:
    """Write all of an intent but its order id, which conditions and an index know by itself."""
    return {
        "payment_intent_id": {"S": intent.payment_intent_id},
        "idempotency_key": {"S": intent.record_key},
        "request_hash": {"S": intent.request_hash},
        "trace_id": {"S": intent.trace_id},
        "created_at": {"S": to_iso(intent.created_at)},
    }


def _intent_of(item: Item) -> ConfirmIntent | None:
    if "intent" not in item:
        return None
    intent = item["intent"]["M"]
    return ConfirmIntent(
        order_id=OrderId(item["intent_order_id"]["S"]),
        payment_intent_id=PaymentIntentId(intent["payment_intent_id"]["S"]),
        record_key=RecordKey(intent["idempotency_key"]["S"]),
        request_hash=intent["request_hash"]["S"],
        trace_id=intent["trace_id"]["S"],
        created_at=from_iso(intent["created_at"]["S"]),
    )
