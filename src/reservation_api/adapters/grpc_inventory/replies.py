"""What the inventory answers: checked before it is believed.

Only what is wrong in itself is refused here. Whether these are the seats that were asked for is the use
case's question: it gives back the ones that are not.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from reservation_api.adapters.grpc_inventory.meanings import meaning_of, refusal_of, unknown_outcome
from reservation_api.domain.errors import InventoryUnavailableError
from reservation_api.domain.values import (
    MAX_SEATS_PER_RESERVATION,
    EventId,
    Money,
    Seat,
    SeatId,
    whole_milliseconds,
)
from reservation_api.ports.inventory import (
    MAX_LISTED_SEATS,
    Availability,
    CommitOutcome,
    CommitSeats,
    HoldEndedError,
    InventoryStatus,
    ReleaseOutcome,
    SeatHold,
    SectionStatus,
)
from reservation_proto.common.v1 import errors_pb2 as codes
from reservation_proto.common.v1 import types_pb2 as types
from reservation_proto.reservation.v1 import inventory_pb2 as wire

MAX_AMOUNT = 10**14
"""In minor units; ten seats of it still fit a 64-bit integer, and a JSON number without loss."""
MAX_ID_LENGTH = 256
YEARS = range(2000, 9000)
"""An expiry outside is no expiry: 1970 is a field that was never set, and sums with 9999 overflow."""

Outcome = TypeVar("Outcome", CommitOutcome, ReleaseOutcome)

_CURRENCY = re.compile(r"[A-Z]{3}")
_SEAT_STATUSES = frozenset(types.SeatStatus.values())
_ENDED = frozenset({wire.HOLD_STATUS_EXPIRED, wire.HOLD_STATUS_RELEASED, wire.HOLD_STATUS_COMMITTED})
_COMMITS: Mapping[int, CommitOutcome] = {
    wire.COMMIT_STATUS_SUCCESS: CommitOutcome.SOLD,
    wire.COMMIT_STATUS_FAILED_PAYMENT: CommitOutcome.PAYMENT_REFUSED,
    wire.COMMIT_STATUS_FAILED_EXPIRED: CommitOutcome.HOLD_EXPIRED,
    wire.COMMIT_STATUS_FAILED_CONFLICT: CommitOutcome.SEATS_CONFLICT,
}
_RELEASES: Mapping[int, ReleaseOutcome] = {
    wire.RELEASE_STATUS_SUCCESS: ReleaseOutcome.RELEASED,
    wire.RELEASE_STATUS_ALREADY_RELEASED: ReleaseOutcome.ALREADY_RELEASED,
    wire.RELEASE_STATUS_NOT_FOUND: ReleaseOutcome.NOT_FOUND,
    wire.RELEASE_STATUS_FAILED: ReleaseOutcome.FAILED,
}


def hold_of(reply: wire.ReserveSeatResponse) -> SeatHold:
    """Read a hold; raises the refusal, or InventoryUnavailableError for what can not be believed."""
    if reply.HasField("error"):
        raise refusal_of(reply.error)
    if reply.status in _ENDED:
        raise HoldEndedError("the inventory has ended this hold")
    _believe(reply.status == wire.HOLD_STATUS_ACTIVE, "a hold without a status")
    _believe(1 <= len(reply.reserved_seats) <= MAX_SEATS_PER_RESERVATION, "no seats, or too many")
    return SeatHold(_seats(reply.reserved_seats), _expiry(reply.hold_expires_at))


def commit_outcome(request: CommitSeats, reply: wire.CommitReservationResponse) -> CommitOutcome:
    """Read what came of a commit: status and error must say the same, and a sale must name its seats."""
    told = {_COMMITS.get(reply.status)} if reply.status else set()
    if reply.HasField("error"):
        told.add(meaning_of(reply.error).commit)
    outcome = _agreed(told, reply.status, reply.error)
    if outcome is CommitOutcome.SOLD:
        sold = sorted(seat.id for seat in reply.sold_seats)
        _believe(sold == sorted(request.seat_ids), "other seats were sold than were asked for")
    return outcome


def release_outcome(reply: wire.ReleaseHoldResponse) -> ReleaseOutcome:
    """Read what came of a release: status and error must say the same."""
    told = {_RELEASES.get(reply.status)} if reply.status else set()
    if reply.HasField("error"):
        told.add(meaning_of(reply.error).release)
    return _agreed(told, reply.status, reply.error)


def availability_of(asked: Sequence[SeatId], reply: wire.CheckAvailabilityResponse) -> Availability:
    """Read free seats; raises the refusal, or InventoryUnavailableError for what can not be believed."""
    if reply.HasField("error"):
        raise refusal_of(reply.error)
    seats = _seats(reply.available_seats[:MAX_LISTED_SEATS])
    taken = tuple(SeatId(seat_id) for seat_id in reply.unavailable_seat_ids)
    if asked:
        _believe({*taken, *(seat.seat_id for seat in seats)} <= set(asked), "seats nobody asked for")
    _believe(reply.remaining_in_section >= 0, "a negative count")
    return Availability(seats, taken, reply.remaining_in_section)


def status_of(event_id: EventId, reply: wire.GetInventoryStatusResponse) -> InventoryStatus:
    """Read counts; raises the refusal, or InventoryUnavailableError for what can not be believed."""
    if reply.HasField("error"):
        raise refusal_of(reply.error)
    _believe(reply.event.id == event_id, "another event")
    return InventoryStatus(event_id, reply.event.name, tuple(map(_section, reply.sections)))


def _agreed(told: set[Outcome | None], status: int, error: codes.Error) -> Outcome:
    """Return the one outcome that was told, if it was one and is known."""
    outcome = told.pop() if len(told) == 1 else None
    if outcome is None:
        raise unknown_outcome(error, status)
    return outcome


def _section(section: wire.SectionInventory) -> SectionStatus:
    status = SectionStatus(
        section=section.section_id or section.section_name,
        total=section.total_seats,
        available=section.available_seats,
        held=section.reserved_seats,
        sold=section.sold_seats,
        blocked=section.blocked_seats,
        min_price=_money(section.min_price),
        max_price=_money(section.max_price),
    )
    counts = (status.total, status.available, status.held, status.sold, status.blocked)
    _believe(bool(status.section), "a section without a name")
    _believe(min(counts) >= 0, "a negative count")
    _believe(status.min_price.currency == status.max_price.currency, "prices in several currencies")
    _believe(status.min_price.amount <= status.max_price.amount, "a lowest price above the highest")
    return status


def _seats(seats: Iterable[types.Seat]) -> tuple[Seat, ...]:
    read = tuple(map(_seat, seats))
    _believe(len({seat.seat_id for seat in read}) == len(read), "a seat twice")
    return read


def _seat(seat: types.Seat) -> Seat:
    seat_id = SeatId(seat.id)
    if not 0 < len(seat_id) <= MAX_ID_LENGTH:
        raise _unbelievable("a seat without an id")
    if seat.status not in _SEAT_STATUSES:
        raise _unbelievable("a seat without a status")
    return Seat(seat_id, seat.section, seat.row, seat.number, _money(seat.price))


def _money(money: types.Money) -> Money:
    amount, currency = money.amount, money.currency
    if _CURRENCY.fullmatch(currency) is None:
        raise _unbelievable("a price without a currency")
    if not 0 <= amount <= MAX_AMOUNT:
        raise _unbelievable("a price out of bounds")
    return Money(amount, currency)


def _expiry(timestamp: Timestamp) -> datetime:
    try:
        instant = datetime.fromtimestamp(timestamp.seconds, UTC).replace(microsecond=timestamp.nanos // 1000)
    except (ValueError, OverflowError, OSError) as error:
        raise _unbelievable("no instant") from error
    _believe(instant.year in YEARS, "an expiry out of bounds")
    return whole_milliseconds(instant)


def _believe(is_sound: bool, fault: str) -> None:  # noqa: FBT001 (the condition is what the line reads as)
    """Check what there is one of in a reply; what each seat has is checked in place, which costs less."""
    if not is_sound:
        raise _unbelievable(fault)


def _unbelievable(fault: str) -> InventoryUnavailableError:
    return InventoryUnavailableError(f"the inventory's answer can not be believed: {fault}")
