"""Database rows to domain objects and back."""

from datetime import datetime
from typing import Any

import msgspec

from reservation_api.domain.order import Order
from reservation_api.domain.reservation import ConfirmIntent, Reservation, Status
from reservation_api.domain.values import Money, Seat, SeatId, from_iso, to_iso
from reservation_api.ports.outbox import OutboxEntry, OutboxStatus, OutboxType

Row = tuple[Any, ...]

RESERVATION_COLUMNS = (
    "reservation_id, event_id, user_id, status, seats, total_amount, currency, hold_expires_at,"
    " idempotency_key, created_at, updated_at, version, extensions, intent_order_id, intent, order_id,"
    " payment_intent_id, reservation_token"
)
UPDATED_COLUMNS = (
    "status = ?, hold_expires_at = ?, updated_at = ?, version = ?, extensions = ?, intent_order_id = ?,"
    " intent = ?, order_id = ?, payment_intent_id = ?"
)
ORDER_COLUMNS = (
    "order_id, reservation_id, event_id, user_id, seats, total_amount, currency, status,"
    " payment_intent_id, created_at"
)
OUTBOX_COLUMNS = (
    "outbox_id, aggregate_type, aggregate_id, type, payload, status, attempts, next_retry_at,"
    " last_error, trace_id, created_at, updated_at"
)

BATCHES_APART = 8
"""Workers beside each other choose among so many batches of the oldest rows: two meet at one row in eight."""


def some_of_the_oldest(select: str, condition: str, age: str) -> str:
    """Return a query for as many rows as its last two parameters both say, chosen at random among the oldest.

    Given the oldest themselves, all workers but one would lose each row.
    """
    table = select.rpartition(" ")[2]
    oldest = f"SELECT rowid FROM {table} WHERE {condition} ORDER BY {age} LIMIT {BATCHES_APART} * ?"
    chosen = f"SELECT rowid FROM ({oldest}) ORDER BY random() LIMIT ?"
    return f"{select} WHERE rowid IN ({chosen}) ORDER BY {age}"


class _SeatRow(msgspec.Struct, array_like=True, frozen=True):
    """A seat as JSON array; its currency is the row's."""

    seat_id: str
    section: str
    row: str
    number: str
    amount: int


_ENCODER = msgspec.json.Encoder()
_SEATS = msgspec.json.Decoder(list[_SeatRow])
_INTENT = msgspec.json.Decoder(ConfirmIntent)


def reservation_row(reservation: Reservation) -> Row:
    """Return the values of RESERVATION_COLUMNS."""
    return (
        reservation.reservation_id,
        reservation.event_id,
        reservation.user_id,
        reservation.status.value,
        seats_text(reservation.seats),
        reservation.total_amount.amount,
        reservation.total_amount.currency,
        to_iso(reservation.hold_expires_at),
        reservation.record_key,
        to_iso(reservation.created_at),
        to_iso(reservation.updated_at),
        reservation.version,
        reservation.extensions,
        *_intent_columns(reservation.intent),
        reservation.order_id,
        reservation.payment_intent_id,
        reservation.reservation_token,
    )


def update_row(reservation: Reservation) -> Row:
    """Return the values of UPDATED_COLUMNS: what a move may change."""
    return (
        reservation.status.value,
        to_iso(reservation.hold_expires_at),
        to_iso(reservation.updated_at),
        reservation.version,
        reservation.extensions,
        *_intent_columns(reservation.intent),
        reservation.order_id,
        reservation.payment_intent_id,
    )


def _intent_columns(intent: ConfirmIntent | None) -> tuple[str | None, str | None]:
    return (None, None) if intent is None else (intent.order_id, _ENCODER.encode(intent).decode())


def reservation_of(row: Row) -> Reservation:
    """Read a row of RESERVATION_COLUMNS."""
    return Reservation(
        reservation_id=row[0],
        event_id=row[1],
        user_id=row[2],
        status=Status(row[3]),
        seats=seats_of(row[4], row[6]),
        total_amount=Money(row[5], row[6]),
        hold_expires_at=from_iso(row[7]),
        record_key=row[8],
        created_at=from_iso(row[9]),
        updated_at=from_iso(row[10]),
        version=row[11],
        extensions=row[12],
        intent=None if row[14] is None else _INTENT.decode(row[14]),
        order_id=row[15],
        payment_intent_id=row[16],
        reservation_token=row[17],
    )


def order_row(order: Order) -> Row:
    """Return the values of ORDER_COLUMNS."""
    return (
        order.order_id,
        order.reservation_id,
        order.event_id,
        order.user_id,
        seats_text(order.seats),
        order.total_amount.amount,
        order.total_amount.currency,
        order.status,
        order.payment_intent_id,
        to_iso(order.created_at),
    )


def order_of(row: Row) -> Order:
    """Read a row of ORDER_COLUMNS."""
    return Order(
        order_id=row[0],
        reservation_id=row[1],
        event_id=row[2],
        user_id=row[3],
        seats=seats_of(row[4], row[6]),
        total_amount=Money(row[5], row[6]),
        status=row[7],
        payment_intent_id=row[8],
        created_at=from_iso(row[9]),
    )


def outbox_row(entry: OutboxEntry) -> Row:
    """Return the values of OUTBOX_COLUMNS."""
    return (
        entry.outbox_id,
        entry.aggregate_type,
        entry.aggregate_id,
        entry.type.value,
        entry.payload,
        entry.status.value,
        entry.attempts,
        to_iso(entry.next_retry_at),
        entry.last_error,
        entry.trace_id,
        to_iso(entry.created_at),
        to_iso(entry.updated_at),
    )


def outbox_entry_of(row: Row) -> OutboxEntry:
    """Read a row of OUTBOX_COLUMNS."""
    return OutboxEntry(
        outbox_id=row[0],
        aggregate_type=row[1],
        aggregate_id=row[2],
        type=OutboxType(row[3]),
        payload=row[4],
        status=OutboxStatus(row[5]),
        attempts=row[6],
        next_retry_at=from_iso(row[7]),
        last_error=row[8],
        trace_id=row[9],
        created_at=from_iso(row[10]),
        updated_at=from_iso(row[11]),
    )


def seats_text(seats: tuple[Seat, ...]) -> str:
    """Write seats as JSON; their currency stands in a column of its own."""
    rows = [(seat.seat_id, seat.section, seat.row, seat.number, seat.price.amount) for seat in seats]
    return _ENCODER.encode(rows).decode()


def seats_of(text: str, currency: str) -> tuple[Seat, ...]:
    """Read what `seats_text` wrote."""
    return tuple(
        Seat(SeatId(seat.seat_id), seat.section, seat.row, seat.number, Money(seat.amount, currency))
        for seat in _SEATS.decode(text)
    )


def unix_seconds(instant: datetime) -> float:
    """Return an instant as a `ttl` is compared with it."""
    return instant.timestamp()
