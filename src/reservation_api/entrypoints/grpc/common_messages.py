"""What both services tell of seats and prices: the messages of `common.v1`."""

from collections.abc import Iterable

from reservation_api.domain.values import Money, Seat
from reservation_proto.common.v1 import types_pb2 as types


def seat_messages(seats: Iterable[Seat], status: types.SeatStatus) -> list[types.Seat]:
    """Name seats with their prices; all of them are in one status."""
    return [
        types.Seat(
            id=seat.seat_id,
            section=seat.section,
            row=seat.row,
            number=seat.number,
            price=money_message(seat.price),
            status=status,
        )
        for seat in seats
    ]


def money_message(money: Money) -> types.Money:
    """Tell a price."""
    return types.Money(amount=money.amount, currency=money.currency)
