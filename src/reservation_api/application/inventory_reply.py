"""What the inventory answers is checked before it is believed."""

from reservation_api.domain.errors import InventoryUnavailableError
from reservation_api.ports.inventory import ReserveSeats, SeatHold


def check_reply(request: ReserveSeats, reply: SeatHold) -> None:
    """Raise InventoryUnavailableError unless the reply holds the wanted seats, priced, in one currency."""
    fault = _fault(request, reply)
    if fault is not None:
        raise InventoryUnavailableError(f"the inventory's answer can not be believed: {fault}")


def _fault(request: ReserveSeats, reply: SeatHold) -> str | None:
    seat_ids, currencies = set(), set()
    for seat in reply.seats:
        seat_ids.add(seat.seat_id)
        currencies.add(seat.price.currency)
        if seat.price.amount < 0 or not seat.price.currency:
            return "a seat without a price"
    if len(reply.seats) != request.qty or len(seat_ids) != request.qty:
        return f"{len(seat_ids)} seats instead of {request.qty}"
    if request.seat_ids and seat_ids != set(request.seat_ids):
        return "other seats than were asked for"
    if len(currencies) != 1:
        return "prices in several currencies"
    if reply.expires_at.tzinfo is None:
        return "an expiry without a time zone"
    return None
