"""What the reservation service answers, as it goes over the wire.

A command's reply is made of its recorded answer alone, so that a replay has the same bytes.
"""

from collections.abc import Mapping, Sequence

from reservation_api.application.command import Answer
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.entrypoints.grpc.common_messages import money_message, seat_messages
from reservation_proto.common.v1 import types_pb2 as types
from reservation_proto.reservation.v1 import reservation_pb2 as wire

STATUSES: Mapping[Status, wire.ReservationStatus] = {
    Status.HOLD: wire.RESERVATION_STATUS_HOLD,
    Status.CONFIRMED: wire.RESERVATION_STATUS_CONFIRMED,
    Status.CANCELLED: wire.RESERVATION_STATUS_CANCELLED,
    Status.EXPIRED: wire.RESERVATION_STATUS_EXPIRED,
}
"""ABANDONED is missing: no subject ever sees an abandoned id."""

# Seats of a reservation that is over may be anybody's by now: UNSPECIFIED.
_SEATS: Mapping[Status, types.SeatStatus] = {
    Status.HOLD: types.SEAT_STATUS_RESERVED,
    Status.CONFIRMED: types.SEAT_STATUS_SOLD,
    Status.CANCELLED: types.SEAT_STATUS_UNSPECIFIED,
    Status.EXPIRED: types.SEAT_STATUS_UNSPECIFIED,
}


def create_reply(reservation: Reservation) -> wire.CreateReservationResponse:
    """Tell what is held, at which price, until when; where to pay is not this service's to say."""
    return wire.CreateReservationResponse(
        reservation_id=reservation.reservation_id,
        status=STATUSES[reservation.status],
        hold_expires_at=reservation.hold_expires_at,
        reserved_seats=seat_messages(reservation.seats, _SEATS[reservation.status]),
        total_amount=money_message(reservation.total_amount),
    )


def confirm_reply(order: Order) -> wire.ConfirmReservationResponse:
    """Tell what is sold."""
    return wire.ConfirmReservationResponse(
        order_id=order.order_id,
        status=wire.RESERVATION_STATUS_CONFIRMED,
        confirmed_at=order.created_at,
        confirmed_seats=seat_messages(order.seats, types.SEAT_STATUS_SOLD),
    )


def cancel_reply(reservation: Reservation) -> wire.CancelReservationResponse:
    """Tell which seats are given back: normally free by then, else within 5 s while a worker runs."""
    return wire.CancelReservationResponse(
        status=STATUSES[reservation.status],
        cancelled_at=reservation.updated_at,
        released_seats=seat_messages(reservation.seats, types.SEAT_STATUS_AVAILABLE),
    )


def extend_reply(reservation: Reservation, answer: Answer) -> wire.ExtendHoldResponse:
    """Tell the new expiry, and how much later it is than the old one: less than was asked, if it was cut."""
    return wire.ExtendHoldResponse(
        new_expires_at=reservation.hold_expires_at,
        extended_seconds=answer.extended_seconds,
        extension_allowed=True,
    )


def get_reply(reservation: Reservation) -> wire.GetReservationResponse:
    """Show a reservation."""
    return wire.GetReservationResponse(reservation=_reservation(reservation))


def list_reply(
    reservations: Sequence[Reservation], next_cursor: str | None, *, is_first: bool
) -> wire.ListReservationsResponse:
    """Show a page; `total_count` stays 0: counting would read the whole list."""
    page_info = types.PageInfo(
        has_next_page=next_cursor is not None,
        has_previous_page=not is_first,
        next_cursor=next_cursor or "",
    )
    return wire.ListReservationsResponse(reservations=map(_reservation, reservations), page_info=page_info)


def _reservation(reservation: Reservation) -> wire.Reservation:
    return wire.Reservation(
        reservation_id=reservation.reservation_id,
        event_id=reservation.event_id,
        user_id=reservation.user_id,
        status=STATUSES[reservation.status],
        seats=seat_messages(reservation.seats, _SEATS[reservation.status]),
        quantity=reservation.qty,
        total_amount=money_message(reservation.total_amount),
        created_at=reservation.created_at,
        updated_at=reservation.updated_at,
        hold_expires_at=reservation.hold_expires_at,
        payment_intent_id=reservation.payment_intent_id or "",
        order_id=reservation.order_id or "",
    )
