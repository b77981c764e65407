"""The events other systems hear of: one per move of a reservation (document section 2.2).

Instants are text here, as on the wire: `YYYY-MM-DDTHH:MM:SS.mmmZ`.
"""

from dataclasses import dataclass
from typing import Literal

from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import (
    EventId,
    Money,
    OrderId,
    OutboxId,
    PaymentIntentId,
    ReservationId,
    SeatId,
    UserId,
    to_iso,
)

SOURCE = "reservation.service"
RESERVATION_CREATED = "Reservation Created"
RESERVATION_STATUS_CHANGED = "Reservation Status Changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationCreated:
    """The detail of `Reservation Created`: seats are held."""

    id: OutboxId
    """Drop a repeat by it: the bus delivers at least once."""
    version: Literal[1]
    """Order by it: the bus does not."""
    status: Literal["HOLD"]
    reservation_id: ReservationId
    event_id: EventId
    user_id: UserId
    qty: int
    seat_ids: tuple[SeatId, ...]
    total_amount: Money
    hold_expires_at: str
    created_at: str
    occurred_at: str
    trace_id: str
    reservation_token: str | None = None
    traceparent: str | None = None
    """Where the trace goes on (W3C Trace Context); absent: this trace is not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationStatusChanged:
    """The detail of `Reservation Status Changed`: the hold ended one way or another.

    EXPIRED with a `payment_intent_id` means that the seats were gone when they were to be sold:
    that payment is to be refunded.
    """

    id: OutboxId
    version: int
    status: Literal["CONFIRMED", "CANCELLED", "EXPIRED"]
    reservation_id: ReservationId
    event_id: EventId
    user_id: UserId
    qty: int
    seat_ids: tuple[SeatId, ...]
    total_amount: Money
    hold_expires_at: str
    created_at: str
    occurred_at: str
    trace_id: str
    order_id: OrderId | None = None
    payment_intent_id: PaymentIntentId | None = None
    reservation_token: str | None = None
    traceparent: str | None = None
    """Where the trace goes on (W3C Trace Context); absent: this trace is not recorded."""


ReservationEvent = ReservationCreated | ReservationStatusChanged

_ENDINGS: dict[Status, Literal["CONFIRMED", "CANCELLED", "EXPIRED"]] = {
    Status.CONFIRMED: "CONFIRMED",
    Status.CANCELLED: "CANCELLED",
    Status.EXPIRED: "EXPIRED",
}


def event_of(reservation: Reservation, trace_id: str) -> ReservationEvent:
    """Say what has just happened to a reservation; raises ValueError for an abandoned id."""
    outbox_id = OutboxId(f"{reservation.reservation_id}.{reservation.version}")
    match reservation.status:
        case Status.HOLD:
            return ReservationCreated(
                id=outbox_id,
                version=1,
                status="HOLD",
                reservation_id=reservation.reservation_id,
                event_id=reservation.event_id,
                user_id=reservation.user_id,
                qty=reservation.qty,
                seat_ids=reservation.seat_ids,
                total_amount=reservation.total_amount,
                hold_expires_at=to_iso(reservation.hold_expires_at),
                created_at=to_iso(reservation.created_at),
                occurred_at=to_iso(reservation.updated_at),
                trace_id=trace_id,
                reservation_token=reservation.reservation_token,
            )
        case Status.CONFIRMED | Status.CANCELLED | Status.EXPIRED as status:
            return ReservationStatusChanged(
                id=outbox_id,
                version=reservation.version,
                status=_ENDINGS[status],
                reservation_id=reservation.reservation_id,
                event_id=reservation.event_id,
                user_id=reservation.user_id,
                qty=reservation.qty,
                seat_ids=reservation.seat_ids,
                total_amount=reservation.total_amount,
                hold_expires_at=to_iso(reservation.hold_expires_at),
                created_at=to_iso(reservation.created_at),
                occurred_at=to_iso(reservation.updated_at),
                trace_id=trace_id,
                order_id=reservation.order_id,
                payment_intent_id=reservation.payment_intent_id,
                reservation_token=reservation.reservation_token,
            )
        case Status.ABANDONED:
            raise ValueError("an abandoned id is no event")
