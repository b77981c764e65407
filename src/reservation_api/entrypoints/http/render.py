"""From the domain to the wire."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec import UNSET, UnsetType

from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import Money, Seat, to_iso
from reservation_api.entrypoints.http.request import JSON_HEADERS, Response
from reservation_api.entrypoints.http.wire import (
    AvailabilityAnswer,
    HeldReservation,
    MoneyAnswer,
    OrderAnswer,
    ReservationAnswer,
    SeatAnswer,
    SectionAnswer,
    StatusText,
    encode,
)
from reservation_api.ports.inventory import Availability, InventoryStatus, SectionStatus

T = TypeVar("T")

_SECOND = timedelta(seconds=1)
_STATUS_TEXTS: dict[Status, StatusText] = {
    Status.HOLD: "HOLD",
    Status.CONFIRMED: "CONFIRMED",
    Status.CANCELLED: "CANCELLED",
    Status.EXPIRED: "EXPIRED",
}
"""ABANDONED is missing: no subject ever sees an abandoned id."""


def json_response(answer: object, status: int = 200) -> Response:
    """Make a response of a wire type."""
    return Response(status, JSON_HEADERS, encode(answer))


def seconds_left(reservation: Reservation, now: datetime) -> int:
    """Return the whole seconds, rounded up, that the hold still lasts; 0 when there is no hold any more."""
    if reservation.status is not Status.HOLD or now >= reservation.hold_expires_at:
        return 0
    return -((now - reservation.hold_expires_at) // _SECOND)


def held_answer(reservation: Reservation, as_of: datetime) -> HeldReservation:
    """Render a reservation that has just been made."""
    return HeldReservation(
        reservation_id=reservation.reservation_id,
        event_id=reservation.event_id,
        status=_STATUS_TEXTS[reservation.status],
        qty=reservation.qty,
        seat_ids=[seat.seat_id for seat in reservation.seats],
        total_amount=_money(reservation.total_amount),
        hold_expires_at=to_iso(reservation.hold_expires_at),
        expires_in_seconds=seconds_left(reservation, as_of),
        created_at=to_iso(reservation.created_at),
    )


def reservation_answer(reservation: Reservation, now: datetime) -> ReservationAnswer:
    """Render a reservation as of `now`."""
    return ReservationAnswer(
        reservation_id=reservation.reservation_id,
        event_id=reservation.event_id,
        status=_STATUS_TEXTS[reservation.status],
        qty=reservation.qty,
        seat_ids=[seat.seat_id for seat in reservation.seats],
        seats=[_seat(seat) for seat in reservation.seats],
        total_amount=_money(reservation.total_amount),
        hold_expires_at=to_iso(reservation.hold_expires_at),
        expires_in_seconds=seconds_left(reservation, now),
        created_at=to_iso(reservation.created_at),
        updated_at=to_iso(reservation.updated_at),
        version=reservation.version,
        order_id=_present(reservation.order_id),
        payment_intent_id=_present(reservation.payment_intent_id),
    )


def order_answer(order: Order) -> OrderAnswer:
    """Render an order."""
    return OrderAnswer(
        order_id=order.order_id,
        reservation_id=order.reservation_id,
        event_id=order.event_id,
        status=order.status,
        qty=len(order.seats),
        seat_ids=[seat.seat_id for seat in order.seats],
        total_amount=_money(order.total_amount),
        payment_intent_id=order.payment_intent_id,
        created_at=to_iso(order.created_at),
    )


def availability_answer(status: InventoryStatus, seats: Availability | None) -> AvailabilityAnswer:
    """Render an event's seats; the totals are those of the sections listed."""

    def total(count: Callable[[SectionStatus], int]) -> int:
        return sum(map(count, status.sections))

    return AvailabilityAnswer(
        event_id=status.event_id,
        name=status.name,
        total=total(lambda section: section.total),
        available=total(lambda section: section.available),
        held=total(lambda section: section.held),
        sold=total(lambda section: section.sold),
        blocked=total(lambda section: section.blocked),
        sections=[_section(section) for section in status.sections],
        available_seats=UNSET if seats is None else [_seat(seat) for seat in seats.available_seats],
        unavailable_seat_ids=UNSET if seats is None else [*seats.unavailable_seat_ids],
    )


def _section(section: SectionStatus) -> SectionAnswer:
    return SectionAnswer(
        section=section.section,
        total=section.total,
        available=section.available,
        held=section.held,
        sold=section.sold,
        blocked=section.blocked,
        min_price=_money(section.min_price),
        max_price=_money(section.max_price),
    )


def _seat(seat: Seat) -> SeatAnswer:
    return SeatAnswer(seat.seat_id, seat.section, seat.row, seat.number, _money(seat.price))


def _money(money: Money) -> MoneyAnswer:
    return MoneyAnswer(money.amount, money.currency)


def _present(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value
