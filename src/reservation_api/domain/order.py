"""An order: the lasting record that seats were sold."""

from dataclasses import dataclass
from datetime import datetime

from reservation_api.domain.reservation import Reservation
from reservation_api.domain.values import (
    EventId,
    Money,
    OrderId,
    PaymentIntentId,
    ReservationId,
    Seat,
    UserId,
)

ORDER_STATUS = "CONFIRMED"
"""Orders are written when they are confirmed and do not change in this service."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was bought, by whom, at the price of the moment of the hold."""

    order_id: OrderId
    reservation_id: ReservationId
    event_id: EventId
    user_id: UserId
    seats: tuple[Seat, ...]
    total_amount: Money
    status: str
    payment_intent_id: PaymentIntentId
    created_at: datetime


def order_of(reservation: Reservation) -> Order:
    """Make the one order of a confirmed reservation; raises ValueError for any other."""
    if reservation.order_id is None or reservation.payment_intent_id is None:
        raise ValueError("only a confirmed reservation has an order")
    return Order(
        order_id=reservation.order_id,
        reservation_id=reservation.reservation_id,
        event_id=reservation.event_id,
        user_id=reservation.user_id,
        seats=reservation.seats,
        total_amount=reservation.total_amount,
        status=ORDER_STATUS,
        payment_intent_id=reservation.payment_intent_id,
        created_at=reservation.updated_at,
    )
